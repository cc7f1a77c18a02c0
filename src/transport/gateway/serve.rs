//! The gateway's side of sessions: it does on its own sessions what it is asked to do, and says what becomes of it.
//!
//! Each session has a task, and each stream that it opens one more. What is slow waits for room in its own window; taking
//! in what is asked waits for nothing.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::outbox::Outbox;
use super::pipe::{End, Next, Pipe};
use crate::event::{ErrorCode, Event, Failure, Meter, NodeId, Outcome, Stop, Stream};
use crate::gateway::session::{Call, Reply};
use crate::gateway::{HEARTBEAT, LONGEST_ASK, Lines};
use crate::plan::{Limits, NodeName};
use crate::transport::input::{CHUNK, Input, Source};
use crate::transport::{BoxFuture, Command, Duplex, Endpoint, NodeIo, Session, Transport};

/// How long a goodbye to a node may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// More sessions at one time are not handed out.
const MOST: usize = 100_000;

/// The messages that come from the asking side.
#[derive(Debug)]
pub struct Messages<R> {
    input: R,
    chunk: BytesMut,
    lines: Lines,
}

impl<R: AsyncRead + Unpin> Messages<R> {
    /// From a byte stream.
    pub fn new(input: R) -> Self {
        Self {
            input,
            chunk: BytesMut::new(),
            lines: Lines::new(LONGEST_ASK),
        }
    }

    /// The next message; `None` at the end. May be dropped while it waits.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn next<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, String> {
        loop {
            if let Some(line) = self.lines.take()? {
                let message = serde_json::from_slice(line);
                return message.map(Some).map_err(|error| error.to_string());
            }
            self.chunk.reserve(64 * 1024);
            let read = self.input.read_buf(&mut self.chunk).await;
            if read.map_or(true, |count| count == 0) {
                return Ok(None);
            }
            self.lines.push(&self.chunk.split());
        }
    }
}

/// Hands out sessions of a transport until the asking side is gone.
///
/// # Errors
/// What is wrong with what is asked, in words; `out` is what else is to be said.
pub async fn serve(
    transport: &dyn Transport,
    calls: &mut Messages<impl AsyncRead + Unpin>,
    output: impl AsyncWrite + Unpin,
    out: Arc<Outbox>,
) -> Result<(), String> {
    let mut server = Server {
        transport,
        out: Arc::clone(&out),
        sessions: HashMap::new(),
        streams: Streams::default(),
    };
    let mut tasks: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
    let mut writing = std::pin::pin!(write(&out, output));
    let mut beat = interval(HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            call = calls.next::<Call>() => match call? {
                Some(call) => tasks.extend(server.take(call)?),
                // The caller is gone, and with it the reason for all of this.
                None => return Ok(()),
            },
            Some(()) = tasks.next(), if !tasks.is_empty() => {}
            // Nobody listens any more.
            () = &mut writing => return Ok(()),
            _ = beat.tick() => {
                if out.is_empty() {
                    out.push(&Reply::Alive);
                }
            }
        }
    }
}

/// Writes what is to be said, until it cannot be written.
async fn write(out: &Outbox, mut output: impl AsyncWrite + Unpin) {
    while let Some(bytes) = out.next(usize::MAX).await {
        if output.write_all(&bytes).await.is_err() {
            return;
        }
        if out.is_empty() && output.flush().await.is_err() {
            return;
        }
    }
}

/// What is asked on a session.
enum Request {
    Exec(Command, Work),
    Open(Endpoint, Work),
    Subsystem(String, Work),
    Probe(Duration),
}

/// A stream that is to be worked on.
struct Work {
    stream: u32,
    pipe: Arc<Pipe<Reply>>,
    /// How hard it is to stop; closed when nobody wants it any more.
    stop: watch::Receiver<Stop>,
}

impl Work {
    /// Ends when nobody wants the stream any more.
    fn dropped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop = self.stop.clone();
        async move { while stop.changed().await.is_ok() {} }
    }
}

