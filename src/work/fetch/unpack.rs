//! A tar stream from a node, unpacked into a folder of ours and never beside it.
//!
//! The node is not trusted: names that lead out are refused, links are made last so that nothing is written through one,
//! and devices are refused. Permissions and times of folders are left to whoever puts them in their place.

use std::collections::HashMap;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::event::harmless;

/// The unit of a tar stream.
const BLOCK: usize = 512;

/// The longest set of attributes that is believed.
const MOST: u64 = 1 << 20;

/// The longest name that is believed: the system takes none that is longer.
const NAME: usize = 4096;

/// The largest size that is believed: no file system holds more in one file.
const LARGEST: u64 = 1 << 62;

/// So much of folders and links may have to be remembered until the end.
const REMEMBERED: usize = 16 << 20;

/// What one of them costs besides its names.
const COST: usize = 96;

/// So much that says nothing may come behind the end.
const PADDING: u64 = 1 << 20;

/// A stream on its way into a folder.
#[derive(Debug)]
pub(super) struct Unpack {
    root: PathBuf,
    times: bool,
    /// The permissions that our umask leaves.
    permitted: u32,
    state: State,
    /// A header or attributes that are not whole yet.
    partial: Vec<u8>,
    /// What was said about the next member.
    extra: HashMap<String, Vec<u8>>,
    links: Vec<(PathBuf, PathBuf)>,
    /// Folders whose permissions or times are to be set in the end, as they are in the stream.
    folders: Vec<(PathBuf, u32, SystemTime)>,
    remembered: usize,
    pub(super) files: usize,
    pub(super) bytes: u64,
}

/// What a header says of a member.
#[derive(Debug, Clone, Copy)]
struct Member {
    /// Its type.
    flag: u8,
    size: u64,
    mode: u32,
    modified: SystemTime,
}

#[derive(Debug)]
enum State {
    Header,
    /// Attributes, by the type of their header.
    Extra(u8, u64),
    File(Writing),
    /// So many bytes mean nothing, and then comes a header.
    Skip(u64),
    /// The end mark came, and so much padding behind it.
    Ended(u64),
}

#[derive(Debug)]
struct Writing {
    file: File,
    mode: u32,
    modified: SystemTime,
    size: u64,
    left: u64,
}

impl Unpack {
    /// Into this folder, which is made. With `times` what the node says of times and permissions holds, else our umask
    /// takes some of the permissions away.
    pub(super) fn new(root: PathBuf, times: bool) -> io::Result<Self> {
        fs::create_dir(&root)?;
        // What is left of all permissions tells the umask, which cannot be asked for without being changed.
        let permitted = match times {
            true => 0o7777,
            false => fs::metadata(&root)?.permissions().mode() & 0o777,
        };
        Ok(Self {
            root,
            times,
            permitted,
            state: State::Header,
            partial: Vec::new(),
            extra: HashMap::new(),
            links: Vec::new(),
            folders: Vec::new(),
            remembered: 0,
            files: 0,
            bytes: 0,
        })
    }

