//! The guard: no backend of any node may be left without a usable server.

use super::{Note, Steps};
use crate::event::{ErrorCode, NodeId, Outcome};
use crate::haproxy::change::Wanted;
use crate::work::haproxy::read::NodeReading;

impl Steps<'_> {
    /// Asks the guard about every node. Whether it refuses, with the hint how to do it all the same; without one
    /// it only warns.
    pub(super) fn guard(
        &mut self,
        wanted: Wanted,
        readings: &[Option<NodeReading>],
        able: &[NodeId],
        force_hint: Option<&str>,
    ) -> bool {
        let mut refused = false;
        for node in able {
            let found = readings[node.index()].iter().flat_map(|known| &known.found);
            let emptied: Vec<String> = found
                .flat_map(|one| {
                    wanted
                        .guard(&one.reading, &one.chosen)
                        .into_iter()
                        .map(move |emptied| {
                            let label = one
                                .label
                                .as_deref()
                                .map_or_else(String::new, |label| format!("{label}: "));
                            format!(
                                "{label}backend {} ({})",
                                emptied.backend,
                                emptied.servers.join(", ")
                            )
                        })
                })
                .collect();
            if emptied.is_empty() {
                continue;
            }
            let Some(hint) = force_hint else {
                let node = self.with.plan.name(*node).to_string();
                (self.with.note)(Note::Emptied {
                    node,
                    backends: emptied,
                });
                continue;
            };
            refused = true;
            self.outcomes[node.index()] = Some(Outcome::failed(
                ErrorCode::Guard,
                format!(
                    "refused: no usable server would be left in {}; {hint}",
                    emptied.join(", ")
                ),
            ));
        }
        refused
    }
}
