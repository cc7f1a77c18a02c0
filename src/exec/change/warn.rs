//! What is odd about the nodes or the servers of a change, each oddity once for all nodes that have it.

use std::collections::BTreeMap;

use super::{Known, Note, Steps, set};
use crate::event::{ErrorCode, NodeId, Outcome};
use crate::haproxy::answer::Level;
use crate::haproxy::change::Wanted;
use crate::haproxy::state::{AdminWord, Server};
use crate::nodeset::NodeSet;
use crate::work::haproxy::change::Goal;
use crate::work::haproxy::read::{Found, NodeReading};

impl Steps<'_> {
    /// What is odd about the HAProxy of the nodes.
    pub(super) fn warn_of_nodes(&mut self, readings: &[Option<NodeReading>], goal: Goal) {
        let several = |one: &Found| one.reading.info.processes > 1;
        let old = |one: &Found| {
            one.master
                .as_ref()
                .is_some_and(|master| !master.old.is_empty())
        };
        let waits = matches!(goal, Goal::Idle(..));
        let unknown = |one: &Found| waits && one.master.is_none() && !one.chosen.is_empty();
        let notes = [
            (self.those(readings, several)).map(|nodes| Note::SeveralProcesses { nodes }),
            (self.those(readings, old)).map(|nodes| Note::OldWorkers { nodes }),
            (self.those(readings, unknown)).map(|nodes| Note::OldSessionsUnknown { nodes }),
        ];
        for note in notes.into_iter().flatten() {
            (self.note)(note);
        }
    }

    /// The nodes with a HAProxy of which something holds, if there are any.
    fn those(
        &self,
        readings: &[Option<NodeReading>],
        holds: impl Fn(&Found) -> bool,
    ) -> Option<NodeSet> {
        let nodes = (0..).map(NodeId).zip(readings);
        let nodes = nodes.filter(|(_, known)| {
            let mut found = known.iter().flat_map(|known| &known.found);
            found.any(&holds)
        });
        let nodes: Vec<NodeId> = nodes.map(|(node, _)| node).collect();
        (!nodes.is_empty()).then(|| set(&self.plan.nodes, &nodes))
    }

    /// What is odd about the servers.
    pub(super) fn warn_of_servers(&mut self, known: &Known<'_>, goal: Goal) {
        let exceeded = groups(known, Wanted::is_exceeded);
        let checks_off = groups(known, |wanted, server| {
            wanted == Wanted::State(AdminWord::Ready) && server.check.is_off()
        });
        for (servers, nodes) in exceeded {
            let nodes = set(&self.plan.nodes, &nodes);
            (self.note)(Note::Exceeded { nodes, servers });
        }
        for (servers, nodes) in checks_off {
            (self.note)(Note::ChecksOff {
                nodes: set(&self.plan.nodes, &nodes),
                servers,
                turned_on: matches!(goal, Goal::Healthy(_)),
            });
        }
    }
}

/// The servers of which something holds, with the nodes where it is the same ones.
fn groups(
    known: &Known<'_>,
    holds: impl Fn(Wanted, &Server) -> bool,
) -> BTreeMap<Vec<String>, Vec<NodeId>> {
    let mut groups: BTreeMap<Vec<String>, Vec<NodeId>> = BTreeMap::new();
    for node in known.able {
        let servers = known.servers(*node);
        let servers = servers.filter(|(_, wanted, server)| holds(*wanted, server));
        let names = servers.map(|(.., server)| server.name.to_string());
        groups.entry(names.collect()).or_default().push(*node);
    }
    groups.remove(&Vec::new());
    groups
}

/// The failure of a node with a socket that cannot change anything.
pub(super) fn read_only(known: &NodeReading) -> Option<Outcome> {
    let low = known
        .found
        .iter()
        .find(|one| one.reading.level < Level::Admin && !one.chosen.is_empty())?;
    Some(Outcome::failed(
        ErrorCode::Permission,
        format!(
            "the socket {} is read-only (level {}); a change needs one of level admin",
            low.endpoint, low.reading.level
        ),
    ))
}
