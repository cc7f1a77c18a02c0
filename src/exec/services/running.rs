//! The actions that run: what they tell on the way, how they end, and how they are stopped.

use std::collections::{HashMap, HashSet};
use std::io;

use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::action::{Done, Note, Performance};
use super::settings::ServiceSettings;
use crate::event::{NodeId, Stop};
use crate::exec::limiter::Limiter;
use crate::report::{ActionEnd, ServiceReporter, Stopped};
use crate::service::{ActionId, Graph, Place, ServiceId, Step, Target, Walk};

/// An action that runs or waits to.
pub(super) struct Running {
    target: Target,
    stop: mpsc::Sender<Stop>,
    ended: Vec<NodeId>,
}

pub(super) struct Run<'a> {
    pub(super) graph: &'a Graph,
    pub(super) settings: &'a ServiceSettings<'a>,
    pub(super) reporter: &'a mut dyn ServiceReporter,
    pub(super) limiter: Limiter,
    pub(super) notes: mpsc::UnboundedSender<Note>,
    pub(super) running: HashMap<ActionId, Running>,
    pub(super) actions: FuturesUnordered<LocalBoxFuture<'a, Done>>,
}

impl Run<'_> {
    /// Does what the walk says until it waits for an action.
    pub(super) fn take_steps(&mut self, walk: &mut Walk<'_>) -> io::Result<()> {
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

    pub(super) fn start(&mut self, id: ActionId, target: Target) {
        let (stop, stops) = mpsc::channel(4);
        let performance = Performance {
            graph: self.graph,
            settings: self.settings,
            limiter: self.limiter.clone(),
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

    pub(super) fn take_note(&mut self, note: &Note) -> io::Result<()> {
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

    pub(super) fn take_end(
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
    pub(super) fn interrupt(&mut self, level: Stop, walk: &Walk<'_>) -> io::Result<()> {
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
        told
    }

    /// The nodes of a running action that have not ended; none if it runs here.
    pub(super) fn left(&self, action: ActionId, running: &Running) -> Vec<NodeId> {
        match (&running.target, self.graph.action(action).place) {
            (Target::Local, _) | (_, Place::Here) => Vec::new(),
            (Target::Nodes(nodes), _) => {
                let ended: HashSet<_> = running.ended.iter().collect();
                nodes
                    .iter()
                    .copied()
                    .filter(|node| !ended.contains(node))
                    .collect()
            }
        }
    }

    pub(super) fn stop(&self, level: Stop) {
        for running in self.running.values() {
            // An action that has ended or has been told three times hears no more.
            let _ = running.stop.try_send(level);
        }
    }

    /// Waits until everything that runs has ended.
    pub(super) async fn wind_down(&mut self, stops: &mut mpsc::Receiver<Stop>) {
        while !self.actions.is_empty() {
            tokio::select! {
                biased;
                Some(level) = stops.recv() => self.stop(level),
                _ = self.actions.next() => {}
            }
        }
    }
}
