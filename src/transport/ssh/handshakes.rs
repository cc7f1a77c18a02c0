//! At most so many unfinished handshakes per TCP peer, because sshd drops connections beyond its
//! MaxStartups and newer ones ban the address for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Below MaxStartups' default of 10, with room for the connections of others.
const UNFINISHED: usize = 8;

/// The limits of all peers that a connection is being made to.
#[derive(Debug, Default)]
pub(super) struct HandshakeLimits(Mutex<HashMap<Arc<str>, PeerLimit>>);

#[derive(Debug)]
struct PeerLimit {
    permits: Arc<Semaphore>,
    /// Handshakes that are unfinished or waiting.
    users: usize,
}

/// An unfinished handshake, or the wait to begin one.
#[derive(Debug)]
pub(super) struct Place<'a> {
    handshakes: &'a HandshakeLimits,
    peer: Arc<str>,
    permit: Option<OwnedSemaphorePermit>,
}

impl HandshakeLimits {
    fn all(&self) -> MutexGuard<'_, HashMap<Arc<str>, PeerLimit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room at a peer; it is given back when dropped.
    pub(super) async fn pass(&self, peer: &Arc<str>) -> Place<'_> {
        let permits = {
            let mut handshakes = self.all();
            let limit = handshakes
                .entry(Arc::clone(peer))
                .or_insert_with(|| PeerLimit {
                    permits: Arc::new(Semaphore::new(UNFINISHED)),
                    users: 0,
                });
            limit.users += 1;
            Arc::clone(&limit.permits)
        };
        // Made before the wait, so that giving up the wait is counted too.
        let mut place = Place {
            handshakes: self,
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
        let mut handshakes = self.handshakes.all();
        if let Some(limit) = handshakes.get_mut(&self.peer) {
            limit.users -= 1;
            if limit.users == 0 {
                handshakes.remove(&self.peer);
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
        let handshakes = HandshakeLimits::default();
        let peer: Arc<str> = "a:22".into();
        let mut inside = Vec::new();
        for _ in 0..UNFINISHED {
            inside.push(handshakes.pass(&peer).await);
        }
        assert!(handshakes.pass(&peer).now_or_never().is_none());
        assert!(handshakes.pass(&"b:22".into()).now_or_never().is_some());
        inside.pop();
        assert!(handshakes.pass(&peer).now_or_never().is_some());
        drop(inside);
        assert!(handshakes.all().is_empty(), "nothing stays behind");
    }
}
