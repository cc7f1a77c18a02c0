//! Streams to sockets on the node: forwarded by the SSH server, or by a helper program there.
//!
//! When the server refuses to forward it does not say why, so one command on the same connection looks at the
//! socket and becomes the helper if there is nothing wrong with it.

use std::sync::Arc;
use std::time::Duration;

use russh::ChannelOpenFailure;

use super::connection::Connection;
use super::errors;
use super::shared::Shared;
use crate::event::{ErrorCode, Failure};
use crate::transport::relay::{self, Via, Wanted};
use crate::transport::{Duplex, Endpoint, Session, within};

/// Where a stream begins.
pub(super) struct At {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Arc<Connection>,
    /// How long the server may take to say whether it forwards.
    pub(super) patience: Option<Duration>,
}

/// Opens a stream to a socket as the node sees it; commands for that are run on the session.
pub(super) async fn open(
    at: At,
    session: &mut dyn Session,
    endpoint: &Endpoint,
) -> Result<Box<dyn Duplex>, Failure> {
    let opened = by_way(&at, session, endpoint).await;
    if let Err(failure) = &opened {
        let node = &at.connection.target.node;
        let trace = &at.shared.settings.trace;
        trace.full(node, || failure.to_string());
    }
    opened
}

/// Opens it by the way that `--via` names.
async fn by_way(
    at: &At,
    session: &mut dyn Session,
    endpoint: &Endpoint,
) -> Result<Box<dyn Duplex>, Failure> {
    let (shared, connection) = (&at.shared, &at.connection);
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
    let forwarding = within(at.patience, asked, forwarded(connection, endpoint));
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
