//! What is shown of a service run. Which service may run when, and how, is decided elsewhere.

mod graph;
mod json;
mod live;
mod log;
mod text;
mod times;

use std::io;
use std::time::Duration;

use crate::event::NodeId;
use crate::service::{ActionId, ServiceId, Status, Target};

pub use graph::GraphView;
pub use json::ServiceJson;
pub use live::ServiceLive;
pub use log::ActionLog;
pub use text::{ServiceLook, ServiceText, SummaryReport};

/// An action that has ended, its tries included.
#[derive(Debug)]
pub struct ActionEnd {
    /// The action.
    pub action: ActionId,
    /// Where it ran.
    pub target: Target,
    /// What became of it.
    pub status: Status,
    /// From the first start, delays included, to the end of the last try.
    pub took: Duration,
    /// What the last try said.
    pub log: ActionLog,
}

/// An action that was stopped, and the nodes that had not ended; none for a local one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The action.
    pub action: ActionId,
    /// The nodes.
    pub nodes: Vec<NodeId>,
}

/// Shows a service run as it happens.
pub trait ServiceReporter {
    /// A try of the action waits for its delay.
    ///
    /// # Errors
    /// Whatever the writer says; the engine then stops the run. So for all others.
    fn delayed(&mut self, action: ActionId, target: &Target) -> io::Result<()>;

    /// The first process of a try of the action starts.
    ///
    /// # Errors
    /// Whatever the writer says.
    fn started(&mut self, action: ActionId, target: &Target) -> io::Result<()>;

    /// One node of a running action is done.
    ///
    /// # Errors
    /// Whatever the writer says.
    fn node_ended(&mut self, _action: ActionId, _node: NodeId) -> io::Result<()> {
        Ok(())
    }

    /// The action ended.
    ///
    /// # Errors
    /// Whatever the writer says.
    fn ended(&mut self, end: ActionEnd) -> io::Result<()>;

    /// The action ended without having run.
    ///
    /// # Errors
    /// Whatever the writer says.
    fn spared(&mut self, action: ActionId, status: Status) -> io::Result<()>;

    /// A service has its status; `quiet` if its group speaks for it.
    ///
    /// # Errors
    /// Whatever the writer says.
    fn settled(&mut self, service: ServiceId, status: Status, quiet: bool) -> io::Result<()>;

    /// Nothing happens until some action does: what was written must be seen.
    ///
    /// # Errors
    /// Whatever the writer says.
    fn idle(&mut self) -> io::Result<()>;

    /// The user pressed Enter and wants to know what is going on.
    ///
    /// # Errors
    /// Whatever the writer says.
    fn asked(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// How often [`ServiceReporter::redraw`] wants to be called; `None` for never.
    fn redraw_every(&self) -> Option<Duration> {
        None
    }

    /// Draws what changes with time alone.
    fn redraw(&mut self) {}

    /// The run is asked to stop.
    ///
    /// # Errors
    /// Whatever the writer says.
    fn interrupted(&mut self, running: &[Stopped], never: &[ServiceId]) -> io::Result<()>;

    /// The run is over. Not called when it was interrupted.
    ///
    /// # Errors
    /// Whatever the writer says.
    fn finish(&mut self) -> io::Result<()>;
}
