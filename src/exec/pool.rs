//! Sessions that wait between two dispatches over the same nodes, such as the steps of one change.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::plan::NodeName;
use crate::transport::Session;

/// A session and when it was last used.
type Idle = HashMap<NodeName, (Box<dyn Session>, Instant)>;

/// The sessions that are open and idle.
pub struct SessionPool {
    idle: Mutex<Idle>,
    most: usize,
}

impl Default for SessionPool {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl std::fmt::Debug for SessionPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionPool").finish_non_exhaustive()
    }
}

impl SessionPool {
    /// A pool of at most this many sessions; any beyond are closed.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            idle: Mutex::default(),
            most,
        }
    }

    /// The node's idle session, if there is one, and for how long it was idle.
    pub(super) fn take(&self, node: &NodeName) -> Option<(Box<dyn Session>, Duration)> {
        let (session, since) = self.lock().remove(node)?;
        Some((session, since.elapsed()))
    }

    /// Keeps a session that still works, or gives it back when the pool is full.
    pub(super) fn keep(
        &self,
        node: &NodeName,
        session: Box<dyn Session>,
    ) -> Option<Box<dyn Session>> {
        let mut idle = self.lock();
        if idle.len() >= self.most {
            return Some(session);
        }
        idle.insert(node.clone(), (session, Instant::now()));
        None
    }

    /// Closes all of them.
    pub async fn close(&self) {
        let sessions: Vec<_> = self.lock().drain().collect();
        let goodbyes = sessions
            .into_iter()
            .map(|(_, (session, _))| tokio::time::timeout(super::worker::CLOSE, session.close()));
        futures_util::future::join_all(goodbyes).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Idle> {
        // A panic elsewhere leaves the map whole: it is changed in single steps.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
