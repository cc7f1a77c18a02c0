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
pub(super) mod errors;
mod guard;
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
mod target;
mod trust;
pub mod user_config;

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::relay::Via;
use crate::destination::Destination;
use crate::event::{ErrorCode, Failure};
use crate::plan::{Limits, NodeName};
use crate::prompt::Prompter;
use crate::trace::Trace;
use crate::transport::{BoxFuture, LoginUser, Session, Transport};
use algorithms::Configs;
use handshakes::HandshakeLimits;
use host_keys::{HostKeys, KnownHosts};
use jump::Hops;
use keys::KeyRing;
use missing::Missing;
use open::Unforwarded;
use questions::Questions;
use session::NodeSession;
use target::{Route, Target};
use user_config::{ConfigError, Facts, Given, Hop, HostSettings, Options, Proxy, UserConfig};

/// What the command line says about SSH. Identity files, hops and the like are `-o` options.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The facts the configuration is resolved with.
    pub facts: Facts,
    /// Files (`-F`) and options (`-o`).
    pub options: Options,
    /// Whom to log in as.
    pub user: LoginUser,
    /// How sockets on the nodes are reached.
    pub via: Via,
    /// What chooses the system's `ssh` instead on this command line, for hints: `-R ssh`.
    pub ssh_way: &'static str,
    /// Who wants to know of the way to the nodes.
    pub trace: Trace,
}

/// The native transport. Cheap to make: nothing is read before [`Native::check`] or the first node.
#[derive(Debug)]
pub struct Native {
    shared: Arc<Shared>,
}

impl Native {
    /// A transport with these settings; `prompter` is who can be asked for secrets.
    #[must_use]
    pub fn new(settings: Settings, prompter: Arc<dyn Prompter>) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
                questions: Questions::new(prompter),
                config: OnceCell::new(),
                hop_config: OnceCell::new(),
                configs: Configs::default(),
                known: Arc::default(),
                known_read: OnceCell::new(),
                keys: KeyRing::default(),
                handshakes: HandshakeLimits::default(),
                hops: Hops::default(),
                unforwarded: Unforwarded::default(),
                missing: Missing::default(),
            }),
        }
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
                Proxy::Jump(hops) => Route::Jump(shared.way(hops).await?),
            };
            let target = shared.target(node.clone(), settings, route).await?;
            let connection = connect::connect(shared, Arc::new(target), limits).await?;
            let session: Box<dyn Session> = Box::new(NodeSession {
                shared: Arc::clone(shared),
                connection: Arc::new(connection),
                patience: limits.authenticate,
            });
            Ok(session)
        })
    }
}

/// A configuration, or why it cannot be used: the same for every node.
type Loaded = Result<Arc<UserConfig>, ConfigError>;

/// What all nodes share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    questions: Questions,
    config: OnceCell<Loaded>,
    hop_config: OnceCell<Loaded>,
    configs: Configs,
    known: Arc<KnownHosts>,
    known_read: OnceCell<()>,
    keys: KeyRing,
    handshakes: HandshakeLimits,
    hops: Hops,
    unforwarded: Unforwarded,
    missing: Missing,
}

impl Shared {
    /// What the configuration says about a node.
    async fn node_settings(&self, node: &str) -> Result<HostSettings, Failure> {
        let destination = destination(node)?;
        let config = self.node_config().await?;
        resolve(config, destination.host, self.given(&destination)).await
    }

    async fn node_config(&self) -> Result<&Arc<UserConfig>, Failure> {
        let options = || self.settings.options.clone();
        self.load(&self.config, options).await
    }

    /// What is known of a node beside the configuration.
    fn given<'a>(&'a self, destination: &'a Destination<'_>) -> Given<'a> {
        let user = &self.settings.user;
        Given {
            user: user.asked.as_deref(),
            usual_user: destination.user.as_deref().or(user.usual.as_deref()),
            port: destination.port,
        }
    }

    /// Tells what the configuration says about a node, and where.
    async fn explain(&self, node: &str) -> Result<(), Failure> {
        let destination = destination(node)?;
        let config = self.node_config().await?;
        let told = config.explain(destination.host, self.given(&destination));
        for line in told.unwrap_or_default() {
            self.settings.trace.full(node, || line);
        }
        Ok(())
    }

    /// What the files say about a hop. As with `ssh`, the command line is about the nodes: `-o ProxyJump` must not
    /// send the hop through itself.
    async fn hop_settings(&self, hop: &Hop) -> Result<HostSettings, Failure> {
        let options = || Options {
            file: self.settings.options.file.clone(),
            options: Vec::new(),
        };
        let config = self.load(&self.hop_config, options).await?;
        let given = Given {
            user: hop.user.as_deref(),
            port: hop.port,
            ..Given::default()
        };
        resolve(config, &hop.host, given).await
    }

    async fn load<'a>(
        &self,
        cell: &'a OnceCell<Loaded>,
        options: impl FnOnce() -> Options,
    ) -> Result<&'a Arc<UserConfig>, Failure> {
        let load = || async {
            let facts = self.settings.facts.clone();
            let options = options();
            off_loop(move || UserConfig::load(facts, &options).map(Arc::new)).await
        };
        let loaded = cell.get_or_try_init(load).await?;
        loaded.as_ref().map_err(config_failure)
    }

    async fn target(
        &self,
        node: NodeName,
        settings: HostSettings,
        route: Route,
    ) -> Result<Target, Failure> {
        let host_keys = self.host_keys(&settings).await?;
        let around = (&self.settings.facts, &self.configs);
        Target::new(node, settings, route, host_keys, around)
    }

    /// What is known of a host's keys. The files are read off the loop for the first host; the others find them read.
    async fn host_keys(&self, settings: &HostSettings) -> Result<HostKeys, Failure> {
        let read = || {
            let known = Arc::clone(&self.known);
            let settings = settings.clone();
            let look = move || known.host(&settings.host_keys, &settings.host, settings.port);
            async { off_loop(look).await.map(drop) }
        };
        self.known_read.get_or_try_init(read).await?;
        let settings = (&settings.host_keys, &settings.host, settings.port);
        Ok(self.known.host(settings.0, settings.1, settings.2))
    }

    /// The user's shell, for commands of the configuration.
    fn shell(&self) -> &str {
        let shell = self.settings.facts.env.get("SHELL");
        shell
            .filter(|shell| !shell.is_empty())
            .map_or("/bin/sh", String::as_str)
    }
}

fn destination(node: &str) -> Result<Destination<'_>, Failure> {
    Destination::parse(node).map_err(|text| Failure::new(ErrorCode::Resolve, text))
}

/// What a configuration says about a host, off the loop if finding out may take its time.
async fn resolve(
    config: &Arc<UserConfig>,
    host: &str,
    given: Given<'_>,
) -> Result<HostSettings, Failure> {
    let resolved = if config.waits() {
        let (config, host) = (Arc::clone(config), host.to_owned());
        let user = given.user.map(str::to_owned);
        let usual = given.usual_user.map(str::to_owned);
        let port = given.port;
        let look = move || {
            let given = Given {
                user: user.as_deref(),
                usual_user: usual.as_deref(),
                port,
            };
            config.resolve(&host, given)
        };
        off_loop(look).await?
    } else {
        config.resolve(host, given)
    };
    resolved.map_err(|error| config_failure(&error))
}

fn config_failure(error: &ConfigError) -> Failure {
    Failure::new(ErrorCode::Connect, format!("SSH configuration: {error}"))
}

/// Runs what blocks off the loop.
async fn off_loop<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(ErrorCode::Connect, error.to_string()))
}
