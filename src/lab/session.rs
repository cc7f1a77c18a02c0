//! One session channel: a command line is asked for, answered, and ended with a status or a signal.

use std::sync::Mutex;

use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::mpsc;

use super::fault::Fault;
use super::node::Node;
use super::shell::{Act, After, Script};
use super::socket::Socket;
use crate::event::Stream;

/// Most bytes written at once: what fits an SSH packet of the usual size.
const CHUNK: usize = 32 * 1024;

/// The number of standard error among a channel's extended data (RFC 4254, section 5.2).
const STDERR: u32 = 1;

/// Ctrl-C as a terminal sends it.
const INTERRUPT: u8 = 3;

/// The signals that the command does not heed.
type Ignored = Mutex<Vec<String>>;

/// How a command ended.
enum Ending {
    Status(u8),
    Signal(Sig),
}

/// Serves the channel until it is closed.
pub(super) async fn serve(channel: Channel<Msg>, handle: &Handle, node: &Node) {
    let id = channel.id();
    let (mut input, output) = channel.split();
    let mut terminal = false;
    let script = loop {
        match input.wait().await {
            Some(ChannelMsg::RequestPty { .. }) => terminal = true,
            Some(ChannelMsg::Exec { command, .. }) if node.has(Fault::Flood) => {
                drop(command);
                break Script::parse("yes this node talks without end", &node.name);
            }
            Some(ChannelMsg::Exec { command, .. }) => {
                break Script::parse(&String::from_utf8_lossy(&command), &node.name);
            }
            Some(ChannelMsg::RequestShell { .. }) => break Script::no_shell(),
            Some(ChannelMsg::Close) | None => return,
            Some(_) => {}
        }
    };
    // Without a bound: a command that waits for its output's window must not keep the connection from reading
    // the message that opens it.
    let (stdin_sender, stdin) = mpsc::unbounded_channel();
    let ignored = Ignored::default();
    let mut console = Console {
        output: &output,
        stdin: script.reads().then_some(stdin),
        ignored: &ignored,
        terminal,
    };
    let ending = tokio::select! {
        ending = console.run(&script, node) => ending,
        signal = listen(&mut input, stdin_sender, &ignored, terminal) => signal.map(Ending::Signal),
    };
    // Without an ending the connection is gone; otherwise a client that leaves now misses only the goodbye.
    let _ = match ending {
        None => return,
        Some(Ending::Status(status)) => output.exit_status(status.into()).await,
        Some(Ending::Signal(signal)) => {
            let said = handle.exit_signal_request(id, signal, false, String::new(), String::new());
            said.await.map_err(|()| russh::Error::SendError)
        }
    };
    let _ = output.eof().await;
    let _ = output.close().await;
}

/// Hands input on until a signal comes, or nothing when the channel was closed. It reads on when the
/// command does not: an unread channel would stop its whole connection.
async fn listen(
    input: &mut ChannelReadHalf,
    stdin: mpsc::UnboundedSender<Bytes>,
    ignored: &Ignored,
    terminal: bool,
) -> Option<Sig> {
    let mut stdin = Some(stdin);
    loop {
        let signal = match input.wait().await {
            Some(ChannelMsg::Data { data }) if terminal && data.contains(&INTERRUPT) => Sig::INT,
            Some(ChannelMsg::Data { data }) => {
                if let Some(sender) = &stdin
                    && sender.send(data).is_err()
                {
                    stdin = None;
                }
                continue;
            }
            Some(ChannelMsg::Eof) => {
                stdin = None;
                continue;
            }
            Some(ChannelMsg::Signal { signal }) => signal,
            Some(ChannelMsg::Close) | None => return None,
            Some(_) => continue,
        };
        if !ignored
            .lock()
            .is_ok_and(|ignored| ignored.contains(&name(&signal)))
        {
            return Some(signal);
        }
    }
}

/// The signal's name (RFC 4254, section 6.10).
fn name(signal: &Sig) -> String {
    if let Sig::Custom(name) = signal {
        name.clone()
    } else {
        format!("{signal:?}")
    }
}

/// What a command has for its input and output.
struct Console<'a> {
    output: &'a ChannelWriteHalf<Msg>,
    stdin: Option<mpsc::UnboundedReceiver<Bytes>>,
    ignored: &'a Ignored,
    terminal: bool,
}

impl Console<'_> {
    /// Plays the steps; `None` when the connection is gone.
    async fn run(&mut self, script: &Script, node: &Node) -> Option<Ending> {
        node.pause().await;
        let mut status = 0;
        for step in script.steps() {
            match step.after {
                After::Success if status != 0 => continue,
                After::Failure if status == 0 => continue,
                After::Any | After::Success | After::Failure => {}
            }
            status = match &step.act {
                Act::Print(text, status) => {
                    self.say(step.output, text.as_bytes()).await?;
                    *status
                }
                Act::Complain(text, status) => {
                    self.say(Some(Stream::Err), text.as_bytes()).await?;
                    *status
                }
                Act::Sleep(time) => {
                    tokio::time::sleep(*time).await;
                    0
                }
                Act::Cat => {
                    while let Some(data) = self.read().await {
                        self.say(step.output, &data).await?;
                    }
                    0
                }
                Act::Flood(line) => {
                    let lines = line.repeat(1 + CHUNK / line.len().max(1));
                    loop {
                        self.say(step.output, lines.as_bytes()).await?;
                        // A flood into nowhere must leave the others their turn.
                        tokio::task::yield_now().await;
                    }
                }
                Act::Exit(asked) => return Some(Ending::Status(asked.unwrap_or(status))),
                Act::Look(socket) => Socket::look(node, socket),
                Act::Ignore(signals) => {
                    if let Ok(mut ignored) = self.ignored.lock() {
                        ignored.extend_from_slice(signals);
                    }
                    0
                }
                Act::Die(signal) => return Some(Ending::Signal(Sig::Custom(signal.clone()))),
            };
        }
        Some(Ending::Status(status))
    }

    async fn read(&mut self) -> Option<Bytes> {
        self.stdin.as_mut()?.recv().await
    }

    /// Writes to a stream of the channel, waiting for its window; `None` when the connection is gone.
    async fn say(&self, stream: Option<Stream>, data: &[u8]) -> Option<()> {
        let Some(stream) = stream else {
            return Some(());
        };
        let data = if self.terminal {
            Bytes::from(carriage_returns(data))
        } else {
            Bytes::copy_from_slice(data)
        };
        for at in (0..data.len()).step_by(CHUNK) {
            let chunk = data.slice(at..data.len().min(at + CHUNK));
            match stream {
                // A terminal has one stream for both.
                Stream::Err if !self.terminal => {
                    self.output.extended_data_bytes(STDERR, chunk).await
                }
                Stream::Out | Stream::Err => self.output.data_bytes(chunk).await,
            }
            .ok()?;
        }
        Some(())
    }
}

/// The lines as a terminal wants them.
fn carriage_returns(data: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(data.len() + 16);
    for byte in data {
        if *byte == b'\n' {
            lines.push(b'\r');
        }
        lines.push(*byte);
    }
    lines
}
