//! What was found for a host as its settings: with defaults, and everything expanded now that host, port and user are final.

use std::path::PathBuf;
use std::time::Duration;

use super::algorithms::AlgorithmList;
use super::blocks::Setting;
use super::expand::Allowed;
use super::place::{ConfigError, Place};
use super::settings::{
    AddressFamily, AuthSettings, HostKeyPolicy, HostKeySettings, HostSettings, Missing, Proxy,
};
use super::value::{Key, Value};
use super::values::{Listed, Values};
use crate::transport::ssh::pattern;

/// Default key files below `~/.ssh`, cheapest signature first. Keys on a device are named so that the agent's are known.
const DEFAULT_IDENTITIES: [&str; 5] = [
    "id_ed25519",
    "id_ecdsa",
    "id_rsa",
    "id_ed25519_sk",
    "id_ecdsa_sk",
];

impl Values<'_> {
    /// Everything that was found, expanded.
    pub(super) fn settings(
        &self,
        original: &str,
        host: String,
    ) -> Result<HostSettings, ConfigError> {
        if let Some(Setting {
            value: Value::Word(why),
            place,
            ..
        }) = self.first(Key::RefuseConnection)
        {
            return Err(place.error(format!("RefuseConnection: {why}")));
        }
        let files = Expander {
            values: self,
            original,
            host: &host,
        };
        let host_keys = self.host_keys(&files)?;
        let auth = self.auth(&files)?;
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
            control_path: files.file(Key::ControlPath)?,
            unused: self.missing(),
            host,
        })
    }

    /// How the host's key is checked.
    fn host_keys(&self, files: &Expander<'_, '_>) -> Result<HostKeySettings, ConfigError> {
        let known_hosts = ["known_hosts", "known_hosts2"];
        let user_files = known_hosts.map(|name| self.facts.ssh_folder().join(name));
        let system = self.facts.system_file.parent().unwrap_or("/".as_ref());
        let global_files = known_hosts.map(|name| system.join(format!("ssh_{name}")));
        Ok(HostKeySettings {
            alias: self.alias(),
            policy: match self.value(Key::StrictHostKeyChecking) {
                Some(Value::Policy(policy)) => *policy,
                _ => HostKeyPolicy::default(),
            },
            user_files: files.files(Key::UserKnownHostsFile, &user_files)?,
            global_files: self.as_they_stand(Key::GlobalKnownHostsFile, &global_files),
            revoked_file: files.file(Key::RevokedHostKeys)?,
            hash_names: self.flag(Key::HashKnownHosts, false),
            ca_algorithms: self.algorithms(Key::CaSignatureAlgorithms),
            trust_loopback: self.flag(Key::NoHostAuthenticationForLocalhost, false),
        })
    }

    /// How we log in.
    fn auth(&self, files: &Expander<'_, '_>) -> Result<AuthSettings, ConfigError> {
        let identity_files = match self.identity_files.as_slice() {
            [] => DEFAULT_IDENTITIES
                .map(|name| self.facts.ssh_folder().join(name))
                .to_vec(),
            named => files.listed(named)?,
        };
        Ok(AuthSettings {
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
            adds_keys_to_agent: self
                .word(Key::AddKeysToAgent)
                .is_some_and(|word| !word.eq_ignore_ascii_case("no")),
            accepted_algorithms: self.algorithms(Key::PubkeyAcceptedAlgorithms),
        })
    }

    /// The files of a list in which nothing is expanded, without `none`.
    fn as_they_stand(&self, key: Key, default: &[PathBuf]) -> Vec<PathBuf> {
        match self.value(key) {
            Some(Value::Words(files)) => files
                .iter()
                .filter(|file| !file.eq_ignore_ascii_case("none"))
                .map(PathBuf::from)
                .collect(),
            _ => default.to_vec(),
        }
    }

    /// The options that would do something with `ssh`.
    fn missing(&self) -> Vec<Missing> {
        let is_off = |name: &str| match name {
            "LocalCommand" => !self.flag(Key::PermitLocalCommand, false),
            "DynamicForward" | "LocalForward" | "RemoteForward" => {
                self.flag(Key::ClearAllForwardings, false)
            }
            _ => false,
        };
        let on = self.unused.iter().filter(|(_, is_on)| *is_on);
        on.map(|(option, _)| *option)
            .filter(|option| !is_off(option.name))
            .collect()
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
                    if let Some(user) = &mut hop.user {
                        *user = expand(user)?;
                    }
                }
                Proxy::Jump(hops)
            }
        })
    }
}
