//! `shell-init`: the shell function that makes `hash` reach the program where the shell has a builtin of that name.

use std::io::Write;
use std::path::Path;

use clap::{Args, ValueEnum};

use super::VerbArgs;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::quote::quote;
use crate::cli::resolve::Invocation;
use crate::cli::task::{Here, Request};

/// Arguments of `shell-init`.
#[derive(Debug, Args)]
pub struct ShellInitArgs {
    /// The shell that reads the output: eval "$(hapsh shell-init bash)", in fish: hapsh shell-init fish | source
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    #[value(alias = "ksh93")]
    Ksh,
    Mksh,
    #[value(alias = "dash", alias = "ash", alias = "busybox")]
    Sh,
    Fish,
}

impl Shell {
    /// The function's text, for a program that is called by the word `program`.
    fn script(self, program: &str, verbs: &[String]) -> String {
        // How the builtin is reached from inside the function, and which options it has.
        let (builtin, options) = match self {
            Self::Bash => ("builtin hash", "-[dlprt]*"),
            Self::Zsh => ("builtin hash", "-[Ldfmrv]*"),
            Self::Ksh => ("command hash", "-r*"),
            // an alias there, not a builtin
            Self::Mksh => ("builtin alias -t", "-[rt]*"),
            // may be any shell, bash too
            Self::Sh => ("command hash", "-[dlprt]*"),
            Self::Fish => ("", ""),
        };
        let function = match self {
            Self::Zsh => include_str!("shell_init/zsh.zsh"),
            Self::Fish => include_str!("shell_init/fish.fish"),
            Self::Bash | Self::Ksh | Self::Mksh | Self::Sh => {
                include_str!("shell_init/posix.sh")
            }
        };
        let meant = if self == Self::Fish {
            ""
        } else {
            include_str!("shell_init/meant.sh")
        };
        let name = self.to_possible_value();
        let name = name.as_ref().map_or("", |value| value.get_name());
        format!("{function}{meant}")
            .replace("{{SHELL}}", name)
            .replace("{{BUILTIN}}", builtin)
            .replace("{{OPTIONS}}", options)
            .replace("{{VERBS}}", &verbs.join(" | "))
            .replace("{{NAME}}", "hapsh")
            .replace("{{PROGRAM}}", program)
    }
}

/// Every first word that means the program: the verbs and the other front-ends.
fn verbs(mut command: clap::Command) -> Vec<String> {
    command.build();
    let mut all: Vec<_> = command
        .get_subcommands()
        .flat_map(|verb| std::iter::once(verb.get_name()).chain(verb.get_all_aliases()))
        .map(str::to_owned)
        .collect();
    all.sort();
    all.dedup();
    all
}

/// The word by which the function calls the program: the name we were called by if the shell found it on its path and no
/// builtin hides it, else where the program lies.
fn program(called: &Path) -> Result<String, CliError> {
    match called.to_str() {
        Some(name) if !name.contains('/') && name != "hash" => Ok(quote(name)),
        _ => {
            let path = std::env::current_exe().map_err(|error| {
                CliError::system(format!("cannot tell where this program lies: {error}"))
            })?;
            let path = path.to_str().ok_or_else(|| {
                CliError::system(format!("{} is not a name for a script", path.display()))
            })?;
            Ok(quote(path))
        }
    }
}

impl VerbArgs for ShellInitArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(Request::Here(Box::new(self)))
    }
}

impl Here for ShellInitArgs {
    /// Prints the function.
    fn perform(
        self: Box<Self>,
        asked: Invocation<'_>,
        console: &mut Console,
    ) -> Result<u8, CliError> {
        let called = std::env::args_os().next().unwrap_or_default();
        let script = self
            .shell
            .script(&program(Path::new(&called))?, &verbs((asked.grammar)()));
        // A failure is told when the console is closed.
        let _ = console.out.write_all(script.as_bytes());
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_in_the_function_and_nothing_is_left_to_fill_in() {
        let verbs = verbs(crate::cli::front::hash::command());
        assert!(verbs.contains(&"run".to_owned()), "{verbs:?}");
        for shell in Shell::value_variants() {
            let script = shell.script("hapsh", &verbs);
            assert!(!script.contains("{{"), "{script}");
            if *shell != Shell::Fish {
                assert!(
                    script.contains(&format!("{})", verbs.join(" | "))),
                    "{script}"
                );
            }
        }
    }

    #[test]
    fn a_name_on_the_path_stays_a_name() {
        assert_eq!(program(Path::new("hapsh")).unwrap(), "hapsh");
        for hidden in ["hash", "./hapsh", "/opt/hapsh"] {
            assert!(
                program(Path::new(hidden)).unwrap().starts_with('/'),
                "{hidden}"
            );
        }
    }
}
