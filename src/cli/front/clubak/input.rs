//! Standard input: `node: text` lines, or the events of `hash --jsonl`.

use std::io::{self, Write};

use data_encoding::BASE64;
use memchr::{memchr, memmem::Finder};
use serde_json::Value;

use super::Error;
use super::keys::Keys;
use super::options::Options;
use crate::gather::Gather;
use crate::gather::tree::LineTree;
use crate::lines::{Line, LineEnd, LineSplitter};
use crate::report::text::write_visible;

/// What is kept of the nodes' outputs.
#[derive(Debug)]
pub(super) enum Kept {
    /// Each distinct output, whole; every line ends in a newline.
    Whole(Gather),
    /// The lines as a tree.
    Tree(LineTree),
}

/// Takes standard input and keeps what the nodes said.
pub(super) struct Input<'a> {
    lines: LineSplitter,
    reader: Reader<'a>,
}

struct Reader<'a> {
    separator: Finder<'static>,
    /// Where each line is echoed, if it is, and whether that is a terminal.
    echo: Option<(&'a mut dyn Write, bool)>,
    keys: Keys<'a>,
    kept: Kept,
    form: InputFormat,
    /// The nodes that the rest of the line at hand belongs to, if its beginning was read already.
    inside: Option<Vec<u32>>,
    /// Carriage returns at the end of what was read: they count only if more of the line follows.
    returns: usize,
    /// The line at hand, where lines are kept whole.
    line: Vec<u8>,
    /// How many lines each node has, if that is asked for.
    counts: Option<Vec<usize>>,
    fast: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InputFormat {
    Unknown,
    Text,
    Events,
}

impl<'a> Input<'a> {
    pub(super) fn new(
        options: &Options,
        keys: Keys<'a>,
        kept: Kept,
        out: (&'a mut dyn Write, bool),
    ) -> Self {
        Self {
            lines: LineSplitter::default(),
            reader: Reader {
                separator: Finder::new(options.separator.as_bytes()).into_owned(),
                echo: options.echo.then_some(out),
                keys,
                kept,
                form: InputFormat::Unknown,
                inside: None,
                returns: 0,
                line: Vec::new(),
                counts: options.debug.then(Vec::new),
                fast: options.fast,
            },
        }
    }

    /// Takes some of the input.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let reader = &mut self.reader;
        self.lines.push(bytes, |line| reader.take(line))
    }

    /// There is no more: what was kept, of whom, and the number of lines of the node that said most.
    pub(super) fn finish(mut self) -> Result<(Kept, Keys<'a>, usize), Error> {
        let reader = &mut self.reader;
        self.lines.finish(|line| reader.take(line))?;
        let most = self.reader.counts.iter().flatten().max().copied();
        let depth = match most.unwrap_or(0) {
            0 => 0,
            _ if self.reader.fast => 1,
            most => most,
        };
        Ok((self.reader.kept, self.reader.keys, depth))
    }
}

impl Reader<'_> {
    /// Takes a line, or a piece of one.
    fn take(&mut self, line: Line<'_>) -> Result<(), Error> {
        if self.form == InputFormat::Unknown {
            self.form = match event(line.text) {
                Some(_) => InputFormat::Events,
                None => InputFormat::Text,
            };
        }
        if self.form == InputFormat::Events {
            return self.take_event(line);
        }
        let ends = line.end != LineEnd::More;
        let text = line.text;
        let trimmed = text.trim_ascii_end_of(b'\r');
        self.echo(text, ends)?;
        if let Some(nodes) = self.inside.take() {
            self.keep_piece(&nodes, text, ends)?;
            self.inside = (!ends).then_some(nodes);
            return Ok(());
        }
        let found = if self.separator.needle().is_empty() {
            return Err(bad_line("empty separator", trimmed));
        } else {
            find(&self.separator, trimmed)
        };
        let Some(at) = found else {
            return Err(bad_line(
                "not enough values to unpack (expected 2, got 1)",
                trimmed,
            ));
        };
        let Some(nodes) = self.keys.nodes(&trimmed[..at])? else {
            return Err(bad_line("no node found", trimmed));
        };
        let nodes = nodes.as_slice();
        if let Some(counts) = &mut self.counts {
            for node in nodes {
                let node = *node as usize;
                if node >= counts.len() {
                    counts.resize(node + 1, 0);
                }
                counts[node] += 1;
            }
        }
        let content = at + self.separator.needle().len();
        if !ends {
            let nodes = nodes.to_vec();
            self.keep_piece(&nodes, &text[content..], false)?;
            self.inside = Some(nodes);
            return Ok(());
        }
        keep(&mut self.kept, nodes, &trimmed[content..])
    }

    /// Keeps a piece of a very long line.
    fn keep_piece(&mut self, nodes: &[u32], piece: &[u8], ends: bool) -> Result<(), Error> {
        let trimmed = piece.trim_ascii_end_of(b'\r');
        let gather = match &mut self.kept {
            Kept::Tree(_) => {
                self.line.extend_from_slice(piece);
                if ends {
                    let line = std::mem::take(&mut self.line);
                    keep(&mut self.kept, nodes, line.trim_ascii_end_of(b'\r'))?;
                }
                return Ok(());
            }
            Kept::Whole(gather) => gather,
        };
        if !trimmed.is_empty() {
            let returns = vec![b'\r'; std::mem::take(&mut self.returns)];
            for &node in nodes {
                gather.push(node, &returns)?;
                gather.push(node, trimmed)?;
            }
        }
        self.returns += piece.len() - trimmed.len();
        if ends {
            self.returns = 0;
            for &node in nodes {
                gather.push(node, b"\n")?;
            }
        }
        Ok(())
    }

    fn echo(&mut self, text: &[u8], ends: bool) -> io::Result<()> {
        let Some((out, is_terminal)) = &mut self.echo else {
            return Ok(());
        };
        if self.inside.is_none() {
            out.write_all(b"INPUT ")?;
        }
        let text = if ends {
            text.trim_ascii_end_of(b'\r')
        } else {
            text
        };
        let shown = String::from_utf8_lossy(text);
        if *is_terminal {
            write_visible(out, shown.as_bytes())?;
        } else {
            out.write_all(shown.as_bytes())?;
        }
        if ends {
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn take_event(&mut self, line: Line<'_>) -> Result<(), Error> {
        self.line.extend_from_slice(line.text);
        if line.end == LineEnd::More {
            return Ok(());
        }
        let text = std::mem::take(&mut self.line);
        self.echo(&text, true)?;
        let Some(event) = event(&text) else {
            return Err(bad_line("not an event", &text));
        };
        let Some(("line", name)) = event["event"].as_str().zip(event["node"].as_str()) else {
            return Ok(());
        };
        let coded = event["line_b64"].as_str();
        let said = match (
            event["line"].as_str(),
            coded.map(|coded| BASE64.decode(coded.as_bytes())),
        ) {
            (Some(said), _) => said.as_bytes().to_vec(),
            (None, Some(Ok(said))) => said,
            (None, Some(Err(_)) | None) => {
                return Err(bad_line("an event without its line", &text));
            }
        };
        let more = event["more"].as_bool().unwrap_or(false);
        let node = self.keys.node(name);
        if let Kept::Whole(gather) = &mut self.kept {
            gather.push(node, &said)?;
            if !more {
                gather.push(node, b"\n")?;
            }
            return Ok(());
        }
        keep(&mut self.kept, &[node], &said)
    }
}

/// Where the separator is. Most often it is one byte near the start, for which a search of its own is faster.
fn find(separator: &Finder<'_>, line: &[u8]) -> Option<usize> {
    match separator.needle() {
        [byte] => memchr(*byte, line),
        _ => separator.find(line),
    }
}

/// Keeps a line.
fn keep(kept: &mut Kept, nodes: &[u32], line: &[u8]) -> Result<(), Error> {
    for &node in nodes {
        match kept {
            Kept::Whole(gather) => {
                gather.push(node, line)?;
                gather.push(node, b"\n")?;
            }
            Kept::Tree(tree) => tree.push(node, line),
        }
    }
    Ok(())
}

/// An event of `hash --jsonl`, if the line is one.
fn event(line: &[u8]) -> Option<Value> {
    if line.first() != Some(&b'{') {
        return None;
    }
    let event: Value = serde_json::from_slice(line).ok()?;
    (event["v"].is_u64() && event["event"].is_string()).then_some(event)
}

fn bad_line(what: &str, line: &[u8]) -> Error {
    Error::Message(format!("{what}: \"{}\"", String::from_utf8_lossy(line)))
}

/// Bytes without one byte at their end.
trait TrimEnd {
    fn trim_ascii_end_of(&self, byte: u8) -> &[u8];
}

impl TrimEnd for [u8] {
    fn trim_ascii_end_of(&self, byte: u8) -> &[u8] {
        let end = self.iter().rposition(|&found| found != byte);
        &self[..end.map_or(0, |end| end + 1)]
    }
}
