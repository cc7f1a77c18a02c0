//! The way back after a failure: taken when asked to, told otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::run::Phase;
use super::{Note, Steps, set};
use crate::event::{ErrorCode, NodeId, Outcome};
use crate::haproxy::change::Wanted;
use crate::haproxy::state::{AdminWord, Server};
use crate::work::haproxy::change::{Change, Restore};

/// How long it is tried to take something back, unless the deadline leaves more time. Longer than HAProxy needs to
/// answer twice after it stood still.
const TRIED: Duration = Duration::from_secs(45);

impl Steps<'_> {
    /// Gives all nodes back what they had.
    pub(super) async fn roll_back(&mut self, change: &Change, able: &[NodeId]) {
        let touched: Vec<NodeId> = able
            .iter()
            .copied()
            .filter(|node| change.rows(*node).iter().any(|row| row.may_differ()))
            .collect();
        let before: Vec<Option<Outcome>> = self.outcomes.clone();
        let until = Instant::now() + TRIED;
        let restore = Restore {
            change,
            until: self.deadline.map_or(until, |deadline| deadline.max(until)),
        };
        self.run(&touched, &restore, Phase::Restoring).await;
        let mut stuck = Vec::new();
        for node in &touched {
            let place = node.index();
            let back = self.outcomes[place] == Some(Outcome::OK);
            let why = match &self.outcomes[place] {
                Some(Outcome::Failed(failure)) => failure.message.clone(),
                _ => String::new(),
            };
            if !back {
                stuck.push(*node);
            }
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
        self.say_the_way_back(change, &stuck);
    }

    /// The commands that would take it back, for the operator to decide.
    pub(super) fn say_the_way_back(&mut self, change: &Change, nodes: &[NodeId]) {
        let mut ways: BTreeMap<Vec<String>, Vec<NodeId>> = BTreeMap::new();
        let id = self.ledger.id().filter(|_| self.is_written_ahead);
        let id = id.map(str::to_owned);
        for node in nodes {
            let rows = change.rows(*node);
            let mut verbs: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for row in rows.iter().filter(|row| row.may_differ()) {
                let (verb, behind) = way_back(row.wanted, &row.before);
                let servers = verbs.entry(format!("{verb} {{}}{behind}")).or_default();
                servers.push(row.before.name.to_string());
            }
            if verbs.is_empty() {
                continue;
            }
            let verbs = verbs.into_iter();
            let verbs = verbs.map(|(verb, servers)| verb.replace("{}", &servers.join(" ")));
            let way = if id.is_some() {
                Vec::new()
            } else {
                verbs.collect()
            };
            ways.entry(way).or_default().push(*node);
        }
        for (verbs, nodes) in ways {
            let nodes = set(&self.plan.nodes, &nodes);
            let id = id.clone();
            self.has_told_way_back = true;
            (self.note)(Note::WayBack { nodes, id, verbs });
        }
    }
}

/// The verb that gives a server back what it had, and what stands behind the servers.
fn way_back(wanted: Wanted, before: &Server) -> (&'static str, String) {
    match wanted {
        Wanted::Weight(_) => ("weight", format!(" {}", before.weight)),
        Wanted::State(_) | Wanted::AtLeast(_) => match before.admin.forced() {
            AdminWord::Ready => ("enable", String::new()),
            AdminWord::Drain => ("drain --force", String::new()),
            AdminWord::Maint => ("disable", String::new()),
        },
    }
}
