//! `completions`: what a shell needs to complete our command line, groups of nodes included.

use std::io::Write;

use clap::{Args, ValueEnum};
use clap_complete::aot::{self, generate};

use super::VerbArgs;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::resolve::Invocation;
use crate::cli::task::{Here, Request};

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell that reads the output
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells that complete options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    fn script(self, mut grammar: clap::Command) -> String {
        let (shell, own) = match self {
            Self::Bash => (aot::Shell::Bash, include_str!("completions/bash.sh")),
            Self::Zsh => (aot::Shell::Zsh, include_str!("completions/zsh.zsh")),
            Self::Fish => (aot::Shell::Fish, include_str!("completions/fish.fish")),
        };
        let mut known = Vec::new();
        generate(shell, &mut grammar, "hapsh", &mut known);
        let script = String::from_utf8_lossy(&known).into_owned();
        if self == Self::Zsh {
            // as an autoloaded file it is run to its end at once, so ours has to come first
            return script
                .replace(":NODES:_default", ":NODES:_hapsh_nodes")
                .replace(":GROUP:_default", ":GROUP:_hapsh_groups")
                .replace("compdef _hapsh hapsh", "compdef _hapsh hapsh hash")
                .replacen(
                    "#compdef hapsh\n",
                    &format!("#compdef hapsh hash\n\n{own}"),
                    1,
                );
        }
        script + own
    }
}

impl VerbArgs for CompletionsArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(Request::Here(Box::new(self)))
    }
}

impl Here for CompletionsArgs {
    /// Prints the completions.
    fn perform(
        self: Box<Self>,
        asked: Invocation<'_>,
        console: &mut Console,
    ) -> Result<u8, CliError> {
        // A failure is told when the console is closed.
        let _ = console
            .out
            .write_all(self.shell.script((asked.grammar)()).as_bytes());
        Ok(0)
    }
}
