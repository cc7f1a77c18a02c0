//! `run`, and `-- COMMAND`: a command on the nodes.

use std::io::Write;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::quote::command_line;
use crate::transport::Command;
use crate::work::run::Run;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The command: one word is text for the remote shell, several are quoted one by one
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Runs the command on all nodes.
pub(crate) fn run(args: &RunArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    let line = command_line(&args.command);
    if line.trim().is_empty() {
        return Err(CliError::usage("the command after `--` is empty"));
    }
    if context.care.dry_run {
        let nodes = context.nodes()?;
        // What cannot be written is told when the console is closed.
        let _ = writeln!(context.console.out, "{nodes}: {line}");
        context.console.complain("dry run: nothing was contacted");
        return Ok(0);
    }
    let stdin = if context.care.stdin {
        Some(Context::read("-".as_ref())?.into())
    } else {
        None
    };
    let fleet = context.fleet()?;
    let work = Run {
        command: Command {
            line,
            stdin,
            pty: false,
        },
    };
    let statuses = context.statuses();
    context.run(&fleet, &work, statuses)
}
