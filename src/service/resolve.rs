//! From definitions to a graph: expands values, hands settings down, and finds what each dependency means.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::definition::{
    ActionDefinition, Definition, DefinitionBody, Definitions, Settings, TaskDefinition, Variable,
};
use super::expand::{Expander, Level, NodeFilter, Outside, ScopeId, Setting};
use super::variables::{Form, Template, Value, Written};
use super::{
    Action, ActionId, Body, Delay, Graph, HaproxyTask, Link, Origin, Part, Place, Service,
    ServiceError, ServiceId, Target, Task, Thresholds, Word,
};
use crate::placeholder::LOCAL;

/// What the graph is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To look at: only targets and dependencies are expanded.
    Check,
    /// To run.
    Run,
}

/// Makes the graph of what was read. `defines` replace global variables.
///
/// # Errors
/// The first thing that is wrong, in the order of the files.
pub fn resolve(
    definitions: &Definitions,
    purpose: Purpose,
    defines: &[(String, Template)],
    filter: &NodeFilter,
    outside: &mut dyn Outside,
) -> Result<Graph, ServiceError> {
    let globals = with_defines(&definitions.variables, defines);
    let root_settings = Settings::default();
    let mut expander = Expander::new(outside, filter);
    let root = expander.scope(None, Level::Root, &globals, &root_settings)?;
    let mut entries = Vec::new();
    flatten(
        &definitions.services,
        (None, root),
        &mut expander,
        &mut entries,
    )?;
    let links = resolve_links(&entries, purpose, &mut expander)?;
    let mut resolver = Resolver {
        purpose,
        expander,
        actions: Vec::new(),
    };
    if purpose == Purpose::Run {
        resolver.expander.force(root)?;
    }
    let mut services: Vec<Service> = Vec::with_capacity(entries.len());
    let mut handed_down: Vec<Inherited> = Vec::with_capacity(entries.len());
    for (at, (entry, links)) in entries.iter().zip(links).enumerate() {
        let from = entry.parent.map(|parent| &handed_down[parent]);
        let within = |error: ServiceError| error.within(&entry.full_name);
        let settings = &entry.definition.settings;
        let inherited = resolver
            .inherited(entry.scope, settings, from)
            .map_err(within)?;
        let service = resolver
            .service(entry, at, &inherited, &services)
            .map_err(within)?;
        services.push(Service { links, ..service });
        handed_down.push(inherited);
    }
    for (at, entry) in entries.iter().enumerate() {
        if let (Some(parent), Ok(id)) = (entry.parent, u32::try_from(at))
            && let Body::Members(members) = &mut services[parent].body
        {
            members.push(ServiceId(id));
        }
    }
    let Resolver {
        mut expander,
        actions,
        ..
    } = resolver;
    if purpose == Purpose::Check {
        expander.inspect()?;
    }
    let graph = Graph::new(services, actions, expander.into_nodes());
    if purpose == Purpose::Check {
        graph.check()?;
    }
    Ok(graph)
}

/// The global variables with those of the command line in place of their namesakes or behind them.
fn with_defines(variables: &[Variable], defines: &[(String, Template)]) -> Vec<Variable> {
    let mut all = variables.to_vec();
    for (name, template) in defines {
        let value = Written {
            form: Form::Template(template.clone()),
            origin: Origin {
                file: "the command line".into(),
                line: 1,
                column: 1,
            },
        };
        match all.iter_mut().find(|variable| variable.name == *name) {
            Some(variable) => variable.value = value,
            None => all.push(Variable {
                name: name.clone(),
                value,
            }),
        }
    }
    all
}

/// One definition in the flat list, a group before its members.
struct Entry<'d> {
    definition: &'d Definition,
    full_name: Arc<str>,
    parent: Option<usize>,
    scope: ScopeId,
    /// The levels of its actions.
    actions: Vec<ScopeId>,
}

