//! How actions, services and groups end, and what that means for those that wait for them.

use super::state::Walk;
use super::step::Step;
use crate::service::id::{ActionId, ServiceId};
use crate::service::nodes::FailedNodes;
use crate::service::reach::{LinkFilter, Reached};
use crate::service::status::Status;

impl Walk<'_> {
    pub(super) fn spare(&mut self, action: ActionId, status: Status) {
        self.steps.push(Step::Spared { action, status });
        self.end_action(action, status);
    }

    /// Tells those who wait for the action, which is its service if it is the one asked for.
    pub(super) fn end_action(&mut self, action: ActionId, status: Status) {
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
    pub(super) fn conclude(&mut self, id: ServiceId, status: Status) {
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
            let filter = LinkFilter {
                direction: self.direction,
                locked: &locked,
                within_top: self.within_top,
            };
            for link in filter.followers(graph, id) {
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
    pub(super) fn one_ended(&mut self, id: ServiceId, blocks: bool, passed: Option<&FailedNodes>) {
        let state = &mut self.state[id.index()];
        if state.reached == Reached::None {
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
    pub(super) fn member_ended(&mut self, group: ServiceId) -> Option<Status> {
        let state = &mut self.state[group.index()];
        if !matches!(state.reached, Reached::Whole(_)) {
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

    pub(super) fn worst_member(
        &self,
        group: ServiceId,
        decides: impl Fn(ServiceId) -> bool,
    ) -> Status {
        let members = self.graph.members(group).iter().copied();
        Status::of_group(
            members
                .filter(|id| decides(*id))
                .filter_map(|id| self.status(id)),
        )
    }

    /// A group passes on what its deciding members pass on.
    pub(super) fn collect_passed(&mut self, group: ServiceId) {
        for member in self.graph.members(group) {
            if self.graph.is_leaf(*member, self.direction) {
                let passed = self.state[member.index()].passed.clone();
                self.state[group.index()].passed.unite(&passed);
            }
        }
    }

    /// Whether the action is the one its service was reached with.
    pub(super) fn is_main(&self, action: ActionId) -> bool {
        let service = self.graph.action(action).service;
        self.action_of(service, self.state[service.index()].reached) == Some(action)
    }
}
