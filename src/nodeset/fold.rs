//! Range set to shortest text, as ClusterShell prints it.

use std::fmt;

use super::index::Index;
use super::range::RangeSet;
use super::span::{self, Span};

/// From how many members on a run with a step greater than one is written `a-b/step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Autostep {
    /// Never.
    #[default]
    Off,
    /// From so many members on.
    From(u128),
}

/// A piece of a folded range set: `first`, `first-last` or `first-last/step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) first: Index,
    pub(super) last: Index,
    pub(super) step: u128,
}

impl Piece {
    fn write(self, out: &mut String) {
        self.first.write(out);
        if self.first != self.last {
            out.push('-');
            self.last.write(out);
            if self.step > 1 {
                out.push('/');
                out.push_str(&self.step.to_string());
            }
        }
    }
}

/// A run being collected from the lowest index up.
struct Run {
    first: Index,
    last: Index,
    step: u128,
    count: u128,
}

impl Run {
    const fn of(index: Index) -> Self {
        Self {
            first: index,
            last: index,
            step: 0,
            count: 1,
        }
    }
}

/// The pieces of a set, greedily from the lowest index.
struct Folder<'a> {
    emit: &'a mut dyn FnMut(Piece),
    threshold: Option<u128>,
    run: Option<Run>,
    /// With how many digits the last padded index was written; forgotten once a range has been written,
    /// which is how the original comes to `01,98-99,100-101` but `01-02,98-101`.
    padded: Option<usize>,
}

impl Folder<'_> {
    fn feed(&mut self, index: Index) {
        self.put(index);
        if index.is_padded() {
            self.padded = Some(index.digits());
        }
    }

    fn put(&mut self, index: Index) {
        let distance = self.distance(index);
        let Some(run) = &mut self.run else {
            self.run = Some(Run::of(index));
            return;
        };
        let Some(step) = distance else {
            self.flush();
            self.run = Some(Run::of(index));
            return;
        };
        // Where a run broke off, the step there is that of the next run, too: what follows with another one leaves the
        // first index of that run alone.
        let open = run.step == 0;
        if open || run.step == step {
            run.step = step;
            run.last = index;
            run.count += 1;
            return;
        }
        // The last member of a run too short to be written as one may begin the next.
        let last = run.last;
        let spare = run.step > 1 && self.threshold.is_some_and(|least| run.count < least);
        self.flush_but(usize::from(spare));
        self.run = Some(Run {
            first: if spare { last } else { index },
            last: index,
            step,
            count: if spare { 2 } else { 1 },
        });
    }

    /// How far ahead of the run at hand `index` is, if a range may go on from there to it: none goes from
    /// unpadded to padded, nor leaves the number of digits of the padded index in mind.
    fn distance(&self, index: Index) -> Option<u128> {
        let run = self.run.as_ref()?;
        let digits = run.last.digits();
        let joins = digits == index.digits() || Some(digits) != self.padded && !index.is_padded();
        let step = (index.value() - run.last.value()).unsigned_abs();
        (joins && (step == 1 || self.threshold.is_some())).then_some(step)
    }

    fn flush(&mut self) {
        self.flush_but(0);
    }

    /// Writes the run at hand without its `spare` last members.
    fn flush_but(&mut self, spare: usize) {
        let Some(run) = self.run.take() else { return };
        if run.step <= 1 || self.threshold.is_some_and(|least| run.count >= least) {
            if run.count > 1 {
                self.padded = None;
            }
            (self.emit)(Piece {
                first: run.first,
                last: run.last,
                step: run.step,
            });
            return;
        }
        // A run with a step spans at most a few indexes here, each written alone.
        for member in 0..run.count - spare as u128 {
            let number = run.first.value() + (member * run.step).cast_signed();
            let index = if run.first.is_padded() {
                Index::new(run.first.digits(), number.unsigned_abs())
            } else {
                Index::of_number(number)
            };
            (self.emit)(Piece {
                first: index,
                last: index,
                step: 0,
            });
        }
    }
}

impl RangeSet {
    /// The pieces it folds to, in order.
    pub(super) fn pieces(&self, autostep: Autostep, emit: &mut dyn FnMut(Piece)) {
        let threshold = match autostep {
            Autostep::Off => None,
            Autostep::From(least) => Some(least),
        };
        let mut folder = Folder {
            emit,
            threshold,
            run: None,
            padded: None,
        };
        for span in self.spans() {
            folder.feed(span.first);
            if span.first == span.last {
                continue;
            }
            // After three neighbours the run at hand has step 1, and the rest of the span continues it; where steps are not
            // asked for it has no other.
            let fed = match autostep {
                Autostep::Off => 1,
                Autostep::From(_) => span.count().min(3),
            };
            for next in 1..fed {
                folder.feed(span.first.plus(next));
            }
            if let Some(run) = &mut folder.run {
                run.step = 1;
                run.last = span.last;
                run.count += span.count() - fed;
            }
        }
        folder.flush();
    }

