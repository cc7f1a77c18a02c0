//! What is done on a connection: commands, and the end.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelWriteHalf, Pty, Sig};
use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::shared::Shared;
use super::{errors, open};
use crate::event::{ErrorCode, Failure, Outcome, Stop, Stream};
use crate::transport::input::{self, Input, Reader};
use crate::transport::stopping::{Step, Stopping};
use crate::transport::{BoxFuture, Command, Duplex, Endpoint, NodeIo, Session, until, within};

/// A connection that was used so shortly ago is taken to be there: asking costs a round trip.
const FRESH: Duration = Duration::from_secs(15);

/// Terminals of commands show what those print as it is: no carriage returns, and nothing of what is typed.
const PTY: [(Pty, u32); 2] = [(Pty::ONLCR, 0), (Pty::ECHO, 0)];

/// How long the other side may take to say that it is there.
const ANSWER: Duration = Duration::from_secs(5);

/// A session on a node.
#[derive(Debug)]
pub(super) struct NodeSession {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Arc<Connection>,
    /// How long the server may take to open a channel, and to say what becomes of what is asked on it.
    pub(super) patience: Option<Duration>,
}

impl Session for NodeSession {
    fn exec<'a>(&'a mut self, command: &'a Command, io: &'a mut NodeIo) -> BoxFuture<'a, Outcome> {
        self.begin(command.clone(), io.clone())
    }

    fn begin(&mut self, command: Command, mut io: NodeIo) -> BoxFuture<'static, Outcome> {
        let connection = Arc::clone(&self.connection);
        let patience = self.patience;
        Box::pin(async move {
            let starting = within(patience, errors::no_channel, connection.start(&command));
            let started = tokio::select! {
                biased;
                () = io.stopped(Stop::Terminate) => {
                    Err(Failure::new(ErrorCode::Stopped, "stopped; nothing was run"))
                }
                started = starting => started,
            };
            match started {
                Ok(channel) => connection.serve(channel, &command, patience, &mut io).await,
                Err(failure) => Outcome::Failed(failure),
            }
        })
    }

    fn open<'a>(
        &'a mut self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        let at = open::At {
            shared: Arc::clone(&self.shared),
            connection: Arc::clone(&self.connection),
            patience: self.patience,
        };
        Box::pin(open::open(at, self, endpoint))
    }

    fn answers(&mut self, idle: Duration) -> BoxFuture<'_, bool> {
        let handle = &self.connection.handle;
        Box::pin(async move {
            if handle.is_closed() || idle < FRESH {
                return !handle.is_closed();
            }
            let answered = timeout(ANSWER, handle.send_ping()).await;
            matches!(answered, Ok(Ok(()))) && !handle.is_closed()
        })
    }

    fn subsystem<'a>(
        &'a mut self,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        let patience = self.patience;
        let asking = async move {
            let link = &self.connection.link;
            let lost = |_| errors::lost(link);
            let channel = self.connection.handle.channel_open_session().await;
            let mut channel = channel.map_err(|error| errors::session_refused(&error, link))?;
            channel.request_subsystem(true, name).await.map_err(lost)?;
            loop {
                match channel.wait().await {
                    Some(ChannelMsg::Success) => return Ok(Box::new(channel.into_stream()) as _),
                    Some(ChannelMsg::Failure) => {
                        let text = format!("server refuses the subsystem {name}");
                        return Err(Failure::new(ErrorCode::ExecRefused, text));
                    }
                    None => return Err(errors::lost(link)),
                    Some(_) => {}
                }
            }
        };
        Box::pin(within(patience, errors::no_channel, asking))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        let connection = self.connection;
        Box::pin(async move { connection.close().await })
    }
}

impl Connection {
    /// A channel with the command started on it.
    ///
    /// The server's answer to the request is not waited for; a refusal comes before all output and is seen there.
    pub(super) async fn start(&self, command: &Command) -> Result<Channel<Msg>, Failure> {
        let lost = |_| errors::lost(&self.link);
        let channel = self.handle.channel_open_session().await;
        let channel = channel.map_err(|error| errors::session_refused(&error, &self.link))?;
        for (name, value) in &self.target.env {
            channel.set_env(false, name, value).await.map_err(lost)?;
        }
        if command.pty {
            channel
                .request_pty(false, "dumb", 80, 24, 0, 0, &PTY)
                .await
                .map_err(lost)?;
        }
        let asked = if command.line.is_empty() {
            channel.request_shell(true).await
        } else {
            channel.exec(true, command.line.as_bytes()).await
        };
        asked.map_err(lost)?;
        Ok(channel)
    }

