//! One run over a graph: what may start now, and what has come of it. No clock, no nodes contacted.
//!
//! The driver asks for [`Walk::ready`], runs the actions it is told to, and reports each with
//! [`Walk::settle`], until [`Walk::is_over`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::nodes::FailedNodes;
use super::reach::{Asked, Cut, Part, reach};
use super::{ActionId, Body, Graph, ServiceError, ServiceId, Status, Target};
use crate::event::NodeId;

/// Which way a graph is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Dependencies first.
    Forward,
    /// Dependents first, as for `stop`.
    Reverse,
}

impl Direction {
    /// The other one.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Forward => Self::Reverse,
            Self::Reverse => Self::Forward,
        }
    }
}

/// What is asked of a walk.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The action.
    pub action: &'a str,
    /// Which way.
    pub direction: Direction,
    /// The top-level services named; none for all.
    pub services: Vec<ServiceId>,
    /// Services that must not run, with their members.
    pub locked: Vec<ServiceId>,
    /// Only top-level services with one of these tags run; empty for all.
    pub tags: Vec<String>,
    /// Whether dependencies between top-level services are ignored.
    pub no_dependencies: bool,
}

impl<'a> Request<'a> {
    /// Asks for an action of all services.
    #[must_use]
    pub fn all(action: &'a str, direction: Direction) -> Self {
        Self {
            action,
            direction,
            services: Vec::new(),
            locked: Vec::new(),
            tags: Vec::new(),
            no_dependencies: false,
        }
    }
}

/// What the driver has to do next, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Run the action there and report with [`Walk::settle`].
    Run {
        /// The action.
        action: ActionId,
        /// Where, without the nodes that failed before.
        target: Target,
    },
    /// The action ended without having run: its checks succeeded, or one of them was skipped.
    Spared {
        /// The action.
        action: ActionId,
        /// Done or skipped.
        status: Status,
    },
    /// A service or group has its status.
    Settled {
        /// The service.
        service: ServiceId,
        /// Its status.
        status: Status,
        /// Whether its group speaks for it.
        quiet: bool,
    },
}

/// How an action ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    /// How many nodes failed.
    pub failed: u64,
    /// How many nodes took too long.
    pub timed_out: u64,
    /// The nodes, failed or too slow, that dependents are to leave out.
    pub nodes: Vec<NodeId>,
}

/// One run over a graph.
#[derive(Debug)]
pub struct Walk<'g> {
    graph: &'g Graph,
    direction: Direction,
    within_top: bool,
    locked: Vec<bool>,
    /// Per top-level service: whether its tags keep it from running.
    untagged: Vec<bool>,
    requested: Vec<ServiceId>,
    /// Whether no service was named.
    takes_all: bool,
    /// The action asked for.
    action: Box<str>,
    /// Whether the run has nothing but empty targets.
    silent: bool,
    state: Vec<State>,
    /// The actions that run or wait for their checks.
    launched: HashMap<ActionId, Launched>,
    unblocked: VecDeque<ServiceId>,
    steps: Vec<Step>,
    open: usize,
}

#[derive(Debug, Clone)]
struct State {
    part: Part,
    /// Dependencies, and the beginning of its group, that have not ended.
    waiting: u32,
    /// Members that have not ended.
    members: u32,
    /// Whether something it needs failed.
    blocked: bool,
    /// Whether its group speaks for it.
    quiet: bool,
    /// The status a group has whatever becomes of its members.
    foregone: Option<Status>,
    /// The nodes that failed on the way here.
    passed: FailedNodes,
    status: Option<Status>,
}

#[derive(Debug, Default)]
struct Launched {
    checks_left: usize,
    check_failed: bool,
    check_skipped: bool,
    /// The actions that wait for this one as their check.
    waiters: Vec<ActionId>,
}

