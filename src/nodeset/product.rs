//! How sets of index tuples fold: into the list of products that ClusterShell 1.10.1 prints.
//!
//! Its result is that of taking all tuples one by one, sorting them, merging neighbours that differ in one
//! dimension, sorting again, and so on until nothing changes, and then comparing every pair. Here the first
//! round works on whole rows of the last dimension, and pairs are found by hash.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::index::Index;
use super::level::Level;
use super::range::RangeSet;
use super::steps;

/// Sets that would need more rows than this are folded from the products they are kept as.
const MAX_ROWS: u128 = 1 << 20;

/// A product: one range set for each dimension.
pub(super) type Vector = Box<[RangeSet]>;

/// Range sets by number, each kept once, with what they are sorted by.
#[derive(Default)]
struct Interned {
    numbers: HashMap<RangeSet, u32>,
    sets: Vec<RangeSet>,
    keys: Vec<SetKey>,
    /// What [`Interned::find_union`] looks at before it makes a set.
    sizes: HashSet<(u128, Index, Index)>,
}

/// More indexes first, then the text of the first index, then of the last.
type SetKey = (Reverse<u128>, u128, u128);

impl Interned {
    fn number(&mut self, set: RangeSet) -> u32 {
        if let Some(&number) = self.numbers.get(&set) {
            return number;
        }
        let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        let (first, last) = bounds(&set);
        self.keys
            .push((Reverse(set.count()), first.textual(), last.textual()));
        self.sizes.insert((set.count(), first, last));
        self.sets.push(set.clone());
        self.numbers.insert(set, number);
        number
    }

    fn single(&mut self, index: Index) -> u32 {
        self.number(RangeSet::single(index))
    }

    fn count(&self, number: u32) -> u128 {
        self.keys[number as usize].0.0
    }

    /// The union of disjoint sets.
    fn union(&self, parts: &[u32]) -> RangeSet {
        let spans = parts
            .iter()
            .flat_map(|&part| self.sets[part as usize].spans());
        RangeSet::from_unsorted(spans.cloned().collect())
    }

    /// The number of the union of disjoint sets, if some vector has had it.
    fn find_union(&self, parts: &[u32]) -> Option<u32> {
        let each = || parts.iter().map(|&part| &self.sets[part as usize]);
        let count = each().map(RangeSet::count).sum();
        let first = each().map(|set| bounds(set).0).min()?;
        let last = each().map(|set| bounds(set).1).max()?;
        if !self.sizes.contains(&(count, first, last)) {
            return None;
        }
        self.numbers.get(&self.union(parts)).copied()
    }
}

/// The first and the last index of a set that is not empty.
fn bounds(set: &RangeSet) -> (Index, Index) {
    let spans = set.spans();
    let zero = Index::of_number(0);
    (
        spans.first().map_or(zero, |span| span.first),
        spans.last().map_or(zero, |span| span.last),
    )
}

/// The one dimension in which both differ.
fn only_difference(a: &[u32], b: &[u32]) -> Option<usize> {
    let mut differing = (0..a.len()).filter(|&dimension| a[dimension] != b[dimension]);
    let first = differing.next()?;
    differing.next().is_none().then_some(first)
}

/// A vector that takes others in. Its sets are united late, for it may take in a hundred thousand.
#[derive(Default)]
struct Growing {
    vector: Vec<u32>,
    along: usize,
    /// What stands for the set of the dimension `along`, unless empty.
    parts: Vec<u32>,
}

impl Growing {
    fn of(vector: &[u32]) -> Self {
        Self {
            vector: vector.to_vec(),
            ..Self::default()
        }
    }

    /// Takes the other in if they differ in one dimension only.
    fn take(&mut self, other: &[u32], interned: &mut Interned) -> bool {
        if !self.parts.is_empty() {
            let same = |dimension: usize| self.vector[dimension] == other[dimension];
            if (0..other.len()).all(|dimension| dimension == self.along || same(dimension)) {
                self.parts.push(other[self.along]);
                return true;
            }
            self.settle(interned);
        }
        let dimension = only_difference(&self.vector, other);
        if let Some(dimension) = dimension {
            self.along = dimension;
            self.parts = vec![self.vector[dimension], other[dimension]];
        }
        dimension.is_some()
    }

    /// Unites what was taken in, and gives the vector.
    fn settle(&mut self, interned: &mut Interned) -> &[u32] {
        if !self.parts.is_empty() {
            self.vector[self.along] = interned.number(interned.union(&self.parts));
            self.parts.clear();
        }
        &self.vector
    }
}

/// The vectors in their present order: numbers of range sets, one after the other.
struct Merger {
    interned: Interned,
    dimensions: usize,
    flat: Vec<u32>,
}

impl Merger {
    fn vector(&self, at: usize) -> &[u32] {
        &self.flat[at * self.dimensions..(at + 1) * self.dimensions]
    }

    fn len(&self) -> usize {
        self.flat.len() / self.dimensions
    }

    /// Appends the vectors that the first round leaves of all tuples.
    fn take_rows(&mut self, level: &Level) {
        let Self {
            interned,
            dimensions,
            flat,
        } = self;
        let last = *dimensions - 1;
        let mut at_hand: Option<Growing> = None;
        let mut row: Vec<u32> = Vec::new();
        level.rows(&mut Vec::new(), &mut |prefix, set| {
            steps::count(set.spans().len());
            let Some(lowest) = first_by_text(set) else {
                return;
            };
            row.clear();
            row.extend(prefix.iter().map(|&index| interned.single(index)));
            row.push(interned.single(lowest));
            let taken = at_hand
                .as_mut()
                .is_some_and(|at_hand| at_hand.take(&row, interned));
            let mut rest = set.clone();
            if taken {
                // The vector before this row has taken its first tuple away.
                rest.difference(&RangeSet::single(lowest));
                if rest.is_empty() {
                    return;
                }
            }
            row[last] = interned.number(rest);
            if let Some(mut done) = at_hand.replace(Growing::of(&row)) {
                flat.extend_from_slice(done.settle(interned));
            }
        });
        if let Some(mut done) = at_hand {
            flat.extend_from_slice(done.settle(interned));
        }
    }

