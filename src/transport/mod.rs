//! How a node is reached: the traits every transport implements, and the table of transports.
//!
//! A transport connects; what is then done on the node is a `work::Work`, which speaks to the
//! [`Session`] it is handed. So a new transport knows nothing of commands' meaning, and a new work
//! nothing of SSH.

mod child;
pub mod gateway;
pub mod input;
pub mod launch;
pub mod local;
pub mod openssh;
pub mod pdsh;
mod pipe;
mod relay;
pub mod rsh;
pub mod shell;
pub mod sim;
pub mod slurm;
pub mod ssh;
mod stopping;
pub mod sudo;
pub mod ways;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::answer::Answer;
use crate::event::{ErrorCode, Event, Failure, NodeId, Outcome, Stop, Stream};
use crate::plan::{Limits, NodeName};
pub use input::{CHUNK, Input, Reader, Source};
pub use launch::{FleetIo, Launch, Launcher};
pub use relay::Via;

/// A boxed future, as the object-safe traits here return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A byte stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A way to reach nodes.
pub trait Transport: Send + Sync + Debug {
    /// Connects to one node, authenticated and ready for work, within `limits.connect` and
    /// `limits.authenticate`. Retries happen in here, as nothing has been run yet.
    /// Dropping the future leaves nothing behind: no socket, task or child.
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>>;
}

impl Transport for std::sync::Arc<dyn Transport> {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        (**self).connect(node, limits)
    }
}

/// A connection to one node.
pub trait Session: Send {
    /// Runs a command and hands its output to `io`. The future ends when the command has ended and all of
    /// its output was handed over. Watches `io.stop` and asks the remote command to end when it rises to
    /// `Terminate`, returning soon after; dropping the future ends our side at once.
    fn exec<'a>(&'a mut self, command: &'a Command, io: &'a mut NodeIo) -> BoxFuture<'a, Outcome>;

    /// As [`Session::exec`], but the future is its own: the command goes on beside other work of the session, as a
    /// stream does.
    fn begin(&mut self, _command: Command, _io: NodeIo) -> BoxFuture<'static, Outcome> {
        let text = "what reaches the node carries no streams; use -R native, ssh or exec";
        Box::pin(async move { Outcome::failed(ErrorCode::ExecRefused, text) })
    }

    /// Does what comes before the first stream and may take the time of a person, such as the question for a password.
    /// Afterwards [`Session::open`] is quick.
    ///
    /// # Errors
    /// What keeps streams from being opened at all.
    fn ready(&mut self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Whether somebody has logged in to the node by now. Where a program of its own logs in for each command, nobody
    /// has before the first one.
    fn is_logged_in(&self) -> bool {
        true
    }

    /// Opens a stream to a socket as seen from the node.
    ///
    /// # Errors
    /// `Socket` or `Permission` with the cause in words, `Lost` when the connection is gone.
    fn open<'a>(
        &'a mut self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>>;

    /// Whether the node is still there, asked of a session that was idle for so long. What was not asked for long may
    /// take its time to answer, but not without end.
    fn answers(&mut self, _idle: Duration) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(true))
    }

    /// Starts a subsystem of the SSH server, such as `sftp`, and opens a stream to it.
    ///
    /// # Errors
    /// `ExecRefused` when there is none, `Lost` when the connection is gone.
    fn subsystem<'a>(
        &'a mut self,
        _name: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        Box::pin(async {
            let text = "what reaches the node has no subsystems";
            Err(Failure::new(ErrorCode::ExecRefused, text))
        })
    }

    /// Says goodbye. Dropping the session instead is allowed and leaves nothing behind either.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// A command for the remote shell.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// Text for the remote shell; over SSH an empty one means a login shell that reads its standard input.
    pub line: String,
    /// What its standard input gives, which is closed behind it; `None` gives it an empty input.
    pub stdin: Option<Input>,
    /// Ask for a terminal on the node, so that closing the connection ends the command.
    pub pty: bool,
}

/// Whom to log in as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginUser {
    /// Whoever was asked for, on all nodes (`-l`).
    pub asked: Option<String>,
    /// Unless the node's own name says so, as in `user@host`.
    pub usual: Option<String>,
}

impl LoginUser {
    /// Whom to name besides the node, whose own name has a user or has not.
    #[must_use]
    pub fn beside(&self, node_has_user: bool) -> Option<&str> {
        let usual = self.usual.as_deref().filter(|_| !node_has_user);
        self.asked.as_deref().or(usual)
    }

    /// Whom to name for all nodes alike.
    #[must_use]
    pub fn any(self) -> Option<String> {
        self.asked.or(self.usual)
    }
}

/// Where a stats socket is, as seen from the node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A unix socket's absolute path.
    Unix(String),
    /// A TCP socket.
    Tcp {
        /// A name or an address, resolved on the node.
        host: String,
        /// The port.
        port: u16,
    },
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => f.write_str(path),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
        }
    }
}

