//! Expands the patterns of written values: looks names up level by level, each value once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::action::Part;
use super::definition::{Settings, Variable};
use super::error::{Origin, ServiceError};
use super::variables::{Piece, Template, Value, ValueForm, Written};
use crate::event::NodeId;
use crate::plan::NodeName;

/// How deep values may refer to one another.
const DEPTH: usize = 200;

/// What values may refer to outside of the service files.
pub trait Lookups {
    /// The nodes of a node set, in its order.
    ///
    /// # Errors
    /// Why it is none, in words.
    fn nodes(&mut self, text: &str) -> Result<Vec<NodeName>, String>;

    /// The shortest text for these nodes.
    fn fold(&mut self, nodes: &[NodeName]) -> String;

    /// What a command prints, without the newlines at its end; `None` if it cannot be run.
    fn shell(&mut self, command: &str) -> Option<String>;
}

/// Which nodes may be used (`-n` and `-x`).
#[derive(Debug, Clone, Default)]
pub struct NodeFilter {
    /// Only these, if given.
    pub only: Option<Vec<NodeName>>,
    /// None of these.
    pub without: Vec<NodeName>,
    /// The text of `%SELECTED_NODES`.
    pub shown_only: String,
    /// The text of `%EXCLUDED_NODES`.
    pub shown_without: String,
}

/// A level at which names are looked up, as a position in [`Expander::scopes`].
pub(super) type ScopeId = usize;

/// What kind of level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level<'d> {
    Root,
    Service(&'d str),
    Action(&'d str),
}

/// A target, expanded.
#[derive(Debug, Clone)]
pub(super) struct Nodes {
    pub(super) ids: Arc<[NodeId]>,
    pub(super) folded: Arc<str>,
}

/// The settings that are variables as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Desc,
    Fanout,
    Timeout,
}

#[derive(Debug, Clone)]
enum Memo<T> {
    New,
    Busy,
    Known(T),
}

impl<T: Clone> Memo<T> {
    fn known(&self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value.clone()),
            Self::New | Self::Busy => None,
        }
    }
}

struct Scope<'d> {
    parent: Option<ScopeId>,
    level: Level<'d>,
    variables: &'d [Variable],
    values: Vec<Memo<Value>>,
    settings: &'d Settings,
    known: [Memo<Value>; 3],
    target: Memo<Option<Nodes>>,
    tags: Arc<[String]>,
}

/// The levels of all definitions and what is known of their values.
pub(super) struct Expander<'d> {
    lookups: &'d mut dyn Lookups,
    filter: &'d NodeFilter,
    only: Option<HashSet<&'d str>>,
    without: HashSet<&'d str>,
    scopes: Vec<Scope<'d>>,
    names: HashMap<ScopeId, HashMap<&'d str, usize>>,
    nodes: Vec<NodeName>,
    node_ids: HashMap<NodeName, NodeId>,
    targets: HashMap<String, Nodes>,
    busy: Vec<String>,
    /// Whether commands are left alone, because values are only looked at.
    shell_rests: bool,
}

impl<'d> Expander<'d> {
    pub(super) fn new(lookups: &'d mut dyn Lookups, filter: &'d NodeFilter) -> Self {
        let set = |nodes: &'d [NodeName]| nodes.iter().map(|node| &**node).collect();
        Self {
            lookups,
            only: filter.only.as_deref().map(set),
            without: set(&filter.without),
            filter,
            scopes: Vec::new(),
            names: HashMap::new(),
            nodes: Vec::new(),
            node_ids: HashMap::new(),
            targets: HashMap::new(),
            busy: Vec::new(),
            shell_rests: false,
        }
    }

