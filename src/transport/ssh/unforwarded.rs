//! Which nodes do not forward to sockets.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::plan::NodeName;

/// The hosts whose SSH server does not forward to sockets, so that they are asked once.
#[derive(Debug, Default)]
pub(super) struct Unforwarded(Mutex<HashSet<NodeName>>);

impl Unforwarded {
    pub(super) fn has(&self, node: &NodeName) -> bool {
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.contains(node)
    }

    pub(super) fn add(&self, node: &NodeName) {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.insert(node.clone());
    }
}