/// Lists the definitions and expands their targets. Recursion goes as deep as groups do, which reading bounds.
fn flatten<'d>(
    definitions: &'d [Definition],
    (parent, above): (Option<usize>, ScopeId),
    expander: &mut Expander<'d>,
    entries: &mut Vec<Entry<'d>>,
) -> Result<(), ServiceError> {
    for definition in definitions {
        let settings = &definition.settings;
        let level = Level::Service(&definition.name);
        let scope = expander.scope(Some(above), level, &settings.variables, settings)?;
        let full_name: Arc<str> = match parent {
            Some(parent) => format!("{}.{}", entries[parent].full_name, definition.name).into(),
            None => definition.name.as_str().into(),
        };
        let within = |error: ServiceError| error.within(&full_name);
        expander.target(scope).map_err(within)?;
        let at = entries.len();
        entries.push(Entry {
            definition,
            full_name: Arc::clone(&full_name),
            parent,
            scope,
            actions: Vec::new(),
        });
        match &definition.body {
            DefinitionBody::Members(members) => {
                flatten(members, (Some(at), scope), expander, entries)?;
            }
            DefinitionBody::Actions(actions) => {
                for action in actions {
                    let settings = &action.settings;
                    let level = Level::Action(&action.name);
                    let own = expander.scope(Some(scope), level, &settings.variables, settings)?;
                    expander.target(own).map_err(within)?;
                    entries[at].actions.push(own);
                }
            }
        }
    }
    Ok(())
}

/// What each definition's dependency words mean.
fn resolve_links<'d>(
    entries: &[Entry<'d>],
    purpose: Purpose,
    expander: &mut Expander<'d>,
) -> Result<Vec<Vec<Link>>, ServiceError> {
    let mut siblings: HashMap<(Option<usize>, &str), usize> = HashMap::new();
    let mut paths: HashMap<&str, usize> = HashMap::new();
    for (at, entry) in entries.iter().enumerate() {
        siblings.insert((entry.parent, &entry.definition.name), at);
        paths.insert(&entry.full_name, at);
    }
    let mut words: Vec<Vec<(Word, String, &Origin)>> = Vec::with_capacity(entries.len());
    for entry in entries {
        words.push(dependency_words(entry, purpose, expander)?);
    }
    let find = |entry: &Entry<'_>, word: &str| {
        let sibling = siblings.get(&(entry.parent, word));
        let path = || paths.get(word).filter(|_| word.contains('.'));
        sibling.or_else(path).copied()
    };
    let mut found: Vec<Vec<Option<usize>>> = entries
        .iter()
        .zip(&words)
        .map(|(entry, words)| words.iter().map(|(_, word, _)| find(entry, word)).collect())
        .collect();
    // What is left may be something an enclosing group waits for anyway. Groups stand before members.
    let mut outer = OuterNames::default();
    for at in 0..entries.len() {
        for position in 0..found[at].len() {
            if found[at][position].is_some() {
                continue;
            }
            let (_, word, origin) = &words[at][position];
            let mut group = entries[at].parent;
            while let (Some(parent), None) = (group, found[at][position]) {
                found[at][position] = outer.find(entries, &found, parent, word);
                group = entries[parent].parent;
            }
            if found[at][position].is_none() {
                let error =
                    ServiceError::classic(format!("Unknown dependency '{word}'"), Some(*origin));
                return Err(
                    match entries.iter().find(|entry| entry.definition.name == *word) {
                        Some(other) if other.parent.is_some() => {
                            error.hint(format!("write the path from the top: {}", other.full_name))
                        }
                        Some(_) => error.hint(format!(
                            "'{word}' is outside of the group: let the group depend on it"
                        )),
                        None => error,
                    },
                );
            }
        }
    }
    entries
        .iter()
        .zip(words.iter().zip(found))
        .map(|(entry, (words, found))| links_of(entry, words, &found))
        .collect()
}

/// The words of one definition's dependencies, expanded.
fn dependency_words<'d>(
    entry: &Entry<'d>,
    purpose: Purpose,
    expander: &mut Expander<'d>,
) -> Result<Vec<(Word, String, &'d Origin)>, ServiceError> {
    let mut words = Vec::new();
    for (word, written) in &entry.definition.links {
        let value = match expander.value(entry.scope, written) {
            // The check sees undefined variables in targets only.
            Err(error) if purpose == Purpose::Check && error.classic => continue,
            value => value?,
        };
        let names = match value {
            Value::List(items) => items,
            Value::None => Vec::new(),
            Value::Text(text) if text.is_empty() => Vec::new(),
            one @ (Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_)) => vec![one],
        };
        words.extend(
            names
                .into_iter()
                .map(|name| (*word, name.to_string(), &written.origin)),
        );
    }
    Ok(words)
}

