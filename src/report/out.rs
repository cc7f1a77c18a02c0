//! Labelled output: a label, a line of a node, a newline, coloured and escaped as the terminal wants it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::states;
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
    /// Whether lines are made of answers about servers, whose states are coloured if there is colour.
    pub(super) states: bool,
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

    /// A whole line of ours about nodes.
    pub(super) fn said(&mut self, label: Option<&String>, text: &str) -> io::Result<()> {
        let line = Line {
            text: text.as_bytes(),
            first: true,
            end: LineEnd::Newline,
        };
        self.line(label.map(String::as_str), line)
    }

    /// Bytes of a node.
    pub(super) fn text(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.states && self.color {
            let mut text = Vec::new();
            write_visible(&mut text, bytes)?;
            return states::write(&mut self.writer, &String::from_utf8_lossy(&text));
        }
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
