//! The native SSH transport: in this process, over russh.
//!
//! Everything that is equal for all nodes (configuration, keys, agent, host keys, answers of the person at the
//! terminal) lives in one `Shared` and is read once, when the first node needs it.
//!
//! ```text
//! resolve (user_config) -> gate -> stream (TCP | hop | command) -> guard -> handshake (host_keys) -> auth -> session
//! ```

mod agent;
mod algorithms;
mod auth;
mod clock;
mod connect;
mod connection;
pub(super) mod errors;
mod guard;
mod handler;
mod handshakes;
pub mod host_keys;
mod jump;
mod keys;
mod missing;
mod open;
mod open_key;
mod pattern;
mod proxy;
mod questions;
mod session;
mod settings;
mod shared;
mod target;
mod trust;
mod unforwarded;
pub mod user_config;

use std::sync::Arc;

use crate::event::Failure;
use crate::plan::{Limits, NodeName};
use crate::prompt::Prompter;
use crate::transport::{BoxFuture, Session, Transport};
use jump::Jumps;
use session::NodeSession;
pub use settings::Settings;
use shared::Shared;
use target::Route;
use user_config::{ConfigError, Proxy, UserConfig};

/// The native transport. Cheap to make: nothing is read before [`Native::check`] or the first node.
#[derive(Debug)]
pub struct Native {
    shared: Arc<Shared>,
    jumps: Jumps,
}

impl Native {
    /// A transport with these settings; `prompter` is who can be asked for secrets.
    #[must_use]
    pub fn new(settings: Settings, prompter: Arc<dyn Prompter>) -> Self {
        let shared = Arc::new(Shared::new(settings, prompter));
        let jumps = Jumps::new(Arc::clone(&shared));
        Self { shared, jumps }
    }

    /// Reads the configuration now, so that a mistake in it is one error before anything is contacted and not one
    /// of each node.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn check(&self) -> Result<(), ConfigError> {
        let settings = &self.shared.settings;
        let loaded = UserConfig::load(settings.facts.clone(), &settings.options)?;
        // Nobody connects yet; whoever did would have read the same.
        let _ = self.shared.config.set(Ok(Arc::new(loaded)));
        Ok(())
    }
}

impl Transport for Native {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        Box::pin(async move {
            let shared = &self.shared;
            let settings = shared.node_settings(node).await?;
            let way = shared.settings.ssh_way;
            shared.missing.name(&settings, way, &shared.questions);
            if shared.settings.trace.is_full() {
                shared.explain(node).await?;
            }
            let route = match &settings.proxy {
                Proxy::Direct => Route::Direct,
                Proxy::Command(command) => Route::Command(command.clone()),
                Proxy::Jump(hops) => Route::Jump(self.jumps.way(hops).await?),
            };
            let target = shared.target(node.clone(), settings, route).await?;
            let connection =
                connect::connect((shared, &self.jumps), Arc::new(target), limits).await?;
            let session: Box<dyn Session> = Box::new(NodeSession {
                shared: Arc::clone(shared),
                connection: Arc::new(connection),
                patience: limits.authenticate,
            });
            Ok(session)
        })
    }
}
