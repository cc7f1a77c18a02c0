//! What all nodes share, each thing read once, when the first node needs it.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::algorithms::Configs;
use super::handshakes::HandshakeLimits;
use super::host_keys::{HostKeys, KnownHosts};
use super::keys::KeyRing;
use super::missing::Missing;
use super::questions::Questions;
use super::settings::Settings;
use super::target::{Route, Target};
use super::unforwarded::Unforwarded;
use super::user_config::{ConfigError, Given, Hop, HostSettings, Options, UserConfig};
use crate::destination::Destination;
use crate::event::{ErrorCode, Failure};
use crate::plan::NodeName;
use crate::prompt::Prompter;

/// A configuration, or why it cannot be used: the same for every node.
type Loaded = Result<Arc<UserConfig>, ConfigError>;

/// What all nodes share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) questions: Questions,
    pub(super) config: OnceCell<Loaded>,
    pub(super) hop_config: OnceCell<Loaded>,
    pub(super) configs: Configs,
    pub(super) known: Arc<KnownHosts>,
    pub(super) known_read: OnceCell<()>,
    pub(super) keys: KeyRing,
    pub(super) handshakes: HandshakeLimits,
    pub(super) unforwarded: Unforwarded,
    pub(super) missing: Missing,
}

impl Shared {
    pub(super) fn new(settings: Settings, prompter: Arc<dyn Prompter>) -> Self {
        Self {
            settings,
            questions: Questions::new(prompter),
            config: OnceCell::new(),
            hop_config: OnceCell::new(),
            configs: Configs::default(),
            known: Arc::default(),
            known_read: OnceCell::new(),
            keys: KeyRing::default(),
            handshakes: HandshakeLimits::default(),
            unforwarded: Unforwarded::default(),
            missing: Missing::default(),
        }
    }

    /// What the configuration says about a node.
    pub(super) async fn node_settings(&self, node: &str) -> Result<HostSettings, Failure> {
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
    pub(super) async fn explain(&self, node: &str) -> Result<(), Failure> {
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
    pub(super) async fn hop_settings(&self, hop: &Hop) -> Result<HostSettings, Failure> {
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

    pub(super) async fn target(
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
    pub(super) fn shell(&self) -> &str {
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
pub(super) async fn off_loop<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(ErrorCode::Connect, error.to_string()))
}
