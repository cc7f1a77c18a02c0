//! Nodes behind gateways: over one connection to each gateway, where this program runs and reaches them.
//!
//! One command for many nodes is launched ([`Gateways`]), and equal output merged on its way. For all else a gateway hands
//! out sessions ([`Routed`]), each as good as one of our own; [`serve()`] is what it does for that.
//!
//! A gateway that fails costs its own nodes only. What was begun there is lost and never repeated; what was not begun,
//! which is known for sure because a gateway asks before it begins, goes to another gateway that leads there.

mod jobs;
mod link;
mod notices;
mod outbox;
mod overdue;
mod pipe;
mod program;
mod route;
mod serve;
mod session;
mod share;
mod talk;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use indexmap::IndexMap;

use super::launch::{FleetIo, Launch, Launcher};
use super::{BoxFuture, Transport};
use crate::event::{ErrorCode, Failure, NodeId, Outcome, Stop};
use crate::gateway::Reach;
use crate::gateway::merge::fold;
use crate::nodeset::NodeSet;
use crate::plan::NodeName;
use crate::topology::{Loads, Topology};

use super::ssh::errors::printable;
pub use outbox::Outbox;
pub use program::Program;
pub use route::Routed;
pub use serve::{Messages, serve};
use share::{Lost, Share};

/// A gateway that says nothing for so long, not even that it is alive, counts as dead.
pub const SILENCE: Duration = Duration::from_secs(30);

/// What becomes of a node that no gateway leads to any more.
const NO_ROUTE: &str = "no route: every gateway that leads there has failed";

/// What is to be told of gateways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice<'a> {
    /// A gateway failed.
    Failed {
        /// Which.
        gateway: &'a str,
        /// Why.
        message: &'a str,
    },
    /// Nodes that were not begun on a gateway that failed go to another, if there is one.
    Rerouting {
        /// Which gateway failed.
        gateway: &'a str,
        /// Folded.
        nodes: &'a str,
    },
    /// No gateway is left that leads to the node, and maybe to others.
    NoRoute {
        /// The first of these nodes.
        node: &'a str,
    },
}

/// Whom a gateway reports to: the user, or the gateway that started it.
pub trait Parent: Send + Sync + Debug {
    /// Is told of gateways.
    fn notice(&self, notice: Notice<'_>);

    /// Whether work on these nodes may begin; answers when it is decided.
    fn may_begin<'a>(&'a self, _nodes: &'a [NodeName]) -> BoxFuture<'a, bool> {
        Box::pin(async { true })
    }

    /// Whether it is the user, who wants to know which gateway said something.
    fn is_user(&self) -> bool {
        true
    }
}

/// The launcher over gateways, and all that is to be known for going through them.
#[derive(Debug, Clone)]
pub struct Gateways {
    /// Who relays for whom.
    pub topology: Topology,
    /// How gateways are reached.
    pub transport: Arc<dyn Transport>,
    /// How they reach nodes.
    pub reach: Reach,
    /// This program, to be put on gateways that lack it.
    pub install: Option<Program>,
    /// What becomes of a node that was begun on a gateway that is lost, in place of `E_LOST`.
    pub lost: Option<Outcome>,
    /// Where notices go.
    pub parent: Arc<dyn Parent>,
    /// Which gateways are open.
    pub open: OpenGateways,
}

impl Gateways {
    /// What a gateway said of a failure, as the parent is told.
    fn believed(&self, failure: Failure, gateway: &str) -> Failure {
        Failure {
            code: failure.code,
            message: self.labelled(&failure.message, gateway),
            detail: failure.detail.map(|text| printable(text.as_bytes(), 200)),
        }
    }

    /// A text that a gateway said, as the parent is told.
    fn labelled(&self, text: &str, gateway: &str) -> String {
        let text = printable(text.as_bytes(), 400);
        match self.parent.is_user() {
            true => format!("{text} (through gateway {gateway})"),
            false => text,
        }
    }
}

impl Launcher for Gateways {
    fn takes(&self, node: &str) -> bool {
        !self.topology.ways(node).is_empty()
    }