fn links_of(
    entry: &Entry<'_>,
    words: &[(Word, String, &Origin)],
    found: &[Option<usize>],
) -> Result<Vec<Link>, ServiceError> {
    let mut seen = HashSet::new();
    let mut links = Vec::with_capacity(words.len());
    for ((word, name, origin), to) in words.iter().zip(found) {
        let Some(to) = to.and_then(|to| u32::try_from(to).ok()) else {
            continue;
        };
        if !seen.insert(to) {
            let message = format!("Dependency '{name}' given twice in '{}'", entry.full_name);
            return Err(ServiceError::classic(message, Some(*origin)));
        }
        links.push(Link {
            to: ServiceId(to),
            word: *word,
        });
    }
    Ok(links)
}

/// The names a group's members may use because the group waits for them, by group.
#[derive(Default)]
struct OuterNames<'d>(HashMap<usize, HashMap<&'d str, usize>>);

impl<'d> OuterNames<'d> {
    fn find(
        &mut self,
        entries: &[Entry<'d>],
        found: &[Vec<Option<usize>>],
        group: usize,
        word: &str,
    ) -> Option<usize> {
        let names = self.0.entry(group).or_insert_with(|| {
            let mut names = HashMap::new();
            let mut seen = HashSet::new();
            let mut todo: VecDeque<usize> = found[group].iter().copied().flatten().collect();
            while let Some(at) = todo.pop_front() {
                if seen.insert(at) {
                    names
                        .entry(entries[at].definition.name.as_str())
                        .or_insert(at);
                    todo.extend(found[at].iter().copied().flatten());
                }
            }
            names
        });
        names.get(word).copied()
    }
}

/// Settings that a level hands down when the one below says nothing, or zero.
#[derive(Debug, Clone, Default)]
struct Inherited {
    delay: Delay,
    retry: u64,
    thresholds: Thresholds,
    mode: String,
    stays_here: bool,
}

struct Resolver<'d> {
    purpose: Purpose,
    expander: Expander<'d>,
    actions: Vec<Action>,
}

