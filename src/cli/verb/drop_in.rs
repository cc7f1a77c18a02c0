//! The drop-ins as first word of `hash`, for `--help`: their words are theirs.

use std::ffi::OsString;

use clap::Args;

use super::VerbArgs;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::front;
use crate::cli::resolve::Asked;
use crate::cli::task::{Here, Request};

macro_rules! drop_ins {
    ($($type:ident = $name:literal),*) => {$(
        /// The words of a drop-in.
        #[derive(Debug, Args)]
        pub(super) struct $type {
            /// Its own options and words
            #[arg(value_name = "WORDS", trailing_var_arg = true, allow_hyphen_values = true)]
            words: Vec<OsString>,
        }

        impl VerbArgs for $type {
            fn request(self) -> Result<Request, CliError> {
                Ok(Request::Here(Box::new(DropIn { name: $name, words: self.words })))
            }
        }
    )*};
}

drop_ins! { Nodeset = "nodeset", Cluset = "cluset", Clush = "clush", Clubak = "clubak", Milkcheck = "milkcheck" }

struct DropIn {
    name: &'static str,
    words: Vec<OsString>,
}

impl Here for DropIn {
    fn perform(self: Box<Self>, _asked: Asked<'_>, console: &mut Console) -> Result<u8, CliError> {
        match front::by_name(self.name) {
            Some(front_end) => Ok((front_end.run)(self.name, &self.words, console)),
            None => Err(CliError::usage(format!("there is no `{}`", self.name))),
        }
    }
}
