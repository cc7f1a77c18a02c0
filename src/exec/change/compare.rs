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
        let differs = |views: &Views| {
            let count: usize = views.values().map(Vec::len).sum();
            views.len() > 1 || count < known.able.len()
        };
        let mut differing = servers.iter().filter(|(_, views)| differs(views));
        let mut rows = Vec::new();
        for ((label, name), views) in differing.by_ref().take(LISTED) {
            let label = label.map_or_else(String::new, |label| format!("{label}: "));
            let has = |node: &&NodeId| views.values().flatten().any(|with| with == *node);
            let without: Vec<NodeId> = known
                .able
                .iter()
                .filter(|node| !has(node))
                .copied()
                .collect();
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
