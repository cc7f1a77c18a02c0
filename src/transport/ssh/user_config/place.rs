//! Where a line of the configuration stands, and what is wrong with it.

use std::fmt;
use std::sync::Arc;

/// A configuration that cannot be read or does not make sense for a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ConfigError {
    /// `FILE:LINE`, or the option of the command line.
    pub place: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Where a line stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) file: Arc<str>,
    /// 0 for an option of the command line.
    pub(super) line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line } = self;
        match line {
            0 => f.write_str(file),
            _ => write!(f, "{file}:{line}"),
        }
    }
}

impl Place {
    /// Whether it is an option of the command line.
    pub(super) const fn is_option(&self) -> bool {
        self.line == 0
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError {
            place: self.to_string(),
            message: message.into(),
        }
    }
}
