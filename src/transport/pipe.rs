//! A command on the node as a stream: what is written goes to its standard input, what is read is its standard output.
//!
//! The command runs as long as the stream is used: reading and writing drive it, both from one task. Dropping the stream
//! ends it as dropping any command does.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::child::keep_tail;
use super::ssh::errors::printable;
use super::{BoxFuture, CHUNK, Command, Input, NodeIo, Session, Source, passed};
use crate::event::{ErrorCode, Event, Failure, Meter, NodeId, Outcome, Stop, Stream};

/// So much may be written before the command has taken any of it.
const ROOM: usize = 2 * CHUNK;

/// A command that is talked to.
pub(super) struct Pipe {
    /// What it is called when it fails.
    name: String,
    running: Option<BoxFuture<'static, Outcome>>,
    inbox: mpsc::Receiver<Event>,
    input: Arc<Feed>,
    /// What it said and was not read yet.
    ahead: Bytes,
    /// Whether it said anything.
    spoke: bool,
    /// The last of its standard error.
    said: Vec<u8>,
    ended: Option<Outcome>,
    /// Since when its own time counts: not while `sudo` and a person come to terms.
    counted: watch::Receiver<Option<Instant>>,
    /// Nothing is ever asked of it but by dropping it.
    _stop: watch::Sender<Stop>,
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// How a command ended that never became a stream.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// The first of its standard output and the last of its standard error.
    pub(super) said: String,
}

impl Ended {
    /// Whether nothing at all is known of how it ran.
    pub(super) fn is_nothing(&self) -> bool {
        let is_without = matches!(&self.outcome, Outcome::Failed(failure) if failure.code == ErrorCode::NoStatus);
        is_without && self.said.is_empty()
    }
}

impl Pipe {
    /// Starts a command of the session.
    pub(super) fn start(session: &mut dyn Session, name: &str, line: String) -> Self {
        let (events, inbox) = mpsc::channel(8);
        let (stop, stopping) = watch::channel(Stop::No);
        let input = Arc::new(Feed::default());
        let source = Arc::clone(&input) as Arc<dyn Source>;
        let command = Command {
            line,
            stdin: Some(Input::new(source, Meter::default())),
            pty: false,
        };
        // The number is for the engine, which never sees this line.
        let io = NodeIo::new(NodeId(0), events, stopping);
        let counted = io.counted();
        Self {
            name: name.to_owned(),
            running: Some(session.begin(command, io)),
            inbox,
            input,
            ahead: Bytes::new(),
            spoke: false,
            said: Vec::new(),
            ended: None,
            counted,
            _stop: stop,
        }
    }

    /// Reads up to and including `mark`; what comes before it is passed over, if it is not longer than `most`.
    pub(super) async fn skip_past(&mut self, mark: &[u8], most: usize) -> Result<(), Ended> {
        self.until(mark, most).await.map(drop)
    }

    /// The same, within a limit from when the command itself began.
    pub(super) async fn skip_past_within(
        &mut self,
        mark: &[u8],
        most: usize,
        limit: Option<Duration>,
    ) -> Result<(), Ended> {
        let counted = self.counted.clone();
        let reading = self.skip_past(mark, most);
        let limit = tokio::select! {
            biased;
            read = reading => return read,
            limit = passed(limit, counted) => limit,
        };
        let text = format!("{} said nothing within {}s", self.name, limit.as_secs_f64());
        let outcome = Outcome::failed(ErrorCode::HandshakeTimeout, text);
        let said = printable(&self.said, 300);
        Err(Ended { outcome, said })
    }

    /// Reads a line, if it is not longer than `most`.
    pub(super) async fn line(&mut self, most: usize) -> Result<String, Ended> {
        let line = self.until(b"\n", most).await?;
        Ok(printable(&line, most))
    }

    /// Reads what there is before `mark`, which is taken too.
    async fn until(&mut self, mark: &[u8], most: usize) -> Result<BytesMut, Ended> {
        let mut seen = BytesMut::from(&*std::mem::take(&mut self.ahead));
        loop {
            if let Some(at) = memchr::memmem::find(&seen, mark) {
                self.ahead = seen.split_off(at + mark.len()).freeze();
                seen.truncate(at);
                return Ok(seen);
            }
            let outcome = match std::future::poll_fn(|cx| self.poll_event(cx)).await {
                Ok(data) => {
                    seen.extend_from_slice(&data);
                    if seen.len() <= most {
                        continue;
                    }
                    Outcome::failed(ErrorCode::Socket, "it says too much")
                }
                Err(outcome) => outcome,
            };
            seen.extend_from_slice(b" ");
            seen.extend_from_slice(&self.said);
            let said = printable(&seen, 300);
            return Err(Ended { outcome, said });
        }
    }

