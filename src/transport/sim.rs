//! Scripted nodes on tokio's clock: a fleet for tests and benchmarks that needs no network and, with the
//! clock paused, no time. It proves what is above the transport, never the transport itself.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{sleep, timeout};

use super::{BoxFuture, Command, Duplex, Endpoint, NodeIo, Session, Transport};
use crate::event::{ErrorCode, Failure, Outcome, Stop, Stream};
use crate::plan::{Limits, NodeName};

/// The pause between two chunks of a flood. A paused clock moves only when all tasks wait, so a flood
/// without a pause would keep every time limit from passing.
const FLOOD_PAUSE: Duration = Duration::from_millis(1);

/// A fleet of scripted nodes.
#[derive(Debug, Default)]
pub struct Sim {
    nodes: HashMap<NodeName, Arc<Script>>,
    every: Option<Arc<Script>>,
    census: Arc<Census>,
}

impl Sim {
    /// A fleet without nodes; connecting to one that has no script fails with `Resolve`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node, or replaces its script.
    #[must_use]
    pub fn node(mut self, name: &str, script: Script) -> Self {
        self.nodes.insert(name.into(), Arc::new(script));
        self
    }

    /// The script of every node that has none of its own.
    #[must_use]
    pub fn every(mut self, script: Script) -> Self {
        self.every = Some(Arc::new(script));
        self
    }

    /// How many connections are being made or open right now: 0 once nothing was left behind.
    #[must_use]
    pub fn open(&self) -> usize {
        self.census.open.load(Ordering::Relaxed)
    }

    /// The most connections that there were at one time.
    #[must_use]
    pub fn most_open(&self) -> usize {
        self.census.most.load(Ordering::Relaxed)
    }

    /// How many connections were ever begun.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.census.begun.load(Ordering::Relaxed)
    }
}

impl Transport for Sim {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        Box::pin(async move {
            let script = self
                .nodes
                .get(node)
                .or(self.every.as_ref())
                .ok_or_else(|| Failure::new(ErrorCode::Resolve, format!("cannot resolve {node}")))?
                .clone();
            let counted = Counted::new(&self.census);
            let connecting = async {
                // Even no time at all takes the timer's wheel to its next tick.
                if !script.connect_delay.is_zero() {
                    sleep(script.connect_delay).await;
                }
                match &script.connect {
                    Connect::Succeed => Ok(()),
                    Connect::Fail(failure) => Err(failure.clone()),
                    Connect::Hang => std::future::pending().await,
                }
            };
            match limits.connect {
                None => connecting.await,
                Some(limit) => timeout(limit, connecting).await.unwrap_or_else(|_| {
                    let message = format!("connect timed out after {}s", limit.as_secs_f64());
                    Err(Failure::new(ErrorCode::TimeoutConnect, message))
                }),
            }?;
            let session: Box<dyn Session> = Box::new(SimSession {
                script,
                _counted: counted,
            });
            Ok(session)
        })
    }
}

/// How one node behaves: how it is reached, what each command says and how it ends, and its sockets.
#[derive(Debug, Clone)]
pub struct Script {
    connect_delay: Duration,
    connect: Connect,
    steps: Vec<Step>,
    end: End,
    stubborn: bool,
    sockets: Vec<(Endpoint, Answers)>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            connect_delay: Duration::ZERO,
            connect: Connect::Succeed,
            steps: Vec::new(),
            end: End::With(Outcome::OK),
            stubborn: false,
            sockets: Vec::new(),
        }
    }
}

#[derive(Debug, Clone)]
enum Connect {
    Succeed,
    Fail(Failure),
    Hang,
}

#[derive(Debug, Clone)]
enum Step {
    Say(Stream, Bytes),
    Echo,
    Wait(Duration),
}

#[derive(Debug, Clone)]
enum End {
    With(Outcome),
    Hang,
    Flood(Bytes),
}

impl Script {
    /// A node on which every command succeeds in silence.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A node on which every command prints this and succeeds.
    #[must_use]
    pub fn output(data: impl Into<Bytes>) -> Self {
        Self::new().out(data)
    }

    /// A node that cannot be connected to.
    #[must_use]
    pub fn unreachable(code: ErrorCode, message: &str) -> Self {
        Self {
            connect: Connect::Fail(Failure::new(code, message)),
            ..Self::default()
        }
    }

    /// A node that takes the connection and never answers.
    #[must_use]
    pub fn silent() -> Self {
        Self {
            connect: Connect::Hang,
            ..Self::default()
        }
    }

    /// Connecting takes this long.
    #[must_use]
    pub fn connects_after(mut self, delay: Duration) -> Self {
        self.connect_delay = delay;
        self
    }

    /// The command then writes this to its standard output.
    #[must_use]
    pub fn out(self, data: impl Into<Bytes>) -> Self {
        self.step(Step::Say(Stream::Out, data.into()))
    }

