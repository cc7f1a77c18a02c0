//! Nodes that go wrong: SSH servers on loopback that do as they should up to some phase, and then what they are told.

use std::borrow::Cow;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::keys::PrivateKey;
use russh::keys::key::safe_rng;
use russh::keys::{Algorithm, PublicKeyBase64 as _};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Response, Session};
use russh::server::{PublicKeyOffer, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, ChannelOpenFailure, MethodKind, MethodSet, Preferred};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy_bidirectional, duplex};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::lab::Lab;

/// Where a node goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before there is a connection.
    Connect,
    /// Before anything is said.
    Banner,
    /// After its version line.
    Exchange,
    /// When a key is shown.
    Login,
    /// When a channel is asked for.
    Channel,
    /// When a command, or a subsystem, is asked for on it.
    Request,
    /// After the first of the output.
    Output,
    /// After all of the output.
    End,
}

/// What goes wrong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It says no, in the words that there are for it.
    Refuse,
    /// It says nothing any more.
    Hang,
    /// It closes the connection.
    Drop,
    /// It sends without end what has no place there.
    Flood,
    /// It sends a little of that, and then nothing.
    Garbage,
    /// It takes its time, and then does as it should.
    Slow,
}

/// What a node gives on a channel.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    says: Vec<u8>,
    complains: Vec<u8>,
    then: Then,
}

/// How that ends.
#[derive(Debug, Clone)]
enum Then {
    Exit(u32),
    /// In order, and without a status.
    Close,
    Signal(&'static str),
    Hang,
    /// Never: this, over and over.
    Repeat(Vec<u8>),
}

impl Answer {
    /// These bytes, and then nothing.
    pub(super) fn says(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            says: bytes.into(),
            complains: Vec::new(),
            then: Then::Hang,
        }
    }

    /// These bytes on standard error, too.
    pub(super) fn complains(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.complains = bytes.into();
        self
    }

    pub(super) fn exits(mut self, status: u32) -> Self {
        self.then = Then::Exit(status);
        self
    }

    pub(super) fn closes(mut self) -> Self {
        self.then = Then::Close;
        self
    }

    pub(super) fn dies(mut self, signal: &'static str) -> Self {
        self.then = Then::Signal(signal);
        self
    }

    pub(super) fn repeats(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then = Then::Repeat(bytes.into());
        self
    }
}

/// A node.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) fault: Option<(Phase, Kind)>,
    /// What commands, and subsystems, give.
    pub(super) command: Answer,
    pub(super) subsystem: Answer,
    /// What a socket of it gives; without one it forwards to none.
    pub(super) socket: Option<Answer>,
    /// What it asks whoever logs in, over and over, instead of a key.
    pub(super) asks: Option<&'static str>,
    /// Its host key is not the known one.
    pub(super) is_stranger: bool,
}

impl Node {
    /// A node on which nothing is wrong.
    pub(super) fn new(name: &str) -> Self {
        let ok = Answer::says("ok\n").exits(0);
        Self {
            name: name.to_owned(),
            fault: None,
            command: ok.clone(),
            subsystem: ok,
            socket: None,
            asks: None,
            is_stranger: false,
        }
    }
}

/// A fleet of such nodes, as long as this lives.
pub(super) struct Fleet {
    dir: tempfile::TempDir,
    /// Those who stand before a door that opens to nobody.
    _queue: Vec<(TcpListener, Vec<TcpStream>)>,
    _runtime: Runtime,
}

impl Fleet {
    /// Starts the nodes. `honest` is a lab to which the configuration leads, too, and whose key is shown to all.
    pub(super) fn start(nodes: Vec<Node>, honest: Option<&Lab>) -> Self {
        let dir = tempfile::Builder::new().prefix("hf.").tempdir_in("/tmp");
        let dir = dir.expect("folder");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("runtime");
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("key");
        let other = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("key");
        let (mut config, mut known) = (String::new(), String::new());
        let mut queue = Vec::new();
        for node in nodes {
            let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
            let listener = listener.expect("bind");
            let port = listener.local_addr().expect("address").port();
            config += &format!("Host {}\n HostName 127.0.0.1\n Port {port}\n", node.name);
            let public = if node.is_stranger { &other } else { &key };
            let public = public.public_key_base64();
            known += &format!("[127.0.0.1]:{port} ssh-ed25519 {public}\n");
            match node.fault {
                Some((Phase::Connect, Kind::Refuse)) => continue,
                Some((Phase::Connect, _)) => {
                    drop(listener);
                    queue.push(runtime.block_on(crowd(port)));
                    continue;
                }
                _ => {}
            }
            let post = Arc::new(Post {
                config: Arc::new(server_config(&node, key.clone())),
                node,
            });
            runtime.spawn(listen(listener, post));
        }
        let at = |name: &str| dir.path().join(name).display().to_string();
        config += &format!(
            " Host bad*\n User operator\n UserKnownHostsFile {}\n",
            at("known_hosts")
        );
        config +=
            " GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking yes\n IdentityAgent none\n";
        if let Some(lab) = honest {
            config += &format!(" IdentityFile {}\n", lab.key().display());
            config += &fs::read_to_string(lab.ssh_config()).expect("ssh_config");
        }
        fs::write(at("known_hosts"), known).expect("known_hosts");
        fs::write(at("config"), config).expect("config");
        Self {
            dir,
            _queue: queue,
            _runtime: runtime,
        }
    }

