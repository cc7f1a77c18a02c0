//! What a configuration says about one host, typed and expanded: all that a connection needs to know.

use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;
use super::algorithms::AlgorithmList;
use super::expand::Allowed;
use super::keyword::{Key, Value};
use super::parse::{Place, Setting};
use super::resolve::{Listed, Values};
use crate::transport::ssh::pattern;

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

/// A host on the way, to be resolved on its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hop {
    /// Its user, if given.
    pub user: Option<String>,
    /// Its name, for [`super::UserConfig::resolve`].
    pub host: String,
    /// Its port, if given.
    pub port: Option<u16>,
}

/// Default key files below `~/.ssh`, cheapest signature first. Keys on a device are the agent's business.
const DEFAULT_IDENTITIES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

impl Values<'_> {
    /// Everything that was found, expanded.
    pub(super) fn settings(
        &self,
        original: &str,
        host: String,
    ) -> Result<HostSettings, ConfigError> {
        let known_hosts = ["known_hosts", "known_hosts2"];
        let user_files = known_hosts.map(|name| self.facts.ssh_folder().join(name));
        let system = self.facts.system_file.parent().unwrap_or("/".as_ref());
        let global_files = known_hosts.map(|name| system.join(format!("ssh_{name}")));
        let files = Expander {
            values: self,
            original,
            host: &host,
        };
        let identity_files = match self.identity_files.as_slice() {
            [] => DEFAULT_IDENTITIES
                .map(|name| self.facts.ssh_folder().join(name))
                .to_vec(),
            named => files.listed(named)?,
        };
        let host_keys = HostKeySettings {
            alias: self.word(Key::HostKeyAlias),
            policy: match self.value(Key::StrictHostKeyChecking) {
                Some(Value::Policy(policy)) => *policy,
                _ => HostKeyPolicy::default(),
            },
            user_files: files.files(Key::UserKnownHostsFile, &user_files)?,
            global_files: files.files(Key::GlobalKnownHostsFile, &global_files)?,
            revoked_file: files.file(Key::RevokedHostKeys)?,
            hash_names: self.flag(Key::HashKnownHosts, false),
            ca_algorithms: self.algorithms(Key::CaSignatureAlgorithms),
            trust_loopback: self.flag(Key::NoHostAuthenticationForLocalhost, false),
        };
        let auth = AuthSettings {
            identity_files,
            identity_files_named: !self.identity_files.is_empty(),
            certificate_files: files.listed(&self.certificate_files)?,
            identities_only: self.flag(Key::IdentitiesOnly, false),
            agent: files.agent()?,
            preferred: self
                .word(Key::PreferredAuthentications)
                .map(|list| list.split(',').map(str::to_owned).collect()),
            public_key: self.flag(Key::PubkeyAuthentication, true),
            password: self.flag(Key::PasswordAuthentication, true),
            keyboard_interactive: self.flag(Key::KbdInteractiveAuthentication, true),
            password_prompts: self.number(Key::NumberOfPasswordPrompts, 3),
            batch: self.flag(Key::BatchMode, false),
            accepted_algorithms: self.algorithms(Key::PubkeyAcceptedAlgorithms),
        };
        Ok(HostSettings {
            original: original.to_owned(),
            port: self.port(),
            user: self.user().to_owned(),
            address_family: match self.value(Key::AddressFamily) {
                Some(Value::Family(family)) => *family,
                _ => AddressFamily::default(),
            },
            bind_address: self.word(Key::BindAddress),
            bind_interface: self.word(Key::BindInterface),
            connect_timeout: self
                .time(Key::ConnectTimeout)
                .filter(|limit| !limit.is_zero()),
            connection_attempts: self.number(Key::ConnectionAttempts, 1),
            proxy: files.proxy()?,
            server_alive_interval: self.time(Key::ServerAliveInterval),
            server_alive_count_max: self.number(Key::ServerAliveCountMax, 3),
            tcp_keep_alive: self.flag(Key::TcpKeepAlive, true),
            compression: self.flag(Key::Compression, false),
            kex_algorithms: self.algorithms(Key::KexAlgorithms),
            ciphers: self.algorithms(Key::Ciphers),
            macs: self.algorithms(Key::Macs),
            host_key_algorithms: self.algorithms(Key::HostKeyAlgorithms),
            required_rsa_size: self.number(Key::RequiredRsaSize, 1024),
            host_keys,
            auth,
            send_env: self.send_env(),
            set_env: self.set_env(),
            warnings: self.flag(Key::LogLevel, true),
            host,
        })
    }

    fn word(&self, key: Key) -> Option<String> {
        match self.value(key) {
            Some(Value::Word(word)) => Some(word.clone()),
            _ => None,
        }
    }

    fn number(&self, key: Key, default: u32) -> u32 {
        match self.value(key) {
            Some(Value::Number(number)) => *number,
            _ => default,
        }
    }

    /// `None` when not configured; configured as `none` it is zero.
    fn time(&self, key: Key) -> Option<Duration> {
        match self.value(key) {
            Some(Value::Time(time)) => Some(time.unwrap_or_default()),
            _ => None,
        }
    }

    fn algorithms(&self, key: Key) -> AlgorithmList {
        match self.value(key) {
            Some(Value::Algorithms(list)) => list.clone(),
            _ => AlgorithmList::default(),
        }
    }

    /// The names in order of appearance, without those that a later `-NAME` took back.
    fn send_env(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for setting in &self.send_env {
            let Value::Words(words) = &setting.value else {
                continue;
            };
            for word in words {
                match word.strip_prefix('-') {
                    Some(removed) => names.retain(|name| !pattern::matches(name, removed)),
                    None if names.contains(word) => {}
                    None => names.push(word.clone()),
                }
            }
        }
        names
    }

    fn set_env(&self) -> Vec<(String, String)> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        if let Some(Value::Words(words)) = self.value(Key::SetEnv) {
            for (name, value) in words.iter().filter_map(|word| word.split_once('=')) {
                if !pairs.iter().any(|(known, _)| known == name) {
                    pairs.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        pairs
    }
}

/// Expands values once host, port and user are final.
struct Expander<'v, 'a> {
    values: &'v Values<'a>,
    original: &'v str,
    host: &'v str,
}

impl Expander<'_, '_> {
    fn expand(&self, text: &str, place: &Place, allowed: Allowed) -> Result<String, ConfigError> {
        self.values
            .tokens(self.original, self.host)
            .expand(text, allowed)
            .map_err(|message| place.error(message))
    }

    fn path(&self, text: &str, place: &Place) -> Result<PathBuf, ConfigError> {
        let text = self.values.facts.expand_home(text);
        let text = text.map_err(|message| place.error(message))?;
        self.expand(&text, place, Allowed::Files).map(PathBuf::from)
    }

    /// The files of a list, without `none`.
    fn listed(&self, files: &[Listed<'_>]) -> Result<Vec<PathBuf>, ConfigError> {
        files
            .iter()
            .filter(|file| !file.text.eq_ignore_ascii_case("none"))
            .map(|file| self.path(file.text, file.place))
            .collect()
    }

    fn files(&self, key: Key, default: &[PathBuf]) -> Result<Vec<PathBuf>, ConfigError> {
        match self.values.first(key) {
            Some(Setting {
                value: Value::Words(files),
                place,
                ..
            }) => {
                let listed = |text| Listed { text, place };
                self.listed(&files.iter().map(|file| listed(file)).collect::<Vec<_>>())
            }
            _ => Ok(default.to_vec()),
        }
    }

    fn file(&self, key: Key) -> Result<Option<PathBuf>, ConfigError> {
        match self.values.first(key) {
            Some(Setting {
                value: Value::Word(file),
                place,
                ..
            }) if !file.eq_ignore_ascii_case("none") => self.path(file, place).map(Some),
            _ => Ok(None),
        }
    }

    /// `none`, `SSH_AUTH_SOCK`, `$VARIABLE` or a path.
    fn agent(&self) -> Result<Option<PathBuf>, ConfigError> {
        let variable = |name: &str| {
            let value = self.values.facts.env.get(name);
            value.filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        match self.values.word(Key::IdentityAgent).as_deref() {
            None | Some("SSH_AUTH_SOCK") => Ok(variable("SSH_AUTH_SOCK")),
            Some(text) => match text.strip_prefix('$') {
                Some(name) if !name.starts_with('{') => Ok(variable(name)),
                _ => self.file(Key::IdentityAgent),
            },
        }
    }

    fn proxy(&self) -> Result<Proxy, ConfigError> {
        let Some(Setting {
            value: Value::Proxy(proxy, _),
            place,
            ..
        }) = self.values.proxy()
        else {
            return Ok(Proxy::Direct);
        };
        let expand = |text: &str| self.expand(text, place, Allowed::Proxy);
        Ok(match proxy {
            Proxy::Direct => Proxy::Direct,
            Proxy::Command(command) => Proxy::Command(expand(command)?),
            Proxy::Jump(hops) => {
                let mut hops = hops.clone();
                for hop in &mut hops {
                    hop.host = expand(&hop.host)?;
                }
                Proxy::Jump(hops)
            }
        })
    }
}
