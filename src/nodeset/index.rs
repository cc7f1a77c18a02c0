//! One index of a node name: a run of digits, of which `1`, `01` and `001` are three, or a negative number.

use std::fmt::Write;

/// The longest run of digits that counts as an index; a longer one is text of the name.
pub(super) const MAX_DIGITS: usize = 36;

/// An index, ordered as folded: negative numbers first, then by number of digits, then by value.
///
/// All of it is one integer: the number of digits above [`Index::SHIFT`] and the value below it, so that
/// neighbours with the same number of digits are neighbouring integers. Negative numbers have no digits
/// and are kept as a complement, which leaves a gap to zero: no two classes touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Index(u128);

/// 10 to the power of `exponent`, which is at most [`MAX_DIGITS`].
pub(super) const fn power(exponent: usize) -> u128 {
    10u128.pow(exponent as u32)
}

impl Index {
    /// Before all others.
    pub(super) const MIN: Self = Self(0);

    const SHIFT: u32 = 120;
    const MASK: u128 = (1 << Self::SHIFT) - 1;

    /// The index written with that many digits; `value` has at most so many.
    pub(super) const fn new(digits: usize, value: u128) -> Self {
        Self((digits as u128) << Self::SHIFT | value)
    }

    /// The index that a run of 1 to [`MAX_DIGITS`] ASCII digits writes.
    pub(super) fn of_digits(text: &[u8]) -> Self {
        let mut low = 0u64;
        if text.len() <= 18 {
            for &byte in text {
                low = low * 10 + u64::from(byte - b'0');
            }
            return Self::new(text.len(), u128::from(low));
        }
        let value = text
            .iter()
            .fold(0, |value, &byte| value * 10 + u128::from(byte - b'0'));
        Self::new(text.len(), value)
    }

    /// The number written without padding; its magnitude is below 10^[`MAX_DIGITS`].
    pub(super) fn of_number(number: i128) -> Self {
        let magnitude = number.unsigned_abs();
        if number < 0 {
            Self(Self::MASK - magnitude)
        } else {
            Self::new(digits_of(magnitude), magnitude)
        }
    }

    /// How many digits it is written with, 0 if it is negative.
    pub(super) const fn digits(self) -> usize {
        (self.0 >> Self::SHIFT) as usize
    }

    /// The number.
    pub(super) const fn value(self) -> i128 {
        let low = self.0 & Self::MASK;
        if self.digits() == 0 {
            -((Self::MASK - low) as i128)
        } else {
            low as i128
        }
    }

    /// Whether it has leading zeros.
    pub(super) fn is_padded(self) -> bool {
        let digits = self.digits();
        digits > 1 && self.0 & Self::MASK < power(digits - 1)
    }

    /// The next index with the same number of digits. Past the last one the result equals no index.
    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The index before, with the same number of digits.
    pub(super) const fn previous(self) -> Self {
        Self(self.0 - 1)
    }

    /// The index `steps` further, with the same number of digits.
    pub(super) const fn plus(self, steps: u128) -> Self {
        Self(self.0 + steps)
    }

    /// How far it is from `first`, which has the same number of digits and is not greater.
    pub(super) const fn since(self, first: Self) -> u128 {
        self.0 - first.0
    }

    /// A key that orders indexes as their texts are ordered: `10` before `2`, `-1` before both.
    pub(super) fn textual(self) -> u128 {
        let (digits, negative) = match self.digits() {
            0 => (digits_of(self.value().unsigned_abs()), 0),
            digits => (digits, 1 << 127),
        };
        negative | (self.value().unsigned_abs() * power(MAX_DIGITS - digits)) << 7 | digits as u128
    }

    /// Appends its text.
    pub(super) fn write(self, out: &mut String) {
        let digits = self.digits();
        let value = self.0 & Self::MASK;
        match u64::try_from(value) {
            Ok(mut rest) if digits > 0 && digits <= 20 => {
                let mut text = [b'0'; 20];
                for place in text[..digits].iter_mut().rev() {
                    *place = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
                out.push_str(std::str::from_utf8(&text[..digits]).unwrap_or_default());
            }
            _ if digits == 0 => {
                let _ = write!(out, "{}", self.value());
            }
            _ => {
                let _ = write!(out, "{value:0digits$}");
            }
        }
    }
}

/// How many digits the number is written with.
fn digits_of(value: u128) -> usize {
    value.checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(index: Index) -> String {
        let mut out = String::new();
        index.write(&mut out);
        out
    }

    #[test]
    fn text_comes_back() {
        for digits in [
            "0",
            "1",
            "01",
            "007",
            "18446744073709551616",
            "000000000000000000000000000000000009",
        ] {
            assert_eq!(text(Index::of_digits(digits.as_bytes())), digits);
        }
        for number in [-1, -10, -12_345_678_901_234_567_890_123, 0, 9, 10] {
            assert_eq!(text(Index::of_number(number)), number.to_string());
            assert_eq!(Index::of_number(number).value(), number);
        }
    }

    #[test]
    fn order_is_by_digits_then_value() {
        let ordered = ["0", "9", "00", "09", "10", "99", "000", "100"];
        let indexes: Vec<_> = ordered
            .iter()
            .map(|text| Index::of_digits(text.as_bytes()))
            .collect();
        assert!(indexes.is_sorted());
        assert!(Index::of_number(-10) < Index::of_number(-9));
        assert!(Index::of_number(-1) < Index::of_number(0));
        assert_ne!(Index::of_number(-1).next(), Index::of_number(0));
    }

    #[test]
    fn textual_order_is_that_of_the_text() {
        let mut texts = [
            "-1", "-12", "0", "00", "001", "01", "1", "10", "100", "2", "20", "9",
        ];
        texts.sort_unstable();
        let keys: Vec<_> = texts
            .iter()
            .map(|text| match text.strip_prefix('-') {
                Some(digits) => Index::of_number(-digits.parse::<i128>().unwrap()),
                None => Index::of_digits(text.as_bytes()),
            })
            .map(Index::textual)
            .collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{texts:?}");
    }
}
