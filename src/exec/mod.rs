//! Runs a plan: one executor for every kind of work, transport and report.
//!
//! Three promises hold everything else up: every node of the plan gets exactly one `Finished`, even one
//! that never started; no event of a node follows it; the bytes of one stream of one node keep their order.

pub mod batch;
pub mod change;
mod limiter;
pub mod pool;
pub mod services;
pub mod transaction;
mod worker;

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{AbortHandle, abortable};
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::event::{
    Ending, ErrorCode, Event, Failure, FailureClass, NodeId, Outcome, Stop, Summary,
};
use crate::gather::Full;
use crate::plan::{Plan, Tolerance};
use crate::report::Reporter;
use crate::transport::{BoxFuture, FleetIo, Launch, Launcher, Transport, until};
use crate::work::Work;

use pool::SessionPool;
use worker::Worker;

/// Events on their way from the workers to the loop. Small, so that a slow reader slows the nodes down
/// instead of filling memory; every entry is at most one SSH packet.
const EVENTS: usize = 64;

/// After this many bytes of output the loop yields to the connections: they live on the same thread,
/// and nodes that talk without end would keep it busy with showing.
const TURN: usize = 32 * 1024;

/// How long a node that was asked to end may take to do so: a little longer than the steps by which commands are asked,
/// so that who takes them says what is left.
const GRACE: Duration = Duration::from_millis(2500);

/// What carries out a plan: the way to the nodes and the work done on each.
#[derive(Clone, Copy)]
pub struct Executor<'a> {
    /// How nodes are reached.
    pub transport: &'a dyn Transport,
    /// What is done on each.
    pub work: &'a dyn Work,
    /// Where sessions wait for the next dispatch over the same nodes; `None` closes them.
    pub pool: Option<&'a SessionPool>,
    /// Reaches some of the nodes in place of the transport, if the work is a single command.
    pub launcher: Option<&'a dyn Launcher>,
}

impl<'a> Executor<'a> {
    /// Each node is reached by the transport, anew.
    #[must_use]
    pub fn new(transport: &'a dyn Transport, work: &'a dyn Work) -> Self {
        Self {
            transport,
            work,
            pool: None,
            launcher: None,
        }
    }

    /// The nodes that the launcher takes, and those that the transport reaches.
    fn share_out(&self, plan: &Plan) -> (Vec<NodeId>, Vec<NodeId>) {
        let is_launched = |node: NodeId| {
            self.launcher.is_some_and(|launcher| {
                launcher.takes(plan.name(node)) && self.work.command(node).is_some()
            })
        };
        plan.selected.iter().partition(|node| is_launched(**node))
    }

    /// The launcher at work, if there are nodes for it.
    fn launching<'r>(
        self,
        plan: &'r Plan,
        nodes: &'r [NodeId],
        io: FleetIo,
    ) -> Option<BoxFuture<'r, ()>>
    where
        'a: 'r,
    {
        (!nodes.is_empty()).then(|| Box::pin(self.launch(plan, nodes, io)) as BoxFuture<'r, ()>)
    }

    /// The launcher at work on its nodes.
    async fn launch(self, plan: &Plan, nodes: &[NodeId], io: FleetIo) {
        let Some(launcher) = self.launcher else {
            return;
        };
        let command = |node| self.work.command(node).unwrap_or_default();
        let launch = Launch {
            plan,
            nodes,
            command: &command,
        };
        launcher.launch(launch, io).await;
    }
}

/// What signals and keys ask for while a plan runs.
#[derive(Debug)]
pub struct Requests<'a> {
    /// How hard to stop.
    pub stops: &'a mut mpsc::Receiver<Stop>,
    /// Each says that the user wants to know what is going on.
    pub questions: Option<&'a mut mpsc::Receiver<()>>,
}

impl<'a> From<&'a mut mpsc::Receiver<Stop>> for Requests<'a> {
    fn from(stops: &'a mut mpsc::Receiver<Stop>) -> Self {
        Self {
            stops,
            questions: None,
        }
    }
}

