//! Where the sets come from: words and standard input.

use std::io::{self, Read};

use crate::nodeset::{
    Builder, EvalError, Groups, NodeSet, RangeError, RangeErrorKind, RangeSet, eval, parse,
};

use super::Failure;

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
        } else if is_plain(text) {
            into.add(text);
        } else {
            let value = parse(text)
                .map_err(EvalError::from)
                .and_then(|expr| eval(&expr, self.groups))?;
            into.add_set(&value);
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
        let mut input = io::stdin().lock();
        let mut block = vec![0; 64 * 1024];
        // What has been read of an expression that goes on in the next block.
        let mut begun: Vec<u8> = Vec::new();
        let mut comment = false;
        loop {
            let count = match input.read(&mut block) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::Plain(error.to_string())),
            };
            let mut rest = &block[..count];
            while !rest.is_empty() {
                if comment {
                    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                        break;
                    };
                    rest = &rest[end..];
                    comment = false;
                }
                let is_end = |byte: &u8| matches!(byte, b' ' | b'#' | b'\t'..=b'\r' | 0x1c..=0x1f);
                let Some(end) = rest.iter().position(is_end) else {
                    begun.extend_from_slice(rest);
                    break;
                };
                if begun.is_empty() {
                    self.add_bytes(&rest[..end], &mut builder)?;
                } else {
                    begun.extend_from_slice(&rest[..end]);
                    self.add_bytes(&begun, &mut builder)?;
                    begun.clear();
                }
                comment = rest[end] == b'#';
                rest = &rest[end + 1..];
            }
        }
        self.add_bytes(&begun, &mut builder)?;
        Ok(builder.finish())
    }

    /// Adds what stands between ASCII white space; there may be other white space inside.
    fn add_bytes(&self, bytes: &[u8], builder: &mut Builder) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(bytes);
        text.split_whitespace()
            .try_for_each(|word| self.add(word, builder))
    }
}

/// Whether the text is the name of one node and nothing else.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let special = |byte: &u8| {
        byte.is_ascii_whitespace()
            || !byte.is_ascii()
            || matches!(
                byte,
                b',' | b'!' | b'&' | b'^' | b'[' | b']' | b'*' | b'?' | b'@'
            )
    };
    !bytes.is_empty() && !bytes.iter().any(special) && !text.contains("..")
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
