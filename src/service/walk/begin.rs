//! How services, groups and actions begin, once they wait for nothing any more.

use std::sync::Arc;

use super::state::{Emptiness, Walk};
use super::step::Step;
use crate::service::action::Target;
use crate::service::graph::Body;
use crate::service::id::{ActionId, ServiceId};
use crate::service::reach::{Reached, Via};
use crate::service::status::Status;

impl Walk<'_> {
    /// A service, group, or beginning of a group waits for nothing any more.
    pub(super) fn begin(&mut self, id: ServiceId) {
        let state = &self.state[id.index()];
        let blocked = state.blocked;
        match (&self.graph.service(id).body, state.reached) {
            (_, Reached::None) => {}
            (Body::Members(_), Reached::Beginning) => {
                let quiet = state.quiet;
                self.open_group(id, quiet);
            }
            (Body::Members(members), Reached::Whole(_)) => {
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
            (Body::Actions(_), reached) => self.begin_service(id, reached, blocked),
        }
    }

    /// Tells the members that their group may begin.
    pub(super) fn open_group(&mut self, id: ServiceId, quiet: bool) {
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
    pub(super) fn begin_service(&mut self, id: ServiceId, reached: Reached, blocked: bool) {
        let Some(action) = self.action_of(id, reached) else {
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
    pub(super) fn launch(&mut self, action: ActionId) {
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
    pub(super) fn run(&mut self, action: ActionId) {
        let target = self.remaining(action);
        if self.is_emptied(action) || target.is_empty() {
            self.spare(action, Status::Skipped);
        } else {
            self.steps.push(Step::Run { action, target });
        }
    }

    pub(super) fn action_of(&self, id: ServiceId, reached: Reached) -> Option<ActionId> {
        match reached {
            Reached::Whole(Via::Request) => self.graph.find_action(id, &self.action),
            Reached::Whole(Via::Check) => self.graph.find_action(id, "status"),
            Reached::None | Reached::Beginning => None,
        }
    }

    /// Whether the action had no target left from the start.
    pub(super) fn is_emptied(&self, action: ActionId) -> bool {
        let action = self.graph.action(action);
        action.target.is_empty() || self.untagged[action.service.index()]
    }

    /// The action's target without the nodes that failed on the way.
    pub(super) fn remaining(&self, action: ActionId) -> Target {
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
    pub(super) fn emptiness(&self, group: ServiceId) -> Emptiness {
        let mut todo = vec![group];
        let (mut any, mut all_empty) = (false, true);
        while let Some(id) = todo.pop() {
            todo.extend(self.graph.members(id));
            if matches!(self.graph.service(id).body, Body::Members(_)) {
                continue;
            }
            match self.action_of(id, self.state[id.index()].reached) {
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

    pub(super) fn has_only_empty_targets(&self) -> bool {
        let mut services = self.unsettled().peekable();
        services.peek().is_some()
            && services.all(|id| {
                self.action_of(id, self.state[id.index()].reached)
                    .is_some_and(|action| self.is_emptied(action))
            })
    }
}
