//! Which servers of which nodes a change is about, and how its rows are reported.

use std::sync::Arc;

use crate::answer::{ChangeRow, ChangeVerdict};
use crate::event::NodeId;
use crate::haproxy::change::Wanted;
use crate::haproxy::state::AdminWord;
use crate::plan::Plan;
use crate::work::haproxy::change::{Change, Row, Target, Then};
use crate::work::haproxy::read::NodeReading;

use super::{Left, What};

/// The servers that a change is about, node by node.
#[derive(Debug, Default)]
pub(super) struct Targets {
    rows: Vec<Vec<Target>>,
    /// What is no longer as it was left, in words.
    conflicts: Vec<Vec<String>>,
}

impl Targets {
    pub(super) fn of(what: &What, plan: &Plan, readings: &[Option<NodeReading>]) -> Self {
        let mut targets = Self {
            rows: vec![Vec::new(); readings.len()],
            conflicts: vec![Vec::new(); readings.len()],
        };
        for (node, known) in (0..).map(NodeId).zip(readings) {
            let Some(known) = known else { continue };
            match what {
                What::Alike(wanted, _) => {
                    let found = known.found.iter().enumerate();
                    let rows = found.flat_map(|(instance, found)| {
                        let chosen = found.chosen.iter();
                        chosen.map(move |place| (instance, *place, *wanted))
                    });
                    targets.rows[node.index()].extend(rows);
                }
                What::Back(left) => {
                    let name = plan.name(node);
                    for left in left.iter().filter(|left| left.node == *name) {
                        targets.add_back(node, known, left);
                    }
                }
            }
        }
        targets
    }

    /// One server that is to be as it was, unless somebody has set it since.
    fn add_back(&mut self, node: NodeId, known: &NodeReading, left: &Left) {
        let place = known
            .found
            .iter()
            .enumerate()
            .find_map(|(instance, found)| {
                let mut servers = found.reading.servers.iter();
                let place = servers.position(|server| server.name == left.server)?;
                (found.endpoint == left.socket).then_some((instance, place))
            });
        let Some((instance, place)) = place else {
            self.conflicts[node.index()].push(format!("{} is gone", left.server));
            return;
        };
        let server = &known.found[instance].reading.servers[place];
        let is_left = left.left.iter().any(|left| left.is_set(server));
        if is_left || left.before.is_set(server) {
            self.rows[node.index()].push((instance, place, left.before));
        } else {
            self.conflicts[node.index()].push(format!(
                "{} is {}",
                left.server,
                left.before.shown(server)
            ));
        }
    }

    /// The servers of a node.
    pub(super) fn on(&self, node: NodeId) -> Vec<Target> {
        self.rows.get(node.index()).cloned().unwrap_or_default()
    }

    /// What is no longer as it was left on a node, in words.
    pub(super) fn conflict(&self, node: NodeId) -> Option<String> {
        let conflicts = self.conflicts.get(node.index())?;
        (!conflicts.is_empty()).then(|| {
            format!(
                "no longer as the change left it, and left alone: {}",
                conflicts.join(", ")
            )
        })
    }
}

/// What to think of a row.
pub(super) fn verdict(change: &Change, node: NodeId, row: &Row) -> ChangeVerdict {
    let is_read = row.after.is_some() && !change.is_unread(node);
    match row.restored.filter(|_| row.is_touched()) {
        Some(true) => ChangeVerdict::Restored,
        Some(false) if row.after.is_some() => ChangeVerdict::Failed,
        _ if !is_read => ChangeVerdict::Unverified,
        _ if !row.is_done() || !is_at_its_end(change, row) => ChangeVerdict::Failed,
        _ if row.is_touched() => ChangeVerdict::Done,
        _ => ChangeVerdict::Unchanged,
    }
}

/// Whether a drain that something follows has come to that.
fn is_at_its_end(change: &Change, row: &Row) -> bool {
    change.goal.then() == Then::Stay || row.stage == Wanted::State(AdminWord::Maint)
}

/// The rows of a node for the report; those that were not begun are left out.
pub(super) fn rows(change: &Change, node: NodeId, is_dry: bool) -> Vec<ChangeRow> {
    let rows = change.rows(node).into_iter();
    let rows = rows.filter(|row| is_dry || row.after.is_some() || row.is_touched());
    rows.map(|row| {
        let verdict = match (is_dry, row.wanted.is_set(&row.before)) {
            (false, _) => verdict(change, node, &row),
            (true, true) => ChangeVerdict::Unchanged,
            (true, false) => ChangeVerdict::Planned,
        };
        let is_restored = verdict == ChangeVerdict::Restored;
        ChangeRow {
            instance: change.label(node, &row).map(Arc::from),
            wanted: row.stage,
            message: row.message().filter(|_| !is_restored),
            after: if is_dry {
                Some(row.before.clone())
            } else {
                row.after.clone()
            },
            before: row.before,
            verdict,
            at: row.at,
        }
    })
    .collect()
}
