//! Runs commands on this machine, one for each node (`-R exec`): the node is only a name in the command.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::input::{self, Input};
use super::{BoxFuture, Command, Duplex, Endpoint, NodeIo, Session, Transport, child};
use crate::event::{ErrorCode, Event, Failure, Outcome, Stop, Stream};
use crate::placeholder::LOCAL;
use crate::plan::{Limits, NodeName};

/// The transport of this machine.
#[derive(Debug)]
pub struct Local {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ranks: HashMap<NodeName, usize>,
    /// The folded set of all nodes.
    all: String,
    /// What commands for all nodes at once have said, by command: they run once, and count for each node.
    recorded: Mutex<HashMap<String, Arc<Recording>>>,
}

/// The output of a command and how it ended.
#[derive(Debug)]
struct Recording {
    output: Vec<(Stream, Bytes)>,
    outcome: Outcome,
}

impl Local {
    /// A transport for these nodes; their order gives the rank, `folded` is their set as `%hosts` shows it.
    #[must_use]
    pub fn new(nodes: &[NodeName], folded: String) -> Self {
        let ranks = nodes.iter().cloned().zip(0..).collect();
        Self {
            shared: Arc::new(Shared {
                ranks,
                all: folded,
                recorded: Mutex::default(),
            }),
        }
    }
}

impl Transport for Local {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        let session = LocalSession {
            shared: Arc::clone(&self.shared),
            node: node.clone(),
            limits: *limits,
        };
        Box::pin(async { Ok(Box::new(session) as Box<dyn Session>) })
    }
}

#[derive(Debug)]
struct LocalSession {
    shared: Arc<Shared>,
    node: NodeName,
    limits: Limits,
}

impl Session for LocalSession {
    fn exec<'a>(&'a mut self, command: &'a Command, io: &'a mut NodeIo) -> BoxFuture<'a, Outcome> {
        self.begin(command.clone(), io.clone())
    }

    fn begin(&mut self, command: Command, mut io: NodeIo) -> BoxFuture<'static, Outcome> {
        let (shared, node) = (Arc::clone(&self.shared), self.node.clone());
        Box::pin(async move {
            let template = match LOCAL.parse(&command.line) {
                Ok(template) => template,
                Err(error) => return Outcome::failed(ErrorCode::ExecRefused, error.to_string()),
            };
            let Shared { ranks, all, .. } = &*shared;
            let rank = ranks.get(&node).copied().unwrap_or_default();
            let line = template.command(&node, rank, all);
            if template.is_for_all() {
                shared.run_once(line, command.stdin, &mut io).await
            } else {
                run(&line, command.stdin, &mut io).await
            }
        })
    }

    fn open<'a>(
        &'a mut self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        Box::pin(async move {
            let connecting = async {
                Ok(match endpoint {
                    Endpoint::Unix(path) => {
                        Box::new(UnixStream::connect(path).await?) as Box<dyn Duplex>
                    }
                    Endpoint::Tcp { host, port } => {
                        Box::new(TcpStream::connect((host.as_str(), *port)).await?)
                    }
                })
            };
            let opened = match self.limits.connect {
                Some(limit) => timeout(limit, connecting)
                    .await
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
                None => connecting.await,
            };
            opened.map_err(|error| cannot_open(&error, endpoint))
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

impl Shared {
    /// The first node's worker runs the command, the others wait and tell the same.
    async fn run_once(&self, line: String, stdin: Option<Input>, io: &mut NodeIo) -> Outcome {
        let mut recorded = tokio::select! {
            biased;
            () = io.stopped(Stop::Terminate) => {
                return Outcome::failed(ErrorCode::Stopped, "stopped; nothing was run for this node");
            }
            recorded = self.recorded.lock() => recorded,
        };
        if let Some(recording) = recorded.get(&line).map(Arc::clone) {
            drop(recorded);
            for (stream, data) in &recording.output {
                io.output(*stream, data.clone()).await;
            }
            return recording.outcome.clone();
        }
        let (mut own, mut inbox) = io.part();
        let mut output = Vec::new();
        let running = async {
            let outcome = run(&line, stdin, &mut own).await;
            drop(own);
            outcome
        };
        let telling = async {
            while let Some(event) = inbox.recv().await {
                if let Event::Output { stream, data, .. } = event {
                    output.push((stream, data.clone()));
                    io.output(stream, data).await;
                }
            }
        };
        let (outcome, ()) = tokio::join!(running, telling);
        let recording = Recording {
            output,
            outcome: outcome.clone(),
        };
        recorded.insert(line, Arc::new(recording));
        outcome
    }
}

/// Runs a line in the system's shell.
async fn run(line: &str, stdin: Option<Input>, io: &mut NodeIo) -> Outcome {
    let mut shell = tokio::process::Command::new("/bin/sh");
    shell.arg("-c").arg(line);
    match child::run(shell, stdin, io).await {
        Ok(ended) => match (&ended.unfed, ended.status) {
            (Some(error), _) => input::unreadable(error),
            (None, Some(status)) if !(ended.stopped && status.code().is_none()) => {
                child::outcome(status)
            }
            (None, _) => Outcome::failed(ErrorCode::Stopped, "stopped"),
        },
        Err(error) => Outcome::failed(
            ErrorCode::ExecRefused,
            format!("cannot start /bin/sh: {error}"),
        ),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the errors of the system are open-ended"
)]
fn cannot_open(error: &io::Error, endpoint: &Endpoint) -> Failure {
    let (code, text) = match error.kind() {
        io::ErrorKind::NotFound => (ErrorCode::Socket, format!("no socket {endpoint}: missing")),
        io::ErrorKind::PermissionDenied => (
            ErrorCode::Permission,
            format!("permission denied: you may not use {endpoint}"),
        ),
        io::ErrorKind::ConnectionRefused => {
            (ErrorCode::Socket, format!("nobody listens on {endpoint}"))
        }
        _ => (
            ErrorCode::Socket,
            format!("cannot reach {endpoint}: {error}"),
        ),
    };
    Failure::new(code, text)
}

#[cfg(test)]
mod tests;
