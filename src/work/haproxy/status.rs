//! `status`: the states of the servers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Asker, Place, Sockets, failure, unless_stopped};
use crate::answer::{Answer, ServerRow, Servers};
use crate::event::{ErrorCode, Failure, NodeId, Outcome};
use crate::haproxy::answer::{self, AnswerError, Info};
use crate::haproxy::command::Command;
use crate::haproxy::reading::Reading;
use crate::haproxy::select::{Selector, select};
use crate::haproxy::stat::Counters;
use crate::haproxy::state::Server;
use crate::plan::NodeName;
use crate::transport::{BoxFuture, NodeIo, Session};
use crate::work::Work;

/// The exit status of a node with a server that is not `RUNNING/READY`.
const NOT_WELL: u8 = 2;

/// Shows servers and judges them.
#[derive(Debug)]
pub struct Status {
    /// The names of the nodes.
    pub names: Arc<[NodeName]>,
    /// Where the sockets are.
    pub sockets: Sockets,
    /// Which servers are meant; none is all.
    pub selectors: Vec<Selector>,
    /// Only those that are not `RUNNING/READY`.
    pub only_bad: bool,
    /// With reason, weight, sessions and check.
    pub long: bool,
    /// Without those that only have no address.
    pub ignore_unresolved: bool,
    /// A node that has none of the servers meant is no error: it has nothing to show.
    pub may_miss: bool,
    /// Asks.
    pub asker: Asker,
    /// Whether some HAProxy runs in several processes, of which one answers.
    pub several_processes: AtomicBool,
    /// Whether some node had a server that was meant.
    pub matched: AtomicBool,
}

impl Status {
    /// A plain `status` of some servers.
    #[must_use]
    pub fn new(names: Arc<[NodeName]>, sockets: Sockets, selectors: Vec<Selector>) -> Self {
        Self {
            names,
            sockets,
            selectors,
            only_bad: false,
            long: false,
            ignore_unresolved: false,
            may_miss: false,
            asker: Asker::default(),
            several_processes: AtomicBool::new(false),
            matched: AtomicBool::new(false),
        }
    }

    /// The servers of a node to be shown, and whether all that are meant are well.
    async fn look(
        &self,
        node: NodeId,
        session: &mut dyn Session,
    ) -> Result<(Vec<ServerRow>, bool), Failure> {
        let mut rows = Vec::new();
        let mut well = true;
        let mut unmatched: Vec<usize> = (0..self.selectors.len()).collect();
        for place in self.sockets.on(&self.names[node.index()])? {
            let (fine, missing) = self.instance(session, place, &mut rows).await?;
            well &= fine;
            unmatched.retain(|selector| missing.contains(selector));
        }
        if !unmatched.is_empty() && !self.may_miss {
            return Err(no_match(&self.selectors, &unmatched));
        }
        if unmatched.len() < self.selectors.len() || self.selectors.is_empty() {
            self.matched.store(true, Ordering::Relaxed);
        }
        Ok((rows, well))
    }

    async fn instance(
        &self,
        session: &mut dyn Session,
        place: Place<'_>,
        rows: &mut Vec<ServerRow>,
    ) -> Result<(bool, Vec<usize>), Failure> {
        let command = if self.long {
            Command::Reading
        } else {
            Command::Overview
        };
        let (endpoint, answer) = self
            .asker
            .ask_first(session, place.endpoints, &command)
            .await?;
        let (info, servers, counters) = self
            .parse(&answer)
            .map_err(|error| failure(endpoint, &error))?;
        if info.processes > 1 {
            self.several_processes.store(true, Ordering::Relaxed);
        }
        let wrong = |error| Failure::new(ErrorCode::Select, format!("{endpoint}: {error}"));
        let within = select(place.backends, &servers).map_err(wrong)?;
        let own: Vec<Server> = within
            .chosen
            .iter()
            .map(|at| servers[*at].clone())
            .collect();
        let selection = select(&self.selectors, &own).map_err(wrong)?;
        let instance: Option<Arc<str>> = place.label.map(Arc::from);
        let mut counters: HashMap<_, _> = counters
            .into_iter()
            .map(|row| (row.name.clone(), row))
            .collect();
        let mut well = true;
        for server in selection.chosen.iter().map(|at| &own[*at]) {
            if self.ignore_unresolved && server.admin.is_unresolved() {
                continue;
            }
            well &= server.is_well();
            if self.only_bad && server.is_well() {
                continue;
            }
            rows.push(ServerRow {
                instance: instance.clone(),
                server: server.clone(),
                counters: counters.remove(&server.name),
            });
        }
        Ok((well, selection.unmatched))
    }

    fn parse(&self, answer: &[u8]) -> Result<(Info, Vec<Server>, Vec<Counters>), AnswerError> {
        if self.long {
            let reading = Reading::parse(answer)?;
            return Ok((reading.info, reading.servers, reading.counters));
        }
        let [info, servers] = answer::parts(answer)?;
        Ok((answer::info(info)?, answer::servers(servers)?, Vec::new()))
    }
}

/// The failure of a node that does not have what was asked for.
pub(crate) fn no_match(selectors: &[Selector], unmatched: &[usize]) -> Failure {
    let names: Vec<String> = unmatched
        .iter()
        .filter_map(|at| selectors.get(*at))
        .map(|selector| format!("`{}`", selector.as_str()))
        .collect();
    Failure::new(
        ErrorCode::Select,
        format!("no server here matches {}", names.join(", ")),
    )
}

impl Work for Status {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match unless_stopped(&mut io.stop, self.look(node, session)).await {
                Ok((rows, well)) => {
                    // Where only what is amiss is asked for, there may be nothing to say.
                    if !rows.is_empty() || !(self.only_bad || self.may_miss) {
                        let long = self.long;
                        io.answer(Answer::Servers(Servers { rows, long })).await;
                    }
                    Outcome::Exited {
                        status: if well { 0 } else { NOT_WELL },
                    }
                }
                Err(failure) => Outcome::Failed(failure),
            }
        })
    }
}
