//! A run as ClusterShell's `clush` shows it: lines as they come, or equal outputs gathered at the end, with its
//! messages about exit codes, time limits, interrupts and progress.

mod columns;
mod look;
mod progress;
mod streams;

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::answers;
use super::classic::Classic;
use super::reporter::Reporter;
use super::spill::Scratch;
use crate::event::{ErrorCode, Event, NodeId, Outcome, Stop, Stream, Summary};
use crate::gather::{DEFAULT_BUDGET, Gather, Output};
use crate::lines::{Line, LineEnd, Streams};
use crate::nodeset::NodeSet;
use crate::plan::NodeName;
use columns::Columns;
pub use look::{Fold, Gateways, Layout, Look, Reasons};
use progress::Progress;
use streams::{Cleaner, without_return};

/// Shows a run as `clush` does.
pub struct Clush<'a, W, E> {
    look: Look<'a>,
    names: Arc<[NodeName]>,
    out: Classic<W>,
    err: Classic<E>,
    /// Lines in the making.
    lines: Streams,
    /// Outputs that go to `said` as they are.
    cleaner: Cleaner,
    said: Gather,
    columns: Columns,
    progress: Option<Progress>,
    /// Who has written on standard error, when it matters.
    complained: HashSet<NodeId>,
    /// Nodes by exit code, in the order in which the codes first came.
    codes: Vec<(u8, Vec<NodeId>)>,
    timeouts: Vec<NodeId>,
    /// Who has an outcome.
    finished: Vec<bool>,
    stopped: bool,
}

impl<W, E> fmt::Debug for Clush<'_, W, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.look.fmt(f)
    }
}

impl<'a, W: Write, E: Write> Clush<'a, W, E> {
    /// A reporter for these nodes. Output that outgrows memory goes to `scratch`.
    pub fn new(look: Look<'a>, names: Arc<[NodeName]>, out: W, err: E, scratch: &Scratch) -> Self {
        Self {
            out: Classic {
                out,
                color: look.color,
                escape: look.escape_out,
            },
            err: Classic {
                out: err,
                color: look.color,
                escape: look.escape_err,
            },
            lines: Streams::default(),
            cleaner: Cleaner::default(),
            said: scratch.gather(DEFAULT_BUDGET),
            columns: Columns::new(names.len()),
            progress: look.progress.then(|| {
                Progress::new(
                    look.program.clone(),
                    names.len(),
                    (look.sent.clone(), look.gateways.clone()),
                    look.screen.clone(),
                )
            }),
            complained: HashSet::new(),
            codes: Vec::new(),
            timeouts: Vec::new(),
            finished: vec![false; names.len()],
            stopped: false,
            look,
            names,
        }
    }

    fn set(&self, nodes: impl IntoIterator<Item = NodeId>) -> NodeSet {
        nodes
            .into_iter()
            .map(|node| &*self.names[node.index()])
            .collect()
    }

    /// The text of a set for headers and labels.
    fn fold(&self, nodes: impl IntoIterator<Item = NodeId>) -> io::Result<String> {
        (self.look.fold)(&self.set(nodes))
    }

    /// The title of a block.
    fn title(&self, nodes: &[NodeId]) -> io::Result<String> {
        let text = self.fold(nodes.iter().copied())?;
        Ok(counted(text, nodes, self.look.count_in_headers))
    }

    /// The text of a set in messages, which know nothing of groups.
    fn told(&self, nodes: &[NodeId]) -> String {
        let text = self.set(nodes.iter().copied()).fold(&self.look.style);
        counted(text, nodes, self.look.count_in_messages)
    }

    /// A line of ours on standard error.
    fn tell(&mut self, line: &str) -> io::Result<()> {
        self.out.out.flush()?;
        self.err.plain(line)
    }

    /// Takes the line of progress off the screen.
    fn clear(&mut self) -> io::Result<()> {
        match &mut self.progress {
            Some(progress) => progress.clear(&mut self.err.out),
            None => Ok(()),
        }
    }

    /// Whether a stream is shown as it comes, and whether it is gathered.
    fn ways(&self, stream: Stream) -> (bool, bool) {
        let gathered = self.look.form != Layout::Live;
        let echo = self.look.echo && self.look.form != Layout::Columns;
        match stream {
            Stream::Out => (!gathered || echo, gathered),
            Stream::Err => {
                let merged = gathered && self.look.merge_err;
                (!merged || echo, merged)
            }
        }
    }

