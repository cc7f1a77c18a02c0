//! Appends whole lines to a file that others append to as well, that may be rotated away, and whose disk may be full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// How long another process may have the file to itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two tries.
const AGAIN: Duration = Duration::from_millis(20);

/// Appends lines, all of them or none, and has them on the disk when it returns.
///
/// # Errors
/// What the system says; the file is then as it was.
pub(super) fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut file = locked(path)?;
    let is_file = file.metadata()?.is_file();
    let length = file.metadata()?.len();
    // Of a line that was cut off nothing is lost but that line.
    let mut text = Vec::with_capacity(lines.len() + 1);
    if is_file && length > 0 && !ends_in_newline(&mut file)? {
        text.push(b'\n');
    }
    text.extend_from_slice(lines);
    let written = file.write_all(&text).and_then(|()| match is_file {
        true => file.sync_data(),
        false => Ok(()),
    });
    if written.is_err() && is_file {
        // Half a line would look like a change that nobody made.
        let _ = file.set_len(length);
    }
    written
}

/// The file, for this process alone, and still the one of that name.
fn locked(path: &Path) -> io::Result<File> {
    let tries = PATIENCE.as_millis() / AGAIN.as_millis();
    for _ in 0..tries {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // Some file systems have no locks: a single write of whole lines has to do there.
            Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => {
                if is_at(&file, path)? {
                    return Ok(file);
                }
            }
            Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(AGAIN),
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::WouldBlock,
        "another process has it locked",
    ))
}

/// Whether the file was not moved away meanwhile.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((own.dev(), own.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn ends_in_newline(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
