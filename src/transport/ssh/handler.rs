//! What russh calls while a connection lives: the host key is judged, and what the server opens by itself is refused.

use std::sync::Arc;

use russh::client::{self, DisconnectReason, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, Names};

use super::errors::{self, ConnectError, printable};
use super::guard::Link;
use super::shared::Shared;
use super::target::Target;

/// What russh calls while a connection lives.
pub(super) struct Handler {
    pub(super) shared: Arc<Shared>,
    pub(super) target: Arc<Target>,
    pub(super) link: Arc<Link>,
}

impl client::Handler for Handler {
    type Error = ConnectError;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, ConnectError> {
        tokio::select! {
            verdict = self.shared.verify(&self.target, key) => {
                verdict.map_err(ConnectError::Refused).map(|()| true)
            }
            () = self.link.killed() => Err(russh::Error::Disconnect.into()),
        }
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        names: &Names,
        session: &mut Session,
    ) -> Result<(), ConnectError> {
        self.shared.settings.trace.full(&self.target.node, || {
            let server = printable(session.remote_sshid(), 80);
            let (kex, key, cipher) = (names.kex.as_ref(), &names.key, names.cipher.as_ref());
            format!("server {server}, {kex}, {key}, {cipher}")
        });
        Ok(())
    }

    async fn auth_banner(
        &mut self,
        banner: &str,
        _session: &mut Session,
    ) -> Result<(), ConnectError> {
        self.shared.settings.trace.full(&self.target.node, || {
            format!("banner: {}", printable(banner.as_bytes(), 300))
        });
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<ConnectError>,
    ) -> Result<(), ConnectError> {
        match reason {
            DisconnectReason::ReceivedDisconnect(said) => {
                self.link.lost(printable(said.message.as_bytes(), 120));
                Ok(())
            }
            DisconnectReason::Error(ConnectError::Ssh(error)) => {
                self.link.broke(errors::error_text(&error));
                Err(ConnectError::Ssh(error))
            }
            DisconnectReason::Error(error) => Err(error),
        }
    }

    // A server has no business opening channels to us. russh would accept most kinds; a handle that is dropped
    // refuses.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _refused: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _refused: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _refused: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _refused: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _refused: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _refused: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _refused: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ConnectError> {
        Ok(())
    }
}
