//! The table of transports: from `--worker` to a way to reach nodes.

use super::context::Context;
use super::error::CliError;
use crate::config::Worker;
use crate::transport::Transport;

/// The transport that was asked for.
pub(super) fn transport(
    worker: Worker,
    _context: &mut Context<'_>,
) -> Result<Box<dyn Transport>, CliError> {
    match worker {
        Worker::Native | Worker::Ssh | Worker::Exec => {
            Ok(Box::new(crate::transport::sim::Sim::new()))
        }
    }
}
