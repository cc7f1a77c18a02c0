//! The program `hapsh`, the name of `hash` that no shell builtin hides: hands its arguments to the library and the exit code to the system.

use std::process::ExitCode;

fn main() -> ExitCode {
    hapsh::cli::main(std::env::args_os().collect())
}