    /// Looks at every variable without running commands: what MilkCheck has no words for is wrong in
    /// whatever way the services are run.
    pub(super) fn inspect(&mut self) -> Result<(), ServiceError> {
        self.shell_rests = true;
        for scope in 0..self.scopes.len() {
            match self.force(scope) {
                Err(error) if !error.classic => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Adds a level below another.
    ///
    /// # Errors
    /// When one of its variables has a reserved name.
    pub(super) fn scope(
        &mut self,
        parent: Option<ScopeId>,
        level: Level<'d>,
        variables: &'d [Variable],
        settings: &'d Settings,
    ) -> Result<ScopeId, ServiceError> {
        let id = self.scopes.len();
        let mut names = HashMap::new();
        for (at, variable) in variables.iter().enumerate() {
            if is_reserved(level, &variable.name) {
                return Err(ServiceError::classic(
                    format!("{} is a reserved variable name", variable.name),
                    Some(&variable.value.origin),
                ));
            }
            names.insert(variable.name.as_str(), at);
        }
        if !names.is_empty() {
            self.names.insert(id, names);
        }
        let tags = match parent {
            Some(parent) if settings.tags.is_empty() => Arc::clone(&self.scopes[parent].tags),
            _ => settings.tags.clone().into(),
        };
        self.scopes.push(Scope {
            parent,
            level,
            variables,
            values: vec![Memo::New; variables.len()],
            settings,
            known: [Memo::New, Memo::New, Memo::New],
            target: Memo::New,
            tags,
        });
        Ok(id)
    }

    /// The tags of a level, its own or inherited.
    pub(super) fn tags(&self, scope: ScopeId) -> Arc<[String]> {
        Arc::clone(&self.scopes[scope].tags)
    }

    /// Every node seen so far; positions are `NodeId`s.
    pub(super) fn into_nodes(self) -> Arc<[NodeName]> {
        self.nodes.into()
    }

    /// Expands every variable of a level.
    pub(super) fn force(&mut self, scope: ScopeId) -> Result<(), ServiceError> {
        for at in 0..self.scopes[scope].variables.len() {
            self.variable(scope, at)?;
        }
        Ok(())
    }

    /// Expands a value written at that level.
    pub(super) fn value(
        &mut self,
        scope: ScopeId,
        written: &Written,
    ) -> Result<Value, ServiceError> {
        match &written.form {
            ValueForm::Plain(value) => Ok(value.clone()),
            ValueForm::List(items) => items
                .iter()
                .map(|item| self.value(scope, item))
                .collect::<Result<_, _>>()
                .map(Value::List),
            ValueForm::Template(Template(pieces)) => match pieces.as_slice() {
                [Piece::Variable(name)] => self.lookup(scope, name, &written.origin),
                _ => self.text(scope, pieces, &written.origin).map(Value::Text),
            },
        }
    }

    /// Expands a command written at an action's level, leaving room for the target it will have.
    pub(super) fn command(
        &mut self,
        scope: ScopeId,
        written: &Written,
    ) -> Result<Vec<Part>, ServiceError> {
        let ValueForm::Template(Template(pieces)) = &written.form else {
            return Ok(vec![Part::Text(self.value(scope, written)?.to_string())]);
        };
        let mut parts = Vec::new();
        for piece in pieces {
            let is_own = |name| {
                self.names
                    .get(&scope)
                    .is_some_and(|own| own.contains_key(name))
            };
            match piece {
                Piece::Variable(name)
                    if matches!(name.as_str(), "TARGET" | "target")
                        && !is_own(name.as_str())
                        && self.target(scope)?.is_some() =>
                {
                    parts.push(Part::Target);
                }
                Piece::Text(_) | Piece::Variable(_) | Piece::Shell(_) => {
                    let text = self.text(scope, std::slice::from_ref(piece), &written.origin)?;
                    match parts.last_mut() {
                        Some(Part::Text(last)) => last.push_str(&text),
                        _ => parts.push(Part::Text(text)),
                    }
                }
            }
        }
        Ok(parts)
    }

    /// The target of a level, its own or inherited; `None` if there is none.
    pub(super) fn target(&mut self, scope: ScopeId) -> Result<Option<Nodes>, ServiceError> {
        if let Some(known) = self.scopes[scope].target.known() {
            return Ok(known);
        }
        let target = match (
            &self.scopes[scope].settings.target,
            self.scopes[scope].parent,
        ) {
            (Some(written), _) => {
                if matches!(self.scopes[scope].target, Memo::Busy) {
                    return Err(ServiceError::clean(
                        "the target refers to itself",
                        Some(&written.origin),
                    ));
                }
                self.scopes[scope].target = Memo::Busy;
                let expanded = self.value(scope, written);
                // A failed target may be asked for again: the check goes on without it.
                self.scopes[scope].target = Memo::New;
                Some(self.nodes_of(&expanded?.to_string(), &written.origin)?)
            }
            (None, Some(parent)) => self.target(parent)?,
            (None, None) => None,
        };
        self.scopes[scope].target = Memo::Known(target.clone());
        Ok(target)
    }

    /// The value of a setting of a level, its own or inherited; `None` if there is none.
    pub(super) fn setting(
        &mut self,
        scope: ScopeId,
        setting: Setting,
    ) -> Result<Value, ServiceError> {
        let known = &self.scopes[scope].known[setting as usize];
        if let Some(known) = known.known() {
            return Ok(known);
        }
        let settings = self.scopes[scope].settings;
        let own = match setting {
            Setting::Desc => &settings.desc,
            Setting::Fanout => &settings.fanout,
            Setting::Timeout => &settings.timeout,
        };
        let value = match (own, self.scopes[scope].parent) {
            (Some(written), _) => {
                if matches!(known, Memo::Busy) {
                    let message = "the setting refers to itself";
                    return Err(ServiceError::clean(message, Some(&written.origin)));
                }
                self.scopes[scope].known[setting as usize] = Memo::Busy;
                self.value(scope, written)?
            }
            (None, Some(parent)) => self.setting(parent, setting)?,
            (None, None) => Value::None,
        };
        self.scopes[scope].known[setting as usize] = Memo::Known(value.clone());
        Ok(value)
    }

    fn text(
        &mut self,
        scope: ScopeId,
        pieces: &[Piece],
        origin: &Origin,
    ) -> Result<String, ServiceError> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Variable(name) => {
                    text.push_str(&self.lookup(scope, name, origin)?.to_string());
                }
                Piece::Shell(Template(inner)) => {
                    let command = self.text(scope, inner, origin)?;
                    if self.shell_rests {
                        continue;
                    }
                    let Some(output) = self.lookups.shell(&command) else {
                        let message = format!("Cannot evaluate expression '{command}'");
                        return Err(ServiceError::classic(message, Some(origin)));
                    };
                    text.push_str(&output);
                }
            }
        }
        Ok(text)
    }

