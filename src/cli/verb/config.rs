//! `config`: the configuration in force.

use std::io::Write;

use clap::Args;

use super::VerbArgs;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::resolve::Invocation;
use crate::cli::task::{Here, Request};

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Say of each value where it came from
    #[arg(long)]
    origin: bool,
}

impl VerbArgs for ConfigArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(Request::Here(Box::new(self)))
    }
}

impl Here for ConfigArgs {
    /// Prints each value that is set, as TOML, and the built-in ones.
    fn perform(
        self: Box<Self>,
        asked: Invocation<'_>,
        console: &mut Console,
    ) -> Result<u8, CliError> {
        for (line, origin) in asked.site.config()?.listing() {
            let written = if self.origin {
                writeln!(console.out, "{line}  # {origin}")
            } else {
                writeln!(console.out, "{line}")
            };
            if written.is_err() {
                break; // told when the console is closed
            }
        }
        Ok(0)
    }
}
