//! Many names into one set, in time n log n whatever their order.

use std::collections::HashMap;

use super::index::Index;
use super::level::Level;
use super::pattern::{self, Pattern};
use super::range::RangeSet;
use super::span::{self, Span};
use super::{Body, NodeSet};

/// So many entries are collected before they are put in order for the first time.
const FIRST_BATCH: usize = 1 << 16;

/// Collects names and sets; much faster than inserting into a [`NodeSet`] one at a time.
#[derive(Debug, Default)]
pub struct Builder {
    places: HashMap<Pattern, usize>,
    pending: Vec<Pending>,
    /// The pattern of the name before, which most often is that of the next.
    last: usize,
    pattern: String,
    indexes: Vec<Index>,
}

/// What has been collected of one pattern.
#[derive(Debug)]
struct Pending {
    pattern: Pattern,
    pattern_text: String,
    dimensions: usize,
    /// One dimension: spans in the order they came.
    spans: Vec<Span<()>>,
    sorted: bool,
    /// More dimensions: tuples in the order they came, one index after the other.
    tuples: Vec<Index>,
    levels: Vec<Level>,
    batch: usize,
}

impl Pending {
    fn add_span(&mut self, span: Span<()>) {
        match self.spans.last() {
            Some(last) if span.first <= last.last => {
                if span.first >= last.first && span.last <= last.last {
                    return;
                }
                self.sorted = false;
                self.spans.push(span);
            }
            _ => span::append(&mut self.spans, span),
        }
        if !self.sorted && self.spans.len() >= self.batch {
            let spans = std::mem::take(&mut self.spans);
            self.spans = RangeSet::from_unsorted(spans).into_spans();
            self.sorted = true;
            self.batch = (2 * self.spans.len()).max(FIRST_BATCH);
        }
    }

    fn add_tuple(&mut self, tuple: &[Index]) {
        self.tuples.extend_from_slice(tuple);
        if self.tuples.len() >= self.batch * self.dimensions {
            self.settle_tuples();
            let width: usize = self.levels.iter().map(Level::width).sum();
            self.batch = (2 * width).max(FIRST_BATCH);
        }
    }

    fn settle_tuples(&mut self) {
        if !self.tuples.is_empty() {
            let tuples = std::mem::take(&mut self.tuples);
            self.levels.push(Level::of_tuples(tuples, self.dimensions));
            let levels = std::mem::take(&mut self.levels);
            self.levels = vec![Level::union_of(levels, self.dimensions)];
        }
    }

    fn finish(mut self) -> (Pattern, Body) {
        let level = match self.dimensions {
            0 => None,
            1 => Some(Level::Last(RangeSet::from_unsorted(self.spans))),
            dimensions => {
                self.settle_tuples();
                Some(Level::union_of(self.levels, dimensions))
            }
        };
        (self.pattern, Body::new(level))
    }
}

impl Builder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one plain name. No character of it is an operator.
    pub fn add(&mut self, name: &str) {
        let (mut pattern, mut indexes) = (
            std::mem::take(&mut self.pattern),
            std::mem::take(&mut self.indexes),
        );
        pattern::cut(name, &mut pattern, &mut indexes);
        let pending = self.pending(&pattern, indexes.len());
        match indexes.as_slice() {
            [] => {}
            &[index] => pending.add_span(Span {
                first: index,
                last: index,
                tail: (),
            }),
            tuple => pending.add_tuple(tuple),
        }
        self.pattern = pattern;
        self.indexes = indexes;
    }

    /// Adds the names of a pattern with their indexes in these sets.
    pub(super) fn add_product(&mut self, pattern: &str, sets: &[RangeSet]) {
        let pending = self.pending(pattern, sets.len());
        match sets {
            [] => {}
            [set] => set
                .spans()
                .iter()
                .for_each(|span| pending.add_span(span.clone())),
            sets => pending.levels.push(Level::product(sets)),
        }
    }

    /// Adds what a set has.
    pub fn add_set(&mut self, set: &NodeSet) {
        for (pattern, body) in &set.bodies {
            let pending = self.pending(std::borrow::Borrow::borrow(pattern), body.dimensions());
            match &body.level {
                None => {}
                Some(Level::Last(set)) => set
                    .spans()
                    .iter()
                    .for_each(|span| pending.add_span(span.clone())),
                Some(level) => pending.levels.push(level.clone()),
            }
        }
    }

    fn pending(&mut self, pattern: &str, dimensions: usize) -> &mut Pending {
        let known = self
            .pending
            .get(self.last)
            .is_some_and(|last| last.pattern_text == pattern);
        if !known {
            self.last = match self.places.get(pattern) {
                Some(&place) => place,
                None => {
                    let place = self.pending.len();
                    let key = Pattern::new(pattern);
                    self.places.insert(key.clone(), place);
                    self.pending.push(Pending {
                        pattern: key,
                        pattern_text: pattern.to_owned(),
                        dimensions,
                        spans: Vec::new(),
                        sorted: true,
                        tuples: Vec::new(),
                        levels: Vec::new(),
                        batch: FIRST_BATCH,
                    });
                    place
                }
            };
        }
        &mut self.pending[self.last]
    }

    /// The set of all that was added.
    #[must_use]
    pub fn finish(self) -> NodeSet {
        let bodies = self.pending.into_iter().map(Pending::finish);
        NodeSet {
            bodies: bodies.filter(|(_, body)| !body.is_empty()).collect(),
        }
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
