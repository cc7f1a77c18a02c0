//! `journal`: the runs that are remembered.

use std::io::Write;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::journal::Journal;

/// Arguments of `journal`: none.
#[derive(Debug, Args)]
pub struct JournalArgs {}

/// Prints one line per run, the last one last.
pub(crate) fn run(_args: &JournalArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    let runs = match Journal::new(&context.environment) {
        Some(journal) => journal.runs()?,
        None => Vec::new(),
    };
    for record in runs {
        if writeln!(context.console.out, "{record}").is_err() {
            break; // told when the console is closed
        }
    }
    Ok(0)
}