impl Resolver<'_> {
    fn service(
        &mut self,
        entry: &Entry<'_>,
        at: usize,
        inherited: &Inherited,
        before: &[Service],
    ) -> Result<Service, ServiceError> {
        let id = ServiceId(u32::try_from(at).unwrap_or(u32::MAX));
        let definition = entry.definition;
        if self.purpose == Purpose::Run {
            self.expander.force(entry.scope)?;
        }
        let settings = &definition.settings;
        self.validated(entry.scope, "fanout", &settings.fanout, whole)?;
        self.validated(entry.scope, "timeout", &settings.timeout, seconds)?;
        let body = match &definition.body {
            DefinitionBody::Members(_) => Body::Members(Vec::new()),
            DefinitionBody::Actions(actions) => {
                let checks = check_positions(actions)?;
                let first = self.actions.len();
                for ((action, scope), checks) in actions.iter().zip(&entry.actions).zip(checks) {
                    let checks = checks.into_iter().map(|check| action_id(first + check));
                    let action = self.action((id, action), *scope, inherited, checks.collect())?;
                    self.actions.push(action);
                }
                Body::Actions((first..self.actions.len()).map(action_id).collect())
            }
        };
        Ok(Service {
            name: definition.name.as_str().into(),
            full_name: Arc::clone(&entry.full_name),
            desc: self.desc(entry.scope)?,
            parent: entry
                .parent
                .and_then(|at| u32::try_from(at).ok())
                .map(ServiceId),
            top: entry.parent.map_or(id, |parent| before[parent].top),
            tags: self.expander.tags(entry.scope),
            body,
            links: Vec::new(),
            dependents: Vec::new(),
        })
    }

    fn action(
        &mut self,
        (service, definition): (ServiceId, &ActionDefinition),
        scope: ScopeId,
        from: &Inherited,
        checks: Vec<ActionId>,
    ) -> Result<Action, ServiceError> {
        if self.purpose == Purpose::Run {
            self.expander.force(scope)?;
        }
        let settings = &definition.settings;
        let inherited = self.inherited(scope, settings, Some(from))?;
        let target = match self.expander.target(scope)? {
            Some(nodes) => Target::Nodes(nodes.ids),
            None => Target::Local,
        };
        let place = match inherited.mode.as_str() {
            _ if target == Target::Local => Place::Here,
            "delegate" => Place::Here,
            "exec" => Place::HereForEach,
            _ if inherited.stays_here => Place::HereForEach,
            _ => Place::Remote,
        };
        self.validated(scope, "fanout", &settings.fanout, whole)?;
        self.validated(scope, "timeout", &settings.timeout, seconds)?;
        let is_checked = self.purpose == Purpose::Run;
        let fanout = match is_checked.then(|| self.expander.setting(scope, Setting::Fanout)) {
            Some(value) => whole(&value?).and_then(|fanout| usize::try_from(fanout).ok()),
            None => None,
        };
        let timeout = match is_checked.then(|| self.expander.setting(scope, Setting::Timeout)) {
            Some(value) => seconds(&value?),
            None => None,
        };
        Ok(Action {
            name: definition.name.as_str().into(),
            service,
            desc: self.desc(scope)?,
            task: self.task(scope, definition, place)?,
            target,
            place,
            fanout: fanout.filter(|fanout| *fanout > 0),
            timeout: timeout.filter(|timeout| !timeout.is_zero()),
            delay: inherited.delay,
            retry: inherited.retry,
            thresholds: inherited.thresholds,
            checks,
        })
    }

    fn task(
        &mut self,
        scope: ScopeId,
        definition: &ActionDefinition,
        place: Place,
    ) -> Result<Task, ServiceError> {
        match &definition.task {
            TaskDefinition::Command(written) => {
                if place == Place::HereForEach
                    && let Form::Template(template) = &written.form
                {
                    for text in template.texts() {
                        check_placeholders(text, definition, written)?;
                    }
                }
                let parts = match self.purpose {
                    Purpose::Run => self.expander.command(scope, written)?,
                    Purpose::Check => Vec::new(),
                };
                if place == Place::HereForEach {
                    let text: String = parts.iter().map(part_text).collect();
                    check_placeholders(&text, definition, written)?;
                }
                Ok(Task::Shell(parts))
            }
            TaskDefinition::Haproxy {
                verb,
                server,
                socket,
                backend,
                bad,
                force,
            } => Ok(Task::Haproxy(HaproxyTask {
                verb: *verb,
                servers: self.words(scope, server.as_ref())?,
                sockets: self.words(scope, socket.as_ref())?,
                backends: self.words(scope, backend.as_ref())?,
                bad: *bad,
                force: *force,
            })),
        }
    }

    /// The words of a value that is a list, or text with blanks between them.
    fn words(
        &mut self,
        scope: ScopeId,
        written: Option<&Written>,
    ) -> Result<Vec<String>, ServiceError> {
        let Some(written) = written.filter(|_| self.purpose == Purpose::Run) else {
            return Ok(Vec::new());
        };
        Ok(match self.expander.value(scope, written)? {
            Value::None => Vec::new(),
            Value::List(items) => items.iter().map(ToString::to_string).collect(),
            value @ (Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_)) => value
                .to_string()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        })
    }

    fn desc(&mut self, scope: ScopeId) -> Result<Option<Arc<str>>, ServiceError> {
        if self.purpose == Purpose::Check {
            return Ok(None);
        }
        let desc = self.expander.setting(scope, Setting::Desc)?;
        Ok((desc != Value::None).then(|| desc.to_string().into()))
    }

    /// What a level has of its own, filled up from the level above.
    fn inherited(
        &mut self,
        scope: ScopeId,
        settings: &Settings,
        from: Option<&Inherited>,
    ) -> Result<Inherited, ServiceError> {
        let from = from.cloned().unwrap_or_default();
        let mut number = |key, written, inherited| {
            let own = self.validated(scope, key, written, whole)?;
            Ok(own.filter(|own| *own > 0).unwrap_or(inherited))
        };
        let retry = number("retry", &settings.retry, from.retry)?;
        let errors = number("errors", &settings.errors, from.thresholds.errors)?;
        let warnings = number("warnings", &settings.warnings, from.thresholds.warnings)?;
        let delay = self.validated(scope, "delay", &settings.delay, delay)?;
        let mode = self.validated(scope, "mode", &settings.mode, |value| {
            Some(value.to_string())
        })?;
        Ok(Inherited {
            delay: delay
                .filter(|delay| !delay.duration.is_zero())
                .unwrap_or(from.delay),
            retry,
            thresholds: Thresholds { errors, warnings },
            mode: mode.filter(|mode| !mode.is_empty()).unwrap_or(from.mode),
            stays_here: settings.stays_here || from.stays_here,
        })
    }

    /// The value of a key, if it is given, in the form the key needs.
    fn validated<T>(
        &mut self,
        scope: ScopeId,
        key: &str,
        written: &Option<Written>,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, ServiceError> {
        let Some(written) = written else {
            return Ok(None);
        };
        if self.purpose == Purpose::Check && !written.is_constant() {
            return Ok(None);
        }
        let value = self.expander.value(scope, written)?;
        match convert(&value) {
            Some(value) => Ok(Some(value)),
            None => Err(ServiceError::clean(
                format!("bad value '{value}' for '{key}'"),
                Some(&written.origin),
            )),
        }
    }
}

