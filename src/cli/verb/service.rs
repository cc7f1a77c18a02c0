//! `service`: services in the order of their dependencies, as `milkcheck` has them, reached as every verb reaches nodes.

use std::ffi::OsString;

use clap::Args;

use super::VerbArgs;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::front::milkcheck;
use crate::cli::resolve::Asked;
use crate::cli::task::{Here, Request};

/// Arguments of `service`: those of `milkcheck`.
#[derive(Debug, Args)]
pub struct ServiceArgs {
    /// Services and an action, and options of milkcheck(1)
    #[arg(
        value_name = "WORDS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<OsString>,
}

impl VerbArgs for ServiceArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(Request::Here(Box::new(self)))
    }
}

impl Here for ServiceArgs {
    fn perform(self: Box<Self>, asked: Asked<'_>, console: &mut Console) -> Result<u8, CliError> {
        let asked = Asked {
            called: "service",
            ..asked
        };
        Ok(milkcheck::run_asked(asked, &self.words, console))
    }
}
