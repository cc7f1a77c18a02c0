//! Something else that reaches many nodes by itself: Slurm's launcher, pdsh, gateways. One [`Launcher`] serves all
//! the nodes that it takes, so it can do for them at once what a transport does one by one.

use std::borrow::Cow;
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::{BoxFuture, Command, Session, Transport};
use crate::event::{ErrorCode, Event, Failure, NodeId, Outcome, Stop, Stream};
use crate::plan::{Limits, NodeName, Plan};

/// Runs commands on nodes that it reaches by itself.
pub trait Launcher: Send + Sync + Debug {
    /// Whether it is the way to this node. Other nodes of the run are reached by the transport.
    fn takes(&self, node: &str) -> bool;

    /// Whether it is the only way to these nodes; else the transport, too, leads to them.
    fn is_only_way(&self) -> bool {
        true
    }

    /// Runs commands on nodes that it takes, and tells `io` what becomes of each.
    ///
    /// A node without an outcome when the future ends is lost; the engine says so. Watches `io.stop`: at `Drain` no
    /// further node is begun, at `Terminate` the running ones are asked to end. Dropping the future leaves nothing
    /// behind on this side. The limits of the plan are the launcher's to keep, except for the deadline.
    fn launch<'a>(&'a self, launch: Launch<'a>, io: FleetIo) -> BoxFuture<'a, ()>;
}

/// What is to be launched.
#[derive(Clone, Copy)]
pub struct Launch<'a> {
    /// Names and limits.
    pub plan: &'a Plan,
    /// The nodes, in the order of the plan.
    pub nodes: &'a [NodeId],
    /// What each of them is to run.
    pub command: &'a (dyn Fn(NodeId) -> Cow<'a, Command> + Send + Sync),
}

impl Debug for Launch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launch")
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

/// What stands for the transport where a launcher takes every node: it reaches none by itself.
#[derive(Debug)]
pub struct LaunchedOnly(
    /// The name of the worker, for the message.
    pub &'static str,
);

impl Transport for LaunchedOnly {
    fn connect<'a>(
        &'a self,
        _node: &'a NodeName,
        _limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        let text = format!("worker {} runs commands only; use -R native", self.0);
        Box::pin(async { Err(Failure::new(ErrorCode::ExecRefused, text)) })
    }
}

/// A launcher's line to the engine.
#[derive(Debug, Clone)]
pub struct FleetIo {
    events: mpsc::Sender<Event>,
    /// The level of stopping, which only rises.
    pub stop: watch::Receiver<Stop>,
}

impl FleetIo {
    /// A line to the engine.
    #[must_use]
    pub fn new(events: mpsc::Sender<Event>, stop: watch::Receiver<Stop>) -> Self {
        Self { events, stop }
    }

    /// Work on a node has begun.
    pub async fn started(&self, node: NodeId) {
        self.tell(Event::Started { node }).await;
    }

    /// Hands over output of a node. Waits while the engine is behind, which is what bounds memory.
    pub async fn output(&self, node: NodeId, stream: Stream, data: Bytes) {
        self.tell(Event::Output { node, stream, data }).await;
    }

    /// A node is done.
    pub async fn finished(&self, node: NodeId, outcome: Outcome, took: Duration) {
        self.tell(Event::Finished {
            node,
            outcome,
            took,
        })
        .await;
    }

    /// Waits until stopping has risen to `level` or above.
    pub async fn stopped(&mut self, level: Stop) {
        if self.stop.wait_for(|now| *now >= level).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn tell(&self, event: Event) {
        // The engine outlives its launchers; if it is gone, so is the reason to speak.
        let _ = self.events.send(event).await;
    }
}
