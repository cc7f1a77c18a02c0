//! The configuration, read and ready to be asked about hosts.

use super::answers::Answers;
use super::asked::{ConfigFile, Given, Options};
use super::blocks::Blocks;
use super::facts::Facts;
use super::parse::{Owner, Reader, check_owner};
use super::place::ConfigError;
use super::resolve::{self, Source};
use super::settings::HostSettings;

/// The configuration, ready to be asked about hosts.
#[derive(Debug)]
pub struct UserConfig {
    source: Source,
    waits: bool,
}

impl UserConfig {
    /// Reads all files. What is wrong in a block is for the hosts of that block to know.
    ///
    /// # Errors
    /// When a file is writable by others or not there, or something is wrong for every host.
    pub fn load(facts: Facts, options: &Options) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(&facts);
        let mut given = Blocks::default();
        for option in &options.options {
            reader.option(option, &mut given);
        }
        let mut parts = vec![given];
        match &options.file {
            ConfigFile::None => {}
            ConfigFile::Path(path) => {
                let file = reader.file(path, Owner::User);
                parts.push(file.ok_or_else(|| ConfigError {
                    place: path.display().to_string(),
                    message: "cannot read this configuration file; check -F".to_owned(),
                })?);
            }
            ConfigFile::Default => {
                check_owner(&facts.user_file, facts.uid).map_err(|message| ConfigError {
                    place: facts.user_file.display().to_string(),
                    message,
                })?;
                parts.extend(reader.file(&facts.user_file, Owner::User));
                parts.extend(reader.file(&facts.system_file, Owner::System));
            }
        }
        Self::of(&reader, parts)
    }

    /// Reads one text as the user's file, under a name for its messages.
    ///
    /// # Errors
    /// As [`UserConfig::load`].
    pub fn from_text(facts: Facts, name: &str, text: &[u8]) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(&facts);
        let parts = vec![reader.text(name, text)];
        Self::of(&reader, parts)
    }

    fn of(reader: &Reader<'_>, parts: Vec<Blocks>) -> Result<Self, ConfigError> {
        let config = Self {
            waits: reader.waits,
            source: Source {
                facts: reader.facts.clone(),
                parts,
                wants_final: reader.wants_final,
                ignored: reader.ignored.clone(),
                answers: Answers::default(),
            },
        };
        match config.source.wrong() {
            Some(error) => Err(error),
            None => Ok(config),
        }
    }

    /// What holds for a host.
    ///
    /// Pure memory, unless the configuration has `Match exec` (runs each distinct command once, and waits) or
    /// `CanonicalizeHostname` (asks the name service): call it off the event loop if it [waits](Self::waits).
    ///
    /// # Errors
    /// A line for this host that makes no sense, a token or variable that is not known, a command of `Match exec` that
    /// cannot be run, or `RefuseConnection`.
    pub fn resolve(&self, host: &str, given: Given<'_>) -> Result<HostSettings, ConfigError> {
        resolve::resolve(&self.source, host, given)
    }

    /// Where the values for a host come from, for people: the blocks that are for it, then host name, port and user.
    ///
    /// # Errors
    /// As [`UserConfig::resolve`].
    pub fn explain(&self, host: &str, given: Given<'_>) -> Result<Vec<String>, ConfigError> {
        resolve::explain(&self.source, host, given)
    }

    /// Whether [`UserConfig::resolve`] may wait for something else than memory.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// The facts it was read with.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.source.facts
    }
}
