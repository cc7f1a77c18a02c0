//! The stats sockets of a node's HAProxy, and a conversation on one of them.

use russh::server::Msg;
use russh::{Channel, ChannelOpenFailure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::fault::Fault;
use super::node::Node;
use crate::haproxy::answer::Level;

/// The TCP socket of each node's HAProxy, at level admin: `tcp:127.0.0.1:9999`.
const TCP_PORT: u32 = 9999;

/// The unix sockets of each node's HAProxy; the last one is its master's, where Debian has it.
const UNIX: &[(&str, Socket)] = &[
    ("/run/haproxy/admin.sock", Socket::Worker(Level::Admin)),
    (
        "/run/haproxy/operator.sock",
        Socket::Worker(Level::Operator),
    ),
    ("/run/haproxy/user.sock", Socket::Worker(Level::User)),
    ("/run/haproxy-master.sock", Socket::Master),
];

/// Longest line taken, as with HAProxy's default `tune.bufsize` of 16384.
const LINE: usize = 16_383;

/// What is behind a socket.
#[derive(Debug, Clone, Copy)]
pub(super) enum Socket {
    /// The process that serves, at a level (HAProxy configuration manual, `stats socket`).
    Worker(Level),
    /// The process that started it (HAProxy management guide, "Master CLI").
    Master,
}

impl Socket {
    /// What is at the path of a unix socket.
    ///
    /// # Errors
    /// What sshd says when it cannot connect there, whatever the reason.
    pub(super) fn unix(node: &Node, path: &str) -> Result<Self, ChannelOpenFailure> {
        UNIX.iter()
            .find(|(known, _)| *known == path && !node.has(Fault::HaproxyDown))
            .map(|(_, socket)| *socket)
            .ok_or(ChannelOpenFailure::ConnectFailed)
    }

    /// What is at a TCP port, as seen from the node.
    ///
    /// # Errors
    /// What sshd says when it cannot connect there.
    pub(super) fn tcp(node: &Node, host: &str, port: u32) -> Result<Self, ChannelOpenFailure> {
        let here = ["localhost", "127.0.0.1", "::1"].contains(&host) || *host == *node.name;
        if here && port == TCP_PORT && !node.has(Fault::HaproxyDown) {
            Ok(Self::Worker(Level::Admin))
        } else {
            Err(ChannelOpenFailure::ConnectFailed)
        }
    }

    /// The exit status of `transport::ssh::open`'s look at a socket from the node itself: 91 for a path where
    /// nothing is, 94 where nothing listens, 95 when all is well but there is no program to connect with.
    pub(super) fn look(node: &Node, socket: &str) -> u8 {
        match UNIX.iter().any(|(known, _)| *known == socket) {
            false if socket.starts_with('/') => 91,
            true if !node.has(Fault::HaproxyDown) => 95,
            _ => 94,
        }
    }

    /// Answers what came with the first line and closes, as HAProxy does without `prompt`.
    pub(super) async fn converse(self, channel: Channel<Msg>, node: &Node, born: Instant) {
        let mut stream = channel.into_stream();
        let mut heard = Vec::new();
        // Ends of the conversation: a line, the other side's end, a line too long, a lost connection.
        while !heard.contains(&b'\n') && heard.len() <= LINE {
            match stream.read_buf(&mut heard).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        if let Some(end) = heard.iter().rposition(|byte| *byte == b'\n') {
            node.pause().await;
            for line in heard[..end].split(|byte| *byte == b'\n') {
                let age = born.elapsed();
                let answer = node.ask(age, |haproxy| match self {
                    Self::Worker(level) => haproxy.answer(line, level, age),
                    Self::Master => haproxy.answer_as_master(line, age),
                });
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
            let endless = "# this HAProxy answers without end\n".repeat(512);
            while node.has(Fault::Flood) {
                if stream.write_all(endless.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
        // The other side may be gone already.
        let _ = stream.shutdown().await;
    }
}
