//! One stream over a gateway, as either side has it: what came and is not taken yet, and how much may still be sent.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use serde::Serialize;

use super::outbox::Outbox;
use crate::event::{Failure, Outcome, Stream};
use crate::gateway::Data;
use crate::gateway::session::{COST, Call, Reply, WINDOW};
use crate::transport::input::CHUNK;

/// The messages of one side that are about the flow of a stream.
pub(super) trait Flow: Serialize {
    /// The next bytes.
    fn data(stream: u32, of: Stream, data: Data) -> Self;
    /// The other side may send so much more.
    fn room(stream: u32, bytes: u32) -> Self;
}

impl Flow for Call {
    fn data(stream: u32, _of: Stream, data: Data) -> Self {
        Self::Data { stream, data }
    }

    fn room(stream: u32, bytes: u32) -> Self {
        Self::Room { stream, bytes }
    }
}

impl Flow for Reply {
    fn data(stream: u32, of: Stream, data: Data) -> Self {
        Self::Data { stream, of, data }
    }

    fn room(stream: u32, bytes: u32) -> Self {
        Self::Room { stream, bytes }
    }
}

/// What comes over a stream next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Bytes.
    Data(Stream, Bytes),
    /// Its end.
    End(End),
}

/// How what comes over a stream ends. It stays so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// There is no more.
    Eof,
    /// The command has ended.
    Ended(Outcome),
    /// It broke off, or never began.
    Failed(Failure),
}

/// One side of a stream, which sends messages of type `M`.
#[derive(Debug)]
pub(super) struct Pipe<M> {
    stream: u32,
    out: Arc<Outbox>,
    state: Mutex<State>,
    sends: PhantomData<fn() -> M>,
}

#[derive(Debug)]
struct State {
    is_open: bool,
    inbox: VecDeque<(Stream, Bytes)>,
    /// How much more the other side may send.
    granted: usize,
    /// What was taken of the inbox since the other side was last told of room.
    taken: usize,
    /// How much we may send.
    room: usize,
    /// How what comes has ended.
    end: Option<End>,
    /// Why nothing is taken any more of what goes.
    closed: Option<End>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl<M: Flow> Pipe<M> {
    /// A stream, nothing of which has flown.
    pub(super) fn new(stream: u32, out: Arc<Outbox>) -> Self {
        Self {
            stream,
            out,
            state: Mutex::new(State {
                is_open: false,
                inbox: VecDeque::new(),
                granted: WINDOW,
                taken: 0,
                room: WINDOW,
                end: None,
                closed: None,
                reader: None,
                writer: None,
            }),
            sends: PhantomData,
        }
    }

    /// The other side says that it is open.
    pub(super) fn opened(&self) {
        let mut state = self.lock();
        state.is_open = true;
        wake(&mut state.reader);
    }

    /// Bytes came.
    ///
    /// # Errors
    /// When they are none, or more than the other side may send.
    pub(super) fn came(&self, of: Stream, data: Bytes) -> Result<(), String> {
        let mut state = self.lock();
        let cost = data.len() + COST;
        if data.is_empty() || cost > state.granted {
            let what = if data.is_empty() {
                "nothing"
            } else {
                "more than it may"
            };
            return Err(format!("it sends {what} over stream {}", self.stream));
        }
        state.granted -= cost;
        state.inbox.push_back((of, data));
        wake(&mut state.reader);
        Ok(())
    }

    /// The other side has room for so much more.
    ///
    /// # Errors
    /// When it would have more than there is.
    pub(super) fn has_room(&self, bytes: u32) -> Result<(), String> {
        let mut state = self.lock();
        let room = state.room.saturating_add(bytes as usize);
        if room > WINDOW {
            return Err(format!("it has too much room for stream {}", self.stream));
        }
        state.room = room;
        wake(&mut state.writer);
        Ok(())
    }

    /// What comes has ended; the first end counts. What goes ends with it unless it is an end in order.
    pub(super) fn ended(&self, end: End) {
        let mut state = self.lock();
        if end != End::Eof {
            state.closed.get_or_insert_with(|| end.clone());
        }
        state.end.get_or_insert(end);
        wake(&mut state.reader);
        wake(&mut state.writer);
    }

    /// Waits until it is open.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) async fn open(&self) -> Result<(), Failure> {
        poll_fn(|cx| {
            let mut state = self.lock();
            match &state.end {
                Some(End::Failed(failure)) if !state.is_open => Poll::Ready(Err(failure.clone())),
                _ if state.is_open => Poll::Ready(Ok(())),
                _ => {
                    state.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// What comes next. May be dropped while it waits.
    pub(super) async fn next(&self) -> Next {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut state = self.lock();
        let Some((of, data)) = state.inbox.pop_front() else {
            if let Some(end) = &state.end {
                return Poll::Ready(Next::End(end.clone()));
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.taken += data.len() + COST;
        // Not for every message: half a window is enough to keep it flowing.
        if state.taken >= WINDOW / 2 && state.end.is_none() {
            let bytes = std::mem::take(&mut state.taken);
            state.granted += bytes;
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.out.push(&M::room(self.stream, bytes));
        }
        Poll::Ready(Next::Data(of, data))
    }

    /// Sends bytes, as fast as they are taken. When it is dropped, a part of them may have been sent.
    ///
    /// # Errors
    /// When nobody takes them any more.
    pub(super) async fn send(&self, of: Stream, mut data: Bytes) -> Result<(), End> {
        while !data.is_empty() {
            let room = poll_fn(|cx| self.poll_room(cx)).await?;
            self.push(of, data.split_to(room.min(data.len())));
        }
        Ok(())
    }

    /// How many bytes may be sent now, at least one.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<usize, End>> {
        ready!(self.out.poll_room(cx));
        let mut state = self.lock();
        if let Some(end) = &state.closed {
            return Poll::Ready(Err(end.clone()));
        }
        if state.room > COST {
            return Poll::Ready(Ok((state.room - COST).min(CHUNK)));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Sends bytes for which there is room.
    pub(super) fn push(&self, of: Stream, data: Bytes) {
        let mut state = self.lock();
        state.room = state.room.saturating_sub(data.len() + COST);
        self.out.push(&M::data(self.stream, of, Data(data)));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is a single step, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
