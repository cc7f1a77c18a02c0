//! A program of ours for a node: its output handed over as it comes, stopped step by step, nothing left behind.
//!
//! Each has a process group of its own, so that Ctrl-C is ours to handle and the end of the leader is the end of all.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll};

use bytes::BytesMut;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::NodeIo;
use super::input::{Input, Reader};
use super::stopping::{Step, Stopping};
use crate::event::{Outcome, Stream};

/// So much is read at one time.
const CHUNK: usize = 32 * 1024;

/// So much of the end of standard error is kept for whoever explains a failure.
const SAID: usize = 2048;

/// A running program and all that it starts. Dropping it kills the whole group.
#[derive(Debug)]
pub(super) struct Group {
    child: Child,
    /// The leader, as long as it is not waited for: until then the number cannot be anybody else's.
    leader: Option<Pid>,
}

/// A program's standard input, output and error.
pub(super) type Pipes = (Option<ChildStdin>, ChildStdout, ChildStderr);

impl Group {
    /// Starts a program with pipes; its standard input is empty unless `fed`.
    pub(super) fn start(mut command: Command, fed: bool) -> io::Result<(Self, Pipes)> {
        let mut child = command
            .stdin(if fed { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        let input = child.stdin.take();
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let leader = pid.and_then(Pid::from_raw);
        let group = Self { child, leader };
        let output = output.ok_or(io::ErrorKind::BrokenPipe)?;
        let errors = errors.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok((group, (input, output, errors)))
    }

    /// Sends a signal to all of the group that is left.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // It may have ended by itself.
            let _ = kill_process_group(leader, signal);
        }
    }

    /// Waits for the end of the leader. Whatever it left in the background goes on, as with `ssh`.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.leader = None;
        status
    }

    /// Kills all of the group and waits for the leader.
    pub(super) async fn end(mut self) {
        self.signal(Signal::KILL);
        let _ = self.wait().await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// How a program ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its own status, or `None` when it had to be killed.
    pub(super) status: Option<ExitStatus>,
    /// Whether it had been asked to stop before.
    pub(super) stopped: bool,
    /// The last of its standard error.
    pub(super) said: Vec<u8>,
    /// Why its input could not be read, for which it was killed.
    pub(super) unfed: Option<io::Error>,
}

/// Runs a program to its end and hands its output to `io`.
///
/// When stopping is asked for it gets `INT`, a grace later `TERM`, another later `KILL`; at once when nobody asks any more.
pub(super) async fn run(
    command: Command,
    stdin: Option<Input>,
    io: &mut NodeIo,
) -> io::Result<Ended> {
    let (mut group, (input, mut output, mut errors)) = Group::start(command, stdin.is_some())?;
    let stdin = stdin.map(|stdin| stdin.reader());
    let mut feeding = std::pin::pin!(feed(input, stdin));
    let mut unfed = None;
    let mut stopping = Stopping::default();
    let mut said = Vec::new();
    let (mut out, mut err) = (BytesMut::new(), BytesMut::new());
    let (mut fed, mut out_open, mut err_open) = (false, true, true);
    let status = loop {
        if out_open {
            out.reserve(CHUNK);
        }
        if err_open {
            err.reserve(CHUNK);
        }
        tokio::select! {
            // A program that never pauses must not keep us from stopping it.
            biased;
            step = stopping.next(io) => match step {
                Step::Interrupt => group.signal(Signal::INT),
                Step::Terminate => group.signal(Signal::TERM),
                Step::GiveUp => {
                    group.end().await;
                    break None;
                }
            },
            read = output.read_buf(&mut out), if out_open => {
                out_open = read.is_ok_and(|count| count > 0);
                if out_open {
                    io.output(Stream::Out, out.split().freeze()).await;
                }
            }
            read = errors.read_buf(&mut err), if err_open => {
                err_open = read.is_ok_and(|count| count > 0);
                if err_open {
                    let data = err.split().freeze();
                    keep_tail(&mut said, &data);
                    io.output(Stream::Err, data).await;
                }
            }
            done = &mut feeding, if !fed => {
                fed = true;
                if let Err(error) = done {
                    unfed = Some(error);
                    group.end().await;
                    break None;
                }
            }
            // Only behind the last of the output, which what it left in the background may still hold open.
            status = group.wait(), if !out_open && !err_open => break Some(status?),
        }
    };
    Ok(Ended {
        status,
        stopped: stopping.asked(),
        said,
        unfed,
    })
}

/// Hands the input over and closes it. Ends early when the program no longer listens; the error is the input's own.
pub(super) async fn feed(input: Option<ChildStdin>, stdin: Option<Reader>) -> io::Result<()> {
    if let (Some(mut input), Some(mut stdin)) = (input, stdin) {
        loop {
            let data = stdin.next().await?;
            if data.is_empty() || input.write_all(&data).await.is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// Keeps the last of what a program complains of.
pub(super) fn keep_tail(said: &mut Vec<u8>, data: &[u8]) {
    said.extend_from_slice(data);
    let excess = said.len().saturating_sub(SAID);
    said.drain(..excess);
}

/// The outcome that a program's own end means.
pub(super) fn outcome(status: ExitStatus) -> Outcome {
    let signal = match (status.code(), status.signal()) {
        (Some(code), _) => {
            return Outcome::Exited {
                status: u8::try_from(code).unwrap_or(u8::MAX),
            };
        }
        (None, signal) => signal.unwrap_or_default(),
    };
    let name = match signal {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        12 => "USR2",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        // No name in RFC 4254, section 6.10: as a shell would put it.
        _ => {
            return Outcome::Exited {
                status: u8::try_from(128 + signal).unwrap_or(u8::MAX),
            };
        }
    };
    Outcome::Killed {
        signal: name.to_owned(),
    }
}

/// A program as a stream: what is written goes to its standard input, what is read is its standard output.
#[derive(Debug)]
pub(super) struct Relay {
    /// All of it is killed with this.
    _group: Group,
    input: Option<ChildStdin>,
    output: ChildStdout,
    errors: Option<ChildStderr>,
    said: Vec<u8>,
}

impl Relay {
    /// Starts a program to talk to.
    pub(super) fn start(command: Command) -> io::Result<Self> {
        let (group, (input, output, errors)) = Group::start(command, true)?;
        Ok(Self {
            _group: group,
            input,
            output,
            errors: Some(errors),
            said: Vec::new(),
        })
    }

    /// The last of its standard error, once that has ended.
    pub(super) fn poll_said(&mut self, cx: &mut Context<'_>) -> Poll<&[u8]> {
        self.listen(cx);
        match self.errors {
            Some(_) => Poll::Pending,
            None => Poll::Ready(&self.said),
        }
    }

    /// Takes in what the program says on its standard error, so that it never blocks on it.
    fn listen(&mut self, cx: &mut Context<'_>) {
        let mut room = [0; SAID];
        while let Some(errors) = &mut self.errors {
            let mut buf = ReadBuf::new(&mut room);
            match Pin::new(errors).poll_read(cx, &mut buf) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    keep_tail(&mut self.said, buf.filled());
                }
                Poll::Ready(_) => self.errors = None,
            }
        }
    }
}

impl AsyncRead for Relay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.listen(cx);
        Pin::new(&mut self.output).poll_read(cx, buf)
    }
}

impl AsyncWrite for Relay {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_write(cx, data),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Closing the pipe is what the program sees as the end of its input.
        self.input = None;
        Poll::Ready(Ok(()))
    }
}
