//! Walks the blocks for one host: the first value wins, in one pass or, with `Match final`, in two.

use super::address;
use super::answers::Answers;
use super::asked::Given;
use super::blocks::{Blocks, Item, Setting};
use super::condition::Subject;
use super::expand::Allowed;
use super::facts::Facts;
use super::place::{ConfigError, Place};
use super::settings::{AddressFamily, HostSettings, Proxy};
use super::value::{Canonicalize, Key, Value};
use super::values::Values;
use crate::transport::ssh::pattern;

/// The configuration that a host is looked up in.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) facts: Facts,
    /// Options of the command line, the user's file, the system's file.
    pub(super) parts: Vec<Blocks>,
    /// Whether some block asks for a second pass.
    pub(super) wants_final: bool,
    /// What any block lets be unknown.
    pub(super) ignored: Vec<String>,
    /// The answers of `Match exec`.
    pub(super) answers: Answers,
}

impl Source {
    /// What is wrong for every host: told once, before anything is contacted.
    pub(super) fn wrong(&self) -> Option<ConfigError> {
        self.parts.iter().find_map(|part| self.wrong_in(part))
    }

    fn wrong_in(&self, blocks: &Blocks) -> Option<ConfigError> {
        blocks.all().find_map(|block| {
            let wrong = block.condition.wrong();
            wrong.or_else(|| {
                let general = block.items.iter().filter(|_| block.condition.is_general());
                general.into_iter().find_map(|item| match item {
                    Item::Wrong(error) => Some(error.clone()),
                    Item::Unknown { keyword, place } => {
                        // A block that is for some hosts only may let it be unknown for these.
                        let ignored = self.ignored.join(",");
                        let is_ignored = pattern::matches_list(keyword, &ignored);
                        (!is_ignored).then(|| unknown(keyword, place))
                    }
                    Item::Include(files) => files.iter().find_map(|file| self.wrong_in(file)),
                    Item::Set(_) | Item::Unused { .. } => None,
                })
            })
        })
    }
}

fn unknown(keyword: &str, place: &Place) -> ConfigError {
    place.error(format!(
        "bad configuration option `{keyword}`; remove it, or name it in IgnoreUnknown above"
    ))
}

/// One walk over the configuration.
#[derive(Debug)]
struct Pass<'a, 'h> {
    source: &'a Source,
    values: Values<'a>,
    /// The name that `Host` is compared with: as given in the first pass, the final one in the second.
    host: &'h str,
    original: &'h str,
    is_final: bool,
}

/// Resolves one host.
pub(super) fn resolve(
    source: &Source,
    original: &str,
    given: Given<'_>,
) -> Result<HostSettings, ConfigError> {
    let (values, host) = walk(source, original, given)?;
    values.settings(original, host)
}

/// Where the values for a host come from.
pub(super) fn explain(
    source: &Source,
    original: &str,
    given: Given<'_>,
) -> Result<Vec<String>, ConfigError> {
    let (values, host) = walk(source, original, given)?;
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
    source: &'a Source,
    original: &str,
    given: Given<'a>,
) -> Result<(Values<'a>, String), ConfigError> {
    let mut pass = Pass {
        source,
        values: Values::new(&source.facts, given),
        host: original,
        original,
        is_final: false,
    };
    pass.walk_all()?;
    let mut host = pass.name()?;
    let family = match pass.values.value(Key::AddressFamily) {
        Some(Value::Family(family)) => *family,
        _ => AddressFamily::default(),
    };
    let address = address::normal(&host, family);
    let is_name = address.is_none();
    match address {
        // As `ssh`, which leaves the letters where that is all the difference.
        Some(address) if !address.eq_ignore_ascii_case(&host) => host = address,
        Some(_) => {}
        None => host.make_ascii_lowercase(),
    }
    let canonicalizes = pass.values.canonicalizes();
    if is_name && canonicalizes != Canonicalize::No {
        host = pass.canonical(host, canonicalizes)?;
    }
    let mut values = pass.values;
    if source.wants_final || canonicalizes != Canonicalize::No {
        let mut pass = Pass {
            source,
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
        let source = self.source;
        source.parts.iter().try_for_each(|part| self.walk(part))
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
                    Item::Unused {
                        option,
                        is_on,
                        place,
                    } => self.values.add_unused(*option, *is_on, place),
                    Item::Unknown { keyword, .. } if self.values.ignores(keyword) => {}
                    Item::Unknown { keyword, place } => return Err(unknown(keyword, place)),
                    Item::Wrong(error) => return Err(error.clone()),
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
    fn name(&self) -> Result<String, ConfigError> {
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
        if behind_proxy && when != Canonicalize::Always {
            return Ok(host);
        }
        let resolves = self.source.facts.resolves;
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

impl Subject for Pass<'_, '_> {
    fn host(&self) -> &str {
        self.host
    }

    fn original(&self) -> &str {
        self.original
    }

    fn host_name(&self) -> Result<String, ConfigError> {
        self.name()
    }

    fn is_final(&self) -> bool {
        self.is_final
    }

    fn user(&self) -> &str {
        self.values.user()
    }

    fn local_user(&self) -> &str {
        &self.source.facts.user
    }

    fn tag(&self) -> &str {
        self.values.tag()
    }

    fn succeeds(&self, command: &str, place: &Place) -> Result<bool, ConfigError> {
        let facts = &self.source.facts;
        let host = self.name()?;
        let command = self
            .values
            .tokens(self.original, &host)
            .expand(command, Allowed::Exec)
            .map_err(|message| place.error(message))?;
        let shell = facts.env.get("SHELL").map_or("/bin/sh", String::as_str);
        self.source
            .answers
            .of(shell, &command)
            .map_err(|error| place.error(format!("match exec: cannot run `{command}`: {error}")))
    }
}
