//! Lines out of bytes that were cut anywhere: what every reader of a stream of lines uses.

use std::collections::HashMap;

use memchr::memchr;

use crate::event::{NodeId, Stream};

/// The longest piece of a line that [`LineSplitter`] holds back.
pub const LONGEST: usize = 1024 * 1024;

/// A line, or a piece of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes, without the newline.
    pub text: &'a [u8],
    /// It begins with the line; false for the later pieces of a line longer than [`LONGEST`].
    pub first: bool,
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
            let (first, end) = (!std::mem::take(&mut self.inside), LineEnd::Newline);
            if self.partial.is_empty() {
                give(Line { text, first, end })?;
            } else {
                self.partial.extend_from_slice(text);
                let text = &self.partial;
                let given = give(Line { text, first, end });
                self.partial.clear();
                given?;
            }
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LONGEST {
            let text = &std::mem::take(&mut self.partial);
            let first = !std::mem::replace(&mut self.inside, true);
            let end = LineEnd::More;
            give(Line { text, first, end })?;
        }
        Ok(())
    }

    /// There is no more: gives what was held back.
    ///
    /// # Errors
    /// What `give` said.
    pub fn finish<E>(&mut self, give: impl FnOnce(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        let text = &std::mem::take(&mut self.partial);
        let first = !std::mem::take(&mut self.inside);
        if text.is_empty() && first {
            return Ok(());
        }
        let end = LineEnd::Nothing;
        give(Line { text, first, end })
    }
}

/// Makes lines out of the streams of many nodes.
#[derive(Debug, Default)]
pub struct Streams(HashMap<(NodeId, Stream), LineSplitter>);

impl Streams {
    /// Takes bytes of a stream, or `None` at its end, and gives the lines that they complete.
    ///
    /// # Errors
    /// The first error of `give`; the rest of the bytes is then lost.
    pub fn take<E>(
        &mut self,
        node: NodeId,
        stream: Stream,
        data: Option<&[u8]>,
        give: impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match data {
            Some(data) => self.0.entry((node, stream)).or_default().push(data, give),
            None => match self.0.remove(&(node, stream)) {
                Some(mut lines) => lines.finish(give),
                None => Ok(()),
            },
        }
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
        let mut streams = Streams::default();
        let mut firsts = Vec::new();
        for data in [
            Some(&*chunk),
            Some(&chunk),
            Some(b"x"),
            Some(b"\nx\ny"),
            None,
        ] {
            let give = |line: Line<'_>| {
                firsts.push(line.first);
                Ok::<(), Infallible>(())
            };
            streams.take(NodeId(7), Stream::Err, data, give).unwrap();
        }
        assert_eq!(firsts, [true, false, true, true]);
        assert_eq!(lines[0].0.len() + lines[1].0.len(), 3 * chunk.len());
    }

    #[test]
    fn a_long_line_without_an_end_is_still_ended() {
        let chunk = vec![b'x'; LONGEST + 1];
        let lines = split(&[&chunk]);
        assert_eq!(lines[0].1, LineEnd::More);
        assert_eq!(lines[1], (Vec::new(), LineEnd::Nothing));
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_the_cuts(text in "[ab\n]{0,40}", cut in any::<prop::sample::Index>()) {
            let (left, right) = text.as_bytes().split_at(cut.index(text.len() + 1));
            prop_assert_eq!(split(&[left, right]), split(&[text.as_bytes()]));
        }
    }
}
