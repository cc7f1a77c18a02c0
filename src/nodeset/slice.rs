//! Parts of a set: by position, by number, by contiguity.

use super::fold::Autostep;
use super::iter::Cursor;
use super::pattern;
use super::range::RangeSet;
use super::{Builder, NodeSet};

/// Walks a set and puts what it passes into parts.
struct Taker<'a> {
    cursor: Cursor<'a>,
}

impl Taker<'_> {
    /// Passes so many names, fewer at the end; into the builder, if there is one.
    fn pass(&mut self, mut count: u128, mut into: Option<&mut Builder>) {
        while count > 0 {
            let Some(stretch) = self.cursor.next(count) else {
                return;
            };
            count -= stretch.count();
            if let Some(builder) = &mut into {
                let singles = stretch.prefix.into_iter().map(RangeSet::single);
                let last = stretch.span.map(|span| RangeSet::from_sorted(vec![span]));
                let sets: Vec<RangeSet> = singles.chain(last).collect();
                builder.add_product(stretch.pattern.as_str(), &sets);
            }
        }
    }
}

impl NodeSet {
    /// The nodes at these positions, counted from 0 in the order of [`NodeSet::iter`].
    ///
    /// Negative positions count from the end as in ClusterShell, which takes each range as Python does: -2 is the last
    /// but one, and a range that ends at -1 has none, as it ends before position 0.
    #[must_use]
    pub fn slice(&self, positions: &RangeSet) -> Self {
        let count = self.count();
        let place = |number: i128| {
            if number < 0 {
                count.saturating_sub(number.unsigned_abs())
            } else {
                number.unsigned_abs().min(count)
            }
        };
        let mut wanted: Vec<(u128, u128)> = Vec::new();
        positions.pieces(Autostep::Off, &mut |piece| {
            wanted.push((place(piece.first.value()), place(piece.last.value() + 1)));
        });
        wanted.sort_unstable();
        let mut taker = Taker {
            cursor: Cursor::new(self),
        };
        let mut builder = Builder::new();
        let mut at = 0;
        for (from, to) in wanted {
            let from = from.max(at);
            if from < to {
                taker.pass(from - at, None);
                taker.pass(to - from, Some(&mut builder));
                at = to;
            }
        }
        builder.finish()
    }

    /// At most so many sets of neighbouring nodes, whose sizes differ by one at most, larger ones first.
    pub fn split(&self, parts: usize) -> impl Iterator<Item = Self> {
        let (count, parts) = (self.count(), parts as u128);
        let (each, larger) = match parts {
            0 => (0, 0),
            _ => (count / parts, count % parts),
        };
        let mut taker = Taker {
            cursor: Cursor::new(self),
        };
        (0..parts.min(count)).map(move |part| {
            let mut builder = Builder::new();
            taker.pass(each + u128::from(part < larger), Some(&mut builder));
            builder.finish()
        })
    }

    /// One set for each contiguous range; with several dimensions, for each product of contiguous ranges. Where steps are
    /// asked for, indexes that are all a step apart count as one range, as in ClusterShell.
    pub fn contiguous(&self, autostep: Autostep) -> impl Iterator<Item = Self> {
        let products = self
            .bodies
            .iter()
            .flat_map(|(pattern, body)| body.products().map(move |sets| (pattern, sets)));
        products.flat_map(move |(pattern, sets)| {
            let ranges: Vec<Vec<RangeSet>> =
                sets.iter().map(|set| set.contiguous(autostep)).collect();
            let total: usize = ranges.iter().map(Vec::len).product();
            (0..total).map(move |number| {
                let mut rest = number;
                let choose = |choices: &Vec<RangeSet>| {
                    let set = choices.get(rest % choices.len()).cloned();
                    rest /= choices.len();
                    set
                };
                // The last dimension is the fastest.
                let mut sets: Vec<RangeSet> = ranges.iter().rev().filter_map(choose).collect();
                sets.reverse();
                Self::of_product(pattern.clone(), &sets)
            })
        })
    }

    /// The position of the node of that plain name in the order of [`NodeSet::iter`].
    #[must_use]
    pub fn position(&self, name: &str) -> Option<u128> {
        let (mut wanted, mut indexes) = (String::new(), Vec::new());
        pattern::cut(name, &mut wanted, &mut indexes);
        let mut before = 0;
        for (pattern, body) in &self.bodies {
            if pattern.as_str() != wanted {
                before += body.count();
                continue;
            }
            for product in body.products() {
                let places: Option<Vec<u128>> = product
                    .iter()
                    .zip(&indexes)
                    .map(|(set, &index)| set.place(index))
                    .collect();
                if let Some(places) = places {
                    let counts = product.iter().map(RangeSet::count);
                    let inside = places.iter().zip(counts);
                    return Some(
                        before + inside.fold(0, |sum, (place, count)| sum * count + place),
                    );
                }
                before += product.iter().map(RangeSet::count).product::<u128>();
            }
            return None;
        }
        None
    }
}