    /// Takes the next part of the stream.
    pub(super) fn push(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            match &mut self.state {
                State::Header => {
                    let count = data.len().min(BLOCK - self.partial.len());
                    self.partial.extend_from_slice(&data[..count]);
                    data = &data[count..];
                    if self.partial.len() == BLOCK {
                        let header = std::mem::take(&mut self.partial);
                        self.state = self.begin(&header)?;
                    }
                }
                State::Extra(flag, left) => {
                    let (part, rest) = split(data, *left);
                    self.partial.extend_from_slice(part);
                    data = rest;
                    *left -= part.len() as u64;
                    if *left == 0 {
                        let flag = *flag;
                        let text = std::mem::take(&mut self.partial);
                        let padding = padding(text.len() as u64);
                        self.learn(flag, text)?;
                        self.state = State::Skip(padding);
                    }
                }
                State::File(writing) => {
                    let (part, rest) = split(data, writing.left);
                    writing.file.write_all(part)?;
                    data = rest;
                    writing.left -= part.len() as u64;
                }
                State::Skip(left) => {
                    let (part, rest) = split(data, *left);
                    data = rest;
                    *left -= part.len() as u64;
                }
                State::Ended(padding) => {
                    *padding += data.len() as u64;
                    if *padding > PADDING || data.iter().any(|byte| *byte != 0) {
                        return Err(broken("there is more behind its end"));
                    }
                    return Ok(());
                }
            }
            self.settle()?;
        }
        Ok(())
    }

    /// Goes on to the next header when nothing is left of a member.
    fn settle(&mut self) -> io::Result<()> {
        if let State::File(writing) = &self.state
            && writing.left == 0
        {
            let Writing {
                file,
                mode,
                modified,
                size,
                ..
            } = writing;
            finish_file(file, Some(*mode), self.times.then_some(*modified))?;
            self.state = State::Skip(padding(*size));
        }
        if matches!(self.state, State::Skip(0)) {
            self.state = State::Header;
        }
        Ok(())
    }

    /// What a header begins.
    fn begin(&mut self, header: &[u8]) -> io::Result<State> {
        if header.iter().all(|byte| *byte == 0) {
            return Ok(State::Ended(0));
        }
        if number(&header[148..156]) != Some(sum(header)) {
            return Err(broken("it is no tar stream"));
        }
        let size = number(&header[124..136]).ok_or_else(|| broken("a size is no number"))?;
        let flag = header[156];
        if matches!(flag, b'x' | b'g' | b'L' | b'K') {
            if size > MOST {
                return Err(broken("a name is too long"));
            }
            return Ok(if size == 0 {
                State::Skip(0)
            } else {
                State::Extra(flag, size)
            });
        }
        let extra = std::mem::take(&mut self.extra);
        let stated = |key: &str| {
            let text = std::str::from_utf8(extra.get(key)?).ok()?;
            text.split('.').next()?.parse::<u64>().ok()
        };
        let size = stated("size").unwrap_or(size);
        if size > LARGEST || self.bytes.saturating_add(size) > LARGEST {
            return Err(broken("a size is impossible"));
        }
        let member = Member {
            flag,
            size,
            mode: self.permitted & mode_of(header),
            modified: time(stated("mtime").or_else(|| number(&header[136..148]))),
        };
        let name = extra
            .get("path")
            .cloned()
            .unwrap_or_else(|| full_name(header));
        let path = self.inside(&name)?;
        let link = extra.get("linkpath").cloned();
        let link = link.unwrap_or_else(|| until_nul(&header[157..257]).to_vec());
        self.make(member, (name.as_slice(), path), link)
    }

    /// Makes a member of the archive, or makes ready to.
    fn make(
        &mut self,
        member: Member,
        (name, path): (&[u8], PathBuf),
        link: Vec<u8>,
    ) -> io::Result<State> {
        let Member {
            flag,
            size,
            mode,
            modified,
        } = member;
        match flag {
            b'0' | 0 | b'7' => {
                self.make_around(&path)?;
                let file = File::options().write(true).create_new(true).open(&path)?;
                self.files += 1;
                self.bytes += size;
                Ok(State::File(Writing {
                    file,
                    mode,
                    modified,
                    size,
                    left: size,
                }))
            }
            b'5' => {
                fs::create_dir_all(&path)?;
                if self.times || mode != self.permitted {
                    let relative = path.strip_prefix(&self.root).unwrap_or(&path).to_owned();
                    self.remember(relative.as_os_str().len())?;
                    self.folders.push((relative, mode, modified));
                }
                Ok(State::Skip(size.next_multiple_of(BLOCK as u64)))
            }
            b'2' => {
                self.make_around(&path)?;
                self.files += 1;
                let to = PathBuf::from(std::ffi::OsString::from_vec(link));
                self.remember(path.as_os_str().len() + to.as_os_str().len())?;
                self.links.push((path, to));
                Ok(State::Skip(size.next_multiple_of(BLOCK as u64)))
            }
            b'1' => {
                self.make_around(&path)?;
                self.files += 1;
                let to = self.inside(&link)?;
                // No symbolic link has been made yet, so this is a file of ours.
                if fs::hard_link(&to, &path).is_err() {
                    fs::copy(&to, &path)?;
                }
                Ok(State::Skip(0))
            }
            _ => {
                let name = harmless(&String::from_utf8_lossy(name));
                Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!("{name}: not a regular file, folder or link"),
                ))
            }
        }
    }

    /// Counts what has to be remembered until the end.
    fn remember(&mut self, length: usize) -> io::Result<()> {
        self.remembered += length + COST;
        if self.remembered > REMEMBERED {
            return Err(broken("it has too many links or folders of their own kind"));
        }
        Ok(())
    }

    /// Remembers what is said about the next member, if it is of use.
    fn learn(&mut self, flag: u8, text: Vec<u8>) -> io::Result<()> {
        let mut note = |key: &str, value: &[u8]| {
            if !matches!(key, "path" | "linkpath" | "size" | "mtime") {
                return Ok(());
            }
            if value.len() > NAME {
                return Err(broken("a name is too long"));
            }
            self.extra.insert(key.to_owned(), value.to_vec());
            Ok(())
        };
        match flag {
            b'L' => note("path", until_nul(&text))?,
            b'K' => note("linkpath", until_nul(&text))?,
            b'x' => {
                let mut rest = &text[..];
                while !rest.is_empty() {
                    let bad = || broken("attributes cannot be read");
                    let space = rest.iter().position(|byte| *byte == b' ').ok_or_else(bad)?;
                    let length = std::str::from_utf8(&rest[..space]).ok();
                    let length: usize =
                        length.and_then(|text| text.parse().ok()).ok_or_else(bad)?;
                    let line = rest.get(space + 1..length).ok_or_else(bad)?;
                    let line = line.strip_suffix(b"\n").ok_or_else(bad)?;
                    let equals = line.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
                    note(
                        &String::from_utf8_lossy(&line[..equals]),
                        &line[equals + 1..],
                    )?;
                    rest = &rest[length..];
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Where a name is in our folder.
    fn inside(&self, name: &[u8]) -> io::Result<PathBuf> {
        let name = PathBuf::from(std::ffi::OsString::from_vec(name.to_vec()));
        let mut path = self.root.clone();
        for part in name.components() {
            match part {
                Component::Normal(part) => path.push(part),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(broken(&format!(
                        "`{}` leads out of the folder",
                        harmless(&name.to_string_lossy())
                    )));
                }
            }
        }
        Ok(path)
    }

    /// Makes the folders around a member that came without them.
    fn make_around(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if parent.starts_with(&self.root) => fs::create_dir_all(parent),
            _ => Err(broken("the folder itself is no folder")),
        }
    }

    /// Whether all has come but padding.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// The end of the stream: makes the links. Gives back the folders with their permissions and times, inner ones first.
    pub(super) fn finish(&mut self) -> io::Result<Vec<(PathBuf, u32, Option<SystemTime>)>> {
        if !self.is_whole() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (path, to) in &self.links {
            // A link may stand where another one's folder should be.
            let mut around = path.as_path();
            while let Some(parent) = around.parent().filter(|parent| *parent != self.root) {
                if !parent.starts_with(&self.root) {
                    break;
                }
                if !fs::symlink_metadata(parent)?.is_dir() {
                    return Err(broken("a link stands for a folder"));
                }
                around = parent;
            }
            std::os::unix::fs::symlink(to, path)?;
        }
        let folders = self.folders.drain(..).rev();
        let times = self.times;
        Ok(folders
            .map(|(path, mode, time)| (path, mode, times.then_some(time)))
            .collect())
    }
}

/// Gives a file its permissions and time.
pub(super) fn finish_file(
    file: &File,
    mode: Option<u32>,
    modified: Option<SystemTime>,
) -> io::Result<()> {
    if let Some(mode) = mode {
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    if let Some(modified) = modified {
        file.set_times(FileTimes::new().set_modified(modified))?;
    }
    Ok(())
}

/// The sum of a header, in which the field of the sum counts as blanks.
fn sum(header: &[u8]) -> u64 {
    let value = |(at, byte): (usize, &u8)| match at {
        148..156 => u64::from(b' '),
        _ => u64::from(*byte),
    };
    header.iter().enumerate().map(value).sum()
}

/// The permissions in a header.
fn mode_of(header: &[u8]) -> u32 {
    u32::try_from(number(&header[100..108]).unwrap_or(0o600)).unwrap_or(0o600)
}

/// A time in seconds. One that no clock has is no reason to lose the file.
fn time(seconds: Option<u64>) -> SystemTime {
    let seconds = seconds.unwrap_or_default().min(1 << 40);
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

fn split(data: &[u8], left: u64) -> (&[u8], &[u8]) {
    data.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(data.len()))
}

fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A name with the prefix that POSIX headers have.
fn full_name(header: &[u8]) -> Vec<u8> {
    let name = until_nul(&header[..100]);
    let prefix = if &header[257..263] == b"ustar\0" {
        until_nul(&header[345..500])
    } else {
        b""
    };
    if prefix.is_empty() {
        name.to_vec()
    } else {
        [prefix, b"/", name].concat()
    }
}

/// A number: octal digits, or GNU's binary form.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 > 0 {
        let tail = &field[field.len() - 8..];
        return (field[0] == 0x80)
            .then(|| tail.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    }
    let text = std::str::from_utf8(until_nul(field)).ok()?.trim();
    if text.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(text, 8).ok()
}

fn broken(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("what the node sent cannot be unpacked: {what}"),
    )
}

#[cfg(test)]
mod tests;
