//! `info`, `stat`, `sess` and `raw`: HAProxy's own words, gathered.

use std::io::Write;
use std::sync::Arc;

use clap::Args;

use crate::answer::Answer;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::haproxy::command::{Command, RawCommand};
use crate::work::haproxy::Asker;
use crate::work::haproxy::question::Question;

/// Arguments of `info`, `stat` and `sess`: none.
#[derive(Debug, Args)]
pub struct QuestionArgs {}

/// Arguments of `raw`.
#[derive(Debug, Args)]
pub struct RawArgs {
    /// One line for the Runtime API, such as 'show servers conn'
    #[arg(value_name = "COMMAND")]
    pub command: String,
    /// Send a lower level first, so that nothing can be changed by mistake
    #[arg(long)]
    pub read_only: bool,
}

/// Asks all nodes a question.
pub(crate) fn run(command: Command, context: &mut Context<'_>) -> Result<u8, CliError> {
    let sockets = context.sockets()?;
    if context.care.dry_run {
        let nodes = context.nodes()?;
        // What cannot be written is told when the console is closed.
        let _ = writeln!(context.console.out, "{nodes}: {command}");
        context.console.complain("dry run: nothing was contacted");
        return Ok(0);
    }
    let fleet = context.fleet()?;
    let answer = if command == Command::ShowInfo {
        Answer::Info
    } else if command == Command::ShowStat {
        Answer::Stat
    } else if command == Command::ShowSessions {
        Answer::Sessions
    } else {
        Answer::Raw
    };
    let work = Question {
        names: Arc::clone(&fleet.plan.nodes),
        sockets,
        command,
        answer,
        asker: Asker::default(),
    };
    let statuses = context.statuses();
    context.run(&fleet, &work, statuses)
}

/// Sends what was typed.
pub(crate) fn raw(args: &RawArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    let typed = RawCommand::parse(&args.command).map_err(|error| {
        CliError::usage(format!(
            "cannot send `{}`: {error}",
            args.command.escape_debug()
        ))
    })?;
    if args.read_only {
        let lowered = RawCommand::parse(&format!("user;{}", args.command))
            .map_err(|error| CliError::usage(error.to_string()))?;
        return run(Command::Raw(lowered), context);
    }
    if typed.changes() {
        if !context.care.yes && !context.care.dry_run {
            return Err(CliError::refused(format!(
                "`{}` may change something, and what `raw` sends is neither checked nor read back; nothing was sent",
                args.command
            ))
            .hint("add --yes to send it, or use enable, disable, drain or weight"));
        }
        context.refuse_shrunken_glob()?;
    }
    run(Command::Raw(typed), context)
}
