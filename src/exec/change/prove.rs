//! The look at the end: before a change is reported, every node of it is read once more, on a new connection.
//!
//! What a reload has forgotten is made again, and then all nodes are looked at again: what is reported was true on all
//! of them at the end.

use std::time::Duration;

use super::run::Phase;
use super::{Note, Steps, set};
use crate::event::{Ending, ErrorCode, Failure, NodeId, Outcome, Stop};
use crate::work::haproxy::change::{Change, Sweep};

/// How long agents have to undo a change. HAProxy does not tell how often it asks them; it does so every two seconds
/// unless the configuration has another `agent-inter`.
const AGENT: Duration = Duration::from_millis(2500);

/// How often all nodes are looked at, if there is always something to be made again.
const ROUNDS: usize = 8;

impl Steps<'_> {
    /// Looks at all nodes again. After it their outcomes are by what was read last.
    pub(super) async fn prove(&mut self, change: &Change, able: &[NodeId]) {
        let served: Vec<NodeId> = able
            .iter()
            .copied()
            .filter(|node| change.is_served(*node))
            .collect();
        for node in &served {
            if let Some(Outcome::Failed(failure)) = &self.outcomes[node.index()] {
                change.cut_short(*node, failure.clone());
            }
        }
        self.wait_for_agents(change, &served).await;
        for round in 1..=ROUNDS {
            if self.stop >= Stop::Kill {
                break;
            }
            self.look(change, &served).await;
            let lost = |node: &NodeId| !self.is_in_a_hurry() && change.is_worth_repeating(*node);
            let lost: Vec<NodeId> = served.iter().copied().filter(lost).collect();
            if lost.is_empty() || round == ROUNDS {
                break;
            }
            self.run(&lost, change, Phase::Writing(change)).await;
        }
        for node in &served {
            self.outcomes[node.index()] = Some(self.judge(change, *node));
        }
        let remade = change.remade();
        if !remade.is_empty() {
            let nodes = set(&self.plan.nodes, &remade);
            (self.note)(Note::Reloaded { nodes });
        }
    }

    /// Reads the nodes; those that could not be read a second time, as a connection may have been lost meanwhile.
    async fn look(&mut self, change: &Change, nodes: &[NodeId]) {
        let sweep = Sweep { change };
        let mut todo = nodes.to_vec();
        for _ in 0..2 {
            self.run(&todo, &sweep, Phase::Proving).await;
            for node in &todo {
                let failure = match &self.outcomes[node.index()] {
                    Some(Outcome::Failed(failure)) => Some(failure.clone()),
                    Some(Outcome::Exited { .. } | Outcome::Killed { .. }) | None => None,
                };
                change.set_unread(*node, failure);
            }
            todo = self.failed(&todo);
            if todo.is_empty() || self.is_in_a_hurry() {
                return;
            }
        }
    }

    /// What became of a node, by what was read last.
    fn judge(&self, change: &Change, node: NodeId) -> Outcome {
        let mut outcome = change.outcome(node);
        if let Outcome::Failed(Failure { code, message, .. }) = &mut outcome
            && *code == ErrorCode::Stopped
            && matches!(self.ending, Some(Ending::Deadline))
        {
            *code = ErrorCode::Deadline;
            *message = format!("deadline passed: {message}");
        }
        outcome
    }

    /// Agents may undo a change at once: they have their time, and what they made of it is found by the look.
    async fn wait_for_agents(&mut self, change: &Change, served: &[NodeId]) {
        let with_agents: Vec<NodeId> = served
            .iter()
            .copied()
            .filter(|node| {
                let rows = change.rows(*node);
                let mut touched = rows.iter().filter(|row| row.is_touched());
                touched.any(|row| row.after.as_ref().unwrap_or(&row.before).agent.is_on())
            })
            .collect();
        if with_agents.is_empty() || self.is_in_a_hurry() {
            return;
        }
        (self.note)(Note::Agents {
            nodes: set(&self.plan.nodes, &with_agents),
            time: AGENT,
        });
        tokio::select! {
            biased;
            Some(level) = self.stops.recv() => {
                self.stop = self.stop.max(level);
                self.ending.get_or_insert(Ending::Stopped);
            }
            () = tokio::time::sleep(AGENT) => {}
        }
    }
}
