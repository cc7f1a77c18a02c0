//! A session on a node behind a gateway, over the one connection to it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{future, io};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::link::{Answer, Link, Running};
use super::overdue::MARGIN;
use super::pipe::{End, Next};
use crate::event::{ErrorCode, Failure, Outcome, Stop, Stream};
use crate::gateway::SshClient;
use crate::gateway::session::{Call, Place};
use crate::plan::{Limits, NodeName};
use crate::transport::input::{self, Input, Reader};
use crate::transport::stopping::{Step, Stopping};
use crate::transport::{BoxFuture, Command, Duplex, Endpoint, NodeIo, Session, within};

/// A session that was used so shortly ago is taken to be there: asking costs a round trip.
const FRESH: Duration = Duration::from_secs(15);

/// How long a gateway may take to say whether a node is still there.
const ANSWER: Duration = Duration::from_secs(10);

/// A session on a node.
#[derive(Debug)]
pub(super) struct Remote {
    link: Arc<Link>,
    session: u32,
    /// How long the gateway may take to say whether a stream is open; `None` without a limit.
    patience: Option<Duration>,
    /// Whether the gateway has logged in to the node: `ssh` there does for each command only.
    is_logged_in: bool,
}

/// Why there is no session.
#[derive(Debug)]
pub(super) enum NotConnected {
    /// The gateway could not reach the node.
    Node(Failure),
    /// The gateway is lost; nothing was begun on the node.
    Gateway(String),
}

impl Remote {
    /// Lets the gateway connect to a node, which may take so long.
    pub(super) async fn connect(
        link: &Arc<Link>,
        node: &NodeName,
        limits: &Limits,
        patience: Option<Duration>,
    ) -> Result<Self, NotConnected> {
        let session = link.number().map_err(NotConnected::Gateway)?;
        // Dropped on the way, it is not to be made either.
        let remote = Self {
            link: Arc::clone(link),
            session,
            patience: limits
                .authenticate
                .map(|limit| limit.saturating_add(MARGIN)),
            is_logged_in: link.client != SshClient::Ssh,
        };
        let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64());
        let call = Call::Connect {
            session,
            node: node.to_string(),
            connect: seconds(limits.connect),
            authenticate: seconds(limits.authenticate),
        };
        let asking = link.ask(session, &call);
        let answer = match patience {
            None => asking.await,
            Some(patience) => timeout(patience, asking).await.unwrap_or_else(|_| {
                let text = format!(
                    "gateway {} did not say within {}s whether it is reached",
                    link.gateway,
                    patience.as_secs_f64()
                );
                let failure = Failure::new(ErrorCode::TimeoutConnect, text);
                Ok(Answer::Connected(Err(failure)))
            }),
        };
        match answer.map_err(NotConnected::Gateway)? {
            Answer::Connected(Ok(())) => Ok(remote),
            Answer::Connected(Err(failure)) => Err(NotConnected::Node(failure)),
            Answer::Answered(_) => {
                let why = "it answers something else than it is asked".to_owned();
                Err(NotConnected::Gateway(why))
            }
        }
    }

    async fn stream(&self, call: impl FnOnce(u32) -> Call) -> Result<Box<dyn Duplex>, Failure> {
        let running = self.link.begin(call)?;
        let late = |after: Duration| {
            let (gateway, after) = (&self.link.gateway, after.as_secs_f64());
            let text =
                format!("gateway {gateway} did not say within {after}s whether a stream is open");
            Failure::new(ErrorCode::HandshakeTimeout, text)
        };
        within(self.patience, late, running.pipe.open()).await?;
        Ok(Box::new(Remoted {
            running,
            rest: Bytes::new(),
        }))
    }
}

impl Session for Remote {
    fn exec<'a>(&'a mut self, command: &'a Command, io: &'a mut NodeIo) -> BoxFuture<'a, Outcome> {
        self.begin(command.clone(), io.clone())
    }

    fn begin(&mut self, command: Command, io: NodeIo) -> BoxFuture<'static, Outcome> {
        let begun = self.link.begin(|stream| Call::Exec {
            session: self.session,
            stream,
            line: command.line.clone(),
            pty: command.pty,
            stdin: command.stdin.is_some(),
        });
        match begun {
            Ok(running) => Box::pin(run(running, command, io)),
            Err(failure) => Box::pin(future::ready(Outcome::Failed(failure))),
        }
    }

    fn is_logged_in(&self) -> bool {
        self.is_logged_in
    }

    fn open<'a>(
        &'a mut self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        let session = self.session;
        let to = Place::from(endpoint);
        Box::pin(self.stream(move |stream| Call::Open {
            session,
            stream,
            to,
        }))
    }

    fn answers(&mut self, idle: Duration) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            if idle < FRESH || self.link.is_lost() {
                return !self.link.is_lost();
            }
            let session = self.session;
            let call = Call::Probe {
                session,
                idle: idle.as_secs_f64(),
            };
            let answered = timeout(ANSWER, self.link.ask(session, &call)).await;
            matches!(answered, Ok(Ok(Answer::Answered(true))))
        })
    }

    fn subsystem<'a>(
        &'a mut self,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        let session = self.session;
        Box::pin(self.stream(move |stream| Call::Subsystem {
            session,
            stream,
            name: name.to_owned(),
        }))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        // The gateway says goodbye to the node; nobody needs to wait for that.
        drop(self);
        Box::pin(future::ready(()))
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let session = self.session;
        self.link.forget(session);
        self.link.out.push(&Call::Close { session });
    }
}

