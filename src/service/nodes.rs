//! A set of nodes that only grows, shared while it stays the same.

use std::sync::Arc;

use crate::event::NodeId;

/// Nodes that failed on the way to a service. Ten thousand nodes are a kilobyte, and a chain that adds
/// none shares one copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FailedNodes(Option<Arc<Vec<u64>>>);

impl FailedNodes {
    /// Whether the node is in it.
    #[must_use]
    pub(super) fn contains(&self, node: NodeId) -> bool {
        self.0.as_ref().is_some_and(|words| {
            words
                .get(node.index() / 64)
                .is_some_and(|word| word >> (node.index() % 64) & 1 == 1)
        })
    }

    /// Whether there is none.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Adds nodes.
    pub(super) fn extend(&mut self, nodes: &[NodeId]) {
        let Some(last) = nodes.iter().max() else {
            return;
        };
        let words = Arc::make_mut(self.0.get_or_insert_default());
        if words.len() <= last.index() / 64 {
            words.resize(last.index() / 64 + 1, 0);
        }
        for node in nodes {
            words[node.index() / 64] |= 1 << (node.index() % 64);
        }
    }

    /// Adds the nodes of another set.
    pub(super) fn unite(&mut self, other: &Self) {
        let Some(theirs) = &other.0 else { return };
        match &mut self.0 {
            None => self.0 = Some(Arc::clone(theirs)),
            Some(ours) if Arc::ptr_eq(ours, theirs) || covers(ours, theirs) => {}
            Some(ours) if covers(theirs, ours) => *ours = Arc::clone(theirs),
            Some(ours) => {
                let words = Arc::make_mut(ours);
                if words.len() < theirs.len() {
                    words.resize(theirs.len(), 0);
                }
                for (word, more) in words.iter_mut().zip(theirs.iter()) {
                    *word |= more;
                }
            }
        }
    }
}

fn covers(large: &[u64], small: &[u64]) -> bool {
    small
        .iter()
        .enumerate()
        .all(|(at, word)| word & !large.get(at).copied().unwrap_or(0) == 0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn unions_hold_what_was_added(a in proptest::collection::btree_set(0u32..300, 0..20),
                                      b in proptest::collection::btree_set(0u32..300, 0..20)) {
            let set = |ids: &BTreeSet<u32>| {
                let mut set = FailedNodes::default();
                set.extend(&ids.iter().map(|id| NodeId(*id)).collect::<Vec<_>>());
                set
            };
            let mut both = set(&a);
            both.unite(&set(&b));
            for id in 0..320 {
                prop_assert_eq!(both.contains(NodeId(id)), a.contains(&id) || b.contains(&id));
            }
            prop_assert_eq!(both.is_empty(), a.is_empty() && b.is_empty());
        }
    }
}
