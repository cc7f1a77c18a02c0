//! The look at the end: before a change is reported, every node of it is read once more.

use std::time::Duration;

use tokio::sync::watch;

use super::{At, Change, End, Goal, Lost, Row, Then};
use crate::event::{ErrorCode, Failure, NodeId, Outcome, Stop};
use crate::haproxy::change::Verdict;
use crate::haproxy::reading::Reading;
use crate::transport::{BoxFuture, NodeIo, Session};
use crate::work::Work;

/// Between two looks while a reload is under way.
const AGAIN: Duration = Duration::from_millis(200);

/// How often it is looked again.
const TIMES: usize = 25;

/// Longer than HAProxy needs for what waited in it while it stood still.
const QUEUED: Duration = Duration::from_millis(500);

/// So often the work of a node is done again.
const REPEATS: usize = 5;

/// Reads what became of a change.
#[derive(Debug)]
pub struct Sweep<'a> {
    /// The change.
    pub change: &'a Change,
}

impl Change {
    /// Whether the look at the end found on a node what makes it worth while to do the work again: a new worker has
    /// forgotten it, or somebody uses again what was idle. Each reload counts once.
    #[must_use]
    pub fn is_worth_repeating(&self, node: NodeId) -> bool {
        let mut progress = self.locked(node);
        let is_worth = progress.lost > Lost::No && progress.repeats < REPEATS;
        if is_worth {
            progress.repeats += 1;
            progress.is_remade |= progress.lost == Lost::Reloaded;
        }
        is_worth
    }

    /// The look at the end failed on a node, or did not.
    pub fn set_unread(&self, node: NodeId, failure: Option<Failure>) -> Outcome {
        self.locked(node).unread = failure.clone();
        failure.map_or(Outcome::OK, Outcome::Failed)
    }
}

impl Sweep<'_> {
    async fn read(
        &self,
        node: NodeId,
        session: &mut dyn Session,
        stop: &watch::Receiver<Stop>,
    ) -> Result<(), Failure> {
        let mut lost = Lost::No;
        for at in self.change.instances(node, stop) {
            lost = lost.max(self.instance(at, session).await?);
        }
        self.change.locked(node).lost = lost;
        Ok(())
    }

    /// Reads one HAProxy. Whether the work is to be done again.
    async fn instance(&self, at: At<'_>, session: &mut dyn Session) -> Result<Lost, Failure> {
        let change = self.change;
        let mut reading = self.settled(at, session).await?;
        if change.locked(at.node).is_unanswered {
            // What waited in HAProxy while it stood still is done now.
            tokio::time::sleep(QUEUED).await;
            reading = self.settled(at, session).await?;
        }
        let is_reloaded = change.is_reloaded(at, &reading);
        change.judge(at, &reading, is_reloaded);
        let is_settling = |row: &&mut Row| matches!(row.verdict, Some(Verdict::Settling(_)));
        let is_settling = change.with_rows(at, |rows| rows.iter().any(is_settling));
        if !change.is_made(at) || (is_settling && matches!(change.goal, Goal::Healthy(_))) {
            return Ok(if is_reloaded {
                Lost::Reloaded
            } else {
                Lost::No
            });
        }
        // A drain that stays one is idle at the end, too.
        let was_idle = change.locked(at.node).end == Some(End::Complete);
        let stays = matches!(change.goal, Goal::Idle(_, Then::Stay));
        if was_idle && stays && change.busy(at, session, &reading).await.is_some() {
            return Ok(Lost::Busy);
        }
        Ok(Lost::No)
    }

    /// What the worker says that goes on: while a reload is under way the old one may still answer as if nothing were.
    async fn settled(&self, at: At<'_>, session: &mut dyn Session) -> Result<Reading, Failure> {
        let mut last = None;
        for _ in 0..TIMES {
            let reading = self.change.look(at, session).await?;
            let Some(master) = &at.found.master else {
                return Ok(reading);
            };
            let pid = reading.info.pid;
            match master.workers(&self.change.asker, session).await {
                Ok(known) if known.current.contains(&pid) => return Ok(reading),
                // After a reload that failed it has no other.
                Ok(known) if known.current.is_empty() && known.old.contains(&pid) => {
                    return Ok(reading);
                }
                Ok(_) => last = None,
                Err(_) => last = Some(reading),
            }
            tokio::time::sleep(AGAIN).await;
        }
        last.ok_or_else(|| {
            let text = format!(
                "{}: the worker that answers is not the one that the master counts as current",
                at.endpoint
            );
            Failure::new(ErrorCode::Haproxy, text)
        })
    }
}

impl Work for Sweep<'_> {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let stop = io.stop.clone();
            let read = self.read(node, session, &stop).await;
            self.change.set_unread(node, read.err())
        })
    }
}
