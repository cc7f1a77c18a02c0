//! `ping`: which nodes can be reached and logged in to.

use std::io::Write;

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
        let nodes = context.nodes()?;
        // What cannot be written is told when the console is closed.
        let _ = writeln!(context.console.out, "{nodes}: connect and log in");
        context.console.complain("dry run: nothing was contacted");
        return Ok(0);
    }
    let fleet = context.fleet()?;
    let statuses = context.statuses();
    context.run(&fleet, &Ping, statuses)
}
