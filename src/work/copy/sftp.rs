//! What of SFTP (version 3) a copy needs, for nodes that run no commands.

use std::io;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::transport::Duplex;

/// The longest answer that is believed.
const MOST: usize = 256 * 1024;

/// How long the server may take to take a request or to answer one.
const ANSWER: Duration = Duration::from_secs(60);

/// So many writes are under way at one time.
const UNDER_WAY: usize = 32;

/// Numbers of the protocol.
const INIT: u8 = 1;
const VERSION: u8 = 2;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const WRITE: u8 = 6;
const FSTAT: u8 = 8;
const FSETSTAT: u8 = 10;
const SETSTAT: u8 = 9;
const REMOVE: u8 = 13;
const MKDIR: u8 = 14;
const RMDIR: u8 = 15;
const STAT: u8 = 17;
const LSTAT: u8 = 7;
const SYMLINK: u8 = 20;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const ATTRIBUTES: u8 = 105;
const EXTENDED: u8 = 200;

/// A conversation with an SFTP server.
pub(super) struct Sftp {
    stream: Box<dyn Duplex>,
    /// What has come and is not looked at yet.
    inbox: BytesMut,
    next: u32,
}

/// What is known of a file on the node.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attributes {
    pub(super) size: u64,
    pub(super) mode: u32,
    /// User and group, by number.
    pub(super) owner: Option<(u32, u32)>,
}

impl Attributes {
    pub(super) fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    pub(super) fn is_folder(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }
}

/// What is to be set: permissions, and the times of access and change.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    pub(super) mode: Option<u32>,
    pub(super) times: Option<(u32, u32)>,
}

impl Wanted {
    fn put(self, to: &mut BytesMut) {
        let flags = [(self.mode.is_some(), 4), (self.times.is_some(), 8)];
        let flags = flags.iter().filter(|(is_wanted, _)| *is_wanted);
        to.put_u32(flags.map(|(_, flag)| flag).sum());
        if let Some(mode) = self.mode {
            to.put_u32(mode);
        }
        if let Some((accessed, modified)) = self.times {
            to.put_u32(accessed);
            to.put_u32(modified);
        }
    }
}

/// A file that is being written.
pub(super) struct Writing {
    handle: Bytes,
    at: u64,
    under_way: usize,
}

impl Sftp {
    /// Greets the server.
    pub(super) async fn new(mut stream: Box<dyn Duplex>) -> io::Result<Self> {
        stream.write_all(&[0, 0, 0, 5, INIT, 0, 0, 0, 3]).await?;
        let mut sftp = Self {
            stream,
            inbox: BytesMut::new(),
            next: 0,
        };
        match sftp.receive().await? {
            (VERSION, _) => Ok(sftp),
            _ => Err(unexpected()),
        }
    }

    async fn send(&mut self, kind: u8, body: impl FnOnce(&mut BytesMut)) -> io::Result<()> {
        let mut packet = BytesMut::with_capacity(64);
        packet.put_u32(0);
        packet.put_u8(kind);
        packet.put_u32(self.next);
        self.next = self.next.wrapping_add(1);
        body(&mut packet);
        let length = u32::try_from(packet.len() - 4).map_err(io::Error::other)?;
        packet[..4].copy_from_slice(&length.to_be_bytes());
        timeout(ANSWER, self.put(&packet)).await.map_err(late)?
    }

    /// Writes a packet.
    async fn put(&mut self, packet: &[u8]) -> io::Result<()> {
        let (mut read, mut write) = tokio::io::split(&mut self.stream);
        let mut writing = std::pin::pin!(write.write_all(packet));
        loop {
            // Answers are taken meanwhile: a connection whose answers nobody takes stands still in both directions.
            tokio::select! {
                biased;
                written = &mut writing => return written,
                count = read.read_buf(&mut self.inbox) => {
                    if count? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    // No more than is asked for is ever answered.
                    if self.inbox.len() > MOST {
                        return Err(unexpected());
                    }
                }
            }
        }
    }

    async fn receive(&mut self) -> io::Result<(u8, Bytes)> {
        timeout(ANSWER, self.packet()).await.map_err(late)?
    }

