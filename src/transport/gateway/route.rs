//! The transport of a run with gateways: nodes with a way are reached through one of its gateways, the others directly.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::link::Link;
use super::session::{NotConnected, Remote};
use super::talk::Talk;
use super::{Gateways, NO_ROUTE, Notice, overdue};
use crate::event::{ErrorCode, Failure};
use crate::gateway::Ask;
use crate::gateway::session::Setup;
use crate::plan::{Limits, NodeName};
use crate::topology::Loads;
use crate::transport::ssh::errors::printable;
use crate::transport::{BoxFuture, Session, Transport};

/// When all gateways have failed, one that failed so long ago is tried again: it may be back.
const AGAIN: Duration = Duration::from_secs(10);

/// Reaches nodes through gateways where there is a way, else directly.
pub struct Routed {
    gateways: Gateways,
    direct: Arc<dyn Transport>,
    /// All nodes, folded, for gateways that run the commands themselves.
    nodes: Option<String>,
    state: Mutex<State>,
    /// What the gateways say is taken in here; dropped, it ends the connections to them.
    listening: Mutex<JoinSet<()>>,
}

#[derive(Debug, Default)]
struct State {
    loads: Loads,
    links: HashMap<NodeName, Arc<OnceCell<Arc<Link>>>>,
    /// When each gateway failed that has failed last.
    failed: HashMap<NodeName, Instant>,
}

impl fmt::Debug for Routed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routed")
            .field("gateways", &self.gateways)
            .field("direct", &self.direct)
            .finish_non_exhaustive()
    }
}

impl Routed {
    /// Through these gateways; `direct` reaches the nodes that are behind none. `nodes` are all nodes, folded, which
    /// matters only where the last gateway runs the commands itself.
    #[must_use]
    pub fn new(gateways: Gateways, direct: Arc<dyn Transport>, nodes: &str) -> Self {
        Self {
            nodes: gateways.reach.local.then(|| nodes.to_owned()),
            gateways,
            direct,
            state: Mutex::default(),
            listening: Mutex::default(),
        }
    }

    async fn connect_by(
        &self,
        ways: &[NodeName],
        node: &NodeName,
        limits: &Limits,
    ) -> Result<Box<dyn Session>, Failure> {
        loop {
            let Some(gateway) = self.pick(ways) else {
                self.gateways.parent.notice(Notice::NoRoute { node });
                // Who does not go on without it is to know before the outcome comes.
                tokio::task::yield_now().await;
                return Err(Failure::new(ErrorCode::Connect, NO_ROUTE));
            };
            let why = match self.link(&gateway, limits).await {
                Err(why) => why,
                Ok(link) => {
                    let patience = overdue::connecting(&self.gateways, limits, &gateway);
                    match Remote::connect(&link, node, limits, patience).await {
                        Ok(session) => return Ok(Box::new(session)),
                        Err(NotConnected::Node(failure)) => return Err(failure),
                        Err(NotConnected::Gateway(why)) => why,
                    }
                }
            };
            self.failed(&gateway, &why);
        }
    }

    /// The gateway for the next node: of those that have not failed the one with the fewest nodes.
    fn pick(&self, ways: &[NodeName]) -> Option<NodeName> {
        let mut state = self.lock();
        if ways.iter().all(|way| state.failed.contains_key(way)) {
            state
                .failed
                .retain(|way, since| !ways.contains(way) || since.elapsed() < AGAIN);
        }
        let failed: HashSet<NodeName> = state.failed.keys().cloned().collect();
        state.loads.pick(ways, &failed)
    }

    /// Remembers that a gateway failed, and says so once.
    fn failed(&self, gateway: &NodeName, why: &str) {
        {
            let mut state = self.lock();
            state.links.remove(gateway);
            if state
                .failed
                .insert(gateway.clone(), Instant::now())
                .is_some()
            {
                return;
            }
        }
        let message = printable(why.as_bytes(), 400);
        self.gateways.parent.notice(Notice::Failed {
            gateway,
            message: &message,
        });
    }

    /// The connection to a gateway; made by the first who needs it.
    async fn link(&self, gateway: &NodeName, limits: &Limits) -> Result<Arc<Link>, String> {
        let cell = {
            let mut state = self.lock();
            let cell = state.links.entry(gateway.clone()).or_default();
            if cell.get().is_some_and(|link| link.is_lost()) {
                *cell = Arc::default();
            }
            Arc::clone(cell)
        };
        let made = cell.get_or_try_init(|| self.make(gateway, limits)).await;
        made.cloned()
    }

    async fn make(&self, gateway: &NodeName, limits: &Limits) -> Result<Arc<Link>, String> {
        let talk = Talk::open(&self.gateways, gateway, limits).await?;
        let below = self.gateways.topology.below(gateway);
        talk.out.push(&Ask::Sessions(Box::new(Setup {
            root: gateway.to_string(),
            routes: below
                .iter()
                .map(|route| (route.from.to_string(), route.to.to_string()))
                .collect(),
            reach: self.gateways.reach.clone(),
            install: self.gateways.install.is_some(),
            nodes: self.nodes.clone(),
        })));
        let link = Arc::new(Link::new(
            gateway.clone(),
            Arc::clone(&talk.out),
            self.gateways.reach.worker,
        ));
        let serving = Arc::clone(&link).serve(self.gateways.clone(), talk);
        let mut listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listening.spawn(serving);
        Ok(link)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is a single step, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for Routed {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        match self.gateways.topology.ways(node) {
            [] => self.direct.connect(node, limits),
            ways => Box::pin(self.connect_by(ways, node, limits)),
        }
    }
}
