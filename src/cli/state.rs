//! What is remembered from one run to the next: files below `$XDG_STATE_HOME/hash`, readable by the user alone.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::config::Environment;

/// The folder of the state; `None` when neither `XDG_STATE_HOME` nor `HOME` says where that is.
pub(super) fn folder(environment: &Environment) -> Option<PathBuf> {
    let state = environment.xdg("XDG_STATE_HOME", ".local/state")?;
    Some(state.join("hash"))
}

/// Makes a folder and those above it.
///
/// # Errors
/// What the system said.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file so that a reader sees either all of it or what was there before.
///
/// # Errors
/// What the system said; the file is then as it was.
pub(super) fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    make_folder(folder)?;
    // Made for this user only, which the rename keeps.
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(bytes)?;
    new.persist(file)?;
    Ok(())
}
