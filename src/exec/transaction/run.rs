//! One step of a replacement: one work on some of the nodes, with its own idea of limits and of stopping.

use std::io;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Steps, Subject};
use crate::event::{Ending, Event, NodeId, Stop, Summary};
use crate::exec::{Executor, dispatch};
use crate::report::Reporter;
use crate::work::haproxy::transaction::{Phase, Step};

impl<O: Subject> Steps<'_, O> {
    /// Takes one step on some nodes, and keeps what became of them.
    pub(super) async fn run(&mut self, nodes: &[NodeId], phase: Phase) {
        if nodes.is_empty() {
            return;
        }
        let mut plan = self.with.plan.clone();
        plan.selected = nodes.to_vec();
        // Each question has its own limit.
        plan.limits.command = None;
        plan.limits.idle = None;
        let may_stop = matches!(phase, Phase::Look | Phase::Stage);
        plan.limits.deadline = self
            .deadline
            .filter(|_| may_stop)
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let step = Step {
            transaction: self.transaction,
            phase,
        };
        let executor = Executor {
            pool: Some(&self.pool),
            ..Executor::new(self.with.transport, &step)
        };
        let mut started = Started(Vec::new());
        let (sender, mut softened) = mpsc::channel(8);
        let mut run = Box::pin(dispatch(&plan, executor, &mut softened, &mut started));
        let mut asked = Stop::No;
        let summary = loop {
            tokio::select! {
                biased;
                Some(level) = self.with.stops.recv() => {
                    if asked == Stop::No && !may_stop {
                        (self.with.note)(
                            "the change is brought to its end first: what is half done would leave the nodes different"
                                .to_owned(),
                        );
                    }
                    asked = asked.max(level);
                    if may_stop {
                        // The run is over if nobody listens.
                        let _ = sender.send(level).await;
                    }
                }
                summary = &mut run => break summary,
            }
        };
        drop(run);
        if asked > Stop::No {
            self.stop = self.stop.max(asked);
            self.ending.get_or_insert(Ending::Stopped);
        }
        for node in started.0 {
            if let Err(error) = self.begin(node) {
                self.ending.get_or_insert(Ending::OutputLost(error));
            }
        }
        for (node, outcome) in summary.outcomes {
            self.outcomes[node.index()] = Some(outcome);
        }
        self.stop = self.stop.max(summary.stop);
        if self.ending.is_none() {
            self.ending = summary.ending;
        }
    }
}

/// Which nodes a step was begun on.
struct Started(Vec<NodeId>);

impl Reporter for Started {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        if let Event::Started { node } = event {
            self.0.push(*node);
        }
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }
}
