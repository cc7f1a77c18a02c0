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

    /// The value of an operand: `-` is standard input.
    pub(super) fn operand(&self, word: &str) -> Result<NodeSet, Failure> {
        if word == "-" {
            self.standard_input()
        } else {
            self.word(word)
        }
    }

    /// The union of the expressions on the lines of a word.
    pub(super) fn word(&self, word: &str) -> Result<NodeSet, Failure> {
        let mut builder = Builder::new();
        for line in word.split('\n') {
            self.add(line, &mut builder)?;
        }
        Ok(builder.finish())
    }

    /// The union of the expressions of standard input: separated by white space, `#` begins a comment.
    pub(super) fn standard_input(&self) -> Result<NodeSet, Failure> {
        let mut builder = Builder::new();
        let format = Format {
            comments: true,
            content: Content::Stream,
        };
        let input = io::stdin().lock();
        let read = lists::words(input, format, |word| self.add(word, &mut builder));
        match read {
            Ok(()) => Ok(builder.finish()),
            Err(ListError::Word { error, .. }) => Err(error),
            Err(
                error @ (ListError::System(_)
                | ListError::NoFile(_)
                | ListError::TooLong
                | ListError::NoText { .. }),
            ) => Err(Failure::Plain(error.to_string())),
        }
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
