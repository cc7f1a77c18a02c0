//! The front: from `argv` to an exit code.
//!
//! One binary answers to several names: the base name of `argv[0]` chooses the front-end, or, when the
//! program is called by its own name, the first word does (`hash nodeset -f n1`).

mod again;
mod axes;
mod color;
mod confirm;
pub mod console;
pub mod error;
mod exit;
pub mod forms;
pub mod front;
pub mod getopt;
pub mod haproxy;
mod input;
mod interactive;
mod journal;
mod ledger;
mod order;
mod outputs;
mod printf;
mod quote;
pub mod request;
pub mod resolve;
mod rollout;
mod run;
mod runtime;
pub mod site;
mod state;
mod takes;
mod task;
pub mod verb;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use console::Console;

/// One way to use the program, with its own command line, output and exit codes.
#[derive(Debug)]
pub struct FrontEnd {
    /// The name it answers to.
    pub name: &'static str,
    /// Runs it: the name it was called by (for messages), the words behind it, and where to write.
    /// Returns the exit code.
    pub run: fn(called: &str, words: &[OsString], console: &mut Console) -> u8,
}

/// Runs the program with the given arguments, the program's name first.
#[must_use]
pub fn main(argv: Vec<OsString>) -> ExitCode {
    let called = argv
        .first()
        .and_then(|name| Path::new(name).file_name())
        .map_or_else(|| "hash".into(), |name| name.to_string_lossy().into_owned());
    let Ok(mut console) = Console::open() else {
        return ExitCode::from(1);
    };
    let words = argv.get(1..).unwrap_or_default();
    let code = match front::by_name(&called) {
        Some(front_end) => (front_end.run)(&called, words, &mut console),
        None => match words.split_first() {
            Some((first, rest))
                if first
                    .to_str()
                    .is_some_and(|name| front::by_name(name).is_some()) =>
            {
                let name = first.to_string_lossy();
                front::by_name(&name)
                    .map_or(64, |front_end| (front_end.run)(&name, rest, &mut console))
            }
            _ => front::hash::run(&called, words, &mut console),
        },
    };
    ExitCode::from(code)
}
