//! Writes a change on a node, reads it back, and waits for what was asked for.
//!
//! What to write was decided from the readings of all nodes; nothing here looks at another node.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::read::{Found, NodeReading};
use super::{Asker, failure};
use crate::event::{ErrorCode, Failure, NodeId, Outcome, Stop};
use crate::haproxy::answer::{self, AnswerError};
use crate::haproxy::change::{Reading, Verdict, Wanted, undo};
use crate::haproxy::command::Command;
use crate::haproxy::state::{AdminWord, OperationalState, Server};
use crate::transport::{BoxFuture, Endpoint, NodeIo, Session};
use crate::work::Work;

/// Between two looks at sessions; longer than a browser's next request usually takes.
const DRAIN_POLL: Duration = Duration::from_secs(1);

/// Between two looks at health.
const HEALTH_POLL: Duration = Duration::from_millis(250);

/// How long a server with `fall 1` must stay up to be believed: it has no state between up and down, so its
/// first `UP` proves nothing. Longer than the usual time between checks, which HAProxy does not tell.
const BELIEVED: Duration = Duration::from_secs(5);

/// What a change waits for, once it is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Nothing.
    Set,
    /// Full health.
    Healthy(Duration),
    /// No session left.
    Idle(Duration, Then),
}

/// What comes after a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The server stays in drain.
    Stay,
    /// Maintenance, once nobody is left.
    Disable,
    /// Maintenance; who is still there when the time is up is cut off.
    Kill,
}

/// One server of a change on one node.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which of the node's HAProxy, by its place in the reading.
    pub instance: usize,
    /// How it was before.
    pub before: Server,
    /// What was sent for it.
    pub sent: Vec<Command>,
    /// How it was when it was last read back; `None` until then.
    pub after: Option<Server>,
    /// What HAProxy said instead of yes.
    pub refused: Option<AnswerError>,
    /// How that stands to what was wanted.
    pub verdict: Option<Verdict>,
    /// When it was written.
    since: Option<Instant>,
}

impl Row {
    /// Whether it is as wanted, and known to be.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.verdict == Some(Verdict::Done)
    }
}

/// A change of the same kind on all nodes.
#[derive(Debug)]
pub struct Change {
    /// What is wanted.
    pub wanted: Wanted,
    /// What to wait for.
    pub goal: Goal,
    /// What was read of each node, by its position.
    pub readings: Vec<Option<NodeReading>>,
    /// Asks.
    pub asker: Asker,
    rows: Vec<Mutex<Vec<Row>>>,
    waiting: Mutex<BTreeMap<NodeId, String>>,
    reloaded: Mutex<Vec<NodeId>>,
}

impl Change {
    /// A change of what the readings chose.
    #[must_use]
    pub fn new(wanted: Wanted, goal: Goal, readings: Vec<Option<NodeReading>>) -> Self {
        let rows = readings
            .iter()
            .map(|known| Mutex::new(rows(known.as_ref())))
            .collect();
        Self {
            wanted,
            goal,
            readings,
            asker: Asker::default(),
            rows,
            waiting: Mutex::default(),
            reloaded: Mutex::default(),
        }
    }

    /// The servers of a node and how far they are.
    #[must_use]
    pub fn rows(&self, node: NodeId) -> Vec<Row> {
        self.locked(node).clone()
    }

