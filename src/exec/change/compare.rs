//! What the readings of all nodes say before anything is written: what is odd, and whether the nodes agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Note, Steps, set};
use crate::event::{ErrorCode, NodeId, Outcome};
use crate::haproxy::answer::Level;
use crate::work::haproxy::read::NodeReading;

/// The most groups of nodes that are listed when nodes disagree.
const LISTED: usize = 8;

impl Steps<'_> {
    /// What is odd about the nodes, once for all of them.
    pub(super) fn warn(&mut self, readings: &[Option<NodeReading>]) {
        let names = Arc::clone(&self.with.plan.nodes);
        let those = |odd: &dyn Fn(&NodeReading) -> bool| {
            let nodes: Vec<NodeId> = (0..)
                .map(NodeId)
                .zip(readings)
                .filter(|(_, known)| known.as_ref().is_some_and(odd))
                .map(|(node, _)| node)
                .collect();
            (!nodes.is_empty()).then(|| set(&names, &nodes))
        };
        let several = those(&|known| known.found.iter().any(|one| one.reading.info.processes > 1));
        let old = those(&|known| known.old_workers > 0);
        let stopping = those(&|known| known.found.iter().any(|one| one.reading.info.stopping));
        let notes = [
            several.map(|nodes| Note::SeveralProcesses { nodes }),
            old.map(|nodes| Note::OldWorkers { nodes }),
            stopping.map(|nodes| Note::Stopping { nodes }),
        ];
        for note in notes.into_iter().flatten() {
            (self.with.note)(note);
        }
    }

    /// Says so when the nodes do not have the same servers in the same state.
    pub(super) fn compare(&mut self, readings: &[Option<NodeReading>], able: &[NodeId]) {
        let mut views: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
        for node in able {
            let view = readings[node.index()]
                .iter()
                .flat_map(|known| &known.found)
                .flat_map(|one| {
                    let label = one
                        .label
                        .as_deref()
                        .map_or_else(String::new, |label| format!("{label}: "));
                    one.chosen.iter().map(move |place| {
                        let server = &one.reading.servers[*place];
                        format!(
                            "{label}{}: {}, weight {}\n",
                            server.name,
                            server.words(),
                            server.weight
                        )
                    })
                });
            views.entry(view.collect()).or_default().push(*node);
        }
        if views.len() < 2 {
            return;
        }
        let names = &self.with.plan.nodes;
        let listed = views.iter().take(LISTED).map(|(view, nodes)| {
            let rows = view.lines().map(str::to_owned).collect();
            (set(names, nodes), rows)
        });
        (self.with.note)(Note::Disagree {
            views: listed.collect(),
            more: views.len().saturating_sub(LISTED),
        });
    }
}

/// The failure of a node with a socket that cannot change anything.
pub(super) fn read_only(known: &NodeReading) -> Option<Outcome> {
    let low = known
        .found
        .iter()
        .find(|one| one.reading.level < Level::Admin && !one.chosen.is_empty())?;
    Some(Outcome::failed(
        ErrorCode::Permission,
        format!(
            "the socket {} is read-only (level {}); a change needs one of level admin",
            low.endpoint, low.reading.level
        ),
    ))
}
