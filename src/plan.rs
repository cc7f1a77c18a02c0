//! What will happen: the nodes of a run and the limits it obeys. Made by `cli`, read by `exec`.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::event::NodeId;

/// The name of a node, cheap to clone.
pub type NodeName = Arc<str>;

/// A resolved intent: whoever holds it asks for no flag, file or environment variable again.
#[derive(Debug, Clone)]
pub struct Plan {
    /// All nodes, in the order of their folded set; a [`NodeId`] is a position here.
    pub nodes: Arc<[NodeName]>,
    /// The nodes of this run, in the order they are taken up.
    pub selected: Vec<NodeId>,
    /// At most so many nodes are at work at one time.
    pub fanout: NonZeroUsize,
    /// The time limits.
    pub limits: Limits,
    /// What is done about nodes that fail.
    pub tolerance: Tolerance,
}

impl Plan {
    /// A plan for all of the given nodes.
    #[must_use]
    pub fn all(nodes: Arc<[NodeName]>, fanout: NonZeroUsize, limits: Limits) -> Self {
        let selected = (0..u32::try_from(nodes.len()).unwrap_or(u32::MAX))
            .map(NodeId)
            .collect();
        Self {
            nodes,
            selected,
            fanout,
            limits,
            tolerance: Tolerance::default(),
        }
    }

    /// The name of a node.
    #[must_use]
    pub fn name(&self, node: NodeId) -> &NodeName {
        &self.nodes[node.index()]
    }
}

/// What is done about nodes that fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tolerance {
    /// How often a connection that failed is tried again; what was begun on a node never is.
    pub retries: u32,
    /// Once more nodes than this have failed, no further node is begun.
    pub failed: Option<usize>,
    /// The same for nodes that could not be reached or did not finish in time.
    pub unreached: Option<usize>,
}

/// Time limits; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// From the start of a worker until the connection is there, the SSH handshake included.
    pub connect: Option<Duration>,
    /// For authentication, once the handshake is done.
    pub authenticate: Option<Duration>,
    /// Longest silence of a running command.
    pub idle: Option<Duration>,
    /// From the start of the command until its end.
    pub command: Option<Duration>,
    /// The whole run.
    pub deadline: Option<Duration>,
}