    /// They hand out sessions, too ([`Routed`]).
    fn is_only_way(&self) -> bool {
        false
    }

    fn launch<'a>(&'a self, launch: Launch<'a>, io: FleetIo) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut run = Dealing {
                gateways: self,
                launch,
                io,
                loads: Loads::default(),
                failed: HashSet::new(),
            };
            run.run().await;
        })
    }
}

/// Deals nodes out to gateways until each has its outcome.
struct Dealing<'a> {
    gateways: &'a Gateways,
    launch: Launch<'a>,
    io: FleetIo,
    loads: Loads,
    failed: HashSet<NodeName>,
}

impl<'a> Dealing<'a> {
    async fn run(&mut self) {
        let mut shares = FuturesUnordered::new();
        for share in self.deal(self.launch.nodes).await {
            shares.push(share.serve());
        }
        while let Some(ended) = shares.next().await {
            let Err(Lost {
                gateway,
                message,
                not_begun,
            }) = ended
            else {
                continue;
            };
            self.failed.insert(gateway.clone());
            let parent = &self.gateways.parent;
            parent.notice(Notice::Failed {
                gateway: &gateway,
                message: &message,
            });
            // After a stop nothing is begun any more; the engine says so for the nodes.
            if not_begun.is_empty() || *self.io.stop.borrow() > Stop::No {
                continue;
            }
            parent.notice(Notice::Rerouting {
                gateway: &gateway,
                nodes: &fold(&self.launch.plan.nodes, &not_begun),
            });
            for share in self.deal(&not_begun).await {
                shares.push(share.serve());
            }
        }
    }

    /// Shares for nodes, each to the gateway that has fewest; those without a way get their outcome.
    async fn deal(&mut self, nodes: &[NodeId]) -> Vec<Share<'a>> {
        let mut dealt: IndexMap<NodeName, Vec<NodeId>> = IndexMap::new();
        let mut stranded = Vec::new();
        for node in nodes {
            let ways = self.gateways.topology.ways(self.launch.plan.name(*node));
            match self.loads.pick(ways, &self.failed) {
                Some(gateway) => dealt.entry(gateway).or_default().push(*node),
                None => stranded.push(*node),
            }
        }
        if let Some(first) = stranded.first() {
            let node = self.launch.plan.name(*first);
            self.gateways.parent.notice(Notice::NoRoute { node });
            // Who does not go on without them is to know before the outcomes come.
            tokio::task::yield_now().await;
        }
        for node in stranded {
            let outcome = Outcome::failed(ErrorCode::Connect, NO_ROUTE);
            self.io.finished(node, outcome, Duration::ZERO).await;
        }
        let share = |(gateway, nodes)| {
            Share::new(self.gateways, self.launch, self.io.clone(), gateway, nodes)
        };
        dealt.into_iter().map(share).collect()
    }
}

/// The gateways that are open, and the nodes each of them has yet to finish. Clones see the same.
#[derive(Debug, Clone, Default)]
pub struct OpenGateways(Arc<Mutex<BTreeMap<NodeName, BTreeMap<NodeId, NodeName>>>>);

impl OpenGateways {
    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Each with its nodes.
    #[must_use]
    pub fn list(&self) -> Vec<(NodeName, NodeSet)> {
        let open = self.lock();
        let nodes =
            |nodes: &BTreeMap<NodeId, NodeName>| nodes.values().map(|name| &**name).collect();
        open.iter()
            .map(|(gateway, of)| (gateway.clone(), nodes(of)))
            .collect()
    }

    fn begin(&self, gateway: &NodeName, nodes: impl Iterator<Item = (NodeId, NodeName)>) {
        let mut open = self.lock();
        open.entry(gateway.clone()).or_default().extend(nodes);
    }

    fn end(&self, gateway: &NodeName, node: NodeId) {
        let mut open = self.lock();
        if let Some(nodes) = open.get_mut(gateway) {
            nodes.remove(&node);
            if nodes.is_empty() {
                open.remove(gateway);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeName, BTreeMap<NodeId, NodeName>>> {
        // Each change is a single step, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
