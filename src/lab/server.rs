//! The SSH side of the lab: who listens, who is let in, and which channels are opened.

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener as StdTcpListener};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet, Pty, SshId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::fault::Fault;
use super::node::Node;
use super::socket::Socket;
use super::{address, session};
use crate::plan::NodeName;

/// What the nodes call themselves (RFC 4253, section 4.2).
const VERSION: &str = "SSH-2.0-hash_lab";

/// What sshd says when it sheds load (`sshd.c`, `drop_connection`).
const SHED: &[u8] = b"Exceeded MaxStartups\r\n";

/// The pause after a connection could not be accepted, which is for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A node, where it listens, and its configuration, which holds its key.
pub(super) type Post = (StdTcpListener, Arc<Node>, Arc<Config>);

/// What all nodes share.
#[derive(Debug)]
pub(super) struct Fleet {
    user_key: PublicKey,
    addresses: HashMap<NodeName, Ipv4Addr>,
    port: u16,
    shared: Option<(PublicKey, Arc<Config>)>,
}

impl Fleet {
    pub(super) fn new(user_key: PublicKey, nodes: &[NodeName], port: u16) -> Self {
        let addresses = nodes
            .iter()
            .enumerate()
            .map(|(index, name)| (Arc::clone(name), address(index)))
            .collect();
        Self {
            user_key,
            addresses,
            port,
            shared: None,
        }
    }

    /// The configuration of a node with this host key; nodes with equal keys in a row share it.
    pub(super) fn config(&mut self, key: PrivateKey) -> Arc<Config> {
        if let Some((shared_key, config)) = &self.shared
            && shared_key == key.public_key()
        {
            return Arc::clone(config);
        }
        let public = key.public_key().clone();
        let config = Arc::new(Config {
            server_id: SshId::Standard(VERSION.into()),
            methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
            // There is no secret to guess, and tests should not wait.
            auth_rejection_time: Duration::ZERO,
            keys: vec![key],
            inactivity_timeout: None,
            nodelay: true,
            ..Config::default()
        });
        self.shared = Some((public, Arc::clone(&config)));
        config
    }

    /// Serves all nodes, for ever.
    pub(super) async fn serve(self, posts: Vec<Post>) {
        let fleet = Arc::new(self);
        let born = Instant::now();
        let mut nodes = JoinSet::new();
        for (listener, node, config) in posts {
            let host = Host {
                fleet: Arc::clone(&fleet),
                node,
                config,
                born,
            };
            nodes.spawn(host.listen(listener));
        }
        // A node ends only if its listener cannot be used at all; the others go on.
        while nodes.join_next().await.is_some() {}
        std::future::pending().await
    }

    /// Where a node of the lab is, if the name (or address) and port are one's.
    fn find(&self, host: &str, port: u32) -> Option<(Ipv4Addr, u16)> {
        let found = match host.parse::<Ipv4Addr>() {
            Ok(address) => self.addresses.values().find(|known| **known == address),
            Err(_) => self.addresses.get(host),
        };
        found
            .filter(|_| port == u32::from(self.port))
            .map(|address| (*address, self.port))
    }
}

/// One node at its post.
#[derive(Clone)]
struct Host {
    fleet: Arc<Fleet>,
    node: Arc<Node>,
    config: Arc<Config>,
    born: Instant,
}

impl Host {
    /// Takes connections, for ever.
    async fn listen(self, listener: StdTcpListener) {
        let Ok(listener) = TcpListener::from_std(listener) else {
            return;
        };
        let mut visits = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = visits.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        visits.spawn(self.clone().visit(stream));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }

    /// Serves one connection, or does what the node's fault wants. Whatever ends a connection is the
    /// other side's to notice, so errors end here.
    async fn visit(self, mut stream: TcpStream) {
        if self.node.has(Fault::Hang) {
            let mut heard = [0; 1024];
            while stream.read(&mut heard).await.is_ok_and(|length| length > 0) {}
            return;
        }
        if self.node.has(Fault::MaxStartups) {
            let _ = stream.write_all(SHED).await;
            return;
        }
        if self.node.has(Fault::Drop) {
            let hello = format!("{VERSION}\r\n");
            if stream.write_all(hello.as_bytes()).await.is_ok() {
                let _ = stream.read(&mut [0; 1024]).await;
            }
            return;
        }
        self.node.pause().await;
        let config = Arc::clone(&self.config);
        if stream.set_nodelay(true).is_ok()
            && let Ok(serving) = russh::server::run_stream(config, stream, Visit::new(self)).await
        {
            let _ = serving.await;
        }
    }
}

/// One connection.
struct Visit {
    host: Host,
    channels: JoinSet<()>,
}

impl Visit {
    fn new(host: Host) -> Self {
        Self {
            host,
            channels: JoinSet::new(),
        }
    }

    fn auth(&self, key: &PublicKey) -> Auth {
        let known = key.key_data() == self.host.fleet.user_key.key_data();
        if known && !self.host.node.has(Fault::AuthFail) {
            Auth::Accept
        } else {
            Auth::reject()
        }
    }

    /// Has a channel served, beside the others of the connection.
    fn spawn(&mut self, serving: impl Future<Output = ()> + Send + 'static) {
        while self.channels.try_join_next().is_some() {}
        self.channels.spawn(serving);
    }

    /// Opens a channel to a socket of HAProxy, or refuses it.
    async fn open_socket(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        socket: Result<Socket, ChannelOpenFailure>,
    ) {
        match socket {
            Ok(socket) => {
                reply.accept().await;
                let (node, born) = (Arc::clone(&self.host.node), self.host.born);
                self.spawn(async move { socket.converse(channel, &node, born).await });
            }
            Err(reason) => reply.reject(reason).await,
        }
    }
}

impl Handler for Visit {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.auth(offer.public_key))
    }

    async fn auth_publickey(
        &mut self,
        _user: &str,
        verified: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.auth(verified.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        let (node, handle) = (Arc::clone(&self.host.node), session.handle());
        self.spawn(async move { session::serve(channel, &handle, &node).await });
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let socket = Socket::unix(&self.host.node, path);
        self.open_socket(channel, reply, socket).await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // Through one node to another, as ProxyJump wants it; to nowhere else.
        let Some(target) = self.host.fleet.find(host, port) else {
            let socket = Socket::tcp(&self.host.node, host, port);
            self.open_socket(channel, reply, socket).await;
            return Ok(());
        };
        match TcpStream::connect(target).await {
            Ok(mut stream) => {
                reply.accept().await;
                self.spawn(async move {
                    let mut channel = channel.into_stream();
                    // Ends with either side; both notice.
                    let _ = tokio::io::copy_bidirectional(&mut channel, &mut stream).await;
                });
            }
            Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
        }
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }
}
