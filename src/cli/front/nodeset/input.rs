//! Where the sets come from: words and standard input.

use std::io;

use super::Failure;
use crate::cli::resolve::lists::{self, Content, Format, ListError};
use crate::cli::resolve::targets;
use crate::nodeset::{Builder, EvalError, Groups, NodeSet, RangeError, RangeErrorKind, RangeSet};

/// Reads expressions: of node sets, or in range set mode of range sets.
pub(super) struct Reader<'a> {
    pub(super) groups: &'a dyn Groups,
    pub(super) ranges: bool,
}

impl Reader<'_> {
    /// Adds the value of one expression.
    fn add(&self, text: &str, into: &mut Builder) -> Result<(), Failure> {
        if self.ranges {
            let ranges = match text.is_empty() {
                true => Err(RangeError {
                    kind: RangeErrorKind::Empty,
                    part: String::new(),
                    offset: 0,
                }),
                false => RangeSet::parse(text),
            };
            let ranges = ranges.map_err(Failure::range)?;
            into.add_set(&NodeSet::from(ranges));
        } else {
            targets::add(text, self.groups, into)?;
        }
        Ok(())
    }

    /// The value of the operand of an option: one expression, whatever it holds; `-` is standard input.
    pub(super) fn option(&self, text: &str) -> Result<NodeSet, Failure> {
        let mut value = Builder::new();
        match text {
            "-" => self.standard_input(&mut value)?,
            text => self.add(text, &mut value)?,
        }
        Ok(value.finish())
    }

    /// Adds the value of a word: `-` is standard input.
    pub(super) fn operand(&self, word: &str, into: &mut Builder) -> Result<(), Failure> {
        if word == "-" {
            self.standard_input(into)
        } else {
            self.word(word, into)
        }
    }

    /// Adds the expressions on the lines of a word.
    pub(super) fn word(&self, word: &str, into: &mut Builder) -> Result<(), Failure> {
        lines(word).try_for_each(|line| self.add(line, into))
    }

    /// Adds the expressions of standard input: separated by white space, `#` begins a comment.
    pub(super) fn standard_input(&self, into: &mut Builder) -> Result<(), Failure> {
        let format = Format {
            comments: true,
            content: Content::Stream,
        };
        let read = lists::words(io::stdin().lock(), format, |word| self.add(word, into));
        read.map_err(|error| match error {
            ListError::Word { error, .. } => error,
            ListError::System(_)
            | ListError::NoFile(_)
            | ListError::TooLong
            | ListError::NoText { .. } => Failure::Plain(error.to_string()),
        })
    }
}

/// The lines of a text, as Python parts them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    const ENDS: [char; 10] = [
        '\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}',
        '\u{2029}',
    ];
    text.split_inclusive(ENDS)
        // `\r\n` is one end: the text between the two is not a line.
        .scan(false, |after_return, line| {
            let is_rest = *after_return && line == "\n";
            *after_return = line.ends_with('\r');
            Some((!is_rest).then(|| line.trim_end_matches(ENDS)))
        })
        .flatten()
}

impl Failure {
    /// What is wrong with a range set.
    pub(super) fn range(error: RangeError) -> Self {
        if error.kind == RangeErrorKind::TooLarge {
            return Self::Plain(error.to_string());
        }
        Self::Named(format!("Parse error: {error}"))
    }
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Self {
        let too_large = matches!(&error, EvalError::Parse(parse) if parse.is_too_large());
        let message = error.to_string();
        if too_large {
            Self::Plain(message)
        } else {
            Self::Named(message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_python_ends_them() {
        for (text, expected) in [
            ("", &[][..]),
            ("\n", &[""]),
            ("a\r\nb\rc\n\nd\u{2028}", &["a", "b", "c", "", "d"]),
            ("a\n\r", &["a", ""]),
            ("\r\n\n", &["", ""]),
        ] {
            assert_eq!(lines(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }
}
