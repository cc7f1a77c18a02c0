//! Walks over graphs: by hand for each rule, and at random for what must hold of all.

mod checks;
mod groups;
mod random;
mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::event::NodeId;
use crate::plan::NodeName;

/// Builds graphs without files.
#[derive(Debug, Clone, Default)]
struct Builder {
    services: Vec<Service>,
    actions: Vec<Action>,
    nodes: Vec<NodeName>,
}

impl Builder {
    fn add(&mut self, parent: Option<ServiceId>, name: &str, body: Body) -> ServiceId {
        let id = ServiceId(u32::try_from(self.services.len()).unwrap());
        let (full_name, top) = match parent {
            None => (name.to_owned(), id),
            Some(parent) => {
                let above = &mut self.services[parent.index()];
                let Body::Members(members) = &mut above.body else {
                    panic!("{} is no group", above.full_name);
                };
                members.push(id);
                (format!("{}.{name}", above.full_name), above.top)
            }
        };
        self.services.push(Service {
            name: name.into(),
            full_name: full_name.into(),
            desc: None,
            parent,
            top,
            tags: Arc::new([]),
            body,
            links: Vec::new(),
            dependents: Vec::new(),
        });
        id
    }

    fn group(&mut self, parent: Option<ServiceId>, name: &str) -> ServiceId {
        self.add(parent, name, Body::Members(Vec::new()))
    }

    fn service(
        &mut self,
        parent: Option<ServiceId>,
        name: &str,
        actions: &[(&str, Target)],
    ) -> ServiceId {
        let id = self.add(parent, name, Body::Actions(Vec::new()));
        for (action, target) in actions {
            self.action(id, action, target.clone());
        }
        id
    }

    fn start(&mut self, name: &str) -> ServiceId {
        self.service(None, name, &[("start", Target::Local)])
    }

    fn action(&mut self, service: ServiceId, name: &str, target: Target) -> ActionId {
        let id = ActionId(u32::try_from(self.actions.len()).unwrap());
        self.actions.push(Action {
            name: name.into(),
            service,
            desc: None,
            target,
            place: Place::Remote,
            fanout: None,
            timeout: None,
            delay: Delay::default(),
            retry: 0,
            thresholds: Thresholds::default(),
            checks: Vec::new(),
            task: Task::Shell(Vec::new()),
        });
        let Body::Actions(actions) = &mut self.services[service.index()].body else {
            panic!("a group has no actions");
        };
        actions.push(id);
        id
    }

    fn link(&mut self, from: ServiceId, word: Word, to: ServiceId) {
        self.services[from.index()].links.push(Link { to, word });
    }

    fn nodes(&mut self, count: u32) {
        self.nodes = (0..count).map(|at| format!("n{at}").into()).collect();
    }

    fn graph(&self) -> Graph {
        Graph::new(
            self.services.clone(),
            self.actions.clone(),
            self.nodes.clone().into(),
        )
    }
}

fn on(nodes: &[u32]) -> Target {
    Target::Nodes(nodes.iter().copied().map(NodeId).collect())
}

/// What a run told its driver.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// Actions in the order they were to run, with their nodes.
    ran: Vec<(String, Target)>,
    /// Loud statuses.
    lines: Vec<(String, Status)>,
    /// Statuses of all, loud or quiet.
    all: BTreeMap<String, Status>,
    spared: Vec<(String, Status)>,
}

impl Told {
    fn names(&self) -> Vec<&str> {
        self.ran.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// Runs a walk to its end; `fails` gives the failed nodes of an action (none for success), `pick` chooses
/// which running action answers next.
fn drive(
    walk: &mut Walk<'_>,
    graph: &Graph,
    fails: impl Fn(&str) -> Option<Vec<u32>>,
    mut pick: impl FnMut(usize) -> usize,
) -> Told {
    let mut told = Told::default();
    let mut running = Vec::new();
    while !walk.is_over() {
        for step in walk.ready() {
            match step {
                Step::Run { action, target } => {
                    told.ran.push((graph.action_name(action), target));
                    running.push(action);
                }
                Step::Spared { action, status } => {
                    told.spared.push((graph.action_name(action), status));
                }
                Step::Settled {
                    service,
                    status,
                    quiet,
                } => {
                    let name = graph.service(service).full_name.to_string();
                    if !quiet && status > Status::Missing {
                        told.lines.push((name.clone(), status));
                    }
                    assert!(told.all.insert(name, status).is_none(), "settled twice");
                }
            }
        }
        if running.is_empty() {
            assert!(walk.is_over(), "nothing runs and nothing is over");
            break;
        }
        let action = running.swap_remove(pick(running.len()) % running.len());
        let ran = match fails(&graph.action_name(action)) {
            None => Ran::default(),
            Some(nodes) => Ran {
                failed: nodes.len().max(1) as u64,
                timed_out: 0,
                nodes: nodes.into_iter().map(NodeId).collect(),
            },
        };
        walk.settle(action, &ran);
    }
    told
}

fn run(graph: &Graph, request: &Request<'_>, failing: &[(&str, &[u32])]) -> (Told, Status) {
    let mut walk = Walk::new(graph, request).unwrap();
    let fails = |name: &str| {
        failing
            .iter()
            .find(|(failing, _)| *failing == name)
            .map(|(_, nodes)| nodes.to_vec())
    };
    let told = drive(&mut walk, graph, fails, |_| 0);
    (told, walk.verdict())
}

fn forward(action: &str) -> Request<'_> {
    Request::all(action, Direction::Forward)
}

fn lines(told: &Told) -> Vec<(&str, Status)> {
    told.lines
        .iter()
        .map(|(name, status)| (name.as_str(), *status))
        .collect()
}