/// A stream as the loop knows it.
#[derive(Debug)]
struct Entry {
    pipe: Arc<Pipe<Reply>>,
    stop: watch::Sender<Stop>,
}

/// The streams that are open, by number.
#[derive(Debug, Clone, Default)]
struct Streams(Arc<Mutex<HashMap<u32, Entry>>>);

impl Streams {
    fn with<T>(&self, what: impl FnOnce(&mut HashMap<u32, Entry>) -> T) -> T {
        // A panic elsewhere leaves the map whole: it is changed in single steps.
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn remove(&self, stream: u32) {
        self.with(|streams| drop(streams.remove(&stream)));
    }
}

struct Server<'a> {
    transport: &'a dyn Transport,
    out: Arc<Outbox>,
    sessions: HashMap<u32, mpsc::UnboundedSender<Request>>,
    streams: Streams,
}

impl<'a> Server<'a> {
    /// Takes in what is asked; gives back the work of a new session.
    fn take(&mut self, call: Call) -> Result<Option<BoxFuture<'a, ()>>, String> {
        match call {
            Call::Connect {
                session,
                node,
                connect,
                authenticate,
            } => {
                let limits = Limits {
                    connect: limit(connect)?,
                    authenticate: limit(authenticate)?,
                    ..Limits::default()
                };
                return self.connect(session, node.into(), limits).map(Some);
            }
            Call::Exec {
                session,
                stream,
                line,
                pty,
                stdin,
            } => {
                let work = self.work(stream)?;
                let feed = Feed(Arc::clone(&work.pipe));
                let stdin = stdin.then(|| Input::new(Arc::new(feed), Meter::default()));
                let command = Command { line, stdin, pty };
                self.request(session, Request::Exec(command, work));
            }
            Call::Open {
                session,
                stream,
                to,
            } => {
                let work = self.work(stream)?;
                self.request(session, Request::Open(to.into(), work));
            }
            Call::Subsystem {
                session,
                stream,
                name,
            } => {
                let work = self.work(stream)?;
                self.request(session, Request::Subsystem(name, work));
            }
            // A stream that is over is spoken of until the other side has heard of it.
            Call::Data { stream, data } => {
                if let Some(pipe) = self.pipe(stream) {
                    pipe.came(Stream::Out, data.0)?;
                }
            }
            Call::Eof { stream } => {
                if let Some(pipe) = self.pipe(stream) {
                    pipe.ended(End::Eof);
                }
            }
            Call::Room { stream, bytes } => {
                if let Some(pipe) = self.pipe(stream) {
                    pipe.has_room(bytes)?;
                }
            }
            Call::Stop { stream, level } => self.streams.with(|streams| {
                if let Some(entry) = streams.get(&stream) {
                    entry.stop.send_replace(level);
                }
            }),
            Call::Drop { stream } => self.streams.remove(stream),
            Call::Probe { session, idle } => {
                let idle = limit(Some(idle))?.unwrap_or_default();
                self.request(session, Request::Probe(idle));
            }
            // Without its sender the session ends when it has done what was asked.
            Call::Close { session } => drop(self.sessions.remove(&session)),
        }
        Ok(None)
    }

    fn connect(
        &mut self,
        session: u32,
        node: NodeName,
        limits: Limits,
    ) -> Result<BoxFuture<'a, ()>, String> {
        if self.sessions.len() >= MOST {
            return Err(format!("more than {MOST} sessions"));
        }
        let (sender, requests) = mpsc::unbounded_channel();
        if self.sessions.insert(session, sender).is_some() {
            return Err(format!("session {session} twice"));
        }
        let served = Served {
            out: Arc::clone(&self.out),
            streams: self.streams.clone(),
            requests,
            streaming: FuturesUnordered::new(),
        };
        Ok(Box::pin(served.run(self.transport, session, node, limits)))
    }

    /// A new stream.
    fn work(&mut self, stream: u32) -> Result<Work, String> {
        let pipe = Arc::new(Pipe::new(stream, Arc::clone(&self.out)));
        let (stop, stopped) = watch::channel(Stop::No);
        let entry = Entry {
            pipe: Arc::clone(&pipe),
            stop,
        };
        match self.streams.with(|streams| streams.insert(stream, entry)) {
            Some(_) => Err(format!("stream {stream} twice")),
            None => Ok(Work {
                stream,
                pipe,
                stop: stopped,
            }),
        }
    }

    fn pipe(&self, stream: u32) -> Option<Arc<Pipe<Reply>>> {
        let pipe = |entry: &Entry| Arc::clone(&entry.pipe);
        self.streams.with(|streams| streams.get(&stream).map(pipe))
    }

    fn request(&self, session: u32, request: Request) {
        let sent = match self.sessions.get(&session) {
            Some(sender) => sender.send(request).map_err(|unsent| unsent.0),
            None => Err(request),
        };
        let text = "there is no such session";
        let failure = Failure::new(ErrorCode::Lost, text);
        match sent {
            Ok(()) => {}
            Err(Request::Exec(_, Work { stream, .. })) => {
                let outcome = Outcome::Failed(failure);
                self.out.push(&Reply::Ended { stream, outcome });
            }
            Err(
                Request::Open(_, Work { stream, .. }) | Request::Subsystem(_, Work { stream, .. }),
            ) => {
                self.out.push(&Reply::NotOpened { stream, failure });
            }
            Err(Request::Probe(_)) => {
                let there = false;
                self.out.push(&Reply::Answered { session, there });
            }
        }
    }
}

