//! Services: what they are, how they depend on each other, and which may run next.
//!
//! Pure: reading files is `config::services`, running actions `exec::services`, showing them
//! `report::services`. A [`Graph`] is checked once and then read only; a [`Walk`] is one run over it.

pub mod definition;
pub mod expand;
pub mod graph;
mod nodes;
mod reach;
pub mod resolve;
pub mod status;
pub mod variables;
pub mod walk;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::event::NodeId;
use crate::placeholder::LOCAL;

pub use graph::Graph;
pub use resolve::resolve;
pub use status::{Status, Thresholds};
pub use walk::{Direction, Ran, Request, Step, Walk};

/// A service or group of a [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub(crate) u32);

impl ServiceId {
    /// The position in [`Graph::services`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An action of a [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionId(pub(crate) u32);

impl ActionId {
    /// The position in [`Graph::actions`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A service or a group, every variable expanded.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its own name.
    pub name: Arc<str>,
    /// Group names and its own, joined with dots.
    pub full_name: Arc<str>,
    /// The text shown behind its name.
    pub desc: Option<Arc<str>>,
    /// The group it is a member of.
    pub parent: Option<ServiceId>,
    /// The top-level service or group it belongs to; itself, if it is one.
    pub top: ServiceId,
    /// Words to select it by.
    pub tags: Arc<[String]>,
    /// What it is made of.
    pub body: Body,
    /// What it waits for, in the order require, weak, check, filter.
    pub links: Vec<Link>,
    /// What waits for it.
    pub dependents: Vec<Link>,
}

impl Service {
    /// The label of its status line.
    #[must_use]
    pub fn label(&self) -> String {
        labelled(&self.full_name, self.desc.as_deref())
    }
}

/// A name and the description behind it, if there is one.
#[must_use]
pub fn labelled(name: &str, desc: Option<&str>) -> String {
    match desc {
        Some(desc) if !desc.is_empty() => format!("{name} - {desc}"),
        _ => name.to_owned(),
    }
}

/// What a service is made of.
#[derive(Debug, Clone)]
pub enum Body {
    /// A service with its actions.
    Actions(Vec<ActionId>),
    /// A group with its members.
    Members(Vec<ServiceId>),
}

/// How strongly one service depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// It must succeed.
    Require,
    /// It must have ended.
    Weak,
    /// Its `status` must succeed.
    Check,
    /// It must have ended, and nodes that failed there are left out here.
    Filter,
}

impl Word {
    /// Whether a failure of the dependency keeps the dependent from running.
    #[must_use]
    pub fn is_strong(self) -> bool {
        matches!(self, Self::Require | Self::Check)
    }

    /// Whether nodes that failed there are left out here.
    #[must_use]
    pub fn passes_nodes(self) -> bool {
        self != Self::Weak
    }
}

/// One arrow of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its other end.
    pub to: ServiceId,
    /// How strong it is.
    pub word: Word,
}

/// An action, every variable expanded.
#[derive(Debug, Clone)]
pub struct Action {
    /// Its own name.
    pub name: Arc<str>,
    /// The service it is an action of.
    pub service: ServiceId,
    /// The text shown behind its name in the summary.
    pub desc: Option<Arc<str>>,
    /// Where it runs, before failed nodes are taken off.
    pub target: Target,
    /// How it is run there.
    pub place: Place,
    /// The fanout while it runs, if it sets one.
    pub fanout: Option<usize>,
    /// The limit of one try on one node.
    pub timeout: Option<Duration>,
    /// The wait before each try.
    pub delay: Delay,
    /// Extra tries after a failure.
    pub retry: u64,
    /// How many failed nodes it tolerates.
    pub thresholds: Thresholds,
    /// Actions of the same service that make this one needless when they succeed.
    pub checks: Vec<ActionId>,
    /// What it does.
    pub task: Task,
}

impl Action {
    /// Whether one local process serves all nodes of its target, as `%hosts` in its command asks for.
    #[must_use]
    pub fn is_collective(&self) -> bool {
        match &self.task {
            Task::Shell(parts) if self.place == Place::HereForEach => parts.iter().any(|part| {
                matches!(part, Part::Text(text)
                    if LOCAL.parse(text).is_ok_and(|command| command.is_for_all()))
            }),
            Task::Shell(_) | Task::Haproxy(_) => false,
        }
    }
}

