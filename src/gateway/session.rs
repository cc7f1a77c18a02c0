//! The messages of a gateway that hands out sessions: what a [`Session`] of the transport can do, in words.
//!
//! Sessions and streams have numbers, which the asking side gives out and never uses twice. What flows over a stream is
//! under flow control: each side sends at most [`WINDOW`] more than the other has taken, so that a slow reader holds up
//! its own stream only and nothing is kept beyond that. A message costs its bytes and [`COST`].
//!
//! [`Session`]: crate::transport::Session

use serde::{Deserialize, Serialize};

use super::message::Reach;
use super::written::{Data, failure, level, outcome, stream};
use crate::event::{Failure, Outcome, Stop, Stream};

/// So much may be sent over a stream before the other side has taken any of it.
pub const WINDOW: usize = 256 * 1024;

/// What a message with data costs of the window beside its bytes, so that many small ones are bounded too.
pub const COST: usize = 64;

/// What a gateway needs to know before it hands out sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The name it has in the topology.
    pub root: String,
    /// The routes from there on, as pairs of folded sets.
    pub routes: Vec<(String, String)>,
    /// How nodes are reached.
    pub reach: Reach,
    /// Whether to put the program on gateways below that lack it.
    pub install: bool,
    /// All nodes of the run, folded, where the last gateway runs the commands itself.
    pub nodes: Option<String>,
}

/// What is asked of it. Fields that are not known are an error, as each could matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Call {
    /// Connect to a node; answered by [`Reply::Connected`] or [`Reply::NotConnected`].
    Connect {
        /// The number of the session that this makes.
        session: u32,
        /// The node.
        node: String,
        /// The limit on connecting, in seconds.
        connect: Option<f64>,
        /// The limit on authenticating.
        authenticate: Option<f64>,
    },
    /// Run a command; [`Reply::Ended`] is the last that is heard of the stream.
    Exec {
        /// On which session.
        session: u32,
        /// The number of the stream that this makes.
        stream: u32,
        /// Text for the remote shell.
        line: String,
        /// Whether with a terminal.
        pty: bool,
        /// Whether it reads something; its input is empty else.
        stdin: bool,
    },
    /// Open a stream to a socket; answered by [`Reply::Opened`] or [`Reply::NotOpened`].
    Open {
        /// On which session.
        session: u32,
        /// The number of the stream that this makes.
        stream: u32,
        /// Where the socket is.
        to: Place,
    },
    /// Start a subsystem; answered as [`Call::Open`] is.
    Subsystem {
        /// On which session.
        session: u32,
        /// The number of the stream that this makes.
        stream: u32,
        /// Its name.
        name: String,
    },
    /// The next bytes for a stream.
    Data {
        /// Which.
        stream: u32,
        /// The bytes.
        #[serde(flatten)]
        data: Data,
    },
    /// There are no more bytes for a stream.
    Eof {
        /// Which.
        stream: u32,
    },
    /// So much more may be sent over a stream.
    Room {
        /// Which.
        stream: u32,
        /// How much.
        bytes: u32,
    },
    /// The run is being stopped, so hard: the command is to end.
    Stop {
        /// Its stream.
        stream: u32,
        /// How hard.
        #[serde(with = "level")]
        level: Stop,
    },
    /// The stream is no longer wanted: end it at once.
    Drop {
        /// Which.
        stream: u32,
    },
    /// Is the node still there? Answered by [`Reply::Answered`].
    Probe {
        /// Which session.
        session: u32,
        /// For how many seconds it was idle.
        idle: f64,
    },
    /// A session is over.
    Close {
        /// Which.
        session: u32,
    },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// The node is reached and logged in to.
    Connected {
        /// Which session.
        session: u32,
    },
    /// It is not.
    NotConnected {
        /// Which session.
        session: u32,
        /// Why.
        #[serde(with = "failure")]
        failure: Failure,
    },
    /// A stream is open.
    Opened {
        /// Which.
        stream: u32,
    },
    /// It could not be opened.
    NotOpened {
        /// Which.
        stream: u32,
        /// Why.
        #[serde(with = "failure")]
        failure: Failure,
    },
    /// What came over a stream.
    Data {
        /// Which.
        stream: u32,
        /// From the command's standard output or error; always the former for streams to sockets and subsystems.
        #[serde(with = "stream")]
        of: Stream,
        /// The bytes.
        #[serde(flatten)]
        data: Data,
    },
    /// Nothing more comes over a stream.
    Eof {
        /// Which.
        stream: u32,
    },
    /// A stream broke off before its end.
    Broken {
        /// Which.
        stream: u32,
        /// Why.
        message: String,
    },
    /// A command has ended, and all that it said came before.
    Ended {
        /// Its stream.
        stream: u32,
        /// How.
        #[serde(with = "outcome")]
        outcome: Outcome,
    },
    /// So much more may be sent over a stream.
    Room {
        /// Which.
        stream: u32,
        /// How much.
        bytes: u32,
    },
    /// Whether the node is still there.
    Answered {
        /// Which session.
        session: u32,
        /// Whether it is.
        there: bool,
    },
    /// A gateway further down failed.
    Failed {
        /// Which.
        gateway: String,
        /// Why.
        message: String,
    },
    /// Nothing new.
    Alive,
}

/// Where a socket is, as the node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// A unix socket's path.
    Unix(String),
    /// A TCP socket.
    Tcp {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
}
