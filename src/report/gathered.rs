//! Equal answers once: labelled lines or header blocks, when all nodes are done.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;

use super::answers;
use super::classic::Classic;
use super::format::{Audience, Format, Parts, Switch};
use super::normalize::{OwnNames, normalize};
use super::notes::{Notes, fold};
use super::out::{LABEL, Out};
use super::reporter::Reporter;
use crate::event::{Event, NodeId, Outcome, Stop, Stream, Summary};
use crate::gather::{Gather, Group, Output};
use crate::lines::{Line, LineEnd, Streams};

pub(super) const TEXT: Format = Format {
    name: "text",
    about: "equal answers once, each line with the nodes that gave it",
    switch: None,
    audience: Audience::PeopleAtTheEnd,
    make: |parts| gathered(parts, Labels::Lines),
};

pub(super) const BLOCKS: Format = Format {
    name: "blocks",
    about: "equal answers once, under a header with the nodes that gave them",
    switch: Some(Switch {
        long: "blocks",
        short: Some('b'),
        about: "Gather equal answers under header blocks",
    }),
    audience: Audience::PeopleAtTheEnd,
    make: |parts| gathered(parts, Labels::Blocks),
};

fn gathered<'a>(parts: Parts<'_, 'a>, labels: Labels) -> Box<dyn Reporter + 'a> {
    let (said, complained) = (parts.gather(), parts.gather());
    let look = parts.look;
    let (out, notes) = parts.streams();
    Box::new(Gathered {
        out,
        notes,
        labels: if look.labels { labels } else { Labels::None },
        merge_err: look.merge_err,
        diff: look.diff,
        normalize: look.normalize,
        lines: (look.merge_err || look.normalize).then(Streams::default),
        silent: HashSet::new(),
        said,
        complained,
    })
}

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

/// A longer output is not compared line by line.
const LONGEST_DIFF: usize = 8 * 1024 * 1024;

/// Shows each distinct output once. Standard error is gathered by itself and goes to ours.
#[derive(Debug)]
pub struct Gathered<W, E> {
    pub(super) out: Out<W>,
    pub(super) notes: Notes<E>,
    pub(super) labels: Labels,
    /// Standard error is among the rest.
    pub(super) merge_err: bool,
    /// Of all outputs but the most frequent one the difference from that is shown.
    pub(super) diff: bool,
    /// What differs from node to node is replaced.
    pub(super) normalize: bool,
    /// What a stream holds of a line that is not whole yet, where lines matter: when both streams are one, so that
    /// lines of one are not put into lines of the other, and when something in them is replaced.
    pub(super) lines: Option<Streams>,
    /// Those that could not do it and said nothing, which is no answer to compare.
    pub(super) silent: HashSet<NodeId>,
    pub(super) said: Gather,
    pub(super) complained: Gather,
}

impl<W: Write, E: Write> Gathered<W, E> {
    /// Takes bytes of a node, or the end of what it says.
    fn take(&mut self, node: NodeId, stream: Stream, data: Option<&[u8]>) -> io::Result<()> {
        let gather = match stream {
            Stream::Err if !self.merge_err => &mut self.complained,
            Stream::Out | Stream::Err => &mut self.said,
        };
        let Some(lines) = &mut self.lines else {
            return data.map_or(Ok(()), |data| gather.push(node.0, data));
        };
        let names = self
            .normalize
            .then(|| OwnNames::of(&self.notes.names[node.index()]));
        let ends = self.merge_err;
        let give = |line: Line<'_>| push_line(gather, node, line, (names.as_ref(), ends));
        lines.take(node, stream, data, give)
    }

    /// What most said, and how each other answer differs from it.
    fn differences(&mut self) -> io::Result<()> {
        let mut groups = self.said.groups();
        for group in &mut groups {
            let silent = &self.silent;
            group.keys.retain(|key| !silent.contains(&NodeId(*key)));
        }
        groups.retain(|group| !group.keys.is_empty());
        let names = Arc::clone(&self.notes.names);
        let title = |group: &Group<'_>| fold(&names, group.keys.iter().copied().map(NodeId));
        // Of equal ones the first.
        let most = |(at, group): &(usize, &Group<'_>)| (group.keys.len(), Reverse(*at));
        let Some((at, _)) = groups.iter().enumerate().max_by_key(most) else {
            return Ok(());
        };
        let majority = groups.remove(at);
        show(&mut self.out, &majority, self.labels, &names)?;
        let old = bounded(majority.output)?;
        for group in &groups {
            let new = bounded(group.output)?;
            match (&old, &new) {
                (Some(old), Some(new)) => Classic {
                    out: &mut self.out.writer,
                    color: self.out.color,
                    escape: self.out.escape,
                }
                .diff((&title(&majority), old), (&title(group), new))?,
                _ if group.output == majority.output => {}
                _ => self.out.styled(
                    LABEL,
                    &format!("{}: differs; too long for a diff\n", title(group)),
                )?,
            }
        }
        Ok(())
    }
}

/// The output, unless it is too long to be held.
fn bounded(output: Output<'_>) -> io::Result<Option<Vec<u8>>> {
    let mut whole = Vec::new();
    for chunk in output.chunks() {
        whole.extend_from_slice(&chunk?);
        if whole.len() > LONGEST_DIFF {
            return Ok(None);
        }
    }
    Ok(Some(whole))
}

impl<W: Write, E: Write> Reporter for Gathered<W, E> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { .. } => {}
            Event::Output { node, stream, data } => self.take(*node, *stream, Some(data))?,
            Event::Answer { node, answer } => {
                self.out.states |= answers::has_states(answer);
                if let Some(output) = answers::output(*node, answer) {
                    self.event(&output)?;
                }
            }
            Event::Finished { node, outcome, .. } => {
                let taken = [Stream::Out, Stream::Err].map(|stream| self.take(*node, stream, None));
                if matches!(outcome, Outcome::Failed(_)) && self.said.output(node.0).is_empty() {
                    self.silent.insert(*node);
                }
                self.said.finish(node.0, outcome.status());
                self.complained.finish(node.0, outcome.status());
                // Its end is known whether its last line has room or not.
                taken.into_iter().collect::<io::Result<()>>()?;
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
        if self.diff {
            self.differences()?;
        } else {
            for group in self.said.groups() {
                show(&mut self.out, &group, self.labels, &self.notes.names)?;
            }
        }
        self.out.writer.flush()?;
        for group in self.complained.groups() {
            show(&mut self.notes.err, &group, self.labels, &self.notes.names)?;
        }
        self.notes.summary(summary)
    }
}

/// Appends a line to what a node said, with these names replaced if there are any; `ends` ends the last one too.
fn push_line(
    gather: &mut Gather,
    node: NodeId,
    line: Line<'_>,
    (names, ends): (Option<&OwnNames>, bool),
) -> io::Result<()> {
    match names {
        Some(names) => {
            let mut text = Vec::with_capacity(line.text.len());
            normalize(line.text, names, &mut text);
            gather.push(node.0, &text)?;
        }
        None => gather.push(node.0, line.text)?,
    }
    match line.end {
        LineEnd::Newline => gather.push(node.0, b"\n"),
        LineEnd::Nothing if ends => gather.push(node.0, b"\n"),
        LineEnd::Nothing | LineEnd::More => Ok(()),
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
