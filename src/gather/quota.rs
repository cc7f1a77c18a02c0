//! How much of all that is said may be kept.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::size;

/// So much of what a key says is kept in any case, so that those who say much leave room for those who say little.
pub(super) const SMALL: u64 = 64 * 1024;

/// A limit on the distinct output that is kept, in memory or in a store. Clones share it.
#[derive(Debug, Clone)]
pub struct Quota {
    limit: u64,
    used: Arc<AtomicU64>,
}

impl Default for Quota {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

/// What a key says is not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it said more than there is room for (spool_max: {} for all nodes); the rest was not taken, and what runs there may still run",
    size(self.limit)
)]
pub struct Full {
    limit: u64,
}

impl Full {
    /// Whether an error is this one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl Quota {
    /// A limit of so many bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            used: Arc::default(),
        }
    }

    /// How much a key may add that has added so much already.
    pub(super) fn room(&self, own: u64) -> u64 {
        let used = self.used.load(Ordering::Relaxed);
        let small = SMALL.saturating_sub(own);
        self.limit.saturating_sub(used).max(small)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn full(&self) -> io::Error {
        io::Error::other(Full { limit: self.limit })
    }
}
