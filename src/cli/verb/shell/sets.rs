//! Nodes by how the last command ended: `.ok`, `.failed`, `.unreached`.

use crate::event::{FailureClass, Summary};
use crate::nodeset::{GroupError, Groups, NodeSet};
use crate::plan::Plan;

/// The words that stand for nodes of the last command.
pub(super) const NAMES: &[&str] = &[".ok", ".failed", ".unreached"];

/// How the nodes of the last command ended.
#[derive(Debug, Default)]
pub(super) struct Last {
    ok: NodeSet,
    failed: NodeSet,
    unreached: NodeSet,
}

impl Last {
    /// Of a run that is over.
    pub(super) fn of(summary: &Summary, plan: &Plan) -> Self {
        let having = |fits: fn(Option<FailureClass>) -> bool| {
            summary
                .outcomes
                .iter()
                .filter(|(_, outcome)| fits(outcome.class()))
                .map(|(node, _)| &**plan.name(*node))
                .collect::<NodeSet>()
        };
        Self {
            ok: having(|class| class.is_none()),
            failed: having(|class| class.is_some()),
            unreached: having(|class| class == Some(FailureClass::Unreached)),
        }
    }

    fn get(&self, name: &str) -> Option<&NodeSet> {
        match name {
            ".ok" => Some(&self.ok),
            ".failed" => Some(&self.failed),
            ".unreached" => Some(&self.unreached),
            _ => None,
        }
    }

    /// Those that have nodes, in words.
    pub(super) fn describe(&self) -> impl Iterator<Item = String> + '_ {
        NAMES.iter().filter_map(|name| {
            let nodes = self.get(name).filter(|nodes| !nodes.is_empty())?;
            Some(format!("{name}: {nodes} ({})", nodes.len()))
        })
    }

    /// The text with our words written as the groups that they are to [`WithLast`].
    pub(super) fn as_groups(text: &str) -> String {
        let is_end = |c: char| matches!(c, ',' | '!' | '&' | '^') || c.is_whitespace();
        text.split_inclusive(is_end)
            .map(|piece| {
                let word = piece.trim_end_matches(is_end);
                let mark = if NAMES.contains(&word) { "@" } else { "" };
                format!("{mark}{piece}")
            })
            .collect()
    }
}

/// Groups, and with them the nodes of the last command.
pub(super) struct WithLast<'a> {
    pub(super) groups: &'a dyn Groups,
    pub(super) last: &'a Last,
}

impl Groups for WithLast<'_> {
    fn map(&self, source: Option<&str>, group: &str) -> Result<String, GroupError> {
        match self.last.get(group) {
            Some(nodes) if source.is_none() => Ok(nodes.to_string()),
            _ => self.groups.map(source, group),
        }
    }

    fn all(&self, source: Option<&str>) -> Result<Option<String>, GroupError> {
        self.groups.all(source)
    }

    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError> {
        self.groups.list(source)
    }

    fn reverse(&self, source: Option<&str>, node: &str) -> Result<Option<Vec<String>>, GroupError> {
        self.groups.reverse(source, node)
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        self.groups.sources()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ErrorCode, NodeId, Outcome};
    use crate::nodeset::{NoGroups, eval, parse};
    use crate::plan::Limits;

    #[test]
    fn nodes_of_the_last_command_go_together_with_others() {
        let names = ["n1", "n2", "n3"].map(Into::into);
        let plan = Plan::all(names.into(), std::num::NonZeroUsize::MIN, Limits::default());
        let outcomes = [
            Outcome::OK,
            Outcome::Exited { status: 1 },
            Outcome::failed(ErrorCode::Refused, "refused"),
        ];
        let summary = Summary {
            outcomes: (0..).map(NodeId).zip(outcomes).collect(),
            ..Summary::default()
        };
        let last = Last::of(&summary, &plan);
        let groups = WithLast {
            groups: &NoGroups,
            last: &last,
        };
        for (text, nodes) in [
            (".ok", "n1"),
            (".failed", "n[2-3]"),
            (".unreached", "n3"),
            ("N9,.failed!n2", "N9,n3"),
            ("n[1-3]&.ok", "n1"),
        ] {
            let expression = parse(&Last::as_groups(text)).unwrap();
            assert_eq!(
                eval(&expression, &groups).unwrap().to_string(),
                nodes,
                "{text}"
            );
        }
        let none = Last::default();
        let groups = WithLast {
            groups: &NoGroups,
            last: &none,
        };
        let expression = parse(&Last::as_groups(".failed")).unwrap();
        assert!(eval(&expression, &groups).unwrap().is_empty());
    }
}
