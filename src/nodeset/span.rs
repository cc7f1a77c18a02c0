//! The algebra under all sets: sorted spans of indexes, each with what hangs below it.

use std::cmp::Ordering;

use super::index::Index;
use super::steps;

/// Neighbouring indexes with the same number of digits and the same tail.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Span<T> {
    pub(super) first: Index,
    pub(super) last: Index,
    pub(super) tail: T,
}

impl<T> Span<T> {
    /// How many indexes.
    pub(super) const fn count(&self) -> u128 {
        self.last.since(self.first) + 1
    }

    /// The indexes, lowest first.
    pub(super) fn indexes(&self) -> impl Iterator<Item = Index> + use<T> {
        let first = self.first;
        (0..self.count()).map(move |step| first.plus(step))
    }
}

/// What is kept of two sets: what only the left has, what only the right has, what both have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keep {
    pub(super) left: bool,
    pub(super) right: bool,
    pub(super) both: bool,
}

impl Keep {
    pub(super) const UNION: Self = Self {
        left: true,
        right: true,
        both: true,
    };
    pub(super) const DIFFERENCE: Self = Self {
        left: true,
        right: false,
        both: false,
    };
    pub(super) const INTERSECTION: Self = Self {
        left: false,
        right: false,
        both: true,
    };
    pub(super) const SYMMETRIC_DIFFERENCE: Self = Self {
        left: true,
        right: true,
        both: false,
    };
}

/// Appends a span that begins after all others; equal neighbours become one.
pub(super) fn append<T: PartialEq>(spans: &mut Vec<Span<T>>, span: Span<T>) {
    match spans.last_mut() {
        Some(end) if end.last.next() == span.first && end.tail == span.tail => end.last = span.last,
        _ => spans.push(span),
    }
}

/// What is kept of two lists; where they meet, `both` makes the tail.
///
/// Takes a step for each place where one list begins or ends within the other, not for each span: what lies
/// between two spans of the other list is found by doubling steps, and passed over or copied whole.
pub(super) fn combine<T: Clone + PartialEq>(
    left: &[Span<T>],
    right: &[Span<T>],
    keep: Keep,
    mut both: impl FnMut(&T, &T) -> Option<T>,
) -> Vec<Span<T>> {
    let mut out = Vec::with_capacity(match (keep.left, keep.right) {
        (true, true) => left.len().max(right.len()),
        (true, false) => left.len(),
        (false, true) => right.len(),
        (false, false) => left.len().min(right.len()),
    });
    let (mut left, mut right) = (Rest::of(left), Rest::of(right));
    loop {
        steps::count(1);
        match (left.spans.first(), right.spans.first()) {
            (Some(a), Some(b)) => match left.first.cmp(&right.first) {
                Ordering::Less => left.pass_before(right.first, keep.left.then_some(&mut out)),
                Ordering::Greater => right.pass_before(left.first, keep.right.then_some(&mut out)),
                Ordering::Equal => {
                    let (first, last) = (left.first, a.last.min(b.last));
                    if let Some(tail) = both(&a.tail, &b.tail) {
                        append(&mut out, Span { first, last, tail });
                    }
                    left.pass_through(last);
                    right.pass_through(last);
                }
            },
            (Some(_), None) if keep.left => {
                left.append_to(&mut out);
                return out;
            }
            (None, Some(_)) if keep.right => {
                right.append_to(&mut out);
                return out;
            }
            _ => return out,
        }
    }
}

/// What is to come of a list.
struct Rest<'a, T> {
    spans: &'a [Span<T>],
    /// Where what is left of the first span begins.
    first: Index,
}

impl<'a, T: Clone + PartialEq> Rest<'a, T> {
    fn of(spans: &'a [Span<T>]) -> Self {
        let first = spans.first().map_or(Index::MIN, |span| span.first);
        Self { spans, first }
    }

    /// Appends all of it.
    fn append_to(&self, out: &mut Vec<Span<T>>) {
        if let Some((head, rest)) = self.spans.split_first() {
            let head = Span {
                first: self.first,
                ..head.clone()
            };
            append(out, head);
            out.extend_from_slice(rest);
        }
    }

    /// Goes on to `limit`, which lies behind the beginning, and appends what is passed.
    fn pass_before(&mut self, limit: Index, mut out: Option<&mut Vec<Span<T>>>) {
        let whole = leading(self.spans, |span| span.last < limit);
        let (passed, rest) = self.spans.split_at(whole);
        if let Some(out) = &mut out {
            let first = self.first;
            Self {
                spans: passed,
                first,
            }
            .append_to(out);
        }
        if whole > 0 {
            *self = Self::of(rest);
        }
        if let Some(head) = self.spans.first().filter(|_| self.first < limit) {
            if let Some(out) = out {
                let head = Span {
                    first: self.first,
                    last: limit.previous(),
                    tail: head.tail.clone(),
                };
                append(out, head);
            }
            self.first = limit;
        }
    }

    /// Goes on behind `last`, which lies in the first span.
    fn pass_through(&mut self, last: Index) {
        match self.spans.split_first() {
            Some((head, rest)) if head.last == last => *self = Self::of(rest),
            _ => self.first = last.next(),
        }
    }
}

/// How many spans at the front pass, after which none does. Takes as many steps as that number has digits.
pub(super) fn leading<T>(spans: &[Span<T>], passes: impl Fn(&Span<T>) -> bool) -> usize {
    let mut end = 1;
    while spans.get(end - 1).is_some_and(&passes) {
        end *= 2;
    }
    let low = end / 2;
    let high = (end - 1).min(spans.len());
    low + spans[low..high].partition_point(passes)
}

/// The span that holds the index.
pub(super) fn find<T>(spans: &[Span<T>], index: Index) -> Option<&Span<T>> {
    let after = spans.partition_point(|span| span.last < index);
    spans.get(after).filter(|span| span.first <= index)
}

/// The spans that have an index in common with another span.
pub(super) fn overlapping<'a, T, U>(
    spans: &'a [Span<T>],
    with: &Span<U>,
) -> impl Iterator<Item = &'a Span<T>> + use<'a, T, U> {
    let last = with.last;
    let from = spans.partition_point(|span| span.last < with.first);
    spans[from..]
        .iter()
        .take_while(move |span| span.first <= last)
}
