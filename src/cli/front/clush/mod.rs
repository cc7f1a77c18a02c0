//! The front-end `clush`: ClusterShell 1.10.1's parallel shell, with its options, output and exit codes, on our
//! own engine and SSH.

mod copy;
mod failure;
mod interactive;
mod nodes;
mod options;
mod prepare;
mod session;
mod ssh;
mod tree;
mod worker;

use std::ffi::OsString;
use std::io::{self, Write};

use crate::cli::console::Console;
use crate::config::clush::Verbosity;
use failure::Failure;
use interactive::interact;
use options::Parsed;
use prepare::prepare;
use session::{End, INTERRUPT, Session};

/// The version of the tool that this one stands in for.
const VERSION: &str = "1.10.1";

/// Runs `clush` with the words behind its name.
pub fn run(called: &str, words: &[OsString], console: &mut Console) -> u8 {
    let ended = clush(called, words, console);
    let closed = console.close().map_err(Failure::from);
    let failure = match ended.and_then(|code| closed.map(|()| code)) {
        Ok(code) => return code,
        Err(failure) => failure,
    };
    match &failure {
        Failure::Usage(message) => {
            console.complain(format_args!(
                "{}\n\n{called}: error: {message}",
                options::USAGE
            ));
            return 2;
        }
        Failure::Interrupted => {
            console.complain(failure);
            return 128 + INTERRUPT;
        }
        Failure::Named(message) => console.complain(format_args!("{called}: {message}")),
        Failure::Plain(message) => console.complain(format_args!("ERROR: {message}")),
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Failure::Output(error) => console.complain(format_args!("{called}: {error}")),
    }
    1
}

fn clush(called: &str, words: &[OsString], console: &mut Console) -> Result<u8, Failure> {
    let options = match options::parse(words).map_err(Failure::Usage)? {
        Parsed::Run(options) => *options,
        Parsed::Help => {
            console.out.write_all(options::HELP.as_bytes())?;
            return Ok(0);
        }
        Parsed::Version => {
            writeln!(console.out, "{called} {VERSION}")?;
            return Ok(0);
        }
    };
    let mut session = prepare(called, options, console)?;
    let ended = if let Some(copying) = session.options.copying {
        copy::run(&mut session, copying)?
    } else {
        if session.options.words.is_empty() && session.keyboard {
            return interact(&mut session);
        }
        let command = session.command()?;
        session.run(&command)?
    };
    Ok(match ended {
        End::Done(code) if session.conf.maxrc()? => code,
        End::Done(_) => 0,
        End::Signal(signal) => 128 + signal,
    })
}

impl Session<'_> {
    /// The words of the command line as one command, behind the prefix.
    fn command(&mut self) -> Result<String, Failure> {
        let command = self.options.words.join(" ");
        self.prefixed(&command)
    }

    /// A command behind the prefix of the configuration.
    pub(super) fn prefixed(&mut self, command: &str) -> Result<String, Failure> {
        let prefix = self.conf.command_prefix()?;
        if prefix.is_empty() {
            return Ok(command.to_owned());
        }
        if self.verbosity >= Verbosity::Verbose {
            let mode = self.conf.mode().unwrap_or("None");
            let words: Vec<String> = prefix.iter().map(|word| format!("'{word}'")).collect();
            writeln!(
                self.console.out,
                "[{mode}] command prefix: [{}]",
                words.join(", ")
            )?;
        }
        Ok(format!("{} {command}", prefix.join(" ")))
    }
}
