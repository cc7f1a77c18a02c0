//! The algebra under all sets: sorted spans of indexes, each with what hangs below it.

use super::index::Index;

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

/// Walks both lists once and appends what `decide` makes of the tails that meet.
///
/// Linear in the number of spans, whatever they hold.
pub(super) fn combine<T: Clone + PartialEq>(
    left: &[Span<T>],
    right: &[Span<T>],
    mut decide: impl FnMut(Option<&T>, Option<&T>) -> Option<T>,
) -> Vec<Span<T>> {
    let mut out = Vec::with_capacity(left.len().max(right.len()));
    let (mut lefts, mut rights) = (left.iter(), right.iter());
    let (mut a, mut b) = (lefts.next(), rights.next());
    // Where the rest of the span at hand begins; its front may be done already.
    let (mut a_first, mut b_first) = (a.map(|span| span.first), b.map(|span| span.first));
    loop {
        let (first, last, left_tail, right_tail) = match (a.zip(a_first), b.zip(b_first)) {
            (None, None) => return out,
            (Some((a, first)), None) => (first, a.last, Some(&a.tail), None),
            (None, Some((b, first))) => (first, b.last, None, Some(&b.tail)),
            (Some((a, a_first)), Some((b, b_first))) => {
                if a_first < b_first {
                    let last = if a.last < b_first {
                        a.last
                    } else {
                        b_first.previous()
                    };
                    (a_first, last, Some(&a.tail), None)
                } else if b_first < a_first {
                    let last = if b.last < a_first {
                        b.last
                    } else {
                        a_first.previous()
                    };
                    (b_first, last, None, Some(&b.tail))
                } else {
                    (a_first, a.last.min(b.last), Some(&a.tail), Some(&b.tail))
                }
            }
        };
        if let Some(tail) = decide(left_tail, right_tail) {
            append(&mut out, Span { first, last, tail });
        }
        if left_tail.is_some() {
            if a.is_some_and(|span| span.last == last) {
                a = lefts.next();
                a_first = a.map(|span| span.first);
            } else {
                a_first = Some(last.next());
            }
        }
        if right_tail.is_some() {
            if b.is_some_and(|span| span.last == last) {
                b = rights.next();
                b_first = b.map(|span| span.first);
            } else {
                b_first = Some(last.next());
            }
        }
    }
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
