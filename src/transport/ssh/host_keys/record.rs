//! Writes a new key into the user's `known_hosts`: one line, appended under a lock.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use russh::keys::PublicKey;

use super::file;

/// A key that could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be written.
    #[error("cannot record the host key in {}: {error}; make it writable or set UserKnownHostsFile", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The same host has shown another key earlier in this run.
    #[error("host key CHANGED during this run: {name} has shown two keys")]
    Changed {
        /// The name it is filed under.
        name: String,
    },
}

/// Keys recorded in this run, by name; also the lock that makes us one writer.
pub(super) type Recorded = Mutex<HashMap<String, Vec<Box<[u8]>>>>;

/// Where and as what the keys of one host are recorded.
pub(super) struct Record<'a> {
    /// The name they are filed under.
    pub(super) name: &'a str,
    pub(super) target: Option<&'a Path>,
    pub(super) hash_names: bool,
    pub(super) recorded: &'a Recorded,
}

impl Record<'_> {
    /// Records a key, which on the wire is `bytes`.
    pub(super) fn add(&self, key: &PublicKey, bytes: Box<[u8]>) -> Result<(), RecordError> {
        // Held while writing: connections of one run must not record a host twice, or two keys for it.
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let known = recorded.entry(self.name.to_owned()).or_default();
        if known.contains(&bytes) {
            return Ok(());
        }
        if !known.is_empty() {
            let name = self.name.to_owned();
            return Err(RecordError::Changed { name });
        }
        if let Some(path) = self.target {
            self.line(key)
                .and_then(|line| append(path, &line))
                .map_err(|error| RecordError::Write {
                    path: path.to_owned(),
                    error,
                })?;
        }
        known.push(bytes);
        Ok(())
    }

    /// Whether a key was recorded in this run.
    pub(super) fn has(&self, key: &[u8]) -> bool {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let known = recorded.get(self.name);
        known.is_some_and(|keys| keys.iter().any(|one| **one == *key))
    }

    fn line(&self, key: &PublicKey) -> io::Result<String> {
        // A name that would read as a pattern or as two (an alias can be anything) is safe when hashed.
        let is_plain = |c: char| c.is_ascii_graphic() && !"*?!,#@|".contains(c);
        let name = if self.hash_names || !self.name.chars().all(is_plain) {
            file::hash_name(self.name)?
        } else {
            self.name.to_owned()
        };
        // Without the comment, which is ours or the server's choice and says nothing.
        let key = PublicKey::new(key.key_data().clone(), "");
        let key = key.to_openssh().map_err(io::Error::other)?;
        Ok(format!("{name} {}\n", key.trim_end()))
    }
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
        && !folder.exists()
    {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    file.lock()?;
    let line = if ends_in_mid_line(&mut file)? {
        format!("\n{line}")
    } else {
        line.to_owned()
    };
    file.write_all(line.as_bytes())
}

/// Whether the last line lacks its end, as some editors leave it.
fn ends_in_mid_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
