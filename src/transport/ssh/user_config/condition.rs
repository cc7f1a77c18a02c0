//! When a block counts: the patterns of `Host` and the criteria of `Match` (ssh_config(5)).

use super::expand::Allowed;
use super::parse::Place;
use super::resolve::Pass;
use super::{ConfigError, words};
use crate::transport::ssh::pattern;

/// What a block asks of a host.
#[derive(Debug)]
pub(super) enum Condition {
    Always,
    /// Found by its name, see [`super::parse::Blocks::for_host`].
    Named,
    Host(Vec<HostPattern>),
    Match(Vec<Criterion>, Place),
}

/// One pattern of a `Host` line.
#[derive(Debug)]
pub(super) struct HostPattern {
    excludes: bool,
    pattern: String,
}

impl HostPattern {
    pub(super) fn parse(text: &str) -> Self {
        let pattern = text.strip_prefix('!');
        Self {
            excludes: pattern.is_some(),
            pattern: pattern.unwrap_or(text).to_owned(),
        }
    }
}

/// One criterion of a `Match` line.
#[derive(Debug)]
pub(super) struct Criterion {
    negated: bool,
    test: Test,
}

#[derive(Debug)]
enum Test {
    All,
    /// `canonical`: true in the second pass.
    Canonical,
    /// `final`: as `canonical`, and asks for a second pass.
    Final,
    Host(String),
    OriginalHost(String),
    User(String),
    LocalUser(String),
    Tagged(String),
    /// `sessiontype` and `command` (OpenSSH 10): every command of ours is an `exec` whose text is not known yet.
    SessionType(String),
    Exec(String),
}

impl Criterion {
    pub(super) fn wants_final(&self) -> bool {
        matches!(self.test, Test::Final)
    }

    /// Whether the answer may take its time.
    pub(super) fn waits(&self) -> bool {
        matches!(self.test, Test::Exec(_))
    }
}

/// Reads the criteria of a `Match` line.
pub(super) fn parse_match(text: &str) -> Result<Vec<Criterion>, String> {
    if words::split(text).is_none() {
        return Err("a quote is not closed".to_owned());
    }
    let mut rest = Some(text);
    let mut criteria = Vec::new();
    while let Some(word) = words::delimited(&mut rest) {
        if word.is_empty() || word.starts_with('#') {
            break;
        }
        let (negated, name) = match word.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, word.as_str()),
        };
        let name = name.to_ascii_lowercase();
        let test = match name.as_str() {
            "all" => {
                let next = words::delimited(&mut rest).unwrap_or_default();
                if criteria.len() > 1 || !(next.is_empty() || next.starts_with('#')) {
                    return Err("`all` cannot be combined with other criteria".to_owned());
                }
                rest = None;
                Test::All
            }
            "canonical" => Test::Canonical,
            "final" => Test::Final,
            "host" | "originalhost" | "user" | "localuser" | "tagged" | "sessiontype" | "exec" => {
                let argument = words::delimited(&mut rest)
                    .filter(|word| !word.is_empty() && !word.starts_with('#'))
                    .ok_or_else(|| format!("the argument of `{name}` is missing"))?;
                match name.as_str() {
                    "host" => Test::Host(argument),
                    "originalhost" => Test::OriginalHost(argument),
                    "user" => Test::User(argument),
                    "localuser" => Test::LocalUser(argument),
                    "tagged" => Test::Tagged(argument),
                    "sessiontype" => Test::SessionType(argument),
                    _ => Test::Exec(argument),
                }
            }
            _ => return Err(format!("unsupported criterion `{name}`; try -R ssh")),
        };
        criteria.push(Criterion { negated, test });
    }
    if criteria.is_empty() {
        return Err("expected one criterion or more".to_owned());
    }
    Ok(criteria)
}

impl Condition {
    /// Whether the block counts for the host, given what earlier blocks have set.
    pub(super) fn holds(&self, pass: &Pass<'_, '_>) -> Result<bool, ConfigError> {
        match self {
            Self::Always | Self::Named => Ok(true),
            Self::Host(patterns) => {
                let mut found = false;
                for HostPattern { excludes, pattern } in patterns {
                    if pattern::matches(pass.host, pattern) {
                        if *excludes {
                            return Ok(false);
                        }
                        found = true;
                    }
                }
                Ok(found)
            }
            Self::Match(criteria, place) => {
                // Stops at the first that fails, so that a command runs only if all before it hold.
                for Criterion { negated, test } in criteria {
                    if test.holds(pass, place)? == *negated {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}

impl Test {
    fn holds(&self, pass: &Pass<'_, '_>, place: &Place) -> Result<bool, ConfigError> {
        Ok(match self {
            Self::All => true,
            Self::Canonical | Self::Final => pass.is_final,
            Self::Host(list) => pattern::matches_host(&pass.host_name()?, list),
            Self::OriginalHost(list) => pattern::matches_host(pass.original, list),
            Self::User(list) => pattern::matches_list(pass.values.user(), list),
            Self::LocalUser(list) => pattern::matches_list(&pass.config.facts.user, list),
            Self::Tagged(list) => pattern::matches_list(pass.values.tag(), list),
            Self::SessionType(list) => pattern::matches_list("exec", list),
            Self::Exec(command) => {
                let host = pass.host_name()?;
                let command = pass
                    .values
                    .tokens(pass.original, &host)
                    .expand(command, Allowed::Exec)
                    .map_err(|message| place.error(message))?;
                pass.config.answer(&command).map_err(|error| {
                    place.error(format!("match exec: cannot run `{command}`: {error}"))
                })?
            }
        })
    }
}
