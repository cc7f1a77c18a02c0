//! One node, from start to outcome.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Executor;
use crate::event::{ErrorCode, Event, Failure, NodeId, Outcome, Stop};
use crate::plan::Plan;
use crate::transport::{NodeIo, Session, counting, passed};

/// How long a work whose time is over may take to end when it is asked to: commands are interrupted, a second later
/// terminated, and another later left alone.
const LAST: Duration = Duration::from_secs(3);

/// How long a goodbye may take.
pub(super) const CLOSE: Duration = Duration::from_millis(500);

/// Serves one node.
pub(super) struct Worker<'a> {
    plan: &'a Plan,
    executor: Executor<'a>,
    node: NodeId,
    events: mpsc::Sender<Event>,
    io: NodeIo,
    /// The level of stopping of the run.
    stop: watch::Receiver<Stop>,
    /// The level of stopping of this node's work, which may be over before the run is.
    own: watch::Sender<Stop>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        executor: Executor<'a>,
        node: NodeId,
        events: mpsc::Sender<Event>,
        stop: watch::Receiver<Stop>,
    ) -> Self {
        let (own, seen) = watch::channel(*stop.borrow());
        let io = NodeIo::new(node, events.clone(), seen);
        Self {
            plan,
            executor,
            node,
            events,
            io,
            stop,
            own,
        }
    }

    /// Connects, works, says how it ended, and closes.
    pub(super) async fn run(mut self) {
        let node = self.node;
        let begun = Instant::now();
        // The loop outlives its workers, so sending fails only after the receiver is gone.
        let _ = self.events.send(Event::Started { node }).await;
        let (outcome, session) = match self.connect().await {
            Ok(mut session) => (self.work(&mut *session).await, Some(session)),
            Err(failure) => (Outcome::Failed(failure), None),
        };
        let reusable = !matches!(
            &outcome,
            Outcome::Failed(Failure {
                code: ErrorCode::Lost | ErrorCode::Stopped,
                ..
            }) | Outcome::Failed(Failure {
                code: ErrorCode::TimeoutCommand
                    | ErrorCode::TimeoutIdle
                    | ErrorCode::HandshakeTimeout,
                ..
            })
        );
        let took = begun.elapsed();
        let kept = match (session, self.executor.pool) {
            (Some(session), Some(pool)) if reusable => pool.keep(self.plan.name(node), session),
            (session, _) => session,
        };
        let _ = self
            .events
            .send(Event::Finished {
                node,
                outcome,
                took,
            })
            .await;
        if let Some(session) = kept {
            let _ = tokio::time::timeout(CLOSE, session.close()).await;
        }
    }

    async fn connect(&mut self) -> Result<Box<dyn Session>, Failure> {
        let name = self.plan.name(self.node);
        let pooled = self.executor.pool.and_then(|pool| pool.take(name));
        let connecting = async {
            if let Some((mut session, idle)) = pooled
                && session.answers(idle).await
            {
                return Ok(session);
            }
            connect(self.plan, self.executor, self.node).await
        };
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            Ok(_) = stop.wait_for(|level| *level >= Stop::Terminate) => {
                Err(Failure::new(ErrorCode::Stopped, "stopped while connecting; nothing was run"))
            }
            connected = connecting => connected,
        }
    }

    /// Does the work within the limits of command and silence. When one has passed the work is asked to end.
    async fn work(&mut self, session: &mut dyn Session) -> Outcome {
        let limits = &self.plan.limits;
        self.io.count();
        let (heard, counted) = (self.io.heard(), self.io.counted());
        let serving = self.executor.work.serve(self.node, session, &mut self.io);
        let mut serving = std::pin::pin!(serving);
        let mut passing_on = std::pin::pin!(pass_on(&mut self.stop, &self.own));
        let (code, passed) = tokio::select! {
            biased;
            outcome = &mut serving => return outcome,
            () = &mut passing_on => return serving.await,
            limit = passed(limits.command, counted.clone()) => {
                (ErrorCode::TimeoutCommand, format!("timed out after {}", seconds(limit)))
            }
            limit = silent(limits.idle, heard, counted) => {
                (ErrorCode::TimeoutIdle, format!("silent for {}", seconds(limit)))
            }
        };
        self.own
            .send_modify(|level| *level = (*level).max(Stop::Terminate));
        let ended = tokio::select! {
            biased;
            ended = tokio::time::timeout(LAST, serving) => ended.ok(),
            () = passing_on => None,
        };
        Outcome::failed(code, passed + &what_is_left(ended))
    }
}

/// Hands on how hard the run is asked to stop. Ends only when nobody can ask any more.
async fn pass_on(from: &mut watch::Receiver<Stop>, to: &watch::Sender<Stop>) {
    loop {
        let level = *from.borrow_and_update();
        to.send_if_modified(|own| {
            let rises = level > *own;
            *own = level.max(*own);
            rises
        });
        if from.changed().await.is_err() {
            return;
        }
    }
}

/// What may go on of a work that was asked to end, from how it did.
fn what_is_left(ended: Option<Outcome>) -> String {
    match ended {
        Some(Outcome::Exited { .. } | Outcome::Killed { .. }) => {
            "; the command was asked to end and has ended".to_owned()
        }
        Some(Outcome::Failed(failure)) if failure.code == ErrorCode::Stopped => {
            let said = failure.message;
            said.strip_prefix("stopped")
                .map_or_else(|| format!("; {said}"), str::to_owned)
        }
        Some(Outcome::Failed(failure)) => format!("; {}", failure.message),
        None => "; the command may still be running".to_owned(),
    }
}

/// Connects, again and again if the plan says so: nothing has been run yet.
async fn connect(
    plan: &Plan,
    executor: Executor<'_>,
    node: NodeId,
) -> Result<Box<dyn Session>, Failure> {
    let mut pause = Duration::from_secs(1);
    for _ in 0..plan.tolerance.retries {
        match executor
            .transport
            .connect(plan.name(node), &plan.limits)
            .await
        {
            // Asking again with the same keys, or for the same wrong key of the host, does not help.
            Err(failure) if !matches!(failure.code, ErrorCode::Auth | ErrorCode::HostKey) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(30));
            }
            done => return done,
        }
    }
    executor
        .transport
        .connect(plan.name(node), &plan.limits)
        .await
}

/// Ends when nothing was heard for as long as the limit.
async fn silent(
    limit: Option<Duration>,
    heard: watch::Receiver<Instant>,
    mut counted: watch::Receiver<Option<Instant>>,
) -> Duration {
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    loop {
        counting(&mut counted).await;
        let quiet_until = *heard.borrow() + limit;
        tokio::time::sleep_until(quiet_until).await;
        let is_counted = counted.borrow().is_some();
        if is_counted && *heard.borrow() + limit <= Instant::now() {
            return limit;
        }
    }
}

/// A limit as people write it: `10s`, `1.5s`.
fn seconds(limit: Duration) -> String {
    format!("{}s", limit.as_secs_f64())
}
