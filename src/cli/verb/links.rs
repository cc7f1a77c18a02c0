//! `links`: the names of the drop-in front-ends, as symbolic links to this program.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};

use super::VerbArgs;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::front::FRONT_ENDS;
use crate::cli::resolve::Invocation;
use crate::cli::task::{Here, Request};

/// Arguments of `links`.
#[derive(Debug, Args)]
pub struct LinksArgs {
    /// What to do
    #[arg(value_enum)]
    action: Action,
    /// The folder of the links [the program's own]
    #[arg(value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Make the links that are missing; a file that is not ours stays
    Install,
    /// Show what each name is now
    List,
    /// Remove our links, and nothing else
    Remove,
}

/// The names that links are made for: those of the tools we stand in for.
fn names() -> impl Iterator<Item = &'static str> {
    FRONT_ENDS.iter().map(|front_end| front_end.name)
}

/// What a name is now.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// A link to this program or to another place of it.
    Ours(PathBuf),
    /// Somebody else's file.
    Foreign,
}

/// A symbolic link is ours if it leads to a file with one of the program's names, whether that still exists or not.
fn look(link: &Path) -> io::Result<Found> {
    match fs::symlink_metadata(link) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(error),
        Ok(kind) if !kind.is_symlink() => Ok(Found::Foreign),
        Ok(_) => {
            let target = fs::read_link(link)?;
            let ours = ["hash", "hapsh"].map(|name| Some(name.as_ref()));
            Ok(if ours.contains(&target.file_name()) {
                Found::Ours(target)
            } else {
                Found::Foreign
            })
        }
    }
}

impl VerbArgs for LinksArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(Request::Here(Box::new(self)))
    }
}

impl Here for LinksArgs {
    /// Does the action, says what is there afterwards, and what was left alone.
    fn perform(
        self: Box<Self>,
        _asked: Invocation<'_>,
        console: &mut Console,
    ) -> Result<u8, CliError> {
        let failed = |what: &Path, error: &io::Error| {
            CliError::system(format!("{}: {error}", what.display()))
        };
        let program = std::env::current_exe().map_err(|error| {
            CliError::system(format!("cannot tell where this program lies: {error}"))
        })?;
        let dir = match &self.dir {
            Some(dir) => fs::canonicalize(dir).map_err(|error| failed(dir, &error))?,
            None => program.parent().unwrap_or(Path::new("/")).to_owned(),
        };
        // A link beside the program survives the move of their folder.
        let target = match program.strip_prefix(&dir) {
            Ok(name) if name.components().count() == 1 => name.to_owned(),
            _ => program.clone(),
        };
        let mut foreign = Vec::new();
        for name in names() {
            let link = dir.join(name);
            let name = link.display();
            let found = look(&link).map_err(|error| failed(&link, &error))?;
            let (line, done) = match (self.action, found) {
                (Action::Install, Found::Ours(now)) if now == target => {
                    (format!("{name} -> {}", now.display()), Ok(()))
                }
                (Action::Install, Found::Ours(_)) => (
                    format!("{name} -> {}", target.display()),
                    fs::remove_file(&link).and_then(|()| symlink(&target, &link)),
                ),
                (Action::Install, Found::Nothing) => (
                    format!("{name} -> {}", target.display()),
                    symlink(&target, &link),
                ),
                (Action::Install, Found::Foreign) => {
                    foreign.push(name.to_string());
                    continue;
                }
                (Action::List, Found::Ours(now)) => {
                    (format!("{name} -> {}", now.display()), Ok(()))
                }
                (Action::List, Found::Foreign) => (format!("{name}: not ours"), Ok(())),
                (Action::List, Found::Nothing) => (format!("{name}: no link"), Ok(())),
                (Action::Remove, Found::Ours(_)) => {
                    (format!("{name}: removed"), fs::remove_file(&link))
                }
                (Action::Remove, Found::Nothing | Found::Foreign) => continue,
            };
            done.map_err(|error| failed(&link, &error))?;
            if writeln!(console.out, "{line}").is_err() {
                break; // told when the console is closed
            }
        }
        if foreign.is_empty() {
            Ok(0)
        } else {
            let hint = "remove them first, or name another folder: hapsh links install DIR";
            let names = foreign.join(" ");
            Err(CliError::refused(format!("not ours, so left alone: {names}")).hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_the_program_are_ours() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "").unwrap();
        symlink("/somewhere/hapsh", at("gone")).unwrap();
        symlink("/usr/bin/clush", at("other")).unwrap();
        assert_eq!(look(&at("nothing")).unwrap(), Found::Nothing);
        assert_eq!(look(&at("file")).unwrap(), Found::Foreign);
        assert_eq!(look(&at("other")).unwrap(), Found::Foreign);
        assert_eq!(
            look(&at("gone")).unwrap(),
            Found::Ours("/somewhere/hapsh".into())
        );
    }
}
