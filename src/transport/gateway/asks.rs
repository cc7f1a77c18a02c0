//! The messages to a gateway on their way: the standard input of the program there.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::gateway::Ask;
use crate::transport::BoxFuture;
use crate::transport::input::{CHUNK, Source};

/// Who feeds an input waits while so much is on its way.
const ROOM: usize = 256 * 1024;

/// Messages that wait to be sent. Read once, from its start.
#[derive(Debug, Default)]
pub(super) struct Asks {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Bytes>,
    size: usize,
    is_over: bool,
}

impl Asks {
    /// Sends a message.
    pub(super) fn push(&self, ask: &Ask) {
        // Our own messages are all of a kind that can be written.
        let Ok(mut line) = serde_json::to_vec(ask) else {
            return;
        };
        line.push(b'\n');
        {
            let mut state = self.lock();
            state.size += line.len();
            state.waiting.push_back(line.into());
        }
        self.changed.notify_waiters();
    }

    /// Waits until there is room for more of an input.
    pub(super) async fn room(&self) {
        self.until(|state| (state.size < ROOM).then_some(())).await;
    }

    /// There will be no more.
    pub(super) fn close(&self) {
        self.lock().is_over = true;
        self.changed.notify_waiters();
    }

    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is a single step, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is handed out is gone: the session is the one reader, and reads on where it was.
#[derive(Debug)]
pub(super) struct Outgoing(pub(super) Arc<Asks>);

impl Source for Outgoing {
    fn read(&self, _at: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        Box::pin(async {
            let next = |state: &mut State| match state.waiting.front_mut() {
                Some(first) => {
                    let chunk = first.split_to(first.len().min(CHUNK));
                    state.size -= chunk.len();
                    if first.is_empty() {
                        state.waiting.pop_front();
                    }
                    Some(chunk)
                }
                None => state.is_over.then(Bytes::new),
            };
            let chunk = self.0.until(next).await;
            self.0.changed.notify_waiters();
            Ok(chunk)
        })
    }
}