impl<'g> Walk<'g> {
    /// Begins a run.
    ///
    /// # Errors
    /// When the services it reaches depend on each other in a circle.
    pub fn new(graph: &'g Graph, request: &Request<'_>) -> Result<Self, ServiceError> {
        let direction = request.direction;
        let mut locked = vec![false; graph.services().len()];
        for id in &request.locked {
            locked[id.index()] = true;
        }
        // A group stands before its members, so one pass hands the lock down.
        for at in 0..locked.len() {
            if let Some(parent) = graph.services()[at].parent {
                locked[at] |= locked[parent.index()];
            }
        }
        let untagged = graph
            .services()
            .iter()
            .map(|service| {
                let tags = &graph.service(service.top).tags;
                !request.tags.is_empty() && !request.tags.iter().any(|tag| tags.contains(tag))
            })
            .collect();
        let requested: Vec<_> = if request.services.is_empty() {
            graph.check()?;
            let is_leaf = |id: &ServiceId| graph.is_leaf(*id, direction);
            graph.tops().iter().copied().filter(is_leaf).collect()
        } else {
            request.services.clone()
        };
        let starts: Vec<_> = requested
            .iter()
            .copied()
            .filter(|id| !locked[id.index()])
            .collect();
        let cut = Cut {
            direction,
            locked: &locked,
            within_top: request.no_dependencies,
        };
        let parts = reach(graph, &cut, &starts)?;
        let state: Vec<State> = parts
            .iter()
            .enumerate()
            .map(|(at, part)| new_state(graph, &cut, at, *part))
            .collect();
        let mut walk = Self {
            graph,
            direction,
            within_top: request.no_dependencies,
            open: parts
                .iter()
                .filter(|part| matches!(part, Part::Whole(_)))
                .count(),
            unblocked: ids(graph)
                .filter(|id| {
                    let state = &state[id.index()];
                    state.part != Part::None && state.waiting == 0
                })
                .collect(),
            locked,
            untagged,
            requested,
            takes_all: request.services.is_empty(),
            action: request.action.into(),
            silent: false,
            state,
            launched: HashMap::new(),
            steps: Vec::new(),
        };
        walk.silent = walk.has_only_empty_targets();
        Ok(walk)
    }

    /// What to do now, besides what is being done already.
    pub fn ready(&mut self) -> Vec<Step> {
        while let Some(id) = self.unblocked.pop_front() {
            self.begin(id);
        }
        std::mem::take(&mut self.steps)
    }

    /// Takes in how an action ran and returns its status.
    pub fn settle(&mut self, action: ActionId, ran: &Ran) -> Status {
        let known = self.graph.action(action);
        let status = known.thresholds.judge(ran.failed, ran.timed_out);
        // What failed in a check alone says nothing about the service.
        if self.is_main(action) {
            self.state[known.service.index()].passed.extend(&ran.nodes);
        }
        self.end_action(action, status);
        status
    }

