//! Which nodes are one group: those with the same status that answered the same and said the same on both streams.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::event::NodeId;
use crate::gather::{Gather, Output};

/// Nodes that are alike.
pub(super) struct Alike<'g> {
    pub(super) nodes: Vec<NodeId>,
    pub(super) status: u8,
    pub(super) stdout: Output<'g>,
    pub(super) stderr: Output<'g>,
}

/// The groups by status, then size, the largest first, then first node.
pub(super) fn groups<'g>(
    said: &'g Gather,
    complained: &'g Gather,
    rows: &Gather,
) -> Vec<Alike<'g>> {
    let [complaints, answers] = [complained, rows].map(by_node);
    let mut found = Vec::new();
    for group in said.groups() {
        let mut parts: HashMap<(Option<&usize>, Option<&usize>), Vec<u32>> = HashMap::new();
        for key in group.keys {
            let same = (complaints.get(&key), answers.get(&key));
            parts.entry(same).or_default().push(key);
        }
        found.extend(parts.into_values().map(|keys| Alike {
            status: group.status,
            stdout: group.output,
            // Never empty, and all of them complained the same.
            stderr: complained.output(keys.first().copied().unwrap_or_default()),
            nodes: keys.into_iter().map(NodeId).collect(),
        }));
    }
    found.sort_by_key(|one| {
        (
            one.status,
            Reverse(one.nodes.len()),
            one.nodes.first().copied(),
        )
    });
    found
}

/// The number of each node's group.
fn by_node(gather: &Gather) -> HashMap<u32, usize> {
    let groups = gather.groups().into_iter().enumerate();
    groups
        .flat_map(|(number, group)| group.keys.into_iter().map(move |key| (key, number)))
        .collect()
}
