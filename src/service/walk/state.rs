//! What a walk knows of each service and action so far.

use std::collections::{HashMap, VecDeque};

use super::step::Step;
use crate::service::graph::{Direction, Graph};
use crate::service::id::{ActionId, ServiceId};
use crate::service::nodes::FailedNodes;
use crate::service::reach::{LinkFilter, Reached};
use crate::service::status::Status;

/// One run over a graph.
#[derive(Debug)]
pub struct Walk<'g> {
    pub(super) graph: &'g Graph,
    pub(super) direction: Direction,
    pub(super) within_top: bool,
    pub(super) locked: Vec<bool>,
    /// Per top-level service: whether its tags keep it from running.
    pub(super) untagged: Vec<bool>,
    pub(super) requested: Vec<ServiceId>,
    /// Whether no service was named.
    pub(super) takes_all: bool,
    /// The action asked for.
    pub(super) action: Box<str>,
    /// Whether the run has nothing but empty targets.
    pub(super) silent: bool,
    pub(super) state: Vec<State>,
    /// The actions that run or wait for their checks.
    pub(super) launched: HashMap<ActionId, Launched>,
    pub(super) unblocked: VecDeque<ServiceId>,
    pub(super) steps: Vec<Step>,
    pub(super) open: usize,
}

#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) reached: Reached,
    /// Dependencies, and the beginning of its group, that have not ended.
    pub(super) waiting: u32,
    /// Members that have not ended.
    pub(super) members: u32,
    /// Whether something it needs failed.
    pub(super) blocked: bool,
    /// Whether its group speaks for it.
    pub(super) quiet: bool,
    /// The status a group has whatever becomes of its members.
    pub(super) foregone: Option<Status>,
    /// The nodes that failed on the way here.
    pub(super) passed: FailedNodes,
    pub(super) status: Option<Status>,
}

#[derive(Debug, Default)]
pub(super) struct Launched {
    pub(super) checks_left: usize,
    pub(super) check_failed: bool,
    pub(super) check_skipped: bool,
    /// The actions that wait for this one as their check.
    pub(super) waiters: Vec<ActionId>,
}

/// What a group has to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Emptiness {
    NoAction,
    NoNode,
    Something,
}

pub(super) fn ids(graph: &Graph) -> impl Iterator<Item = ServiceId> + use<> {
    (0..u32::try_from(graph.services().len()).unwrap_or(u32::MAX)).map(ServiceId)
}

pub(super) fn new_state(
    graph: &Graph,
    filter: &LinkFilter<'_>,
    at: usize,
    reached: Reached,
) -> State {
    let id = ServiceId(u32::try_from(at).unwrap_or(u32::MAX));
    let (mut waiting, mut members) = (0, 0);
    if reached != Reached::None {
        let arrows =
            filter.links(graph, id).count() + usize::from(graph.service(id).parent.is_some());
        waiting = u32::try_from(arrows).unwrap_or(u32::MAX);
        members = u32::try_from(graph.members(id).len()).unwrap_or(u32::MAX);
    }
    State {
        reached,
        waiting,
        members,
        blocked: false,
        quiet: false,
        foregone: None,
        passed: FailedNodes::default(),
        status: None,
    }
}