    /// Takes what a node wrote; `None` is the end of its output.
    fn take(&mut self, node: NodeId, stream: Stream, data: Option<&[u8]>) -> io::Result<()> {
        let (shown, gathered) = self.ways(stream);
        let whole = gathered && !shown && !self.look.merge_err && self.look.form != Layout::Columns;
        if whole {
            return self.cleaner.take(node, data, &mut self.said);
        }
        if shown {
            self.clear()?;
        }
        let label = (shown && self.look.labels).then(|| self.names[node.index()].clone());
        // What is gathered with standard output is shown with it.
        let shown_as = if gathered { Stream::Out } else { stream };
        let Self {
            look,
            out,
            err,
            lines,
            said,
            columns,
            ..
        } = self;
        lines.take(node, stream, data, |line| {
            let line = without_return(line);
            if shown {
                let label = label.as_deref().filter(|_| line.first);
                match shown_as {
                    Stream::Out => out.said(label, shown_as, line)?,
                    Stream::Err => {
                        out.out.flush()?;
                        err.said(label, shown_as, line)?;
                    }
                }
            }
            if gathered && look.form == Layout::Columns {
                columns.push(node, line.text);
            } else if gathered {
                said.push(node.0, line.text)?;
                if line.end != LineEnd::More {
                    said.push(node.0, b"\n")?;
                }
            }
            Ok::<(), io::Error>(())
        })?;
        if look.form == Layout::Columns {
            self.show_columns()?;
        }
        // Whoever reads us sees a line when it was said.
        self.out.out.flush()
    }

    /// Shows what all nodes have said as many lines of.
    fn show_columns(&mut self) -> io::Result<()> {
        while let Some(row) = self.columns.next_row() {
            self.show_row(row)?;
        }
        Ok(())
    }

    fn show_row(&mut self, row: columns::Row) -> io::Result<()> {
        self.clear()?;
        let mut groups: Vec<(Vec<NodeId>, Box<[u8]>)> = row;
        self.sort(&mut groups, |(nodes, _)| nodes);
        for (nodes, text) in groups {
            let label = match self.look.labels {
                true => Some(self.fold(nodes)?),
                false => None,
            };
            let line = Line {
                text: &text,
                first: true,
                end: LineEnd::Newline,
            };
            self.out.said(label.as_deref(), Stream::Out, line)?;
        }
        Ok(())
    }

    /// The largest first, then by the name of the first node, as text.
    fn sort<T>(&self, groups: &mut [T], nodes: impl Fn(&T) -> &Vec<NodeId>) {
        let first = |nodes: &[NodeId]| nodes.first().map(|node| &self.names[node.index()]);
        groups.sort_by(|a, b| {
            let (a, b) = (nodes(a), nodes(b));
            (Reverse(a.len()), first(a)).cmp(&(Reverse(b.len()), first(b)))
        });
    }

    /// Says why nothing, or not all, was done on a node.
    fn explain(&mut self, node: NodeId, outcome: &Outcome) -> io::Result<()> {
        let Outcome::Failed(failure) = outcome else {
            return Ok(());
        };
        let told = self.look.reasons == Reasons::Theirs && self.complained.contains(&node);
        if told || failure.code == ErrorCode::TimeoutCommand {
            return Ok(());
        }
        let text = match self.look.echo {
            true => format!("{failure}\n"),
            false => format!("{}\n", failure.message),
        };
        self.take(node, Stream::Err, Some(text.as_bytes()))
    }

    fn finished(&mut self, node: NodeId, outcome: &Outcome) -> io::Result<()> {
        // Its end is known whether its last line has room or not.
        let said = self.last_words(node, outcome);
        self.finished[node.index()] = true;
        if let Some(progress) = &mut self.progress {
            progress.done += 1;
        }
        self.columns.finish(node);
        if self.look.form == Layout::Columns {
            self.show_columns()?;
            self.out.out.flush()?;
        }
        if is_timeout(outcome) {
            self.timeouts.push(node);
            return said;
        }
        let code = outcome.status();
        self.said.finish(node.0, code);
        match self.codes.iter_mut().find(|(known, _)| *known == code) {
            Some((_, nodes)) => nodes.push(node),
            None => self.codes.push((code, vec![node])),
        }
        if self.look.form == Layout::Live && code != 0 && self.look.messages {
            self.clear()?;
            let line = exited(&self.look.program, &self.names[node.index()], code);
            self.tell(&line)?;
        }
        said
    }