/// Runs a command to its end.
async fn run(running: Running, command: Command, mut io: NodeIo) -> Outcome {
    let stdin = command.stdin.as_ref().map(Input::reader);
    let mut feeding = std::pin::pin!(feed(&running, stdin));
    let mut fed = false;
    let mut stopping = Stopping::default();
    loop {
        let next = tokio::select! {
            // A node that never pauses must not keep us from stopping it.
            biased;
            step = stopping.next(&mut io) => {
                let level = *io.stop.borrow();
                match step {
                    // The gateway takes the further steps by itself.
                    Step::Interrupt => running.tell(|stream| Call::Stop { stream, level }),
                    Step::Terminate => {}
                    Step::GiveUp => {
                        let level = Stop::Kill;
                        running.tell(|stream| Call::Stop { stream, level });
                        return Outcome::Failed(stopped(&command));
                    }
                }
                continue;
            }
            next = running.pipe.next() => next,
            done = &mut feeding, if !fed => {
                fed = true;
                if let Err(error) = done {
                    return input::unreadable(&error);
                }
                continue;
            }
        };
        match next {
            Next::Data(of, data) => io.output(of, data).await,
            Next::End(End::Ended(outcome)) => return outcome,
            Next::End(End::Failed(failure)) => {
                let message = format!("{}; the command may still be running", failure.message);
                return Outcome::Failed(Failure { message, ..failure });
            }
            Next::End(End::Eof) => {
                let text = format!("gateway {} lost its end", running.gateway());
                return Outcome::failed(ErrorCode::Lost, text);
            }
        }
    }
}

/// Hands the input over and closes it. Ends early when the command no longer listens; the error is the input's own.
async fn feed(running: &Running, stdin: Option<Reader>) -> io::Result<()> {
    if let Some(mut stdin) = stdin {
        loop {
            let data = stdin.next().await?;
            if data.is_empty() {
                break;
            }
            if running.pipe.send(Stream::Out, data).await.is_err() {
                return Ok(());
            }
        }
        running.tell(|stream| Call::Eof { stream });
    }
    Ok(())
}

fn stopped(command: &Command) -> Failure {
    let text = match command.pty {
        true => "stopped",
        false => "stopped; the command may still be running",
    };
    Failure::new(ErrorCode::Stopped, text)
}

/// A stream to a socket or a subsystem of the node.
struct Remoted {
    running: Running,
    /// What came and is not read yet.
    rest: Bytes,
}

impl AsyncRead for Remoted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match ready!(self.running.pipe.poll_next(cx)) {
                Next::Data(_, data) => self.rest = data,
                Next::End(end) => return Poll::Ready(broken(end)),
            }
        }
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Remoted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        match ready!(self.running.pipe.poll_room(cx)) {
            Ok(room) => {
                let length = room.min(data.len());
                let data = Bytes::copy_from_slice(&data[..length]);
                self.running.pipe.push(Stream::Out, data);
                Poll::Ready(Ok(length))
            }
            Err(end) => {
                let error = broken(end).err();
                Poll::Ready(Err(
                    error.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
                ))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.running.tell(|stream| Call::Eof { stream });
        Poll::Ready(Ok(()))
    }
}

/// What the end of a stream means for who reads it: only an end that the node gave it is one.
fn broken(end: End) -> io::Result<()> {
    match end {
        End::Eof => Ok(()),
        End::Failed(failure) => Err(io::Error::other(failure)),
        End::Ended(_) => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

impl From<&Endpoint> for Place {
    fn from(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Unix(path) => Self::Unix(path.clone()),
            Endpoint::Tcp { host, port } => Self::Tcp {
                host: host.clone(),
                port: *port,
            },
        }
    }
}

impl From<Place> for Endpoint {
    fn from(place: Place) -> Self {
        match place {
            Place::Unix(path) => Self::Unix(path),
            Place::Tcp { host, port } => Self::Tcp { host, port },
        }
    }
}
