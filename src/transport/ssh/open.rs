//! Streams to sockets on the node: forwarded by the SSH server, or by a helper program there.
//!
//! When the server refuses to forward it does not say why, so one command on the same connection looks at the
//! socket and becomes the helper if there is nothing wrong with it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use russh::ChannelOpenFailure;

use super::connect::Connection;
use super::errors;
use super::session::NodeSession;
use crate::event::{ErrorCode, Failure};
use crate::plan::NodeName;
use crate::transport::relay::{self, Via, Wanted};
use crate::transport::{Duplex, Endpoint, within};

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
    session: &mut NodeSession,
    endpoint: &Endpoint,
) -> Result<Box<dyn Duplex>, Failure> {
    let opened = by_way(session, endpoint).await;
    if let Err(failure) = &opened {
        let node = &session.connection.target.node;
        let trace = &session.shared.settings.trace;
        trace.full(node, || failure.to_string());
    }
    opened
}

/// Opens it by the way that `--via` names.
async fn by_way(
    session: &mut NodeSession,
    endpoint: &Endpoint,
) -> Result<Box<dyn Duplex>, Failure> {
    let shared = Arc::clone(&session.shared);
    let connection = Arc::clone(&session.connection);
    let node = &connection.target.node;
    let via = &shared.settings.via;
    let mut wanted = Wanted {
        endpoint,
        via,
        user: &connection.target.settings.user,
        is_become: false,
        refused: None,
    };
    let trace = &shared.settings.trace;
    let told = |by: &str, stream| {
        trace.brief(node, || format!("{endpoint} by {by}"));
        stream
    };
    let asked = |after| {
        let after = errors::seconds(after);
        let text = format!("server did not say within {after} whether it forwards to {endpoint}");
        Failure::new(ErrorCode::Socket, text)
    };
    let forwarding = within(session.patience, asked, forwarded(&connection, endpoint));
    match via {
        Via::Auto if !shared.unforwarded.has(node) => {
            match forwarding.await? {
                Ok(stream) => Ok(told("streamlocal", stream)),
                Err(why) => {
                    let why = errors::refusal(&why);
                    trace.full(node, || {
                        format!("the server does not forward to {endpoint} ({why})")
                    });
                    wanted.refused = Some(&why);
                    let opened = relay::open(session, wanted).await?;
                    // It was not the socket's fault then.
                    shared.unforwarded.add(node);
                    Ok(told(&opened.by, opened.stream))
                }
            }
        }
        Via::Streamlocal => match forwarding.await? {
            Ok(stream) => Ok(told("streamlocal", stream)),
            Err(why) => Err(Failure::new(
                ErrorCode::Socket,
                format!(
                    "server does not forward to {endpoint} ({})",
                    errors::refusal(&why)
                ),
            )),
        },
        Via::Auto | Via::Socat | Via::Nc | Via::Command(_) => {
            let opened = relay::open(session, wanted).await?;
            Ok(told(&opened.by, opened.stream))
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
