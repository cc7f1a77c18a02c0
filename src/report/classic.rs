//! ClusterShell's display: header blocks, labelled lines and diffs, byte for byte as its tools print them.
//!
//! Bytes that are not UTF-8 appear as U+FFFD. On a terminal control characters are escaped.

use std::borrow::Cow;
use std::io::{self, Write};

use memchr::memchr;

use super::text::write_visible;
use crate::event::Stream;
use crate::gather::Output;
use crate::gather::diff::{DiffLine, unified};
use crate::lines::{Line, LineEnd};

/// The rule above and below the name of a block.
const RULE: &str = "---------------";

/// What is coloured (`clush(1)`, "colour").
const LABEL: &str = "94";
const ERR_LABEL: &str = "91";
const INFORMATION: &str = "92";
const DIFF_FILE: &str = "1";
const DIFF_HUNK: &str = "96";
const DIFF_OLD: &str = "91";
const DIFF_NEW: &str = "92";

/// Shows outputs as ClusterShell's tools do.
#[derive(Debug)]
pub struct Classic<W> {
    /// Where to.
    pub out: W,
    /// Whether labels are coloured.
    pub color: bool,
    /// Whether control characters of nodes are escaped.
    pub escape: bool,
}

impl<W: Write> Classic<W> {
    fn colored(&mut self, color: &str, text: &str) -> io::Result<()> {
        if self.color {
            write!(self.out, "\x1b[{color}m{text}\x1b[0m")
        } else {
            self.out.write_all(text.as_bytes())
        }
    }

