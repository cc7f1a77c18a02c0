//! One limit for all processes of a service run: the smallest fanout among the actions that run.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::event::{Failure, Outcome};
use crate::plan::{Limits, NodeName};
use crate::transport::{BoxFuture, Command, Duplex, Endpoint, NodeIo, Session, Transport};

/// Limits how many run at the same time; the others wait their turn.
#[derive(Debug, Clone)]
pub(super) struct Limiter {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// The limit while no running action sets one.
    default: usize,
    /// How many actions with each limit run.
    limits: BTreeMap<usize, usize>,
    used: usize,
    waiting: VecDeque<oneshot::Sender<Permit>>,
}

impl State {
    fn has_room(&self) -> bool {
        let limit = self.limits.keys().next().copied();
        self.used < limit.unwrap_or(self.default).max(1)
    }
}

impl Limiter {
    pub(super) fn new(default: usize) -> Self {
        let state = State {
            default,
            limits: BTreeMap::new(),
            used: 0,
            waiting: VecDeque::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Holds the limit down to `fanout` for as long as the value lives.
    pub(super) fn limit(&self, fanout: usize) -> Limit {
        *self.lock().limits.entry(fanout).or_default() += 1;
        Limit {
            limiter: self.clone(),
            fanout,
        }
    }

    /// Waits for one's turn.
    pub(super) async fn enter(&self) -> Permit {
        let turn = {
            let mut state = self.lock();
            if state.has_room() && state.waiting.is_empty() {
                state.used += 1;
                return Permit(self.clone());
            }
            let (sender, turn) = oneshot::channel();
            state.waiting.push_back(sender);
            turn
        };
        match turn.await {
            Ok(permit) => permit,
            // The gate outlives its waiters, as each holds it.
            Err(_) => std::future::pending().await,
        }
    }

    /// Admits waiters while there is room.
    fn admit(&self) {
        loop {
            let next = {
                let mut state = self.lock();
                while state
                    .waiting
                    .front()
                    .is_some_and(oneshot::Sender::is_closed)
                {
                    state.waiting.pop_front();
                }
                if !state.has_room() {
                    return;
                }
                let Some(next) = state.waiting.pop_front() else {
                    return;
                };
                state.used += 1;
                next
            };
            // A waiter that has gone drops the permit, which returns it.
            let _ = next.send(Permit(self.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is a single step, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limit of a running action.
#[derive(Debug)]
pub(super) struct Limit {
    limiter: Limiter,
    fanout: usize,
}

impl Drop for Limit {
    fn drop(&mut self) {
        {
            let mut state = self.limiter.lock();
            if let Some(count) = state.limits.get_mut(&self.fanout) {
                *count -= 1;
                if *count == 0 {
                    state.limits.remove(&self.fanout);
                }
            }
        }
        self.limiter.admit();
    }
}

/// The right to run one process.
#[derive(Debug)]
pub(super) struct Permit(Limiter);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.lock().used -= 1;
        self.0.admit();
    }
}

/// A transport whose sessions each hold a permit.
pub(super) struct Limited<'a> {
    pub(super) inner: &'a dyn Transport,
    pub(super) limiter: Limiter,
    /// The permit the first session takes, which its action has waited for.
    pub(super) first: Mutex<Option<Permit>>,
}

impl fmt::Debug for Limited<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Transport for Limited<'_> {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        Box::pin(async move {
            let first = self
                .first
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let permit = match first {
                Some(permit) => permit,
                None => self.limiter.enter().await,
            };
            let session = self.inner.connect(node, limits).await?;
            Ok(Box::new(Held { session, permit }) as Box<dyn Session>)
        })
    }
}

struct Held {
    session: Box<dyn Session>,
    permit: Permit,
}

impl Session for Held {
    fn exec<'a>(&'a mut self, command: &'a Command, io: &'a mut NodeIo) -> BoxFuture<'a, Outcome> {
        self.session.exec(command, io)
    }

    fn is_logged_in(&self) -> bool {
        self.session.is_logged_in()
    }

    fn open<'a>(
        &'a mut self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        self.session.open(endpoint)
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        let Self { session, permit } = *self;
        Box::pin(async move {
            session.close().await;
            drop(permit);
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_smallest_limit_holds_and_turns_are_taken_in_order() {
        let limiter = Limiter::new(3);
        let one = limiter.enter().now_or_never().unwrap();
        let two = limiter.enter().now_or_never().unwrap();
        let strict = limiter.limit(1);
        let mut third = Box::pin(limiter.enter());
        let mut fourth = Box::pin(limiter.enter());
        assert!(third.as_mut().now_or_never().is_none());
        assert!(fourth.as_mut().now_or_never().is_none());
        drop(one);
        assert!(third.as_mut().now_or_never().is_none(), "one still runs");
        drop(two);
        let third = third.as_mut().now_or_never().expect("its turn");
        assert!(fourth.as_mut().now_or_never().is_none());
        drop(strict);
        assert!(fourth.as_mut().now_or_never().is_some());
        drop(third);
    }

    #[test]
    fn who_gives_up_waiting_is_passed_over() {
        let limiter = Limiter::new(1);
        let one = limiter.enter().now_or_never().unwrap();
        let mut gone = Box::pin(limiter.enter());
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        let mut next = Box::pin(limiter.enter());
        assert!(next.as_mut().now_or_never().is_none());
        drop(one);
        assert!(next.as_mut().now_or_never().is_some());
    }
}
