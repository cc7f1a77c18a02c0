//! The services of a run and the arrows between them, checked once and then read only.

use std::collections::HashMap;
use std::sync::Arc;

use super::action::Action;
use super::id::{ActionId, ServiceId};
use crate::plan::NodeName;

/// A service or a group, every variable expanded.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its own name.
    pub name: Arc<str>,
    /// Group names and its own, joined with dots.
    pub full_name: Arc<str>,
    /// The text shown behind its name.
    pub desc: Option<Arc<str>>,
    /// The group it is a member of.
    pub parent: Option<ServiceId>,
    /// The top-level service or group it belongs to; itself, if it is one.
    pub top: ServiceId,
    /// Words to select it by.
    pub tags: Arc<[String]>,
    /// What it is made of.
    pub body: Body,
    /// What it waits for, in the order require, weak, check, filter.
    pub links: Vec<Link>,
    /// What waits for it.
    pub dependents: Vec<Link>,
}

impl Service {
    /// The label of its status line.
    #[must_use]
    pub fn label(&self) -> String {
        labelled(&self.full_name, self.desc.as_deref())
    }
}

/// A name and the description behind it, if there is one.
#[must_use]
pub fn labelled(name: &str, desc: Option<&str>) -> String {
    match desc {
        Some(desc) if !desc.is_empty() => format!("{name} - {desc}"),
        _ => name.to_owned(),
    }
}

/// What a service is made of.
#[derive(Debug, Clone)]
pub enum Body {
    /// A service with its actions.
    Actions(Vec<ActionId>),
    /// A group with its members.
    Members(Vec<ServiceId>),
}

/// How strongly one service depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// It must succeed.
    Require,
    /// It must have ended.
    Weak,
    /// Its `status` must succeed.
    Check,
    /// It must have ended, and nodes that failed there are left out here.
    Filter,
}

impl Word {
    /// Whether a failure of the dependency keeps the dependent from running.
    #[must_use]
    pub fn is_strong(self) -> bool {
        matches!(self, Self::Require | Self::Check)
    }

    /// Whether nodes that failed there are left out here.
    #[must_use]
    pub fn passes_nodes(self) -> bool {
        self != Self::Weak
    }
}

/// One arrow of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its other end.
    pub to: ServiceId,
    /// How strong it is.
    pub word: Word,
}

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
}