    /// Whether every service has its status and all steps were taken.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.open == 0 && self.unblocked.is_empty() && self.steps.is_empty()
    }

    /// The status of a service, once it has one.
    #[must_use]
    pub fn status(&self, id: ServiceId) -> Option<Status> {
        self.state[id.index()].status
    }

    /// The services of the run, groups left out, that have no status yet.
    pub fn unsettled(&self) -> impl Iterator<Item = ServiceId> + '_ {
        ids(self.graph).filter(|id| {
            let state = &self.state[id.index()];
            matches!(state.part, Part::Whole(_))
                && state.status.is_none()
                && matches!(self.graph.service(*id).body, Body::Actions(_))
        })
    }

    /// The services and groups that take part in the run.
    pub fn participants(&self) -> impl Iterator<Item = ServiceId> + '_ {
        ids(self.graph).filter(|id| matches!(self.state[id.index()].part, Part::Whole(_)))
    }

    /// What the service waits for in this run.
    pub fn dependencies(&self, id: ServiceId) -> impl Iterator<Item = ServiceId> + '_ {
        let cut = Cut {
            direction: self.direction,
            locked: &self.locked,
            within_top: self.within_top,
        };
        let links: Vec<_> = cut.links(self.graph, id).map(|link| link.to).collect();
        links.into_iter()
    }

    /// The status of the run: the worst of the services asked for, or of the deciding top-level services.
    #[must_use]
    pub fn verdict(&self) -> Status {
        let known = |id: &ServiceId| self.status(*id);
        let mut verdict = Status::of_group(self.requested.iter().filter_map(known));
        if !verdict.took_part() && self.takes_all {
            verdict = Status::of_group(self.graph.tops().iter().filter_map(known));
        }
        let failed = verdict.is_failure();
        let warned = self
            .graph
            .tops()
            .iter()
            .filter_map(known)
            .any(|status| status == Status::Warning);
        if !failed && warned {
            Status::Warning
        } else {
            verdict
        }
    }

    /// A service, group, or beginning of a group waits for nothing any more.
    fn begin(&mut self, id: ServiceId) {
        let state = &self.state[id.index()];
        let blocked = state.blocked;
        match (&self.graph.service(id).body, state.part) {
            (_, Part::None) => {}
            (Body::Members(_), Part::Beginning) => {
                let quiet = state.quiet;
                self.open_group(id, quiet);
            }
            (Body::Members(members), Part::Whole(_)) => {
                let foregone = match self.emptiness(id) {
                    Emptiness::NoAction => Some(Status::Missing),
                    Emptiness::NoNode => Some(Status::Skipped),
                    Emptiness::Something if blocked => Some(Status::DepError),
                    Emptiness::Something => None,
                };
                let speaks = matches!(foregone, Some(Status::Skipped | Status::DepError));
                self.state[id.index()].foregone = foregone;
                let quiet = self.state[id.index()].quiet || speaks;
                self.open_group(id, quiet);
                if members.is_empty() {
                    self.conclude(id, Status::Missing);
                }
            }
            (Body::Actions(_), part) => self.begin_service(id, part, blocked),
        }
    }

    /// Tells the members that their group may begin.
    fn open_group(&mut self, id: ServiceId, quiet: bool) {
        let (blocked, passed) = {
            let state = &self.state[id.index()];
            (state.blocked, state.passed.clone())
        };
        for member in self.graph.members(id) {
            let state = &mut self.state[member.index()];
            state.quiet |= quiet;
            self.one_ended(*member, blocked, Some(&passed));
        }
    }

    /// The launch rule of a service.
    fn begin_service(&mut self, id: ServiceId, part: Part, blocked: bool) {
        let Some(action) = self.action_of(id, part) else {
            return self.conclude(id, Status::Missing);
        };
        if self.is_emptied(action) {
            self.conclude(id, Status::Skipped);
        } else if blocked {
            self.conclude(id, Status::DepError);
        } else if self.remaining(action).is_empty() {
            self.conclude(id, Status::Skipped);
        } else {
            self.launch(action);
        }
    }

    /// Runs an action, its checks first.
    fn launch(&mut self, action: ActionId) {
        let mut todo = vec![action];
        let mut first = Vec::new();
        while let Some(action) = todo.pop() {
            let checks = &self.graph.action(action).checks;
            let known = self.launched.entry(action).or_default();
            known.checks_left = checks.len();
            if checks.is_empty() {
                first.push(action);
            }
            for check in checks {
                let is_new = !self.launched.contains_key(check);
                self.launched
                    .entry(*check)
                    .or_default()
                    .waiters
                    .push(action);
                if is_new {
                    todo.push(*check);
                }
            }
        }
        for action in first {
            self.run(action);
        }
    }

    /// Hands an action to the driver, or skips it when no node is left.
    fn run(&mut self, action: ActionId) {
        let target = self.remaining(action);
        if self.is_emptied(action) || target.is_empty() {
            self.spare(action, Status::Skipped);
        } else {
            self.steps.push(Step::Run { action, target });
        }
    }

    fn spare(&mut self, action: ActionId, status: Status) {
        self.steps.push(Step::Spared { action, status });
        self.end_action(action, status);
    }

    /// Tells those who wait for the action, which is its service if it is the one asked for.
    fn end_action(&mut self, action: ActionId, status: Status) {
        let waiters = self
            .launched
            .remove(&action)
            .map_or_else(Vec::new, |known| known.waiters);
        for waiter in waiters {
            let Some(known) = self.launched.get_mut(&waiter) else {
                continue;
            };
            known.checks_left -= 1;
            known.check_failed |= status.is_failure();
            known.check_skipped |= status == Status::Skipped;
            if known.checks_left > 0 {
                continue;
            }
            if known.check_failed {
                self.run(waiter);
            } else if known.check_skipped {
                self.spare(waiter, Status::Skipped);
            } else {
                self.spare(waiter, Status::Done);
            }
        }
        if self.is_main(action) {
            self.conclude(self.graph.action(action).service, status);
        }
    }

    /// Gives a service its status, and tells its dependents and its group.
    fn conclude(&mut self, id: ServiceId, status: Status) {
        let mut next = Some((id, status));
        while let Some((id, status)) = next.take() {
            let graph = self.graph;
            self.state[id.index()].status = Some(status);
            self.open -= 1;
            self.collect_passed(id);
            let quiet = self.silent || self.state[id.index()].quiet;
            self.steps.push(Step::Settled {
                service: id,
                status,
                quiet,
            });
            let passed = self.state[id.index()].passed.clone();
            let locked = std::mem::take(&mut self.locked);
            let cut = Cut {
                direction: self.direction,
                locked: &locked,
                within_top: self.within_top,
            };
            for link in cut.followers(graph, id) {
                let blocked = link.word.is_strong() && status.is_failure();
                let passed = link.word.passes_nodes().then_some(&passed);
                self.one_ended(link.to, blocked, passed);
            }
            self.locked = locked;
            if let Some(parent) = graph.service(id).parent {
                next = self.member_ended(parent).map(|status| (parent, status));
            }
        }
    }

    /// One of the things the service waits for has ended.
    fn one_ended(&mut self, id: ServiceId, blocks: bool, passed: Option<&FailedNodes>) {
        let state = &mut self.state[id.index()];
        if state.part == Part::None {
            return;
        }
        state.blocked |= blocks;
        if let Some(passed) = passed {
            state.passed.unite(passed);
        }
        state.waiting -= 1;
        if state.waiting == 0 {
            self.unblocked.push_back(id);
        }
    }

    /// A member has ended; returns the group's status if it was the last.
    fn member_ended(&mut self, group: ServiceId) -> Option<Status> {
        let state = &mut self.state[group.index()];
        if !matches!(state.part, Part::Whole(_)) {
            return None;
        }
        state.members -= 1;
        if state.members > 0 {
            return None;
        }
        if state.foregone.is_some() {
            return state.foregone;
        }
        let status = self.worst_member(group, |id| self.graph.is_leaf(id, self.direction));
        Some(if status.took_part() {
            status
        } else {
            self.worst_member(group, |_| true)
        })
    }

    fn worst_member(&self, group: ServiceId, decides: impl Fn(ServiceId) -> bool) -> Status {
        let members = self.graph.members(group).iter().copied();
        Status::of_group(
            members
                .filter(|id| decides(*id))
                .filter_map(|id| self.status(id)),
        )
    }

    /// A group passes on what its deciding members pass on.
    fn collect_passed(&mut self, group: ServiceId) {
        for member in self.graph.members(group) {
            if self.graph.is_leaf(*member, self.direction) {
                let passed = self.state[member.index()].passed.clone();
                self.state[group.index()].passed.unite(&passed);
            }
        }
    }

    /// Whether the action is the one its service was reached with.
    fn is_main(&self, action: ActionId) -> bool {
        let service = self.graph.action(action).service;
        self.action_of(service, self.state[service.index()].part) == Some(action)
    }

    fn action_of(&self, id: ServiceId, part: Part) -> Option<ActionId> {
        match part {
            Part::Whole(Asked::Requested) => self.graph.find_action(id, &self.action),
            Part::Whole(Asked::Status) => self.graph.find_action(id, "status"),
            Part::None | Part::Beginning => None,
        }
    }

    /// Whether the action had no target left from the start.
    fn is_emptied(&self, action: ActionId) -> bool {
        let action = self.graph.action(action);
        action.target.is_empty() || self.untagged[action.service.index()]
    }

    /// The action's target without the nodes that failed on the way.
    fn remaining(&self, action: ActionId) -> Target {
        let action = self.graph.action(action);
        let failed = &self.state[action.service.index()].passed;
        match &action.target {
            Target::Nodes(nodes) if !failed.is_empty() => Target::Nodes(
                nodes
                    .iter()
                    .copied()
                    .filter(|node| !failed.contains(*node))
                    .collect::<Arc<[_]>>(),
            ),
            Target::Nodes(_) | Target::Local => action.target.clone(),
        }
    }

    /// Whether there is anything to run in a group, looking at all depths.
    fn emptiness(&self, group: ServiceId) -> Emptiness {
        let mut todo = vec![group];
        let (mut any, mut all_empty) = (false, true);
        while let Some(id) = todo.pop() {
            todo.extend(self.graph.members(id));
            if matches!(self.graph.service(id).body, Body::Members(_)) {
                continue;
            }
            match self.action_of(id, self.state[id.index()].part) {
                Some(action) => {
                    any = true;
                    all_empty &= self.is_emptied(action);
                }
                None => all_empty = false,
            }
        }
        match (any, all_empty) {
            (false, _) => Emptiness::NoAction,
            (true, true) => Emptiness::NoNode,
            (true, false) => Emptiness::Something,
        }
    }

    fn has_only_empty_targets(&self) -> bool {
        let mut services = self.unsettled().peekable();
        services.peek().is_some()
            && services.all(|id| {
                self.action_of(id, self.state[id.index()].part)
                    .is_some_and(|action| self.is_emptied(action))
            })
    }
}

/// What a group has to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Emptiness {
    NoAction,
    NoNode,
    Something,
}

fn ids(graph: &Graph) -> impl Iterator<Item = ServiceId> + use<> {
    (0..u32::try_from(graph.services().len()).unwrap_or(u32::MAX)).map(ServiceId)
}

fn new_state(graph: &Graph, cut: &Cut<'_>, at: usize, part: Part) -> State {
    let id = ServiceId(u32::try_from(at).unwrap_or(u32::MAX));
    let (mut waiting, mut members) = (0, 0);
    if part != Part::None {
        let arrows = cut.links(graph, id).count() + usize::from(graph.service(id).parent.is_some());
        waiting = u32::try_from(arrows).unwrap_or(u32::MAX);
        members = u32::try_from(graph.members(id).len()).unwrap_or(u32::MAX);
    }
    State {
        part,
        waiting,
        members,
        blocked: false,
        quiet: false,
        foregone: None,
        passed: FailedNodes::default(),
        status: None,
    }
}
