//! One step of a change: one work on some of the nodes, with its own idea of limits and of stopping.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Note, Steps, set};
use crate::event::{Ending, Event, NodeId, Stop, Summary};
use crate::exec::{Means, dispatch};
use crate::plan::NodeName;
use crate::report::Reporter;
use crate::work::Work;
use crate::work::haproxy::change::Change;

/// How often it is said what is waited for.
const PROGRESS: Duration = Duration::from_secs(5);

/// The most nodes whose connections are kept from one step to the next. A larger fleet is connected anew, or it
/// would need a connection for every node at one time, whatever the fanout.
const KEPT: usize = 256;

/// What a step is for.
#[derive(Clone, Copy)]
pub(super) enum Phase<'a> {
    Reading,
    Writing(&'a Change),
    Restoring,
}

impl Steps<'_> {
    /// Runs one work on some of the nodes and keeps what became of them.
    pub(super) async fn run(&mut self, nodes: &[NodeId], work: &dyn Work, phase: Phase<'_>) {
        let mut plan = self.with.plan.clone();
        plan.selected = nodes.to_vec();
        // Each question has its own limit, and a wait is as long as was asked for.
        plan.limits.command = None;
        plan.limits.idle = None;
        plan.limits.deadline = match phase {
            // Half a change is worse than a late end.
            Phase::Restoring => None,
            Phase::Reading | Phase::Writing(_) => self
                .deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now())),
        };
        let means = Means {
            pool: (plan.nodes.len() <= KEPT).then_some(&self.pool),
            ..Means::new(self.with.transport, work)
        };
        let mut collect = Collect {
            took: &mut self.took,
            waiting: match phase {
                Phase::Reading | Phase::Restoring => None,
                Phase::Writing(change) => Some(change),
            },
            names: &self.with.plan.nodes,
            note: &mut *self.with.note,
        };
        let summary = match phase {
            Phase::Reading => dispatch(&plan, means, &mut *self.with.stops, &mut collect).await,
            // What was begun is finished: the first Ctrl-C only keeps further nodes from being begun.
            Phase::Writing(_) | Phase::Restoring => {
                let (sender, mut softened) = mpsc::channel(8);
                let run = dispatch(&plan, means, &mut softened, &mut collect);
                tokio::pin!(run);
                let mut asked = Stop::No;
                let summary = loop {
                    tokio::select! {
                        biased;
                        Some(level) = self.with.stops.recv() => {
                            let level = if level == Stop::Terminate { Stop::Drain } else { level };
                            asked = asked.max(level);
                            // The run is over if nobody listens.
                            let _ = sender.send(level).await;
                        }
                        summary = &mut run => break summary,
                    }
                };
                // The run may have ended before it heard of it: what comes next hears of it then.
                if asked > Stop::No {
                    self.stop = self.stop.max(asked);
                    self.ending.get_or_insert(Ending::Stopped);
                }
                summary
            }
        };
        for (node, outcome) in summary.outcomes {
            self.outcomes[node.index()] = Some(outcome);
        }
        self.stop = self.stop.max(summary.stop);
        if self.ending.is_none() {
            self.ending = summary.ending;
        }
    }
}

/// Takes the events of a step; it is shown only when all steps are done.
struct Collect<'a> {
    took: &'a mut [Duration],
    waiting: Option<&'a Change>,
    names: &'a [NodeName],
    note: &'a mut dyn FnMut(Note),
}

impl Reporter for Collect<'_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        if let Event::Finished { node, took, .. } = event {
            self.took[node.index()] += *took;
        }
        Ok(())
    }

    fn redraw_every(&self) -> Option<Duration> {
        self.waiting.map(|_| PROGRESS)
    }

    fn redraw(&mut self) -> io::Result<()> {
        let mut groups: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
        for (node, text) in self.waiting.map(Change::waiting).unwrap_or_default() {
            groups.entry(text).or_default().push(node);
        }
        for (what, nodes) in groups {
            let nodes = set(self.names, &nodes);
            (self.note)(Note::Waiting { nodes, what });
        }
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }
}
