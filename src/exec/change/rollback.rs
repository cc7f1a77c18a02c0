//! The way back after a failure: taken when asked to, told otherwise.

use std::collections::BTreeMap;

use super::run::Phase;
use super::{Note, Steps, set};
use crate::event::{ErrorCode, NodeId, Outcome};
use crate::haproxy::change::Wanted;
use crate::haproxy::state::{AdminWord, Server};
use crate::work::haproxy::change::{Change, Undo};

impl Steps<'_> {
    /// Gives all nodes back what they had. Which were.
    pub(super) async fn roll_back(
        &mut self,
        change: &Change,
        able: &[NodeId],
    ) -> BTreeMap<NodeId, bool> {
        let touched: Vec<NodeId> = able
            .iter()
            .copied()
            .filter(|node| change.rows(*node).iter().any(|row| !row.sent.is_empty()))
            .collect();
        let before: Vec<Option<Outcome>> = self.outcomes.clone();
        self.run(&touched, &Undo { change }, Phase::Restoring).await;
        let mut restored = BTreeMap::new();
        for node in &touched {
            let place = node.index();
            let back = self.outcomes[place] == Some(Outcome::OK);
            restored.insert(*node, back);
            let why = match &self.outcomes[place] {
                Some(Outcome::Failed(failure)) => failure.message.clone(),
                _ => String::new(),
            };
            self.outcomes[place] = Some(match (before[place].clone(), back) {
                (Some(Outcome::Failed(mut failure)), true) => {
                    failure.message.push_str("; taken back");
                    Outcome::Failed(failure)
                }
                (Some(Outcome::Failed(mut failure)), false) => {
                    failure.message.push_str("; COULD NOT BE TAKEN BACK: ");
                    failure.message.push_str(&why);
                    Outcome::Failed(failure)
                }
                (_, true) => {
                    Outcome::failed(ErrorCode::Verify, "taken back, because it failed elsewhere")
                }
                (_, false) => Outcome::failed(
                    ErrorCode::Verify,
                    format!("it failed elsewhere, and COULD NOT BE TAKEN BACK here: {why}"),
                ),
            });
        }
        restored
    }

    /// The commands that would take it back, for the operator to decide.
    pub(super) fn say_the_way_back(&mut self, change: &Change, able: &[NodeId]) {
        let mut ways: BTreeMap<Vec<String>, Vec<NodeId>> = BTreeMap::new();
        for node in able {
            let mut verbs: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for row in change.rows(*node).iter().filter(|row| !row.sent.is_empty()) {
                let (verb, behind) = way_back(change.wanted, &row.before);
                let servers = verbs.entry(format!("{verb} {{}}{behind}")).or_default();
                servers.push(row.before.name.to_string());
            }
            let way = verbs
                .into_iter()
                .map(|(verb, servers)| verb.replace("{}", &servers.join(" ")))
                .collect::<Vec<_>>();
            if !way.is_empty() {
                ways.entry(way).or_default().push(*node);
            }
        }
        for (way, nodes) in ways {
            let nodes = set(&self.with.plan.nodes, &nodes);
            for verb in way {
                let nodes = nodes.clone();
                (self.with.note)(Note::WayBack { nodes, verb });
            }
        }
    }
}

/// The verb that gives a server back what it had, and what stands behind the servers.
fn way_back(wanted: Wanted, before: &Server) -> (&'static str, String) {
    match wanted {
        Wanted::Weight(_) => ("weight", format!(" {}", before.weight)),
        Wanted::State(_) => match before.admin.forced() {
            AdminWord::Ready => ("enable", String::new()),
            AdminWord::Drain => ("drain", String::new()),
            AdminWord::Maint => ("disable", String::new()),
        },
    }
}
