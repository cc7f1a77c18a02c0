//! Writing on all nodes.

use super::run::Phase;
use super::{Steps, set};
use crate::event::{ErrorCode, NodeId, Outcome, Stop};
use crate::work::haproxy::change::Change;

impl Steps<'_> {
    /// Writes on all nodes, on one of them first if so ordered.
    pub(super) async fn write(&mut self, change: &Change, able: &[NodeId], canary: bool) {
        for node in able {
            self.outcomes[node.index()] = None;
        }
        let mut rest = able.to_vec();
        let first = able.iter().position(|node| change.needs_writing(*node));
        if let (true, Some(first)) = (canary && able.len() > 1, first) {
            let first = rest.remove(first);
            self.run(&[first], change, Phase::Writing(change)).await;
            if !self.failed(&[first]).is_empty() {
                let first = set(&self.plan.nodes, &[first]);
                let cause = format!("not begun, because {first} went first and failed");
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
                rest.truncate(self.plan.fanout.get().saturating_sub(1).max(1));
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
    }
}