/// Where an action runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Here.
    Local,
    /// On these nodes, in the order of their folded set.
    Nodes(Arc<[NodeId]>),
}

impl Target {
    /// Whether there is a target, and nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Local => false,
            Self::Nodes(nodes) => nodes.is_empty(),
        }
    }
}

/// How an action reaches its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// One local process, whatever the target.
    Here,
    /// One local process for each node.
    HereForEach,
    /// On each node.
    Remote,
}

/// A wait, and how it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delay {
    /// How long.
    pub duration: Duration,
    /// The number as written.
    pub shown: String,
}

/// What an action does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// A command for the shell.
    Shell(Vec<Part>),
    /// A native HAProxy verb.
    Haproxy(HaproxyTask),
}

impl Task {
    /// The text that is shown for it, and given to the shell, on a target written as `target`.
    #[must_use]
    pub fn text(&self, target: &str) -> String {
        match self {
            Self::Shell(parts) => parts
                .iter()
                .map(|part| match part {
                    Part::Text(text) => text.as_str(),
                    Part::Target => target,
                })
                .collect(),
            Self::Haproxy(task) => task.to_string(),
        }
    }
}

/// A part of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Fixed text.
    Text(String),
    /// The folded target the action is launched with.
    Target,
}

/// A native HAProxy action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HaproxyTask {
    /// What to do.
    pub verb: HaproxyVerb,
    /// Which servers, as selectors separated by blanks; empty for none.
    pub servers: Vec<String>,
    /// Which sockets; none for the usual ones.
    pub sockets: Vec<String>,
    /// Only these backends, as patterns.
    pub backends: Vec<String>,
    /// Show only servers that are not well.
    pub bad: bool,
    /// Lift the guard.
    pub force: bool,
}

impl fmt::Display for HaproxyTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "haproxy: {}", self.verb.as_str())?;
        for server in &self.servers {
            write!(f, " {server}")?;
        }
        for backend in &self.backends {
            write!(f, " backend={backend}")?;
        }
        for socket in &self.sockets {
            write!(f, " socket={socket}")?;
        }
        if self.force {
            f.write_str(" force")?;
        }
        Ok(())
    }
}

/// What a native HAProxy action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaproxyVerb {
    /// Shows the state of servers.
    Status,
    /// Puts servers back.
    Enable,
    /// Takes servers out at once.
    Disable,
    /// Takes servers out, letting sessions end.
    Drain,
}

impl HaproxyVerb {
    /// Every verb, as written in the files.
    pub const ALL: [Self; 4] = [Self::Status, Self::Enable, Self::Disable, Self::Drain];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Drain => "drain",
        }
    }

    /// Whether it changes anything.
    #[must_use]
    pub fn changes(self) -> bool {
        self != Self::Status
    }
}

/// A place in a file, counted from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file, as it is to be shown.
    pub file: Arc<str>,
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Why services cannot be run as they are written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ServiceError {
    /// What is wrong. Where MilkCheck has words for it, those.
    pub message: String,
    /// Where.
    pub origin: Option<Origin>,
    /// What to write instead.
    pub hint: Option<String>,
    /// Whether the words are MilkCheck's, so that the place is shown only on request.
    pub classic: bool,
}

impl ServiceError {
    /// An error MilkCheck has words for.
    pub(crate) fn classic(message: impl Into<String>, origin: Option<&Origin>) -> Self {
        Self {
            message: message.into(),
            origin: origin.cloned(),
            hint: None,
            classic: true,
        }
    }

    /// An error of our own.
    pub(crate) fn clean(message: impl Into<String>, origin: Option<&Origin>) -> Self {
        Self {
            classic: false,
            ..Self::classic(message, origin)
        }
    }

    /// Of this service. MilkCheck's words stay as they are.
    pub(crate) fn within(mut self, service: &str) -> Self {
        if !self.classic {
            self.message = format!("Service '{service}': {}", self.message);
        }
        self
    }

    /// With what to write instead.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
