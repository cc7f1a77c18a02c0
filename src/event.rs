//! What is said while a run happens: events of nodes, their outcomes, and the levels of stopping.
//!
//! How events are made is the engine's business (`exec`), how they are shown is `report`'s.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::answer::Answer;

/// A node of the run, as its position in [`crate::plan::Plan::nodes`].
///
/// Events carry this instead of the name, so that ten thousand nodes cost an array, not a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The position as an index into the plan's nodes.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which of a node's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One thing that happened on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A worker took the node up.
    Started {
        /// The node.
        node: NodeId,
    },
    /// Bytes the node wrote, in order within one stream. They are the node's own bytes, cut anywhere:
    /// a reader that wants lines puts them together (`lines::LineSplitter`), one that compares needs none.
    Output {
        /// The node.
        node: NodeId,
        /// Where it wrote them.
        stream: Stream,
        /// What it wrote.
        data: Bytes,
    },
    /// What the HAProxy of the node answered. A node may give several, each of which adds to those before.
    Answer {
        /// The node.
        node: NodeId,
        /// The answer.
        answer: Arc<Answer>,
    },
    /// The node is done. Exactly one per node of the plan, and the last event of that node.
    Finished {
        /// The node.
        node: NodeId,
        /// How it ended.
        outcome: Outcome,
        /// From the start of its worker; zero for a node that never started.
        took: Duration,
    },
}

impl Event {
    /// The node it is about.
    #[must_use]
    pub fn node(&self) -> NodeId {
        match self {
            Self::Started { node }
            | Self::Output { node, .. }
            | Self::Answer { node, .. }
            | Self::Finished { node, .. } => *node,
        }
    }
}

/// What became of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The work ended by itself with this exit status.
    Exited {
        /// 0 to 255.
        status: u8,
    },
    /// The remote command was killed by a signal.
    Killed {
        /// The signal's name without `SIG`, as RFC 4254 section 6.10 spells it (`TERM`, `KILL`, ...).
        signal: String,
    },
    /// The work could not be done or finished.
    Failed(Failure),
}

impl Outcome {
    /// Success with status 0.
    pub const OK: Self = Self::Exited { status: 0 };

    /// A failure with the given code and message.
    #[must_use]
    pub fn failed(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Failed(Failure::new(code, message))
    }

    /// What kind of failure it is; `None` for success.
    #[must_use]
    pub fn class(&self) -> Option<FailureClass> {
        match self {
            Self::Exited { status: 0 } => None,
            Self::Exited { .. } | Self::Killed { .. } => Some(FailureClass::Command),
            Self::Failed(failure) => Some(failure.code.class()),
        }
    }

    /// The number shown as the node's status: the exit status, 128 + n for a signal that has a
    /// well-known number (128 otherwise), 255 for a failure (as `ssh` has it), 124 for a time limit.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Exited { status } => *status,
            Self::Killed { signal } => 128 + signal_number(signal),
            Self::Failed(failure) if failure.code == ErrorCode::TimeoutCommand => 124,
            Self::Failed(_) => 255,
        }
    }
}

/// The number of a signal on Linux, 0 if the name is none of RFC 4254's.
fn signal_number(name: &str) -> u8 {
    match name {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "ILL" => 4,
        "TRAP" => 5,
        "ABRT" => 6,
        "BUS" => 7,
        "FPE" => 8,
        "KILL" => 9,
        "USR1" => 10,
        "SEGV" => 11,
        "USR2" => 12,
        "PIPE" => 13,
        "ALRM" => 14,
        "TERM" => 15,
        _ => 0,
    }
}

/// Why a node's work was not done: a stable code for programs and a message for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    /// The stable code.
    pub code: ErrorCode,
    /// What, and what to do; lower case, no full stop, nothing that names the node, so that it is the same text for
    /// all nodes with the same trouble.
    pub message: String,
    /// What differs from node to node, such as the address; shown to those who want to know more.
    pub detail: Option<String>,
}

impl Failure {
    /// A failure with the given code and message.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            detail: None,
        }
    }

    /// The same with what differs from node to node.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $class:ident;)*) => {
        /// The stable codes of failures, printed in JSON output as `E_...`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// Every code, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as printed, such as `E_CONNECT`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Which exit code of the native front-end the failure leads to.
            #[must_use]
            pub fn class(self) -> FailureClass {
                match self { $(Self::$name => FailureClass::$class,)* }
            }
        }
    };
}

