//! What of a change goes into the ledger: the intent before the first write, and the result.

use super::rows::verdict;
use super::{Entry, EntryKind, LedgerRow, Note, Steps};
use crate::answer::ChangeVerdict;
use crate::event::{ErrorCode, NodeId, Outcome};
use crate::haproxy::change::Wanted;
use crate::haproxy::state::AdminWord;
use crate::work::haproxy::change::{Change, Row, Then};

impl Steps<'_> {
    /// Writes down what is about to be done. Whether it may be begun.
    pub(super) fn write_ahead(&mut self, change: &Change, able: &[NodeId]) -> bool {
        let entries = self.entries(change, able, EntryKind::Intent);
        let Err(error) = self.ledger.write(&entries) else {
            self.is_written_ahead = true;
            return true;
        };
        if !self.ledger.is_required() {
            (self.note)(Note::Ledger {
                error,
                before: true,
            });
            return true;
        }
        for node in able {
            self.outcomes[node.index()] = Some(Outcome::failed(
                ErrorCode::Guard,
                format!(
                    "refused: {error}, and the configuration says that no change is made without it"
                ),
            ));
        }
        self.give_up("nothing was changed");
        false
    }

    /// Writes down what became of it.
    pub(super) fn write_down(&mut self, change: &Change, able: &[NodeId]) {
        let entries = self.entries(change, able, EntryKind::Result);
        if let Err(error) = self.ledger.write(&entries) {
            (self.note)(Note::Ledger {
                error,
                before: false,
            });
        }
    }

    fn entries(&self, change: &Change, able: &[NodeId], kind: EntryKind) -> Vec<Entry> {
        let nodes = able.iter().filter(|node| change.has_rows(**node));
        let entry = |node: &NodeId| {
            let rows = change.rows(*node).into_iter();
            let row = |row: Row| ledger_row(change, *node, &row, kind);
            let mut entry = Entry {
                kind,
                node: self.plan.name(*node).to_string(),
                verdict: None,
                message: None,
                rows: rows.map(row).collect(),
                contents: Vec::new(),
            };
            if kind == EntryKind::Result {
                let failure = match &self.outcomes[node.index()] {
                    Some(Outcome::Failed(failure)) => Some(&failure.message),
                    Some(Outcome::Exited { .. } | Outcome::Killed { .. }) | None => None,
                };
                let verdict = match worst(change, *node) {
                    // Each row is as it is to be, and yet it is not all that was asked for.
                    "done" | "unchanged" if failure.is_some() => ChangeVerdict::Failed.as_str(),
                    worst => worst,
                };
                entry.verdict = Some(verdict.to_owned());
                entry.message = failure.cloned();
            }
            entry
        };
        nodes.map(entry).collect()
    }
}

/// What to think of a node.
fn worst(change: &Change, node: NodeId) -> &'static str {
    let rows = change.rows(node);
    if !rows.iter().any(Row::is_touched) && !change.is_served(node) {
        return "not-begun";
    }
    let rank = |row: &Row| {
        let verdict = verdict(change, node, row);
        let rank = match verdict {
            ChangeVerdict::Unverified => 5,
            ChangeVerdict::Failed => 4,
            ChangeVerdict::Restored => 3,
            ChangeVerdict::Done => 2,
            ChangeVerdict::Unchanged | ChangeVerdict::Planned => 1,
        };
        (rank, verdict.as_str())
    };
    let worst = rows.iter().map(rank).max_by_key(|(rank, _)| *rank);
    worst.map_or("unchanged", |(_, verdict)| verdict)
}

fn ledger_row(change: &Change, node: NodeId, row: &Row, kind: EntryKind) -> LedgerRow {
    let socket = change.found(node, row.instance);
    let mut line = LedgerRow {
        socket: socket.map_or_else(String::new, |found| found.endpoint.to_string()),
        instance: change.label(node, row).map(str::to_owned),
        server: row.before.name.to_string(),
        wanted: may_leave(row.wanted, change.goal.then()),
        before: row.before.words(),
        set_before: row.before.admin.forced().keyword().to_owned(),
        weight_before: row.before.weight,
        ..LedgerRow::default()
    };
    if kind == EntryKind::Result {
        line.commands = row.sent.iter().map(ToString::to_string).collect();
        if let Some(after) = &row.after {
            line.after = Some(after.words());
            line.set_after = Some(after.admin.forced().keyword().to_owned());
            line.weight_after = Some(after.weight);
        }
        line.verdict = Some(verdict(change, node, row).as_str().to_owned());
        line.message = row.message().filter(|_| row.restored != Some(true));
    }
    line
}

/// What a change may leave, step by step.
fn may_leave(wanted: Wanted, then: Then) -> Vec<String> {
    let first = match wanted {
        Wanted::State(word) | Wanted::AtLeast(word) => word.keyword().to_owned(),
        Wanted::Weight(weight) => format!("weight {weight}"),
    };
    let mut all = vec![first];
    if then != Then::Stay {
        all.push(AdminWord::Maint.keyword().to_owned());
    }
    all
}
