//! Range sets, what stands between brackets: indexes with padding, negative numbers and steps.

use std::fmt;

use super::index::{Index, MAX_DIGITS, power};
use super::span::{self, Keep, Span};
use super::steps;

/// A range may not span more indexes than this.
const MAX_SPAN: u128 = 1_000_000_000;

/// A range that does not stay a range in memory, for its step or for digits behind it, may have so many indexes.
const MAX_SCATTERED: u128 = 10_000_000;

/// A set of indexes, kept as ranges: a billion neighbours cost as much as one index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RangeSet {
    spans: Vec<Span<()>>,
}

/// Why a text is no range set. Displays as ClusterShell words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeError {
    /// What is wrong.
    pub kind: RangeErrorKind,
    /// The range it is about.
    pub part: String,
    /// How many bytes of the text stand before that range.
    pub offset: usize,
}

/// What can be wrong with a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeErrorKind {
    /// Nothing between two commas.
    Empty,
    /// Not a number.
    NotANumber,
    /// One bound is padded and the other has another length.
    PaddingMismatch,
    /// A padded negative number.
    NegativePadding,
    /// A range that goes down, or a step below one.
    InvalidValues,
    /// A step behind a single index.
    StepUsage,
    /// An index with too many digits.
    IndexTooLong,
    /// A range with too many indexes.
    TooLarge,
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = match self.kind {
            RangeErrorKind::Empty => return f.write_str("empty range"),
            RangeErrorKind::TooLarge => return f.write_str("range too large"),
            RangeErrorKind::NotANumber => "cannot convert string to integer",
            RangeErrorKind::PaddingMismatch => "padding length mismatch",
            RangeErrorKind::NegativePadding => "padding not supported in negative ranges",
            RangeErrorKind::InvalidValues => "invalid values in range",
            RangeErrorKind::StepUsage => "invalid step usage",
            RangeErrorKind::IndexTooLong => "invalid rangeset index",
        };
        write!(f, "{message} : \"{}\"", self.part)
    }
}

impl std::error::Error for RangeError {}

/// A bound as written.
#[derive(Clone, Copy)]
struct Bound<'a> {
    negative: bool,
    digits: &'a str,
}

impl Bound<'_> {
    fn is_padded(self) -> bool {
        self.digits.len() > 1 && self.digits.starts_with('0')
    }

    fn index(self) -> Index {
        let index = Index::of_digits(self.digits.as_bytes());
        if self.negative {
            Index::of_number(-index.value())
        } else {
            index
        }
    }
}

/// Takes `-?[0-9]+` from the front of the text.
fn take_bound(text: &str) -> Option<(Bound<'_>, &str)> {
    let (negative, rest) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let end = rest
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(end);
    (end > 0).then_some((Bound { negative, digits }, rest))
}