    /// Reads a packet.
    async fn packet(&mut self) -> io::Result<(u8, Bytes)> {
        loop {
            if let Some(length) = self
                .inbox
                .first_chunk()
                .map(|length| u32::from_be_bytes(*length))
            {
                let length = length as usize;
                if !(5..=MOST).contains(&length) {
                    return Err(unexpected());
                }
                if self.inbox.len() >= 4 + length {
                    self.inbox.advance(4);
                    let mut packet = self.inbox.split_to(length).freeze();
                    return Ok((packet.get_u8(), packet));
                }
            }
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Asks, and waits for the answer, whose number is cut off.
    async fn ask(&mut self, kind: u8, body: impl FnOnce(&mut BytesMut)) -> io::Result<(u8, Bytes)> {
        self.send(kind, body).await?;
        let (kind, mut answer) = self.receive().await?;
        answer.advance(4);
        Ok((kind, answer))
    }

    /// Asks for something that is done or not.
    async fn tell(&mut self, kind: u8, body: impl FnOnce(&mut BytesMut)) -> io::Result<()> {
        let (kind, answer) = self.ask(kind, body).await?;
        done(kind, answer)
    }

    /// Makes a file that was not there, with what the umask of the node leaves of the permissions.
    pub(super) async fn create(&mut self, path: &[u8], mode: u32) -> io::Result<Writing> {
        let body = |to: &mut BytesMut| {
            put(to, path);
            // To write, to create, and only if it is not there.
            to.put_u32(0x02 | 0x08 | 0x20);
            Wanted {
                mode: Some(mode),
                times: None,
            }
            .put(to);
        };
        match self.ask(OPEN, body).await? {
            (HANDLE, mut answer) => Ok(Writing {
                handle: text(&mut answer)?,
                at: 0,
                under_way: 0,
            }),
            (kind, answer) => Err(refused(kind, answer)),
        }
    }

    /// Appends to a file; several writes are under way at a time.
    pub(super) async fn write(&mut self, file: &mut Writing, data: &[u8]) -> io::Result<()> {
        let (handle, at) = (file.handle.clone(), file.at);
        self.send(WRITE, |to| {
            put(to, &handle);
            to.put_u64(at);
            put(to, data);
        })
        .await?;
        file.at += data.len() as u64;
        file.under_way += 1;
        if file.under_way == UNDER_WAY {
            self.written(file).await?;
        }
        Ok(())
    }

    async fn written(&mut self, file: &mut Writing) -> io::Result<()> {
        let (kind, mut answer) = self.receive().await?;
        file.under_way -= 1;
        answer.advance(4);
        done(kind, answer)
    }

    /// Gives a file that is being written to this user and group, if the server lets us.
    pub(super) async fn give(&mut self, file: &mut Writing, owner: (u32, u32)) -> io::Result<bool> {
        while file.under_way > 0 {
            self.written(file).await?;
        }
        let handle = &file.handle;
        let body = |to: &mut BytesMut| {
            put(to, handle);
            to.put_u32(2);
            to.put_u32(owner.0);
            to.put_u32(owner.1);
        };
        let (kind, answer) = self.ask(FSETSTAT, body).await?;
        match kind {
            STATUS => Ok(done(kind, answer).is_ok()),
            _ => Err(unexpected()),
        }
    }

    /// Waits for all writes, checks the size, sets what is wanted and closes.
    pub(super) async fn finish(&mut self, mut file: Writing, wanted: Wanted) -> io::Result<()> {
        while file.under_way > 0 {
            self.written(&mut file).await?;
        }
        let handle = &file.handle;
        let (kind, answer) = self.ask(FSTAT, |to| put(to, handle)).await?;
        let size = attributes(kind, answer)?.size;
        if size != file.at {
            let text = format!("only {size} of {} bytes arrived", file.at);
            return Err(io::Error::other(text));
        }
        if wanted.mode.is_some() || wanted.times.is_some() {
            self.tell(FSETSTAT, |to| {
                put(to, handle);
                wanted.put(to);
            })
            .await?;
        }
        self.tell(CLOSE, |to| put(to, handle)).await
    }

    /// What there is at a path, links followed or not; `None` if nothing is.
    pub(super) async fn look(
        &mut self,
        path: &[u8],
        follow: bool,
    ) -> io::Result<Option<Attributes>> {
        let kind = if follow { STAT } else { LSTAT };
        let (kind, answer) = self.ask(kind, |to| put(to, path)).await?;
        match attributes(kind, answer) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets what is wanted of a folder.
    pub(super) async fn set(&mut self, path: &[u8], wanted: Wanted) -> io::Result<()> {
        self.tell(SETSTAT, |to| {
            put(to, path);
            wanted.put(to);
        })
        .await
    }

    /// Makes a folder, with what the umask of the node leaves of the permissions.
    pub(super) async fn make_folder(&mut self, path: &[u8], mode: u32) -> io::Result<()> {
        self.tell(MKDIR, |to| {
            put(to, path);
            Wanted {
                mode: Some(mode),
                times: None,
            }
            .put(to);
        })
        .await
    }

    /// Makes a link. OpenSSH's server takes what it says first, unlike the standard.
    pub(super) async fn link(&mut self, path: &[u8], says: &[u8]) -> io::Result<()> {
        self.tell(SYMLINK, |to| {
            put(to, says);
            put(to, path);
        })
        .await
    }

    /// Takes away a file or an empty folder.
    pub(super) async fn remove(&mut self, path: &[u8], is_folder: bool) -> io::Result<()> {
        let kind = if is_folder { RMDIR } else { REMOVE };
        self.tell(kind, |to| put(to, path)).await
    }

    /// Renames, over what is there.
    pub(super) async fn rename(&mut self, from: &[u8], to_path: &[u8]) -> io::Result<()> {
        self.tell(EXTENDED, |to| {
            put(to, b"posix-rename@openssh.com");
            put(to, from);
            put(to, to_path);
        })
        .await
    }
}

/// A text with its length in front.
fn put(to: &mut BytesMut, text: &[u8]) {
    // Paths and chunks are far shorter than four gigabytes.
    to.put_u32(text.len() as u32);
    to.put_slice(text);
}

fn text(from: &mut Bytes) -> io::Result<Bytes> {
    let length = number(from)? as usize;
    if from.len() < length {
        return Err(unexpected());
    }
    Ok(from.split_to(length))
}

fn number(from: &mut Bytes) -> io::Result<u32> {
    from.try_get_u32().map_err(|_| unexpected())
}

fn attributes(kind: u8, mut answer: Bytes) -> io::Result<Attributes> {
    if kind != ATTRIBUTES {
        return Err(refused(kind, answer));
    }
    let flags = number(&mut answer)?;
    let mut found = Attributes::default();
    if flags & 1 > 0 {
        found.size = answer.try_get_u64().map_err(|_| unexpected())?;
    }
    if flags & 2 > 0 {
        found.owner = Some((number(&mut answer)?, number(&mut answer)?));
    }
    if flags & 4 > 0 {
        found.mode = number(&mut answer)?;
    }
    Ok(found)
}

/// Whether an answer says that it is done.
fn done(kind: u8, answer: Bytes) -> io::Result<()> {
    let is_ok = kind == STATUS && answer.len() >= 4 && answer[..4] == [0; 4];
    if is_ok {
        Ok(())
    } else {
        Err(refused(kind, answer))
    }
}

/// Why something was not done.
fn refused(kind: u8, mut answer: Bytes) -> io::Error {
    if kind != STATUS {
        return unexpected();
    }
    match number(&mut answer) {
        Ok(2) => io::Error::new(io::ErrorKind::NotFound, "No such file or directory"),
        Ok(3) => io::Error::new(io::ErrorKind::PermissionDenied, "Permission denied"),
        Ok(8) => io::Error::new(io::ErrorKind::Unsupported, "the SFTP server cannot do that"),
        Ok(_) => {
            let said = text(&mut answer).unwrap_or_default();
            let said = String::from_utf8_lossy(&said).replace(char::is_control, " ");
            io::Error::other(format!("the SFTP server says: {said}"))
        }
        Err(error) => error,
    }
}

fn late(_: tokio::time::error::Elapsed) -> io::Error {
    let text = format!(
        "the SFTP server does not answer within {}s",
        ANSWER.as_secs()
    );
    io::Error::new(io::ErrorKind::TimedOut, text)
}

fn unexpected() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the SFTP server answers something unexpected",
    )
}

/// Reads any bytes as the answers of an SFTP server to everything a copy asks.
#[cfg(any(test, fuzzing))]
pub(super) async fn fuzz(data: &[u8]) -> io::Result<()> {
    let (here, mut there) = tokio::io::duplex(1 << 20);
    there.write_all(data).await?;
    let (mut asked, answers) = tokio::io::split(there);
    let mut unread = tokio::io::sink();
    let taking = tokio::io::copy(&mut asked, &mut unread);
    let asking = async {
        let mut sftp = Sftp::new(Box::new(here)).await?;
        let wanted = Wanted {
            mode: Some(0o644),
            times: Some((1, 2)),
        };
        let _ = sftp.look(b"/tmp/f", true).await?;
        let _ = sftp.make_folder(b"/tmp/d", 0o777).await;
        let mut file = sftp.create(b"/tmp/f", 0o644).await?;
        let _ = sftp.give(&mut file, (1, 2)).await?;
        for _ in 0..2 * UNDER_WAY {
            sftp.write(&mut file, b"data").await?;
        }
        sftp.finish(file, wanted).await?;
        sftp.set(b"/tmp/f", wanted).await?;
        sftp.link(b"/tmp/l", b"f").await?;
        sftp.remove(b"/tmp/f", false).await?;
        sftp.rename(b"/tmp/a", b"/tmp/b").await
    };
    let limit = std::time::Duration::from_secs(1000);
    let asked = async {
        tokio::select! {
            asked = asking => asked,
            _ = taking => Ok(()),
        }
    };
    let asked = tokio::time::timeout(limit, asked).await;
    drop(answers);
    asked?
}
