//! The front: from `argv` to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with the given arguments, the program's name first.
#[must_use]
pub fn main(argv: Vec<OsString>) -> ExitCode {
    let _ = argv;
    ExitCode::from(64)
}