impl RangeSet {
    /// Reads a range set: `1-5,07-12,20-30/2,-3`.
    ///
    /// # Errors
    /// When the text is none, such as blanks. No text at all is the empty set.
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        Self::parse_list(text)
    }

    /// Reads what stands between brackets, where blank text is an error.
    pub(super) fn parse_list(text: &str) -> Result<Self, RangeError> {
        let mut set = Self::default();
        let mut offset = 0;
        for item in text.split(',') {
            let part = item.trim();
            read_range(part, &mut set.spans).map_err(|kind| RangeError {
                kind,
                part: part.into(),
                offset: offset + (item.len() - item.trim_start().len()),
            })?;
            offset += item.len() + 1;
        }
        set.normalise();
        Ok(set)
    }

    /// The set of one index.
    pub(super) fn single(index: Index) -> Self {
        Self::from_sorted(vec![Span {
            first: index,
            last: index,
            tail: (),
        }])
    }

    /// The set with these spans, which are sorted and do not touch.
    pub(super) const fn from_sorted(spans: Vec<Span<()>>) -> Self {
        Self { spans }
    }

    /// The set with these spans, in any order.
    pub(super) fn from_unsorted(spans: Vec<Span<()>>) -> Self {
        let mut set = Self { spans };
        set.normalise();
        set
    }

    fn normalise(&mut self) {
        let touches = |a: &Span<()>, b: &Span<()>| b.first <= a.last.next();
        if self
            .spans
            .windows(2)
            .all(|pair| pair[0].last < pair[1].first && !touches(&pair[0], &pair[1]))
        {
            return;
        }
        steps::count(self.spans.len());
        // Most often these are a few lists in order, which a stable sort merges.
        self.spans.sort_by_key(|span| span.first);
        self.spans.dedup_by(|next, kept| {
            let joined = touches(kept, next);
            if joined {
                kept.last = kept.last.max(next.last);
            }
            joined
        });
    }

    /// The spans, sorted.
    pub(super) fn into_spans(self) -> Vec<Span<()>> {
        self.spans
    }

    /// The spans, sorted.
    pub(super) fn spans(&self) -> &[Span<()>] {
        &self.spans
    }

    /// The index it has, if it is one.
    pub(super) fn only(&self) -> Option<Index> {
        match self.spans.as_slice() {
            [Span { first, last, .. }] if first == last => Some(*first),
            _ => None,
        }
    }

    /// All indexes in order.
    pub(super) fn indexes(&self) -> impl Iterator<Item = Index> + '_ {
        self.spans.iter().flat_map(Span::indexes)
    }

    /// The numbers it has, in its order; `1` and `01` are the same number.
    pub fn numbers(&self) -> impl Iterator<Item = i128> + '_ {
        self.indexes().map(Index::value)
    }

    /// How many indexes it has.
    #[must_use]
    pub fn count(&self) -> u128 {
        self.spans.iter().map(Span::count).sum()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether the index written so is in the set; `1` and `01` are two.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.position(text).is_some()
    }

    /// The place of the index written so in the order of the set.
    #[must_use]
    pub fn position(&self, text: &str) -> Option<u128> {
        let (bound, rest) = take_bound(text)?;
        if !rest.is_empty() || bound.digits.len() > MAX_DIGITS {
            return None;
        }
        self.place(bound.index())
    }

    /// The place of an index in the order of the set.
    pub(super) fn place(&self, index: Index) -> Option<u128> {
        let before = self.spans.partition_point(|span| span.last < index);
        let span = self.spans.get(before).filter(|span| span.first <= index)?;
        let skipped: u128 = self.spans[..before].iter().map(Span::count).sum();
        Some(skipped + index.since(span.first))
    }

    pub(super) fn has(&self, index: Index) -> bool {
        span::find(&self.spans, index).is_some()
    }

    pub(super) fn combine(&self, other: &Self, keep: Keep) -> Self {
        let both = |(): &(), (): &()| keep.both.then_some(());
        Self {
            spans: span::combine(&self.spans, &other.spans, keep, both),
        }
    }

    /// Whether some index is in both; looks the spans of one up in the other.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let (few, many) = if self.spans.len() <= other.spans.len() {
            (self, other)
        } else {
            (other, self)
        };
        few.spans
            .iter()
            .any(|span| span::overlapping(&many.spans, span).next().is_some())
    }

    /// Adds what the other has.
    pub fn union(&mut self, other: &Self) {
        *self = self.combine(other, Keep::UNION);
    }

    /// Takes away what the other has.
    pub fn difference(&mut self, other: &Self) {
        *self = self.combine(other, Keep::DIFFERENCE);
    }

    /// Keeps what the other has too.
    pub fn intersection(&mut self, other: &Self) {
        *self = self.combine(other, Keep::INTERSECTION);
    }

    /// Keeps what exactly one of the two has.
    pub fn symmetric_difference(&mut self, other: &Self) {
        *self = self.combine(other, Keep::SYMMETRIC_DIFFERENCE);
    }

    /// The indexes at the places `from..to`, in the order of the set.
    #[must_use]
    pub fn slice(&self, from: u128, to: u128) -> Self {
        let mut spans = Vec::new();
        let mut before = 0;
        for span in &self.spans {
            let count = span.count();
            let (low, high) = (from.max(before), to.min(before + count));
            if low < high {
                spans.push(Span {
                    first: span.first.plus(low - before),
                    last: span.first.plus(high - before - 1),
                    tail: (),
                });
            }
            before += count;
            if before >= to {
                break;
            }
        }
        Self { spans }
    }

    /// Puts digits before and behind every index, as `n5[1-3]` and `n[1-3]5` ask for.
    pub(super) fn glue(self, before: &str, behind: &str) -> Result<Self, RangeErrorKind> {
        if before.is_empty() && behind.is_empty() {
            return Ok(self);
        }
        let extra = before.len() + behind.len();
        if self
            .spans
            .iter()
            .any(|span| span.first.digits() + extra > MAX_DIGITS)
        {
            return Err(RangeErrorKind::IndexTooLong);
        }
        if !behind.is_empty() && self.count() > MAX_SCATTERED {
            return Err(RangeErrorKind::TooLarge);
        }
        let mut spans = Vec::new();
        for span in &self.spans {
            let digits = span.first.digits();
            if digits == 0 && !before.is_empty() {
                return Err(RangeErrorKind::NotANumber);
            }
            let lead = number(before) * power(digits);
            let led = |index: Index| {
                Index::new(before.len() + digits, lead + index.value().unsigned_abs())
            };
            if behind.is_empty() {
                spans.push(Span {
                    first: led(span.first),
                    last: led(span.last),
                    tail: (),
                });
                continue;
            }
            let end = number(behind);
            let scale = power(behind.len());
            spans.extend(span.indexes().map(|index| {
                let index = if digits == 0 {
                    Index::of_number(index.value() * scale.cast_signed() - end.cast_signed())
                } else {
                    let value = led(index).value().unsigned_abs() * scale + end;
                    Index::new(digits + extra, value)
                };
                Span {
                    first: index,
                    last: index,
                    tail: (),
                }
            }));
        }
        Ok(Self::from_unsorted(spans))
    }
}

