//! A change on all nodes, step by step: read, compare, guard, write ahead, write, read back, look again at the end, and
//! take back if asked.
//!
//! Nothing is written before all nodes were read and the guard has looked at every one of them, and nothing is reported
//! that was not read at the end. What is done on one node is `work::haproxy`'s; what is said to the operator is the
//! front's ([`Note`]), and so is where changes are written down ([`Ledger`]).

mod compare;
mod guard;
mod ledger;
mod note;
mod prove;
mod record;
mod rollback;
mod rows;
mod run;
mod tell;
#[cfg(test)]
mod tests;
mod warn;
mod write;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::event::{Ending, ErrorCode, NodeId, Outcome, Stop, Summary};
use crate::exec::pool::SessionPool;
use crate::haproxy::change::Wanted;
use crate::haproxy::name::ServerName;
use crate::haproxy::select::Selector;
use crate::haproxy::state::Server;
use crate::nodeset::NodeSet;
use crate::plan::{NodeName, Plan};
use crate::report::Reporter;
use crate::transport::{Endpoint, Transport};
use crate::work::haproxy::change::{Change, Goal};
use crate::work::haproxy::read::{Found, NodeReading, Read};
use crate::work::haproxy::status::no_match;
use crate::work::haproxy::{Masters, Sockets};

pub use ledger::{Entry, EntryKind, Ledger, LedgerContent, LedgerRow};
pub use note::Note;
use rows::Targets;
use run::Phase;
use tell::Teller;
use warn::read_only;

/// A change as it was asked for.
#[derive(Debug)]
pub struct Order {
    /// What is wanted of which servers.
    pub what: What,
    /// What to wait for.
    pub goal: Goal,
    /// Through which sockets.
    pub sockets: Sockets,
    /// Where the masters are, which know of old workers.
    pub masters: Masters,
    /// Whatever the guard says.
    pub force: bool,
    /// How the operator says so, for the guard's refusal.
    pub force_hint: String,
    /// On the nodes that can be read, if some cannot.
    pub partial_ok: bool,
    /// Take it back everywhere if it fails somewhere.
    pub rollback: bool,
    /// One node goes first, and the others only if that worked.
    pub canary: bool,
    /// A node without any of the servers has nothing to do.
    pub may_miss: bool,
    /// Read, compare and ask the guard; write nothing.
    pub dry_run: bool,
}

/// What is wanted of which servers.
#[derive(Debug, Clone)]
pub enum What {
    /// The same of all that are selected.
    Alike(Wanted, Vec<Selector>),
    /// What an earlier change left is to be as it was before.
    Back(Vec<Left>),
}

/// What an earlier change left of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The node.
    pub node: NodeName,
    /// The stats socket.
    pub socket: Endpoint,
    /// The server.
    pub server: ServerName,
    /// What it must still be, one of these: whatever was set since then stays.
    pub left: Vec<Wanted>,
    /// What it is to be again.
    pub before: Wanted,
}

/// With what a change is made.
pub struct Resources<'a> {
    /// The nodes.
    pub plan: &'a Plan,
    /// How they are reached.
    pub transport: &'a dyn Transport,
    /// What signals ask for.
    pub stops: &'a mut mpsc::Receiver<Stop>,
    /// Where it is written down.
    pub ledger: &'a mut dyn Ledger,
    /// Shows what becomes of the nodes.
    pub reporter: &'a mut dyn Reporter,
    /// Tells the operator what there is to know besides.
    pub note: &'a mut dyn FnMut(Note),
}

impl std::fmt::Debug for Resources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resources")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// What became of a change.
#[derive(Debug, Default)]
pub struct Done {
    /// What became of the nodes.
    pub summary: Summary,
    /// Whether some server is otherwise than before because of it, or may be.
    pub made: bool,
    /// Whether any node has one of the servers.
    pub matched: bool,
    /// By what the change is found in the ledger, if it is there and the way back was not told already.
    pub id: Option<String>,
}