    /// The next bytes of its standard output, or how it ended.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Outcome>> {
        loop {
            match self.inbox.poll_recv(cx) {
                Poll::Ready(Some(Event::Output {
                    stream: Stream::Out,
                    data,
                    ..
                })) if !data.is_empty() => {
                    self.spoke = true;
                    return Poll::Ready(Ok(data));
                }
                Poll::Ready(Some(Event::Output { stream, data, .. })) => {
                    if stream == Stream::Err {
                        keep_tail(&mut self.said, &data);
                    }
                    continue;
                }
                Poll::Ready(Some(_)) => continue,
                Poll::Ready(None) | Poll::Pending => {}
            }
            if let Some(outcome) = &self.ended {
                return Poll::Ready(Err(outcome.clone()));
            }
            if self.poll_running(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(running) = &mut self.running {
            let Poll::Ready(outcome) = running.as_mut().poll(cx) else {
                return Poll::Pending;
            };
            self.running = None;
            self.ended = Some(outcome);
        }
        Poll::Ready(())
    }

    /// Why the end of a command is no end of a stream, if it is none: it failed without a word on its standard output.
    fn trouble(&self, outcome: Outcome) -> Option<Failure> {
        let how = match outcome {
            // What it said has ended in order, however it itself has.
            Outcome::Failed(failure) if failure.code == ErrorCode::NoStatus && self.spoke => {
                return None;
            }
            Outcome::Failed(failure) => return Some(failure),
            _ if self.spoke => return None,
            Outcome::Exited { status: 0 } if self.said.is_empty() => return None,
            Outcome::Exited { status } => format!("ended with {status}"),
            Outcome::Killed { signal } => format!("was killed by SIG{signal}"),
        };
        let colon = if self.said.is_empty() { "" } else { ": " };
        let said = printable(&self.said, 300);
        let text = format!("{} {how}{colon}{said}", self.name);
        Some(Failure::new(ErrorCode::Socket, text))
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            match self.poll_event(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(data)) => self.ahead = data,
                Poll::Ready(Err(outcome)) => {
                    return Poll::Ready(match self.trouble(outcome) {
                        Some(failure) => Err(io::Error::other(failure)),
                        None => Ok(()),
                    });
                }
            }
        }
        let now = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead.split_to(now));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = self.input.push(data, cx);
        if self.poll_running(cx).is_ready() {
            // It takes no more; how it ended is told to who reads.
            return Poll::Ready(Ok(data.len()));
        }
        taken.map(Ok)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is left of it is taken while the answer is read.
        let _ = self.poll_running(cx);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.close();
        let _ = self.poll_running(cx);
        Poll::Ready(Ok(()))
    }
}

/// What was written and the command has not taken yet. It has one reader.
#[derive(Default)]
struct Feed {
    state: Mutex<Written>,
    more: Notify,
}

#[derive(Default)]
struct Written {
    data: BytesMut,
    /// How much of all that was written is gone already.
    taken: u64,
    over: bool,
    /// Waits for room.
    writer: Option<Waker>,
}

impl fmt::Debug for Feed {
    // What passes is as secret as the command that reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Feed")
    }
}

impl Feed {
    fn state(&self) -> MutexGuard<'_, Written> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes as much as there is room for.
    fn push(&self, data: &[u8], cx: &mut Context<'_>) -> Poll<usize> {
        let mut state = self.state();
        let room = ROOM.saturating_sub(state.data.len()).min(data.len());
        if room == 0 && !data.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.data.extend_from_slice(&data[..room]);
        drop(state);
        self.more.notify_one();
        Poll::Ready(room)
    }

    fn close(&self) {
        self.state().over = true;
        self.more.notify_one();
    }

    /// What there is from this offset on. All before it has arrived and is not asked for again.
    fn take(&self, at: u64) -> Option<Bytes> {
        let mut state = self.state();
        let done = usize::try_from(at.saturating_sub(state.taken)).unwrap_or(usize::MAX);
        let done = done.min(state.data.len());
        state.taken += done as u64;
        let _ = state.data.split_to(done);
        if done > 0
            && let Some(writer) = state.writer.take()
        {
            writer.wake();
        }
        if state.data.is_empty() && !state.over {
            return None;
        }
        let now = state.data.len().min(CHUNK);
        Some(Bytes::copy_from_slice(&state.data[..now]))
    }
}

impl Source for Feed {
    fn read(&self, at: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        Box::pin(async move {
            loop {
                if let Some(data) = self.take(at) {
                    return Ok(data);
                }
                self.more.notified().await;
            }
        })
    }
}

#[cfg(test)]
mod tests;
