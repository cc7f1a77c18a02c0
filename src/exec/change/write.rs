//! Writing on all nodes, and what of it goes into the ledger.

use std::collections::BTreeMap;

use super::run::Phase;
use super::{Entry, Note, Steps, set, verdict};
use crate::event::{ErrorCode, NodeId, Outcome, Stop};
use crate::haproxy::state::Server;
use crate::work::haproxy::change::{Change, Goal, Then};

impl Steps<'_> {
    pub(super) fn needs_writing(&self, change: &Change, node: NodeId) -> bool {
        change
            .rows(node)
            .iter()
            .any(|row| !change.wanted.is_set(&row.before))
            || matches!(change.goal, Goal::Idle(_, Then::Disable | Then::Kill))
    }

    /// Writes on all nodes, on one of them first if so ordered.
    pub(super) async fn write(&mut self, change: &Change, able: &[NodeId], canary: bool) {
        for node in able {
            self.outcomes[node.index()] = None;
        }
        let mut rest = able.to_vec();
        let first = able
            .iter()
            .position(|node| self.needs_writing(change, *node));
        if let (true, Some(first)) = (canary && able.len() > 1, first) {
            let first = rest.remove(first);
            self.run(&[first], change, Phase::Writing(change)).await;
            if !self.failed(&[first]).is_empty() {
                let cause = format!(
                    "not begun, because {} went first and failed",
                    self.with.plan.nodes[first.index()]
                );
                for node in rest {
                    self.outcomes[node.index()] =
                        Some(Outcome::failed(ErrorCode::NotBegun, cause.clone()));
                }
                return;
            }
            if self.stop >= Stop::Kill {
                rest.clear();
            } else if self.stop > Stop::No {
                // The balancers in hand are not left disagreeing; a fleet is not begun any more.
                rest.truncate(self.with.plan.fanout.get().saturating_sub(1).max(1));
            }
        }
        self.run(&rest, change, Phase::Writing(change)).await;
        for node in able {
            let outcome = &mut self.outcomes[node.index()];
            if outcome.is_none() {
                *outcome = Some(Outcome::failed(
                    ErrorCode::Stopped,
                    "stopped before it was begun",
                ));
            }
        }
        let reloaded = change.reloaded();
        if !reloaded.is_empty() {
            let nodes = set(&self.with.plan.nodes, &reloaded);
            (self.with.note)(Note::Reloaded { nodes });
        }
    }

    pub(super) fn write_down(
        &mut self,
        change: &Change,
        able: &[NodeId],
        restored: &BTreeMap<NodeId, bool>,
    ) {
        let mut entries = Vec::new();
        for node in able {
            for row in change.rows(*node) {
                let touched = !row.sent.is_empty();
                let begun = touched || row.verdict.is_some();
                let Some(found) = change.found(*node, row.instance).filter(|_| begun) else {
                    continue;
                };
                entries.push(Entry {
                    node: self.with.plan.nodes[node.index()].to_string(),
                    socket: found.endpoint.to_string(),
                    server: row.before.name.to_string(),
                    commands: row.sent.iter().map(ToString::to_string).collect(),
                    before: row.before.words(),
                    after: row.after.as_ref().map(Server::words),
                    weight_before: row.before.weight,
                    weight_after: row.after.as_ref().map(|after| after.weight),
                    verdict: verdict(&row, restored.get(node) == Some(&true)).as_str(),
                });
            }
        }
        if entries.iter().any(|entry| !entry.commands.is_empty())
            && let Err(error) = self.with.ledger.write(&entries)
        {
            (self.with.note)(Note::Ledger {
                error,
                before: false,
            });
        }
    }
}
