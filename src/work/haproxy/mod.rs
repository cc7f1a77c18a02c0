//! Conversations with the HAProxy of a node: one connection per question, one line, read to its end.

mod asker;
pub mod change;
mod look;
mod master;
pub mod patterns;
pub mod question;
pub mod read;
pub mod status;
pub mod transaction;

use tokio::sync::watch;

use crate::destination;
use crate::event::{ErrorCode, Failure, Stop};
use crate::haproxy::answer::AnswerError;
use crate::haproxy::select::Selector;
use crate::nodeset::NodeSet;
use crate::transport::Endpoint;

pub use asker::Asker;
pub use master::{Master, Masters};

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
        let host = destination::host(node);
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
                        .is_none_or(|nodes| nodes.contains(node) || nodes.contains(host))
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
