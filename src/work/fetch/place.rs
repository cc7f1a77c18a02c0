//! Where what is fetched from one node lands: a temporary folder beside its place, and then the place.

use std::collections::HashSet;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use memchr::memchr;

use super::unpack::{Unpack, finish_file};

/// What a node says in front of the rest begins so; shells may have said something before.
const MARK: &[u8] = b"hapsh: ";

/// So much may come before it.
const CHATTER: usize = 64 * 1024;

/// A fetch on its way.
#[derive(Debug)]
pub(super) struct Landing {
    folder: tempfile::TempDir,
    place: PathBuf,
    times: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first line is not whole yet; where it begins, once its mark came.
    Line(Vec<u8>, Option<usize>),
    File {
        file: File,
        /// The permissions that are to hold whatever our umask is.
        mode: Option<u32>,
        modified: Option<SystemTime>,
        size: u64,
        got: u64,
    },
    Folder(Unpack),
}

impl Landing {
    /// For a file or folder called `name` in a folder.
    pub(super) fn new(dest: &Path, name: String, times: bool) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(".hapsh-")
            .tempdir_in(dest)?;
        Ok(Self {
            folder,
            place: dest.join(name),
            times,
            state: State::Line(Vec::new(), None),
        })
    }

    /// Where it is until it is whole.
    fn inner(&self) -> PathBuf {
        self.folder.path().join("it")
    }

    /// Takes what comes next.
    pub(super) fn push(&mut self, data: &[u8]) -> io::Result<()> {
        match &mut self.state {
            State::Line(line, begin) => {
                // Only what may be new is looked at again.
                let from = line.len().saturating_sub(MARK.len());
                line.extend_from_slice(data);
                let found = || memchr::memmem::find(&line[from..], MARK).map(|at| from + at);
                *begin = begin.or_else(found);
                let whole = begin.and_then(|mark| Some((mark, memchr(b'\n', &line[mark..])?)));
                let Some((mark, end)) = whole else {
                    if line.len() > CHATTER {
                        let text = "the node says something else than was asked";
                        return Err(io::Error::other(text));
                    }
                    return Ok(());
                };
                let all = std::mem::take(line);
                let text =
                    String::from_utf8_lossy(&all[mark + MARK.len()..mark + end]).into_owned();
                self.begin(&text)?;
                self.push(&all[mark + end + 1..])
            }
            State::File {
                file, size, got, ..
            } => {
                *got += data.len() as u64;
                if got > size {
                    let text =
                        format!("the node sends more than the {size} bytes that it announced");
                    return Err(io::Error::other(text));
                }
                file.write_all(data)
            }
            State::Folder(unpack) => unpack.push(data),
        }
    }

    fn begin(&mut self, text: &str) -> io::Result<()> {
        let words: Vec<&str> = text.split(' ').collect();
        self.state = match words[..] {
            ["folder"] => State::Folder(Unpack::new(self.inner(), self.times)?),
            ["file", mode, size, time] => {
                let bad = || io::Error::other("the node describes the file in an unknown way");
                let modified = time.parse().ok().map(Duration::from_secs);
                let mode = bits(mode);
                State::File {
                    // Our umask takes away what it does not allow.
                    file: File::options()
                        .write(true)
                        .create_new(true)
                        .mode(if self.times { 0o600 } else { mode & 0o777 })
                        .open(self.inner())?,
                    mode: self.times.then_some(mode),
                    modified: modified.and_then(|time| SystemTime::UNIX_EPOCH.checked_add(time)),
                    size: size.parse().map_err(|_| bad())?,
                    got: 0,
                }
            }
            _ => {
                return Err(io::Error::other(
                    "the node describes the file in an unknown way",
                ));
            }
        };
        Ok(())
    }

    /// Whether all has come that was announced.
    pub(super) fn is_whole(&self) -> bool {
        match &self.state {
            State::Line(..) => false,
            State::File { size, got, .. } => got == size,
            State::Folder(unpack) => unpack.is_whole(),
        }
    }

    /// All has come: puts it in its place. Says how many files and bytes there are.
    pub(super) fn place(mut self) -> io::Result<(usize, u64)> {
        let from = self.inner();
        let (count, folders) = match &mut self.state {
            State::Line(..) => return Err(io::ErrorKind::UnexpectedEof.into()),
            State::File { size, got, .. } if size != got => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            State::File {
                file,
                mode,
                modified,
                got,
                ..
            } => {
                finish_file(file, *mode, modified.filter(|_| self.times))?;
                ((1, *got), Vec::new())
            }
            State::Folder(unpack) => {
                let folders = unpack.finish()?;
                ((unpack.files, unpack.bytes), folders)
            }
        };
        let fresh: HashSet<PathBuf> = folders
            .iter()
            .map(|(path, ..)| self.place.join(path))
            .filter(|folder| fs::symlink_metadata(folder).is_err())
            .collect();
        merge(&from, &self.place, true)?;
        merge(&from, &self.place, false)?;
        for (path, mode, modified) in folders {
            let folder = self.place.join(path);
            // What was there before keeps its own, unless all is to be as on the node.
            if !self.times && !fresh.contains(&folder) {
                continue;
            }
            if let Some(modified) = modified {
                File::open(&folder)?.set_times(FileTimes::new().set_modified(modified))?;
            }
            fs::set_permissions(&folder, Permissions::from_mode(mode))?;
        }
        Ok(count)
    }
}

/// Moves a file or folder to its place, into a folder that is there already file by file. Looks only, if `dry`.
fn merge(from: &Path, to: &Path, dry: bool) -> io::Result<()> {
    let is_folder = fs::symlink_metadata(from)?.is_dir();
    let error = |kind: io::ErrorKind| io::Error::new(kind, format!("{}: {kind}", to.display()));
    match fs::symlink_metadata(to) {
        Ok(there) if there.is_dir() && is_folder => {
            for entry in fs::read_dir(from)? {
                let name = entry?.file_name();
                merge(&from.join(&name), &to.join(&name), dry)?;
            }
            Ok(())
        }
        Ok(there) if there.is_dir() => Err(error(io::ErrorKind::IsADirectory)),
        Ok(_) if is_folder => Err(error(io::ErrorKind::NotADirectory)),
        Ok(_) | Err(_) if dry => Ok(()),
        Ok(_) | Err(_) => fs::rename(from, to),
    }
}

/// The permissions that `ls -l` shows.
fn bits(shown: &str) -> u32 {
    let letters = shown.bytes().skip(1).take(9).zip(0..);
    letters.fold(0, |bits, (letter, index)| {
        let plain = 0o400 >> index;
        let special = [0o4000, 0o2000, 0o1000][index / 3];
        bits | match letter {
            b'-' => 0,
            b's' | b't' => plain | special,
            b'S' | b'T' => special,
            _ => plain,
        }
    })
}
