//! `config`: the configuration in force.

use std::io::Write;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Say of each value where it came from
    #[arg(long)]
    origin: bool,
}

/// Prints each value that is set, as TOML, and the built-in ones.
pub(crate) fn run(args: &ConfigArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    let listing: Vec<_> = context.config()?.listing().collect();
    for (line, origin) in listing {
        let written = if args.origin {
            writeln!(context.console.out, "{line}  # {origin}")
        } else {
            writeln!(context.console.out, "{line}")
        };
        if written.is_err() {
            break; // told when the console is closed
        }
    }
    Ok(0)
}