    /// The ssh_config that leads to all.
    pub(super) fn config(&self) -> PathBuf {
        self.dir.path().join("config")
    }
}

/// A port whose queue is full: who comes next is not even answered.
async fn crowd(port: u16) -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().expect("socket");
    socket.set_reuseaddr(true).expect("address");
    socket
        .bind((Ipv4Addr::LOCALHOST, port).into())
        .expect("bind");
    let listener = socket.listen(1).expect("listen");
    let mut inside = Vec::new();
    loop {
        let connecting = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        match timeout(Duration::from_millis(300), connecting).await {
            Ok(stream) => inside.push(stream.expect("connect")),
            Err(_) => return (listener, inside),
        }
    }
}

fn server_config(node: &Node, key: PrivateKey) -> Config {
    let method = match node.asks {
        Some(_) => MethodKind::KeyboardInteractive,
        None => MethodKind::PublicKey,
    };
    let mut preferred = Preferred::default();
    if node.fault == Some((Phase::Exchange, Kind::Refuse)) {
        preferred.kex = Cow::Borrowed(&[russh::kex::DH_G1_SHA1]);
    }
    Config {
        methods: MethodSet::from([method].as_slice()),
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        inactivity_timeout: None,
        nodelay: true,
        preferred,
        ..Config::default()
    }
}

/// A node and how its server is set up.
struct Post {
    node: Node,
    config: Arc<Config>,
}

/// What has no place in the protocol, and would move the cursor.
const GARBAGE: &[u8] = b"\x1b[2J\x1b]0;gotcha\x07 garbage \xff\xfe\r\n";

/// How long a node that is slow takes.
const SLOW: Duration = Duration::from_millis(700);

const VERSION: &[u8] = b"SSH-2.0-OpenSSH_9.2\r\n";

async fn listen(listener: TcpListener, post: Arc<Post>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(visit(stream, Arc::clone(&post)));
    }
}

/// One connection. Whatever ends it is the other side's to notice.
async fn visit(mut stream: TcpStream, post: Arc<Post>) {
    match post.node.fault {
        Some((Phase::Banner, Kind::Refuse)) => {
            let _ = stream.write_all(b"Exceeded MaxStartups\r\n").await;
        }
        Some((Phase::Banner, Kind::Slow)) => {
            sleep(SLOW).await;
            serve(stream, post).await;
        }
        Some((Phase::Banner, kind)) => go_wrong(stream, kind).await,
        Some((Phase::Exchange, kind @ (Kind::Hang | Kind::Drop | Kind::Flood | Kind::Garbage))) => {
            let _ = stream.write_all(VERSION).await;
            // What the other side said is read, so that it hears of ours and not of a reset.
            let _ = stream.read(&mut [0; 4096]).await;
            go_wrong(stream, kind).await;
        }
        _ => serve(stream, post).await,
    }
}

/// What is left of a connection that goes wrong.
async fn go_wrong(mut stream: TcpStream, kind: Kind) {
    match kind {
        Kind::Refuse | Kind::Drop => return,
        Kind::Flood => while stream.write_all(&GARBAGE.repeat(100)).await.is_ok() {},
        Kind::Garbage => drop(stream.write_all(GARBAGE).await),
        Kind::Hang | Kind::Slow => {}
    }
    while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
}

/// SSH, over a wire that can go wrong.
async fn serve(stream: TcpStream, post: Arc<Post>) {
    let (inside, outside) = duplex(64 * 1024);
    let (wire, wrong) = watch::channel(None);
    let is_slow = post.node.fault == Some((Phase::Exchange, Kind::Slow));
    let visit = Visit {
        post: Arc::clone(&post),
        wire: Arc::new(wire),
    };
    let serving = async {
        if let Ok(session) =
            russh::server::run_stream(Arc::clone(&post.config), inside, visit).await
        {
            let _ = session.await;
        }
        // What was said last is still on the wire.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = carry(stream, outside, wrong, is_slow) => {}
        () = serving => {}
    }
}

