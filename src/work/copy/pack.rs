//! Local files as one stream that can be read at any place: a file by itself as it is, anything else as a tar archive.
//!
//! Headers are made when they are read, so that a pack costs a list of names and never the files.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::tar::{self, Kind, Member};
use super::window::Origin;

/// What every stream begins with: the first line that the script reads. To an SFTP server it is a packet of an impossible
/// length, so that it ends at once and does not take what follows for requests.
const PREAMBLE: &[u8] = b"hapsh\n";

/// How local files are packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Times, and set-user-ID and the like, are kept as well (`-p`).
    pub times: bool,
    /// Symbolic links inside folders are followed, as `scp -r` does; else they are copied as links.
    pub follow: bool,
}

/// Why local files cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The system says no.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was looked at.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A socket, a device and the like.
    #[error("{}: not a regular file, folder or symbolic link", .0.display())]
    Special(PathBuf),
    /// A link that leads into itself.
    #[error("{}: a symbolic link to a folder around it", .0.display())]
    Loop(PathBuf),
    /// Two sources would become one.
    #[error("{}: another source has the same name", .0.display())]
    Twice(PathBuf),
    /// A path such as `/`.
    #[error("{}: has no name of its own", .0.display())]
    Nameless(PathBuf),
}

/// Local files, ready to be sent.
#[derive(Debug)]
pub struct Pack {
    entries: Vec<Entry>,
    keep: Keep,
    /// A file by itself, without any header.
    bare: bool,
    roots: usize,
    length: u64,
    /// The file that was read last, as the next read is most likely about it too.
    open: Mutex<Option<(usize, Arc<File>)>>,
}

#[derive(Debug)]
struct Entry {
    path: PathBuf,
    name: Vec<u8>,
    kind: Kind,
    mode: u32,
    size: u64,
    stamp: Stamp,
    accessed: i64,
    /// Where it begins in the stream.
    at: u64,
}

impl Entry {
    fn member(&self) -> Member<'_> {
        Member {
            name: &self.name,
            kind: &self.kind,
            mode: self.mode,
            size: self.size,
            seconds: self.stamp.seconds,
        }
    }
}

/// A member of a pack, and where its content is in the stream.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) member: Member<'a>,
    pub(super) accessed: i64,
    pub(super) at: u64,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    seconds: i64,
    nanos: i64,
}

impl From<&Metadata> for Stamp {
    fn from(data: &Metadata) -> Self {
        Self {
            device: data.dev(),
            inode: data.ino(),
            size: data.size(),
            seconds: data.mtime(),
            nanos: data.mtime_nsec(),
        }
    }
}

impl Pack {
    /// Looks at what is to be sent. A source that is a symbolic link is followed.
    ///
    /// # Errors
    /// A source that is not there, cannot be read, or cannot be sent.
    pub fn new(sources: &[PathBuf], keep: Keep) -> Result<Self, PackError> {
        let mut pack = Self {
            entries: Vec::new(),
            keep,
            bare: false,
            roots: sources.len(),
            length: 0,
            open: Mutex::default(),
        };
        let mut names = HashSet::new();
        for source in sources {
            let name = name_of(source)?;
            if !names.insert(name.clone()) {
                return Err(PackError::Twice(source.clone()));
            }
            let data = fs::metadata(source).map_err(|error| failed(source, error))?;
            pack.add(source.clone(), name, &data, &mut Vec::new())?;
        }
        pack.bare = matches!(&pack.entries[..], [only] if only.kind == Kind::File);
        pack.place();
        Ok(pack)
    }

    /// Adds a file, or a folder with all that is in it. `around` are the folders on the way.
    fn add(
        &mut self,
        path: PathBuf,
        name: Vec<u8>,
        data: &Metadata,
        around: &mut Vec<(u64, u64)>,
    ) -> Result<(), PackError> {
        let kind = if data.is_dir() {
            Kind::Folder
        } else if data.is_file() {
            Kind::File
        } else if data.is_symlink() {
            let to = fs::read_link(&path).map_err(|error| failed(&path, error))?;
            Kind::Link(to.into_os_string().into_vec())
        } else {
            return Err(PackError::Special(path));
        };
        if kind == Kind::File {
            // Better now than on a thousand nodes.
            File::open(&path).map_err(|error| failed(&path, error))?;
        }
        let is_folder = kind == Kind::Folder;
        let bits = if self.keep.times { 0o7777 } else { 0o777 };
        self.entries.push(Entry {
            name: name.clone(),
            size: if kind == Kind::File { data.size() } else { 0 },
            kind,
            mode: data.mode() & bits,
            stamp: data.into(),
            accessed: data.atime(),
            at: 0,
            path: path.clone(),
        });
        if !is_folder {
            return Ok(());
        }
        let here = (data.dev(), data.ino());
        if around.contains(&here) {
            return Err(PackError::Loop(path));
        }
        around.push(here);
        let listed = fs::read_dir(&path).and_then(|entries| {
            let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
            names.collect::<io::Result<Vec<_>>>()
        });
        let mut inside = listed.map_err(|error| failed(&path, error))?;
        inside.sort();
        for part in inside {
            let path = path.join(&part);
            let data = if self.keep.follow {
                fs::metadata(&path)
            } else {
                fs::symlink_metadata(&path)
            };
            let data = data.map_err(|error| failed(&path, error))?;
            let name = [&name[..], b"/", part.as_bytes()].concat();
            self.add(path, name, &data, around)?;
        }
        around.pop();
        Ok(())
    }