    /// Hears a command to its end, which has `patience` to say that it runs.
    async fn serve(
        &self,
        channel: Channel<Msg>,
        command: &Command,
        patience: Option<Duration>,
        io: &mut NodeIo,
    ) -> Outcome {
        let (mut output, sender) = channel.split();
        let sender = Closing(sender);
        let stdin = command.stdin.as_ref().map(Input::reader);
        let mut feeding = std::pin::pin!(feed(&sender.0, stdin));
        let mut fed = false;
        let mut ended = None;
        let mut overdue = patience.map(|patience| Instant::now() + patience);
        let mut stopping = Stopping::default();
        loop {
            let message = tokio::select! {
                // A node that never pauses must not keep us from stopping it.
                biased;
                step = stopping.next(io) => {
                    let signal = match step {
                        Step::Interrupt => Sig::INT,
                        Step::Terminate => Sig::TERM,
                        Step::GiveUp => {
                            let _ = sender.0.close().await;
                            return ended.unwrap_or_else(|| stopped(command));
                        }
                    };
                    // What sshd refuses (signals to root's sessions) it refuses in silence.
                    let _ = sender.0.signal(signal).await;
                    continue;
                }
                message = output.wait() => message,
                () = until(overdue) => {
                    let _ = sender.0.close().await;
                    return Outcome::Failed(errors::unanswered(patience.unwrap_or_default()));
                }
                done = &mut feeding, if !fed => {
                    fed = true;
                    if let Err(error) = done {
                        let _ = sender.0.close().await;
                        return input::unreadable(&error);
                    }
                    continue;
                }
            };
            if !matches!(message, Some(ChannelMsg::WindowAdjusted { .. })) {
                overdue = None;
            }
            let broken = match message {
                // The only request with an answer is the one to run the command.
                Some(ChannelMsg::Failure) => {
                    let _ = sender.0.close().await;
                    let text = "server refuses to run commands";
                    return Outcome::failed(ErrorCode::ExecRefused, text);
                }
                // Data may follow the end of a stream and the exit status, so nothing ends before this.
                Some(ChannelMsg::Close) => errors::no_status(),
                None => errors::lost_running(&self.link),
                Some(message) => {
                    ended = heard(message, io).await.or(ended);
                    continue;
                }
            };
            return ended.unwrap_or_else(|| {
                Outcome::Failed(match stopping.asked() {
                    true => stop_failure(command),
                    false => broken,
                })
            });
        }
    }
}

/// Passes on output; gives the outcome if the message has it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest of a foreign enum says nothing about a command"
)]
async fn heard(message: ChannelMsg, io: &NodeIo) -> Option<Outcome> {
    match message {
        ChannelMsg::Data { data } => io.output(Stream::Out, data).await,
        ChannelMsg::ExtendedData { data, ext: 1 } => io.output(Stream::Err, data).await,
        ChannelMsg::ExitStatus { exit_status } => {
            return Some(Outcome::Exited {
                status: exit_code(exit_status),
            });
        }
        ChannelMsg::ExitSignal { signal_name, .. } => {
            return Some(Outcome::Killed {
                signal: signal_text(&signal_name).into_owned(),
            });
        }
        _ => {}
    }
    None
}

/// A channel that is closed when nobody waits for it any more: dropping it alone says nothing to the server.
struct Closing(ChannelWriteHalf<Msg>);

impl Drop for Closing {
    fn drop(&mut self) {
        // Where the connection is too busy even to be told, it is of no more use either.
        let _ = self.0.close().now_or_never();
    }
}

/// Hands the input over and closes it. Ends early when the command no longer listens; the error is the input's own.
async fn feed(channel: &ChannelWriteHalf<Msg>, stdin: Option<Reader>) -> io::Result<()> {
    if let Some(mut stdin) = stdin {
        loop {
            let data = stdin.next().await?;
            if data.is_empty() {
                break;
            }
            if channel.data_bytes(data).await.is_err() {
                return Ok(());
            }
        }
    }
    let _ = channel.eof().await;
    Ok(())
}

fn stopped(command: &Command) -> Outcome {
    Outcome::Failed(stop_failure(command))
}

fn stop_failure(command: &Command) -> Failure {
    let text = match command.pty {
        true => "stopped",
        false => "stopped; the command may still be running",
    };
    Failure::new(ErrorCode::Stopped, text)
}

/// A process has eight bits; a server that sends more is cut short, but never to success.
fn exit_code(status: u32) -> u8 {
    u8::try_from(status).unwrap_or(u8::MAX)
}

fn signal_text(signal: &Sig) -> Cow<'static, str> {
    Cow::Borrowed(match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => return Cow::Owned(errors::printable(name.as_bytes(), 20)),
    })
}
