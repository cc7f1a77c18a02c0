//! Whether the nodes have the same servers in the same state before a change.

use std::collections::BTreeMap;

use super::{Known, Note, Steps, set};
use crate::event::NodeId;
use crate::haproxy::name::ServerName;
use crate::work::haproxy::read::Found;

/// The most servers that are listed when nodes disagree.
const LISTED: usize = 10;

/// How nodes have one server: its state, and where it is so.
type Views = BTreeMap<String, Vec<NodeId>>;

impl Steps<'_> {
    /// Says so when the nodes do not have the same servers in the same state, and shows those that differ.
    pub(super) fn compare(&mut self, known: &Known<'_>) {
        if known.able.len() < 2 {
            return;
        }
        let servers = views(known);
        let instances = instances(known);
        let differs = |label: Option<&str>, views: &Views| {
            let count: usize = views.values().map(Vec::len).sum();
            views.len() > 1 || count < instances[&label].len()
        };
        let differing = servers.iter();
        let mut differing = differing.filter(|((label, _), views)| differs(*label, views));
        let mut rows = Vec::new();
        for ((label, name), views) in differing.by_ref().take(LISTED) {
            let has = |node: &&NodeId| views.values().flatten().any(|with| with == *node);
            let with_instance = instances[label].iter();
            let without: Vec<NodeId> = with_instance.filter(|node| !has(node)).copied().collect();
            let label = label.map_or_else(String::new, |label| format!("{label}: "));
            for (view, nodes) in views {
                rows.push((
                    set(&self.plan.nodes, nodes),
                    format!("{label}{name}: {view}"),
                ));
            }
            if !without.is_empty() {
                rows.push((
                    set(&self.plan.nodes, &without),
                    format!("{label}{name}: not there"),
                ));
            }
        }
        if !rows.is_empty() {
            let more = differing.count();
            (self.note)(Note::Disagree { rows, more });
        }
    }
}

/// The nodes that have each instance: by the configuration not every node has every one.
fn instances<'a>(known: &Known<'a>) -> BTreeMap<Option<&'a str>, Vec<NodeId>> {
    let mut instances: BTreeMap<_, Vec<NodeId>> = BTreeMap::new();
    for node in known.able {
        for one in known.found(*node) {
            let one: &Found = one;
            instances
                .entry(one.label.as_deref())
                .or_default()
                .push(*node);
        }
    }
    instances
}

/// Of each server that is meant, how the nodes have it.
fn views<'a>(known: &Known<'a>) -> BTreeMap<(Option<&'a str>, &'a ServerName), Views> {
    let mut servers: BTreeMap<_, Views> = BTreeMap::new();
    for node in known.able {
        for one in known.found(*node) {
            let one: &Found = one;
            for place in &one.chosen {
                let server = &one.reading.servers[*place];
                let view = format!("{}, weight {}", server.words(), server.weight);
                let views = servers
                    .entry((one.label.as_deref(), &server.name))
                    .or_default();
                views.entry(view).or_default().push(*node);
            }
        }
    }
    servers
}