    fn sort(&mut self) {
        let interned = &self.interned;
        let size = |vector: &[u32]| {
            let counts = vector.iter().map(|&set| interned.count(set));
            counts.fold(1u128, u128::saturating_mul)
        };
        let key = |&set: &u32| interned.keys[set as usize];
        let mut vectors: Vec<(u128, &[u32])> = self
            .flat
            .chunks_exact(self.dimensions)
            .map(|vector| (size(vector), vector))
            .collect();
        vectors.sort_by(|(a_size, a), (b_size, b)| {
            b_size
                .cmp(a_size)
                .then_with(|| a.iter().map(key).cmp(b.iter().map(key)))
        });
        self.flat = vectors
            .into_iter()
            .flat_map(|(_, vector)| vector)
            .copied()
            .collect();
    }

    /// Merges neighbours; whether any were.
    fn merge_neighbours(&mut self) -> bool {
        let before = self.len();
        let Self {
            interned,
            dimensions,
            flat,
        } = self;
        let mut kept: Vec<u32> = Vec::with_capacity(flat.len());
        let mut vectors = flat.chunks_exact(*dimensions);
        let Some(first) = vectors.next() else {
            return false;
        };
        let mut at_hand = Growing::of(first);
        for next in vectors {
            steps::count(1);
            if !at_hand.take(next, interned) {
                kept.extend_from_slice(at_hand.settle(interned));
                at_hand = Growing::of(next);
            }
        }
        kept.extend_from_slice(at_hand.settle(interned));
        self.flat = kept;
        self.len() < before
    }

    /// Merges each vector with those behind it that differ in one dimension; whether any were.
    fn merge_pairs(&mut self) -> bool {
        let count = self.len();
        // For each dimension and all the others' sets: where such vectors are, in order.
        let mut places: HashMap<(usize, Box<[u32]>), Vec<usize>> = HashMap::new();
        for at in 0..count {
            for dimension in 0..self.dimensions {
                let key = others(self.vector(at), dimension);
                places.entry((dimension, key)).or_default().push(at);
            }
        }
        let mut gone = vec![false; count];
        let mut kept: Vec<u32> = Vec::with_capacity(self.flat.len());
        for at in 0..count {
            if gone[at] {
                continue;
            }
            let mut at_hand = Growing::of(self.vector(at));
            let mut behind = at;
            loop {
                let mut vector = at_hand.vector.clone();
                let whole = if at_hand.parts.is_empty() {
                    true
                } else if let Some(number) = self.interned.find_union(&at_hand.parts) {
                    vector[at_hand.along] = number;
                    true
                } else {
                    false
                };
                let next = (0..self.dimensions)
                    .filter(|&dimension| whole || dimension == at_hand.along)
                    .filter_map(|dimension| {
                        let same = places.get(&(dimension, others(&vector, dimension)))?;
                        let from = same.partition_point(|&place| place <= behind);
                        same[from..].iter().copied().find(|&place| !gone[place])
                    })
                    .min();
                steps::count(1);
                let Some(place) = next else { break };
                let next = &self.flat[place * self.dimensions..(place + 1) * self.dimensions];
                if !at_hand.take(next, &mut self.interned) {
                    break;
                }
                gone[place] = true;
                behind = place;
            }
            kept.extend_from_slice(at_hand.settle(&mut self.interned));
        }
        self.flat = kept;
        self.len() < count
    }
}

/// The vector without that dimension.
fn others(vector: &[u32], dimension: usize) -> Box<[u32]> {
    let mut others: Box<[u32]> = vector.into();
    others[dimension] = u32::MAX;
    others
}

/// The index whose text comes first.
fn first_by_text(set: &RangeSet) -> Option<Index> {
    // Within a span the texts are in order, but negative numbers run backwards.
    let candidates = set.spans().iter().flat_map(|span| {
        let backwards = span.first.digits() == 0;
        span.indexes().take(if backwards { usize::MAX } else { 1 })
    });
    candidates.min_by_key(|index| index.textual())
}

/// The products a set of tuples folds to, in the order they are printed.
pub(super) fn fold(level: &Level, dimensions: usize) -> Vec<Vector> {
    if level.is_empty() {
        return Vec::new();
    }
    if let Some(product) = level.as_product() {
        return vec![product.into()];
    }
    let mut merger = Merger {
        interned: Interned::default(),
        dimensions,
        flat: Vec::new(),
    };
    if level.row_count() <= MAX_ROWS {
        merger.take_rows(level);
    } else {
        level.products(&mut Vec::new(), &mut |product| {
            for set in product {
                let number = merger.interned.number(set.clone());
                merger.flat.push(number);
            }
        });
    }
    merger.sort();
    while merger.merge_neighbours() {
        merger.sort();
    }
    while merger.merge_pairs() {
        merger.sort();
    }
    let sets = merger.interned.sets;
    merger
        .flat
        .chunks_exact(dimensions)
        .map(|vector| {
            vector
                .iter()
                .map(|&set| sets[set as usize].clone())
                .collect()
        })
        .collect()
}
