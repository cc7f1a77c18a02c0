//! Operations one after the other, made late: what belongs together is put together first.
//!
//! `a!b!c` as it is read would copy what is left of `a` at each operand. Here a list of operations is kept as few
//! layers, each of which stands for several of them and is at least twice as large as the one above; so each
//! node is touched as often as the number of operands has digits.

use super::NodeSet;
use super::span::Keep;

/// The value of operations on sets, the first of them on the empty set.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// What was done first is at the bottom, which comes first.
    layers: Vec<Layer>,
}

/// What some operations do: the nodes of `cleared` are taken away, and then those of `flipped` come if they are
/// not there and go if they are. Each operation has this form but the intersection, and any two after another have it.
#[derive(Debug)]
struct Layer {
    cleared: NodeSet,
    flipped: NodeSet,
}

impl Layer {
    fn size(&self) -> usize {
        self.cleared.width() + self.flipped.width()
    }

    /// What this does and then `above`.
    fn followed_by(&mut self, above: &Self) {
        self.cleared.union(&above.cleared);
        self.flipped.difference(&above.cleared);
        self.flipped.symmetric_difference(&above.flipped);
    }
}

impl Layers {
    /// Does one more operation.
    pub(super) fn push(&mut self, keep: Keep, set: NodeSet) {
        let none = NodeSet::new;
        let mut layer = match keep {
            Keep::UNION if self.layers.is_empty() => Layer {
                cleared: none(),
                flipped: set,
            },
            Keep::UNION => Layer {
                cleared: set.clone(),
                flipped: set,
            },
            Keep::DIFFERENCE => Layer {
                cleared: set,
                flipped: none(),
            },
            Keep::SYMMETRIC_DIFFERENCE => Layer {
                cleared: none(),
                flipped: set,
            },
            _ => {
                self.settle();
                let mut value = self.layers.pop().map_or_else(none, |layer| layer.flipped);
                value.combine(&set, keep);
                Layer {
                    cleared: none(),
                    flipped: value,
                }
            }
        };
        while let Some(below) = self.layers.pop_if(|below| below.size() < 2 * layer.size()) {
            let above = std::mem::replace(&mut layer, below);
            self.put(&mut layer, &above);
        }
        self.layers.push(layer);
    }

    /// Puts together a layer that is not on the stack and the one above it.
    fn put(&self, below: &mut Layer, above: &Layer) {
        below.followed_by(above);
        if self.layers.is_empty() {
            // There is nothing below that could be taken away.
            below.cleared = NodeSet::new();
        }
    }

    /// Puts all layers together.
    fn settle(&mut self) {
        while let [.., _, _] = self.layers.as_slice() {
            if let (Some(above), Some(mut below)) = (self.layers.pop(), self.layers.pop()) {
                self.put(&mut below, &above);
                self.layers.push(below);
            }
        }
    }

    /// The value.
    pub(super) fn value(&mut self) -> &NodeSet {
        const NONE: &NodeSet = &NodeSet::new();
        self.settle();
        self.layers.first().map_or(NONE, |layer| &layer.flipped)
    }

    /// The value, which is taken away.
    pub(super) fn take(&mut self) -> NodeSet {
        self.settle();
        self.layers
            .pop()
            .map_or_else(NodeSet::new, |layer| layer.flipped)
    }

    /// Whether the value has a node of the set; costs look-ups for the set only.
    pub(super) fn meets(&self, set: &NodeSet) -> bool {
        if let [layer] = self.layers.as_slice() {
            return !layer.flipped.is_disjoint(set);
        }
        let mut value = NodeSet::new();
        for layer in &self.layers {
            let within = |part: &NodeSet| {
                let mut within = set.clone();
                within.intersection(part);
                within
            };
            value.difference(&within(&layer.cleared));
            value.symmetric_difference(&within(&layer.flipped));
        }
        !value.is_empty()
    }
}
