//! MilkCheck's service files: YAML to `service::definition` (MilkCheck 1.2.4, milkcheck-services(5)).
//!
//! What the values mean is resolved later (`service::resolve`); here is what may stand where.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::service::definition::{
    ActionDefinition, Definition, DefinitionBody, Definitions, Settings, TaskDefinition, Variable,
};
use crate::service::variables::{Form, Template, Written};
use crate::service::{HaproxyVerb, Origin, ServiceError, Word};
use crate::yaml::{Node, Position, Scalar, Yaml, YamlError, documents};

/// How deep groups may be nested.
const GROUPS: usize = 64;

/// Something odd in a file that does not keep it from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub origin: Origin,
    /// What.
    pub message: String,
}

/// What service files say.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The services and variables.
    pub definitions: Definitions,
    /// What is odd about the files.
    pub warnings: Vec<Warning>,
}

/// Expands a service or action name that is a node set.
pub type Names<'a> = &'a mut dyn FnMut(&str) -> Result<Vec<String>, String>;

/// Reads every service file of a directory, in the order of their names.
///
/// # Errors
/// What cannot be read, and the first mistake in what can.
pub fn load(directory: &Path, names: Names<'_>) -> Result<Loaded, ServiceError> {
    let unreadable = |path: &Path, error: &io::Error| {
        ServiceError::clean(format!("Cannot read '{}': {error}", path.display()), None)
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| unreadable(directory, &error))? {
        let path = entry.map_err(|error| unreadable(directory, &error))?.path();
        let is_ours = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_ours && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let mut reader = Reader::new(names);
    for path in files {
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let file = path.display().to_string();
        let text = String::from_utf8(bytes)
            .map_err(|_| ServiceError::clean(format!("'{file}' is not UTF-8 text"), None))?;
        reader.file(&file, &text)?;
    }
    Ok(reader.finish())
}

/// Reads one text of service definitions.
///
/// # Errors
/// The first mistake in it.
pub fn parse(file: &str, text: &str, names: Names<'_>) -> Result<Loaded, ServiceError> {
    let mut reader = Reader::new(names);
    reader.file(file, text)?;
    Ok(reader.finish())
}

/// A list in which a later entry of the same name takes the place of the earlier.
struct Named<T> {
    items: Vec<T>,
    places: HashMap<String, usize>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<T> Named<T> {
    fn put(&mut self, name: &str, item: T) {
        match self.places.get(name) {
            Some(at) => self.items[*at] = item,
            None => {
                self.places.insert(name.to_owned(), self.items.len());
                self.items.push(item);
            }
        }
    }
}

struct Reader<'a> {
    names: Names<'a>,
    file: Arc<str>,
    services: Named<Definition>,
    variables: Named<Variable>,
    warnings: Vec<Warning>,
}

/// One key of a mapping and its value.
type Pair<'y> = (&'y str, &'y Rc<Yaml>, Position);

/// What a mapping belongs to, for messages.
#[derive(Debug, Clone, Copy)]
enum Owner<'n> {
    File,
    Service(&'n str),
    Action(&'n str, &'n str),
}

impl std::fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File => f.write_str("Global variables"),
            Self::Service(name) => write!(f, "Service '{name}'"),
            Self::Action(service, name) => write!(f, "Service '{service}', action '{name}'"),
        }
    }
}

impl<'a> Reader<'a> {
    fn new(names: Names<'a>) -> Self {
        Self {
            names,
            file: "".into(),
            services: Named::default(),
            variables: Named::default(),
            warnings: Vec::new(),
        }
    }

    fn finish(self) -> Loaded {
        Loaded {
            definitions: Definitions {
                variables: self.variables.items,
                services: self.services.items,
            },
            warnings: self.warnings,
        }
    }

    fn file(&mut self, file: &str, text: &str) -> Result<(), ServiceError> {
        self.file = file.into();
        let documents = documents(text).map_err(|error| self.syntax(text, &error))?;
        for document in documents.into_iter().flatten() {
            self.document(&document)?;
        }
        Ok(())
    }

