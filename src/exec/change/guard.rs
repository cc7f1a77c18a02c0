//! The guard: no backend of any node may be left without a usable server.

use super::{Known, Note, Steps};
use crate::event::{ErrorCode, NodeId, Outcome};
use crate::haproxy::change::guard;
use crate::work::haproxy::read::Found;

impl Steps<'_> {
    /// Asks the guard about every node. Whether it refuses, with the hint how to do it all the same; without one
    /// it only warns.
    pub(super) fn guard(&mut self, known: &Known<'_>, force_hint: Option<&str>) -> bool {
        let mut refused = false;
        for node in known.able {
            let emptied = emptied(known, *node);
            let nothing = rounded_to_nothing(known, *node);
            let Some(hint) = force_hint else {
                if !emptied.is_empty() {
                    let node = self.plan.name(*node).to_string();
                    (self.note)(Note::Emptied {
                        node,
                        backends: emptied,
                    });
                }
                continue;
            };
            let why = if !emptied.is_empty() {
                format!("no usable server would be left in {}", list(&emptied))
            } else if !nothing.is_empty() {
                format!(
                    "that is weight 0, which takes a server out, for {}",
                    list(&nothing)
                )
            } else {
                continue;
            };
            refused = true;
            self.outcomes[node.index()] = Some(Outcome::failed(
                ErrorCode::Guard,
                format!("refused: {why}; {hint}"),
            ));
        }
        refused
    }
}

/// The backends that would keep no usable server.
fn emptied(known: &Known<'_>, node: NodeId) -> Vec<String> {
    let targets = known.targets.on(node);
    let mut all = Vec::new();
    for (instance, one) in known.found(node).enumerate() {
        let own = targets.iter().filter(|(of, ..)| *of == instance);
        let own = own.map(|(_, place, wanted)| (*place, *wanted));
        for emptied in guard(&one.reading, own) {
            all.push(format!(
                "{}backend {} ({})",
                label(one),
                emptied.backend,
                emptied.servers.join(", ")
            ));
        }
    }
    all
}

/// The servers of which a part of their weight was wanted, and it comes to nothing.
fn rounded_to_nothing(known: &Known<'_>, node: NodeId) -> Vec<String> {
    let nothing = known.servers(node).filter_map(|(one, wanted, server)| {
        let name = || {
            format!(
                "{}{} (of {})",
                label(one),
                server.name,
                server.initial_weight
            )
        };
        wanted.rounds_to_nothing(server).then(name)
    });
    nothing.collect()
}

fn label(found: &Found) -> String {
    let label = found.label.as_deref();
    label.map_or_else(String::new, |label| format!("{label}: "))
}

/// Some of them, as many as people read.
fn list(texts: &[String]) -> String {
    /// More are only counted.
    const LISTED: usize = 10;
    let more = texts.len().saturating_sub(LISTED);
    let shown = texts[..texts.len() - more].join(", ");
    if more > 0 {
        format!("{shown} and {more} more")
    } else {
        shown
    }
}
