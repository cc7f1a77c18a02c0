//! What is said on standard error about nodes that did not end well, and about stopping.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use super::out::{Out, TROUBLE};
use crate::event::{Ending, NodeId, Outcome, Stop, Summary};
use crate::nodeset::NodeSet;
use crate::plan::NodeName;

/// The folded set of some nodes.
pub(super) fn fold(names: &[NodeName], nodes: impl IntoIterator<Item = NodeId>) -> String {
    nodes
        .into_iter()
        .map(|node| &*names[node.index()])
        .collect::<NodeSet>()
        .to_string()
}

/// Says on standard error what went wrong, one line for all nodes with the same trouble.
#[derive(Debug)]
pub(super) struct Notes<E> {
    pub(super) program: String,
    pub(super) names: Arc<[NodeName]>,
    pub(super) statuses: bool,
    /// Whether what differs from node to node is said, too, so that each has a line of its own.
    pub(super) details: bool,
    pub(super) err: Out<E>,
}

impl<E: Write> Notes<E> {
    /// The lines for a whole run: exit statuses first, then what could not be done.
    pub(super) fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        let mut troubles: BTreeMap<(u8, String), Vec<NodeId>> = BTreeMap::new();
        for (node, outcome) in &summary.outcomes {
            if let Some(trouble) = self.trouble(outcome) {
                troubles
                    .entry((outcome.status(), trouble))
                    .or_default()
                    .push(*node);
            }
        }
        for ((_, trouble), nodes) in troubles {
            self.say(&nodes, &trouble)?;
        }
        self.ending(summary)
    }

    /// Why the run ended before its time, when it was not somebody in front of it who asked.
    pub(super) fn ending(&mut self, summary: &Summary) -> io::Result<()> {
        let reason = match &summary.ending {
            Some(Ending::Deadline) => "the deadline passed",
            Some(Ending::Threshold(reason)) => reason,
            Some(Ending::Stopped | Ending::OutputLost(_)) | None => return Ok(()),
        };
        writeln!(self.err.writer, "{}: stopped: {reason}", self.program)
    }

    /// The line for one node, as soon as it is known.
    pub(super) fn finished(&mut self, node: NodeId, outcome: &Outcome) -> io::Result<()> {
        match self.trouble(outcome) {
            Some(trouble) => self.say(&[node], &trouble),
            None => Ok(()),
        }
    }

    /// Which nodes are still at work when a stop is asked for.
    pub(super) fn stopping(&mut self, level: Stop, pending: &[NodeId]) -> io::Result<()> {
        let nodes = fold(&self.names, pending.iter().copied());
        match level {
            Stop::Terminate if !pending.is_empty() => {
                writeln!(
                    self.err.writer,
                    "{}: stopping; still running: {nodes} (again to stop at once)",
                    self.program
                )
            }
            Stop::No | Stop::Drain | Stop::Terminate | Stop::Kill => Ok(()),
        }
    }

    /// Which nodes are at work and which wait for their turn.
    pub(super) fn asked(&mut self, running: &[NodeId], waiting: &[NodeId]) -> io::Result<()> {
        let of = |what: &str, nodes: &[NodeId]| {
            let folded = fold(&self.names, nodes.iter().copied());
            (!nodes.is_empty()).then(|| format!("{what} ({}): {folded}", nodes.len()))
        };
        let parts = [of("at work", running), of("waiting", waiting)];
        let said = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
        if said.is_empty() {
            return Ok(());
        }
        writeln!(self.err.writer, "{}: {said}", self.program)
    }

    fn trouble(&self, outcome: &Outcome) -> Option<String> {
        match outcome {
            Outcome::Exited { status: 0 } => None,
            Outcome::Exited { status } => self.statuses.then(|| format!("exited with {status}")),
            Outcome::Killed { signal } => Some(format!("killed by SIG{signal}")),
            Outcome::Failed(failure) if self.details => Some(failure.to_string()),
            Outcome::Failed(failure) => Some(failure.message.clone()),
        }
    }

    fn say(&mut self, nodes: &[NodeId], trouble: &str) -> io::Result<()> {
        let nodes = fold(&self.names, nodes.iter().copied());
        write!(self.err.writer, "{}: ", self.program)?;
        self.err.styled(TROUBLE, &nodes)?;
        self.err.writer.write_all(b": ")?;
        self.err.text(trouble.as_bytes())?;
        self.err.writer.write_all(b"\n")
    }
}
