//! The services of a run and the arrows between them, checked once and then read only.

use std::collections::HashMap;
use std::sync::Arc;

use super::walk::Direction;
use super::{Action, ActionId, Body, Link, Service, ServiceError, ServiceId, reach};
use crate::plan::NodeName;

/// Services, groups and actions, with every dependency resolved.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    services: Vec<Service>,
    actions: Vec<Action>,
    nodes: Arc<[NodeName]>,
    tops: Vec<ServiceId>,
    by_name: HashMap<Arc<str>, ServiceId>,
    /// Per service: whether no sibling depends on it.
    last: Vec<bool>,
    /// Per service: whether it depends on no sibling.
    first: Vec<bool>,
}

impl Graph {
    /// A graph of the given services, whose `dependents` are filled in here, and their actions, whose
    /// targets are positions in `nodes`.
    #[must_use]
    pub fn new(mut services: Vec<Service>, actions: Vec<Action>, nodes: Arc<[NodeName]>) -> Self {
        let count = services.len();
        let (mut last, mut first) = (vec![true; count], vec![true; count]);
        let mut dependents = vec![Vec::new(); count];
        for (at, service) in services.iter_mut().enumerate() {
            service.links.sort_by_key(|link| link.word);
            let id = ServiceId(u32::try_from(at).unwrap_or(u32::MAX));
            for link in &service.links {
                dependents[link.to.index()].push(Link {
                    to: id,
                    word: link.word,
                });
            }
        }
        for (service, mut links) in services.iter_mut().zip(dependents) {
            links.sort_by_key(|link| link.word);
            service.dependents = links;
        }
        for (at, service) in services.iter().enumerate() {
            for link in &service.links {
                if services[link.to.index()].parent == service.parent {
                    last[link.to.index()] = false;
                    first[at] = false;
                }
            }
        }
        let mut tops = Vec::new();
        let mut by_name = HashMap::with_capacity(count);
        for (at, service) in services.iter().enumerate() {
            let id = ServiceId(u32::try_from(at).unwrap_or(u32::MAX));
            if service.parent.is_none() {
                tops.push(id);
            }
            by_name.insert(Arc::clone(&service.full_name), id);
        }
        Self {
            services,
            actions,
            nodes,
            tops,
            by_name,
            last,
            first,
        }
    }

    /// All services and groups; a [`ServiceId`] is a position here. A group stands before its members.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// One service.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.index()]
    }

    /// All actions; an [`ActionId`] is a position here.
    #[must_use]
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// One action.
    #[must_use]
    pub fn action(&self, id: ActionId) -> &Action {
        &self.actions[id.index()]
    }

    /// The service's action of that name.
    #[must_use]
    pub fn find_action(&self, service: ServiceId, name: &str) -> Option<ActionId> {
        match &self.service(service).body {
            Body::Actions(actions) => actions
                .iter()
                .copied()
                .find(|action| &*self.action(*action).name == name),
            Body::Members(_) => None,
        }
    }

    /// An action's name behind its service's.
    #[must_use]
    pub fn action_name(&self, id: ActionId) -> String {
        let action = self.action(id);
        format!("{}.{}", self.service(action.service).full_name, action.name)
    }

    /// Every node any target has; a `NodeId` is a position here.
    #[must_use]
    pub fn nodes(&self) -> &Arc<[NodeName]> {
        &self.nodes
    }

    /// The top-level services and groups, as written.
    #[must_use]
    pub fn tops(&self) -> &[ServiceId] {
        &self.tops
    }

    /// The top-level service or group of that name.
    #[must_use]
    pub fn find_top(&self, name: &str) -> Option<ServiceId> {
        self.find(name)
            .filter(|id| self.service(*id).parent.is_none())
    }

    /// The service or group of that full name.
    #[must_use]
    pub fn find(&self, full_name: &str) -> Option<ServiceId> {
        self.by_name.get(full_name).copied()
    }

    /// The members of a group; none of a service.
    #[must_use]
    pub fn members(&self, id: ServiceId) -> &[ServiceId] {
        match &self.service(id).body {
            Body::Members(members) => members,
            Body::Actions(_) => &[],
        }
    }

    /// What the service waits for when the graph is walked in that direction.
    #[must_use]
    pub fn dependencies(&self, id: ServiceId, direction: Direction) -> &[Link] {
        match direction {
            Direction::Forward => &self.service(id).links,
            Direction::Reverse => &self.service(id).dependents,
        }
    }

    /// Whether no sibling waits for the service when the graph is walked in that direction. Such members
    /// decide the status of their group.
    #[must_use]
    pub fn is_leaf(&self, id: ServiceId, direction: Direction) -> bool {
        match direction {
            Direction::Forward => self.last[id.index()],
            Direction::Reverse => self.first[id.index()],
        }
    }

    /// Makes sure that no service waits for itself, wherever a walk begins.
    ///
    /// # Errors
    /// `Dependency loop: a -> b -> a`.
    pub fn check(&self) -> Result<(), ServiceError> {
        let nothing_locked = vec![false; self.services.len()];
        let cut = reach::Cut {
            direction: Direction::Forward,
            locked: &nothing_locked,
            within_top: false,
        };
        reach::reach(self, &cut, &self.tops).map(drop)
    }
}
