//! Many names and sets into one set, in time n log n whatever their order.

use hashbrown::HashMap;

use super::index::Index;
use super::layers::Layers;
use super::level::Level;
use super::pattern::{self, Pattern};
use super::range::RangeSet;
use super::span::{self, Keep, Span};
use super::{Body, NodeSet, steps};

/// So many entries are collected before they are put in order for the first time.
const FIRST_BATCH: usize = 1 << 16;

/// Collects names and sets; much faster than changing a [`NodeSet`] one at a time, and what is left of the order
/// in which they come does not matter.
#[derive(Debug, Default)]
pub struct Builder {
    /// What was done before the names and sets at hand.
    layers: Layers,
    names: Collected,
}

impl Builder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one plain name. No character of it is an operator.
    pub fn add(&mut self, name: &str) {
        self.names.add(name);
    }

    /// Adds what a set has.
    pub fn add_set(&mut self, set: &NodeSet) {
        self.names.add_set(set);
    }

    /// Adds what a set has, which is needed no more.
    pub fn take_set(&mut self, set: NodeSet) {
        self.names.take_set(set);
    }

    /// As [`Builder::add_product`], with sets that are needed no more.
    pub(super) fn take_product(&mut self, pattern: &str, sets: Vec<RangeSet>) {
        self.names.take_product(pattern, sets);
    }

    /// Adds the names of a pattern with their indexes in these sets.
    pub(super) fn add_product(&mut self, pattern: &str, sets: &[RangeSet]) {
        self.names.add_product(pattern, sets);
    }

    /// Takes away what a set has of all that was added so far.
    pub fn difference(&mut self, set: &NodeSet) {
        self.combine(set.clone(), Keep::DIFFERENCE);
    }

    /// Keeps what a set has of all that was added so far.
    pub fn intersection(&mut self, set: &NodeSet) {
        self.combine(set.clone(), Keep::INTERSECTION);
    }

    /// Keeps what either the set has or what was added so far, but not both.
    pub fn symmetric_difference(&mut self, set: &NodeSet) {
        self.combine(set.clone(), Keep::SYMMETRIC_DIFFERENCE);
    }

    pub(super) fn combine(&mut self, set: NodeSet, keep: Keep) {
        self.settle();
        self.layers.push(keep, set);
    }

    /// Whether nothing that was added so far is in the set.
    #[must_use]
    pub fn is_disjoint(&mut self, set: &NodeSet) -> bool {
        self.settle();
        !self.layers.meets(set)
    }

    /// The set so far.
    #[must_use]
    pub fn value(&mut self) -> &NodeSet {
        self.settle();
        self.layers.value()
    }

    /// The set of all that was added.
    #[must_use]
    pub fn finish(mut self) -> NodeSet {
        self.settle();
        self.layers.take()
    }

    fn settle(&mut self) {
        if !self.names.is_empty() {
            let names = std::mem::take(&mut self.names).finish();
            self.layers.push(Keep::UNION, names);
        }
    }
}

/// Names and sets of which the union is wanted.
#[derive(Debug, Default)]
struct Collected {
    /// Names without indexes.
    plain: Vec<Pattern>,
    plain_batch: usize,
    places: HashMap<Pattern, usize>,
    pending: Vec<Pending>,
    /// The pattern of the name before, which most often is that of the next.
    last: usize,
    pattern: String,
    indexes: Vec<Index>,
}

/// What has been collected of one pattern with indexes.
#[derive(Debug)]
struct Pending {
    pattern: Pattern,
    dimensions: usize,
    /// One dimension: spans in the order they came.
    spans: Vec<Span<()>>,
    /// More dimensions: rows in the order they came, as [`Level::of_rows`] takes them.
    rows: Vec<Index>,
    levels: Vec<Level>,
    /// The size of `levels`, roughly.
    weight: usize,
    /// At so many entries they are put in order, so that names that come again and again take no room.
    batch: usize,
}

