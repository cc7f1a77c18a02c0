//! A node as the configuration sees it: where it is, how to get there and how to log in.

use std::sync::Arc;

use russh::MethodKind;
use russh::client::Config;

use super::algorithms::{self, Configs, HostKeyPreference};
use super::errors;
use super::host_keys::HostKeys;
use super::keys::KeyChoice;
use super::user_config::{Facts, Hop, HostSettings};
use crate::event::Failure;
use crate::plan::NodeName;

/// A node to connect to.
#[derive(Debug)]
pub(super) struct Target {
    /// As the user calls it.
    pub(super) node: NodeName,
    pub(super) settings: HostSettings,
    pub(super) route: Route,
    /// Whose limit of handshakes it counts against.
    pub(super) peer: Arc<str>,
    pub(super) config: Arc<Config>,
    /// The methods to log in, in order.
    pub(super) methods: Vec<MethodKind>,
    pub(super) keys: KeyChoice,
    /// Signature algorithms our keys may use, if that is restricted.
    pub(super) accepted: Option<Vec<String>>,
    /// What is known of its host key.
    pub(super) host_keys: HostKeys,
    /// Environment for commands.
    pub(super) env: Vec<(String, String)>,
}

/// How to get there.
#[derive(Debug)]
pub(super) enum Route {
    Direct,
    /// Through these, nearest to us first.
    Jump(Arc<[Hop]>),
    /// Over a local command.
    Command(String),
}

/// OpenSSH's order, without what we do not have.
const METHODS: [MethodKind; 3] = [
    MethodKind::PublicKey,
    MethodKind::KeyboardInteractive,
    MethodKind::Password,
];

impl Target {
    /// The target for a resolved host.
    pub(super) fn new(
        node: NodeName,
        settings: HostSettings,
        route: Route,
        host_keys: HostKeys,
        (facts, configs): (&Facts, &Configs),
    ) -> Result<Self, Failure> {
        let wanted = HostKeyPreference::new(&settings.host_key_algorithms, &host_keys)?;
        let config = configs.get(&settings, wanted)?;
        let peer = match &route {
            Route::Direct => errors::place(&settings.host, settings.port),
            Route::Jump(hops) => format!("jump {}", hop_names(hops)),
            Route::Command(command) => {
                // The hosts behind one command have one peer, so what tells them apart is taken out.
                let command = command.replace(&settings.host, "%h");
                let command = command.replace(&settings.original, "%n");
                format!("command {command}")
            }
        };
        let auth = &settings.auth;
        let methods = methods(&settings);
        let keys = KeyChoice {
            files: auth.identity_files.clone(),
            given: auth.identity_files_named,
            certificates: auth.certificate_files.clone(),
            only: auth.identities_only,
            agent: auth.agent.clone(),
        };
        let accepted = match auth.accepted_algorithms.is_default() {
            true => None,
            false => Some(algorithms::accepted(&auth.accepted_algorithms)),
        };
        let env = environment(&settings, facts);
        Ok(Self {
            node,
            route,
            peer: peer.into(),
            config,
            methods,
            keys,
            accepted,
            env,
            host_keys,
            settings,
        })
    }
}

fn methods(settings: &HostSettings) -> Vec<MethodKind> {
    let auth = &settings.auth;
    let allowed = |method: &MethodKind| match method {
        MethodKind::PublicKey => auth.public_key,
        MethodKind::KeyboardInteractive => auth.keyboard_interactive && !auth.batch,
        MethodKind::Password => auth.password && !auth.batch,
        MethodKind::None | MethodKind::HostBased | MethodKind::GssapiWithMic => false,
    };
    match &auth.preferred {
        None => METHODS.into_iter().filter(allowed).collect(),
        Some(names) => names
            .iter()
            .filter_map(|name| name.parse().ok())
            .filter(allowed)
            .collect(),
    }
}

/// `SetEnv` wins over `SendEnv`, whose patterns name variables of our own environment.
fn environment(settings: &HostSettings, facts: &Facts) -> Vec<(String, String)> {
    let mut env = settings.set_env.clone();
    if !settings.send_env.is_empty() {
        let mut sent: Vec<_> = facts
            .env
            .iter()
            .filter(|(name, _)| {
                settings
                    .send_env
                    .iter()
                    .any(|pattern| super::pattern::matches(name, pattern))
                    && !settings.set_env.iter().any(|(set, _)| set == *name)
            })
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        sent.sort();
        env.append(&mut sent);
    }
    env
}

/// Hops for messages and names: `user@a:22,b`.
pub(super) fn hop_names(hops: &[Hop]) -> String {
    let names: Vec<String> = hops
        .iter()
        .map(|hop| {
            let mut name = String::new();
            if let Some(user) = &hop.user {
                name.push_str(user);
                name.push('@');
            }
            match hop.port {
                Some(port) => name.push_str(&errors::place(&hop.host, port)),
                None => name.push_str(&hop.host),
            }
            name
        })
        .collect();
    names.join(",")
}
