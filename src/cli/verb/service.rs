//! `service`: services in the order of their dependencies, as `milkcheck` has them, reached as every verb reaches nodes.

use std::ffi::OsString;

use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::front::milkcheck;
use crate::cli::resolve::Invocation;
use crate::cli::task::{Here, Request};

/// Services and an action, and options of `milkcheck`.
pub(super) fn request(words: Vec<OsString>) -> Request {
    Request::Here(Box::new(Service { words }))
}

struct Service {
    words: Vec<OsString>,
}

impl Here for Service {
    fn perform(
        self: Box<Self>,
        asked: Invocation<'_>,
        console: &mut Console,
    ) -> Result<u8, CliError> {
        let asked = Invocation {
            called: "service",
            ..asked
        };
        Ok(milkcheck::run_asked(asked, &self.words, console))
    }
}