/// The number that at most [`MAX_DIGITS`] digits write; none write 0.
fn number(digits: &str) -> u128 {
    let digits = digits.bytes().map(|byte| u128::from(byte - b'0'));
    digits.fold(0, |number, digit| number * 10 + digit)
}

/// Reads one range of a range set.
fn read_range(part: &str, spans: &mut Vec<Span<()>>) -> Result<(), RangeErrorKind> {
    if part.is_empty() {
        return Err(RangeErrorKind::Empty);
    }
    let (base, step) = match part.split_once('/') {
        None => (part, 1),
        Some((base, step)) => (base.trim_end(), read_step(step.trim())?),
    };
    let (start, rest) = take_bound(base).ok_or(RangeErrorKind::NotANumber)?;
    let rest = rest.trim_start();
    let stop = if rest.is_empty() {
        None
    } else {
        let rest = rest.strip_prefix('-').ok_or(RangeErrorKind::NotANumber)?;
        let (stop, rest) = take_bound(rest.trim_start()).ok_or(RangeErrorKind::NotANumber)?;
        if !rest.is_empty() || stop.negative && !start.negative {
            return Err(RangeErrorKind::NotANumber);
        }
        Some(stop)
    };
    if start
        .digits
        .len()
        .max(stop.map_or(0, |stop| stop.digits.len()))
        > MAX_DIGITS
    {
        return Err(RangeErrorKind::IndexTooLong);
    }
    match stop {
        None => read_index(start, step, spans),
        Some(stop) => read_between(start, stop, step, spans),
    }
}

/// Reads an index by itself.
fn read_index(
    start: Bound<'_>,
    step: i128,
    spans: &mut Vec<Span<()>>,
) -> Result<(), RangeErrorKind> {
    if start.negative && start.is_padded() {
        return Err(RangeErrorKind::NegativePadding);
    }
    // A step behind a negative number is passed over, as in ClusterShell.
    match (step, start.negative) {
        (1, _) | (2.., true) => {}
        (_, true) => return Err(RangeErrorKind::InvalidValues),
        (_, false) => return Err(RangeErrorKind::StepUsage),
    }
    let index = start.index();
    spans.push(Span {
        first: index,
        last: index,
        tail: (),
    });
    Ok(())
}

