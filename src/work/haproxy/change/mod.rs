//! What a change does on one node: write, read back, wait, look again at the end, take back.
//!
//! What to write was decided from the readings of all nodes; nothing here looks at another node.

mod judge;
mod outcome;
mod restore;
mod row;
mod sweep;
mod wait;
mod write;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Asker;
use super::read::{Found, NodeReading};
use crate::event::{Failure, NodeId, Stop};
use crate::haproxy::answer::Info;
use crate::haproxy::change::Wanted;
use crate::transport::Endpoint;

pub use restore::Restore;
pub use row::Row;
pub use sweep::Sweep;

/// What a change waits for, once it is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Nothing.
    Set,
    /// Full health.
    Healthy(Duration),
    /// No session left.
    Idle(Duration, Then),
}

impl Goal {
    /// How long it waits at most.
    #[must_use]
    pub fn limit(self) -> Option<Duration> {
        match self {
            Self::Set => None,
            Self::Healthy(limit) | Self::Idle(limit, _) => Some(limit),
        }
    }

    /// What comes after it.
    #[must_use]
    pub fn then(self) -> Then {
        match self {
            Self::Idle(_, then) => then,
            Self::Set | Self::Healthy(_) => Then::Stay,
        }
    }
}

/// What comes after a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The server stays in drain.
    Stay,
    /// Maintenance, once no session is left.
    Disable,
    /// Maintenance; what is left when the time is up is cut off.
    Kill,
}

/// How the work on a node ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// All was written, read back and waited for.
    Complete,
    /// The wait ran out, with this left.
    WaitOver(String),
    /// The wait was stopped, with this left.
    Stopped(String),
    /// It could not be done.
    Failed(Failure),
}

/// How far a node is.
#[derive(Debug, Default)]
struct Progress {
    rows: Vec<Row>,
    /// The process of each instance that was seen last.
    processes: Vec<Info>,
    begun: Option<Instant>,
    end: Option<End>,
    /// What is waited for right now.
    waiting: Option<String>,
    /// A question was not answered in time: what it ordered may still be waiting in HAProxy and be done later.
    is_unanswered: bool,
    /// HAProxy was reloaded meanwhile, and the change made again.
    is_remade: bool,
    /// How often the work was done again because of what the look at the end found.
    repeats: usize,
    /// Why the look at the end says nothing.
    unread: Option<Failure>,
    /// What the look at the end found.
    lost: Lost,
}

/// Whether the look at the end found that the work must be done again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Lost {
    /// It is as it was left, or only somebody else can have changed it.
    #[default]
    No,
    /// What was idle is in use again.
    Busy,
    /// A new worker has forgotten it.
    Reloaded,
}

/// A change of the same kind on all nodes.
#[derive(Debug)]
pub struct Change {
    /// What to wait for.
    pub goal: Goal,
    /// What was read of each node, by its position.
    pub readings: Vec<Option<NodeReading>>,
    asker: Asker,
    nodes: Vec<Mutex<Progress>>,
}

/// A server to be changed: the instance and the place of the server in its reading, and what it is to become.
pub type Target = (usize, usize, Wanted);

impl Change {
    /// A change of these servers, node by node.
    #[must_use]
    pub fn new(
        goal: Goal,
        readings: Vec<Option<NodeReading>>,
        targets: impl Fn(NodeId) -> Vec<Target>,
    ) -> Self {
        let progress = |(node, known): (u32, &Option<NodeReading>)| {
            let found = known.iter().flat_map(|known| &known.found);
            let found: Vec<&Found> = found.collect();
            let rows = targets(NodeId(node)).into_iter();
            let rows = rows.filter_map(|(instance, place, wanted)| {
                let server = found.get(instance)?.reading.servers.get(place)?;
                Some(Row::new(instance, wanted, server.clone()))
            });
            Mutex::new(Progress {
                rows: rows.collect(),
                processes: found.iter().map(|one| one.reading.info.clone()).collect(),
                ..Progress::default()
            })
        };
        Self {
            goal,
            nodes: (0..).zip(&readings).map(progress).collect(),
            readings,
            asker: Asker::default(),
        }
    }

