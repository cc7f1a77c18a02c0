//! What a walk is asked for, what it tells its driver to do, and what the driver reports.

use crate::event::NodeId;
use crate::service::action::Target;
use crate::service::graph::Direction;
use crate::service::id::{ActionId, ServiceId};
use crate::service::status::Status;

/// What is asked of a walk.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The action.
    pub action: &'a str,
    /// Which way.
    pub direction: Direction,
    /// The top-level services named; none for all.
    pub services: Vec<ServiceId>,
    /// Services that must not run, with their members.
    pub locked: Vec<ServiceId>,
    /// Only top-level services with one of these tags run; empty for all.
    pub tags: Vec<String>,
    /// Whether dependencies between top-level services are ignored.
    pub no_dependencies: bool,
}

impl<'a> Request<'a> {
    /// Asks for an action of all services.
    #[must_use]
    pub fn all(action: &'a str, direction: Direction) -> Self {
        Self {
            action,
            direction,
            services: Vec::new(),
            locked: Vec::new(),
            tags: Vec::new(),
            no_dependencies: false,
        }
    }
}

/// What the driver has to do next, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Run the action there and report with `Walk::settle`.
    Run {
        /// The action.
        action: ActionId,
        /// Where, without the nodes that failed before.
        target: Target,
    },
    /// The action ended without having run: its checks succeeded, or one of them was skipped.
    Spared {
        /// The action.
        action: ActionId,
        /// Done or skipped.
        status: Status,
    },
    /// A service or group has its status.
    Settled {
        /// The service.
        service: ServiceId,
        /// Its status.
        status: Status,
        /// Whether its group speaks for it.
        quiet: bool,
    },
}

/// How an action ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    /// How many nodes failed.
    pub failed: u64,
    /// How many nodes took too long.
    pub timed_out: u64,
    /// The nodes, failed or too slow, that dependents are to leave out.
    pub nodes: Vec<NodeId>,
}