    /// What a node said last, and why it is done.
    fn last_words(&mut self, node: NodeId, outcome: &Outcome) -> io::Result<()> {
        self.take(node, Stream::Out, None)?;
        self.take(node, Stream::Err, None)?;
        self.explain(node, outcome)
    }

    /// Shows what was gathered.
    fn show_gathered(&mut self) -> io::Result<()> {
        let said = std::mem::take(&mut self.said);
        match self.look.form {
            Layout::Live => {}
            Layout::Columns => {
                while let Some(row) = self.columns.any_row() {
                    self.show_row(row)?;
                }
            }
            Layout::Lines => {
                for (_, nodes, _) in self.blocks(&said, Order::Status) {
                    for node in nodes {
                        let label = match self.look.labels {
                            true => Some(self.fold([node])?),
                            false => None,
                        };
                        self.out.output(label.as_deref(), said.output(node.0))?;
                    }
                }
            }
            Layout::Blocks => {
                for (_, nodes, output) in self.blocks(&said, Order::Size) {
                    if output.is_empty() {
                        continue;
                    }
                    if self.look.labels {
                        let title = self.title(&nodes)?;
                        self.out.header(&title, 0)?;
                    }
                    self.out.output(None, output)?;
                }
            }
            Layout::Diff => self.show_diff(&said)?,
        }
        self.out.out.flush()
    }

    /// Shows how outputs differ from the first. Of nodes with the same exit code those that said nothing come last, and
    /// they are never what others are compared with.
    fn show_diff(&mut self, said: &Gather) -> io::Result<()> {
        let mut blocks = self.blocks(said, Order::Size);
        blocks.sort_by_key(|(code, _, output)| (*code, output.is_empty()));
        let mut blocks = blocks
            .into_iter()
            .skip_while(|(_, _, output)| output.is_empty());
        let Some((_, nodes, output)) = blocks.next() else {
            return Ok(());
        };
        let (old_title, old) = (self.title(&nodes)?, output.to_vec()?);
        for (_, nodes, output) in blocks {
            let title = self.title(&nodes)?;
            let new = output.to_vec()?;
            self.out.diff((&old_title, &old), (&title, &new))?;
        }
        Ok(())
    }

    /// Nodes that said the same, by exit code; within one the largest first, or all nodes with it at once.
    fn blocks<'g>(&self, said: &'g Gather, order: Order) -> Vec<(u8, Vec<NodeId>, Output<'g>)> {
        let mut all = Vec::new();
        for group in said.groups() {
            let nodes: Vec<NodeId> = group.keys.into_iter().map(NodeId).collect();
            all.push((group.status, nodes, group.output));
        }
        for same in all.chunk_by_mut(|a, b| a.0 == b.0) {
            self.sort(same, |(_, nodes, _)| nodes);
        }
        if order == Order::Status {
            let mut merged: Vec<(u8, Vec<NodeId>, Output<'g>)> = Vec::new();
            for block in all {
                match merged.last_mut().filter(|last| last.0 == block.0) {
                    Some(last) => last.1.extend(block.1),
                    None => merged.push(block),
                }
            }
            merged.iter_mut().for_each(|block| block.1.sort_unstable());
            return merged;
        }
        all
    }

    /// Exit codes and time limits.
    fn show_messages(&mut self) -> io::Result<()> {
        if self.look.messages && self.look.form != Layout::Live {
            for (code, nodes) in std::mem::take(&mut self.codes) {
                if code != 0 {
                    let line = exited(&self.look.program, &self.told(&nodes), code);
                    self.tell(&line)?;
                }
            }
        }
        if !self.timeouts.is_empty() && (self.look.messages || self.look.form == Layout::Live) {
            let timeouts = std::mem::take(&mut self.timeouts);
            let nodes = self.set(timeouts).fold(&self.look.style);
            let line = format!("{}: {nodes}: command timeout", self.look.program);
            self.tell(&line)?;
        }
        Ok(())
    }

    /// What came of nodes until a stop, whatever their exit codes.
    fn show_interrupted(&mut self) -> io::Result<()> {
        let unfinished = (0u32..).map(NodeId).zip(self.finished.clone());
        for (node, finished) in unfinished {
            if !finished {
                self.take(node, Stream::Out, None)?;
                self.take(node, Stream::Err, None)?;
            }
            self.said.finish(node.0, 0);
            self.columns.finish(node);
        }
        self.clear()?;
        self.tell("Warning: Caught keyboard interrupt!")?;
        self.show_gathered()?;
        self.show_messages()
    }

    /// The nodes without an outcome when the run was stopped, as a set; `None` when it was not, or the form does
    /// not tell.
    #[must_use]
    pub fn incomplete(&self) -> Option<String> {
        let tells = self.look.form == Layout::Blocks && self.look.interactive && self.stopped;
        let pending = (0u32..).map(NodeId).zip(&self.finished);
        let pending = pending
            .filter(|(_, finished)| !**finished)
            .map(|(node, _)| node);
        tells.then(|| self.set(pending).fold(&self.look.style))
    }
}

