//! Sets of index tuples: a trie by dimension in which neighbours with the same continuation are one span.
//!
//! A product such as `a[1-1000]b[1-1000]` is one span over one span. The form is canonical, so equal sets
//! are equal values, and every operation walks spans without listing tuples.

use std::sync::Arc;

use hashbrown::HashMap;

use super::index::Index;
use super::range::RangeSet;
use super::span::{self, Keep, Span};
use super::steps;

/// The indexes of one dimension and what follows each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Level {
    /// The last dimension.
    Last(RangeSet),
    /// A dimension with more behind it.
    More(Vec<Span<Arc<Level>>>),
}

impl Level {
    /// The empty set of tuples of so many indexes, at least one.
    pub(super) fn empty(dimensions: usize) -> Self {
        if dimensions == 1 {
            Self::Last(RangeSet::default())
        } else {
            Self::More(Vec::new())
        }
    }

    /// All tuples with their indexes in these sets, of which there is at least one.
    pub(super) fn product(sets: &[RangeSet]) -> Self {
        match sets {
            [] => Self::Last(RangeSet::default()),
            [last] => Self::Last(last.clone()),
            [first, rest @ ..] => {
                let tail = Self::product(rest);
                if tail.is_empty() {
                    return Self::More(Vec::new());
                }
                let tail = Arc::new(tail);
                let spans = first.spans().iter().map(|span| Span {
                    first: span.first,
                    last: span.last,
                    tail: Arc::clone(&tail),
                });
                Self::More(spans.collect())
            }
        }
    }

    /// The set of these rows, one after the other in any order: the indexes of a tuple, of which there are
    /// `dimensions`, and then up to where its last index goes on.
    pub(super) fn of_rows(mut flat: Vec<Index>, dimensions: usize) -> Self {
        steps::count(flat.len() / (dimensions + 1));
        // Most often these are a few lists in order, which a stable sort merges.
        match dimensions {
            2 => flat.as_chunks_mut::<3>().0.sort(),
            3 => flat.as_chunks_mut::<4>().0.sort(),
            4 => flat.as_chunks_mut::<5>().0.sort(),
            _ => {
                let mut rows: Vec<&[Index]> = flat.chunks_exact(dimensions + 1).collect();
                rows.sort();
                flat = rows.concat();
            }
        }
        Self::of_sorted(&flat, dimensions, 0)
    }

    /// The set of sorted rows, seen from the dimension `depth` on; the indexes before it are all the same.
    fn of_sorted(flat: &[Index], dimensions: usize, depth: usize) -> Self {
        let width = dimensions + 1;
        if depth + 1 == dimensions {
            let mut spans: Vec<Span<()>> = Vec::new();
            for row in flat.chunks_exact(width) {
                let (first, last) = (row[depth], row[width - 1]);
                match spans.last_mut() {
                    Some(span) if first <= span.last => span.last = span.last.max(last),
                    _ => span::append(
                        &mut spans,
                        Span {
                            first,
                            last,
                            tail: (),
                        },
                    ),
                }
            }
            return Self::Last(RangeSet::from_sorted(spans));
        }
        let mut spans: Vec<Span<Arc<Self>>> = Vec::new();
        let mut rest = flat;
        while let Some(&index) = rest.get(depth) {
            let same = rest
                .chunks_exact(width)
                .position(|row| row[depth] != index)
                .map_or(rest.len(), |rows| rows * width);
            let (here, behind) = rest.split_at(same);
            rest = behind;
            let span = Span {
                first: index,
                last: index,
                tail: Arc::new(Self::of_sorted(here, dimensions, depth + 1)),
            };
            span::append(&mut spans, span);
        }
        Self::More(spans)
    }

