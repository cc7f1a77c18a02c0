//! The drop-ins as first word of `hash`: their words are theirs.

use std::ffi::OsString;

use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::front;
use crate::cli::resolve::Invocation;
use crate::cli::task::{Here, Request};

macro_rules! drop_ins {
    ($($name:ident)*) => {$(
        /// The drop-in of that name, with its words.
        pub(super) fn $name(words: Vec<OsString>) -> Request {
            Request::Here(Box::new(DropIn { name: stringify!($name), words }))
        }
    )*};
}

drop_ins! { nodeset cluset clush clubak milkcheck }

struct DropIn {
    name: &'static str,
    words: Vec<OsString>,
}

impl Here for DropIn {
    fn perform(
        self: Box<Self>,
        _asked: Invocation<'_>,
        console: &mut Console,
    ) -> Result<u8, CliError> {
        match front::by_name(self.name) {
            Some(front_end) => Ok((front_end.run)(self.name, &self.words, console)),
            None => Err(CliError::usage(format!("there is no `{}`", self.name))),
        }
    }
}
