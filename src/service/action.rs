//! Actions, every variable expanded: what is done, where, and how patiently.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::id::{ActionId, ServiceId};
use super::status::Thresholds;
use crate::event::NodeId;
use crate::placeholder::LOCAL;

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
