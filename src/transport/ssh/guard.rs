//! The guarded stream: the bytes under an SSH connection, with a switch that ends it from outside.
//!
//! russh runs each connection in a task of its own, which goes on when the future that started it is dropped.
//! A [`Kill`] that is dropped wakes that task with an error, so it ends and closes the socket. The stream also
//! keeps what the peer said before its version line, which russh throws away and which is often the reason.
//!
//! It reads ahead: russh asks for the four bytes of a packet's length and then for the packet, and a node's whole
//! conversation is a dozen small packets, which would be three calls of the system each.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::transport::Duplex;

/// So much of what comes before the version line is kept.
const HEAD: usize = 256;

/// Who asks for less than this gets it out of a read of so much.
const AHEAD: usize = 8 * 1024;

/// What the stream, its connection and its handler know of each other.
#[derive(Debug, Default)]
pub(super) struct Link {
    state: Mutex<State>,
    killed: Notify,
}

#[derive(Debug, Default)]
struct State {
    killed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    head: Head,
    lost: Option<String>,
    /// It broke off, and was not ended by the peer in its words.
    broken: bool,
}

/// What the peer said first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Head {
    /// These bytes, and no version line so far.
    Before(Vec<u8>),
    /// A version line came: it speaks SSH.
    Version,
}

impl Default for Head {
    fn default() -> Self {
        Self::Before(Vec::new())
    }
}

impl Head {
    fn record(&mut self, bytes: &[u8]) {
        let Self::Before(head) = self else { return };
        let room = HEAD.saturating_sub(head.len());
        head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let version = head
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| line.ends_with(b"\n"))
            .any(|line| line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-"));
        if version {
            *self = Self::Version;
        }
    }
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the peer said first.
    pub(super) fn head(&self) -> Head {
        self.state().head.clone()
    }

    /// Remembers why the connection ended; the first reason stays.
    pub(super) fn lost(&self, reason: String) {
        self.state().lost.get_or_insert(reason);
    }

    /// The same of one that broke off, without a word of the peer about its end.
    pub(super) fn broke(&self, reason: String) {
        self.state().broken = true;
        self.lost(reason);
    }

    /// Whether it broke off.
    pub(super) fn is_broken(&self) -> bool {
        self.state().broken
    }

    /// Why the connection ended, if it did and if anything said so.
    pub(super) fn reason(&self) -> Option<String> {
        self.state().lost.clone()
    }

    /// Waits until the connection is killed.
    pub(super) async fn killed(&self) {
        let notified = self.killed.notified();
        if !self.state().killed {
            notified.await;
        }
    }

    fn kill(&self) {
        let (reader, writer) = {
            let mut state = self.state();
            state.killed = true;
            (state.reader.take(), state.writer.take())
        };
        self.killed.notify_waiters();
        for waker in [reader, writer].into_iter().flatten() {
            waker.wake();
        }
    }
}

/// Held for the life of a connection: when it goes, the connection goes.
#[derive(Debug)]
pub(super) struct Kill(pub(super) Arc<Link>);

impl Drop for Kill {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// A stream with a switch.
pub(super) struct Guarded {
    inner: Box<dyn Duplex>,
    link: Arc<Link>,
    /// What was read and not yet asked for.
    ahead: Bytes,
}

impl Guarded {
    /// Guards a stream.
    pub(super) fn new(inner: Box<dyn Duplex>, link: Arc<Link>) -> Self {
        Self {
            inner,
            link,
            ahead: Bytes::new(),
        }
    }

    /// Reads what is asked for, and what else is there already if that is little.
    fn poll_ahead(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wanted = buf.remaining();
        if wanted >= AHEAD {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
            self.record(&buf.filled()[before..]);
            return Poll::Ready(Ok(()));
        }
        let mut room = [MaybeUninit::uninit(); AHEAD];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut read))?;
        self.record(read.filled());
        let (now, later) = read.filled().split_at(wanted.min(read.filled().len()));
        buf.put_slice(now);
        if !later.is_empty() {
            self.ahead = Bytes::copy_from_slice(later);
        }
        Poll::Ready(Ok(()))
    }

    fn record(&self, bytes: &[u8]) {
        let mut state = self.link.state();
        if state.head != Head::Version {
            state.head.record(bytes);
        }
    }
}

