//! Writes the rows of a node, reads them back, and waits.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::wait::{DRAIN_POLL, HEALTH_POLL, stopped};
use super::{At, Change, End, Goal, Lost, Row, Then};
use crate::event::{ErrorCode, Failure, NodeId, Outcome, Stop};
use crate::haproxy::answer;
use crate::haproxy::change::Wanted;
use crate::haproxy::command::Command;
use crate::haproxy::reading::Reading;
use crate::haproxy::state::{AdminWord, Server};
use crate::transport::{BoxFuture, NodeIo, Session};
use crate::work::Work;
use crate::work::haproxy::look::look;

/// A change is made again after so many reloads at most: HAProxy that is reloaded without end is left alone.
const RELOADS: usize = 5;

/// What a look leads to.
enum Next {
    Again(Duration),
    Over(End),
}

impl Change {
    pub(super) async fn ask(
        &self,
        at: At<'_>,
        session: &mut dyn Session,
        command: &Command,
    ) -> Result<bytes::Bytes, Failure> {
        let answer = self.asker.ask(session, at.endpoint, command).await;
        self.note_silence(at, answer.as_ref().err());
        answer
    }

    pub(super) async fn look(
        &self,
        at: At<'_>,
        session: &mut dyn Session,
    ) -> Result<Reading, Failure> {
        let reading = look(&self.asker, session, at.endpoint).await;
        self.note_silence(at, reading.as_ref().err());
        reading
    }

    /// An order that was not answered in time may still be waiting in HAProxy.
    fn note_silence(&self, at: At<'_>, failure: Option<&Failure>) {
        if failure.is_some_and(|failure| failure.code == ErrorCode::TimeoutCommand) {
            self.locked(at.node).is_unanswered = true;
        }
    }

    /// Sends one command for a row; what HAProxy says to it is kept in the row.
    async fn send(
        &self,
        at: At<'_>,
        session: &mut dyn Session,
        (row, command): (usize, Command),
    ) -> Result<(), Failure> {
        {
            let row = &mut self.locked(at.node).rows[row];
            row.sent.push(command.clone());
            row.since = Some(Instant::now());
            row.after = None;
            row.verdict = None;
        }
        let answer = self.ask(at, session, &command).await?;
        let refused = answer::accepted(&answer).err();
        let row = &mut self.locked(at.node).rows[row];
        row.refused = refused.or(row.refused.take());
        Ok(())
    }

    /// Writes what is not as it is to be by now, as far as was seen.
    async fn write(
        &self,
        at: At<'_>,
        session: &mut dyn Session,
        seen: Option<&Reading>,
    ) -> Result<(), Failure> {
        let orders: Vec<(usize, Command)> = {
            let mut progress = self.locked(at.node);
            let rows = progress.rows.iter_mut().enumerate();
            let rows = rows.filter(|(_, row)| row.instance == at.instance);
            rows.flat_map(|(place, row)| {
                row.refused = None;
                let orders = orders(row, seen, self.goal);
                orders.into_iter().map(move |order| (place, order))
            })
            .collect()
        };
        for order in orders {
            self.send(at, session, order).await?;
        }
        Ok(())
    }

    /// Makes the rows of one HAProxy as they are to be by now. Ends when they are, or when nothing more can come of
    /// waiting.
    async fn make(
        &self,
        at: At<'_>,
        session: &mut dyn Session,
        goal: Goal,
    ) -> Result<End, Failure> {
        let mut seen = None;
        let mut reloads = 0;
        let mut idle_looks = 0;
        let mut stop = at.stop.clone();
        loop {
            self.write(at, session, seen.as_ref()).await?;
            // Looks until there is nothing left to wait for, or a new worker has forgotten it all.
            loop {
                let reading = self.look(at, session).await?;
                let is_reloaded = self.is_reloaded(at, &reading);
                self.judge(at, &reading, is_reloaded);
                if is_reloaded && !self.is_made(at) && reloads < RELOADS {
                    reloads += 1;
                    self.locked(at.node).is_remade = true;
                    seen = Some(reading);
                    break;
                }
                match self
                    .next(at, session, (goal, &reading), &mut idle_looks)
                    .await
                {
                    Next::Over(end) => return Ok(end),
                    Next::Again(pause) if stopped(&mut stop, pause).await => {
                        let left = self.locked(at.node).waiting.take();
                        return Ok(End::Stopped(left.unwrap_or_default()));
                    }
                    Next::Again(_) => {}
                }
            }
        }
    }

