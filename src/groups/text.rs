//! Reading files of group sources as text.

use std::path::Path;

use super::Error;
use crate::ini::Ini;

/// Reads a file into `ini`; says whether it was there.
pub(super) fn merge(ini: &mut Ini, path: &Path) -> Result<bool, Error> {
    let Ok(text) = std::fs::read(path) else {
        return Ok(false);
    };
    ini.merge(&path.to_string_lossy(), &utf8(path, text)?)?;
    Ok(true)
}

pub(super) fn utf8(path: &Path, text: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(text).map_err(|error| {
        Error::Config(format!(
            "{}: not UTF-8 at byte {}",
            path.display(),
            error.utf8_error().valid_up_to()
        ))
    })
}
