//! What the nodes of one action said and how they ended, equal outputs kept once.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::event::{ErrorCode, Event, NodeId, Outcome, Summary};
use crate::gather::{DEFAULT_BUDGET, Gather, Output};
use crate::report::answers;
use crate::report::reporter::Reporter;
use crate::report::spill::Scratch;

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeEnd {
    /// With this exit code.
    Code(u8),
    /// It took too long.
    TimedOut,
}

/// The log of one try of an action. Nodes are kept by their rank in the target.
pub struct ActionLog {
    ranks: HashMap<NodeId, u32>,
    gather: Gather,
    ends: Vec<Option<NodeEnd>>,
    /// Where to tell each node that is done.
    done: Arc<dyn Fn(NodeId)>,
}

impl fmt::Debug for ActionLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActionLog")
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

impl ActionLog {
    /// An empty log for these nodes. Output that outgrows memory goes to `scratch`; each node
    /// that is done is told to `done`.
    #[must_use]
    pub fn new(nodes: &[NodeId], scratch: &Scratch, done: Arc<dyn Fn(NodeId)>) -> Self {
        let ranks: HashMap<_, _> = nodes.iter().copied().zip(0..).collect();
        Self {
            ends: vec![None; nodes.len()],
            ranks,
            gather: scratch.gather(DEFAULT_BUDGET / 16),
            done,
        }
    }

    /// The node has ended without a word.
    pub fn end_quietly(&mut self, node: NodeId) {
        self.end(node, NodeEnd::Code(0));
    }

    /// How the node of that rank ended.
    #[must_use]
    pub fn end_of(&self, rank: u32) -> Option<NodeEnd> {
        self.ends.get(rank as usize).copied().flatten()
    }

    /// The ranks by how they ended, exit codes ascending, those that took too long last.
    #[must_use]
    pub fn by_end(&self) -> BTreeMap<NodeEnd, Vec<u32>> {
        let mut groups: BTreeMap<NodeEnd, Vec<u32>> = BTreeMap::new();
        for (rank, end) in (0..).zip(&self.ends) {
            if let Some(end) = end {
                groups.entry(*end).or_default().push(rank);
            }
        }
        groups
    }

    /// The ranks that did not end with 0.
    pub fn failed(&self) -> impl Iterator<Item = u32> + '_ {
        (0..)
            .zip(&self.ends)
            .filter(|(_, end)| end.is_some_and(|end| end != NodeEnd::Code(0)))
            .map(|(rank, _)| rank)
    }

    /// The outputs, each with the ranks that gave it, in the order of the first of them.
    #[must_use]
    pub fn outputs(&self) -> Vec<(Vec<u32>, Output<'_>)> {
        let mut groups: Vec<_> = self
            .gather
            .groups()
            .into_iter()
            .filter(|group| !group.output.is_empty())
            .map(|group| (group.keys, group.output))
            .collect();
        groups.sort_by(|a, b| a.0.cmp(&b.0));
        groups
    }

    fn end(&mut self, node: NodeId, end: NodeEnd) {
        let Some(rank) = self.ranks.get(&node) else {
            return;
        };
        self.ends[*rank as usize] = Some(end);
        // Equal output is one group, whatever the exit status.
        self.gather.finish(*rank, 0);
        (self.done)(node);
    }
}

impl Reporter for ActionLog {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { .. } => {}
            Event::Output { node, data, .. } => {
                if let Some(rank) = self.ranks.get(node) {
                    self.gather.push(*rank, data)?;
                }
            }
            Event::Answer { node, answer } => {
                if let Some(output) = answers::output(*node, answer) {
                    self.event(&output)?;
                }
            }
            Event::Finished { node, outcome, .. } => {
                // Its end is known whether the reason has room or not.
                let mut said = Ok(());
                let end = match outcome {
                    Outcome::Failed(failure) if failure.code == ErrorCode::TimeoutCommand => {
                        NodeEnd::TimedOut
                    }
                    Outcome::Failed(failure) => {
                        if let Some(rank) = self.ranks.get(node) {
                            let line = format!("{}\n", failure.message);
                            said = self.gather.push(*rank, line.as_bytes());
                        }
                        NodeEnd::Code(outcome.status())
                    }
                    Outcome::Exited { .. } | Outcome::Killed { .. } => {
                        NodeEnd::Code(outcome.status())
                    }
                };
                self.end(*node, end);
                said?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }
}
