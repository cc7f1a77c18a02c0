//! Gives the servers of a node back what they had before a change.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{At, Change, Row, list};
use crate::event::{ErrorCode, Failure, NodeId, Outcome, Stop};
use crate::haproxy::command::Command;
use crate::transport::{BoxFuture, NodeIo, Session};
use crate::work::Work;

/// Between two tries. Longer than HAProxy needs for what waited in it while it stood still.
const PAUSE: Duration = Duration::from_millis(500);

/// Gives servers back what they had before a change.
#[derive(Debug)]
pub struct Restore<'a> {
    /// The change.
    pub change: &'a Change,
    /// Until when it is tried again.
    pub until: Instant,
}

impl Restore<'_> {
    /// Restores one HAProxy: one reading for all rows, whatever is not back is written, and it is read again.
    async fn instance(&self, at: At<'_>, session: &mut dyn Session) -> Result<(), Failure> {
        let mut good_looks = 0;
        loop {
            let round = self.round(at, session).await;
            // What was not answered in time may wait in HAProxy and win over what is written now: look twice.
            let needed = if self.change.locked(at.node).is_unanswered {
                2
            } else {
                1
            };
            let left = match round {
                Ok(left) => left,
                Err(failure) if Instant::now() >= self.until => return Err(failure),
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            good_looks = if left.is_empty() { good_looks + 1 } else { 0 };
            if good_looks >= needed {
                return Ok(());
            }
            if Instant::now() >= self.until || self.is_hopeless(at) {
                return Err(Failure::new(ErrorCode::Verify, list(&left)));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether nothing that is not back may be written.
    fn is_hopeless(&self, at: At<'_>) -> bool {
        let may_be_written = |row: &&mut Row| row.restored == Some(false) && is_ours(row);
        let is_unanswered = self.change.locked(at.node).is_unanswered;
        !is_unanswered
            && !self
                .change
                .with_rows(at, |rows| rows.iter().any(may_be_written))
    }

    /// Reads, writes what is not back, and reads again. What is not back then.
    async fn round(&self, at: At<'_>, session: &mut dyn Session) -> Result<Vec<String>, Failure> {
        let orders = self.look(at, session).await?;
        if !orders.is_empty() {
            for order in &orders {
                self.change.ask(at, session, order).await?;
            }
            self.look(at, session).await?;
        }
        let left = |row: &&mut Row| (row.restored == Some(false)).then(|| left(row));
        Ok(self
            .change
            .with_rows(at, |rows| rows.iter().filter_map(left).collect()))
    }

    /// Looks what has what it had before. What to write for the rest.
    async fn look(&self, at: At<'_>, session: &mut dyn Session) -> Result<Vec<Command>, Failure> {
        let reading = self.change.look(at, session).await?;
        self.change.keep(at, &reading);
        Ok(self.change.with_rows(at, |rows| {
            let touched = rows.iter_mut().filter(|row| row.is_touched());
            touched.filter_map(|row| order(row)).collect()
        }))
    }

    async fn node(
        &self,
        node: NodeId,
        session: &mut dyn Session,
        stop: &watch::Receiver<Stop>,
    ) -> Result<(), Failure> {
        for at in self.change.instances(node, stop) {
            self.instance(at, session).await?;
        }
        Ok(())
    }
}

/// What is to be written for a row by how it is now.
fn order(row: &mut Row) -> Option<Command> {
    let back = row.wanted.back(&row.before);
    let is_back = row.after.as_ref().is_some_and(|now| back.is_set(now));
    row.restored = Some(is_back);
    (!is_back && is_ours(row)).then(|| back.command(&row.before.name))
}

/// Whether it is this change that made a server as it is, and nobody since.
fn is_ours(row: &Row) -> bool {
    let Some(now) = &row.after else { return false };
    let made = |command: &Command| command.sets().is_some_and(|wanted| wanted.is_set(now));
    row.sent.iter().any(made)
}

/// How a row is that does not have what it had, in words.
fn left(row: &Row) -> String {
    let name = &row.before.name;
    match &row.after {
        Some(now) if is_ours(row) => format!("{name} is {}", row.wanted.shown(now)),
        Some(now) => format!(
            "{name} is {}, which another operator set meanwhile, and is left so",
            row.wanted.shown(now)
        ),
        None => format!("{name} is gone"),
    }
}

impl Work for Restore<'_> {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let stop = io.stop.clone();
            match self.node(node, session, &stop).await {
                Ok(()) => Outcome::OK,
                Err(failure) => Outcome::Failed(failure),
            }
        })
    }
}
