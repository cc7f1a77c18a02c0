//! A copy over SFTP: the same places, temporary names and renames as the scripts have, done from here.

use std::collections::HashSet;
use std::io;

use bytes::Bytes;

use super::pack::{Pack, Part};
use super::sftp::{Sftp, Wanted};
use super::tar::Kind;
use crate::transport::{Duplex, Reader};

/// Why a copy did not come about.
#[derive(Debug)]
pub(super) enum Problem {
    /// On the node.
    There(String),
    /// What was to be sent could not be read.
    Here(io::Error),
}

/// A copy to one node.
pub(super) struct Files<'a> {
    sftp: Sftp,
    pack: &'a Pack,
    input: Stream,
    /// What was made and is temporary, with whether it is a folder.
    made: Vec<(Vec<u8>, bool)>,
    /// The permissions that the umask of the node leaves, once that is known.
    permitted: Option<u32>,
    notes: Vec<String>,
}

/// The stream of a pack, of which only the contents of files matter.
struct Stream {
    reader: Reader,
    at: u64,
    rest: Bytes,
}

impl Stream {
    /// The next bytes of a file that goes from a place to another.
    async fn next(&mut self, from: u64, to: u64) -> io::Result<Bytes> {
        loop {
            if self.rest.is_empty() {
                self.rest = self.reader.next().await?;
                if self.rest.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            let skip = from.saturating_sub(self.at).min(self.rest.len() as u64);
            // No more than what is there, which fits.
            drop(self.rest.split_to(skip as usize));
            self.at += skip;
            if !self.rest.is_empty() {
                let count = (to - self.at).min(self.rest.len() as u64);
                self.at += count;
                return Ok(self.rest.split_to(count as usize));
            }
        }
    }
}

impl<'a> Files<'a> {
    pub(super) async fn new(
        stream: Box<dyn Duplex>,
        pack: &'a Pack,
        reader: Reader,
    ) -> io::Result<Self> {
        Ok(Self {
            sftp: Sftp::new(stream).await?,
            pack,
            input: Stream {
                reader,
                at: 0,
                rest: Bytes::new(),
            },
            made: Vec::new(),
            permitted: None,
            notes: Vec::new(),
        })
    }

    /// What is to be said of a copy that was made.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Copies to `dest`, or takes away what it made.
    pub(super) async fn copy(&mut self, dest: &str, tag: &str) -> Result<(), Problem> {
        // It begins at home.
        let dest = match dest.strip_prefix('~') {
            Some("") => ".",
            Some(rest) => rest.strip_prefix('/').ok_or_else(|| {
                let why = "the node serves files only and does not say where homes are";
                problem(dest.as_bytes(), why)
            })?,
            None => dest,
        };
        self.all(dest.as_bytes(), tag).await
    }

    /// Takes away what is temporary and still there.
    pub(super) async fn clean(&mut self) {
        while let Some((path, is_folder)) = self.made.pop() {
            // What was moved to its place is not there any more.
            let _ = self.sftp.remove(&path, is_folder).await;
        }
    }

    async fn all(&mut self, dest: &[u8], tag: &str) -> Result<(), Problem> {
        let dest = match dest {
            b"" => &b"."[..],
            dest => dest,
        };
        let found = self
            .sftp
            .look(dest, true)
            .await
            .map_err(|error| there(dest, &error))?;
        let plain = dest.strip_suffix(b"/").unwrap_or(dest);
        let into = found.is_some_and(|found| found.is_folder());
        if !into
            && (self.pack.roots() > 1
                || plain != dest
                || found.is_some() && self.pack.bare().is_none())
        {
            let why = if found.is_some() {
                "Not a directory"
            } else {
                "No such file or directory"
            };
            return Err(problem(dest, why));
        }
        let around = match plain.iter().rposition(|byte| *byte == b'/') {
            _ if into => plain,
            Some(at) => &plain[..at],
            None => b".",
        };
        let temporary = [around, b"/.hapsh-", tag.as_bytes()].concat();
        let pack = self.pack;
        let place = |name: &[u8]| match (into, name.iter().position(|byte| *byte == b'/')) {
            (true, _) => [plain, b"/", name].concat(),
            (false, Some(inside)) => [plain, &name[inside..]].concat(),
            (false, None) => plain.to_vec(),
        };
        if pack.bare().is_none() {
            let made = self.sftp.make_folder(&temporary, 0o700).await;
            made.map_err(|error| there(plain, &error))?;
            self.made.push((temporary.clone(), true));
        }
        let inner = |name: &[u8]| match pack.bare() {
            Some(_) => temporary.clone(),
            None => [&temporary[..], b"/", name].concat(),
        };
        let parts: Vec<Part<'_>> = pack.parts().collect();
        for part in &parts {
            self.make(part, &inner(part.member.name), &place(part.member.name))
                .await?;
        }
        for part in parts
            .iter()
            .rev()
            .filter(|part| *part.member.kind == Kind::Folder)
        {
            let path = inner(part.member.name);
            let mut wanted = self.wanted(part);
            wanted.mode = wanted
                .mode
                .map(|mode| mode & self.permitted.unwrap_or(0o7777));
            let set = self.sftp.set(&path, wanted).await;
            set.map_err(|error| there(&place(part.member.name), &error))?;
        }
        for dry in [true, false] {
            self.put_in_place(&parts, &inner, &place, dry).await?;
        }
        self.clean().await;
        Ok(())
    }