/// Makes a change.
pub async fn change(order: Order, with: Resources<'_>) -> Done {
    let nodes = with.plan.nodes.len();
    let Resources {
        plan,
        transport,
        stops,
        ledger,
        reporter,
        note,
    } = with;
    let mut steps = Steps {
        plan,
        transport,
        stops,
        ledger,
        note,
        tell: Teller::new(reporter, nodes),
        deadline: plan.limits.deadline.map(|limit| Instant::now() + limit),
        pool: SessionPool::default(),
        outcomes: vec![None; nodes],
        stop: Stop::No,
        ending: None,
        is_written_ahead: false,
        has_told_way_back: false,
    };
    let done = steps.all(order).await;
    steps.pool.close().await;
    done
}

/// A change at work.
struct Steps<'a> {
    plan: &'a Plan,
    transport: &'a dyn Transport,
    stops: &'a mut mpsc::Receiver<Stop>,
    ledger: &'a mut dyn Ledger,
    note: &'a mut dyn FnMut(Note),
    tell: Teller<'a>,
    deadline: Option<Instant>,
    pool: SessionPool,
    outcomes: Vec<Option<Outcome>>,
    stop: Stop,
    ending: Option<Ending>,
    /// The ledger knows of it.
    is_written_ahead: bool,
    /// How it is taken back was told.
    has_told_way_back: bool,
}

