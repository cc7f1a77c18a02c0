//! What is wrong with services as they are written, and where.

use std::fmt;
use std::sync::Arc;

/// A place in a file, counted from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file, as it is to be shown.
    pub file: Arc<str>,
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Why services cannot be run as they are written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ServiceError {
    /// What is wrong. Where MilkCheck has words for it, those.
    pub message: String,
    /// Where.
    pub origin: Option<Origin>,
    /// What to write instead.
    pub hint: Option<String>,
    /// Whether the words are MilkCheck's, so that the place is shown only on request.
    pub classic: bool,
}

impl ServiceError {
    /// An error MilkCheck has words for.
    pub(crate) fn classic(message: impl Into<String>, origin: Option<&Origin>) -> Self {
        Self {
            message: message.into(),
            origin: origin.cloned(),
            hint: None,
            classic: true,
        }
    }

    /// An error of our own.
    pub(crate) fn clean(message: impl Into<String>, origin: Option<&Origin>) -> Self {
        Self {
            classic: false,
            ..Self::classic(message, origin)
        }
    }

    /// Of this service. MilkCheck's words stay as they are.
    pub(crate) fn within(mut self, service: &str) -> Self {
        if !self.classic {
            self.message = format!("Service '{service}': {}", self.message);
        }
        self
    }

    /// With what to write instead.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
