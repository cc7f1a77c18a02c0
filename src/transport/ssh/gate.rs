//! The gate: at most so many unfinished handshakes per TCP peer, because sshd drops connections beyond its
//! MaxStartups and newer ones ban the address for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Below MaxStartups' default of 10, with room for the connections of others.
const UNFINISHED: usize = 8;

/// All gates: one per peer that somebody stands at.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<Arc<str>, Gate>>);

#[derive(Debug)]
struct Gate {
    permits: Arc<Semaphore>,
    /// Those inside and those waiting.
    users: usize,
}

/// A place inside, or the wait for one.
#[derive(Debug)]
pub(super) struct Place<'a> {
    gates: &'a Gates,
    peer: Arc<str>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Gates {
    fn all(&self) -> MutexGuard<'_, HashMap<Arc<str>, Gate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place at a peer's gate; it is given back when dropped.
    pub(super) async fn pass(&self, peer: &Arc<str>) -> Place<'_> {
        let permits = {
            let mut gates = self.all();
            let gate = gates.entry(Arc::clone(peer)).or_insert_with(|| Gate {
                permits: Arc::new(Semaphore::new(UNFINISHED)),
                users: 0,
            });
            gate.users += 1;
            Arc::clone(&gate.permits)
        };
        // Made before the wait, so that giving up the wait is counted too.
        let mut place = Place {
            gates: self,
            peer: Arc::clone(peer),
            permit: None,
        };
        // The semaphore is never closed.
        place.permit = permits.acquire_owned().await.ok();
        place
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.permit = None;
        let mut gates = self.gates.all();
        if let Some(gate) = gates.get_mut(&self.peer) {
            gate.users -= 1;
            if gate.users == 0 {
                gates.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn eight_pass_and_the_ninth_waits() {
        let gates = Gates::default();
        let peer: Arc<str> = "a:22".into();
        let mut inside = Vec::new();
        for _ in 0..UNFINISHED {
            inside.push(gates.pass(&peer).await);
        }
        assert!(gates.pass(&peer).now_or_never().is_none());
        assert!(gates.pass(&"b:22".into()).now_or_never().is_some());
        inside.pop();
        assert!(gates.pass(&peer).now_or_never().is_some());
        drop(inside);
        assert!(gates.all().is_empty(), "nothing stays behind");
    }
}