    /// What nodes wait for right now.
    #[must_use]
    pub fn waiting(&self) -> BTreeMap<NodeId, String> {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The nodes whose HAProxy was reloaded in the middle, so that the change was made twice.
    #[must_use]
    pub fn reloaded(&self) -> Vec<NodeId> {
        self.reloaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How a row's HAProxy is marked.
    #[must_use]
    pub fn label(&self, node: NodeId, row: &Row) -> Option<&str> {
        self.found(node, row.instance)?.label.as_deref()
    }

    /// A row's HAProxy.
    #[must_use]
    pub fn found(&self, node: NodeId, instance: usize) -> Option<&Found> {
        self.readings
            .get(node.index())?
            .as_ref()?
            .found
            .get(instance)
    }

    fn locked(&self, node: NodeId) -> MutexGuard<'_, Vec<Row>> {
        // A row is changed in single steps, so a panic elsewhere leaves it whole.
        self.rows[node.index()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn say_waiting(&self, node: NodeId, text: Option<String>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match text {
            Some(text) => {
                waiting.insert(node, text);
            }
            None => {
                waiting.remove(&node);
            }
        }
    }

    async fn read(
        &self,
        session: &mut dyn Session,
        endpoint: &Endpoint,
    ) -> Result<Reading, Failure> {
        let answer = self.asker.ask(session, endpoint, &Command::Reading).await?;
        Reading::parse(&answer).map_err(|error| failure(endpoint, &error))
    }

    /// Sends one command for a row; what HAProxy says to it is kept in the row.
    async fn send(
        &self,
        at: At<'_>,
        session: &mut dyn Session,
        row: usize,
        command: Command,
    ) -> Result<(), Failure> {
        {
            let mut rows = self.locked(at.node);
            rows[row].sent.push(command.clone());
            rows[row].since = Some(Instant::now());
            rows[row].after = None;
            rows[row].verdict = None;
        }
        let answer = self.asker.ask(session, at.endpoint, &command).await?;
        self.locked(at.node)[row].refused = answer::accepted(&answer).err();
        Ok(())
    }

    /// Makes the rows of one HAProxy as wanted. Ends when they are, or when nothing more can come of waiting.
    async fn make(
        &self,
        at: At<'_>,
        session: &mut dyn Session,
        wanted: Wanted,
        goal: Goal,
    ) -> Result<(), Failure> {
        let places = self.places(at);
        let mut seen = None;
        let mut pid = at.found.reading.info.pid;
        let mut may_repeat = true;
        let mut idle_looks = 0;
        let begun = Instant::now();
        let mut stop = at.stop.clone();
        loop {
            for row in &places {
                let server = {
                    let rows = self.locked(at.node);
                    let row = &rows[*row];
                    let now = seen
                        .as_ref()
                        .and_then(|seen: &Reading| seen.server(&row.before.name));
                    now.or(row.after.as_ref()).unwrap_or(&row.before).clone()
                };
                if !wanted.is_set(&server) {
                    self.send(at, session, *row, wanted.command(&server.name))
                        .await?;
                }
            }
            // Looks until there is nothing left to wait for, or a new worker has forgotten it all.
            loop {
                let reading = self.read(session, at.endpoint).await?;
                let lost = places.iter().any(|row| {
                    let rows = self.locked(at.node);
                    reading
                        .server(&rows[*row].before.name)
                        .is_none_or(|server| !wanted.is_set(server))
                });
                if lost && reading.info.pid != pid && may_repeat {
                    may_repeat = false;
                    pid = reading.info.pid;
                    self.reloaded
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(at.node);
                    seen = Some(reading);
                    break;
                }
                self.judge(at, &places, wanted, &reading);
                let (over, every) = match goal {
                    Goal::Set => (true, HEALTH_POLL),
                    Goal::Healthy(limit) => {
                        let settling = self.settling(at, &places);
                        self.say_waiting(at.node, settling.clone());
                        (settling.is_none() || begun.elapsed() >= limit, HEALTH_POLL)
                    }
                    Goal::Idle(limit, _) => {
                        let busy = busy(&reading, &self.locked(at.node), &places);
                        idle_looks = if busy.is_none() { idle_looks + 1 } else { 0 };
                        self.say_waiting(at.node, busy.clone());
                        let failed = places
                            .iter()
                            .any(|row| !self.locked(at.node)[*row].is_done());
                        // A client with a cookie may come back between two requests: look twice.
                        if idle_looks >= 2 || failed {
                            (true, DRAIN_POLL)
                        } else if begun.elapsed() >= limit {
                            self.say_waiting(at.node, None);
                            return Err(Failure::new(
                                ErrorCode::Wait,
                                format!(
                                    "{} after {}; left in DRAIN",
                                    busy.unwrap_or_else(|| "not idle long enough".to_owned()),
                                    humantime::format_duration(limit)
                                ),
                            ));
                        } else {
                            (false, DRAIN_POLL)
                        }
                    }
                };
                if over {
                    self.say_waiting(at.node, None);
                    return Ok(());
                }
                if stopped(&mut stop, every).await {
                    self.say_waiting(at.node, None);
                    return Err(Failure::new(
                        ErrorCode::Stopped,
                        "stopped while waiting; the change itself was made and read back",
                    ));
                }
            }
        }
    }

    /// The rows of one HAProxy.
    fn places(&self, at: At<'_>) -> Vec<usize> {
        let rows = self.locked(at.node);
        (0..rows.len())
            .filter(|row| rows[*row].instance == at.instance)
            .collect()
    }

    /// Judges what was read back.
    fn judge(&self, at: At<'_>, places: &[usize], wanted: Wanted, reading: &Reading) {
        let mut rows = self.locked(at.node);
        for place in places {
            let row = &mut rows[*place];
            let Some(server) = reading.server(&row.before.name) else {
                row.verdict = Some(Verdict::Wrong(
                    "it is gone from the configuration".to_owned(),
                ));
                continue;
            };
            let counters = reading.counters(&row.before.name);
            let mut verdict = wanted.judge(server, counters);
            // It was down or in maintenance, so that HAProxy only supposes it to be up.
            let supposed = row.before.operational != OperationalState::Running;
            if verdict == Verdict::Done
                && wanted == Wanted::State(AdminWord::Ready)
                && supposed
                && counters.is_some_and(crate::haproxy::stat::Counters::is_quick_to_judge)
                && row.since.is_some_and(|since| since.elapsed() < BELIEVED)
            {
                verdict = Verdict::Settling("UP, not checked long enough".to_owned());
            }
            row.after = Some(server.clone());
            row.verdict = Some(verdict);
        }
    }

    /// The rows whose health is not proven yet, in words.
    fn settling(&self, at: At<'_>, places: &[usize]) -> Option<String> {
        let rows = self.locked(at.node);
        let names: Vec<String> = places
            .iter()
            .filter_map(|place| match &rows[*place].verdict {
                Some(Verdict::Settling(status)) => {
                    Some(format!("{} is {status}", rows[*place].before.name))
                }
                _ => None,
            })
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// A whole HAProxy: the change, the wait, and what comes after a drain.
    async fn instance(&self, at: At<'_>, session: &mut dyn Session) -> Result<(), Failure> {
        let then = match self.goal {
            Goal::Idle(_, then) => then,
            Goal::Set | Goal::Healthy(_) => Then::Stay,
        };
        let drained = self.make(at, session, self.wanted, self.goal).await;
        match (then, drained) {
            (Then::Stay, drained) => drained,
            (Then::Kill, Err(failure)) if failure.code == ErrorCode::Wait => {
                for row in self.places(at) {
                    let name = self.locked(at.node)[row].before.name.clone();
                    self.send(at, session, row, Command::ShutdownSessions(name))
                        .await?;
                }
                self.make(at, session, Wanted::State(AdminWord::Maint), Goal::Set)
                    .await
            }
            (Then::Disable | Then::Kill, Ok(()))
                if self
                    .locked(at.node)
                    .iter()
                    .all(|row| row.instance != at.instance || row.is_done()) =>
            {
                self.make(at, session, Wanted::State(AdminWord::Maint), Goal::Set)
                    .await
            }
            (Then::Disable | Then::Kill, drained) => drained,
        }
    }

    async fn serve_node(
        &self,
        node: NodeId,
        session: &mut dyn Session,
        stop: &watch::Receiver<Stop>,
    ) -> Outcome {
        let found = self.readings.get(node.index()).and_then(Option::as_ref);
        for (instance, found) in found.iter().flat_map(|known| &known.found).enumerate() {
            if found.chosen.is_empty() {
                continue;
            }
            let at = At {
                node,
                instance,
                found,
                endpoint: &found.endpoint,
                stop,
            };
            if let Err(failure) = self.instance(at, session).await {
                return Outcome::Failed(failure);
            }
        }
        self.verdict(node)
    }

    /// What all rows of a node come to.
    fn verdict(&self, node: NodeId) -> Outcome {
        let rows = self.locked(node);
        let list = |texts: Vec<String>| texts.join(", ");
        let refused: Vec<String> = rows
            .iter()
            .filter(|row| !row.is_done())
            .filter_map(|row| Some(format!("{}: {}", row.before.name, row.refused.as_ref()?)))
            .collect();
        if !refused.is_empty() {
            let denied = rows
                .iter()
                .any(|row| row.refused == Some(AnswerError::Permission));
            let code = if denied {
                ErrorCode::Permission
            } else {
                ErrorCode::Haproxy
            };
            return Outcome::failed(code, list(refused));
        }
        let wrong: Vec<String> = rows
            .iter()
            .filter_map(|row| match &row.verdict {
                Some(Verdict::Wrong(what)) => Some(format!("{} is {what}", row.before.name)),
                _ => None,
            })
            .collect();
        if !wrong.is_empty() {
            return Outcome::failed(
                ErrorCode::Verify,
                format!(
                    "HAProxy accepted the change, but it is not so: {}",
                    list(wrong)
                ),
            );
        }
        let settling: Vec<String> = rows
            .iter()
            .filter_map(|row| match (&row.verdict, self.goal) {
                (Some(Verdict::Settling(status)), Goal::Healthy(_)) => {
                    Some(format!("{} is {status}", row.before.name))
                }
                _ => None,
            })
            .collect();
        match self.goal {
            Goal::Healthy(limit) if !settling.is_empty() => Outcome::failed(
                ErrorCode::Wait,
                format!(
                    "READY, but no full health after {}: {}",
                    humantime::format_duration(limit),
                    list(settling)
                ),
            ),
            Goal::Set | Goal::Healthy(_) | Goal::Idle(..) => Outcome::OK,
        }
    }
}

/// One HAProxy at work.
#[derive(Clone, Copy)]
struct At<'a> {
    node: NodeId,
    instance: usize,
    found: &'a Found,
    endpoint: &'a Endpoint,
    stop: &'a watch::Receiver<Stop>,
}

/// The rows that a reading chose.
fn rows(known: Option<&NodeReading>) -> Vec<Row> {
    let found = known
        .into_iter()
        .flat_map(|known| known.found.iter().enumerate());
    found
        .flat_map(|(instance, found)| {
            found.chosen.iter().map(move |place| Row {
                instance,
                before: found.reading.servers[*place].clone(),
                sent: Vec::new(),
                after: None,
                refused: None,
                verdict: None,
                since: None,
            })
        })
        .collect()
}

/// The sessions left on the rows, in words.
fn busy(reading: &Reading, rows: &[Row], places: &[usize]) -> Option<String> {
    let left: Vec<String> = places
        .iter()
        .filter_map(|place| reading.counters(&rows[*place].before.name))
        .filter(|counters| !counters.is_idle())
        .map(|counters| match (counters.sessions, counters.queued) {
            (sessions, 0) => format!("{} has {sessions} sessions", counters.name),
            (sessions, queued) => format!(
                "{} has {sessions} sessions and {queued} queued",
                counters.name
            ),
        })
        .collect();
    (!left.is_empty()).then(|| left.join(", "))
}

/// Waits a moment; whether a stop was asked for meanwhile. The change is made, so that even `Drain` ends the wait.
async fn stopped(stop: &mut watch::Receiver<Stop>, moment: Duration) -> bool {
    tokio::select! {
        biased;
        Ok(_) = stop.wait_for(|level| *level > Stop::No) => true,
        () = tokio::time::sleep(moment) => false,
    }
}

impl Work for Change {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let stop = io.stop.clone();
            self.serve_node(node, session, &stop).await
        })
    }
}