impl Collected {
    const fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.pending.is_empty()
    }

    fn add(&mut self, name: &str) {
        steps::count(1);
        let (mut pattern, mut indexes) = (
            std::mem::take(&mut self.pattern),
            std::mem::take(&mut self.indexes),
        );
        pattern::cut(name, &mut pattern, &mut indexes);
        match indexes.as_slice() {
            [] => self.add_plain(&pattern),
            [.., last] => {
                let pending = self.pending(&pattern, indexes.len());
                let (first, last) = (*last, *last);
                match indexes.as_slice() {
                    [_] => pending.add_span(Span {
                        first,
                        last,
                        tail: (),
                    }),
                    tuple => pending.add_row(tuple.iter().copied(), last),
                }
            }
        }
        self.pattern = pattern;
        self.indexes = indexes;
    }

    fn add_product(&mut self, pattern: &str, sets: &[RangeSet]) {
        let Some((last, prefix)) = sets.split_last() else {
            return self.add_plain(pattern);
        };
        let singles: Option<Vec<Index>> = prefix.iter().map(RangeSet::only).collect();
        let pending = self.pending(pattern, sets.len());
        match singles {
            Some(singles) if singles.is_empty() => pending.add_spans(last),
            Some(singles) => {
                for span in last.spans() {
                    let row = singles.iter().copied().chain([span.first]);
                    pending.add_row(row, span.last);
                }
            }
            None => pending.add_level(Level::product(sets)),
        }
    }

    fn add_set(&mut self, set: &NodeSet) {
        for (pattern, body) in &set.bodies {
            let Some(level) = &body.level else {
                self.add_plain(pattern.as_str());
                continue;
            };
            let pending = self.pending(pattern.as_str(), body.dimensions());
            match level {
                Level::Last(set) => pending.add_spans(set),
                level @ Level::More(_) => pending.add_level(level.clone()),
            }
        }
    }

    fn take_product(&mut self, pattern: &str, mut sets: Vec<RangeSet>) {
        match sets.pop() {
            Some(only) if sets.is_empty() => self.pending(pattern, 1).take_spans(only),
            last => {
                sets.extend(last);
                self.add_product(pattern, &sets);
            }
        }
    }

    fn take_set(&mut self, set: NodeSet) {
        for (pattern, body) in set.bodies {
            let dimensions = body.dimensions();
            match body.level {
                None => self.add_plain(pattern.as_str()),
                Some(Level::Last(set)) => self.pending(pattern.as_str(), 1).take_spans(set),
                Some(level) => self.pending(pattern.as_str(), dimensions).add_level(level),
            }
        }
    }

    fn add_plain(&mut self, name: &str) {
        if self.plain.last().is_some_and(|last| last.as_str() == name) {
            return;
        }
        self.plain.push(Pattern::new(name));
        if self.plain.len() >= self.plain_batch.max(FIRST_BATCH) {
            self.settle_plain();
            self.plain_batch = 2 * self.plain.len();
        }
    }

    fn settle_plain(&mut self) {
        steps::count(self.plain.len());
        self.plain.sort();
        self.plain.dedup();
    }

    fn pending(&mut self, pattern: &str, dimensions: usize) -> &mut Pending {
        let known = self
            .pending
            .get(self.last)
            .is_some_and(|last| last.pattern.as_str() == pattern);
        if !known {
            self.last = match self.places.get(pattern) {
                Some(&place) => place,
                None => {
                    let place = self.pending.len();
                    let key = Pattern::new(pattern);
                    self.places.insert(key.clone(), place);
                    self.pending.push(Pending::new(key, dimensions));
                    place
                }
            };
        }
        &mut self.pending[self.last]
    }

    fn finish(mut self) -> NodeSet {
        self.settle_plain();
        let plain = self.plain.into_iter();
        let plain = plain.map(|pattern| (pattern, Body::new(None)));
        let pending = self.pending.into_iter().map(Pending::finish);
        NodeSet {
            bodies: plain
                .chain(pending.filter(|(_, body)| !body.is_empty()))
                .collect(),
        }
    }
}

impl Pending {
    const fn new(pattern: Pattern, dimensions: usize) -> Self {
        Self {
            pattern,
            dimensions,
            spans: Vec::new(),
            rows: Vec::new(),
            levels: Vec::new(),
            weight: 0,
            batch: FIRST_BATCH,
        }
    }

    fn add_span(&mut self, span: Span<()>) {
        match self.spans.last() {
            Some(last) if span.first <= last.last => {
                if span.first < last.first || span.last > last.last {
                    self.spans.push(span);
                }
            }
            _ => span::append(&mut self.spans, span),
        }
        if self.spans.len() >= self.batch {
            self.settle_spans();
        }
    }

    fn add_spans(&mut self, set: &RangeSet) {
        steps::count(set.spans().len());
        self.spans.extend_from_slice(set.spans());
        if self.spans.len() >= self.batch {
            self.settle_spans();
        }
    }

    /// As [`Pending::add_spans`]; the first of them are taken as they are.
    fn take_spans(&mut self, set: RangeSet) {
        if self.spans.is_empty() {
            self.spans = set.into_spans();
            self.batch = self.batch.max(2 * self.spans.len());
        } else {
            self.add_spans(&set);
        }
    }

    fn settle_spans(&mut self) {
        let spans = std::mem::take(&mut self.spans);
        self.spans = RangeSet::from_unsorted(spans).into_spans();
        self.batch = (2 * self.spans.len()).max(FIRST_BATCH);
    }

    /// Adds the names whose last index is one of a row of neighbours: all indexes of the first of them, and
    /// the last index of the last.
    fn add_row(&mut self, first: impl Iterator<Item = Index>, last: Index) {
        self.rows.extend(first);
        self.rows.push(last);
        if self.rows.len() >= self.batch * (self.dimensions + 1) {
            self.settle_levels();
        }
    }

    fn add_level(&mut self, level: Level) {
        self.weight += level.weight();
        self.levels.push(level);
        if self.weight >= self.batch {
            self.settle_levels();
        }
    }

    fn settle_levels(&mut self) {
        if !self.rows.is_empty() {
            let rows = std::mem::take(&mut self.rows);
            self.levels.push(Level::of_rows(rows, self.dimensions));
        }
        let levels = std::mem::take(&mut self.levels);
        self.levels = vec![Level::union_of(levels, self.dimensions)];
        self.weight = self.levels.iter().map(Level::weight).sum();
        self.batch = (2 * self.weight).max(FIRST_BATCH);
    }

    fn finish(mut self) -> (Pattern, Body) {
        let level = if self.dimensions == 1 {
            Some(Level::Last(RangeSet::from_unsorted(self.spans)))
        } else {
            self.settle_levels();
            self.levels.pop()
        };
        (self.pattern, Body::new(level))
    }
}

impl<S: AsRef<str>> FromIterator<S> for NodeSet {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut builder = Builder::new();
        names
            .into_iter()
            .for_each(|name| builder.add(name.as_ref()));
        builder.finish()
    }
}

impl<S: AsRef<str>> Extend<S> for NodeSet {
    fn extend<I: IntoIterator<Item = S>>(&mut self, names: I) {
        self.union(&names.into_iter().collect());
    }
}
