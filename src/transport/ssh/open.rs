//! Streams to sockets on the node: forwarded by the SSH server, or by a helper program there.
//!
//! When the server refuses to forward it does not say why, so one command on the same connection looks at the
//! socket and becomes the helper if there is nothing wrong with it.

use std::collections::HashSet;
use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;
use russh::{ChannelMsg, ChannelOpenFailure};
use tokio::io::AsyncReadExt;

use super::Shared;
use super::connect::Connection;
use super::errors::{self, printable};
use crate::event::{ErrorCode, Failure};
use crate::plan::NodeName;
use crate::transport::relay::{self, CHATTER, Finding, READY, Via};
use crate::transport::{Command, Duplex, Endpoint};

/// The hosts whose SSH server does not forward to sockets, so that they are asked once.
#[derive(Debug, Default)]
pub(super) struct Unforwarded(Mutex<HashSet<NodeName>>);

impl Unforwarded {
    fn has(&self, node: &NodeName) -> bool {
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.contains(node)
    }

    fn add(&self, node: &NodeName) {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.insert(node.clone());
    }
}

/// Opens a stream to a socket as the node sees it.
pub(super) async fn open(
    shared: &Shared,
    connection: &Connection,
    endpoint: &Endpoint,
) -> Result<Box<dyn Duplex>, Failure> {
    let node = &connection.target.node;
    match &shared.settings.via {
        Via::Auto if !shared.unforwarded.has(node) => {
            match forwarded(connection, endpoint).await? {
                Ok(stream) => Ok(stream),
                Err(why) => {
                    let stream = helped(connection, endpoint, None, Some(&why)).await?;
                    // It was not the socket's fault then.
                    shared.unforwarded.add(node);
                    Ok(stream)
                }
            }
        }
        Via::Auto => helped(connection, endpoint, None, None).await,
        Via::Streamlocal => match forwarded(connection, endpoint).await? {
            Ok(stream) => Ok(stream),
            Err(why) => Err(Failure::new(
                ErrorCode::Socket,
                format!(
                    "server does not forward to {endpoint} ({})",
                    errors::refusal(&why)
                ),
            )),
        },
        via @ (Via::Socat | Via::Nc) => helped(connection, endpoint, Some(via), None).await,
        Via::Command(template) => {
            let command = Command {
                line: relay::fill_in(template, endpoint),
                ..Command::default()
            };
            let channel = connection.start(&command).await?;
            Ok(Box::new(channel.into_stream()))
        }
    }
}

/// The server forwards, or says that it does not.
async fn forwarded(
    connection: &Connection,
    endpoint: &Endpoint,
) -> Result<Result<Box<dyn Duplex>, ChannelOpenFailure>, Failure> {
    let handle = &connection.handle;
    let opened = match endpoint {
        Endpoint::Unix(path) => handle.channel_open_direct_streamlocal(path).await,
        Endpoint::Tcp { host, port } => {
            handle
                .channel_open_direct_tcpip(host, u32::from(*port), "127.0.0.1", 0)
                .await
        }
    };
    match opened {
        Ok(channel) => Ok(Ok(Box::new(channel.into_stream()))),
        Err(russh::Error::ChannelOpenFailure(why)) => Ok(Err(why)),
        Err(_) => Err(errors::lost(&connection.link)),
    }
}

/// A helper forwards, or its diagnosis says what is wrong with the socket.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most messages mean nothing here"
)]
async fn helped(
    connection: &Connection,
    endpoint: &Endpoint,
    only: Option<&Via>,
    refused: Option<&ChannelOpenFailure>,
) -> Result<Box<dyn Duplex>, Failure> {
    let command = Command {
        line: relay::script(endpoint, only),
        ..Command::default()
    };
    let mut channel = connection.start(&command).await?;
    let mut said = BytesMut::new();
    let mut complaint = Vec::new();
    let mut status = None;
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                said.extend_from_slice(&data);
                if let Some(at) = said.windows(READY.len()).position(|part| part == READY) {
                    let rest = said.split_off(at + READY.len());
                    let (read, write) = tokio::io::split(channel.into_stream());
                    let read = Cursor::new(rest).chain(read);
                    return Ok(Box::new(tokio::io::join(read, write)));
                }
                if said.len() > CHATTER {
                    break;
                }
            }
            ChannelMsg::ExtendedData { data, .. } if complaint.len() < CHATTER => {
                complaint.extend_from_slice(&data);
            }
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            ChannelMsg::Failure => {
                return Err(Failure::new(
                    ErrorCode::ExecRefused,
                    format!("server neither forwards to {endpoint} nor runs commands"),
                ));
            }
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    let _ = channel.close().await;
    if connection.handle.is_closed() {
        return Err(errors::lost(&connection.link));
    }
    let user = &connection.target.settings.user;
    Err(match status.and_then(Finding::from_status) {
        Some(finding) => finding.failure(endpoint, user, only, refused.is_some()),
        // No shell, or one that runs nothing, such as nologin.
        None => {
            said.extend_from_slice(b" ");
            said.extend_from_slice(&complaint);
            let said = printable(&said, 160);
            let refused = refused.map(errors::refusal);
            let refused = refused.unwrap_or_else(|| "not asked to forward".into());
            Failure::new(
                ErrorCode::Socket,
                format!("cannot reach {endpoint} ({refused}), nor look why: {said}"),
            )
        }
    })
}
