//! Configuration: option > environment > user's file > system's file > built in.
//!
//! This module knows the files and the environment; options are laid on top by `cli`. A file of the
//! current folder is never read by itself.

pub mod clush;
pub mod environment;
mod file;
pub mod milkcheck;
pub mod services;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use environment::Environment;
use file::KEYS;
pub use file::{Audit, Color, Haproxy, Instance, Instances, Limit, Size, Values};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    BuiltIn,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
        }
    }
}

/// What the configuration says, and where each value came from.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The values; what is not set is `None` or empty.
    pub values: Values,
    origins: Vec<(String, Origin)>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}", path = .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file says something it cannot say.
    #[error("{path}:{line}: {message}", path = .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// An environment variable says something it cannot say.
    #[error("${name}: {message}")]
    Environment {
        /// Which variable.
        name: &'static str,
        /// What is wrong.
        message: String,
    },
}

impl Config {
    /// Reads `/etc/hash/config.toml`, then `$XDG_CONFIG_HOME/hash/config.toml` (or only the file that
    /// `HASH_CONFIG` names), then the `HASH_*` variables.
    ///
    /// # Errors
    /// A file that exists but cannot be read or says something unknown; a variable with a bad value.
    pub fn load(environment: &Environment) -> Result<Self, ConfigError> {
        let mut config = Self {
            values: Values::built_in(),
            origins: Vec::new(),
        };
        match environment.get("HASH_CONFIG") {
            Some(path) => config.add_file(Path::new(path), Missing::IsAnError)?,
            None => {
                config.add_file(Path::new("/etc/hash/config.toml"), Missing::IsFine)?;
                if let Some(folder) = environment.xdg("XDG_CONFIG_HOME", ".config") {
                    config.add_file(&folder.join("hash/config.toml"), Missing::IsFine)?;
                }
            }
        }
        config.add_environment(environment)?;
        Ok(config)
    }

    /// Each value that has one, as `key = value` in TOML, and where it came from.
    pub fn listing(&self) -> impl Iterator<Item = (String, Origin)> {
        let table = toml::Table::try_from(&self.values).unwrap_or_default();
        let mut lines = Vec::new();
        flatten("", &table, &mut lines);
        lines.into_iter().map(|(key, value)| {
            let origin = self.origin(&key).cloned().unwrap_or(Origin::BuiltIn);
            (format!("{key} = {value}"), origin)
        })
    }

    /// Where the value of a key came from; `None` when it is not set.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        let owner = |known: &str| {
            key == known
                || key
                    .strip_prefix(known)
                    .is_some_and(|rest| rest.starts_with('.'))
        };
        self.origins
            .iter()
            .rev()
            .find(|(known, _)| owner(known))
            .map(|(_, origin)| origin)
    }

    fn add_file(&mut self, path: &Path, missing: Missing) -> Result<(), ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && missing == Missing::IsFine => {
                return Ok(());
            }
            Err(error) => {
                return Err(ConfigError::Read {
                    path: path.into(),
                    error,
                });
            }
        };
        let values: Values = toml::from_str(&text).map_err(|error| ConfigError::File {
            path: path.into(),
            line: error.span().map_or(1, |span| line_of(&text, span.start)),
            message: one_line(error.message()),
        })?;
        let set = toml::Table::try_from(&values).unwrap_or_default();
        let mut keys = Vec::new();
        flatten("", &set, &mut keys);
        for (key, _) in keys {
            self.origins.push((key, Origin::File(path.into())));
        }
        self.values.lay_over(values);
        Ok(())
    }

    fn add_environment(&mut self, environment: &Environment) -> Result<(), ConfigError> {
        for key in KEYS {
            // An empty set of nodes means no nodes. To pass over it would mean those of the file, whom nobody named.
            let value = match key.name {
                "nodes" => environment.get_even_empty(key.variable),
                _ => environment.get(key.variable),
            };
            let Some(value) = value else {
                continue;
            };
            let bad = |message: String| ConfigError::Environment {
                name: key.variable,
                message,
            };
            let text = value.to_str().ok_or_else(|| bad("not UTF-8".into()))?;
            (key.set)(&mut self.values, text).map_err(bad)?;
            self.origins
                .push((key.name.into(), Origin::Environment(key.variable)));
        }
        Ok(())
    }
}