/// Reads the indexes from one to another.
fn read_between(
    start: Bound<'_>,
    stop: Bound<'_>,
    step: i128,
    spans: &mut Vec<Span<()>>,
) -> Result<(), RangeErrorKind> {
    if (start.is_padded() || stop.is_padded()) && start.digits.len() != stop.digits.len() {
        return Err(RangeErrorKind::PaddingMismatch);
    }
    if start.negative && (start.is_padded() || stop.is_padded()) {
        return Err(RangeErrorKind::NegativePadding);
    }
    let (low, high) = (start.index().value(), stop.index().value());
    if low > high || step < 1 {
        return Err(RangeErrorKind::InvalidValues);
    }
    let many = (high - low).unsigned_abs() + 1;
    if many > MAX_SPAN || step > 1 && many / step.unsigned_abs() > MAX_SCATTERED {
        return Err(RangeErrorKind::TooLarge);
    }
    let index = |number: i128| {
        if start.is_padded() {
            Index::new(start.digits.len(), number.unsigned_abs())
        } else {
            Index::of_number(number)
        }
    };
    if step > 1 {
        spans.reserve(usize::try_from(many / step.unsigned_abs()).unwrap_or(0) + 1);
        let mut number = low;
        while number <= high {
            let index = index(number);
            spans.push(Span {
                first: index,
                last: index,
                tail: (),
            });
            number += step;
        }
        return Ok(());
    }
    // One span for each number of digits.
    let mut first = index(low);
    while first.value() <= high {
        let last = match first.digits() {
            0 => Index::of_number(high.min(-1)),
            digits => Index::new(digits, high.unsigned_abs().min(power(digits) - 1)),
        };
        spans.push(Span {
            first,
            last,
            tail: (),
        });
        first = index(last.value() + 1);
    }
    Ok(())
}

fn read_step(text: &str) -> Result<i128, RangeErrorKind> {
    let (bound, rest) = take_bound(text).ok_or(RangeErrorKind::NotANumber)?;
    if !rest.is_empty() || bound.digits.len() > MAX_DIGITS {
        return Err(RangeErrorKind::NotANumber);
    }
    Ok(bound.index().value())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(text: &str) -> String {
        RangeSet::parse(text).unwrap().to_string()
    }

    #[test]
    fn folds_to_the_same_set() {
        for (text, folded) in [
            ("1,2,3", "1-3"),
            ("1-10,01-09", "1-9,01-10"),
            ("9-11,09,099,100", "9,09-11,099-100"),
            ("1-9,010-099,100-120", "1-9,010-120"),
            ("1-5/2", "1,3,5"),
            ("-2-3", "-2-3"),
            ("-8--4", "-8--4"),
            ("-0", "0"),
            ("-3/2", "-3"),
            (" 1, 3 , 5 - 7 ", "1,3,5-7"),
            ("0-999999999", "0-999999999"),
            ("050,100-1000", "050,100-999,1000"),
            ("01,98-101", "01,98-99,100-101"),
            ("01,12-13,98-101", "01,12-13,98-101"),
            ("05-16,98-101", "05-16,98-101"),
            ("001,98-101", "98-99,001,100-101"),
            ("0001,98-101", "98-101,0001"),
        ] {
            assert_eq!(fold(text), folded, "{text}");
            assert_eq!(fold(folded), folded, "{text}");
        }
    }

    #[test]
    fn errors_are_worded_as_in_clustershell() {
        for (text, message) in [
            ("1-010", "padding length mismatch : \"1-010\""),
            ("5-1", "invalid values in range : \"5-1\""),
            ("1-5/0", "invalid values in range : \"1-5/0\""),
            ("1/2", "invalid step usage : \"1/2\""),
            ("-1/0", "invalid values in range : \"-1/0\""),
            ("1-5/a", "cannot convert string to integer : \"1-5/a\""),
            ("1,", "empty range"),
            ("a", "cannot convert string to integer : \"a\""),
            ("-01", "padding not supported in negative ranges : \"-01\""),
            ("1-2-3", "cannot convert string to integer : \"1-2-3\""),
            ("1-2000000000", "range too large"),
            ("0-999999999/2", "range too large"),
        ] {
            assert_eq!(RangeSet::parse(text).unwrap_err().to_string(), message);
        }
        assert_eq!(RangeSet::parse("1-3, 5-1").unwrap_err().offset, 5);
    }

    #[test]
    fn glue_puts_digits_at_both_ends() {
        let glue = |text: &str, before: &str, behind: &str| {
            RangeSet::parse(text)
                .unwrap()
                .glue(before, behind)
                .map(|set| set.to_string())
        };
        assert_eq!(glue("1-3", "5", "").unwrap(), "51-53");
        assert_eq!(glue("1-3", "0", "").unwrap(), "01-03");
        assert_eq!(glue("9-11", "5", "").unwrap(), "59,510-511");
        assert_eq!(glue("01-03", "", "5").unwrap(), "015,025,035");
        assert_eq!(glue("1-3", "1", "5").unwrap(), "115,125,135");
        assert_eq!(glue("-2-1", "", "5").unwrap(), "-25,-15,05,15");
        assert_eq!(glue("-1", "5", ""), Err(RangeErrorKind::NotANumber));
    }
}