    /// A text that is no YAML, in PyYAML's two lines.
    fn syntax(&self, text: &str, error: &YamlError) -> ServiceError {
        let Position { line, column } = error.at;
        let message = format!(
            "{}\n  in \"{}\", line {line}, column {column}",
            error.message, self.file
        );
        let error = ServiceError::classic(message, Some(&self.origin(error.at)));
        let written = text.lines().nth(line as usize - 1).unwrap_or_default();
        let value = written
            .split_once(':')
            .map_or(written, |(_, value)| value)
            .trim_start();
        match value.chars().next() {
            _ if written.starts_with('\t') || written.trim_start_matches(' ').starts_with('\t') => {
                error.hint("indent with blanks: YAML allows no tabs there")
            }
            Some(first @ ('@' | '%' | '`')) => error.hint(format!(
                "a value that begins with `{first}` needs quotes: \"{}\"",
                value.trim_end()
            )),
            _ => error,
        }
    }

    fn origin(&self, at: Position) -> Origin {
        Origin {
            file: Arc::clone(&self.file),
            line: at.line,
            column: at.column,
        }
    }

    fn wrong(&self, at: Position, message: impl Into<String>) -> ServiceError {
        ServiceError::clean(message, Some(&self.origin(at)))
    }

    fn warn(&mut self, at: Position, message: String) {
        let origin = self.origin(at);
        self.warnings.push(Warning { origin, message });
    }

    fn document(&mut self, document: &Yaml) -> Result<(), ServiceError> {
        let Some(pairs) = self.pairs(document, Owner::File)? else {
            let message = format!(
                "Expected a mapping with `services`, found {}",
                document.kind()
            );
            return Err(self.wrong(document.at, message));
        };
        for (key, value, at) in pairs {
            match key {
                "services" => {
                    for definition in self.services(value, 0)? {
                        let name = definition.name.clone();
                        self.services.put(&name, definition);
                    }
                }
                "variables" => {
                    for variable in self.variables(value, Owner::File)? {
                        let name = variable.name.clone();
                        self.variables.put(&name, variable);
                    }
                }
                "service" => {
                    let Some(pairs) = self.pairs(value, Owner::File)? else {
                        let message = format!("`service` must be a mapping, not {}", value.kind());
                        return Err(self.wrong(value.at, message));
                    };
                    let name = pairs
                        .iter()
                        .find(|(key, ..)| *key == "name")
                        .and_then(|(_, name, _)| name.text())
                        .filter(|name| !name.is_empty())
                        .ok_or_else(|| self.wrong(at, "`service` has no `name`"))?;
                    for definition in self.entry(name, value, at, 0)? {
                        let name = definition.name.clone();
                        self.services.put(&name, definition);
                    }
                }
                _ => {
                    let message = format!("Bad rule '{key}'");
                    return Err(ServiceError::classic(message, Some(&self.origin(at))));
                }
            }
        }
        Ok(())
    }