fn cut() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        other => *other = Some(cx.waker().clone()),
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let now = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(now));
            return Poll::Ready(Ok(()));
        }
        {
            let mut state = self.link.state();
            if state.killed {
                return Poll::Ready(Err(cut()));
            }
            remember(&mut state.reader, cx);
        }
        self.poll_ahead(cx, buf)
    }
}

impl Guarded {
    fn writable(&self, cx: &Context<'_>) -> io::Result<()> {
        let mut state = self.link.state();
        if state.killed {
            return Err(cut());
        }
        remember(&mut state.writer, cx);
        Ok(())
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writable(cx)?;
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writable(cx)?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writable(cx)?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair() -> (Guarded, tokio::io::DuplexStream, Arc<Link>) {
        let (ours, theirs) = tokio::io::duplex(64);
        let link = Arc::new(Link::default());
        (
            Guarded::new(Box::new(ours), Arc::clone(&link)),
            theirs,
            link,
        )
    }

    #[tokio::test]
    async fn the_head_is_kept_until_the_version_line() {
        let (mut guarded, mut peer, link) = pair();
        let mut buf = [0; 64];
        peer.write_all(b"Exceeded MaxStartups\r\nSSH-2")
            .await
            .unwrap();
        let read = guarded.read(&mut buf).await.unwrap();
        assert_eq!(link.head(), Head::Before(buf[..read].to_vec()));
        peer.write_all(b".0-OpenSSH_9.2\r\n").await.unwrap();
        assert!(guarded.read(&mut buf).await.unwrap() > 0);
        assert_eq!(link.head(), Head::Version);
    }

    #[tokio::test]
    async fn a_version_line_must_start_a_line() {
        let mut head = Head::default();
        head.record(b"HTTP/1.1 400 SSH-2.0-not\r\n");
        assert!(matches!(head, Head::Before(_)));
        head.record(&[b'x'; 1000]);
        assert!(matches!(head, Head::Before(bytes) if bytes.len() == HEAD));
    }

    #[tokio::test]
    async fn killing_wakes_a_reader_and_a_writer_that_wait() {
        let (guarded, peer, link) = pair();
        let kill = Kill(Arc::clone(&link));
        let (mut read, mut write) = tokio::io::split(guarded);
        let reader = async { read.read_u8().await.map_err(|e| e.kind()) };
        let writer = async {
            // More than the pipe holds, and nobody reads.
            write.write_all(&[0; 1000]).await.map_err(|e| e.kind())
        };
        let killer = async {
            tokio::task::yield_now().await;
            drop(kill);
        };
        let (reader, writer, ()) = tokio::join!(reader, writer, killer);
        assert_eq!(reader, Err(io::ErrorKind::ConnectionAborted));
        assert_eq!(writer, Err(io::ErrorKind::ConnectionAborted));
        link.killed().await;
        drop(peer);
    }

    #[tokio::test]
    async fn what_is_read_ahead_comes_in_order_and_before_the_end() {
        let (mut guarded, mut peer, link) = pair();
        let bytes: Vec<u8> = (0..40_000u32).map(|n| (n % 251) as u8).collect();
        let writing = async {
            peer.write_all(b"SSH-2.0-x\r\n").await.unwrap();
            peer.write_all(&bytes).await.unwrap();
            drop(peer);
        };
        let reading = async {
            let mut all = Vec::new();
            for size in [4usize, 7, 1, 300, 16_000].into_iter().cycle() {
                let mut part = vec![0; size];
                match guarded.read(&mut part).await.unwrap() {
                    0 => return all,
                    count => all.extend_from_slice(&part[..count]),
                }
            }
            all
        };
        let ((), all) = tokio::join!(writing, reading);
        assert!(all == [b"SSH-2.0-x\r\n", &bytes[..]].concat());
        assert_eq!(link.head(), Head::Version);
    }

    #[test]
    fn the_first_reason_stays() {
        let link = Link::default();
        link.lost("first".into());
        link.lost("second".into());
        assert_eq!(link.reason().as_deref(), Some("first"));
    }
}
