//! Why there is nothing to run.

use std::io;

use crate::cli::error::CliError;
use crate::service::ServiceError;

/// Why there is nothing to run.
#[derive(Debug)]
pub(super) enum Error {
    /// The command line is wrong.
    Options(String),
    /// Something else is.
    Message(String),
    /// The services are.
    Services(Box<ServiceError>),
    /// Our output cannot be written.
    Output,
    /// The system would not let us work.
    System(String),
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        Self::Services(Box::new(error))
    }
}

impl From<CliError> for Error {
    fn from(error: CliError) -> Self {
        Self::Message(error.to_string())
    }
}

impl Error {
    pub(super) fn system(error: CliError) -> Self {
        Self::System(error.to_string())
    }
}

impl From<io::Error> for Error {
    fn from(_: io::Error) -> Self {
        Self::Output
    }
}
