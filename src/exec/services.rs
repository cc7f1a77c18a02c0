//! Drives a walk: runs the actions it names, many at once, and tells it what became of them.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::gate::{Gate, Gated, Permit};
use super::{Means, Requests, dispatch};
use crate::event::{ErrorCode, NodeId, Outcome, Stop, Summary};
use crate::placeholder::LOCAL;
use crate::plan::{Limits, NodeName, Plan, Tolerance};
use crate::report::{ActionEnd, ActionLog, ServiceReporter, Stopped};
use crate::service::{Action, ActionId, Graph, Place, Ran, ServiceId, Step, Target, Task, Walk};
use crate::transport::{BoxFuture, Command, NodeIo, Session, Transport};
use crate::work::Work;

/// With what services are run.
pub struct ServiceMeans<'a> {
    /// How local processes are run.
    pub here: &'a dyn Transport,
    /// How nodes are reached.
    pub remote: &'a dyn Transport,
    /// How native actions are done.
    pub native: &'a dyn Native,
    /// The fanout of actions that set none.
    pub fanout: NonZeroUsize,
    /// Time limits but that of the command, which each action has of its own.
    pub limits: Limits,
    /// Whether to run nothing.
    pub dry_run: bool,
    /// The folder for output that outgrows memory.
    pub scratch: &'a Path,
}

impl std::fmt::Debug for ServiceMeans<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceMeans")
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

/// Does native actions, each on all of its nodes: a change has steps that look at all of them.
pub trait Native {
    /// Does one action and tells its log, as a dispatch would.
    fn perform<'a>(&'a self, action: ActionId, act: NativeAct<'a>) -> LocalBoxFuture<'a, Summary>;
}

/// With what a native action is done.
pub struct NativeAct<'a> {
    /// The nodes.
    pub plan: &'a Plan,
    /// How they are reached.
    pub transport: &'a dyn Transport,
    /// How hard to stop.
    pub stops: &'a mut mpsc::Receiver<Stop>,
    /// What is told.
    pub log: &'a mut ActionLog,
}

impl std::fmt::Debug for NativeAct<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeAct")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// How a service run came to its end.
#[derive(Debug)]
pub enum ServicesEnd {
    /// Every service has its status.
    Over,
    /// It was asked to stop.
    Interrupted,
    /// What was to be told could not be written.
    OutputLost(io::Error),
}

/// Runs a walk to its end.
pub async fn run_services(
    graph: &Graph,
    walk: &mut Walk<'_>,
    means: &ServiceMeans<'_>,
    requests: Requests<'_>,
    reporter: &mut dyn ServiceReporter,
) -> ServicesEnd {
    let (notes, mut notes_seen) = mpsc::unbounded_channel();
    let mut run = Run {
        graph,
        means,
        reporter,
        gate: Gate::new(means.fanout.get()),
        notes,
        running: HashMap::new(),
        actions: FuturesUnordered::new(),
    };
    let Requests {
        stops,
        mut questions,
    } = requests;
    let mut redraw = run.reporter.redraw_every().map(tokio::time::interval);
    let mut end = ServicesEnd::Over;
    while !walk.is_over() {
        if let Err(error) = run.take_steps(walk) {
            end = ServicesEnd::OutputLost(error);
            break;
        }
        if run.actions.is_empty() {
            continue;
        }
        let told = tokio::select! {
            biased;
            Some(level) = stops.recv() => {
                end = run.interrupt(level, walk);
                break;
            }
            Some(note) = notes_seen.recv() => run.take_note(&note),
            Some(()) = super::asked(&mut questions) => run.reporter.asked(),
            () = super::tick(&mut redraw) => {
                run.reporter.redraw();
                Ok(())
            }
            Some(done) = run.actions.next() => run.take_end(done, walk, &mut notes_seen),
        };
        // Whatever else has happened is told before anybody waits again.
        let told = told.and_then(|()| {
            while let Ok(note) = notes_seen.try_recv() {
                run.take_note(&note)?;
            }
            Ok(())
        });
        if let Err(error) = told {
            run.stop(Stop::Terminate);
            end = ServicesEnd::OutputLost(error);
            break;
        }
    }
    match end {
        ServicesEnd::Over => match run.reporter.finish() {
            Ok(()) => ServicesEnd::Over,
            Err(error) => ServicesEnd::OutputLost(error),
        },
        ServicesEnd::Interrupted | ServicesEnd::OutputLost(_) => {
            run.wind_down(stops).await;
            end
        }
    }
}