impl Requests<'_> {
    /// The same for a part of the run.
    fn again(&mut self) -> Requests<'_> {
        Requests {
            stops: self.stops,
            questions: self.questions.as_deref_mut(),
        }
    }
}

impl std::fmt::Debug for Executor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// Runs the plan until every node has its outcome.
///
/// `requests` brings what signals ask for; the highest level counts. When the reporter cannot write, the run
/// is stopped and [`Summary::ending`] keeps the error.
pub async fn dispatch(
    plan: &Plan,
    executor: Executor<'_>,
    requests: impl Into<Requests<'_>>,
    reporter: &mut dyn Reporter,
) -> Summary {
    let requests = requests.into();
    let (stops, mut questions) = (requests.stops, requests.questions);
    let (event_sender, mut events) = mpsc::channel(EVENTS);
    let (stop, stop_seen) = watch::channel(Stop::No);
    let mut run = Run::new(plan, reporter, stop);
    let (launched, direct) = executor.share_out(plan);
    let mut waiting = direct.into_iter();
    let mut workers: FuturesUnordered<BoxFuture<'_, NodeId>> = FuturesUnordered::new();
    let io = FleetIo::new(event_sender.clone(), stop_seen.clone());
    let mut launching = executor.launching(plan, &launched, io);
    let deadline = plan.limits.deadline.map(|limit| Instant::now() + limit);
    let mut shown = 0;
    let mut redraw = run.reporter.redraw_every().map(ticks);

    while run.open > 0 {
        while run.level() == Stop::No && workers.len() < plan.fanout.get() {
            let Some(node) = waiting.next() else { break };
            run.state[node.index()] = State::Running;
            let (sender, seen) = (event_sender.clone(), stop_seen.clone());
            let worker = Worker::new(plan, executor, node, sender, seen);
            let (work, handle) = abortable(worker.run());
            run.workers.insert(node, (handle, Instant::now()));
            workers.push(Box::pin(async move {
                // One that is cut short has its outcome already.
                let _ = work.await;
                node
            }));
        }
        if workers.is_empty() && launching.is_none() && events.is_empty() && run.level() > Stop::No
        {
            break;
        }
        tokio::select! {
            biased;
            Some(level) = stops.recv() => run.ask(level, Ending::Stopped),
            () = until(run.kill_at) => run.ask(Stop::Kill, Ending::Stopped),
            () = until(deadline), if run.kill_at.is_none() => run.ask(Stop::Terminate, Ending::Deadline),
            () = tick(&mut redraw) => run.write(|reporter| reporter.redraw()),
            Some(()) = asked(&mut questions) => run.answer(&plan.selected),
            Some(event) = events.recv() => {
                shown += size(&event);
                run.take(event);
                if shown >= TURN {
                    shown = 0;
                    tokio::task::yield_now().await;
                }
            }
            Some(node) = workers.next(), if !workers.is_empty() => {
                // How it ended decides whether another node is begun, and may still be on its way.
                run.take_until_finished(node, &mut events);
            }
            () = ended(&mut launching), if launching.is_some() => {
                launching = None;
                run.take_all(&mut events);
                launched.iter().for_each(|node| run.give_up(*node));
            }
        }
        if run.level() == Stop::Kill {
            break;
        }
    }
    // Workers that have said their last word may still be closing their connection.
    if run.level() < Stop::Kill {
        while workers.next().await.is_some() {}
        let _ = tokio::time::timeout(GRACE, ended(&mut launching)).await;
    }
    drop(launching);
    drop(workers);
    run.take_all(&mut events);
    run.finish(plan)
}

/// Where a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Finished,
}

/// What the loop knows while the run goes on.
struct Run<'a> {
    reporter: &'a mut dyn Reporter,
    stop: watch::Sender<Stop>,
    /// The workers of nodes without an outcome, and since when they are at work.
    workers: HashMap<NodeId, (AbortHandle, Instant)>,
    open: usize,
    state: Vec<State>,
    summary: Summary,
    kill_at: Option<Instant>,
    tolerance: Tolerance,
    failed: usize,
    unreached: usize,
}

