//! What nodes write, as lines: a carriage return before a newline is dropped, and the last line always ends.

use std::collections::HashMap;
use std::io;

use memchr::memchr;

use crate::event::NodeId;
use crate::gather::Gather;
use crate::lines::{Line, LineEnd};

/// A line without the carriage return before its newline.
pub(super) fn without_return(mut line: Line<'_>) -> Line<'_> {
    if line.end == LineEnd::Newline {
        line.text = line.text.strip_suffix(b"\r").unwrap_or(line.text);
    }
    line
}

/// Gathers whole streams without looking for their lines.
#[derive(Debug, Default)]
pub(super) struct Cleaner(HashMap<NodeId, End>);

/// How what a node wrote so far ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum End {
    /// With a newline, or not at all.
    #[default]
    Newline,
    /// With something else.
    Inside,
    /// With a carriage return, which was held back.
    Return,
}

impl Cleaner {
    /// Takes bytes, `None` for the end of the stream.
    pub(super) fn take(
        &mut self,
        node: NodeId,
        data: Option<&[u8]>,
        said: &mut Gather,
    ) -> io::Result<()> {
        let Some(mut rest) = data else {
            return match self.0.remove(&node).unwrap_or_default() {
                End::Newline => Ok(()),
                End::Inside => said.push(node.0, b"\n"),
                End::Return => said.push(node.0, b"\r\n"),
            };
        };
        let end = self.0.entry(node).or_default();
        if *end == End::Return && !rest.is_empty() {
            if rest[0] != b'\n' {
                said.push(node.0, b"\r")?;
            }
            *end = End::Inside;
        }
        while let Some(at) = memchr(b'\r', rest) {
            let (before, after) = (&rest[..at], &rest[at + 1..]);
            said.push(node.0, before)?;
            match after.first() {
                None => {
                    *end = End::Return;
                    return Ok(());
                }
                Some(b'\n') => {}
                Some(_) => said.push(node.0, b"\r")?,
            }
            rest = after;
        }
        if let Some(last) = rest.last() {
            *end = if *last == b'\n' {
                End::Newline
            } else {
                End::Inside
            };
            said.push(node.0, rest)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Stream;
    use crate::lines::Streams;

    const NODE: NodeId = NodeId(0);

    fn cleaned(chunks: &[&[u8]]) -> Vec<u8> {
        let (mut cleaner, mut said) = (Cleaner::default(), Gather::default());
        for chunk in chunks {
            cleaner.take(NODE, Some(chunk), &mut said).unwrap();
        }
        cleaner.take(NODE, None, &mut said).unwrap();
        said.output(0).to_vec().unwrap()
    }

    fn split(chunks: &[&[u8]]) -> Vec<u8> {
        let mut streams = Streams::default();
        let mut all = Vec::new();
        let ends = [None];
        for data in chunks.iter().copied().map(Some).chain(ends) {
            let give = |line: Line<'_>| {
                all.extend_from_slice(without_return(line).text);
                all.push(b'\n');
                Ok::<(), io::Error>(())
            };
            streams.take(NODE, Stream::Out, data, give).unwrap();
        }
        all
    }

    #[test]
    fn one_return_goes_and_the_last_line_ends() {
        assert_eq!(cleaned(&[b"a\r\nb\rc\n\r\r\n"]), b"a\nb\rc\n\r\n");
        assert_eq!(cleaned(&[b"a\r", b"\nb"]), b"a\nb\n");
        assert_eq!(cleaned(&[b"a\r"]), b"a\r\n");
        assert_eq!(cleaned(&[b""]), b"");
    }

    proptest! {
        #[test]
        fn both_ways_give_the_same(text in "[ab\r\n]{0,20}", cut in 0usize..20, second in 0usize..20) {
            let bytes = text.as_bytes();
            let (left, right) = bytes.split_at(cut.min(bytes.len()));
            let (middle, right) = right.split_at(second.min(right.len()));
            prop_assert_eq!(cleaned(&[left, middle, right]), split(&[bytes]));
        }
    }
}
