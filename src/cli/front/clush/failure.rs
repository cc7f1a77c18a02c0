//! Why a run ends before it began, in the original's words and with its exit codes.

use std::io;
use std::path::Path;

use crate::config::clush::ClushConfError;
use crate::nodeset::{EvalError, GroupError};

/// Why it ends early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// A mistake on the command line: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A message behind the program's name: exit code 1.
    #[error("{0}")]
    Named(String),
    /// A message behind `ERROR:`: exit code 1.
    #[error("{0}")]
    Plain(String),
    /// Ctrl-C before anything was run: exit code 130.
    #[error("Keyboard interrupt.")]
    Interrupted,
    /// Our output cannot be written: exit code 1, without a word if the reader went away.
    #[error(transparent)]
    Output(#[from] io::Error),
}

impl Failure {
    /// What the system said about a file.
    pub(super) fn system(error: &io::Error, path: &Path) -> Self {
        let path = path.display();
        let text = error.to_string();
        Self::Plain(match (error.raw_os_error(), text.find(" (os error")) {
            (Some(number), Some(end)) => format!("[Errno {number}] {}: '{path}'", &text[..end]),
            _ => format!("{text}: '{path}'"),
        })
    }
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Self {
        Self::Named(error.to_string())
    }
}

impl From<GroupError> for Failure {
    fn from(error: GroupError) -> Self {
        EvalError::from(error).into()
    }
}

impl From<ClushConfError> for Failure {
    fn from(error: ClushConfError) -> Self {
        let message = error.to_string();
        match error {
            ClushConfError::Ini(_) | ClushConfError::Plain(_) => Self::Named(message),
            ClushConfError::Value { .. } | ClushConfError::Mode { .. } => Self::Plain(message),
        }
    }
}