/// A limit in seconds that came over the wire.
fn limit(seconds: Option<f64>) -> Result<Option<Duration>, String> {
    let limit = seconds.map(Duration::try_from_secs_f64).transpose();
    limit.map_err(|error| format!("bad limit: {error}"))
}

/// A session that is served.
struct Served {
    out: Arc<Outbox>,
    streams: Streams,
    requests: mpsc::UnboundedReceiver<Request>,
    /// The streams that are open on it.
    streaming: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl Served {
    async fn run(
        mut self,
        transport: &dyn Transport,
        session: u32,
        node: NodeName,
        limits: Limits,
    ) {
        let connected = tokio::select! {
            biased;
            connected = transport.connect(&node, &limits) => connected,
            // Nothing is asked of a session before it is there, so this is its end.
            _ = self.requests.recv() => return,
        };
        let mut there = match connected {
            Ok(there) => there,
            Err(failure) => return self.out.push(&Reply::NotConnected { session, failure }),
        };
        self.out.push(&Reply::Connected { session });
        loop {
            let request = tokio::select! {
                request = self.requests.recv() => request,
                Some(()) = self.streaming.next(), if !self.streaming.is_empty() => continue,
            };
            match request {
                Some(Request::Exec(command, work)) => self.exec(&mut *there, command, work),
                Some(Request::Open(endpoint, work)) => {
                    self.open(there.open(&endpoint), work).await;
                }
                Some(Request::Subsystem(name, work)) => {
                    self.open(there.subsystem(&name), work).await;
                }
                Some(Request::Probe(idle)) => {
                    let there = alongside(there.answers(idle), &mut self.streaming).await;
                    self.out.push(&Reply::Answered { session, there });
                }
                None => break,
            }
        }
        let _ = timeout(GOODBYE, there.close()).await;
    }

    /// Runs a command beside whatever else the session does.
    fn exec(&mut self, there: &mut dyn Session, command: Command, work: Work) {
        let (events, mut inbox) = mpsc::channel(8);
        let running = there.begin(command, NodeIo::new(NodeId(0), events, work.stop.clone()));
        let open = self.opened(work.stream);
        self.streaming.push(Box::pin(async move {
            let telling = async {
                while let Some(event) = inbox.recv().await {
                    if let Event::Output { stream, data, .. } = event
                        && work.pipe.send(stream, data).await.is_err()
                    {
                        return;
                    }
                }
            };
            let ended = async { tokio::join!(running, telling).0 };
            if let Some(outcome) = unless(work.dropped(), ended).await {
                let stream = open.stream;
                open.streams.remove(stream);
                open.out.push(&Reply::Ended { stream, outcome });
            }
        }));
    }

    fn opened(&self, stream: u32) -> Open {
        Open {
            stream,
            out: Arc::clone(&self.out),
            streams: self.streams.clone(),
        }
    }

    /// Opens a stream and lets it flow.
    async fn open(&mut self, opening: BoxFuture<'_, Result<Box<dyn Duplex>, Failure>>, work: Work) {
        let stream = work.stream;
        let opening = unless(work.dropped(), opening);
        match alongside(opening, &mut self.streaming).await {
            Some(Ok(duplex)) => {
                self.out.push(&Reply::Opened { stream });
                let open = self.opened(stream);
                self.streaming.push(Box::pin(async move {
                    let flowing = flow(duplex, &work.pipe, &open);
                    unless(work.dropped(), flowing).await;
                }));
            }
            Some(Err(failure)) => {
                self.streams.remove(stream);
                self.out.push(&Reply::NotOpened { stream, failure });
            }
            None => {}
        }
    }
}

/// A stream that is open, also when it has nothing more to say. It does not outlive its session.
struct Open {
    stream: u32,
    out: Arc<Outbox>,
    streams: Streams,
}

impl Drop for Open {
    fn drop(&mut self) {
        let stream = self.stream;
        if self
            .streams
            .with(|streams| streams.remove(&stream))
            .is_some()
        {
            let message = "its session is over".to_owned();
            self.out.push(&Reply::Broken { stream, message });
        }
    }
}

/// Does some work while the streams of its session flow on.
async fn alongside<T>(
    work: impl Future<Output = T>,
    streaming: &mut FuturesUnordered<BoxFuture<'static, ()>>,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Some(()) = streaming.next(), if !streaming.is_empty() => {}
        }
    }
}

