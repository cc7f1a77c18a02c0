//! The user's `ssh_config`: read once, resolved for each host in memory, so that what works with `ssh` works here.
//!
//! Follows ssh_config(5) and, where the page is silent, what `ssh -G` does; `tests/it/ssh_config.rs` compares the
//! two. Differences, all deliberate: home is `$HOME` first; `IgnoreUnknown` counts from any block above it;
//! algorithms that nobody knows are left out instead of refused; `CanonicalizePermittedCNAMEs`, `Match localnetwork`,
//! `Match version` and `Match command` are not there.

mod algorithms;
mod condition;
mod expand;
mod facts;
mod keyword;
mod parse;
mod resolve;
mod settings;
mod words;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub use algorithms::AlgorithmList;
pub use facts::Facts;
use parse::{Blocks, Owner, Reader};
pub use settings::{
    AddressFamily, AuthSettings, Hop, HostKeyPolicy, HostKeySettings, HostSettings, Proxy,
};

/// A configuration that cannot be read or does not make sense for a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ConfigError {
    /// `FILE:LINE`, or the option of the command line.
    pub place: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which files to read (`-F`).
    pub file: ConfigFile,
    /// Options that come before all files (`-o Key=Value`).
    pub options: Vec<String>,
}

/// Which files to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ConfigFile {
    /// The user's and the system's.
    #[default]
    Default,
    /// None at all (`-F none`).
    None,
    /// Only this one, which must be there.
    Path(PathBuf),
}

impl ConfigFile {
    /// The meaning of `-F`'s argument.
    #[must_use]
    pub fn from_flag(argument: &str) -> Self {
        if argument.eq_ignore_ascii_case("none") {
            Self::None
        } else {
            Self::Path(argument.into())
        }
    }
}

/// What is known of a host beside the configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given<'a> {
    /// Whom to log in as, whatever else is said (`-l`).
    pub user: Option<&'a str>,
    /// Whom to log in as unless an option says so, as in `user@host`: comes before all files.
    pub usual_user: Option<&'a str>,
    /// The port unless an option says so, as in `ssh://host:port`: comes before all files.
    pub port: Option<u16>,
}

/// The configuration, ready to be asked about hosts.
#[derive(Debug)]
pub struct UserConfig {
    facts: Facts,
    /// Options of the command line, the user's file, the system's file.
    parts: Vec<Blocks>,
    wants_final: bool,
    waits: bool,
    /// The answers of `Match exec`, by command.
    answers: Mutex<HashMap<String, Answer>>,
}

/// Whether a command succeeded; found out once, waited for by all who ask.
type Answer = Arc<OnceLock<Result<bool, io::ErrorKind>>>;

impl UserConfig {
    /// Reads all files.
    ///
    /// # Errors
    /// When a line does not make sense, or a file is writable by others.
    pub fn load(facts: Facts, options: &Options) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(&facts);
        let mut given = Blocks::default();
        for option in &options.options {
            reader.option(option, &mut given)?;
        }
        let mut parts = vec![given];
        match &options.file {
            ConfigFile::None => {}
            ConfigFile::Path(path) => {
                let file = reader.file(path, Owner::User)?;
                parts.push(file.ok_or_else(|| ConfigError {
                    place: path.display().to_string(),
                    message: "cannot read this configuration file; check -F".to_owned(),
                })?);
            }
            ConfigFile::Default => {
                parse::check_owner(&facts.user_file, facts.uid).map_err(|message| ConfigError {
                    place: facts.user_file.display().to_string(),
                    message,
                })?;
                parts.extend(reader.file(&facts.user_file, Owner::User)?);
                parts.extend(reader.file(&facts.system_file, Owner::System)?);
            }
        }
        let (wants_final, waits) = (reader.wants_final, reader.waits);
        Ok(Self {
            facts,
            parts,
            wants_final,
            waits,
            answers: Mutex::default(),
        })
    }

    /// Reads one text as the user's file, under a name for its messages.
    ///
    /// # Errors
    /// As [`UserConfig::load`].
    pub fn from_text(facts: Facts, name: &str, text: &[u8]) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(&facts);
        let parts = vec![reader.text(name, text)?];
        let (wants_final, waits) = (reader.wants_final, reader.waits);
        Ok(Self {
            facts,
            parts,
            wants_final,
            waits,
            answers: Mutex::default(),
        })
    }

    /// What holds for a host.
    ///
    /// Pure memory, unless the configuration has `Match exec` (runs each distinct command once, and waits) or
    /// `CanonicalizeHostname` (asks the name service): call it off the event loop if it [waits](Self::waits).
    ///
    /// # Errors
    /// A token or variable that is not known, or a command of `Match exec` that cannot be run.
    pub fn resolve(&self, host: &str, given: Given<'_>) -> Result<HostSettings, ConfigError> {
        resolve::resolve(self, host, given)
    }

    /// Where the values for a host come from, for people: the blocks that are for it, then host name, port and user.
    ///
    /// # Errors
    /// As [`UserConfig::resolve`].
    pub fn explain(&self, host: &str, given: Given<'_>) -> Result<Vec<String>, ConfigError> {
        resolve::explain(self, host, given)
    }

    /// Whether [`UserConfig::resolve`] may wait for something else than memory.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// The facts it was read with.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether a command of `Match exec` succeeds in the user's shell.
    fn answer(&self, command: &str) -> Result<bool, io::ErrorKind> {
        let answer = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(command.to_owned()).or_default())
        };
        *answer.get_or_init(|| {
            let shell = self
                .facts
                .env
                .get("SHELL")
                .map_or("/bin/sh", String::as_str);
            Command::new(shell)
                .args(["-c", command])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status()
                .map(|status| status.success())
                .map_err(|error| error.kind())
        })
    }
}

#[cfg(test)]
mod tests;
