//! A plan in batches: the next one begins when all nodes of the last have ended well enough, a pause has
//! passed, and a gate has opened.

use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Executor, Requests, dispatch};
use crate::event::{Ending, ErrorCode, Event, NodeId, Outcome, Stop, Summary};
use crate::plan::Plan;
use crate::report::Reporter;
use crate::transport::BoxFuture;

/// Decides between two batches whether the run may go on.
pub trait Gate {
    /// Looks at what became of the nodes so far; the error says in words why no further node may be begun.
    fn pass<'a>(&'a self, so_far: &'a Summary) -> BoxFuture<'a, Result<(), String>>;
}

/// How a plan is cut.
#[derive(Clone, Copy)]
pub struct Batches<'a> {
    /// The size of each batch; the last one serves for all that remain. Empty is one batch of all.
    pub sizes: &'a [usize],
    /// How long to wait between two.
    pub pause: Duration,
    /// Decides between two batches whether to go on.
    pub gate: Option<&'a dyn Gate>,
}

impl std::fmt::Debug for Batches<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches")
            .field("sizes", &self.sizes)
            .field("pause", &self.pause)
            .finish_non_exhaustive()
    }
}

/// Runs the plan batch by batch. What the plan tolerates counts over all batches.
pub async fn dispatch_batches(
    plan: &Plan,
    batches: Batches<'_>,
    executor: Executor<'_>,
    requests: impl Into<Requests<'_>>,
    reporter: &mut dyn Reporter,
) -> Summary {
    let mut requests = requests.into();
    // The deadline is the whole run's, pauses and gates included.
    let deadline = plan.limits.deadline.map(|limit| Instant::now() + limit);
    let remaining = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let mut total = Summary::default();
    let mut rest = plan.selected.as_slice();
    let mut sizes = batches.sizes.iter().copied();
    let mut size = rest.len();
    while !rest.is_empty() && total.ending.is_none() {
        size = sizes.next().unwrap_or(size).clamp(1, rest.len().max(1));
        let (batch, later) = rest.split_at(size.min(rest.len()));
        rest = later;
        let (failed, unreached) = total.failures();
        let mut part = Plan {
            selected: batch.to_vec(),
            ..plan.clone()
        };
        let left =
            |limit: Option<usize>, used: usize| limit.map(|limit| limit.saturating_sub(used));
        part.limits.deadline = remaining();
        part.tolerance.failed = left(plan.tolerance.failed, failed);
        part.tolerance.unreached = left(plan.tolerance.unreached, unreached);
        let summary = dispatch(&part, executor, requests.again(), &mut Unfinished(reporter)).await;
        total.outcomes.extend(summary.outcomes);
        total.stop = summary.stop;
        total.ending = summary.ending;
        if !rest.is_empty() && total.ending.is_none() {
            total.ending = between(batches, &total, requests.stops, remaining()).await;
        }
    }
    for node in rest {
        let outcome = Outcome::failed(ErrorCode::Stopped, not_begun(total.ending.as_ref()));
        let event = Event::Finished {
            node: *node,
            outcome: outcome.clone(),
            took: Duration::ZERO,
        };
        total.outcomes.push((*node, outcome));
        if let Err(error) = reporter.event(&event) {
            total.ending = Some(Ending::OutputLost(error));
            break;
        }
    }
    if !matches!(total.ending, Some(Ending::OutputLost(_)))
        && let Err(error) = reporter.finish(&total)
    {
        total.ending = Some(Ending::OutputLost(error));
    }
    total
}

/// Waits and asks the gate; a stop and the end of the time ends both.
async fn between(
    batches: Batches<'_>,
    so_far: &Summary,
    stops: &mut mpsc::Receiver<Stop>,
    limit: Option<Duration>,
) -> Option<Ending> {
    let waiting = async {
        tokio::time::sleep(batches.pause).await;
        match batches.gate {
            Some(gate) => gate.pass(so_far).await,
            None => Ok(()),
        }
    };
    tokio::select! {
        biased;
        Some(_) = stops.recv() => Some(Ending::Stopped),
        () = super::until(limit.map(|limit| Instant::now() + limit)) => Some(Ending::Deadline),
        passed = waiting => passed.err().map(Ending::Threshold),
    }
}

fn not_begun(ending: Option<&Ending>) -> String {
    match ending {
        Some(Ending::Threshold(reason)) => format!("{reason}: stopped before it was begun"),
        Some(Ending::Deadline) => "deadline passed: stopped before it was begun".to_owned(),
        Some(Ending::Stopped | Ending::OutputLost(_)) | None => {
            "stopped before it was begun".to_owned()
        }
    }
}

/// A reporter that is told later that the run is over.
struct Unfinished<'a>(&'a mut dyn Reporter);

impl Reporter for Unfinished<'_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.0.event(event)
    }

    fn stopping(&mut self, level: Stop, pending: &[NodeId]) -> io::Result<()> {
        self.0.stopping(level, pending)
    }

    fn asked(&mut self, running: &[NodeId], waiting: &[NodeId]) -> io::Result<()> {
        self.0.asked(running, waiting)
    }

    fn redraw_every(&self) -> Option<Duration> {
        self.0.redraw_every()
    }

    fn redraw(&mut self) -> io::Result<()> {
        self.0.redraw()
    }

    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }
}
