//! ProxyCommand: a local command whose standard input and output are the stream to the node.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::Command;

use super::errors::{ProxyEnded, printable};
use crate::transport::child::Relay;

/// The running command. All of its group is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Proxy(Relay);

impl Proxy {
    /// Starts the command in the user's shell.
    pub(super) fn start(shell: &str, command: &str) -> io::Result<Self> {
        let mut process = Command::new(shell);
        process.arg("-c").arg(format!("exec {command}"));
        Relay::start(process).map(Self)
    }

    /// The command is done; its last words say why.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let said = ready!(self.0.poll_said(cx));
        let ended = ProxyEnded(printable(said, 200));
        Poll::Ready(io::Error::new(io::ErrorKind::UnexpectedEof, ended))
    }
}

impl AsyncRead for Proxy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            return Poll::Ready(Ok(()));
        }
        self.poll_ended(cx).map(Err)
    }
}

impl AsyncWrite for Proxy {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut self.0).poll_write(cx, data)) {
            // It may end before anything of it is read.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.poll_ended(cx).map(Err),
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
