//! The messages on their way to the other side: to the standard input of the program on a gateway, or from there.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use serde::Serialize;

use crate::transport::BoxFuture;
use crate::transport::input::{CHUNK, Source};

/// Data waits while so much is on its way.
const ROOM: usize = 256 * 1024;

/// Messages that wait to be sent. Read once, from its start.
#[derive(Debug, Default)]
pub struct Outbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Bytes>,
    size: usize,
    is_over: bool,
    reader: Option<Waker>,
    writers: Vec<Waker>,
}

impl Outbox {
    /// Sends a message.
    pub fn push(&self, message: &impl Serialize) {
        // Our own messages are all of a kind that can be written.
        let Ok(mut line) = serde_json::to_vec(message) else {
            return;
        };
        line.push(b'\n');
        let mut state = self.lock();
        state.size += line.len();
        state.waiting.push_back(line.into());
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// Waits until there is room for more data.
    pub(super) async fn room(&self) {
        poll_fn(|cx| self.poll_room(cx)).await;
    }

    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.size < ROOM || state.is_over {
            return Poll::Ready(());
        }
        if !state
            .writers
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            state.writers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The next bytes to be sent, at most so many; `None` at the end. May be dropped while it waits.
    pub(super) async fn next(&self, most: usize) -> Option<Bytes> {
        poll_fn(|cx| {
            let mut state = self.lock();
            let Some(first) = state.waiting.front_mut() else {
                if state.is_over {
                    return Poll::Ready(None);
                }
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            };
            let chunk = first.split_to(first.len().min(most));
            if first.is_empty() {
                state.waiting.pop_front();
            }
            state.size -= chunk.len();
            if state.size < ROOM {
                state.writers.drain(..).for_each(Waker::wake);
            }
            Poll::Ready(Some(chunk))
        })
        .await
    }

    /// There will be no more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_over = true;
        let writers = std::mem::take(&mut state.writers);
        state
            .reader
            .take()
            .into_iter()
            .chain(writers)
            .for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is a single step, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is handed out is gone: the session is the one reader, and reads on where it was.
#[derive(Debug)]
pub(super) struct Outgoing(pub(super) Arc<Outbox>);

impl Source for Outgoing {
    fn read(&self, _at: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        Box::pin(async { Ok(self.0.next(CHUNK).await.unwrap_or_default()) })
    }
}