    /// The servers of a node and how far they are.
    #[must_use]
    pub fn rows(&self, node: NodeId) -> Vec<Row> {
        self.locked(node).rows.clone()
    }

    /// What nodes wait for right now.
    #[must_use]
    pub fn waiting(&self) -> Vec<(NodeId, String)> {
        self.each(|progress| progress.waiting.clone())
    }

    /// The nodes whose HAProxy was reloaded in the middle, so that the change was made again.
    #[must_use]
    pub fn remade(&self) -> Vec<NodeId> {
        let nodes = self.each(|progress| progress.is_remade.then_some(()));
        nodes.into_iter().map(|(node, ())| node).collect()
    }

    /// The time left of a wait that began first, if one is going on.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let begun = self.each(|progress| progress.begun.filter(|_| progress.waiting.is_some()));
        let first = begun.into_iter().map(|(_, begun)| begun).min()?;
        Some(self.goal.limit()?.saturating_sub(first.elapsed()))
    }

    /// Whether any server of a node is meant.
    #[must_use]
    pub fn has_rows(&self, node: NodeId) -> bool {
        !self.locked(node).rows.is_empty()
    }

    /// Whether anything is to be written on a node.
    #[must_use]
    pub fn needs_writing(&self, node: NodeId) -> bool {
        let rows = &self.locked(node).rows;
        let then = self.goal.then() != Then::Stay && !rows.is_empty();
        then || rows.iter().any(|row| !row.wanted.is_set(&row.before))
    }

    /// How a row's HAProxy is marked.
    #[must_use]
    pub fn label(&self, node: NodeId, row: &Row) -> Option<&str> {
        self.found(node, row.instance)?.label.as_deref()
    }

    /// A row's HAProxy.
    #[must_use]
    pub fn found(&self, node: NodeId, instance: usize) -> Option<&Found> {
        let known = self.readings.get(node.index())?.as_ref()?;
        known.found.get(instance)
    }

    fn each<T>(&self, of: impl Fn(&Progress) -> Option<T>) -> Vec<(NodeId, T)> {
        let nodes = (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).map(NodeId);
        nodes
            .filter_map(|node| Some((node, of(&self.locked(node))?)))
            .collect()
    }

    fn locked(&self, node: NodeId) -> MutexGuard<'_, Progress> {
        // It is changed in single steps, so a panic elsewhere leaves it whole.
        self.nodes[node.index()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the rows of one HAProxy.
    fn with_rows<T>(&self, at: At<'_>, work: impl FnOnce(&mut Vec<&mut Row>) -> T) -> T {
        let mut progress = self.locked(at.node);
        let rows = progress.rows.iter_mut();
        let mut rows = rows.filter(|row| row.instance == at.instance).collect();
        work(&mut rows)
    }

    /// The HAProxy of a node that have rows.
    fn instances<'a>(&'a self, node: NodeId, stop: &'a watch::Receiver<Stop>) -> Vec<At<'a>> {
        let found = self.readings.get(node.index()).and_then(Option::as_ref);
        let rows = self.locked(node);
        let has_rows = |instance: usize| rows.rows.iter().any(|row| row.instance == instance);
        let found = found.iter().flat_map(|known| &known.found).enumerate();
        found
            .filter(|(instance, _)| has_rows(*instance))
            .map(|(instance, found)| At {
                node,
                instance,
                found,
                endpoint: &found.endpoint,
                stop,
            })
            .collect()
    }
}

/// One HAProxy at work.
#[derive(Clone, Copy)]
struct At<'a> {
    node: NodeId,
    instance: usize,
    found: &'a Found,
    endpoint: &'a Endpoint,
    stop: &'a watch::Receiver<Stop>,
}

/// Some things in words, but no more than people read.
fn list(texts: &[String]) -> String {
    /// More are only counted.
    const LISTED: usize = 10;
    let mut text = texts[..texts.len().min(LISTED)].join(", ");
    if texts.len() > LISTED {
        text.push_str(&format!(" and {} more", texts.len() - LISTED));
    }
    text
}