    /// The value of a name, seen from a level.
    fn lookup(
        &mut self,
        from: ScopeId,
        name: &str,
        origin: &Origin,
    ) -> Result<Value, ServiceError> {
        let mut at = Some(from);
        while let Some(scope) = at {
            if let Some(position) = self.names.get(&scope).and_then(|names| names.get(name)) {
                return self.variable(scope, *position);
            }
            if let Some(value) = self.built_in(scope, name)? {
                return Ok(value);
            }
            at = self.scopes[scope].parent;
        }
        Err(ServiceError::classic(
            format!("Undefined variable '{name}'"),
            Some(origin),
        ))
    }

    /// The value of one variable, expanded at the level it stands at.
    fn variable(&mut self, scope: ScopeId, at: usize) -> Result<Value, ServiceError> {
        let variable = &self.scopes[scope].variables[at];
        match &self.scopes[scope].values[at] {
            Memo::Known(value) => Ok(value.clone()),
            Memo::Busy => {
                let begin = self.busy.iter().position(|name| *name == variable.name);
                let path = self.busy[begin.unwrap_or(0)..].join(" -> ");
                let message = format!("Variable loop: {path} -> {}", variable.name);
                Err(ServiceError::clean(message, Some(&variable.value.origin)))
            }
            Memo::New if self.busy.len() >= DEPTH => Err(ServiceError::clean(
                format!("Variables refer to one another more than {DEPTH} deep"),
                Some(&variable.value.origin),
            )),
            Memo::New => {
                self.busy.push(variable.name.clone());
                self.scopes[scope].values[at] = Memo::Busy;
                let value = self.value(scope, &variable.value);
                self.busy.pop();
                match value {
                    Ok(value) => {
                        self.scopes[scope].values[at] = Memo::Known(value.clone());
                        Ok(value)
                    }
                    Err(error) => {
                        self.scopes[scope].values[at] = Memo::New;
                        Err(error)
                    }
                }
            }
        }
    }

    fn built_in(&mut self, scope: ScopeId, name: &str) -> Result<Option<Value>, ServiceError> {
        let level = self.scopes[scope].level;
        let text = |text: &str| Ok(Some(Value::Text(text.to_owned())));
        match (name, level) {
            ("NAME" | "name", Level::Service(name) | Level::Action(name))
            | ("SERVICE" | "service", Level::Service(name))
            | ("ACTION" | "action", Level::Action(name)) => text(name),
            ("TARGET" | "target", _) => Ok(Some(match self.target(scope)? {
                Some(nodes) => Value::Text(nodes.folded.to_string()),
                None => Value::None,
            })),
            ("FANOUT" | "fanout", _) => self.setting(scope, Setting::Fanout).map(Some),
            ("TIMEOUT" | "timeout", _) => self.setting(scope, Setting::Timeout).map(Some),
            ("DESC" | "desc", _) => self.setting(scope, Setting::Desc).map(Some),
            ("TAGS" | "tags", _) => {
                let mut tags = self.scopes[scope].tags.to_vec();
                tags.sort_unstable();
                tags.dedup();
                text(&tags.join(","))
            }
            ("SELECTED_NODES" | "selected_nodes", Level::Root) => text(&self.filter.shown_only),
            ("EXCLUDED_NODES" | "excluded_nodes", Level::Root) => text(&self.filter.shown_without),
            _ => Ok(None),
        }
    }

    /// The nodes of a node set that the filter lets through.
    fn nodes_of(&mut self, text: &str, origin: &Origin) -> Result<Nodes, ServiceError> {
        if let Some(known) = self.targets.get(text) {
            return Ok(known.clone());
        }
        let mut nodes = self.lookups.nodes(text).map_err(|reason| {
            ServiceError::clean(
                format!("'{text}' is not a valid nodeset: {reason}"),
                Some(origin),
            )
        })?;
        nodes.retain(|node| {
            self.only.as_ref().is_none_or(|only| only.contains(&**node))
                && !self.without.contains(&**node)
        });
        let folded = self.lookups.fold(&nodes).into();
        let ids = nodes
            .into_iter()
            .map(|node| {
                *self.node_ids.entry(node).or_insert_with_key(|node| {
                    self.nodes.push(Arc::clone(node));
                    NodeId(u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX))
                })
            })
            .collect();
        let nodes = Nodes { ids, folded };
        self.targets.insert(text.to_owned(), nodes.clone());
        Ok(nodes)
    }
}

/// Whether a level's own value of that name cannot be replaced.
fn is_reserved(level: Level<'_>, name: &str) -> bool {
    match name {
        "NAME" | "FANOUT" | "TIMEOUT" | "TARGET" | "DESC" | "TAGS" => true,
        "SERVICE" => !matches!(level, Level::Action(_)),
        "ACTION" => matches!(level, Level::Action(_)),
        _ => false,
    }
}