    /// The union of sets of these dimensions, in time n log n of their spans.
    pub(super) fn union_of(mut levels: Vec<Self>, dimensions: usize) -> Self {
        while levels.len() > 1 {
            let mut pairs = Vec::with_capacity(levels.len().div_ceil(2));
            let mut rest = levels.into_iter();
            while let Some(left) = rest.next() {
                pairs.push(match rest.next() {
                    Some(right) => left.combine(&right, Keep::UNION),
                    None => left,
                });
            }
            levels = pairs;
        }
        levels.pop().unwrap_or_else(|| Self::empty(dimensions))
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Last(set) => set.is_empty(),
            Self::More(spans) => spans.is_empty(),
        }
    }

    /// How many spans it has here.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Last(set) => set.spans().len(),
            Self::More(spans) => spans.len(),
        }
    }

    /// How many spans it has in all dimensions; those of a tail that neighbours share count once.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Last(set) => set.spans().len(),
            Self::More(spans) => {
                let mut known: *const Self = std::ptr::null();
                let tails = spans.iter().map(|span| {
                    let tail = Arc::as_ptr(&span.tail);
                    let is_known = std::mem::replace(&mut known, tail) == tail;
                    if is_known { 0 } else { span.tail.weight() }
                });
                spans.len() + tails.sum::<usize>()
            }
        }
    }

    /// How many tuples.
    pub(super) fn count(&self) -> u128 {
        match self {
            Self::Last(set) => set.count(),
            Self::More(spans) => {
                // Neighbouring spans often share their tail.
                let mut known: Option<(&Arc<Self>, u128)> = None;
                let mut sum = 0u128;
                for span in spans {
                    let below = match known {
                        Some((tail, count)) if Arc::ptr_eq(tail, &span.tail) => count,
                        _ => span.tail.count(),
                    };
                    known = Some((&span.tail, below));
                    sum = sum.saturating_add(span.count().saturating_mul(below));
                }
                sum
            }
        }
    }

    /// Whether the tuple is in the set.
    pub(super) fn has(&self, tuple: &[Index]) -> bool {
        match (self, tuple) {
            (Self::Last(set), [index]) => set.has(*index),
            (Self::More(spans), [index, rest @ ..]) => {
                span::find(spans, *index).is_some_and(|span| span.tail.has(rest))
            }
            _ => false,
        }
    }

    /// Whether some tuple is in both sets, which have the same dimensions.
    pub(super) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Last(left), Self::Last(right)) => left.meets(right),
            (Self::More(left), Self::More(right)) => {
                let (few, many) = if left.len() <= right.len() {
                    (left, right)
                } else {
                    (right, left)
                };
                few.iter().any(|span| {
                    span::overlapping(many, span).any(|other| span.tail.meets(&other.tail))
                })
            }
            (Self::Last(_), Self::More(_)) | (Self::More(_), Self::Last(_)) => false,
        }
    }

    /// One of the four operations with a set of the same dimensions.
    pub(super) fn combine(&self, other: &Self, keep: Keep) -> Self {
        match (self, other) {
            (Self::Last(left), Self::Last(right)) => Self::Last(left.combine(right, keep)),
            (Self::More(left), Self::More(right)) => {
                // The same two tails meet again and again where a product was cut.
                let mut known: HashMap<(*const Self, *const Self), Option<Arc<Self>>> =
                    HashMap::new();
                Self::More(span::combine(left, right, keep, |left, right| {
                    if Arc::ptr_eq(left, right) {
                        return keep.both.then(|| Arc::clone(left));
                    }
                    known
                        .entry((Arc::as_ptr(left), Arc::as_ptr(right)))
                        .or_insert_with(|| {
                            let tail = left.combine(right, keep);
                            (!tail.is_empty()).then(|| Arc::new(tail))
                        })
                        .clone()
                }))
            }
            // Sets of different dimensions never meet: they belong to different patterns.
            (Self::Last(_), Self::More(_)) | (Self::More(_), Self::Last(_)) => self.clone(),
        }
    }

    /// The sets of which this is the product, if it is one.
    pub(super) fn as_product(&self) -> Option<Vec<RangeSet>> {
        let mut sets = Vec::new();
        let mut level = self;
        loop {
            match level {
                Self::Last(set) => {
                    sets.push(set.clone());
                    return Some(sets);
                }
                Self::More(spans) => {
                    let (first, rest) = spans.split_first()?;
                    if rest.iter().any(|span| span.tail != first.tail) {
                        return None;
                    }
                    let bare = |span: &Span<Arc<Self>>| Span {
                        first: span.first,
                        last: span.last,
                        tail: (),
                    };
                    sets.push(RangeSet::from_sorted(spans.iter().map(bare).collect()));
                    level = &first.tail;
                }
            }
        }
    }

    /// How many rows [`Level::rows`] lists.
    pub(super) fn row_count(&self) -> u128 {
        match self {
            Self::Last(_) => 1,
            Self::More(spans) => spans.iter().fold(0, |sum, span| {
                sum.saturating_add(span.count().saturating_mul(span.tail.row_count()))
            }),
        }
    }

    /// Calls `each` with the indexes of all dimensions but the last and the set of the last, in the order of
    /// the texts of the indexes.
    pub(super) fn rows(&self, prefix: &mut Vec<Index>, each: &mut dyn FnMut(&[Index], &RangeSet)) {
        match self {
            Self::Last(set) => each(prefix, set),
            Self::More(spans) => {
                let mut here: Vec<(u128, Index, &Self)> = spans
                    .iter()
                    .flat_map(|span| {
                        span.indexes()
                            .map(|index| (index.textual(), index, span.tail.as_ref()))
                    })
                    .collect();
                here.sort_unstable_by_key(|&(text, ..)| text);
                for (_, index, tail) in here {
                    prefix.push(index);
                    tail.rows(prefix, each);
                    prefix.pop();
                }
            }
        }
    }

    /// Calls `each` with disjoint products that make up the set; tails that are the same are taken together.
    pub(super) fn products(&self, prefix: &mut Vec<RangeSet>, each: &mut dyn FnMut(&[RangeSet])) {
        match self {
            Self::Last(set) => {
                prefix.push(set.clone());
                each(prefix);
                prefix.pop();
            }
            Self::More(spans) => {
                let mut places: HashMap<&Self, usize> = HashMap::new();
                let mut tails: Vec<(&Self, Vec<Span<()>>)> = Vec::new();
                for span in spans {
                    let place = *places.entry(&span.tail).or_insert_with(|| {
                        tails.push((&span.tail, Vec::new()));
                        tails.len() - 1
                    });
                    tails[place].1.push(Span {
                        first: span.first,
                        last: span.last,
                        tail: (),
                    });
                }
                for (tail, spans) in tails {
                    prefix.push(RangeSet::from_unsorted(spans));
                    tail.products(prefix, each);
                    prefix.pop();
                }
            }
        }
    }
}
