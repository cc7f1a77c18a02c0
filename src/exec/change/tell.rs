//! Tells a reporter what becomes of the nodes: each begins once and ends once, however many steps there are.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::{Answer, ChangeRow};
use crate::event::{Ending, Event, NodeId, Stop, Summary};
use crate::report::Reporter;

/// Tells of all steps as of one run.
pub(super) struct Teller<'a> {
    pub(super) reporter: &'a mut dyn Reporter,
    begun: Vec<bool>,
    took: Vec<Duration>,
    /// Something was waited for and said.
    pub(super) has_said_waiting: bool,
}

impl std::fmt::Debug for Teller<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Teller")
    }
}

impl<'a> Teller<'a> {
    pub(super) fn new(reporter: &'a mut dyn Reporter, nodes: usize) -> Self {
        Self {
            reporter,
            begun: vec![false; nodes],
            took: vec![Duration::ZERO; nodes],
            has_said_waiting: false,
        }
    }

    /// Takes an event of one step.
    pub(super) fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { node } => self.begin(*node),
            Event::Finished { node, took, .. } => {
                self.took[node.index()] += *took;
                Ok(())
            }
            Event::Output { .. } | Event::Answer { .. } => self.reporter.event(event),
        }
    }

    pub(super) fn stopping(&mut self, level: Stop, pending: &[NodeId]) -> io::Result<()> {
        self.reporter.stopping(level, pending)
    }

    fn begin(&mut self, node: NodeId) -> io::Result<()> {
        if std::mem::replace(&mut self.begun[node.index()], true) {
            return Ok(());
        }
        self.reporter.event(&Event::Started { node })
    }

    /// Tells what became of every node. That the output is lost is kept in the summary.
    pub(super) fn end(
        &mut self,
        summary: &mut Summary,
        rows: impl Fn(NodeId) -> Option<Vec<ChangeRow>>,
    ) {
        if matches!(summary.ending, Some(Ending::OutputLost(_))) {
            return;
        }
        if let Err(error) = self.tell_all(summary, rows) {
            summary.ending.get_or_insert(Ending::OutputLost(error));
        }
    }

    fn tell_all(
        &mut self,
        summary: &Summary,
        rows: impl Fn(NodeId) -> Option<Vec<ChangeRow>>,
    ) -> io::Result<()> {
        for (node, outcome) in &summary.outcomes {
            let (node, outcome) = (*node, outcome.clone());
            self.begin(node)?;
            if let Some(rows) = rows(node).filter(|rows| !rows.is_empty()) {
                let answer = Arc::new(Answer::Changes(rows));
                self.reporter.event(&Event::Answer { node, answer })?;
            }
            let took = self.took[node.index()];
            self.reporter.event(&Event::Finished {
                node,
                outcome,
                took,
            })?;
        }
        self.reporter.finish(summary)
    }
}
