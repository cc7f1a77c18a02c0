//! Names for the services and actions of a graph.

/// A service or group of a [`Graph`](super::Graph).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub(crate) u32);

impl ServiceId {
    /// The position in [`Graph::services`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An action of a [`Graph`](super::Graph).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionId(pub(crate) u32);

impl ActionId {
    /// The position in [`Graph::actions`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
