//! Shared wording: what a terminal must not see, plurals.

use std::fmt;
use std::io::{self, Write};

use crate::event::is_unsafe;

/// Writes what a node said so that a terminal only shows it: control characters but the tab, bytes that are not
/// UTF-8 and characters that turn the direction of writing appear as `\xNN` or `\u{NNNN}`.
///
/// # Errors
/// What the writer said.
pub fn write_visible(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        let mut written = 0;
        for (at, c) in valid.char_indices() {
            if c != '\t' && is_unsafe(c) {
                out.write_all(&valid.as_bytes()[written..at])?;
                if c.is_ascii() {
                    write!(out, "\\x{:02x}", u32::from(c))?;
                } else {
                    write!(out, "\\u{{{:x}}}", u32::from(c))?;
                }
                written = at + c.len_utf8();
            }
        }
        out.write_all(&valid.as_bytes()[written..])?;
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

/// A number with its noun: `1 node`, `2 nodes`.
#[derive(Debug, Clone, Copy)]
pub struct Count<'a>(pub usize, pub &'a str);

impl fmt::Display for Count<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, noun) = *self;
        write!(f, "{number} {noun}{}", if number == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_the_cursor_reaches_the_terminal() {
        let visible = |bytes: &[u8]| {
            let mut out = Vec::new();
            write_visible(&mut out, bytes).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(visible("déjà\tvu".as_bytes()), "déjà\tvu");
        assert_eq!(visible(b"\x1b[2J\rx\x7f"), "\\x1b[2J\\x0dx\\x7f");
        assert_eq!(visible(b"a\x9bb\xff"), "a\\x9bb\\xff");
        assert_eq!(visible("\u{9b}\u{202e}".as_bytes()), "\\u{9b}\\u{202e}");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(Count(1, "node").to_string(), "1 node");
        assert_eq!(Count(0, "node").to_string(), "0 nodes");
    }
}
