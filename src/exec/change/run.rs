//! One step of a change: one work on some of the nodes, with its own idea of limits and of stopping.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::tell::Teller;
use super::{Note, Steps, set};
use crate::event::{Ending, Event, NodeId, Stop, Summary};
use crate::exec::{Executor, dispatch};
use crate::plan::NodeName;
use crate::report::Reporter;
use crate::work::Work;
use crate::work::haproxy::change::Change;

/// How often it is looked what is waited for.
const WATCH: Duration = Duration::from_secs(1);

/// After so long it is said, where it is not shown.
const SAID_AFTER: Duration = Duration::from_secs(5);

/// How long a step may take on a node once the run is to end.
const HURRY: Duration = Duration::from_secs(3);

/// The most nodes whose connections are kept from one step to the next. A larger fleet is connected anew, or it
/// would need a connection for every node at one time, whatever the fanout.
const KEPT: usize = 256;

/// What a step is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase<'a> {
    Reading,
    Writing(&'a Change),
    /// Looking again at the end.
    Proving,
    Restoring,
}

impl Phase<'_> {
    /// What a stop means for it. What was begun is finished: the first Ctrl-C only keeps further nodes from being
    /// begun, and not from being looked at or restored.
    fn soften(self, level: Stop) -> Stop {
        match (self, level) {
            (Self::Writing(_), Stop::Terminate) => Stop::Drain,
            (Self::Proving | Self::Restoring, Stop::Drain | Stop::Terminate) => Stop::No,
            (_, level) => level,
        }
    }
}

impl Steps<'_> {
    /// Runs one work on some of the nodes and keeps what became of them.
    pub(super) async fn run(&mut self, nodes: &[NodeId], work: &dyn Work, phase: Phase<'_>) {
        let mut plan = self.plan.clone();
        plan.selected = nodes.to_vec();
        // Each question has its own limit, and a wait is as long as was asked for.
        plan.limits.command = None;
        plan.limits.idle = None;
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match phase {
            Phase::Reading | Phase::Writing(_) => plan.limits.deadline = left,
            // Half a change is worse than a late end.
            Phase::Proving | Phase::Restoring => plan.limits.deadline = None,
        }
        if matches!(phase, Phase::Proving) && self.is_in_a_hurry() {
            plan.limits.command = Some(HURRY);
            let connect = plan.limits.connect.unwrap_or(HURRY);
            plan.limits.connect = Some(connect.min(HURRY));
        }
        let executor = Executor {
            pool: (plan.nodes.len() <= KEPT).then_some(&self.pool),
            ..Executor::new(self.transport, work)
        };
        let mut collect = Collect {
            tell: &mut self.tell,
            waiting: match phase {
                Phase::Writing(change) => Some(change),
                Phase::Reading | Phase::Proving | Phase::Restoring => None,
            },
            begun: Instant::now(),
            names: &self.plan.nodes,
            note: &mut *self.note,
        };
        let (sender, mut softened) = mpsc::channel(8);
        let run = dispatch(&plan, executor, &mut softened, &mut collect);
        tokio::pin!(run);
        let mut asked = Stop::No;
        let summary = loop {
            tokio::select! {
                biased;
                Some(level) = self.stops.recv() => {
                    asked = asked.max(level);
                    // The run is over if nobody listens.
                    let _ = sender.send(phase.soften(level)).await;
                }
                summary = &mut run => break summary,
            }
        };
        // The run may not have heard of it: what comes next hears of it then.
        if asked > Stop::No {
            self.stop = self.stop.max(asked);
            self.ending.get_or_insert(Ending::Stopped);
        }
        for (node, outcome) in summary.outcomes {
            self.outcomes[node.index()] = Some(outcome);
        }
        self.stop = self.stop.max(summary.stop);
        if self.ending.is_none() {
            self.ending = summary.ending;
        }
    }

    /// Whether the run is to end soon.
    pub(super) fn is_in_a_hurry(&self) -> bool {
        self.stop > Stop::No
            || self
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now())
    }
}

/// Takes the events of a step.
struct Collect<'a, 'b> {
    tell: &'a mut Teller<'b>,
    waiting: Option<&'a Change>,
    begun: Instant,
    names: &'a [NodeName],
    note: &'a mut dyn FnMut(Note),
}

impl Reporter for Collect<'_, '_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.tell.event(event)
    }

    fn stopping(&mut self, level: Stop, pending: &[NodeId]) -> io::Result<()> {
        self.tell.stopping(level, pending)
    }

    fn redraw_every(&self) -> Option<Duration> {
        let inner = self.tell.reporter.redraw_every();
        let own = self.waiting.map(|_| WATCH);
        inner.into_iter().chain(own).min()
    }

    fn redraw(&mut self) -> io::Result<()> {
        if let Some(change) = self.waiting {
            let what = self.what(change);
            let is_shown = self.tell.reporter.waiting(what.as_deref());
            let is_late = self.begun.elapsed() >= SAID_AFTER;
            if let (Some(what), false, false, true) =
                (what, is_shown, self.tell.has_said_waiting, is_late)
            {
                self.tell.has_said_waiting = true;
                (self.note)(Note::Waiting { what });
            }
        }
        self.tell.reporter.redraw()
    }

    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        self.tell.reporter.waiting(None);
        Ok(())
    }
}

impl Collect<'_, '_> {
    /// What the nodes wait for, and how long still.
    fn what(&self, change: &Change) -> Option<String> {
        let mut groups: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
        for (node, text) in change.waiting() {
            groups.entry(text).or_default().push(node);
        }
        let left = change.time_left()?;
        let texts: Vec<String> = groups
            .iter()
            .map(|(text, nodes)| format!("{}: {text}", set(self.names, nodes)))
            .collect();
        let left = humantime::format_duration(Duration::from_secs(left.as_secs()));
        (!texts.is_empty()).then(|| format!("{}; {left} left", texts.join("; ")))
    }
}
