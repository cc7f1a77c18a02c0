//! What of a replacement goes into the ledger: the intent before anything is staged, and the result. Never a content.

use super::{Moment, Steps, Subject, entries};
use crate::answer::ChangeVerdict;
use crate::event::{ErrorCode, NodeId, Outcome};
use crate::exec::change::{Entry, EntryKind, LedgerContent};

impl<O: Subject> Steps<'_, O> {
    /// Writes down what is about to be done. Whether it may be begun.
    pub(super) fn write_ahead(&mut self, todo: &[NodeId]) -> bool {
        let entries = entries(self, todo, EntryKind::Intent);
        let Err(error) = self.with.ledger.write(&entries) else {
            return true;
        };
        if !self.with.ledger.is_required() {
            (self.with.note)(format!("warning: {error}; the change goes on without"));
            return true;
        }
        let text = format!(
            "refused: {error}, and the configuration says that no change is made without it"
        );
        for node in todo {
            self.outcomes[node.index()] = Some(Outcome::failed(ErrorCode::Guard, text.as_str()));
        }
        false
    }

    /// Writes down what became of it.
    pub(super) fn write_down(&mut self, todo: &[NodeId]) {
        let entries = entries(self, todo, EntryKind::Result);
        if let Err(error) = self.with.ledger.write(&entries) {
            (self.with.note)(format!("warning: {error}"));
        }
    }
}

/// One node's line.
pub(super) fn entry<O: Subject>(steps: &Steps<'_, O>, node: NodeId, kind: EntryKind) -> Entry {
    let rows = steps.transaction.with(node, |on| {
        let sites = on.sites.iter();
        let rows = sites.map(|site| (site.endpoint.to_string(), steps.row(site, Moment::After)));
        rows.collect::<Vec<_>>()
    });
    let rows = rows.unwrap_or_default();
    let failure = match &steps.outcomes[node.index()] {
        Some(Outcome::Failed(failure)) => Some(failure.message.clone()),
        Some(Outcome::Exited { .. } | Outcome::Killed { .. }) | None => None,
    };
    let is_result = kind == EntryKind::Result;
    let verdict = match failure {
        Some(_)
            if rows
                .iter()
                .any(|(_, row)| row.verdict == ChangeVerdict::Restored) =>
        {
            ChangeVerdict::Restored
        }
        Some(_) => ChangeVerdict::Failed,
        None => ChangeVerdict::Done,
    };
    Entry {
        kind,
        node: steps.with.plan.name(node).to_string(),
        verdict: is_result.then(|| verdict.as_str().to_owned()),
        message: failure.filter(|_| is_result),
        rows: Vec::new(),
        contents: rows
            .into_iter()
            .map(|(socket, row)| LedgerContent {
                socket,
                instance: row.instance.as_deref().map(str::to_owned),
                kind: row.kind.to_owned(),
                name: row.name,
                before: row.before,
                wanted: row.wanted,
                after: row.after.filter(|_| is_result),
                with_file: steps.transaction.with_file,
                verdict: is_result.then(|| {
                    let is_begun = row.verdict != ChangeVerdict::Planned;
                    let word = if is_begun {
                        row.verdict.as_str()
                    } else {
                        "not-begun"
                    };
                    word.to_owned()
                }),
            })
            .collect(),
    }
}