    /// Appends the folded text.
    pub(super) fn write(&self, autostep: Autostep, out: &mut String) {
        let start = out.len();
        self.pieces(autostep, &mut |piece| {
            if out.len() > start {
                out.push(',');
            }
            piece.write(out);
        });
    }

    /// Appends the folded text as it stands in a name: in brackets unless it is a single index.
    pub(super) fn write_in_name(&self, autostep: Autostep, out: &mut String) {
        match self.spans() {
            [Span { first, last, .. }] if first == last => first.write(out),
            _ => {
                out.push('[');
                self.write(autostep, out);
                out.push(']');
            }
        }
    }

    /// The folded text, with steps if asked for.
    #[must_use]
    pub fn fold(&self, autostep: Autostep) -> String {
        let mut out = String::new();
        self.write(autostep, &mut out);
        out
    }

    /// One set for each range; a single one where steps are asked for and all indexes are a step apart.
    #[must_use]
    pub fn contiguous(&self, autostep: Autostep) -> Vec<Self> {
        let mut pieces = 0;
        if autostep != Autostep::Off {
            self.pieces(autostep, &mut |_| pieces += 1);
        }
        if pieces == 1 {
            return vec![self.clone()];
        }
        let mut sets = Vec::new();
        let mut rest = self.spans();
        self.pieces(Autostep::Off, &mut |piece| {
            // A piece may cross a number of digits: then it has several spans.
            let count = span::leading(rest, |span| span.last <= piece.last);
            let (spans, behind) = rest.split_at(count);
            rest = behind;
            sets.push(Self::from_sorted(spans.to_vec()));
        });
        sets
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fold(Autostep::Off))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_found_greedily_from_the_lowest() {
        for (text, least, folded) in [
            ("1,2,4,6,8", 3, "1-2,4-8/2"),
            ("1,2,3,5,7,9", 3, "1-3,5-9/2"),
            ("1,3,4,5,7,9", 3, "1,3-5,7,9"),
            ("1,3,5,7,10,13,16,17", 3, "1-7/2,10-16/3,17"),
            ("1,4,7,9,11,13", 3, "1-7/3,9-13/2"),
            ("1,4,7,9,11,13", 4, "1,4,7-13/2"),
            ("1,3,5,6,7,8,9", 3, "1-5/2,6-9"),
            ("1,3,5,6,8,10", 3, "1-5/2,6,8,10"),
            ("0,3,6,7,9,11", 3, "0-6/3,7,9,11"),
            ("5,7,8,10", 2, "5-7/2,8,10"),
            ("1,3,5,6,7,8,9", 4, "1,3,5-9"),
            ("98,100,102", 3, "98-102/2"),
            ("098,100,102", 3, "098-102/2"),
            ("-4,-2,0,2", 3, "-4-2/2"),
            ("-4--1,1,3", 3, "-4--1,1,3"),
            ("01,03,05,7", 3, "7,01-05/2"),
            ("0-10/2,1-3", 3, "0-4,6-10/2"),
            ("1,3,6", 2, "1-3/2,6"),
            ("1,3,5-6", 4, "1,3,5-6"),
            ("8-9,11,110", 2, "8-9,11-110/99"),
            ("8-9,11,110", 0, "8-9,11,110"),
            ("8-9,11,110,209", 0, "8-9,11,110-209/99"),
            ("1,3,6-9", 1, "1-3/2,6,7-9"),
            ("8-9,011,110", 0, "8-9,011-110/99"),
            ("01,97,99,101,103", 3, "01,97,99,101,103"),
            ("02-06,10,107-116", 0, "02-06,10,107,108-116"),
        ] {
            let set = RangeSet::parse(text).unwrap();
            assert_eq!(set.fold(Autostep::From(least)), folded, "{text}");
        }
    }

    #[test]
    fn contiguous_sets_may_cross_a_number_of_digits() {
        let contiguous = |text: &str, autostep| {
            let sets = RangeSet::parse(text).unwrap().contiguous(autostep);
            let texts: Vec<_> = sets.iter().map(ToString::to_string).collect();
            texts.join(" ")
        };
        assert_eq!(contiguous("8-11,13,007", Autostep::Off), "8-11 13 007");
        assert_eq!(contiguous("1,3,5,7", Autostep::From(3)), "1,3,5,7");
        assert_eq!(contiguous("1,3,5,7", Autostep::From(5)), "1 3 5 7");
        assert_eq!(contiguous("1,3,5,8-9", Autostep::From(3)), "1 3 5 8-9");
    }
}
