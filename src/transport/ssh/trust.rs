//! Whether to go on with the key a server has shown: the verdict of `host_keys` under the user's policy.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};

use super::host_keys::Decision;
use super::shared::{Shared, off_loop};
use super::target::{Route, Target};

use crate::event::{ErrorCode, Failure};
use crate::prompt::Echo;

impl Shared {
    /// Goes on, or says why not. Nothing is sent to a host before this.
    pub(super) async fn verify(
        &self,
        target: &Arc<Target>,
        shown: &PublicKeyOrCertificate,
    ) -> Result<(), Failure> {
        let policy = &target.settings.host_keys;
        let key = shown.public_key();
        let tell = |how: &str| {
            self.settings.trace.full(&target.node, || {
                let name = target.host_keys.name();
                let fingerprint = key.fingerprint(HashAlg::Sha256);
                format!(
                    "host key {} {fingerprint} of {name}: {how}",
                    key.algorithm()
                )
            });
        };
        if policy.trust_loopback && is_loopback(target) {
            tell("not looked at (NoHostAuthenticationForLocalhost)");
            return Ok(());
        }
        let verdict = target.host_keys.judge(shown, SystemTime::now());
        let refuse = || target.host_keys.explain(&verdict, shown);
        match verdict.decide(policy.policy) {
            Decision::Accept => {
                let line = target.host_keys.known_at(shown);
                tell(&line.map_or_else(|| "known".to_owned(), |line| format!("known in {line}")));
                return Ok(());
            }
            Decision::Refuse => return Err(refuse()),
            Decision::Record => {}
            Decision::RecordAndWarn => {
                if target.settings.warnings {
                    self.questions.warn_once(
                        "StrictHostKeyChecking is off: new host keys are recorded and nobody checks them",
                    );
                }
            }
            Decision::Ask => {
                if target.settings.auth.batch || !self.asked(target, &key).await {
                    return Err(refuse());
                }
            }
        }
        tell("new, and recorded");
        self.record(Arc::clone(target), key).await
    }

    async fn record(&self, target: Arc<Target>, key: PublicKey) -> Result<(), Failure> {
        off_loop(move || target.host_keys.record(&key))
            .await?
            .map_err(|error| Failure::new(ErrorCode::HostKey, error.to_string()))
    }

    /// Asks whether the key is the host's; only a clear yes is one.
    async fn asked(&self, target: &Target, key: &PublicKey) -> bool {
        let mut prompt = format!(
            "{}: the host key of {} is not known: {} {}. Is it right (yes/no)? ",
            target.node,
            target.host_keys.name(),
            key.algorithm(),
            key.fingerprint(HashAlg::Sha256)
        );
        loop {
            let Some(answer) = self.questions.ask(&prompt, Echo::Shown).await else {
                return false;
            };
            match answer.trim().to_ascii_lowercase().as_str() {
                "yes" => return true,
                "no" | "" => return false,
                _ => prompt = format!("{}: please type yes or no: ", target.node),
            }
        }
    }
}

/// Only what is sure to be this machine without a look at the name service.
fn is_loopback(target: &Target) -> bool {
    let host = target.settings.host.as_str();
    let is_loopback = |address: IpAddr| address.is_loopback();
    matches!(target.route, Route::Direct)
        && (host == "localhost" || host.parse().is_ok_and(is_loopback))
}