    /// The name of nodes, which on a terminal is only shown.
    fn name<'t>(&self, name: &'t str) -> Cow<'t, str> {
        if !self.escape {
            return name.into();
        }
        let mut shown = Vec::new();
        // Memory takes everything.
        let _ = write_visible(&mut shown, name.as_bytes());
        String::from_utf8_lossy(&shown).into_owned().into()
    }

    /// The header of a block, indented by `indent` blanks.
    ///
    /// # Errors
    /// What the writer said.
    pub fn header(&mut self, title: &str, indent: usize) -> io::Result<()> {
        let blank = " ".repeat(indent);
        let title = self.name(title);
        self.colored(
            LABEL,
            &format!("{blank}{RULE}\n{blank}{title}\n{blank}{RULE}"),
        )?;
        self.out.write_all(b"\n")
    }

    /// A line of ours about what is done, coloured.
    ///
    /// # Errors
    /// What the writer said.
    pub fn information(&mut self, line: &str) -> io::Result<()> {
        self.colored(INFORMATION, line)?;
        self.out.write_all(b"\n")
    }

    /// One line of a node, or a piece of one, behind the node's name where there is one.
    ///
    /// # Errors
    /// What the writer said.
    pub fn said(&mut self, label: Option<&str>, stream: Stream, line: Line<'_>) -> io::Result<()> {
        if let Some(label) = label {
            let color = match stream {
                Stream::Out => LABEL,
                Stream::Err => ERR_LABEL,
            };
            self.colored(color, &format!("{}: ", self.name(label)))?;
        }
        self.text(&String::from_utf8_lossy(line.text))?;
        match line.end {
            LineEnd::More => Ok(()),
            LineEnd::Newline | LineEnd::Nothing => self.out.write_all(b"\n"),
        }
    }

    /// A line of ours, which may name nodes.
    ///
    /// # Errors
    /// What the writer said.
    pub fn plain(&mut self, line: &str) -> io::Result<()> {
        for part in line.split('\n') {
            writeln!(self.out, "{}", self.name(part))?;
        }
        Ok(())
    }

    /// One line of a node, indented by `indent` blanks.
    ///
    /// # Errors
    /// What the writer said.
    pub fn line(&mut self, line: &[u8], indent: usize) -> io::Result<()> {
        write!(self.out, "{:indent$}", "")?;
        self.text(&String::from_utf8_lossy(line))?;
        self.out.write_all(b"\n")
    }

    /// A whole output, whose lines all end in a newline; a label stands before each.
    ///
    /// # Errors
    /// What the writer said, or what the output is read from.
    pub fn output(&mut self, label: Option<&str>, output: Output<'_>) -> io::Result<()> {
        let mut decoder = Decoder::default();
        let mut starts = true;
        let mut give = |text: &str| {
            if label.is_none() && !self.escape {
                return self.out.write_all(text.as_bytes());
            }
            let mut rest = text;
            while !rest.is_empty() {
                let end = memchr(b'\n', rest.as_bytes());
                let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
                if let (true, Some(label)) = (starts, label) {
                    self.colored(LABEL, &format!("{}: ", self.name(label)))?;
                }
                self.text(line)?;
                starts = end.is_some();
                rest = after;
                if let Some(after) = rest.strip_prefix('\n') {
                    self.out.write_all(b"\n")?;
                    rest = after;
                }
            }
            Ok(())
        };
        for chunk in output.chunks() {
            decoder.push(&chunk?, &mut give)?;
        }
        decoder.finish(&mut give)
    }

    /// How one output differs from another; nothing if it does not.
    ///
    /// # Errors
    /// What the writer said.
    pub fn diff(&mut self, old: (&str, &[u8]), new: (&str, &[u8])) -> io::Result<()> {
        let (old_lines, new_lines) = (lines(old.1), lines(new.1));
        let diff = unified(&old_lines, &new_lines);
        if diff.is_empty() {
            return Ok(());
        }
        for (mark, title) in [("---", old.0), ("+++", new.0)] {
            self.colored(DIFF_FILE, &format!("{mark} {}", self.name(title)))?;
            self.out.write_all(b"\n")?;
        }
        for line in diff {
            match line {
                DiffLine::Hunk(hunk) => self.colored(DIFF_HUNK, &hunk.to_string())?,
                DiffLine::Both(text) => {
                    self.out.write_all(b" ")?;
                    self.text(&String::from_utf8_lossy(text))?;
                }
                DiffLine::Old(text) => self.changed(DIFF_OLD, "-", text)?,
                DiffLine::New(text) => self.changed(DIFF_NEW, "+", text)?,
            }
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn changed(&mut self, color: &str, mark: &str, text: &[u8]) -> io::Result<()> {
        if self.color {
            write!(self.out, "\x1b[{color}m")?;
        }
        self.out.write_all(mark.as_bytes())?;
        self.text(&String::from_utf8_lossy(text))?;
        self.out
            .write_all(if self.color { b"\x1b[0m" } else { b"" })
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        if self.escape {
            write_visible(&mut self.out, text.as_bytes())
        } else {
            self.out.write_all(text.as_bytes())
        }
    }
}

/// The lines of an output, the newline that ends the last one left out.
fn lines(output: &[u8]) -> Vec<&[u8]> {
    match output.strip_suffix(b"\n") {
        Some(body) => body.split(|&byte| byte == b'\n').collect(),
        None if output.is_empty() => Vec::new(),
        None => output.split(|&byte| byte == b'\n').collect(),
    }
}

/// Makes text out of bytes that were cut anywhere, also within a character.
#[derive(Debug, Default)]
struct Decoder {
    /// The start of a character whose end has not come yet.
    cut: Vec<u8>,
}

impl Decoder {
    fn push(
        &mut self,
        mut bytes: &[u8],
        give: &mut impl FnMut(&str) -> io::Result<()>,
    ) -> io::Result<()> {
        while !self.cut.is_empty() {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(());
            };
            self.cut.push(*first);
            bytes = rest;
            let cut = std::mem::take(&mut self.cut);
            self.text(&cut, give)?;
        }
        self.text(bytes, give)
    }

    /// Gives what is text; what may become text stays in `cut`.
    fn text(
        &mut self,
        mut bytes: &[u8],
        give: &mut impl FnMut(&str) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            let error = match std::str::from_utf8(bytes) {
                Ok(text) => return give(text),
                Err(error) => error,
            };
            let (good, rest) = bytes.split_at(error.valid_up_to());
            if let Ok(good) = std::str::from_utf8(good) {
                give(good)?;
            }
            let Some(bad) = error.error_len() else {
                self.cut = rest.to_vec();
                return Ok(());
            };
            give("\u{fffd}")?;
            bytes = &rest[bad..];
        }
    }

    fn finish(self, give: &mut impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        if self.cut.is_empty() {
            Ok(())
        } else {
            give("\u{fffd}")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gather::Gather;

    fn classic(color: bool, escape: bool) -> Classic<Vec<u8>> {
        Classic {
            out: Vec::new(),
            color,
            escape,
        }
    }

    fn output(label: Option<&str>, bytes: &[u8], escape: bool) -> String {
        let mut gather = Gather::default();
        gather.push(0, bytes).unwrap();
        let mut classic = classic(false, escape);
        classic.output(label, gather.output(0)).unwrap();
        String::from_utf8(classic.out).unwrap()
    }

    #[test]
    fn labels_stand_before_each_line() {
        assert_eq!(
            output(Some("n1"), b"a\n\nb\n", false),
            "n1: a\nn1: \nn1: b\n"
        );
        assert_eq!(output(None, b"a\n\xff\n", false), "a\n\u{fffd}\n");
        assert_eq!(output(None, b"a\x1b[2J\n", true), "a\\x1b[2J\n");
        assert_eq!(output(Some("n"), b"a\x1b\nb\n", true), "n: a\\x1b\nn: b\n");
    }

    #[test]
    fn a_header_is_one_coloured_piece() {
        let mut classic = classic(true, false);
        classic.header("n1", 2).unwrap();
        assert_eq!(
            String::from_utf8(classic.out).unwrap(),
            "\x1b[94m  ---------------\n  n1\n  ---------------\x1b[0m\n"
        );
    }

    #[test]
    fn a_diff_names_both_sides() {
        let mut classic = classic(false, false);
        classic
            .diff(("n[1-2] (2)", b" a\n"), ("n3", b" b\n"))
            .unwrap();
        assert_eq!(
            String::from_utf8(classic.out).unwrap(),
            "--- n[1-2] (2)\n+++ n3\n@@ -1 +1 @@\n- a\n+ b\n"
        );
    }

    proptest! {
        #[test]
        fn cuts_do_not_change_the_text(
            bytes in prop::collection::vec(prop::sample::select(vec![b'a', 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, b'\n']), 0..20),
            cut in 0usize..20,
        ) {
            let mut decoder = Decoder::default();
            let mut text = String::new();
            let mut give = |piece: &str| { text.push_str(piece); Ok(()) };
            let (left, right) = bytes.split_at(cut.min(bytes.len()));
            decoder.push(left, &mut give).unwrap();
            decoder.push(right, &mut give).unwrap();
            decoder.finish(&mut give).unwrap();
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}
