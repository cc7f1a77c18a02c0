//! Maps and ACLs as the engine speaks of them.

use super::{Difference, Subject};
use crate::haproxy::patterns::{Edit, Entries};
use crate::work::haproxy::transaction::Seen;
use crate::work::haproxy::transaction::patterns::Patterns;

impl Subject for Patterns {
    fn words(&self, content: &Entries) -> String {
        let plural = if content.len() == 1 {
            "entry"
        } else {
            "entries"
        };
        format!("{} {plural} ({})", content.len(), content.digest())
    }

    fn difference(&self, old: &Entries, new: &Entries) -> Difference {
        let found = old.difference(new);
        let summary = match found.is_order {
            true => "the same entries in another order".to_owned(),
            false => format!("{} removed, {} added", found.removed, found.added),
        };
        Difference {
            rows: found.rows,
            summary,
        }
    }

    fn doubts(&self, seen: &Seen<Entries>, target: &Entries) -> Vec<String> {
        let mut doubts = Vec::new();
        if let Some(open) = &seen.open {
            doubts.push(format!(
                "{}; once this change is served, that version can be no more",
                open.words
            ));
        }
        if target.is_empty() && !seen.content.is_empty() && !matches!(self.edit, Edit::Del(_)) {
            doubts.push(format!("{} would be empty", self.name));
        }
        doubts
    }

    fn leftover(&self, version: &u64) -> Option<String> {
        Some(format!(
            "version {version} of {} stays prepared and unserved until the next change or reload",
            self.name
        ))
    }
}
