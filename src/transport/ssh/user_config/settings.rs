//! What a configuration says about one host, typed and expanded: all that a connection needs to know.

use std::path::PathBuf;
use std::time::Duration;

use super::algorithms::AlgorithmList;

/// The settings of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSettings {
    /// The name as given.
    pub original: String,
    /// The name or address to connect to, in lower case.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whom to log in as.
    pub user: String,
    /// Which addresses to use.
    pub address_family: AddressFamily,
    /// The local address to connect from.
    pub bind_address: Option<String>,
    /// The local interface to connect from.
    pub bind_interface: Option<String>,
    /// For how long to try; `None` when not configured, or configured as none.
    pub connect_timeout: Option<Duration>,
    /// How often to try.
    pub connection_attempts: u32,
    /// How to get there.
    pub proxy: Proxy,
    /// After which silence to ask whether the server is there; `None` when not configured, zero for never.
    pub server_alive_interval: Option<Duration>,
    /// How many questions may stay without an answer.
    pub server_alive_count_max: u32,
    /// Whether TCP asks as well.
    pub tcp_keep_alive: bool,
    /// Whether to compress.
    pub compression: bool,
    /// Key exchange.
    pub kex_algorithms: AlgorithmList,
    /// Ciphers.
    pub ciphers: AlgorithmList,
    /// Message authentication.
    pub macs: AlgorithmList,
    /// Host keys.
    pub host_key_algorithms: AlgorithmList,
    /// The fewest bits of an RSA key.
    pub required_rsa_size: u32,
    /// How host keys are judged.
    pub host_keys: HostKeySettings,
    /// How we prove who we are.
    pub auth: AuthSettings,
    /// Names of environment variables to send, with patterns.
    pub send_env: Vec<String>,
    /// Environment variables to send with their values.
    pub set_env: Vec<(String, String)>,
    /// Whether warnings are wanted; not with `LogLevel ERROR` and quieter.
    pub warnings: bool,
    /// Where a connection of `ssh` that is kept open has its socket (`ControlPath`).
    pub control_path: Option<PathBuf>,
    /// Options that do something with `ssh` and nothing here.
    pub unused: Vec<Missing>,
}

/// An option that does something with `ssh` and nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// As it is written.
    pub name: &'static str,
    /// Whether every run is another one for it; else only one that fails.
    pub is_missed: bool,
}

/// The part of [`HostSettings`] about the server's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeySettings {
    /// The name to look keys up by, instead of host and port.
    pub alias: Option<String>,
    /// What to do about keys that are not known.
    pub policy: HostKeyPolicy,
    /// The user's files; new keys go into the first.
    pub user_files: Vec<PathBuf>,
    /// The system's files.
    pub global_files: Vec<PathBuf>,
    /// A file of keys that nobody may use.
    pub revoked_file: Option<PathBuf>,
    /// Signature algorithms of certificate authorities.
    pub ca_algorithms: AlgorithmList,
    /// Whether names are hashed when a key is recorded.
    pub hash_names: bool,
    /// Whether this very machine is believed without a key.
    pub trust_loopback: bool,
}

/// The part of [`HostSettings`] about authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSettings {
    /// Key files in order.
    pub identity_files: Vec<PathBuf>,
    /// Whether the files were named; the default ones need not exist.
    pub identity_files_named: bool,
    /// Certificate files in order.
    pub certificate_files: Vec<PathBuf>,
    /// Use only the keys of the files, even if the agent has more.
    pub identities_only: bool,
    /// The agent's socket, already looked up in the environment.
    pub agent: Option<PathBuf>,
    /// Methods in order, if configured.
    pub preferred: Option<Vec<String>>,
    /// Whether keys may be used.
    pub public_key: bool,
    /// Whether passwords may be used.
    pub password: bool,
    /// Whether questions and answers may be used.
    pub keyboard_interactive: bool,
    /// How often to ask for a password.
    pub password_prompts: u32,
    /// Never ask anything.
    pub batch: bool,
    /// Whether `ssh` would give keys of files to the agent.
    pub adds_keys_to_agent: bool,
    /// Signature algorithms of keys.
    pub accepted_algorithms: AlgorithmList,
}

/// Which addresses of a name to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AddressFamily {
    /// All.
    #[default]
    Any,
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

/// What to do about a host key that is not known (`StrictHostKeyChecking`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// `yes`: refuse.
    Strict,
    /// `ask`: ask on a terminal, else refuse.
    #[default]
    Ask,
    /// `accept-new`: record it.
    AcceptNew,
    /// `no`: record it, and warn once per run that nobody looked.
    Off,
}

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// Over TCP.
    Direct,
    /// Over the standard input and output of a command for the user's shell.
    Command(String),
    /// Through these hosts, nearest to us first. Only the first hop's own configuration may name further hops.
    Jump(Vec<Hop>),
}

/// A host on the way, to be resolved on its own. Before it is expanded, tokens may stand in its user and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hop {
    /// Its user, if given.
    pub user: Option<String>,
    /// Its name, for [`super::UserConfig::resolve`].
    pub host: String,
    /// Its port, if given.
    pub port: Option<u16>,
}
