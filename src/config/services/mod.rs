//! MilkCheck's service files: YAML to `service::definition` (MilkCheck 1.2.4, milkcheck-services(5)).
//!
//! What the values mean is resolved later (`service::resolve`); here is what may stand where.

mod actions;
mod groups;
mod reader;
mod settings;

use std::fs;
use std::io;
use std::path::Path;

use crate::service::ServiceError;
use reader::Reader;
pub use reader::{Loaded, Names, Warning};

/// Reads every service file of a directory, in the order of their names.
///
/// # Errors
/// What cannot be read, and the first mistake in what can.
pub fn load(directory: &Path, names: Names<'_>) -> Result<Loaded, ServiceError> {
    let unreadable = |path: &Path, error: &io::Error| {
        ServiceError::clean(format!("Cannot read '{}': {error}", path.display()), None)
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| unreadable(directory, &error))? {
        let path = entry.map_err(|error| unreadable(directory, &error))?.path();
        let is_ours = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_ours && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let mut reader = Reader::new(names);
    for path in files {
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let file = path.display().to_string();
        let text = String::from_utf8(bytes)
            .map_err(|_| ServiceError::clean(format!("'{file}' is not UTF-8 text"), None))?;
        reader.file(&file, &text)?;
    }
    Ok(reader.finish())
}

/// Reads one text of service definitions.
///
/// # Errors
/// The first mistake in it.
pub fn parse(file: &str, text: &str, names: Names<'_>) -> Result<Loaded, ServiceError> {
    let mut reader = Reader::new(names);
    reader.file(file, text)?;
    Ok(reader.finish())
}