    /// The command then writes this to its standard error.
    #[must_use]
    pub fn err(self, data: impl Into<Bytes>) -> Self {
        self.step(Step::Say(Stream::Err, data.into()))
    }

    /// The command then writes its standard input to its standard output.
    #[must_use]
    pub fn echo(self) -> Self {
        self.step(Step::Echo)
    }

    /// The command then waits.
    #[must_use]
    pub fn wait(self, delay: Duration) -> Self {
        self.step(Step::Wait(delay))
    }

    /// The command then ends with this status.
    #[must_use]
    pub fn exit(self, status: u8) -> Self {
        self.end(End::With(Outcome::Exited { status }))
    }

    /// The command is then killed by this signal.
    #[must_use]
    pub fn killed(self, signal: &str) -> Self {
        self.end(End::With(Outcome::Killed {
            signal: signal.to_owned(),
        }))
    }

    /// The connection is then lost.
    #[must_use]
    pub fn lost(self) -> Self {
        let message = "connection lost; the command may still be running";
        self.end(End::With(Outcome::failed(ErrorCode::Lost, message)))
    }

    /// The command then goes on for ever, in silence.
    #[must_use]
    pub fn hang(self) -> Self {
        self.end(End::Hang)
    }

    /// The command then prints this over and over, without end.
    #[must_use]
    pub fn flood(self, data: impl Into<Bytes>) -> Self {
        self.end(End::Flood(data.into()))
    }

    /// The command does not end when it is asked to.
    #[must_use]
    pub fn stubborn(mut self) -> Self {
        self.stubborn = true;
        self
    }

    /// The node has a socket that answers one line on each connection and then closes, as HAProxy's stats
    /// socket does (HAProxy management guide, "Unix Socket commands").
    #[must_use]
    pub fn socket(
        mut self,
        endpoint: Endpoint,
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        self.sockets.push((endpoint, Answers(Arc::new(answer))));
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    fn end(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    /// Plays one command until its end.
    async fn play(&self, command: &Command, io: &NodeIo) -> Outcome {
        for step in &self.steps {
            match step {
                Step::Say(stream, data) => io.output(*stream, data.clone()).await,
                Step::Echo => {
                    let Some(stdin) = &command.stdin else {
                        continue;
                    };
                    let mut reader = stdin.reader();
                    loop {
                        match reader.next().await {
                            Ok(data) if data.is_empty() => break,
                            Ok(data) => io.output(Stream::Out, data).await,
                            Err(error) => return super::input::unreadable(&error),
                        }
                    }
                }
                Step::Wait(delay) => sleep(*delay).await,
            }
        }
        match &self.end {
            End::With(outcome) => outcome.clone(),
            End::Hang => std::future::pending().await,
            End::Flood(data) => loop {
                io.output(Stream::Out, data.clone()).await;
                sleep(FLOOD_PAUSE).await;
            },
        }
    }
}

/// A connection to a scripted node.
struct SimSession {
    script: Arc<Script>,
    _counted: Counted,
}

impl Session for SimSession {
    fn exec<'a>(&'a mut self, command: &'a Command, io: &'a mut NodeIo) -> BoxFuture<'a, Outcome> {
        self.begin(command.clone(), io.clone())
    }

    fn begin(&mut self, command: Command, io: NodeIo) -> BoxFuture<'static, Outcome> {
        let script = Arc::clone(&self.script);
        Box::pin(async move {
            let mut stop = io.stop.clone();
            let asked = async {
                let asked = |level: &Stop| *level >= Stop::Terminate;
                let deaf = stop.wait_for(asked).await.is_err();
                if script.stubborn || deaf {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                () = asked => Outcome::Killed { signal: "TERM".to_owned() },
                outcome = script.play(&command, &io) => outcome,
            }
        })
    }

    fn open<'a>(
        &'a mut self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        Box::pin(async move {
            let found = self.script.sockets.iter().find(|(at, _)| at == endpoint);
            let (_, answers) = found.ok_or_else(|| {
                Failure::new(ErrorCode::Socket, format!("{endpoint}: no such socket"))
            })?;
            let socket: Box<dyn Duplex> = Box::new(SimSocket::new(answers.clone()));
            Ok(socket)
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

/// What a socket says to a line.
#[derive(Clone)]
struct Answers(Arc<Answer>);

/// From a line to the bytes of its answer.
type Answer = dyn Fn(&str) -> Vec<u8> + Send + Sync;

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

/// A socket that answers its first line and closes.
struct SimSocket {
    answers: Answers,
    line: Vec<u8>,
    answer: Option<Bytes>,
    reader: Option<Waker>,
}

impl SimSocket {
    fn new(answers: Answers) -> Self {
        Self {
            answers,
            line: Vec::new(),
            answer: None,
            reader: None,
        }
    }