    fn wanted(&self, part: &Part<'_>) -> Wanted {
        let seconds = |time: i64| u32::try_from(time).unwrap_or_default();
        let times = (seconds(part.accessed), seconds(part.member.seconds));
        Wanted {
            mode: Some(part.member.mode),
            times: self.pack.keep().times.then_some(times),
        }
    }

    /// Makes a member under its temporary name.
    async fn make(&mut self, part: &Part<'_>, path: &[u8], place: &[u8]) -> Result<(), Problem> {
        let failed = |error: io::Error| there(place, &error);
        match part.member.kind {
            Kind::Folder => {
                let mode = if self.pack.keep().times { 0o700 } else { 0o777 };
                self.sftp.make_folder(path, mode).await.map_err(failed)?;
                self.made.push((path.to_vec(), true));
                if mode == 0o777 && self.permitted.is_none() {
                    let made = self.sftp.look(path, false).await.map_err(failed)?;
                    self.permitted = made.map(|made| made.mode & 0o777);
                }
            }
            Kind::Link(says) => {
                self.sftp.link(path, says).await.map_err(failed)?;
                self.made.push((path.to_vec(), false));
            }
            Kind::File => {
                let old = self.sftp.look(place, true).await.map_err(failed)?;
                let old = old.filter(|old| old.is_file());
                let mode = match (&old, self.pack.keep().times) {
                    // Nobody else sees what is written before it has its own permissions.
                    (Some(_), _) | (None, true) => 0o600,
                    (None, false) => part.member.mode,
                };
                let created = self.sftp.create(path, mode).await;
                let mut file = created.map_err(failed)?;
                self.made.push((path.to_vec(), false));
                let end = part.at + part.member.size;
                let mut at = part.at;
                while at < end {
                    let data = self.input.next(part.at, end).await.map_err(Problem::Here)?;
                    at += data.len() as u64;
                    self.sftp.write(&mut file, &data).await.map_err(failed)?;
                }
                let mut wanted = self.wanted(part);
                if !self.pack.keep().times {
                    wanted.mode = old.map(|old| old.mode & 0o7777);
                }
                if let Some((user, group)) = old.and_then(|old| old.owner)
                    && !self
                        .sftp
                        .give(&mut file, (user, group))
                        .await
                        .map_err(failed)?
                {
                    let place = String::from_utf8_lossy(place);
                    let note =
                        format!("{place}: belonged to {user}:{group}, which could not be kept");
                    self.notes.push(note);
                }
                self.sftp.finish(file, wanted).await.map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Moves everything to its place: a folder that is not there yet as a whole. Looks only whether it can be, if `dry`.
    async fn put_in_place(
        &mut self,
        parts: &[Part<'_>],
        inner: &impl Fn(&[u8]) -> Vec<u8>,
        place: &impl Fn(&[u8]) -> Vec<u8>,
        dry: bool,
    ) -> Result<(), Problem> {
        let mut moved: HashSet<&[u8]> = HashSet::new();
        for part in parts {
            let name = part.member.name;
            let parent = name
                .iter()
                .rposition(|byte| *byte == b'/')
                .map(|at| &name[..at]);
            if parent.is_some_and(|parent| moved.contains(parent)) {
                moved.insert(name);
                continue;
            }
            let is_folder = *part.member.kind == Kind::Folder;
            let to = place(name);
            let failed = |error: io::Error| there(&to, &error);
            let found = self.sftp.look(&to, true).await.map_err(failed)?;
            let is_there = self.sftp.look(&to, false).await.map_err(failed)?.is_some();
            match found {
                Some(found) if found.is_folder() && is_folder => continue,
                Some(found) if found.is_folder() => return Err(problem(&to, "Is a directory")),
                _ if is_folder && is_there => return Err(problem(&to, "Not a directory")),
                Some(found) if found.mode != 0 && !found.is_file() => {
                    return Err(problem(&to, "not a regular file"));
                }
                _ => {}
            }
            moved.insert(name);
            if !dry {
                self.sftp.rename(&inner(name), &to).await.map_err(failed)?;
            }
        }
        Ok(())
    }
}

fn there(path: &[u8], error: &io::Error) -> Problem {
    problem(path, &error.to_string())
}

fn problem(path: &[u8], why: &str) -> Problem {
    Problem::There(format!("{}: {why}", String::from_utf8_lossy(path)))
}
