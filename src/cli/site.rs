//! What holds on this machine before anything is typed: the environment and the configuration, each read once.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::PathBuf;

use super::error::CliError;
use super::resolve::groups::folders;
use crate::config::{Config, Environment, Values};
use crate::groups::Defaults;
use crate::report::Scratch;
use crate::transport::ssh::user_config::{ConfigError, Facts};

/// The environment and the configuration files of this user.
#[derive(Debug)]
pub struct Site {
    /// The environment.
    pub environment: Environment,
    config: OnceCell<Config>,
}

impl Site {
    /// The site of an environment. No file is read yet.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            config: OnceCell::new(),
        }
    }

    /// The configuration, read at the first call.
    ///
    /// # Errors
    /// A file or variable that cannot be used.
    pub fn config(&self) -> Result<&Config, CliError> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = Config::load(&self.environment)?;
        Ok(self.config.get_or_init(|| config))
    }

    /// The values of the configuration.
    ///
    /// # Errors
    /// A file or variable that cannot be used.
    pub fn values(&self) -> Result<&Values, CliError> {
        Ok(&self.config()?.values)
    }

    /// The folders of ClusterShell's configuration.
    #[must_use]
    pub fn folders(&self) -> Vec<PathBuf> {
        folders(&self.environment)
    }

    /// ClusterShell's `defaults.conf`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn defaults(&self) -> Result<Defaults, CliError> {
        Defaults::load(&self.folders()).map_err(|error| CliError::config(error.to_string()))
    }

    /// What ssh_config is resolved with.
    ///
    /// # Errors
    /// When the system does not tell who the user is.
    pub fn facts(&self) -> Result<Facts, ConfigError> {
        Facts::read(self.variables())
    }

    fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.environment.iter()
    }

    /// Where the output of one run goes that outgrows memory: a file in `$TMPDIR`, else `/tmp`, of at most `spool_max`. A
    /// configuration that cannot be read is told by whoever needs it.
    #[must_use]
    pub fn scratch(&self) -> Scratch {
        let folder = self.environment.get("TMPDIR");
        let folder = folder.map_or_else(|| "/tmp".into(), PathBuf::from);
        let max = self.values().ok().and_then(|values| values.spool_max);
        Scratch::new(folder, max.unwrap_or_default().0)
    }
}