    fn settle(&mut self, answer: Vec<u8>) {
        self.answer = Some(answer.into());
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl AsyncRead for SimSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(answer) = &mut self.answer else {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let length = answer.len().min(buffer.remaining());
        buffer.put_slice(&answer[..length]);
        answer.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.answer.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.line.extend_from_slice(data);
        if let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&self.line[..end]).into_owned();
            let answer = (self.answers.0)(&line);
            self.settle(answer);
        }
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.answer.is_none() {
            self.settle(Vec::new());
        }
        Poll::Ready(Ok(()))
    }
}

/// Counts connections.
#[derive(Debug, Default)]
struct Census {
    open: AtomicUsize,
    most: AtomicUsize,
    begun: AtomicUsize,
}

/// One connection, counted for as long as it lives.
struct Counted(Arc<Census>);

impl Counted {
    fn new(census: &Arc<Census>) -> Self {
        let open = census.open.fetch_add(1, Ordering::Relaxed) + 1;
        census.most.fetch_max(open, Ordering::Relaxed);
        census.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(census))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::{mpsc, watch};
    use tokio::time::Instant;

    use super::*;
    use crate::event::{Event, NodeId};

    const CONNECT: Limits = Limits {
        connect: Some(Duration::from_secs(10)),
        authenticate: None,
        idle: None,
        command: None,
        deadline: None,
    };

    fn line() -> (NodeIo, mpsc::Receiver<Event>, watch::Sender<Stop>) {
        let (events, received) = mpsc::channel(16);
        let (stop, seen) = watch::channel(Stop::No);
        (NodeIo::new(NodeId(0), events, seen), received, stop)
    }

    async fn connect(sim: &Sim, name: &str) -> Result<Box<dyn Session>, Failure> {
        sim.connect(&name.into(), &CONNECT).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_says_its_lines_and_ends() {
        let script = Script::output("one\n")
            .wait(Duration::from_secs(3600))
            .err("two\n")
            .echo()
            .exit(3);
        let sim = Sim::new().node("n1", script);
        let (mut io, mut events, _stop) = line();
        let mut session = connect(&sim, "n1").await.unwrap();
        let command = Command {
            stdin: Some("in".into()),
            ..Command::default()
        };
        let outcome = session.exec(&command, &mut io).await;
        assert_eq!(outcome, Outcome::Exited { status: 3 });
        drop(io);
        let mut said = Vec::new();
        while let Some(Event::Output { stream, data, .. }) = events.recv().await {
            said.push((stream, data));
        }
        let expected = [
            (Stream::Out, "one\n".into()),
            (Stream::Err, "two\n".into()),
            (Stream::Out, "in".into()),
        ];
        assert_eq!(said, expected);
        assert_eq!((sim.open(), sim.most_open(), sim.connections()), (1, 1, 1));
        session.close().await;
        assert_eq!(sim.open(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_that_cannot_be_reached_say_why() {
        let sim = Sim::new()
            .node("silent", Script::silent())
            .node("down", Script::unreachable(ErrorCode::Refused, "refused"))
            .node(
                "slow",
                Script::new().connects_after(Duration::from_secs(11)),
            );
        let begun = Instant::now();
        let mut codes = Vec::new();
        for name in ["silent", "down", "slow", "unknown"] {
            codes.push(connect(&sim, name).await.err().map(|failure| failure.code));
        }
        let expected = [
            ErrorCode::TimeoutConnect,
            ErrorCode::Refused,
            ErrorCode::TimeoutConnect,
            ErrorCode::Resolve,
        ];
        assert_eq!(codes, expected.map(Some));
        assert_eq!(begun.elapsed(), Duration::from_secs(20));
        assert_eq!(sim.open(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_ends_when_asked_unless_it_is_stubborn() {
        let sim = Sim::new()
            .node("good", Script::new().hang())
            .node("bad", Script::new().hang().stubborn());
        let (mut io, _events, stop) = line();
        stop.send_replace(Stop::Terminate);
        let command = Command::default();
        let mut good = connect(&sim, "good").await.unwrap();
        let outcome = good.exec(&command, &mut io).await;
        let signal = "TERM".to_owned();
        assert_eq!(outcome, Outcome::Killed { signal });
        let mut bad = connect(&sim, "bad").await.unwrap();
        let limit = Duration::from_secs(60);
        assert!(timeout(limit, bad.exec(&command, &mut io)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_answers_one_line_and_closes() {
        let endpoint = Endpoint::Unix("/run/haproxy/admin.sock".to_owned());
        let script = Script::new().socket(endpoint.clone(), |line| format!("<{line}>").into());
        let sim = Sim::new().every(script);
        let mut session = connect(&sim, "any").await.unwrap();
        let mut socket = session.open(&endpoint).await.unwrap();
        socket.write_all(b"show info\n").await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "<show info>");
        let missing = Endpoint::Unix("/run/none".to_owned());
        let failure = session.open(&missing).await.err().unwrap();
        assert_eq!(failure.code, ErrorCode::Socket);
    }
}
