//! The user's ssh-agent: one connection for the run, used by one signature at a time.

use std::path::PathBuf;

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Error, HashAlg};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::{Duration, timeout};

use super::errors::reason;

/// An agent that says nothing for so long is given up; signing may wait for a touch, so it has the limit of
/// authentication instead.
const ANSWER: Duration = Duration::from_secs(5);

/// An agent behind a socket.
pub(super) struct Agent {
    path: PathBuf,
    client: Mutex<Option<AgentClient<UnixStream>>>,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("path", &self.path).finish()
    }
}

impl Agent {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            client: Mutex::new(None),
        }
    }

    /// What the agent holds.
    pub(super) async fn identities(&self) -> Result<Vec<AgentIdentity>, String> {
        let ask = async {
            let mut client = AgentClient::connect_uds(&self.path).await?;
            let identities = client.request_identities().await?;
            *self.client.lock().await = Some(client);
            Ok(identities)
        };
        match timeout(ANSWER, ask).await {
            Ok(answer) => answer.map_err(|error| text(&error)),
            Err(_) => Err("no answer".into()),
        }
    }

    /// Signs, appending the signature to the data.
    pub(super) async fn sign(
        &self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        let mut slot = self.client.lock().await;
        // Taken out while in use: if this future is dropped half-way, the answer to come must not be taken for
        // the next one's.
        let mut client = match slot.take() {
            Some(client) => client,
            None => AgentClient::connect_uds(&self.path)
                .await
                .map_err(|error| text(&error))?,
        };
        let signed = client.sign_request(identity, hash, data).await;
        if matches!(signed, Ok(_) | Err(Error::AgentFailure)) {
            *slot = Some(client);
        }
        signed.map_err(|error| text(&error))
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest of a foreign enum reads well as it is"
)]
fn text(error: &Error) -> String {
    match error {
        Error::IO(error) => reason(error),
        Error::AgentFailure => "the agent refuses to sign".into(),
        Error::AgentProtocolError => "the agent answers something else than expected".into(),
        other => other.to_string(),
    }
}
