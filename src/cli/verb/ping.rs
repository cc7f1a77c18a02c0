//! `ping`: which nodes can be reached and logged in to.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::work::ping::Ping;

/// Arguments of `ping`: none.
#[derive(Debug, Args)]
pub struct PingArgs {}

/// Connects to all nodes and says of each whether that worked.
pub(crate) fn run(_args: &PingArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    if context.care.dry_run {
        return context.dry_run("connect and log in");
    }
    let fleet = context.fleet()?;
    let statuses = context.statuses();
    context.run(&fleet, &Ping, statuses)
}
