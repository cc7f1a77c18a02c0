//! ProxyCommand: a local command whose standard input and output are the stream to the node.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::errors::printable;

/// So much of what the command says on its standard error is kept for the message.
const SAID: usize = 512;

/// The command ended, with its last words.
#[derive(Debug, thiserror::Error)]
#[error("ProxyCommand ended{}{}", if .0.is_empty() { "" } else { ": " }, .0)]
pub(super) struct Ended(String);

/// The running command. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    _child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    said: Vec<u8>,
}

impl Proxy {
    /// Starts the command in the user's shell, in a process group of its own, so that Ctrl-C is ours to handle.
    pub(super) fn start(shell: &str, command: &str) -> io::Result<Self> {
        let mut child = Command::new(shell)
            .arg("-c")
            .arg(format!("exec {command}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take();
        let stderr = child.stderr.take();
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self {
            _child: child,
            stdin,
            stdout,
            stderr,
            said: Vec::new(),
        })
    }

    /// Takes in what the command says, so that it never blocks on it and the last words are known.
    fn listen(&mut self, cx: &mut Context<'_>) {
        let mut room = [0; SAID];
        while let Some(stderr) = &mut self.stderr {
            let mut buf = ReadBuf::new(&mut room);
            match Pin::new(stderr).poll_read(cx, &mut buf) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.said.extend_from_slice(buf.filled());
                    let excess = self.said.len().saturating_sub(SAID);
                    self.said.drain(..excess);
                }
                Poll::Ready(_) => self.stderr = None,
            }
        }
    }
}

impl AsyncRead for Proxy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.listen(cx);
        let before = buf.filled().len();
        match Pin::new(&mut self.stdout).poll_read(cx, buf) {
            // The command is done; wait for its last words, which say why.
            Poll::Ready(Ok(())) if buf.filled().len() == before => {
                if self.stderr.is_some() {
                    return Poll::Pending;
                }
                let ended = Ended(printable(&self.said, 200));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, ended)))
            }
            polled @ (Poll::Ready(_) | Poll::Pending) => polled,
        }
    }
}

impl AsyncWrite for Proxy {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_write(cx, data),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stdin = None;
        Poll::Ready(Ok(()))
    }
}
