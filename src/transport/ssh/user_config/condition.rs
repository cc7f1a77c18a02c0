//! When a block counts: the patterns of `Host` and the criteria of `Match` (ssh_config(5)).

use super::place::{ConfigError, Place};
use super::words;
use crate::transport::ssh::pattern;

/// The host that conditions are about, as far as it is known when they are looked at.
pub(super) trait Subject {
    /// The name that `Host` is compared with.
    fn host(&self) -> &str;
    /// The name as given.
    fn original(&self) -> &str;
    /// The name to connect to.
    fn host_name(&self) -> Result<String, ConfigError>;
    /// Whether this is the second pass, with the final name.
    fn is_final(&self) -> bool;
    /// Whom to log in as.
    fn user(&self) -> &str;
    /// Who we are.
    fn local_user(&self) -> &str;
    /// Its tag.
    fn tag(&self) -> &str;
    /// Whether a command succeeds, its tokens replaced.
    fn succeeds(&self, command: &str, place: &Place) -> Result<bool, ConfigError>;
}

/// What a block asks of a host.
#[derive(Debug)]
pub(super) enum Condition {
    Always,
    /// Found by its name, see [`super::parse::Blocks::for_host`].
    Named,
    Host(Vec<HostPattern>),
    Match(Vec<Criterion>, Place),
    /// A line that makes no sense.
    Wrong(ConfigError),
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
    /// `sessiontype` (OpenSSH 10): every command of ours is an `exec`.
    SessionType(String),
    Exec(String),
    /// A criterion that only `ssh` can judge.
    Unsupported(String),
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
            _ => {
                // What it takes as an argument is not known, so what follows cannot be told apart.
                rest = None;
                Test::Unsupported(name)
            }
        };
        criteria.push(Criterion { negated, test });
    }
    if criteria.is_empty() {
        return Err("expected one criterion or more".to_owned());
    }
    Ok(criteria)
}

impl Condition {
    /// Whether it holds for every host.
    pub(super) fn is_general(&self) -> bool {
        match self {
            Self::Always => true,
            Self::Named | Self::Wrong(_) => false,
            Self::Host(patterns) => matches!(
                &patterns[..],
                [HostPattern { excludes: false, pattern }] if pattern == "*"
            ),
            Self::Match(criteria, _) => matches!(
                &criteria[..],
                [Criterion {
                    negated: false,
                    test: Test::All
                }]
            ),
        }
    }

    /// What is wrong with it for every host that comes to it.
    pub(super) fn wrong(&self) -> Option<ConfigError> {
        match self {
            Self::Wrong(error) => Some(error.clone()),
            Self::Match(criteria, place) => {
                let Test::Unsupported(name) = &criteria.first()?.test else {
                    return None;
                };
                Some(unsupported(name, place))
            }
            Self::Always | Self::Named | Self::Host(_) => None,
        }
    }

    /// Whether the block counts for the host, given what earlier blocks have set.
    pub(super) fn holds(&self, subject: &dyn Subject) -> Result<bool, ConfigError> {
        match self {
            Self::Wrong(error) => Err(error.clone()),
            Self::Always | Self::Named => Ok(true),
            Self::Host(patterns) => {
                let mut found = false;
                for HostPattern { excludes, pattern } in patterns {
                    if pattern::matches(subject.host(), pattern) {
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
                    if test.holds(subject, place)? == *negated {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}

impl Test {
    fn holds(&self, subject: &dyn Subject, place: &Place) -> Result<bool, ConfigError> {
        Ok(match self {
            Self::All => true,
            Self::Canonical | Self::Final => subject.is_final(),
            Self::Host(list) => pattern::matches_host(&subject.host_name()?, list),
            Self::OriginalHost(list) => pattern::matches_host(subject.original(), list),
            Self::User(list) => pattern::matches_list(subject.user(), list),
            Self::LocalUser(list) => pattern::matches_list(subject.local_user(), list),
            Self::Tagged(list) => pattern::matches_list(subject.tag(), list),
            Self::SessionType(list) => pattern::matches_list("exec", list),
            Self::Exec(command) => subject.succeeds(command, place)?,
            Self::Unsupported(name) => return Err(unsupported(name, place)),
        })
    }
}

fn unsupported(name: &str, place: &Place) -> ConfigError {
    place.error(format!(
        "match: `{name}` is not supported here, only by the system's ssh"
    ))
}
