//! Walks the blocks for one host: the first value wins, in one pass or, with `Match final`, in two.

use std::net::IpAddr;

use super::expand::{Allowed, Tokens};
use super::keyword::{Canonicalize, Key, Value};
use super::parse::{Blocks, Heading, Item, Place, Setting};
use super::{ConfigError, Facts, Given, HostSettings, Proxy, UserConfig};

/// One walk over the configuration.
#[derive(Debug)]
pub(super) struct Pass<'a, 'h> {
    pub(super) config: &'a UserConfig,
    pub(super) values: Values<'a>,
    /// The name that `Host` is compared with: as given in the first pass, the final one in the second.
    pub(super) host: &'h str,
    pub(super) original: &'h str,
    pub(super) is_final: bool,
}

/// What was found so far, borrowed from the configuration.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) facts: &'a Facts,
    given: Given<'a>,
    first: [Option<&'a Setting>; Key::COUNT],
    pub(super) identity_files: Vec<Listed<'a>>,
    pub(super) certificate_files: Vec<Listed<'a>>,
    pub(super) send_env: Vec<&'a Setting>,
    /// The blocks that were for the host.
    applied: Vec<&'a Heading>,
}

/// A file of a list, and where it was named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed<'a> {
    pub(super) text: &'a str,
    pub(super) place: &'a Place,
}

/// Resolves one host.
pub(super) fn resolve(
    config: &UserConfig,
    original: &str,
    given: Given<'_>,
) -> Result<HostSettings, ConfigError> {
    let (values, host) = walk(config, original, given)?;
    values.settings(original, host)
}

/// Where the values for a host come from.
pub(super) fn explain(
    config: &UserConfig,
    original: &str,
    given: Given<'_>,
) -> Result<Vec<String>, ConfigError> {
    let (values, host) = walk(config, original, given)?;
    let mut lines: Vec<String> = Vec::new();
    for heading in &values.applied {
        let line = format!("ssh_config {heading}");
        // With two passes it applies twice.
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let by_name = given.usual_user.is_some() && values.option(Key::User).is_none();
    let origin = |key: Key, is_given: bool| match values.first(key) {
        _ if is_given => " (command line)".to_owned(),
        Some(setting) => format!(" ({})", setting.place),
        None => String::new(),
    };
    lines.push(format!(
        "host {host}{}, port {}{}, user {}{}",
        origin(Key::HostName, false),
        values.port(),
        origin(
            Key::Port,
            given.port.is_some() && values.option(Key::Port).is_none()
        ),
        values.user(),
        origin(Key::User, by_name || given.user.is_some()),
    ));
    if let Some(setting) = values.proxy() {
        lines.push(format!(
            "the way through others is set at {}",
            setting.place
        ));
    }
    Ok(lines)
}

/// What is found for a host, and its final name.
fn walk<'a>(
    config: &'a UserConfig,
    original: &str,
    given: Given<'a>,
) -> Result<(Values<'a>, String), ConfigError> {
    let mut pass = Pass {
        config,
        values: Values::new(&config.facts, given),
        host: original,
        original,
        is_final: false,
    };
    pass.walk_all()?;
    let mut host = pass.host_name()?;
    if host.parse::<IpAddr>().is_err() {
        host.make_ascii_lowercase();
    }
    let canonicalizes = pass.values.canonicalizes();
    if canonicalizes != Canonicalize::No {
        host = pass.canonical(host, canonicalizes)?;
    }
    let mut values = pass.values;
    if config.wants_final || canonicalizes != Canonicalize::No {
        let mut pass = Pass {
            config,
            values,
            host: &host,
            original,
            is_final: true,
        };
        pass.walk_all()?;
        values = pass.values;
    }
    Ok((values, host))
}