async fn carry(
    mut stream: TcpStream,
    mut outside: DuplexStream,
    mut wrong: watch::Receiver<Option<Kind>>,
    is_slow: bool,
) {
    if is_slow {
        // The answer to each of the first packets comes late.
        for _ in 0..4 {
            let (mut ours, mut theirs) = ([0; 4096], [0; 4096]);
            tokio::select! {
                read = stream.read(&mut theirs) => match read {
                    Ok(read) if read > 0 => drop(outside.write_all(&theirs[..read]).await),
                    _ => return,
                },
                read = outside.read(&mut ours) => {
                    sleep(SLOW / 4).await;
                    let read = read.unwrap_or(0);
                    if stream.write_all(&ours[..read]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
    let kind = tokio::select! {
        _ = copy_bidirectional(&mut stream, &mut outside) => return,
        kind = wrong.wait_for(Option::is_some) => kind.ok().and_then(|kind| *kind),
    };
    if let Some(kind) = kind {
        go_wrong(stream, kind).await;
    }
}

/// One connection.
#[derive(Clone)]
struct Visit {
    post: Arc<Post>,
    wire: Arc<watch::Sender<Option<Kind>>>,
}

impl Visit {
    /// Does at a phase what the node is told; whether it goes on as it should.
    async fn reach(&self, phase: Phase) -> bool {
        match self.post.node.fault {
            Some((at, kind)) if at == phase => match kind {
                Kind::Refuse => false,
                Kind::Slow => {
                    sleep(SLOW).await;
                    true
                }
                Kind::Hang | Kind::Drop | Kind::Flood | Kind::Garbage => {
                    self.wire.send_replace(Some(kind));
                    std::future::pending().await
                }
            },
            _ => true,
        }
    }

    /// Serves a channel on which a command or a subsystem is asked for.
    async fn session(self, channel: Channel<Msg>, handle: russh::server::Handle) {
        let id = channel.id();
        let (mut input, output) = channel.split();
        let answer = loop {
            match input.wait().await {
                Some(ChannelMsg::Exec { .. }) => break &self.post.node.command,
                Some(ChannelMsg::RequestSubsystem { .. }) => break &self.post.node.subsystem,
                Some(_) => {}
                None => return,
            }
        };
        let answering = async {
            let _ = output.data_bytes(Bytes::from(answer.says.clone())).await;
            let _ = output
                .extended_data_bytes(1, Bytes::from(answer.complains.clone()))
                .await;
            if !self.reach(Phase::Output).await {
                return;
            }
            match &answer.then {
                Then::Exit(status) if self.reach(Phase::End).await => {
                    let _ = output.exit_status(*status).await;
                }
                Then::Exit(_) | Then::Close => {}
                Then::Signal(name) => {
                    let signal = russh::Sig::Custom((*name).to_owned());
                    let text = || String::from_utf8_lossy(GARBAGE).into_owned();
                    let _ = handle
                        .exit_signal_request(id, signal, false, text(), text())
                        .await;
                }
                Then::Hang => std::future::pending().await,
                Then::Repeat(bytes) => {
                    let bytes = Bytes::from(bytes.clone());
                    while output.data_bytes(bytes.clone()).await.is_ok() {}
                }
            }
        };
        let listening =
            async { while !matches!(input.wait().await, Some(ChannelMsg::Close) | None) {} };
        tokio::select! {
            () = answering => {
                let _ = output.eof().await;
                let _ = output.close().await;
            }
            () = listening => {}
        }
    }
}

impl Handler for Visit {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        _offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(
            match self.reach(Phase::Login).await && self.post.node.asks.is_none() {
                true => Auth::Accept,
                false => Auth::reject(),
            },
        )
    }

    async fn auth_publickey(
        &mut self,
        _user: &str,
        _verified: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(match self.post.node.fault {
            Some((Phase::Login, Kind::Refuse)) => Auth::reject(),
            _ => Auth::Accept,
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        _response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(question) = self.post.node.asks else {
            return Ok(Auth::reject());
        };
        let prompts = match question {
            "" => Vec::new(),
            question => vec![(Cow::Borrowed(question), false)],
        };
        Ok(Auth::Partial {
            name: "".into(),
            instructions: "".into(),
            prompts: prompts.into(),
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.reach(Phase::Channel).await {
            reply.accept().await;
            tokio::spawn(self.clone().session(channel, session.handle()));
        } else {
            reply
                .reject(ChannelOpenFailure::AdministrativelyProhibited)
                .await;
        }
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        _path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if !self.reach(Phase::Channel).await {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        }
        let Some(answer) = self.post.node.socket.clone() else {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        };
        reply.accept().await;
        tokio::spawn(async move {
            let mut stream = channel.into_stream();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&answer.says).await;
            match answer.then {
                Then::Repeat(bytes) => while stream.write_all(&bytes).await.is_ok() {},
                Then::Hang => while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {},
                Then::Exit(_) | Then::Close | Then::Signal(_) => {}
            }
        });
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _line: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.reach(Phase::Request).await {
            true => session.channel_success(channel),
            false => session.channel_failure(channel),
        }
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.reach(Phase::Request).await {
            true => session.channel_success(channel),
            false => session.channel_failure(channel),
        }
    }
}