/// A worker's line to the engine: where its output goes and where it hears of stopping. Clones are the same line.
#[derive(Debug, Clone)]
pub struct NodeIo {
    node: NodeId,
    events: mpsc::Sender<Event>,
    heard: watch::Sender<Instant>,
    /// Since when the limit of the work counts; `None` while it stands still.
    counted: watch::Sender<Option<Instant>>,
    /// The level of stopping, which only rises.
    pub stop: watch::Receiver<Stop>,
}

impl NodeIo {
    /// A line for one node's worker.
    #[must_use]
    pub fn new(node: NodeId, events: mpsc::Sender<Event>, stop: watch::Receiver<Stop>) -> Self {
        let heard = watch::Sender::new(Instant::now());
        let counted = watch::Sender::new(Some(Instant::now()));
        Self {
            node,
            events,
            heard,
            counted,
            stop,
        }
    }

    /// A line for a part of the work, whose output comes to the caller. The limits are those of the whole.
    #[must_use]
    pub fn part(&self) -> (Self, mpsc::Receiver<Event>) {
        let (events, inbox) = mpsc::channel(8);
        let part = Self {
            events,
            ..self.clone()
        };
        (part, inbox)
    }

    /// The node this line belongs to.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// When the node was last heard of, for the limit on silence.
    pub(crate) fn heard(&self) -> watch::Receiver<Instant> {
        self.heard.subscribe()
    }

    /// Since when the limits of the work count; `None` while they stand still.
    pub(crate) fn counted(&self) -> watch::Receiver<Option<Instant>> {
        self.counted.subscribe()
    }

    /// The limits of the work stand still: what is waited for has a limit of its own, or is a person.
    pub(crate) fn hold(&self) {
        self.counted.send_replace(None);
    }

    /// The limits of the work count from now on.
    pub(crate) fn count(&self) {
        let now = Instant::now();
        self.heard.send_replace(now);
        self.counted.send_replace(Some(now));
    }

    /// Hands over output. Waits while the engine is behind, which is what bounds memory.
    pub async fn output(&self, stream: Stream, data: Bytes) {
        let node = self.node;
        self.heard.send_replace(Instant::now());
        // The engine outlives its workers; if it is gone, so is the reason to speak.
        let _ = self.events.send(Event::Output { node, stream, data }).await;
    }

    /// Hands over an answer. Waits while the engine is behind, too.
    pub async fn answer(&self, answer: Answer) {
        let (node, answer) = (self.node, Arc::new(answer));
        self.heard.send_replace(Instant::now());
        let _ = self.events.send(Event::Answer { node, answer }).await;
    }

    /// Waits until stopping has risen to `level` or above.
    pub async fn stopped(&mut self, level: Stop) {
        if self.stop.wait_for(|now| *now >= level).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The limit of open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimit {
    /// The soft limit as it was.
    pub before: u64,
    /// The soft limit now.
    pub now: u64,
    /// The hard limit; `None` if there is none.
    pub hard: Option<u64>,
}

/// Sets the soft limit of open files, for us and for what we start, as far as the hard one allows.
#[must_use]
pub fn limit_files(wanted: u64) -> FileLimit {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let before = limit.current.unwrap_or(u64::MAX);
    let wanted = limit.maximum.map_or(wanted, |hard| wanted.min(hard));
    let asked = Rlimit {
        current: Some(wanted),
        ..limit
    };
    let is_set = setrlimit(Resource::Nofile, asked).is_ok();
    FileLimit {
        before,
        now: if is_set { wanted } else { before },
        hard: limit.maximum,
    }
}

/// Awaits what a peer is to answer, for as long as that may take; what is late is the failure that `late` makes of the
/// limit.
pub(crate) async fn within<T>(
    limit: Option<Duration>,
    late: impl FnOnce(Duration) -> Failure,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let Some(limit) = limit else {
        return work.await;
    };
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(late(limit)),
    }
}

/// Ends when a limit has passed on what [`NodeIo::counted`] counts, and says which it was; never without a limit.
pub(crate) async fn passed(
    limit: Option<Duration>,
    mut counted: watch::Receiver<Option<Instant>>,
) -> Duration {
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    loop {
        let until = counting(&mut counted).await + limit;
        tokio::time::sleep_until(until).await;
        if counting(&mut counted).await + limit <= Instant::now() {
            return limit;
        }
    }
}

/// Since when limits count; waits while they stand still.
pub(crate) async fn counting(counted: &mut watch::Receiver<Option<Instant>>) -> Instant {
    match counted.wait_for(Option::is_some).await.map(|since| *since) {
        Ok(Some(since)) => since,
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

/// Ends at that time; never without one.
pub(crate) async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Raises the soft limit of open files to the hard one, as every connection is a descriptor. Returns the limit.
#[must_use]
pub fn raise_file_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() {
        limit.maximum
    } else {
        limit.current
    };
    now.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    })
}
