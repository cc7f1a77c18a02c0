//! `run`, and `-- COMMAND`: a command on the nodes.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::quote::command_line;
use crate::cli::rollout::Rollout;
use crate::transport::Command;
use crate::work::run::Run;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub(in crate::cli) rollout: Rollout,
    /// The command: one word is text for the remote shell, several are quoted one by one
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(in crate::cli) command: Vec<String>,
}

impl RunArgs {
    /// The same with the options that stood in front of the verb.
    pub(in crate::cli) fn over(self, rollout: Rollout) -> Self {
        Self {
            rollout: self.rollout.or(rollout),
            ..self
        }
    }
}

/// Runs the command on all nodes.
pub(crate) fn run(args: RunArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    let RunArgs { rollout, command } = args;
    let line = command_line(&command);
    if line.trim().is_empty() {
        return Err(CliError::usage("the command after `--` is empty"));
    }
    if context.care.dry_run {
        return context.dry_run(&line);
    }
    let stdin = if context.care.stdin {
        Some(Context::read("-".as_ref())?.into())
    } else {
        None
    };
    let mut fleet = context.fleet()?;
    fleet.plan.tolerance = rollout.tolerance(fleet.plan.nodes.len());
    let work = Run {
        command: Command {
            line,
            stdin,
            pty: false,
        },
    };
    context.roll_out(&fleet, &work, &rollout)
}
