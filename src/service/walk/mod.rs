//! One run over a graph: what may start now, and what has come of it. No clock, no nodes contacted.
//!
//! The driver asks for [`Walk::ready`], runs the actions it is told to, and reports each with
//! [`Walk::settle`], until [`Walk::is_over`].

mod begin;
mod end;
mod state;
mod step;

use std::collections::HashMap;

use crate::service::error::ServiceError;
use crate::service::graph::{Body, Graph};
use crate::service::id::{ActionId, ServiceId};
use crate::service::reach::{LinkFilter, Reached, reach};
use crate::service::status::Status;

pub use state::Walk;
use state::{State, ids, new_state};
pub use step::{Ran, Request, Step};

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
        let filter = LinkFilter {
            direction,
            locked: &locked,
            within_top: request.no_dependencies,
        };
        let reached = reach(graph, &filter, &starts)?;
        let state: Vec<State> = reached
            .iter()
            .enumerate()
            .map(|(at, reached)| new_state(graph, &filter, at, *reached))
            .collect();
        let mut walk = Self {
            graph,
            direction,
            within_top: request.no_dependencies,
            open: reached
                .iter()
                .filter(|reached| matches!(reached, Reached::Whole(_)))
                .count(),
            unblocked: ids(graph)
                .filter(|id| {
                    let state = &state[id.index()];
                    state.reached != Reached::None && state.waiting == 0
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
            matches!(state.reached, Reached::Whole(_))
                && state.status.is_none()
                && matches!(self.graph.service(*id).body, Body::Actions(_))
        })
    }

    /// The services and groups that take part in the run.
    pub fn participants(&self) -> impl Iterator<Item = ServiceId> + '_ {
        ids(self.graph).filter(|id| matches!(self.state[id.index()].reached, Reached::Whole(_)))
    }

    /// What the service waits for in this run.
    pub fn dependencies(&self, id: ServiceId) -> impl Iterator<Item = ServiceId> + '_ {
        let filter = LinkFilter {
            direction: self.direction,
            locked: &self.locked,
            within_top: self.within_top,
        };
        let links: Vec<_> = filter.links(self.graph, id).map(|link| link.to).collect();
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
}
