//! Sessions that wait between two dispatches over the same nodes, such as the steps of one change.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::event::NodeId;
use crate::transport::Session;

/// The sessions that are open and idle.
#[derive(Default)]
pub struct SessionPool {
    idle: Mutex<HashMap<NodeId, Box<dyn Session>>>,
}

impl std::fmt::Debug for SessionPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionPool").finish_non_exhaustive()
    }
}

impl SessionPool {
    /// The node's idle session, if there is one.
    pub(super) fn take(&self, node: NodeId) -> Option<Box<dyn Session>> {
        self.lock().remove(&node)
    }

    /// Keeps a session that still works.
    pub(super) fn keep(&self, node: NodeId, session: Box<dyn Session>) {
        self.lock().insert(node, session);
    }

    /// Closes all of them.
    pub async fn close(&self) {
        let sessions: Vec<_> = self.lock().drain().collect();
        for (_, session) in sessions {
            let _ = tokio::time::timeout(super::worker::CLOSE, session.close()).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<NodeId, Box<dyn Session>>> {
        // A panic elsewhere leaves the map whole: it is changed in single steps.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