/// What the future of an action tells while it runs.
#[derive(Debug)]
enum Note {
    Delayed(ActionId),
    Started(ActionId),
    NodeEnded(ActionId, NodeId),
}

/// What a try came to.
struct Try {
    log: ActionLog,
    ran: Ran,
}

/// An action whose last try has ended.
struct Done {
    action: ActionId,
    took: Duration,
    last: Try,
}

/// An action that runs or waits to.
struct Running {
    target: Target,
    stop: mpsc::Sender<Stop>,
    ended: Vec<NodeId>,
}

struct Run<'a> {
    graph: &'a Graph,
    means: &'a ServiceMeans<'a>,
    reporter: &'a mut dyn ServiceReporter,
    gate: Gate,
    notes: mpsc::UnboundedSender<Note>,
    running: HashMap<ActionId, Running>,
    actions: FuturesUnordered<LocalBoxFuture<'a, Done>>,
}

impl Run<'_> {
    /// Does what the walk says until it waits for an action.
    fn take_steps(&mut self, walk: &mut Walk<'_>) -> io::Result<()> {
        loop {
            let steps = walk.ready();
            if steps.is_empty() {
                return self.reporter.idle();
            }
            for step in steps {
                match step {
                    Step::Run { action, target } => self.start(action, target),
                    Step::Spared { action, status } => self.reporter.spared(action, status)?,
                    Step::Settled {
                        service,
                        status,
                        quiet,
                    } => self.reporter.settled(service, status, quiet)?,
                }
            }
        }
    }

    fn start(&mut self, id: ActionId, target: Target) {
        let (stop, stops) = mpsc::channel(4);
        let performance = Performance {
            graph: self.graph,
            means: self.means,
            gate: self.gate.clone(),
            notes: self.notes.clone(),
            id,
            target: target.clone(),
        };
        self.actions.push(Box::pin(performance.perform(stops)));
        let running = Running {
            target,
            stop,
            ended: Vec::new(),
        };
        self.running.insert(id, running);
    }

    fn take_note(&mut self, note: &Note) -> io::Result<()> {
        match *note {
            Note::Delayed(action) => match self.running.get(&action) {
                Some(running) => self.reporter.delayed(action, &running.target),
                None => Ok(()),
            },
            Note::Started(action) => match self.running.get_mut(&action) {
                Some(running) => {
                    running.ended.clear();
                    self.reporter.started(action, &running.target)
                }
                None => Ok(()),
            },
            Note::NodeEnded(action, node) => match self.running.get_mut(&action) {
                Some(running) => {
                    running.ended.push(node);
                    self.reporter.node_ended(action, node)
                }
                None => Ok(()),
            },
        }
    }

    fn take_end(
        &mut self,
        done: Done,
        walk: &mut Walk<'_>,
        notes: &mut mpsc::UnboundedReceiver<Note>,
    ) -> io::Result<()> {
        while let Ok(note) = notes.try_recv() {
            self.take_note(&note)?;
        }
        let Done { action, took, last } = done;
        let Some(running) = self.running.remove(&action) else {
            return Ok(());
        };
        let status = walk.settle(action, &last.ran);
        self.reporter.ended(ActionEnd {
            action,
            target: running.target,
            status,
            took,
            log: last.log,
        })
    }

    /// Tells what is cut short, and asks it to end.
    fn interrupt(&mut self, level: Stop, walk: &Walk<'_>) -> ServicesEnd {
        let mut stopped: Vec<Stopped> = self
            .running
            .iter()
            .map(|(action, running)| Stopped {
                action: *action,
                nodes: self.left(*action, running),
            })
            .collect();
        stopped.sort_by_key(|stopped| stopped.action);
        let begun = |id: &ServiceId| {
            self.running
                .keys()
                .any(|action| self.graph.action(*action).service == *id)
        };
        let never: Vec<ServiceId> = walk.unsettled().filter(|id| !begun(id)).collect();
        let told = self.reporter.interrupted(&stopped, &never);
        self.stop(level);
        match told {
            Ok(()) => ServicesEnd::Interrupted,
            Err(error) => ServicesEnd::OutputLost(error),
        }
    }

    /// The nodes of a running action that have not ended; none if it runs here.
    fn left(&self, action: ActionId, running: &Running) -> Vec<NodeId> {
        match (&running.target, self.graph.action(action).place) {
            (Target::Local, _) | (_, Place::Here) => Vec::new(),
            (Target::Nodes(nodes), _) => {
                let ended: std::collections::HashSet<_> = running.ended.iter().collect();
                nodes
                    .iter()
                    .copied()
                    .filter(|node| !ended.contains(node))
                    .collect()
            }
        }
    }

    fn stop(&self, level: Stop) {
        for running in self.running.values() {
            // An action that has ended or has been told three times hears no more.
            let _ = running.stop.try_send(level);
        }
    }

    /// Waits until everything that runs has ended.
    async fn wind_down(&mut self, stops: &mut mpsc::Receiver<Stop>) {
        while !self.actions.is_empty() {
            tokio::select! {
                biased;
                Some(level) = stops.recv() => self.stop(level),
                _ = self.actions.next() => {}
            }
        }
    }
}

