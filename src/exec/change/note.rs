//! What the operator should know of a change besides its rows. The wording is the front's.

use std::time::Duration;

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
    /// It is waited for the end of sessions, and no master tells of those of old workers.
    OldSessionsUnknown {
        /// Where.
        nodes: NodeSet,
    },
    /// The nodes do not have the same servers in the same state.
    Disagree {
        /// How groups of nodes have servers that others have otherwise.
        rows: Vec<(NodeSet, String)>,
        /// How many servers are left out.
        more: usize,
    },
    /// Servers are out further than wanted, and stay so.
    Exceeded {
        /// Where.
        nodes: NodeSet,
        /// Which.
        servers: Vec<String>,
    },
    /// Health checks of servers are off, so that nothing proves their health.
    ChecksOff {
        /// Where.
        nodes: NodeSet,
        /// Which.
        servers: Vec<String>,
        /// Whether they are turned on.
        turned_on: bool,
    },
    /// Agents speak for servers that were changed, and have their time to undo it.
    Agents {
        /// Where.
        nodes: NodeSet,
        /// How long they have.
        time: Duration,
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
        /// What for, and how long still.
        what: String,
    },
    /// What was made can be taken back, or could not be: so it is done by hand.
    WayBack {
        /// Where.
        nodes: NodeSet,
        /// The change as the ledger knows it, if it does.
        id: Option<String>,
        /// The verbs with their servers.
        verbs: Vec<String>,
    },
}