impl<'a> Pass<'a, '_> {
    fn walk_all(&mut self) -> Result<(), ConfigError> {
        let config = self.config;
        config.parts.iter().try_for_each(|part| self.walk(part))
    }

    fn walk(&mut self, blocks: &'a Blocks) -> Result<(), ConfigError> {
        for block in blocks.for_host(self.host) {
            if !block.condition.holds(self)? {
                continue;
            }
            self.values.applied.extend(&block.heading);
            for item in &block.items {
                match item {
                    Item::Set(setting) => self.values.add(setting),
                    Item::Include(files) => {
                        for file in files {
                            self.walk(file)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The name to connect to, as far as it is known.
    pub(super) fn host_name(&self) -> Result<String, ConfigError> {
        match self.values.first(Key::HostName) {
            Some(Setting {
                value: Value::Word(name),
                place,
                ..
            }) if !self.is_final => self
                .values
                .tokens(self.original, self.host)
                .expand(name, Allowed::HostName)
                .map_err(|message| place.error(message)),
            _ => Ok(self.host.to_owned()),
        }
    }

    /// The name with the first of `CanonicalDomains` under which it has an address (ssh_config(5),
    /// CanonicalizeHostname). Aliases are not followed: `CanonicalizePermittedCNAMEs` is passed over.
    fn canonical(&self, host: String, when: Canonicalize) -> Result<String, ConfigError> {
        let behind_proxy = match self.values.proxy().map(|setting| &setting.value) {
            Some(Value::Proxy(proxy, _)) => *proxy != Proxy::Direct,
            _ => false,
        };
        if (behind_proxy && when != Canonicalize::Always) || host.parse::<IpAddr>().is_ok() {
            return Ok(host);
        }
        let resolves = self.config.facts.resolves;
        let found = if let Some(anchored) = host.strip_suffix('.') {
            resolves(&host).then(|| anchored.to_owned())
        } else {
            let max_dots = match self.values.value(Key::CanonicalizeMaxDots) {
                Some(Value::Number(number)) => *number as usize,
                _ => 1,
            };
            let domains = match self.values.value(Key::CanonicalDomains) {
                Some(Value::Words(domains)) => domains.as_slice(),
                _ => &[],
            };
            if host.matches('.').count() > max_dots {
                return Ok(host);
            }
            domains
                .iter()
                .take_while(|domain| !domain.eq_ignore_ascii_case("none"))
                .map(|domain| format!("{host}.{domain}"))
                .find(|name| resolves(&format!("{name}.")))
        };
        match found {
            Some(name) => Ok(name),
            None if self.values.flag(Key::CanonicalizeFallbackLocal, true) => Ok(host),
            None => Err(ConfigError {
                place: host,
                message: "not found in any of CanonicalDomains".to_owned(),
            }),
        }
    }
}

impl<'a> Values<'a> {
    fn new(facts: &'a Facts, given: Given<'a>) -> Self {
        Self {
            facts,
            given,
            first: [None; Key::COUNT],
            identity_files: Vec::new(),
            certificate_files: Vec::new(),
            send_env: Vec::new(),
            applied: Vec::new(),
        }
    }

    fn add(&mut self, setting: &'a Setting) {
        let files = if setting.key == Key::IdentityFile {
            &mut self.identity_files
        } else if setting.key == Key::CertificateFile {
            &mut self.certificate_files
        } else if setting.key == Key::SendEnv {
            return self.send_env.push(setting);
        } else {
            if !self.is_excluded(setting.key) {
                self.first[setting.key as usize].get_or_insert(setting);
            }
            return;
        };
        if let Value::Word(text) = &setting.value
            && !files.iter().any(|file| file.text == text)
        {
            let place = &setting.place;
            files.push(Listed { text, place });
        }
    }

    /// A command keeps jumps out, even `none` does; jumps keep a command out, but `none` does not.
    fn is_excluded(&self, key: Key) -> bool {
        if key == Key::ProxyJump {
            return self.first(Key::ProxyCommand).is_some();
        }
        let jumps = self.value(Key::ProxyJump);
        key == Key::ProxyCommand && matches!(jumps, Some(Value::Proxy(Proxy::Jump(_), _)))
    }

    /// The setting that says how to get there.
    pub(super) fn proxy(&self) -> Option<&'a Setting> {
        self.first(Key::ProxyCommand)
            .or_else(|| self.first(Key::ProxyJump))
    }

    pub(super) fn first(&self, key: Key) -> Option<&'a Setting> {
        self.first[key as usize]
    }

    pub(super) fn value(&self, key: Key) -> Option<&'a Value> {
        self.first(key).map(|setting| &setting.value)
    }

    pub(super) fn flag(&self, key: Key, default: bool) -> bool {
        match self.value(key) {
            Some(Value::Flag(flag)) => *flag,
            _ => default,
        }
    }

    pub(super) fn user(&self) -> &'a str {
        let configured = |setting: &'a Setting| {
            let Value::Word(user) = &setting.value else {
                return None;
            };
            Some(user.as_str())
        };
        let given = self.given;
        given
            .user
            .or_else(|| self.option(Key::User).and_then(configured))
            .or(given.usual_user)
            .or_else(|| self.first(Key::User).and_then(configured))
            .unwrap_or(&self.facts.user)
    }

    pub(super) fn port(&self) -> u16 {
        let configured = |setting: &'a Setting| {
            let Value::Port(port) = setting.value else {
                return None;
            };
            Some(port)
        };
        self.option(Key::Port)
            .and_then(configured)
            .or(self.given.port)
            .or_else(|| self.first(Key::Port).and_then(configured))
            .unwrap_or(22)
    }

    /// The setting, if it is an option of the command line.
    fn option(&self, key: Key) -> Option<&'a Setting> {
        self.first(key).filter(|setting| setting.place.is_option())
    }

    pub(super) fn tag(&self) -> &'a str {
        match self.value(Key::Tag) {
            Some(Value::Word(tag)) => tag,
            _ => "",
        }
    }

    fn canonicalizes(&self) -> Canonicalize {
        match self.value(Key::CanonicalizeHostname) {
            Some(Value::Canonicalize(when)) => *when,
            _ => Canonicalize::No,
        }
    }

    /// The tokens as they stand now.
    pub(super) fn tokens<'t>(&'t self, original: &'t str, host: &'t str) -> Tokens<'t> {
        Tokens {
            facts: self.facts,
            host,
            original,
            port: self.port(),
            user: self.user(),
            alias: match self.value(Key::HostKeyAlias) {
                Some(Value::Word(alias)) => Some(alias),
                _ => None,
            },
            jump: match self.value(Key::ProxyJump) {
                Some(Value::Proxy(_, text)) => text,
                _ => "",
            },
        }
    }
}
