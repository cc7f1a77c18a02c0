//! The messages themselves: the greeting, what a gateway is asked, and what it tells of a run.

use serde::{Deserialize, Serialize};

use super::session::Setup;
use super::written::{Data, level, outcome, stream};
use crate::event::{Outcome, Stop, Stream};

/// The first line of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// `gateway`.
    pub hash: String,
    /// The version of the messages.
    pub v: u32,
    /// The version of the program.
    pub version: String,
}

impl Hello {
    /// What it says it is.
    pub const GATEWAY: &'static str = "gateway";

    /// The greeting of this program.
    #[must_use]
    pub fn ours() -> Self {
        Self {
            hash: Self::GATEWAY.to_owned(),
            v: super::VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// What a gateway is asked. Fields that are not known are an error, as each could matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Run this; once, and before anything else.
    Run(Box<Run>),
    /// Hand out sessions, in place of a run; what follows are [`super::session::Call`]s.
    Sessions(Box<Setup>),
    /// Work on these nodes may begin.
    Begin {
        /// Folded.
        nodes: String,
    },
    /// The next bytes of an input.
    Input {
        /// Which one.
        input: u32,
        /// The bytes.
        #[serde(flatten)]
        data: Data,
    },
    /// An input has ended.
    InputEnd {
        /// Which one.
        input: u32,
        /// Whether it could not be read to its end.
        broken: bool,
    },
    /// Stop, so hard.
    Stop {
        /// How hard.
        #[serde(with = "level")]
        level: Stop,
    },
}

/// A gateway's share of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The name it has in the topology.
    pub root: String,
    /// The routes from there on, as pairs of folded sets.
    pub routes: Vec<(String, String)>,
    /// The nodes and their commands, in the order in which they are begun.
    pub jobs: Vec<Job>,
    /// How many inputs there are.
    pub inputs: u32,
    /// The most nodes at work at one time.
    pub fanout: usize,
    /// Limits in seconds.
    pub connect: Option<f64>,
    /// For authentication.
    pub authenticate: Option<f64>,
    /// Longest silence.
    pub idle: Option<f64>,
    /// For the command.
    pub command: Option<f64>,
    /// How often a connection is tried again.
    pub retries: u32,
    /// How nodes are reached.
    pub reach: Reach,
    /// Whether to put the program on gateways below that lack it.
    pub install: bool,
}

/// Nodes that run the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Folded.
    pub nodes: String,
    /// Text for the remote shell.
    pub line: String,
    /// Whether with a terminal.
    pub pty: bool,
    /// Which input it reads, if any.
    pub input: Option<u32>,
}

/// How a gateway reaches nodes. Where files are, each gateway knows best itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// By which means.
    pub worker: SshClient,
    /// Whom to log in as.
    pub user: Option<String>,
    /// Options as for `ssh -o`.
    pub options: Vec<String>,
    /// How sockets on the nodes are reached, as for `--via`.
    pub via: Option<String>,
    /// Whether the last gateway runs the command itself, with `%h` for the node.
    pub local: bool,
}

/// Which SSH client reaches the nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SshClient {
    /// In process.
    #[default]
    Native,
    /// The system's `ssh`.
    Ssh,
}

/// What a gateway tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Tell {
    /// It is these nodes' turn: may they begin?
    Ready {
        /// Folded.
        nodes: String,
    },
    /// A stretch of output that nodes will be said to have given.
    Stretch(Stretch),
    /// These nodes have given all output up to that place.
    Output {
        /// Folded.
        nodes: String,
        /// Of which stream.
        #[serde(with = "stream")]
        stream: Stream,
        /// The place: a stretch, and how many bytes of it.
        at: (u32, u32),
    },
    /// These nodes are done.
    Finished {
        /// Folded.
        nodes: String,
        /// How they ended.
        #[serde(with = "outcome")]
        outcome: Outcome,
    },
    /// Stretches with smaller numbers are spoken of no more.
    Forget {
        /// The first that remains.
        below: u32,
    },
    /// A gateway further down failed.
    Failed {
        /// Which.
        gateway: String,
        /// Why.
        message: String,
    },
    /// Nodes of it go to another gateway now.
    Rerouting {
        /// Which gateway failed.
        gateway: String,
        /// Folded.
        nodes: String,
    },
    /// Nothing new.
    Alive,
    /// All is said.
    End,
}

/// Bytes that follow on others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Its number; the numbers of new ones rise by one from 1.
    pub id: u32,
    /// The place it follows on, for a new one; (0, 0) is the start of everything. `None`: more of one that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<(u32, u32)>,
    /// The bytes.
    #[serde(flatten)]
    pub data: Data,
}
