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
            let ranges = RangeSet::parse(text).map_err(Failure::range)?;
            into.add_set(&NodeSet::from(ranges));
        } else {
            targets::add(text, self.groups, into)?;
        }
        Ok(())
    }

    /// Adds the value of an operand: `-` is standard input.
    pub(super) fn operand(&self, word: &str, into: &mut Builder) -> Result<(), Failure> {
        if word == "-" {
            self.standard_input(into)
        } else {
            self.word(word, into)
        }
    }

    /// Adds the expressions on the lines of a word.
    pub(super) fn word(&self, word: &str, into: &mut Builder) -> Result<(), Failure> {
        word.split('\n').try_for_each(|line| self.add(line, into))
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