    /// Whether there is something to wait for still.
    async fn next(
        &self,
        at: At<'_>,
        session: &mut dyn Session,
        (goal, reading): (Goal, &Reading),
        idle_looks: &mut usize,
    ) -> Next {
        let (left, limit, pause) = match goal {
            Goal::Set => return Next::Over(End::Complete),
            Goal::Healthy(limit) => (self.settling(at), limit, HEALTH_POLL),
            Goal::Idle(limit, _) => {
                if !self.is_made(at) {
                    self.say_waiting(at, None);
                    return Next::Over(End::Complete);
                }
                let busy = self.busy(at, session, reading).await;
                *idle_looks = if busy.is_none() { *idle_looks + 1 } else { 0 };
                // A client with a cookie may come back between two requests: look twice.
                let again = || "not idle long enough".to_owned();
                let left = busy.or_else(|| (*idle_looks < 2).then(again));
                (left, limit, DRAIN_POLL)
            }
        };
        let is_over = self
            .locked(at.node)
            .begun
            .is_none_or(|begun| begun.elapsed() >= limit);
        self.say_waiting(at, left.clone().filter(|_| !is_over));
        match left {
            None => Next::Over(End::Complete),
            Some(left) if is_over => Next::Over(End::WaitOver(left)),
            Some(_) => Next::Again(pause),
        }
    }

    /// Whether all rows of one HAProxy were told what they are to be, as far as was read.
    pub(super) fn is_made(&self, at: At<'_>) -> bool {
        self.with_rows(at, |rows| {
            let is_made = |row: &&mut Row| {
                let set = |server: &Server| row.stage.is_set(server);
                row.after.as_ref().is_some_and(set)
            };
            rows.iter().all(is_made)
        })
    }

    fn set_stage(&self, at: At<'_>, stage: impl Fn(&Row) -> Wanted) {
        self.with_rows(at, |rows| {
            for row in rows {
                row.stage = stage(row);
            }
        });
    }

    /// A whole HAProxy: the change, the wait, and what comes after a drain.
    async fn instance(&self, at: At<'_>, session: &mut dyn Session) -> Result<End, Failure> {
        self.set_stage(at, |row| row.wanted);
        let end = self.make(at, session, self.goal).await?;
        let then = self.goal.then();
        let is_over = matches!(end, End::WaitOver(_)) && then == Then::Kill;
        let is_idle = end == End::Complete && then != Then::Stay && self.is_made(at);
        if is_over {
            self.cut(at, session).await?;
        } else if !is_idle {
            return Ok(end);
        }
        self.set_stage(at, |_| Wanted::State(AdminWord::Maint));
        self.make(at, session, Goal::Set).await
    }

    /// Cuts the sessions that are left on the rows.
    async fn cut(&self, at: At<'_>, session: &mut dyn Session) -> Result<(), Failure> {
        let places: Vec<(usize, Command)> = {
            let progress = self.locked(at.node);
            let rows = progress.rows.iter().enumerate();
            rows.filter(|(_, row)| row.instance == at.instance)
                .map(|(place, row)| (place, Command::ShutdownSessions(row.before.name.clone())))
                .collect()
        };
        for place in places {
            self.send(at, session, place).await?;
        }
        if let Some(master) = &at.found.master {
            let pid = self.locked(at.node).processes[at.instance].pid;
            let names = self.names(at);
            master.cut(&self.asker, session, (pid, &names)).await?;
        }
        Ok(())
    }

    async fn serve_node(
        &self,
        node: NodeId,
        session: &mut dyn Session,
        stop: &watch::Receiver<Stop>,
    ) -> End {
        {
            let mut progress = self.locked(node);
            progress.begun.get_or_insert_with(Instant::now);
            progress.end = None;
            progress.lost = Lost::No;
        }
        for at in self.instances(node, stop) {
            match self.instance(at, session).await {
                Ok(End::Complete) => {}
                Ok(end) => return end,
                Err(failure) => return End::Failed(failure),
            }
        }
        End::Complete
    }
}

/// What is to be sent for a row: it is as it was seen last, or as it was before.
fn orders(row: &Row, seen: Option<&Reading>, goal: Goal) -> Vec<Command> {
    let now = seen.and_then(|seen| seen.server(&row.before.name));
    let now = now.or(row.after.as_ref()).unwrap_or(&row.before);
    let mut orders = Vec::new();
    if !row.stage.is_set(now) {
        orders.push(row.stage.command(&row.before.name));
    }
    // Without its check nothing proves its health.
    let is_enabled = row.stage == Wanted::State(AdminWord::Ready);
    if is_enabled && matches!(goal, Goal::Healthy(_)) && now.check.is_off() {
        orders.push(Command::EnableHealth(row.before.name.clone()));
    }
    orders
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
            let end = self.serve_node(node, session, &stop).await;
            {
                let mut progress = self.locked(node);
                progress.waiting = None;
                progress.end = Some(end);
            }
            self.outcome(node)
        })
    }
}
