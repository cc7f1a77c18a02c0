//! `status`: the states of the servers.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Asker, Place, Sockets, failure, unless_stopped};
use crate::answer::{Answer, Form, ServerRow, Servers};
use crate::event::{ErrorCode, Failure, NodeId, Outcome};
use crate::haproxy::answer::{self, AnswerError, Info};
use crate::haproxy::command::Command;
use crate::haproxy::name::by_number;
use crate::haproxy::reading::Reading;
use crate::haproxy::select::{Selector, select};
use crate::haproxy::stat::{self, Counters};
use crate::haproxy::state::{AdminWord, Server};
use crate::haproxy::usable::{StateWord, unpublish};
use crate::plan::NodeName;
use crate::transport::{BoxFuture, NodeIo, Session};
use crate::work::Work;

/// The exit status of a node with a server that has something amiss.
const NOT_WELL: u8 = 2;

/// Which of the servers that are meant are shown, and how. All of them are judged.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Only those with something amiss.
    pub only_bad: bool,
    /// Only those in one of these states; none is all.
    pub states: Vec<StateWord>,
    /// In another order than HAProxy's.
    pub sort: Option<Sort>,
    /// How they look.
    pub form: Form,
}

/// An order of servers, those of one instance after those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// By backend and server, numbers by their value.
    Name,
    /// What is out first: maintenance, then down, drain, and what takes clients last.
    State,
    /// The heaviest first.
    Weight,
    /// Those with most sessions first.
    Sessions,
}

impl Shown {
    fn has(&self, server: &Server) -> bool {
        let is_bad = !self.only_bad || server.fault().is_some();
        let mut states = self.states.iter();
        is_bad && (self.states.is_empty() || states.any(|state| state.holds(server)))
    }

    /// Whether counters are needed for it.
    fn counts(&self) -> bool {
        self.form == Form::Long || self.sort == Some(Sort::Sessions)
    }

    /// Sorts the rows of one instance. Those that are equal in it stay in HAProxy's order.
    fn order(&self, rows: &mut [ServerRow]) {
        match self.sort {
            None => {}
            Some(Sort::Name) => rows.sort_by(|one, other| {
                let (one, other) = (&one.server.name, &other.server.name);
                by_number(one.backend(), other.backend())
                    .then_with(|| by_number(one.server(), other.server()))
            }),
            Some(Sort::State) => rows.sort_by_key(|row| rank(&row.server)),
            Some(Sort::Weight) => rows.sort_by_key(|row| Reverse(row.server.weight)),
            Some(Sort::Sessions) => rows.sort_by_key(|row| {
                Reverse(row.counters.as_ref().map(|counters| counters.sessions))
            }),
        }
    }
}

/// How far a server is in service, the least first.
fn rank(server: &Server) -> u8 {
    match (server.admin.word(), server.fault()) {
        (AdminWord::Maint, _) => 0,
        _ if !server.operational.takes_work() => 1,
        (AdminWord::Drain, _) => 2,
        (_, Some(fault)) if !fault.is_usable() => 3,
        (_, Some(_)) => 4,
        (_, None) => 5,
    }
}

/// Shows servers and judges them.
#[derive(Debug)]
pub struct Status {
    /// The names of the nodes.
    pub names: Arc<[NodeName]>,
    /// Where the sockets are.
    pub sockets: Sockets,
    /// Which servers are meant; none is all.
    pub selectors: Vec<Selector>,
    /// Which of them are shown, and how.
    pub shown: Shown,
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
            shown: Shown::default(),
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
    ) -> Result<(Servers, bool), Failure> {
        let mut servers = Servers {
            form: self.shown.form,
            ..Servers::default()
        };
        let mut well = true;
        let mut unmatched: Vec<usize> = (0..self.selectors.len()).collect();
        for place in self.sockets.on(&self.names[node.index()])? {
            servers.asked.push(place.label.map(Arc::from));
            let (fine, missing) = self.instance(session, place, &mut servers.rows).await?;
            well &= fine;
            unmatched.retain(|selector| missing.contains(selector));
        }
        if !unmatched.is_empty() && !self.may_miss {
            return Err(no_match(&self.selectors, &unmatched));
        }
        if unmatched.len() < self.selectors.len() || self.selectors.is_empty() {
            self.matched.store(true, Ordering::Relaxed);
        }
        Ok((servers, well))
    }

    async fn instance(
        &self,
        session: &mut dyn Session,
        place: Place<'_>,
        rows: &mut Vec<ServerRow>,
    ) -> Result<(bool, Vec<usize>), Failure> {
        let command = if self.shown.counts() {
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
        let first = rows.len();
        for server in selection.chosen.iter().map(|at| &own[*at]) {
            if self.ignore_unresolved && server.admin.is_unresolved() {
                continue;
            }
            well &= server.fault().is_none();
            if !self.shown.has(server) {
                continue;
            }
            rows.push(ServerRow {
                instance: instance.clone(),
                server: server.clone(),
                counters: counters.remove(&server.name),
            });
        }
        self.shown.order(&mut rows[first..]);
        Ok((well, selection.unmatched))
    }

    fn parse(&self, answer: &[u8]) -> Result<(Info, Vec<Server>, Vec<Counters>), AnswerError> {
        if self.shown.counts() {
            let reading = Reading::parse(answer)?;
            return Ok((reading.info, reading.servers, reading.counters));
        }
        let [info, servers, backends] = answer::parts(answer)?;
        let info = answer::info(info)?;
        let mut servers = answer::servers(servers)?;
        unpublish(&mut servers, &stat::read(backends)?.unpublished);
        Ok((info, servers, Vec::new()))
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
                Ok((servers, well)) => {
                    // Where only some are asked for, there may be nothing to say.
                    let may_be_none =
                        self.may_miss || self.shown.only_bad || !self.shown.states.is_empty();
                    if !servers.rows.is_empty() || !may_be_none {
                        io.answer(Answer::Servers(servers)).await;
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
