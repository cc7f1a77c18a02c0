//! The lines a person has typed before, in a file that only they can read.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

/// The file of lines typed before.
#[derive(Debug, Clone)]
pub struct History {
    path: PathBuf,
}

impl History {
    /// The history in this file, which need not be there.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The lines, oldest first; none when the file cannot be read.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let bytes = std::fs::read(&self.path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        text.lines().map(str::to_owned).collect()
    }

    /// Appends a line, unless it begins with a blank: so people keep a line out of their history.
    ///
    /// # Errors
    /// What the system said.
    pub fn append(&self, line: &str) -> io::Result<()> {
        if line.starts_with(char::is_whitespace) || line.is_empty() || line.contains('\n') {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)?;
        // In one piece, so that two of us at one time do not mix their lines.
        file.write_all(format!("{line}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn lines_are_kept_for_their_owner_but_those_behind_a_blank() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/hash/history");
        let history = History::new(path.clone());
        assert!(history.lines().is_empty());
        for line in ["uptime", " secret", "", "déjà vu", "two\nlines", "\ttab"] {
            history.append(line).unwrap();
        }
        assert_eq!(history.lines(), ["uptime", "déjà vu"]);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
