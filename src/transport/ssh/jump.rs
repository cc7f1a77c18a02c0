//! ProxyJump: connections to hops, shared by all nodes behind them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::connect::{self, Hops};
use super::connection::Connection;
use super::shared::Shared;
use super::target::{Route, hop_names};
use super::user_config::{Hop, Proxy};
use crate::event::{ErrorCode, Failure};
use crate::plan::Limits;
use crate::transport::BoxFuture;

/// A hop that failed is not tried again by the nodes that waited for it, nor by those right behind them.
const REST: Duration = Duration::from_secs(5);

/// More hops than this are a loop in the configuration.
const DEEPEST: usize = 16;

/// The connections to hops, by the way to them.
#[derive(Debug)]
pub(super) struct Jumps {
    shared: Arc<Shared>,
    slots: StdMutex<HashMap<Arc<[Hop]>, SharedSlot>>,
    ways: StdMutex<HashMap<Vec<Hop>, Arc<[Hop]>>>,
}

impl Jumps {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            slots: StdMutex::default(),
            ways: StdMutex::default(),
        }
    }

    fn ways(&self) -> MutexGuard<'_, HashMap<Vec<Hop>, Arc<[Hop]>>> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Locked while the hop is being connected.
type SharedSlot = Arc<Mutex<Slot>>;

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Empty,
    Up(Arc<Connection>),
    Down(Failure, Instant),
}

impl Hops for Jumps {
    /// Made by the first node that needs it.
    fn hop<'a>(
        &'a self,
        way: &'a Arc<[Hop]>,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Arc<Connection>, Failure>> {
        Box::pin(async move {
            let slot = {
                let slots = &self.slots;
                let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(slots.entry(Arc::clone(way)).or_default())
            };
            let mut slot = slot.lock().await;
            match &*slot {
                Slot::Up(hop) if !hop.handle.is_closed() => return Ok(Arc::clone(hop)),
                Slot::Down(failure, since) if since.elapsed() < REST => {
                    return Err(failure.clone());
                }
                Slot::Up(_) | Slot::Down(..) | Slot::Empty => {}
            }
            match self.connect_hop(way, limits).await {
                Ok(hop) => {
                    let hop = Arc::new(hop);
                    *slot = Slot::Up(Arc::clone(&hop));
                    Ok(hop)
                }
                Err(failure) => {
                    let failure = Failure {
                        message: format!("jump host {}: {}", hop_names(way), failure.message),
                        ..failure
                    };
                    *slot = Slot::Down(failure.clone(), Instant::now());
                    Err(failure)
                }
            }
        })
    }
}

impl Jumps {
    async fn connect_hop(&self, way: &[Hop], limits: &Limits) -> Result<Connection, Failure> {
        let Some((hop, before)) = way.split_last() else {
            return Err(Failure::new(ErrorCode::Connect, "ProxyJump names no host"));
        };
        let settings = self.shared.hop_settings(hop).await?;
        let route = match (before, &settings.proxy) {
            ([], Proxy::Command(command)) => Route::Command(command.clone()),
            ([], Proxy::Direct | Proxy::Jump(_)) => Route::Direct,
            (before, _) => Route::Jump(before.into()),
        };
        let node = hop.host.as_str().into();
        let target = self.shared.target(node, settings, route).await?;
        connect::connect((&self.shared, self), Arc::new(target), limits).await
    }

    /// The whole way through some hops: the first one's own configuration may name hops before it.
    ///
    /// Known before anything is connected, so that a configuration that goes round in circles is an error and
    /// not a wait of one hop for itself.
    pub(super) async fn way(&self, hops: &[Hop]) -> Result<Arc<[Hop]>, Failure> {
        if let Some(way) = self.ways().get(hops) {
            return Ok(Arc::clone(way));
        }
        let mut way = hops.to_vec();
        while let Some(first) = way.first() {
            let Proxy::Jump(before) = self.shared.hop_settings(first).await?.proxy else {
                break;
            };
            way.splice(0..0, before);
            if way.len() > DEEPEST {
                return Err(Failure::new(
                    ErrorCode::Connect,
                    format!("ProxyJump goes round in circles ({})", hop_names(&way[..4])),
                ));
            }
        }
        let way: Arc<[Hop]> = way.into();
        self.ways().insert(hops.to_vec(), Arc::clone(&way));
        Ok(way)
    }
}