/// What a missing file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    IsFine,
    IsAnError,
}

/// The leaves of a table as dotted keys with their TOML text.
fn flatten(prefix: &str, table: &toml::Table, lines: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value.as_table() {
            Some(inner) => flatten(&path, inner, lines),
            None => lines.push((path, value.to_string())),
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .as_bytes()
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
}

fn one_line(message: &str) -> String {
    message.trim().replace('\n', "; ")
}

/// A number of bytes as people write it: `1048576`, `512M`, `1 GiB`; units are powers of 1024.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size; write bytes or something like 512M, 1G");
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_uppercase();
    let unit = unit
        .strip_suffix("IB")
        .or(unit.strip_suffix('B'))
        .unwrap_or(&unit);
    let shift = ["", "K", "M", "G", "T"]
        .iter()
        .position(|known| *known == unit);
    let (number, shift): (u64, _) = (
        number.parse().map_err(|_| wrong())?,
        shift.ok_or_else(wrong)?,
    );
    number.checked_mul(1 << (10 * shift)).ok_or_else(wrong)
}

/// A time limit as people write it: `10`, `1.5`, `10s`, `2m`, `1h30m`; 0 is no limit.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_limit(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is not a time; write seconds or something like 10s, 2m, 1h30m");
    match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| wrong()),
        Err(_) => humantime::parse_duration(text.trim()).map_err(|_| wrong()),
    }
}
/// Reads any bytes as a `config.toml` and as a `milkcheck.conf`. What is listed of a configuration must read back.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    milkcheck::fuzz(text);
    let Ok(values) = toml::from_str::<Values>(text) else {
        return;
    };
    let mut config = Config {
        values: Values::built_in(),
        origins: Vec::new(),
    };
    config.values.lay_over(values);
    assert!(config.listing().count() > 0, "built-in values are listed");
    if let Ok(table) = toml::Table::try_from(&config.values) {
        let again = toml::from_str::<Values>(&table.to_string());
        assert!(again.is_ok(), "{again:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(home: &Path, more: &[(&str, &str)]) -> Environment {
        [("XDG_CONFIG_HOME", home.to_str().unwrap())]
            .iter()
            .chain(more)
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn home(text: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("hash")).unwrap();
        std::fs::write(home.path().join("hash/config.toml"), text).unwrap();
        home
    }

    fn load(text: &str, more: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let home = home(text);
        Config::load(&environment(home.path(), more))
    }

    #[test]
    fn an_empty_set_of_nodes_is_not_passed_over() {
        let nodes = |variable| {
            let config = load("nodes = 'lb[1-2]'\nuser = 'me'\n", &[variable]).unwrap();
            (config.values.nodes, config.values.user)
        };
        let (lb, me) = (Some("lb[1-2]".to_owned()), Some("me".to_owned()));
        assert_eq!(nodes(("HASH_NODES", "")), (Some(String::new()), me.clone()));
        assert_eq!(nodes(("HASH_USER", "")), (lb, me));
    }

    #[test]
    fn the_environment_beats_the_file_and_the_file_what_is_built_in() {
        let text = "nodes = 'lb[1-2]'\nfanout = 8\nconnect_timeout = 2.5\n[haproxy.instances.puppet]\nsocket = '/p'\n\
                    [haproxy.instances.ldap]\nsocket = '/l'\nbackend = 'ldap'\n";
        let config = load(
            text,
            &[("HASH_FANOUT", "16"), ("HASH_COMMAND_TIMEOUT", "1m")],
        )
        .unwrap();
        let values = &config.values;
        assert_eq!(values.nodes.as_deref(), Some("lb[1-2]"));
        assert_eq!(values.fanout.map(|fanout| fanout.get()), Some(16));
        assert_eq!(
            values.connect_timeout.and_then(Limit::get),
            Some(Duration::from_millis(2500))
        );
        assert_eq!(
            values.command_timeout.and_then(Limit::get),
            Some(Duration::from_mins(1))
        );
        assert_eq!(values.output.as_deref(), Some("text"));
        let names: Vec<&String> = values.haproxy.instances.keys().collect();
        assert_eq!(names, ["puppet", "ldap"], "in the file's order");
        assert_eq!(
            config.origin("fanout"),
            Some(&Origin::Environment("HASH_FANOUT"))
        );
        assert!(matches!(config.origin("nodes"), Some(Origin::File(_))));
        let listing: Vec<_> = config.listing().map(|(line, _)| line).collect();
        assert!(listing.contains(&"fanout = 16".to_owned()), "{listing:?}");
        assert!(
            listing.contains(&"haproxy.instances.ldap.socket = \"/l\"".to_owned()),
            "{listing:?}"
        );
    }

    #[test]
    fn a_mistake_is_named_with_its_file_and_line() {
        let error = load("nodes = 'a'\nfanuot = 3\n", &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("hash/config.toml:2: unknown field `fanuot`"),
            "{error}"
        );
        let error = load("fanout = 0\n", &[]).unwrap_err().to_string();
        assert!(error.contains("config.toml:1: "), "{error}");
        let error = load("deadline = 'soon'\n", &[]).unwrap_err().to_string();
        assert!(error.contains("`soon` is not a time"), "{error}");
        let error = load("", &[("HASH_COLOR", "blue")]).unwrap_err().to_string();
        assert!(
            error.starts_with("$HASH_COLOR: unknown variant `blue`"),
            "{error}"
        );
        assert!(!error.contains('\n'));
    }

    #[test]
    fn a_named_file_must_be_there_and_is_the_only_one() {
        let gone = load("", &[("HASH_CONFIG", "/nonexistent/config.toml")]).unwrap_err();
        assert!(matches!(gone, ConfigError::Read { .. }));
        let other = home("fanout = 3");
        let path = other.path().join("hash/config.toml");
        let config = load("nodes = 'x'", &[("HASH_CONFIG", path.to_str().unwrap())]).unwrap();
        assert_eq!(config.values.nodes, None);
        assert_eq!(config.values.fanout.map(|fanout| fanout.get()), Some(3));
    }

    #[test]
    fn sizes_have_units() {
        for (text, size) in [
            ("0", 0),
            ("1000", 1000),
            ("5B", 5),
            ("2k", 2048),
            ("512M", 512 << 20),
            ("1 GiB", 1 << 30),
            ("3TB", 3 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in ["", "M", "-1", "1.5G", "1X", "1iB2", "20000000T"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        let spool = |text: &str| load(text, &[]).map(|config| config.values.spool_max);
        assert_eq!(spool("").unwrap(), Some(Size(1 << 30)));
        assert_eq!(spool("spool_max = '2M'").unwrap(), Some(Size(2 << 20)));
        assert_eq!(spool("spool_max = 4096").unwrap(), Some(Size(4096)));
        let error = spool("spool_max = 'much'").unwrap_err().to_string();
        assert!(error.contains("`much` is not a size"), "{error}");
        let listing: Vec<_> = load("spool_max = '2048K'", &[])
            .unwrap()
            .listing()
            .collect();
        assert!(listing.iter().any(|(line, _)| line == "spool_max = \"2M\""));
    }

    #[test]
    fn zero_is_no_limit() {
        let config = load(
            "connect_timeout = 0\nidle_timeout = '0s'\naudit_syslog = true",
            &[],
        )
        .unwrap();
        assert_eq!(config.values.connect_timeout.and_then(Limit::get), None);
        assert_eq!(config.values.idle_timeout.and_then(Limit::get), None);
        assert_eq!(config.values.audit_syslog, Some(true));
        let config = load(
            "",
            &[("HASH_AUDIT_SYSLOG", "yes"), ("HASH_AUDIT", "required")],
        )
        .unwrap();
        assert_eq!(config.values.audit_syslog, Some(true));
        assert_eq!(config.values.audit, Some(Audit::Required));
        assert!(
            parse_limit("-1").is_err() && parse_limit("1e300").is_err() && parse_limit("").is_err()
        );
    }
}