/// Gives servers back what they had before a change.
#[derive(Debug)]
pub struct Undo<'a> {
    /// The change.
    pub change: &'a Change,
}

impl Undo<'_> {
    async fn restore(&self, node: NodeId, session: &mut dyn Session) -> Result<(), Failure> {
        let mut wrong = Vec::new();
        for row in self
            .change
            .rows(node)
            .iter()
            .filter(|row| !row.sent.is_empty())
        {
            let (name, Some(found)) = (&row.before.name, self.change.found(node, row.instance))
            else {
                continue;
            };
            let command = undo(self.change.wanted, &row.before);
            let answer = self
                .change
                .asker
                .ask(session, &found.endpoint, &command)
                .await?;
            if let Err(error) = answer::accepted(&answer) {
                wrong.push(format!("{name}: {error}"));
            }
            let reading = self.change.read(session, &found.endpoint).await?;
            let back = reading.server(name).is_some_and(|server| {
                server.admin.forced() == row.before.admin.forced()
                    && server.weight == row.before.weight
            });
            if !back {
                wrong.push(format!("{name} is not as it was"));
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(Failure::new(ErrorCode::Verify, wrong.join(", ")))
        }
    }
}

impl Work for Undo<'_> {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        _io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match self.restore(node, session).await {
                Ok(()) => Outcome::OK,
                Err(failure) => Outcome::Failed(failure),
            }
        })
    }
}
