//! `--copy` and `--rcopy`: what is checked before anything is contacted.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::options::Copying;
use super::session::{End, Session};

/// Copies files to or from all nodes.
pub(super) fn run(session: &mut Session<'_>, copying: Copying) -> Result<End, Failure> {
    if session.options.words.is_empty() {
        return Err(Failure::Usage(
            "--[r]copy option requires at least one argument".to_owned(),
        ));
    }
    check(session, copying)?;
    Err(Failure::Named("copies are not supported".to_owned()))
}

/// Looks at the files here.
fn check(session: &Session<'_>, copying: Copying) -> Result<(), Failure> {
    let dest = session.options.dest.as_deref();
    for word in &session.options.words {
        match copying {
            Copying::Push => {
                if !Path::new(word).exists() {
                    return Err(Failure::Plain(format!("file \"{word}\" not found")));
                }
            }
            Copying::Pull => {
                let folder = dest.map_or_else(|| folder_of(word), PathBuf::from);
                let shown = folder.display();
                if !folder.exists() {
                    return Err(Failure::Plain(format!("directory \"{shown}\" not found")));
                }
                if !folder.is_dir() {
                    return Err(Failure::Plain(format!(
                        "destination \"{shown}\" is not a directory"
                    )));
                }
            }
        }
    }
    Ok(())
}

/// The absolute folder of a file.
fn folder_of(file: &str) -> PathBuf {
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.into());
    whole.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
