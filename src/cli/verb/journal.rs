//! `journal`: the runs that are remembered.

use std::io::Write;

use clap::Args;

use super::VerbArgs;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::journal::Journal;
use crate::cli::resolve::Invocation;
use crate::cli::task::{Here, Request};

/// Arguments of `journal`: none.
#[derive(Debug, Args)]
pub struct JournalArgs {}

impl VerbArgs for JournalArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(Request::Here(Box::new(self)))
    }
}

impl Here for JournalArgs {
    /// Prints one line per run, the last one last.
    fn perform(
        self: Box<Self>,
        asked: Invocation<'_>,
        console: &mut Console,
    ) -> Result<u8, CliError> {
        let runs = match Journal::new(&asked.site.environment) {
            Some(journal) => journal.runs()?,
            None => Vec::new(),
        };
        for record in runs {
            if writeln!(console.out, "{record}").is_err() {
                break; // told when the console is closed
            }
        }
        Ok(0)
    }
}
