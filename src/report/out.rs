//! Labelled output: a label, a line of a node, a newline, coloured and escaped as the terminal wants it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::text::write_visible;
use crate::gather::Output;
use crate::lines::{Line, LineEnd, LineSplitter};

/// The label in front of a line.
pub(super) const LABEL: Style = AnsiColor::Blue.on_default();
/// The name in front of a message about something that failed.
pub(super) const TROUBLE: Style = AnsiColor::Red.on_default();

/// One of our two streams.
#[derive(Debug)]
pub(super) struct Out<W> {
    pub(super) writer: W,
    pub(super) color: bool,
    pub(super) escape: bool,
}

impl<W: Write> Out<W> {
    /// Text of ours, in a style if there is colour.
    pub(super) fn styled(&mut self, style: Style, text: &str) -> io::Result<()> {
        if self.color {
            write!(self.writer, "{style}{text}{style:#}")
        } else {
            self.writer.write_all(text.as_bytes())
        }
    }

    /// One line of a node: `label: text`, without the blank when the line is empty.
    pub(super) fn line(&mut self, label: Option<&str>, line: Line<'_>) -> io::Result<()> {
        if let (Some(label), true) = (label, line.first) {
            self.styled(LABEL, label)?;
            self.writer
                .write_all(if line.text.is_empty() { b":" } else { b": " })?;
        }
        self.text(line.text)?;
        if line.end == LineEnd::More {
            Ok(())
        } else {
            self.writer.write_all(b"\n")
        }
    }

    /// Bytes of a node.
    pub(super) fn text(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.escape {
            write_visible(&mut self.writer, bytes)
        } else {
            self.writer.write_all(bytes)
        }
    }

    /// A whole output, line by line.
    pub(super) fn output(&mut self, label: Option<&str>, output: Output<'_>) -> io::Result<()> {
        let mut lines = LineSplitter::default();
        let mut give = |line: Line<'_>| self.line(label, line);
        for chunk in output.chunks() {
            lines.push(&chunk?, &mut give)?;
        }
        lines.finish(&mut give)
    }
}