/// The text of a set with the number of nodes, if that is wanted.
fn counted(text: String, nodes: &[NodeId], count: bool) -> String {
    match nodes.len() {
        many if many > 1 && count => format!("{text} ({many})"),
        _ => text,
    }
}

/// How blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Nodes with the same output together, the largest such set first.
    Size,
    /// Nodes with the same exit code together.
    Status,
}

fn is_timeout(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(failure) if failure.code == ErrorCode::TimeoutCommand)
}

fn exited(program: &str, nodes: &str, code: u8) -> String {
    format!("{program}: {nodes}: exited with exit code {code}")
}

impl<W: Write, E: Write> Reporter for Clush<'_, W, E> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        if self.stopped {
            return Ok(());
        }
        match event {
            Event::Started { .. } => Ok(()),
            Event::Output { node, stream, data } => {
                if *stream == Stream::Err && self.look.reasons == Reasons::Theirs {
                    self.complained.insert(*node);
                }
                self.take(*node, *stream, Some(data))
            }
            Event::Answer { node, answer } => match answers::output(*node, answer) {
                Some(output) => self.event(&output),
                None => Ok(()),
            },
            Event::Finished { node, outcome, .. } => self.finished(*node, outcome),
        }
    }

    fn stopping(&mut self, level: Stop, _pending: &[NodeId]) -> io::Result<()> {
        if level < Stop::Terminate || self.stopped {
            return Ok(());
        }
        self.stopped = true;
        if self.look.interactive && self.look.form != Layout::Live {
            return self.show_interrupted();
        }
        self.clear()
    }

    fn asked(&mut self, running: &[NodeId], waiting: &[NodeId]) -> io::Result<()> {
        self.clear()?;
        let program = self.look.program.clone();
        self.tell(&format!("{program}: interrupt (^C to abort task)"))?;
        let open = self.look.gateways.as_ref().map(|open| open());
        let open = open.unwrap_or_default();
        let (mut running, waiting) = (
            self.set(running.iter().copied()),
            self.set(waiting.iter().copied()),
        );
        // To this side a gateway is at work, not the nodes behind it.
        let gateways: NodeSet = open.iter().map(|(gateway, _)| &**gateway).collect();
        let mut waiting = waiting;
        for (_, behind) in &open {
            running.difference(behind);
            waiting.difference(behind);
        }
        running.union(&gateways);
        let mut line = |what: &str, set: &NodeSet, behind: &str| match set.is_empty() {
            true => Ok(()),
            false => {
                let folded = set.fold(&self.look.style);
                let text = format!("{program}: {what}({}){behind}: {folded}", set.len());
                self.tell(&text)
            }
        };
        line("in progress", &running, "")?;
        line("pending", &waiting, "")?;
        line("[tree] open gateways", &gateways, "")?;
        for (gateway, nodes) in &open {
            line("[tree] in progress", nodes, &format!(" on {gateway}"))?;
        }
        Ok(())
    }

    fn redraw_every(&self) -> Option<Duration> {
        self.progress.as_ref().map(|_| progress::EVERY)
    }

    fn redraw(&mut self) -> io::Result<()> {
        match &mut self.progress {
            Some(progress) if !self.stopped => progress.draw(&mut self.err.out),
            Some(_) | None => Ok(()),
        }
    }

    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        if self.stopped {
            return self.out.out.flush();
        }
        if let Some(progress) = &mut self.progress {
            progress.finish(&mut self.err.out, self.look.form != Layout::Live)?;
        }
        self.show_gathered()?;
        self.show_messages()
    }
}