impl<'a> Run<'a> {
    fn new(plan: &Plan, reporter: &'a mut dyn Reporter, stop: watch::Sender<Stop>) -> Self {
        Self {
            reporter,
            stop,
            workers: HashMap::new(),
            open: plan.selected.len(),
            state: vec![State::Waiting; plan.nodes.len()],
            summary: Summary::default(),
            kill_at: None,
            tolerance: plan.tolerance,
            failed: 0,
            unreached: 0,
        }
    }

    /// Takes every event that has arrived.
    fn take_all(&mut self, events: &mut mpsc::Receiver<Event>) {
        while let Ok(event) = events.try_recv() {
            self.take(event);
        }
    }

    /// Takes the events that have arrived, up to the end of this node.
    fn take_until_finished(&mut self, node: NodeId, events: &mut mpsc::Receiver<Event>) {
        while self.state[node.index()] != State::Finished
            && let Ok(event) = events.try_recv()
        {
            self.take(event);
        }
    }

    /// Ends the run: every node without an outcome gets one, and the report is closed.
    fn finish(mut self, plan: &Plan) -> Summary {
        for node in &plan.selected {
            self.abandon(*node);
        }
        let mut summary = self.summary;
        if let Err(error) = self.reporter.finish(&summary) {
            summary.ending.get_or_insert(Ending::OutputLost(error));
        }
        summary
    }

    fn level(&self) -> Stop {
        *self.stop.borrow()
    }

    /// Raises the level of stopping. The first reason is the one that is kept, unless it only kept further
    /// nodes from being begun.
    fn ask(&mut self, level: Stop, ending: Ending) {
        if level <= self.level() {
            return;
        }
        if matches!(self.summary.ending, None | Some(Ending::Threshold(_))) {
            self.summary.ending = Some(ending);
        }
        self.summary.stop = level;
        self.stop.send_replace(level);
        if level == Stop::Terminate {
            self.kill_at = Some(Instant::now() + GRACE);
        }
        let running: Vec<NodeId> = (0..)
            .map(NodeId)
            .zip(&self.state)
            .filter(|(_, state)| **state == State::Running)
            .map(|(node, _)| node)
            .collect();
        self.write(|reporter| reporter.stopping(level, &running));
    }

    /// Folds one event and shows it.
    fn take(&mut self, mut event: Event) {
        let state = &mut self.state[event.node().index()];
        match state {
            // A launcher that speaks of a node again after its end is not believed.
            State::Finished => return,
            State::Waiting => *state = State::Running,
            State::Running => {}
        }
        if let Event::Finished { node, outcome, .. } = &mut event {
            self.state[node.index()] = State::Finished;
            self.open -= 1;
            self.workers.remove(node);
            self.blame_ending(outcome);
        }
        let shown = self.show(|reporter| reporter.event(&event));
        let Event::Finished { node, outcome, .. } = event else {
            if let Err(full) = shown {
                self.cut_short(event.node(), full);
            }
            return;
        };
        let outcome = match shown {
            Ok(()) => outcome,
            Err(full) => Outcome::failed(ErrorCode::Output, full.to_string()),
        };
        match outcome.class() {
            None => {}
            Some(FailureClass::Unreached) => self.unreached += 1,
            Some(FailureClass::Command | FailureClass::Guarded) => self.failed += 1,
        }
        self.summary.outcomes.push((node, outcome));
        if self.level() == Stop::No
            && let Some(reason) = self.too_many()
        {
            self.ask(Stop::Drain, Ending::Threshold(reason));
        }
    }

    /// Ends a node of whose output no more can be kept.
    fn cut_short(&mut self, node: NodeId, full: Full) {
        let mut took = Duration::ZERO;
        if let Some((worker, since)) = self.workers.get(&node) {
            worker.abort();
            took = since.elapsed();
        }
        let outcome = Outcome::failed(ErrorCode::Output, full.to_string());
        self.take(Event::Finished {
            node,
            outcome,
            took,
        });
    }

