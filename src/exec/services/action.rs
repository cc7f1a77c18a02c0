//! One action, all its tries.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::commands::{Commands, command};
use super::settings::{NativeAct, ServiceSettings};
use crate::event::{ErrorCode, NodeId, Outcome, Stop, Summary};
use crate::exec::limiter::{Limited, Limiter, Permit};
use crate::exec::{Executor, dispatch};
use crate::plan::{Limits, NodeName, Plan, Tolerance};
use crate::report::ActionLog;
use crate::service::{Action, ActionId, Graph, Place, Ran, Target, Task};
use crate::work::Work;

/// What the future of an action tells while it runs.
#[derive(Debug)]
pub(super) enum Note {
    Delayed(ActionId),
    Started(ActionId),
    NodeEnded(ActionId, NodeId),
}

/// What a try came to.
pub(super) struct Try {
    pub(super) log: ActionLog,
    pub(super) ran: Ran,
}

/// An action whose last try has ended.
pub(super) struct Done {
    pub(super) action: ActionId,
    pub(super) took: Duration,
    pub(super) last: Try,
}

/// One action, all its tries.
pub(super) struct Performance<'a> {
    pub(super) graph: &'a Graph,
    pub(super) settings: &'a ServiceSettings<'a>,
    pub(super) limiter: Limiter,
    pub(super) notes: mpsc::UnboundedSender<Note>,
    pub(super) id: ActionId,
    pub(super) target: Target,
}

impl<'a> Performance<'a> {
    pub(super) fn action(&self) -> &'a Action {
        self.graph.action(self.id)
    }

    pub(super) async fn perform(self, mut stops: mpsc::Receiver<Stop>) -> Done {
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
            let fanout = action.fanout.unwrap_or(self.settings.fanout.get());
            let limit = self.limiter.limit(fanout);
            let first = tokio::select! {
                biased;
                Some(_) = stops.recv() => return self.given_up(begun),
                first = self.limiter.enter() => first,
            };
            self.note(Note::Started(self.id));
            let plan = Plan {
                nodes: Arc::clone(&nodes),
                selected: selected.clone(),
                fanout: NonZeroUsize::new(fanout).unwrap_or(NonZeroUsize::MIN),
                limits: Limits {
                    command: action.timeout,
                    ..self.settings.limits
                },
                tolerance: Tolerance::default(),
            };
            let mut log = self.log(&plan);
            let ran = if self.settings.dry_run {
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
    pub(super) async fn run_try(
        &self,
        plan: &Plan,
        permit: Permit,
        stops: &mut mpsc::Receiver<Stop>,
        log: &mut ActionLog,
    ) -> Summary {
        let inner = match self.action().place {
            Place::Remote => self.settings.remote,
            Place::Here | Place::HereForEach => self.settings.here,
        };
        let Some(work) = self.work(plan) else {
            // It keeps sessions between its steps, so it counts as one process and has a fanout of its own.
            let plan = Plan {
                fanout: self.settings.fanout,
                ..plan.clone()
            };
            let act = NativeAct {
                plan: &plan,
                transport: inner,
                stops,
                log,
            };
            let summary = self.settings.native.perform(self.id, act).await;
            drop(permit);
            return summary;
        };
        let transport = Limited {
            inner,
            limiter: self.limiter.clone(),
            first: Mutex::new(Some(permit)),
        };
        let settings = Executor::new(&transport, &*work);
        dispatch(plan, settings, stops, log).await
    }

    pub(super) fn note(&self, note: Note) {
        // The loop that listens outlives the actions.
        let _ = self.notes.send(note);
    }

    /// The end of an action that was stopped; it is never inspected.
    pub(super) fn given_up(&self, begun: Instant) -> Done {
        Done {
            action: self.id,
            took: begun.elapsed(),
            last: Try {
                log: ActionLog::new(&[], self.settings.scratch, Arc::new(|_| {})),
                ran: Ran::default(),
            },
        }
    }

    /// The nodes of the plan: those of the target, or one that stands for a single local process.
    pub(super) fn nodes(&self) -> (Arc<[NodeName]>, Vec<NodeId>) {
        match &self.target {
            Target::Nodes(nodes)
                if self.action().place != Place::Here && !self.action().is_collective() =>
            {
                (Arc::clone(self.graph.nodes()), nodes.to_vec())
            }
            Target::Nodes(_) | Target::Local => (Arc::new(["localhost".into()]), vec![NodeId(0)]),
        }
    }

    pub(super) fn log(&self, plan: &Plan) -> ActionLog {
        let (notes, id) = (self.notes.clone(), self.id);
        let done = Arc::new(move |node| {
            let _ = notes.send(Note::NodeEnded(id, node));
        });
        ActionLog::new(&plan.selected, self.settings.scratch, done)
    }

    /// What is done on each node; nothing of the kind for a native action.
    pub(super) fn work(&self, plan: &Plan) -> Option<Box<dyn Work>> {
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

    pub(super) fn tally(&self, summary: &Summary) -> Ran {
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
