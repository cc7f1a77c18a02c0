//! What the caller says: which files to read, options that come before them, and what is known of a host beside them.

use std::path::PathBuf;

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
