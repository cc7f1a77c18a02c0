//! Conversations with the HAProxy of a node: one connection per question, one line, read to its end.

pub mod change;
pub mod question;
pub mod read;
pub mod status;

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};

use crate::event::{ErrorCode, Failure, Stop};
use crate::haproxy::answer::AnswerError;
use crate::haproxy::command::Command;
use crate::haproxy::select::Selector;
use crate::nodeset::NodeSet;
use crate::transport::{Endpoint, Session};

/// One question, from opening the socket to the end of the answer. It is a limit on the whole: a limit on
/// each read would never end an answer without end.
const ANSWER: Duration = Duration::from_secs(10);

/// Longest answer that is taken.
const LONGEST: usize = 64 << 20;

/// An answer longer than this waits for its turn, so that many nodes with long answers need no more memory than few.
const SHORT: usize = 256 << 10;

/// How many long answers are read at one time.
const LONG_AT_ONCE: usize = 2;

/// One HAProxy of a node.
#[derive(Debug, Clone)]
pub struct Instance {
    /// How its rows are marked when there are several.
    pub label: String,
    /// Its stats socket.
    pub endpoint: Endpoint,
    /// Only the servers that these mean; none is all.
    pub backends: Vec<Selector>,
    /// The nodes that have it; `None` is all.
    pub nodes: Option<NodeSet>,
}

/// Which stats sockets the nodes have.
#[derive(Debug, Clone)]
pub enum Sockets {
    /// One HAProxy, at the first of these places where there is a socket.
    FirstOf(Vec<Endpoint>),
    /// One HAProxy at each.
    Each(Vec<Instance>),
}

impl Sockets {
    /// The instance at one endpoint.
    #[must_use]
    pub fn at(endpoint: Endpoint) -> Self {
        Self::Each(vec![Instance {
            label: endpoint.to_string(),
            endpoint,
            backends: Vec::new(),
            nodes: None,
        }])
    }

    /// The conversations to have on a node.
    fn on(&self, node: &str) -> Result<Vec<Place<'_>>, Failure> {
        let places: Vec<Place<'_>> = match self {
            Self::FirstOf(endpoints) => vec![Place {
                label: None,
                endpoints,
                backends: &[],
            }],
            Self::Each(instances) => instances
                .iter()
                .filter(|instance| {
                    instance
                        .nodes
                        .as_ref()
                        .is_none_or(|nodes| nodes.contains(node))
                })
                .map(|instance| Place {
                    label: (instances.len() > 1).then_some(instance.label.as_str()),
                    endpoints: std::slice::from_ref(&instance.endpoint),
                    backends: &instance.backends,
                })
                .collect(),
        };
        if places.is_empty() {
            return Err(Failure::new(
                ErrorCode::Socket,
                "the configuration gives this node no instance of HAProxy",
            ));
        }
        Ok(places)
    }
}

/// One HAProxy of a node, before it was found.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    label: Option<&'a str>,
    endpoints: &'a [Endpoint],
    backends: &'a [Selector],
}

/// Asks questions, and bounds what the answers need.
#[derive(Debug)]
pub struct Asker {
    long: Semaphore,
}

impl Default for Asker {
    fn default() -> Self {
        Self {
            long: Semaphore::new(LONG_AT_ONCE),
        }
    }
}

impl Asker {
    /// The whole answer to one command.
    ///
    /// # Errors
    /// What the transport says about the socket, or that HAProxy took too long or said too much.
    pub async fn ask(
        &self,
        session: &mut dyn Session,
        endpoint: &Endpoint,
        command: &Command,
    ) -> Result<Bytes, Failure> {
        // Asking for a password is no part of the question.
        session.ready().await?;
        match tokio::time::timeout(ANSWER, self.converse(session, endpoint, command)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::new(
                ErrorCode::TimeoutCommand,
                format!(
                    "{endpoint}: no whole answer from HAProxy within {}s; it is busy, or others hold all connections of this socket",
                    ANSWER.as_secs()
                ),
            )),
        }
    }

    async fn converse(
        &self,
        session: &mut dyn Session,
        endpoint: &Endpoint,
        command: &Command,
    ) -> Result<Bytes, Failure> {
        let broken = |error: std::io::Error| match error.downcast::<Failure>() {
            Ok(failure) => failure,
            Err(error) => Failure::new(
                ErrorCode::Haproxy,
                format!("{endpoint}: the conversation with HAProxy broke off: {error}"),
            ),
        };
        let mut stream = session.open(endpoint).await?;
        stream
            .write_all(format!("{command}\n").as_bytes())
            .await
            .map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        if command.is_for_master() {
            stream.shutdown().await.map_err(broken)?;
        }
        let mut answer = Vec::new();
        let mut turn = None;
        loop {
            if answer.len() > SHORT && turn.is_none() {
                turn = self.long.acquire().await.ok();
            }
            if answer.len() > LONGEST {
                return Err(Failure::new(
                    ErrorCode::Haproxy,
                    format!(
                        "{endpoint}: the answer of HAProxy is longer than {} MiB",
                        LONGEST >> 20
                    ),
                ));
            }
            if stream.read_buf(&mut answer).await.map_err(broken)? == 0 {
                return Ok(answer.into());
            }
        }
    }

    /// Asks at the first place where there is a socket, and says where that was.
    async fn ask_first<'a>(
        &self,
        session: &mut dyn Session,
        endpoints: &'a [Endpoint],
        command: &Command,
    ) -> Result<(&'a Endpoint, Bytes), Failure> {
        let mut missing = None;
        for endpoint in endpoints {
            match self.ask(session, endpoint, command).await {
                Ok(answer) => return Ok((endpoint, answer)),
                Err(failure) if failure.code == ErrorCode::Socket && endpoints.len() > 1 => {
                    missing.get_or_insert(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        let places: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
        Err(missing.map_or_else(
            || Failure::new(ErrorCode::Socket, "no stats socket is known; name it with --socket"),
            |failure| {
                Failure::new(
                    failure.code,
                    format!(
                        "no stats socket of HAProxy at {} ({}); is HAProxy running? name another place with --socket",
                        places.join(", "),
                        failure.message
                    ),
                )
            },
        ))
    }
}

/// What an answer that is none means for the node.
fn failure(endpoint: &Endpoint, error: &AnswerError) -> Failure {
    let code = match error {
        AnswerError::Permission => ErrorCode::Permission,
        AnswerError::Empty
        | AnswerError::Cut
        | AnswerError::Unknown(_)
        | AnswerError::Refused(_)
        | AnswerError::Shape(_) => ErrorCode::Haproxy,
    };
    Failure::new(code, format!("{endpoint}: {error}"))
}

/// Does something unless the run is stopped first.
async fn unless_stopped<T>(
    stop: &mut watch::Receiver<Stop>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        done = work => done,
        Ok(_) = stop.wait_for(|level| *level >= Stop::Terminate) => {
            Err(Failure::new(ErrorCode::Stopped, "stopped; nothing was changed"))
        }
    }
}