    /// The entries of a mapping; `None` if it is something else.
    fn pairs<'y>(
        &mut self,
        yaml: &'y Yaml,
        owner: Owner<'_>,
    ) -> Result<Option<Vec<Pair<'y>>>, ServiceError> {
        let entries = yaml.entries();
        let Some(entries) = entries.map_err(|error| self.wrong(error.at, error.message))? else {
            return Ok(None);
        };
        for (_, again) in entries.repeated {
            let name = again.text().unwrap_or_default();
            self.warn(
                again.at,
                format!("`{name}` is written twice; the last one counts"),
            );
        }
        let pairs = entries.pairs.into_iter();
        let named = pairs.map(|(key, value)| match key.text() {
            Some(name) => Ok((name, value, key.at)),
            None => {
                let message = format!("{owner}: a key must be a word, not {}", key.kind());
                Err(self.wrong(key.at, message))
            }
        });
        named.collect::<Result<_, _>>().map(Some)
    }

    /// The names a key stands for.
    fn expanded(&mut self, name: &str, at: Position) -> Result<Vec<String>, ServiceError> {
        if !name.contains(['[', ',', '!', '&', '^', '@']) {
            return Ok(vec![name.to_owned()]);
        }
        (self.names)(name).map_err(|reason| self.wrong(at, format!("Bad name '{name}': {reason}")))
    }

    /// The members of a `services` mapping.
    fn services(&mut self, yaml: &Yaml, depth: usize) -> Result<Vec<Definition>, ServiceError> {
        if yaml.is_null() {
            return Ok(Vec::new());
        }
        if depth > GROUPS {
            return Err(self.wrong(yaml.at, format!("Groups nested more than {GROUPS} deep")));
        }
        let Some(pairs) = self.pairs(yaml, Owner::File)? else {
            let message = format!("`services` must be a mapping, not {}", yaml.kind());
            return Err(self.wrong(yaml.at, message));
        };
        let mut definitions = Named::default();
        for (name, value, at) in pairs {
            for definition in self.entry(name, value, at, depth)? {
                let name = definition.name.clone();
                if definitions.places.contains_key(&name) {
                    let message = format!("service '{name}' is written twice; the last one counts");
                    self.warn(at, message);
                }
                definitions.put(&name, definition);
            }
        }
        Ok(definitions.items)
    }

    /// One service or group, once for each name its key stands for.
    fn entry(
        &mut self,
        written: &str,
        yaml: &Yaml,
        at: Position,
        depth: usize,
    ) -> Result<Vec<Definition>, ServiceError> {
        let mut names = self.expanded(written, at)?;
        let Some(last) = names.pop() else {
            return Ok(Vec::new());
        };
        let definition = self.definition(&last, yaml, at, depth)?;
        let mut definitions: Vec<Definition> = names
            .into_iter()
            .map(|name| Definition {
                name,
                ..definition.clone()
            })
            .collect();
        definitions.push(definition);
        Ok(definitions)
    }

    fn definition(
        &mut self,
        name: &str,
        yaml: &Yaml,
        at: Position,
        depth: usize,
    ) -> Result<Definition, ServiceError> {
        let owner = Owner::Service(name);
        let Some(pairs) = self.pairs(yaml, owner)? else {
            let message = format!("Service '{name}' must be a mapping, not {}", yaml.kind());
            return Err(self.wrong(at, message));
        };
        let is_group = pairs.iter().any(|(key, ..)| *key == "services");
        let mut settings = Settings::default();
        let mut links = Vec::new();
        let mut members = Vec::new();
        let mut actions = Vec::new();
        for (key, value, at) in pairs {
            match key {
                "services" => members = self.services(value, depth + 1)?,
                "actions" if is_group => {
                    self.warn(
                        at,
                        format!("group '{name}' has `actions`, which are ignored"),
                    );
                }
                "actions" => actions = self.actions(name, value)?,
                "require" => links.extend(self.link(Word::Require, value, (owner, key))?),
                "check" => links.extend(self.link(Word::Check, value, (owner, key))?),
                "filter" | "require_filter" => {
                    links.extend(self.link(Word::Filter, value, (owner, key))?);
                }
                "require_weak" | "after" | "before" => {
                    links.extend(self.link(Word::Weak, value, (owner, key))?);
                }
                "name" => {}
                _ => self.setting(&mut settings, (key, value, at), owner)?,
            }
        }
        Ok(Definition {
            name: name.to_owned(),
            origin: self.origin(at),
            settings,
            links,
            body: if is_group {
                DefinitionBody::Members(members)
            } else {
                DefinitionBody::Actions(actions)
            },
        })
    }

    fn link(
        &mut self,
        word: Word,
        yaml: &Yaml,
        (owner, key): (Owner<'_>, &str),
    ) -> Result<Option<(Word, Written)>, ServiceError> {
        if yaml.is_null() {
            return Ok(None);
        }
        let value = match &yaml.node {
            // A name is taken as it is written: a service may be called `on`.
            Node::Scalar { text, .. } => self.template(text, yaml.at, (owner, key))?,
            Node::List(items) => {
                let mut names = Vec::with_capacity(items.len());
                for item in items {
                    let Some(text) = item.text() else {
                        let message = format!("{owner}: `{key}` must be a list of names");
                        return Err(self.wrong(item.at, message));
                    };
                    names.push(self.template(text, item.at, (owner, key))?);
                }
                Written {
                    form: Form::List(names),
                    origin: self.origin(yaml.at),
                }
            }
            Node::Map(_) => {
                let message = format!("{owner}: `{key}` must be a list of names");
                return Err(self.wrong(yaml.at, message));
            }
        };
        Ok(Some((word, value)))
    }

    fn actions(
        &mut self,
        service: &str,
        yaml: &Yaml,
    ) -> Result<Vec<ActionDefinition>, ServiceError> {
        if yaml.is_null() {
            return Ok(Vec::new());
        }
        let owner = Owner::Service(service);
        let Some(pairs) = self.pairs(yaml, owner)? else {
            let message = format!("{owner}: `actions` must be a mapping, not {}", yaml.kind());
            return Err(self.wrong(yaml.at, message));
        };
        let mut seen = HashSet::new();
        let mut actions = Vec::new();
        for (written, value, at) in pairs {
            let names = self.expanded(written, at)?;
            for name in names {
                if !seen.insert(name.clone()) {
                    let message = format!("{owner}: action '{name}' is defined twice");
                    return Err(self.wrong(at, message));
                }
                let quiet_from = self.warnings.len();
                actions.push(self.action((service, &name), value, at)?);
                // What is odd about one of several names is odd about all.
                if seen.len() > 1 {
                    self.forget_repeated(quiet_from);
                }
            }
        }
        Ok(actions)
    }

    fn forget_repeated(&mut self, from: usize) {
        let (before, new) = self.warnings.split_at(from);
        let fresh: Vec<Warning> = new
            .iter()
            .filter(|warning| !before.contains(warning))
            .cloned()
            .collect();
        self.warnings.truncate(from);
        self.warnings.extend(fresh);
    }

    fn action(
        &mut self,
        (service, name): (&str, &str),
        yaml: &Yaml,
        at: Position,
    ) -> Result<ActionDefinition, ServiceError> {
        let owner = Owner::Action(service, name);
        let Some(pairs) = self.pairs(yaml, owner)? else {
            let message = format!("{owner}: must be a mapping, not {}", yaml.kind());
            return Err(self.wrong(at, message));
        };
        let is_native = pairs.iter().any(|(key, ..)| *key == "haproxy");
        let mut settings = Settings::default();
        let mut checks = Vec::new();
        let mut command = None;
        let mut native = Native::default();
        for (key, value, at) in pairs {
            match key {
                "cmd" => {
                    let Some(text) = value.text().filter(|_| !value.is_null()) else {
                        let message = format!("{owner}: `cmd` must be text, not {}", value.kind());
                        return Err(self.wrong(value.at, message));
                    };
                    command = Some(self.template(text, value.at, (owner, key))?);
                }
                "check" => checks = self.words(value, (owner, key))?,
                "haproxy" => native.verb = Some(self.verb(value, owner)?),
                "server" | "socket" | "backend" if is_native => {
                    let written = self.written(value, (owner, key))?;
                    match key {
                        "server" => native.server = Some(written),
                        "socket" => native.socket = Some(written),
                        _ => native.backend = Some(written),
                    }
                }
                "bad" if is_native => native.bad = self.boolean(value, (owner, key))?,
                "force" if is_native => native.force = self.boolean(value, (owner, key))?,
                _ => self.setting(&mut settings, (key, value, at), owner)?,
            }
        }
        let task = match (command, native.verb) {
            (Some(command), None) => TaskDefinition::Command(command),
            (None, Some(verb)) => TaskDefinition::Haproxy {
                verb,
                server: native.server,
                socket: native.socket,
                backend: native.backend,
                bad: native.bad,
                force: native.force,
            },
            (Some(_), Some(_)) => {
                return Err(self.wrong(at, format!("{owner}: has both `cmd` and `haproxy`")));
            }
            (None, None) => return Err(self.wrong(at, format!("{owner}: has no `cmd`"))),
        };
        Ok(ActionDefinition {
            name: name.to_owned(),
            origin: self.origin(at),
            settings,
            checks,
            task,
        })
    }

    fn verb(&self, yaml: &Yaml, owner: Owner<'_>) -> Result<HaproxyVerb, ServiceError> {
        let known = HaproxyVerb::ALL
            .into_iter()
            .find(|verb| yaml.text() == Some(verb.as_str()));
        known.ok_or_else(|| {
            let names: Vec<_> = HaproxyVerb::ALL.iter().map(|verb| verb.as_str()).collect();
            let message = format!("{owner}: `haproxy` must be one of {}", names.join(", "));
            self.wrong(yaml.at, message)
        })
    }

    /// A key that services, groups and actions have in common.
    fn setting(
        &mut self,
        settings: &mut Settings,
        (key, value, at): Pair<'_>,
        owner: Owner<'_>,
    ) -> Result<(), ServiceError> {
        let is_action = matches!(owner, Owner::Action(..));
        match key {
            "variables" => settings.variables = self.variables(value, owner)?,
            "tags" => settings.tags = self.words(value, (owner, key))?,
            "remote" => {
                settings.stays_here = !value.is_null() && !self.boolean(value, (owner, key))?
            }
            "desc" | "target" | "mode" => {
                let written = match value.text() {
                    _ if value.is_null() => None,
                    Some(text) => Some(self.template(text, value.at, (owner, key))?),
                    None => {
                        let message =
                            format!("{owner}: `{key}` must be text, not {}", value.kind());
                        return Err(self.wrong(value.at, message));
                    }
                };
                match key {
                    "desc" => settings.desc = written,
                    "target" => settings.target = written,
                    _ => settings.mode = written,
                }
            }
            "fanout" | "timeout" | "delay" | "retry" | "errors" | "warnings" => {
                let written = if value.is_null() {
                    None
                } else if value.scalar().is_some() {
                    Some(self.written(value, (owner, key))?)
                } else {
                    let message =
                        format!("{owner}: `{key}` must be a number, not {}", value.kind());
                    return Err(self.wrong(value.at, message));
                };
                match key {
                    "fanout" => settings.fanout = written,
                    "timeout" => settings.timeout = written,
                    "delay" => settings.delay = written,
                    "retry" => settings.retry = written,
                    "errors" => settings.errors = written,
                    _ => settings.warnings = written,
                }
            }
            "require" | "require_weak" | "after" | "before" | "filter" | "require_filter"
                if is_action =>
            {
                self.warn(at, format!("{owner}: `{key}` has no effect on an action"));
            }
            _ => self.warn(at, format!("{owner}: unknown key `{key}`")),
        }
        Ok(())
    }

    fn variables(&mut self, yaml: &Yaml, owner: Owner<'_>) -> Result<Vec<Variable>, ServiceError> {
        if yaml.is_null() {
            return Ok(Vec::new());
        }
        let Some(pairs) = self.pairs(yaml, owner)? else {
            let message = format!("`variables` must be a mapping, not {}", yaml.kind());
            return Err(self.wrong(yaml.at, message));
        };
        pairs
            .into_iter()
            .map(|(name, value, _)| {
                Ok(Variable {
                    name: name.to_owned(),
                    value: self.written(value, (owner, name))?,
                })
            })
            .collect()
    }

    /// A list of words, or one.
    fn words(
        &self,
        yaml: &Yaml,
        (owner, key): (Owner<'_>, &str),
    ) -> Result<Vec<String>, ServiceError> {
        let texts: Option<Vec<String>> = match &yaml.node {
            Node::Scalar { .. } if yaml.is_null() => Some(Vec::new()),
            Node::Scalar { text, .. } => Some(vec![text.clone()]),
            Node::List(items) => items
                .iter()
                .map(|item| item.text().map(str::to_owned))
                .collect(),
            Node::Map(_) => None,
        };
        texts
            .ok_or_else(|| self.wrong(yaml.at, format!("{owner}: `{key}` must be a list of words")))
    }

    fn boolean(&self, yaml: &Yaml, (owner, key): (Owner<'_>, &str)) -> Result<bool, ServiceError> {
        match yaml.scalar() {
            Some(Scalar::Bool(value)) => Ok(value),
            _ => Err(self.wrong(yaml.at, format!("{owner}: `{key}` must be true or false"))),
        }
    }

    /// A value of any kind, its patterns found.
    fn written(
        &self,
        yaml: &Yaml,
        (owner, key): (Owner<'_>, &str),
    ) -> Result<Written, ServiceError> {
        let form = match (&yaml.node, yaml.scalar()) {
            (_, Some(Scalar::Text(text))) => return self.template(text, yaml.at, (owner, key)),
            (_, Some(value)) => Form::Plain(value.into()),
            (Node::List(items), None) => Form::List(
                items
                    .iter()
                    .map(|item| self.written(item, (owner, key)))
                    .collect::<Result<_, _>>()?,
            ),
            (Node::Map(_) | Node::Scalar { .. }, None) => {
                let message = format!("{owner}: '{key}' cannot be a mapping");
                return Err(self.wrong(yaml.at, message));
            }
        };
        Ok(Written {
            form,
            origin: self.origin(yaml.at),
        })
    }

    fn template(
        &self,
        text: &str,
        at: Position,
        (owner, key): (Owner<'_>, &str),
    ) -> Result<Written, ServiceError> {
        match Template::parse(text) {
            Ok(template) => Ok(Written {
                form: Form::Template(template),
                origin: self.origin(at),
            }),
            Err(error) => Err(self
                .wrong(at, format!("{owner}: '{key}' has {error}"))
                .hint("write %% for a plain %")),
        }
    }
}

/// The keys of a native action.
#[derive(Default)]
struct Native {
    verb: Option<HaproxyVerb>,
    server: Option<Written>,
    socket: Option<Written>,
    backend: Option<Written>,
    bad: bool,
    force: bool,
}
