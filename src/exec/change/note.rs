//! What the operator should know of a change besides its rows. The wording is the front's.

use crate::nodeset::NodeSet;

/// One thing to say on standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// HAProxy runs in several processes there, and only one of them answers.
    SeveralProcesses {
        /// Where.
        nodes: NodeSet,
    },
    /// Old workers still serve connections from before a reload.
    OldWorkers {
        /// Where.
        nodes: NodeSet,
    },
    /// The worker that answers is about to end.
    Stopping {
        /// Where.
        nodes: NodeSet,
    },
    /// The nodes do not have the same servers in the same state.
    Disagree {
        /// The rows as groups of nodes have them; no row where they have none of the servers.
        views: Vec<(NodeSet, Vec<String>)>,
        /// How many groups are left out.
        more: usize,
    },
    /// Backends are about to keep no usable server, as was ordered.
    Emptied {
        /// The node.
        node: String,
        /// The backends with the servers they lose.
        backends: Vec<String>,
    },
    /// The ledger cannot be written to.
    Ledger {
        /// Why.
        error: String,
        /// Whether the change is yet to be made.
        before: bool,
    },
    /// HAProxy was reloaded in between, and the change was made again.
    Reloaded {
        /// Where.
        nodes: NodeSet,
    },
    /// What nodes wait for right now.
    Waiting {
        /// Where.
        nodes: NodeSet,
        /// What for.
        what: String,
    },
    /// A verb that would take back what was made.
    WayBack {
        /// Where.
        nodes: NodeSet,
        /// The verb with its servers.
        verb: String,
    },
}