    /// Gives every entry its place in the stream.
    fn place(&mut self) {
        let mut at = PREAMBLE.len() as u64;
        for index in 0..self.entries.len() {
            self.entries[index].at = at;
            let entry = &self.entries[index];
            at += if self.bare {
                entry.size
            } else {
                self.header(entry).len() as u64 + entry.size.next_multiple_of(tar::BLOCK)
            };
        }
        self.length = if self.bare { at } else { at + tar::END };
    }

    fn header(&self, entry: &Entry) -> Vec<u8> {
        if self.bare {
            return Vec::new();
        }
        tar::header(&entry.member())
    }

    /// How many bytes a node is sent.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How many sources there are.
    #[must_use]
    pub fn roots(&self) -> usize {
        self.roots
    }

    /// How many files, folders and links there are.
    #[must_use]
    pub fn members(&self) -> usize {
        self.entries.len()
    }

    /// How many files there are; links count.
    #[must_use]
    pub fn files(&self) -> usize {
        let is_file = |entry: &&Entry| entry.kind != Kind::Folder;
        self.entries.iter().filter(is_file).count()
    }

    /// How many bytes the files hold.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.size).sum()
    }

    /// Whether times are kept.
    pub(super) fn keep(&self) -> Keep {
        self.keep
    }

    /// The only file, if that is all there is.
    pub(super) fn bare(&self) -> Option<Bare<'_>> {
        let entry = self.entries.first().filter(|_| self.bare)?;
        Some(Bare {
            name: &entry.name,
            mode: entry.mode,
            size: entry.size,
            modified: entry.stamp.seconds,
            accessed: entry.accessed,
        })
    }

    /// The permissions that files have.
    pub(super) fn modes(&self) -> BTreeSet<u32> {
        let files = self.entries.iter().filter(|entry| entry.kind == Kind::File);
        files.map(|entry| entry.mode).collect()
    }

    /// All members in order, for who needs no archive.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.entries.iter().map(|entry| Part {
            member: entry.member(),
            accessed: entry.accessed,
            at: entry.at + self.header(entry).len() as u64,
        })
    }

    /// Reads a part of a file, and makes sure that it is the file that was looked at.
    fn content(&self, index: usize, at: u64, room: &mut [u8]) -> io::Result<()> {
        let entry = &self.entries[index];
        let changed = || {
            let text = format!("{} changed while it was copied", entry.path.display());
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        let kept = {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.as_ref()
                .filter(|(opened, _)| *opened == index)
                .map(|(_, file)| Arc::clone(file))
        };
        let same = |file: &File| Ok::<_, io::Error>(Stamp::from(&file.metadata()?) == entry.stamp);
        let file = match kept {
            Some(file) => file,
            None => {
                let file = Arc::new(File::open(&entry.path)?);
                if !same(&file)? {
                    return Err(changed());
                }
                let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                *open = Some((index, Arc::clone(&file)));
                file
            }
        };
        match file.read_exact_at(room, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(changed()),
            read => read?,
        }
        if at + room.len() as u64 == entry.size && !same(&file)? {
            return Err(changed());
        }
        Ok(())
    }
}

impl Origin for Pack {
    fn length(&self) -> u64 {
        self.length
    }

    fn fill(&self, mut at: u64, want: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.length.saturating_sub(at)).unwrap_or(want);
        let mut bytes = vec![0; want.min(left)];
        let mut index = self.entries.partition_point(|entry| entry.at <= at);
        index = index.saturating_sub(1);
        let mut done = 0;
        if let Some(rest) = usize::try_from(at).ok().and_then(|at| PREAMBLE.get(at..)) {
            done = rest.len().min(bytes.len());
            bytes[..done].copy_from_slice(&rest[..done]);
            at += done as u64;
        }
        while done < bytes.len() && index < self.entries.len() {
            let entry = &self.entries[index];
            let header = self.header(entry);
            let begin = header.len() as u64;
            let inside = at - entry.at;
            let room = &mut bytes[done..];
            let count = if inside < begin {
                // A header is no longer than memory.
                let from = &header[inside as usize..];
                let count = from.len().min(room.len());
                room[..count].copy_from_slice(&from[..count]);
                count
            } else if inside - begin < entry.size {
                let offset = inside - begin;
                let rest = usize::try_from(entry.size - offset).unwrap_or(usize::MAX);
                let count = rest.min(room.len());
                self.content(index, offset, &mut room[..count])?;
                count
            } else {
                let end = self
                    .entries
                    .get(index + 1)
                    .map_or(self.length, |next| next.at);
                index += 1;
                usize::try_from(end - at)
                    .unwrap_or(usize::MAX)
                    .min(room.len())
            };
            at += count as u64;
            done += count;
        }
        Ok(bytes)
    }
}

/// A file by itself.
#[derive(Debug)]
pub(super) struct Bare<'a> {
    pub(super) name: &'a [u8],
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) modified: i64,
    pub(super) accessed: i64,
}

/// The name that a source has on the nodes.
fn name_of(source: &Path) -> Result<Vec<u8>, PackError> {
    let name = match source.file_name() {
        Some(name) => Some(name.to_owned()),
        // `.`, `..` and what ends in them.
        None => {
            let full = fs::canonicalize(source).map_err(|error| failed(source, error))?;
            full.file_name().map(OsStr::to_owned)
        }
    };
    name.map(OsStringExt::into_vec)
        .ok_or_else(|| PackError::Nameless(source.to_owned()))
}

fn failed(path: &Path, error: io::Error) -> PackError {
    PackError::Io {
        path: path.to_owned(),
        error,
    }
}