error_codes! {
    /// The name has no address.
    Resolve = "E_RESOLVE", Unreached;
    /// No connection: no route, network down.
    Connect = "E_CONNECT", Unreached;
    /// Nothing listens on the port.
    Refused = "E_REFUSED", Unreached;
    /// sshd sheds load (MaxStartups or a ban).
    MaxStartups = "E_MAXSTARTUPS", Unreached;
    /// The peer closed before its version line.
    Closed = "E_CLOSED", Unreached;
    /// The peer does not speak SSH.
    NotSsh = "E_NOT_SSH", Unreached;
    /// No algorithm in common.
    Algorithm = "E_ALGORITHM", Unreached;
    /// A broken or hostile peer.
    Protocol = "E_PROTOCOL", Unreached;
    /// Host key unknown, changed or revoked.
    HostKey = "E_HOSTKEY", Unreached;
    /// No answer during the handshake.
    HandshakeTimeout = "E_HANDSHAKE_TIMEOUT", Unreached;
    /// Every way to authenticate failed.
    Auth = "E_AUTH", Unreached;
    /// The agent cannot be reached or refuses.
    Agent = "E_AGENT", Unreached;
    /// The server refuses a session.
    SessionRefused = "E_SESSION_REFUSED", Unreached;
    /// The server refuses to run commands.
    ExecRefused = "E_EXEC_REFUSED", Unreached;
    /// Killed by a signal.
    Signal = "E_SIGNAL", Command;
    /// The command has ended, and the server did not say how.
    NoStatus = "E_NO_STATUS", Command;
    /// The connection was lost while the work ran.
    Lost = "E_LOST", Unreached;
    /// The connect limit passed.
    TimeoutConnect = "E_TIMEOUT_CONNECT", Unreached;
    /// The command limit passed.
    TimeoutCommand = "E_TIMEOUT_COMMAND", Unreached;
    /// The node said nothing for longer than the idle limit.
    TimeoutIdle = "E_TIMEOUT_IDLE", Unreached;
    /// The limit of the whole run passed.
    Deadline = "E_DEADLINE", Unreached;
    /// We were stopped before the node was done.
    Stopped = "E_STOPPED", Unreached;
    /// The socket of HAProxy is missing, is no socket, or nothing listens there.
    Socket = "E_SOCKET", Command;
    /// The socket does not let this user in, or its level is too low.
    Permission = "E_PERMISSION", Command;
    /// HAProxy refused or answered something else than expected.
    Haproxy = "E_HAPROXY", Command;
    /// A selector matched nothing.
    Select = "E_SELECT", Command;
    /// A change was not read back.
    Verify = "E_VERIFY", Command;
    /// The wait of drain or enable ran out.
    Wait = "E_WAIT", Command;
    /// What was to be sent to the node could not be read here.
    Input = "E_INPUT", Command;
    /// What the node gave could not be written here.
    Output = "E_OUTPUT", Command;
    /// A file on the node could not be read or written.
    File = "E_FILE", Command;
    /// Nothing was begun on the node, because of what was found on another.
    NotBegun = "E_NOT_BEGUN", Command;
    /// The capacity guard refused.
    Guard = "E_GUARD", Guarded;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Summary {
    /// How many nodes failed (their command, or what we asked of them), and how many were not reached.
    #[must_use]
    pub fn failures(&self) -> (usize, usize) {
        self.outcomes
            .iter()
            .fold((0, 0), |(failed, unreached), (_, outcome)| {
                match outcome.class() {
                    None => (failed, unreached),
                    Some(FailureClass::Unreached) => (failed, unreached + 1),
                    Some(FailureClass::Command | FailureClass::Guarded) => (failed + 1, unreached),
                }
            })
    }
}

/// What a failure means for the exit code of the native front-end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureClass {
    /// The node's command or its HAProxy failed: exit code 1.
    Command,
    /// The node could not be reached or did not finish in time: exit code 3.
    Unreached,
    /// Refused on purpose: exit code 4.
    Guarded,
}

/// How many bytes have gone one way, over all nodes of a run; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Counts bytes.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All bytes so far.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether a terminal would do something else than show a character: control characters do, and those that turn the
/// direction of writing, so that a text reads as another one.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text of somebody else for a message of ours, with a question mark for what must not reach a terminal.
#[must_use]
pub fn harmless(text: &str) -> String {
    let shown = |c| if is_unsafe(c) { '?' } else { c };
    text.chars().map(shown).collect()
}

/// A number of bytes as people write it: `12 B`, `1.2 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let mut units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].into_iter();
    let mut shown = format!("{bytes} B");
    let mut value = bytes as f64;
    while value >= 1024.0
        && let Some(unit) = units.next()
    {
        value /= 1024.0;
        shown = format!("{value:.1} {unit}");
    }
    shown
}

/// How hard a run is asked to stop. It only rises during a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stop {
    /// Go on.
    #[default]
    No,
    /// Start no new node.
    Drain,
    /// Ask the running ones to end (first Ctrl-C).
    Terminate,
    /// Do not ask (second Ctrl-C).
    Kill,
}

/// What became of a run: the fold over its events.
#[derive(Debug, Default)]
pub struct Summary {
    /// Each node of the plan once, in the order they finished.
    pub outcomes: Vec<(NodeId, Outcome)>,
    /// How hard the run was asked to stop.
    pub stop: Stop,
    /// What ended the run before its time; `None` when it came to its own end.
    pub ending: Option<Ending>,
}

/// What ended a run before its time.
#[derive(Debug)]
pub enum Ending {
    /// A signal asked for it.
    Stopped,
    /// More nodes failed than the plan tolerates, or a gate between batches did not open; the reason in words.
    Threshold(String),
    /// The limit of the whole run passed.
    Deadline,
    /// Our own output could not be written.
    OutputLost(std::io::Error),
}