/// Does some work unless something else ends before.
async fn unless<T>(ended: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = ended => None,
        done = work => Some(done),
    }
}

/// Carries a stream in both directions until it is dropped.
async fn flow(duplex: Box<dyn Duplex>, pipe: &Pipe<Reply>, open: &Open) {
    let (stream, out) = (open.stream, &open.out);
    let (mut read, mut write) = tokio::io::split(duplex);
    let back = async {
        let mut chunk = BytesMut::new();
        loop {
            let Ok(room) = std::future::poll_fn(|cx| pipe.poll_room(cx)).await else {
                return;
            };
            chunk.reserve(CHUNK);
            match (&mut read).take(room as u64).read_buf(&mut chunk).await {
                Ok(0) => return out.push(&Reply::Eof { stream }),
                Ok(_) => pipe.push(Stream::Out, chunk.split().freeze()),
                Err(error) => {
                    let message = error.to_string();
                    return out.push(&Reply::Broken { stream, message });
                }
            }
        }
    };
    let forth = async {
        loop {
            let done = match pipe.next().await {
                Next::Data(_, data) => write.write_all(&data).await.and(write.flush().await),
                Next::End(_) => {
                    let _ = write.shutdown().await;
                    return;
                }
            };
            // What is wrong with it is seen where it is read.
            if done.is_err() {
                return;
            }
        }
    };
    tokio::join!(back, forth);
}

/// What a command reads: what comes over its stream. It has one reader, which never goes back.
#[derive(Debug)]
struct Feed(Arc<Pipe<Reply>>);

impl Source for Feed {
    fn read(&self, _at: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        Box::pin(async {
            Ok(match self.0.next().await {
                Next::Data(_, data) => data,
                Next::End(_) => Bytes::new(),
            })
        })
    }
}
