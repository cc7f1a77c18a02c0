//! Shared wording: lines out of bytes, what a terminal must not see, plurals.

use std::fmt;
use std::io::{self, Write};

use memchr::memchr;

/// The longest piece of a line that [`LineSplitter`] holds back.
pub const LONGEST: usize = 1024 * 1024;

/// A line, or a piece of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes, without the newline.
    pub text: &'a [u8],
    /// What comes behind it.
    pub end: LineEnd,
}

/// What comes behind a [`Line`]'s bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// A newline.
    Newline,
    /// More of the same line, which is longer than [`LONGEST`].
    More,
    /// Nothing: the output ended without a newline.
    Nothing,
}

/// Makes lines out of bytes that were cut anywhere.
///
/// It holds back what may be part of a line, but at most [`LONGEST`] bytes: longer lines are given in pieces.
#[derive(Debug, Default)]
pub struct LineSplitter {
    partial: Vec<u8>,
    /// A piece of the current line was given already.
    inside: bool,
}

impl LineSplitter {
    /// Takes bytes and gives the lines that they complete.
    ///
    /// # Errors
    /// The first error of `give`; the rest of the bytes is then lost.
    pub fn push<E>(
        &mut self,
        mut bytes: &[u8],
        mut give: impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(at) = memchr(b'\n', bytes) {
            let (text, rest) = (&bytes[..at], &bytes[at + 1..]);
            bytes = rest;
            self.inside = false;
            let end = LineEnd::Newline;
            if self.partial.is_empty() {
                give(Line { text, end })?;
            } else {
                self.partial.extend_from_slice(text);
                let given = give(Line {
                    text: &self.partial,
                    end,
                });
                self.partial.clear();
                given?;
            }
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LONGEST {
            self.inside = true;
            let given = give(Line {
                text: &self.partial,
                end: LineEnd::More,
            });
            self.partial = Vec::new();
            given?;
        }
        Ok(())
    }

    /// There is no more: gives what was held back.
    ///
    /// # Errors
    /// What `give` said.
    pub fn finish<E>(&mut self, give: impl FnOnce(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        let text = std::mem::take(&mut self.partial);
        if text.is_empty() && !self.inside {
            return Ok(());
        }
        self.inside = false;
        give(Line {
            text: &text,
            end: LineEnd::Nothing,
        })
    }
}

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
            if is_unsafe(c) {
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

fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, LineEnd)> {
        let mut lines = Vec::new();
        let mut splitter = LineSplitter::default();
        let mut give = |line: Line<'_>| {
            lines.push((line.text.to_vec(), line.end));
            Ok::<(), Infallible>(())
        };
        for chunk in chunks {
            splitter.push(chunk, &mut give).unwrap();
        }
        splitter.finish(&mut give).unwrap();
        lines
    }

    #[test]
    fn the_last_line_may_have_no_newline() {
        let ended = |text: &str| (text.as_bytes().to_vec(), LineEnd::Newline);
        assert_eq!(
            split(&[b"a\n", b"\nb\n"]),
            [ended("a"), ended(""), ended("b")]
        );
        assert_eq!(
            split(&[b"a\nb"]),
            [ended("a"), (b"b".to_vec(), LineEnd::Nothing)]
        );
        assert_eq!(split(&[b""]), []);
    }

    #[test]
    fn a_very_long_line_comes_in_pieces() {
        let chunk = vec![b'x'; 700 * 1024];
        let lines = split(&[&chunk, &chunk, &chunk, b"\ny"]);
        let ends: Vec<_> = lines.iter().map(|(_, end)| *end).collect();
        assert_eq!(ends, [LineEnd::More, LineEnd::Newline, LineEnd::Nothing]);
        assert_eq!(lines[0].0.len() + lines[1].0.len(), 3 * chunk.len());
    }

    #[test]
    fn a_long_line_without_an_end_is_still_ended() {
        let chunk = vec![b'x'; LONGEST + 1];
        let lines = split(&[&chunk]);
        assert_eq!(lines[0].1, LineEnd::More);
        assert_eq!(lines[1], (Vec::new(), LineEnd::Nothing));
    }

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

    proptest! {
        #[test]
        fn lines_do_not_depend_on_the_cuts(text in "[ab\n]{0,40}", cut in any::<prop::sample::Index>()) {
            let (left, right) = text.as_bytes().split_at(cut.index(text.len() + 1));
            prop_assert_eq!(split(&[left, right]), split(&[text.as_bytes()]));
        }
    }
}