    /// Answers the question what is going on.
    fn answer(&mut self, selected: &[NodeId]) {
        let in_state = |state: State| {
            let fits = |node: &&NodeId| self.state[node.index()] == state;
            selected.iter().filter(fits).copied().collect::<Vec<_>>()
        };
        let (running, waiting) = (in_state(State::Running), in_state(State::Waiting));
        self.write(|reporter| reporter.asked(&running, &waiting));
    }

    /// Gives an outcome to a node that its launcher has left without one.
    fn give_up(&mut self, node: NodeId) {
        let code = if self.level() > Stop::No {
            ErrorCode::Stopped
        } else {
            ErrorCode::Lost
        };
        let message = match self.state[node.index()] {
            State::Finished => return,
            State::Waiting => "what reaches the node ended before it was begun",
            State::Running => "lost with what reached the node; the command may still be running",
        };
        self.take(Event::Finished {
            node,
            outcome: Outcome::failed(code, message),
            took: Duration::ZERO,
        });
    }

    /// Gives an outcome to a node that has none, because the run was stopped.
    fn abandon(&mut self, node: NodeId) {
        let message = match self.state[node.index()] {
            State::Finished => return,
            State::Waiting => "stopped before it was begun",
            State::Running => "stopped; what was begun there may still be running",
        };
        self.take(Event::Finished {
            node,
            outcome: Outcome::failed(ErrorCode::Stopped, message),
            took: Duration::ZERO,
        });
    }

    /// Why no further node is begun, once more have failed than the plan tolerates.
    fn too_many(&self) -> Option<String> {
        let beyond = |count: usize, limit: Option<usize>| limit.is_some_and(|limit| count > limit);
        if beyond(self.failed, self.tolerance.failed) {
            Some(format!("failures on {} of the nodes", self.failed))
        } else if beyond(self.unreached, self.tolerance.unreached) {
            Some(format!(
                "{} of the nodes could not be reached",
                self.unreached
            ))
        } else {
            None
        }
    }

    /// A node that was stopped says why.
    fn blame_ending(&self, outcome: &mut Outcome) {
        let Outcome::Failed(Failure {
            code: code @ ErrorCode::Stopped,
            message,
            ..
        }) = outcome
        else {
            return;
        };
        match &self.summary.ending {
            Some(Ending::Deadline) => {
                *code = ErrorCode::Deadline;
                *message = format!("deadline passed: {message}");
            }
            Some(Ending::Threshold(reason)) => *message = format!("{reason}: {message}"),
            Some(Ending::Stopped | Ending::OutputLost(_)) | None => {}
        }
    }

    fn write(&mut self, show: impl FnOnce(&mut dyn Reporter) -> io::Result<()>) {
        // Only what nodes say can be too much.
        let _ = self.show(show);
    }

    /// Shows something. That no more of a node's output can be kept is the node's matter, anything else that of the run.
    fn show(&mut self, show: impl FnOnce(&mut dyn Reporter) -> io::Result<()>) -> Result<(), Full> {
        if matches!(self.summary.ending, Some(Ending::OutputLost(_))) {
            return Ok(());
        }
        match show(self.reporter) {
            Ok(()) => Ok(()),
            Err(error) => match Full::of(&error) {
                Some(full) => Err(full),
                None => {
                    self.ask(Stop::Terminate, Ending::OutputLost(error));
                    Ok(())
                }
            },
        }
    }
}

/// The next question, `None` once no more can come.
async fn asked(questions: &mut Option<&mut mpsc::Receiver<()>>) -> Option<()> {
    match questions {
        Some(questions) => questions.recv().await,
        None => None,
    }
}

async fn ended(launching: &mut Option<BoxFuture<'_, ()>>) {
    if let Some(launching) = launching {
        launching.await;
    }
}

/// When the report is drawn again.
fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The bytes of an event that are shown.
fn size(event: &Event) -> usize {
    match event {
        Event::Output { data, .. } => data.len(),
        Event::Answer { answer, .. } => answer.size(),
        Event::Started { .. } | Event::Finished { .. } => 0,
    }
}

async fn tick(ticks: &mut Option<tokio::time::Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
