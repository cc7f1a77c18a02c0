//! Equal answers once: labelled lines or header blocks, when all nodes are done.

use std::collections::HashMap;
use std::io::{self, Write};

use super::Reporter;
use super::notes::{Notes, fold};
use super::out::{LABEL, Out};
use super::text::{Line, LineEnd, LineSplitter};
use crate::event::{Event, NodeId, Stop, Stream, Summary};
use crate::gather::{Gather, Group};

/// How a group of nodes is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labels {
    /// Not at all.
    None,
    /// In front of each line.
    Lines,
    /// In a block above.
    Blocks,
}

/// Shows each distinct output once. Standard error is gathered by itself and goes to ours.
#[derive(Debug)]
pub struct Gathered<W, E> {
    pub(super) out: Out<W>,
    pub(super) notes: Notes<E>,
    pub(super) labels: Labels,
    /// With standard error among the rest: what either stream holds of a line that is not whole yet, so that
    /// lines of one are not put into lines of the other.
    pub(super) merge_err: Option<HashMap<(NodeId, Stream), LineSplitter>>,
    pub(super) said: Gather,
    pub(super) complained: Gather,
}

impl<W: Write, E: Write> Reporter for Gathered<W, E> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { .. } => {}
            Event::Output { node, stream, data } => {
                let said = &mut self.said;
                match (&mut self.merge_err, stream) {
                    (Some(partial), _) => partial
                        .entry((*node, *stream))
                        .or_default()
                        .push(data, |line| push_line(said, *node, line))?,
                    (None, Stream::Out) => said.push(node.0, data)?,
                    (None, Stream::Err) => self.complained.push(node.0, data)?,
                }
            }
            Event::Finished { node, outcome, .. } => {
                let said = &mut self.said;
                for stream in [Stream::Out, Stream::Err] {
                    let partial = self
                        .merge_err
                        .as_mut()
                        .and_then(|all| all.remove(&(*node, stream)));
                    if let Some(mut partial) = partial {
                        partial.finish(|line| push_line(said, *node, line))?;
                    }
                }
                self.said.finish(node.0, outcome.status());
                self.complained.finish(node.0, outcome.status());
            }
        }
        Ok(())
    }

    fn stopping(&mut self, level: Stop, pending: &[NodeId]) -> io::Result<()> {
        self.notes.stopping(level, pending)
    }

    fn asked(&mut self, running: &[NodeId], waiting: &[NodeId]) -> io::Result<()> {
        self.notes.asked(running, waiting)
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        for group in self.said.groups() {
            show(&mut self.out, &group, self.labels, &self.notes.names)?;
        }
        self.out.writer.flush()?;
        for group in self.complained.groups() {
            show(&mut self.notes.err, &group, self.labels, &self.notes.names)?;
        }
        self.notes.summary(summary)
    }
}

/// Appends a whole line to what a node said.
fn push_line(said: &mut Gather, node: NodeId, line: Line<'_>) -> io::Result<()> {
    said.push(node.0, line.text)?;
    if line.end == LineEnd::More {
        Ok(())
    } else {
        said.push(node.0, b"\n")
    }
}

fn show<W: Write>(
    out: &mut Out<W>,
    group: &Group<'_>,
    labels: Labels,
    names: &[crate::plan::NodeName],
) -> io::Result<()> {
    if group.output.is_empty() {
        return Ok(());
    }
    let nodes = || fold(names, group.keys.iter().copied().map(NodeId));
    match labels {
        Labels::None => out.output(None, group.output),
        Labels::Lines => out.output(Some(&nodes()), group.output),
        Labels::Blocks => {
            let count = match group.keys.len() {
                1 => String::new(),
                many => format!(" ({many})"),
            };
            out.styled(LABEL, &format!("{RULE}\n{}{count}\n{RULE}\n", nodes()))?;
            out.output(None, group.output)
        }
    }
}

/// The rule of ClusterShell's header blocks.
const RULE: &str = "---------------";