impl Steps<'_> {
    async fn all(&mut self, order: Order) -> Done {
        let mut matched = false;
        let made = match self.read(&order, &mut matched).await {
            None => None,
            Some(readings) => self.make(&order, readings).await,
        };
        let made_it = made.as_ref().is_some_and(|change| {
            let selected = self.plan.selected.iter();
            let differs = |node: &NodeId| change.rows(*node).iter().any(|row| row.may_differ());
            !order.dry_run && selected.clone().any(differs)
        });
        let plan = self.plan;
        let rows = |node| {
            let change = made.as_ref()?;
            Some(rows::rows(change, node, order.dry_run))
        };
        let outcomes = plan.selected.iter().map(|node| {
            let outcome = self.outcomes[node.index()].clone();
            (*node, outcome.unwrap_or(Outcome::OK))
        });
        let mut summary = Summary {
            outcomes: outcomes.collect(),
            stop: self.stop,
            ending: self.ending.take(),
        };
        self.tell.end(&mut summary, rows);
        let id = self.ledger.id().filter(|_| self.is_written_ahead);
        Done {
            summary,
            made: made_it,
            matched,
            id: id.filter(|_| !self.has_told_way_back).map(str::to_owned),
        }
    }

    /// Reads all nodes, and looks whether all of them can be changed. The readings of those that can, by position;
    /// nothing if the change is not begun.
    async fn read(
        &mut self,
        order: &Order,
        matched: &mut bool,
    ) -> Option<Vec<Option<NodeReading>>> {
        let names = Arc::clone(&self.plan.nodes);
        let selectors = match &order.what {
            What::Alike(_, selectors) => selectors.clone(),
            What::Back(_) => Vec::new(),
        };
        let places = (order.sockets.clone(), order.masters.clone());
        let read = Read::new(Arc::clone(&names), places, selectors);
        self.run(&self.plan.selected, &read, Phase::Reading).await;
        let missing = |known: &NodeReading| no_match(&read.selectors, &known.unmatched);
        let mut readings: Vec<Option<NodeReading>> = read.readings();
        *matched = readings
            .iter()
            .flatten()
            .any(|known| known.found.iter().any(|one| !one.chosen.is_empty()));
        for node in &self.plan.selected {
            let Some(known) = &readings[node.index()] else {
                continue;
            };
            if !known.unmatched.is_empty() && !order.may_miss {
                self.outcomes[node.index()] = Some(Outcome::Failed(missing(known)));
            } else if let Some(denied) = read_only(known) {
                self.outcomes[node.index()] = Some(denied);
            }
        }
        self.warn_of_nodes(&readings, order.goal);
        let broken = self.failed(&self.plan.selected);
        let stopped = self.ending.is_some();
        if stopped || (!broken.is_empty() && !order.partial_ok) {
            self.give_up(&format!(
                "nothing was changed, because of {}",
                set(&names, &broken)
            ));
            return None;
        }
        for node in &broken {
            readings[node.index()] = None;
        }
        Some(readings)
    }

    /// Makes the change on the nodes that could be read; nothing if it is not begun.
    async fn make(&mut self, order: &Order, readings: Vec<Option<NodeReading>>) -> Option<Change> {
        let able: Vec<NodeId> = self
            .plan
            .selected
            .iter()
            .copied()
            .filter(|node| readings[node.index()].is_some())
            .collect();
        let targets = Targets::of(&order.what, self.plan, &readings);
        let known = Known {
            readings: &readings,
            targets: &targets,
            able: &able,
        };
        if matches!(order.what, What::Alike(..)) {
            self.compare(&known);
        }
        self.warn_of_servers(&known, order.goal);
        let hint = (!order.force).then_some(order.force_hint.as_str());
        let is_refused = self.guard(&known, hint);
        if is_refused && !order.dry_run {
            let broken = self.failed(&able);
            self.give_up(&format!(
                "nothing was changed, because of {}",
                set(&self.plan.nodes, &broken)
            ));
            return None;
        }
        let change = Change::new(order.goal, readings, |node| targets.on(node));
        if order.dry_run {
            self.leave_alone(&targets, &able);
            return Some(change);
        }
        // A server that is as wanted already is written to as well, once a reload has forgotten it.
        let needed = able.iter().any(|node| change.has_rows(*node));
        if needed && !self.write_ahead(&change, &able) {
            return None;
        }
        self.write(&change, &able, order.canary).await;
        self.prove(&change, &able).await;
        let failed = self.failed(&able);
        let may_differ = |node: &NodeId| change.rows(*node).iter().any(|row| row.may_differ());
        if !failed.is_empty() && able.iter().any(may_differ) {
            if order.rollback && self.stop < Stop::Kill {
                self.roll_back(&change, &able).await;
            } else {
                self.say_the_way_back(&change, &able);
            }
        }
        self.leave_alone(&targets, &able);
        if needed {
            self.write_down(&change, &able);
        }
        Some(change)
    }

    /// What is no longer as an earlier change left it is told, and was not touched.
    fn leave_alone(&mut self, targets: &Targets, able: &[NodeId]) {
        for node in able {
            let outcome = &mut self.outcomes[node.index()];
            let is_well = outcome
                .as_ref()
                .is_none_or(|outcome| *outcome == Outcome::OK);
            if let (Some(text), true) = (targets.conflict(*node), is_well) {
                *outcome = Some(Outcome::failed(ErrorCode::Verify, text));
            }
        }
    }

    /// The nodes that did not end well so far.
    fn failed(&self, nodes: &[NodeId]) -> Vec<NodeId> {
        let failed = |node: &&NodeId| {
            self.outcomes[node.index()]
                .as_ref()
                .is_some_and(|outcome| *outcome != Outcome::OK)
        };
        nodes.iter().filter(failed).copied().collect()
    }

    /// Ends before anything was written: what did not fail was not begun.
    fn give_up(&mut self, cause: &str) {
        for node in &self.plan.selected {
            let outcome = &mut self.outcomes[node.index()];
            if outcome
                .as_ref()
                .is_none_or(|outcome| *outcome == Outcome::OK)
            {
                *outcome = Some(Outcome::failed(ErrorCode::NotBegun, cause));
            }
        }
    }
}

/// What is known before anything is written.
#[derive(Clone, Copy)]
struct Known<'a> {
    /// What was read of each node, by its position.
    readings: &'a [Option<NodeReading>],
    /// The servers that the change is about.
    targets: &'a Targets,
    /// The nodes that can be changed.
    able: &'a [NodeId],
}

impl<'a> Known<'a> {
    /// The HAProxy of a node.
    fn found(&self, node: NodeId) -> impl Iterator<Item = &'a Found> {
        let known = self.readings[node.index()].iter();
        known.flat_map(|known| &known.found)
    }

    /// The servers of a node that the change is about, and what they are to become.
    fn servers(&self, node: NodeId) -> impl Iterator<Item = (&'a Found, Wanted, &'a Server)> {
        let found: Vec<&Found> = self.found(node).collect();
        let targets = self.targets.on(node).into_iter();
        targets.filter_map(move |(instance, place, wanted)| {
            let found = *found.get(instance)?;
            Some((found, wanted, found.reading.servers.get(place)?))
        })
    }
}

/// The set of some nodes.
fn set(names: &[NodeName], nodes: &[NodeId]) -> NodeSet {
    nodes.iter().map(|node| &*names[node.index()]).collect()
}