fn action_id(at: usize) -> ActionId {
    ActionId(u32::try_from(at).unwrap_or(u32::MAX))
}

fn part_text(part: &Part) -> &str {
    match part {
        Part::Text(text) => text,
        Part::Target => "",
    }
}

fn check_placeholders(
    text: &str,
    definition: &ActionDefinition,
    written: &Written,
) -> Result<(), ServiceError> {
    match LOCAL.parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(ServiceError::clean(
            format!(
                "action '{}' has an unknown placeholder `{}` in 'cmd'",
                definition.name, error.written
            ),
            Some(&written.origin),
        )
        .hint(
            "with `mode: exec` the command knows %%h, %%n and %%hosts; write %%%% for a plain %",
        )),
    }
}

/// The actions each action checks, as positions, once it is sure that they end somewhere.
fn check_positions(actions: &[ActionDefinition]) -> Result<Vec<Vec<usize>>, ServiceError> {
    let positions: HashMap<&str, usize> = actions
        .iter()
        .enumerate()
        .map(|(at, action)| (action.name.as_str(), at))
        .collect();
    let mut checks = Vec::with_capacity(actions.len());
    for action in actions {
        let mut own = Vec::with_capacity(action.checks.len());
        for check in &action.checks {
            let Some(at) = positions.get(check.as_str()) else {
                return Err(ServiceError::clean(
                    format!(
                        "action '{}' checks '{check}', which it does not have",
                        action.name
                    ),
                    Some(&action.origin),
                ));
            };
            if !own.contains(at) {
                own.push(*at);
            }
        }
        checks.push(own);
    }
    // Strip actions whose checks are all stripped; what remains leads in a circle.
    let mut left: Vec<usize> = checks.iter().map(Vec::len).collect();
    let mut users = vec![Vec::new(); actions.len()];
    for (at, own) in checks.iter().enumerate() {
        for check in own {
            users[*check].push(at);
        }
    }
    let mut free: Vec<usize> = (0..left.len()).filter(|at| left[*at] == 0).collect();
    while let Some(at) = free.pop() {
        for user in &users[at] {
            left[*user] -= 1;
            if left[*user] == 0 {
                free.push(*user);
            }
        }
    }
    match left.iter().position(|left| *left > 0) {
        None => Ok(checks),
        Some(at) => Err(ServiceError::clean(
            format!(
                "the checks of action '{}' lead in a circle",
                actions[at].name
            ),
            Some(&actions[at].origin),
        )),
    }
}

/// A whole number that is not negative.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Text(text) => text.trim().parse().ok(),
        Value::None | Value::Bool(_) | Value::Float(_) | Value::List(_) => None,
    }
}

/// A number of seconds that is not negative.
fn seconds(value: &Value) -> Option<Duration> {
    let number = match value {
        #[expect(
            clippy::cast_precision_loss,
            reason = "more than 2^53 seconds are for ever"
        )]
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Text(text) => text.trim().parse().ok()?,
        Value::None | Value::Bool(_) | Value::List(_) => return None,
    };
    Duration::try_from_secs_f64(number).ok()
}

fn delay(value: &Value) -> Option<Delay> {
    seconds(value).map(|duration| Delay {
        duration,
        shown: value.to_string(),
    })
}