/// One action, all its tries.
struct Performance<'a> {
    graph: &'a Graph,
    means: &'a ServiceMeans<'a>,
    gate: Gate,
    notes: mpsc::UnboundedSender<Note>,
    id: ActionId,
    target: Target,
}

impl<'a> Performance<'a> {
    fn action(&self) -> &'a Action {
        self.graph.action(self.id)
    }

    async fn perform(self, mut stops: mpsc::Receiver<Stop>) -> Done {
        let action = self.action();
        let begun = Instant::now();
        let (nodes, selected) = self.nodes();
        let mut tries = action.retry + 1;
        loop {
            tries -= 1;
            if !action.delay.duration.is_zero() {
                self.note(Note::Delayed(self.id));
                tokio::select! {
                    biased;
                    Some(_) = stops.recv() => return self.given_up(begun),
                    () = tokio::time::sleep(action.delay.duration) => {}
                }
            }
            let fanout = action.fanout.unwrap_or(self.means.fanout.get());
            let limit = self.gate.limit(fanout);
            let first = tokio::select! {
                biased;
                Some(_) = stops.recv() => return self.given_up(begun),
                first = self.gate.enter() => first,
            };
            self.note(Note::Started(self.id));
            let plan = Plan {
                nodes: Arc::clone(&nodes),
                selected: selected.clone(),
                fanout: NonZeroUsize::new(fanout).unwrap_or(NonZeroUsize::MIN),
                limits: Limits {
                    command: action.timeout,
                    ..self.means.limits
                },
                tolerance: Tolerance::default(),
            };
            let mut log = self.log(&plan);
            let ran = if self.means.dry_run {
                for node in &plan.selected {
                    log.end_quietly(*node);
                }
                Ran::default()
            } else {
                let summary = self.run_try(&plan, first, &mut stops, &mut log).await;
                if summary.stop > Stop::No {
                    return self.given_up(begun);
                }
                self.tally(&summary)
            };
            drop(limit);
            if tries == 0 || ran.failed + ran.timed_out == 0 {
                return Done {
                    action: self.id,
                    took: begun.elapsed(),
                    last: Try { log, ran },
                };
            }
        }
    }

    /// One try on all nodes.
    async fn run_try(
        &self,
        plan: &Plan,
        permit: Permit,
        stops: &mut mpsc::Receiver<Stop>,
        log: &mut ActionLog,
    ) -> Summary {
        let inner = match self.action().place {
            Place::Remote => self.means.remote,
            Place::Here | Place::HereForEach => self.means.here,
        };
        let Some(work) = self.work(plan) else {
            // It keeps sessions between its steps, so it counts as one process and has a fanout of its own.
            let plan = Plan {
                fanout: self.means.fanout,
                ..plan.clone()
            };
            let act = NativeAct {
                plan: &plan,
                transport: inner,
                stops,
                log,
            };
            let summary = self.means.native.perform(self.id, act).await;
            drop(permit);
            return summary;
        };
        let transport = Gated {
            inner,
            gate: self.gate.clone(),
            first: Mutex::new(Some(permit)),
        };
        let means = Means::new(&transport, &*work);
        dispatch(plan, means, stops, log).await
    }

    fn note(&self, note: Note) {
        // The loop that listens outlives the actions.
        let _ = self.notes.send(note);
    }

    /// The end of an action that was stopped, which nobody looks at.
    fn given_up(&self, begun: Instant) -> Done {
        Done {
            action: self.id,
            took: begun.elapsed(),
            last: Try {
                log: ActionLog::new(&[], self.means.scratch, Arc::new(|_| {})),
                ran: Ran::default(),
            },
        }
    }

    /// The nodes of the plan: those of the target, or one that stands for a single local process.
    fn nodes(&self) -> (Arc<[NodeName]>, Vec<NodeId>) {
        match &self.target {
            Target::Nodes(nodes)
                if self.action().place != Place::Here && !self.action().is_collective() =>
            {
                (Arc::clone(self.graph.nodes()), nodes.to_vec())
            }
            Target::Nodes(_) | Target::Local => (Arc::new(["localhost".into()]), vec![NodeId(0)]),
        }
    }

    fn log(&self, plan: &Plan) -> ActionLog {
        let (notes, id) = (self.notes.clone(), self.id);
        let done = Arc::new(move |node| {
            let _ = notes.send(Note::NodeEnded(id, node));
        });
        ActionLog::new(&plan.selected, self.means.scratch, done)
    }

    /// What is done on each node; nothing of the kind for a native action.
    fn work(&self, plan: &Plan) -> Option<Box<dyn Work>> {
        let folded = || match &self.target {
            Target::Local => "localhost".to_owned(),
            Target::Nodes(nodes) => {
                let names = self.graph.nodes();
                let set: crate::nodeset::NodeSet =
                    nodes.iter().map(|node| &*names[node.index()]).collect();
                set.to_string()
            }
        };
        match &self.action().task {
            Task::Haproxy(_) => None,
            Task::Shell(_) => {
                let folded = folded();
                let text = self.action().task.text(&folded);
                Some(Box::new(match self.action().place {
                    Place::Here | Place::Remote => Commands::Same(command(text)),
                    Place::HereForEach => Commands::Each {
                        ranks: plan.selected.iter().copied().zip(0..).collect(),
                        nodes: Arc::clone(&plan.nodes),
                        text,
                        folded,
                    },
                }))
            }
        }
    }

    fn tally(&self, summary: &Summary) -> Ran {
        let mut ran = Ran::default();
        for (node, outcome) in &summary.outcomes {
            let is_slow = matches!(outcome, Outcome::Failed(failure)
                if failure.code == ErrorCode::TimeoutCommand);
            if is_slow {
                ran.timed_out += 1;
            } else if outcome.status() != 0 {
                ran.failed += 1;
            } else {
                continue;
            }
            ran.nodes.push(*node);
        }
        match &self.target {
            // One process for all nodes: it failed on all of them.
            Target::Nodes(nodes) if self.action().is_collective() && !ran.nodes.is_empty() => {
                let count = nodes.len() as u64;
                (ran.failed, ran.timed_out) = (ran.failed * count, ran.timed_out * count);
                ran.nodes = nodes.to_vec();
            }
            Target::Nodes(_) if self.action().place != Place::Here => {}
            Target::Nodes(_) | Target::Local => ran.nodes.clear(),
        }
        ran
    }
}

fn command(line: String) -> Command {
    Command {
        line,
        ..Command::default()
    }
}

/// The commands of an action.
enum Commands {
    /// The same for all nodes.
    Same(Command),
    /// One with placeholders, filled in for each.
    Each {
        ranks: HashMap<NodeId, usize>,
        nodes: Arc<[NodeName]>,
        text: String,
        folded: String,
    },
}

impl Work for Commands {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        match self {
            Self::Same(command) => session.exec(command, io),
            Self::Each {
                ranks,
                nodes,
                text,
                folded,
            } => Box::pin(async move {
                let rank = ranks.get(&node).copied().unwrap_or_default();
                match LOCAL.parse(text) {
                    Ok(template) => {
                        let line = template.command(&nodes[node.index()], rank, folded);
                        session.exec(&command(line), io).await
                    }
                    Err(error) => Outcome::failed(ErrorCode::ExecRefused, error.to_string()),
                }
            }),
        }
    }
}
