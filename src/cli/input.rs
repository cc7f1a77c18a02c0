//! What we are given to read as a whole: a file, or standard input.

use std::io::Read as _;
use std::path::Path;

use super::error::CliError;

/// A file's bytes, or standard input's for `-`.
///
/// # Errors
/// What the system said, with the file's name.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        read.map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|error| CliError::usage(format!("cannot read {}: {error}", path.display())))
}
