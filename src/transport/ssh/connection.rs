//! A connection that is logged in: its end, and streams through it to others.

use std::sync::Arc;
use std::time::Duration;

use russh::Disconnect;
use russh::client::Handle;

use super::errors;
use super::guard::{Kill, Link};
use super::handler::Handler;
use super::target::Target;
use crate::event::{ErrorCode, Failure};
use crate::transport::Duplex;

/// A connection that is logged in.
pub(super) struct Connection {
    pub(super) handle: Handle<Handler>,
    pub(super) link: Arc<Link>,
    pub(super) target: Arc<Target>,
    /// The hop this one goes through lives as long.
    pub(super) _hop: Option<Arc<Connection>>,
    pub(super) _kill: Kill,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("node", &self.target.node)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Says goodbye and waits a moment until it is out.
    pub(super) async fn close(self: Arc<Self>) {
        let bye = async {
            let sent = self.handle.disconnect(Disconnect::ByApplication, "", "");
            // Whatever else holds the connection ends it by letting go.
            if sent.await.is_ok()
                && let Some(connection) = Arc::into_inner(self)
            {
                let _ = connection.handle.await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), bye).await;
    }
}

/// A stream through a hop; the name is resolved there.
pub(super) async fn through(
    hop: &Connection,
    host: &str,
    port: u16,
) -> Result<Box<dyn Duplex>, Failure> {
    let opening = hop
        .handle
        .channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0);
    match opening.await {
        Ok(channel) => Ok(Box::new(channel.into_stream())),
        Err(error) => Err(refused(&error, hop, &errors::place(host, port))),
    }
}

fn refused(error: &russh::Error, hop: &Connection, place: &str) -> Failure {
    use russh::ChannelOpenFailure as Why;
    let hop_name = &hop.target.node;
    let russh::Error::ChannelOpenFailure(why) = error else {
        let lost = errors::lost(&hop.link).message;
        return Failure::new(ErrorCode::Connect, format!("jump host {hop_name}: {lost}"));
    };
    let text = match why {
        Why::ConnectFailed => format!("jump host {hop_name} cannot connect"),
        Why::AdministrativelyProhibited => {
            format!("jump host {hop_name} does not forward (AllowTcpForwarding)")
        }
        Why::UnknownChannelType | Why::ResourceShortage | Why::Other { .. } => format!(
            "jump host {hop_name} does not forward ({})",
            errors::refusal(why)
        ),
    };
    Failure::new(ErrorCode::Connect, text).detail(place)
}
