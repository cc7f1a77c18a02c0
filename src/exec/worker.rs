//! One node, from start to outcome.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Executor;
use crate::event::{ErrorCode, Event, Failure, NodeId, Outcome, Stop};
use crate::plan::Plan;
use crate::transport::{NodeIo, Session};

/// Since when the limits of a work count; `None` while they stand still.
type Counted = watch::Receiver<Option<Instant>>;

/// How long a goodbye may take.
pub(super) const CLOSE: Duration = Duration::from_millis(500);

/// Serves one node.
pub(super) struct Worker<'a> {
    plan: &'a Plan,
    executor: Executor<'a>,
    node: NodeId,
    events: mpsc::Sender<Event>,
    io: NodeIo,
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        executor: Executor<'a>,
        node: NodeId,
        events: mpsc::Sender<Event>,
        stop: watch::Receiver<Stop>,
    ) -> Self {
        let io = NodeIo::new(node, events.clone(), stop);
        Self {
            plan,
            executor,
            node,
            events,
            io,
        }
    }

    /// Connects, works, says how it ended, and closes. Returns the node.
    pub(super) async fn run(mut self) -> NodeId {
        let node = self.node;
        let begun = Instant::now();
        // The loop outlives its workers, so sending fails only when nobody listens any more.
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
                code: ErrorCode::TimeoutCommand | ErrorCode::TimeoutIdle,
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
        node
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
        tokio::select! {
            biased;
            () = self.io.stopped(Stop::Terminate) => {
                Err(Failure::new(ErrorCode::Stopped, "stopped while connecting; nothing was run"))
            }
            connected = connecting => connected,
        }
    }

    /// Does the work within the limits of command and silence.
    async fn work(&mut self, session: &mut dyn Session) -> Outcome {
        let limits = &self.plan.limits;
        self.io.count();
        let (heard, counted) = (self.io.heard(), self.io.counted());
        let serving = self.executor.work.serve(self.node, session, &mut self.io);
        tokio::select! {
            biased;
            outcome = serving => outcome,
            limit = passed(limits.command, counted.clone()) => Outcome::failed(
                ErrorCode::TimeoutCommand,
                format!("timed out after {}; the command may still be running", seconds(limit)),
            ),
            limit = silent(limits.idle, heard, counted) => Outcome::failed(
                ErrorCode::TimeoutIdle,
                format!("silent for {}; the command may still be running", seconds(limit)),
            ),
        }
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

/// Since when limits count; waits while they stand still.
async fn since(counted: &mut Counted) -> Instant {
    match counted.wait_for(Option::is_some).await.map(|since| *since) {
        Ok(Some(since)) => since,
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

/// Ends when the limit has passed, and says which it was.
async fn passed(limit: Option<Duration>, mut counted: Counted) -> Duration {
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    loop {
        let until = since(&mut counted).await + limit;
        tokio::time::sleep_until(until).await;
        if since(&mut counted).await + limit <= Instant::now() {
            return limit;
        }
    }
}

/// Ends when nothing was heard for as long as the limit.
async fn silent(
    limit: Option<Duration>,
    heard: watch::Receiver<Instant>,
    mut counted: Counted,
) -> Duration {
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    loop {
        since(&mut counted).await;
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
