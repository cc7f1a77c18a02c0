//! What commands read on their standard input: the same for all nodes, and read from its origin once.
//!
//! A node asks for the bytes at its own place, so a slow one holds up nobody and one that begins late misses nothing.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::watch;

use super::BoxFuture;
use crate::event::{ErrorCode, Meter, Outcome};

/// The most that a source gives at once: as much as one SSH packet carries.
pub const CHUNK: usize = 32 * 1024;

/// Where an input comes from.
pub trait Source: Send + Sync + Debug {
    /// The bytes at an offset, at most [`CHUNK`] of them; empty at the end. Waits for what is not there yet.
    fn read(&self, at: u64) -> BoxFuture<'_, io::Result<Bytes>>;

    /// A reader begins, and this is its place for as long as it reads.
    fn follow(&self, _place: Weak<AtomicU64>) {}
}

/// The standard input of a command, cheap to clone.
#[derive(Debug, Clone)]
pub struct Input {
    source: Arc<dyn Source>,
    sent: Meter,
}

impl Input {
    /// An input from a source; what is read of it counts as sent on the meter.
    #[must_use]
    pub fn new(source: Arc<dyn Source>, sent: Meter) -> Self {
        Self { source, sent }
    }

    /// Whether both give the same bytes because they come from the same source.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
    }

    /// These bytes, and behind them the input, if there is one.
    #[must_use]
    pub fn joined(head: Bytes, then: Option<Self>) -> Self {
        let sent = then
            .as_ref()
            .map_or_else(Meter::default, |then| then.sent.clone());
        let then = then.map(|then| then.source);
        Self::new(Arc::new(Joined { head, then }), sent)
    }

    /// Where it comes from, and what counts the bytes that are read of it.
    #[must_use]
    pub fn parts(&self) -> (Arc<dyn Source>, Meter) {
        (Arc::clone(&self.source), self.sent.clone())
    }

    /// A reader of the whole input, from its start.
    #[must_use]
    pub fn reader(&self) -> Reader {
        let at = Arc::new(AtomicU64::new(0));
        self.source.follow(Arc::downgrade(&at));
        Reader {
            input: self.clone(),
            at,
        }
    }
}

impl<T: Into<Bytes>> From<T> for Input {
    fn from(bytes: T) -> Self {
        Self::new(Arc::new(Whole(bytes.into())), Meter::default())
    }
}

/// The outcome of a node whose input cannot be read on our side.
pub(super) fn unreadable(error: &io::Error) -> Outcome {
    Outcome::failed(
        ErrorCode::Input,
        format!("what was to be sent cannot be read here: {error}"),
    )
}

/// One node's place in the input.
#[derive(Debug)]
pub struct Reader {
    input: Input,
    at: Arc<AtomicU64>,
}

impl Reader {
    /// The next bytes; empty at the end. May be dropped while it waits.
    ///
    /// # Errors
    /// What the origin said.
    pub async fn next(&mut self) -> io::Result<Bytes> {
        let at = self.at.load(Ordering::Relaxed);
        let data = self.input.source.read(at).await?;
        self.at.store(at + data.len() as u64, Ordering::Relaxed);
        self.input.sent.add(data.len());
        Ok(data)
    }
}

/// Bytes that are all there.
#[derive(Debug)]
struct Whole(Bytes);

impl Source for Whole {
    fn read(&self, at: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        let chunk = chunk(&self.0, at);
        Box::pin(async { Ok(chunk) })
    }
}

/// Bytes in front of another source.
#[derive(Debug)]
struct Joined {
    head: Bytes,
    then: Option<Arc<dyn Source>>,
}

impl Source for Joined {
    fn read(&self, at: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        let length = self.head.len() as u64;
        match &self.then {
            Some(then) if at >= length => then.read(at - length),
            _ => {
                let chunk = chunk(&self.head, at);
                Box::pin(async { Ok(chunk) })
            }
        }
    }
}

/// At most [`CHUNK`] bytes from this offset on.
fn chunk(bytes: &Bytes, at: u64) -> Bytes {
    let start = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(start..start.saturating_add(CHUNK).min(bytes.len()))
}

/// So much of a spool is kept in memory; the rest goes to an unnamed temporary file.
const IN_MEMORY: usize = 8 * 1024 * 1024;

/// A stream that is still being written: what our own standard input has given so far.
#[derive(Debug)]
pub struct Spool {
    inner: Mutex<Inner>,
    /// How much there is, and whether that is all.
    state: watch::Sender<State>,
    /// Where the temporary file would be.
    scratch: PathBuf,
}

#[derive(Debug, Default)]
struct Inner {
    memory: Vec<u8>,
    file: Option<File>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    length: u64,
    end: Option<io::ErrorKind>,
    over: bool,
}

impl Spool {
    /// An empty stream. `scratch` is the folder for what does not fit in memory.
    #[must_use]
    pub fn new(scratch: PathBuf) -> Self {
        Self {
            inner: Mutex::default(),
            state: watch::Sender::default(),
            scratch,
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn push(&self, bytes: &[u8]) -> io::Result<()> {
        let length = self.state.borrow().length;
        {
            let mut inner = self.lock();
            let room = IN_MEMORY.saturating_sub(inner.memory.len());
            let (here, beyond) = bytes.split_at(room.min(bytes.len()));
            inner.memory.extend_from_slice(here);
            if !beyond.is_empty() {
                let at = length + here.len() as u64 - IN_MEMORY as u64;
                let file = match &inner.file {
                    Some(file) => file,
                    None => inner.file.insert(tempfile::tempfile_in(&self.scratch)?),
                };
                file.write_all_at(beyond, at)?;
            }
        }
        self.state
            .send_modify(|state| state.length += bytes.len() as u64);
        Ok(())
    }

    /// There is no more, for this reason if it is not the end of the stream.
    pub fn close(&self, error: Option<io::ErrorKind>) {
        self.state.send_modify(|state| {
            state.over = true;
            state.end = error;
        });
    }

    fn take(&self, at: u64, length: u64) -> io::Result<Bytes> {
        let inner = self.lock();
        let want = usize::try_from(length - at).unwrap_or(CHUNK).min(CHUNK);
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        if start < inner.memory.len() {
            let end = (start + want).min(inner.memory.len());
            return Ok(Bytes::copy_from_slice(&inner.memory[start..end]));
        }
        let mut chunk = vec![0; want];
        match &inner.file {
            Some(file) => file.read_exact_at(&mut chunk, at - IN_MEMORY as u64)?,
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(chunk.into())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each change is a single step, so a panic elsewhere leaves nothing half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Spool {
    fn read(&self, at: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        Box::pin(async move {
            let mut states = self.state.subscribe();
            let state = *states
                .wait_for(|state| state.over || state.length > at)
                .await
                .map_err(io::Error::other)?;
            match (state.length > at, state.end) {
                (true, _) => self.take(at, state.length),
                (false, Some(error)) => Err(error.into()),
                (false, None) => Ok(Bytes::new()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    async fn all(mut reader: Reader) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let chunk = reader.next().await?;
            assert!(chunk.len() <= CHUNK);
            if chunk.is_empty() {
                return Ok(all);
            }
            all.extend_from_slice(&chunk);
        }
    }

    #[tokio::test]
    async fn every_reader_gets_all_of_it() {
        let meter = Meter::default();
        let bytes: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        let input = Input::new(Arc::new(Whole(bytes.clone().into())), meter.clone());
        assert_eq!(all(input.reader()).await.unwrap(), bytes);
        assert_eq!(all(input.reader()).await.unwrap(), bytes);
        assert_eq!(meter.total(), 2 * bytes.len() as u64);
        assert_eq!(all(Input::from("").reader()).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn an_input_begins_where_what_is_before_it_ends() {
        let head: Vec<u8> = vec![b'h'; CHUNK + 3];
        let meter = Meter::default();
        let then = Input::new(Arc::new(Whole("then".into())), meter.clone());
        let joined = Input::joined(head.clone().into(), Some(then));
        let whole = [head.as_slice(), b"then"].concat();
        assert_eq!(all(joined.reader()).await.unwrap(), whole);
        assert_eq!(meter.total(), whole.len() as u64);
        let alone = Input::joined("x".into(), None);
        assert_eq!(all(alone.reader()).await.unwrap(), b"x");
    }

    #[tokio::test]
    async fn a_spool_outgrows_memory_and_is_read_while_it_is_written() {
        let spool = Arc::new(Spool::new(std::env::temp_dir()));
        let input = Input::new(Arc::clone(&spool) as Arc<dyn Source>, Meter::default());
        let mut early = input.reader();
        assert!(early.next().now_or_never().is_none(), "nothing is there");
        spool.push(b"first").unwrap();
        assert_eq!(early.next().await.unwrap(), "first");
        let block: Vec<u8> = (0..1_000_003u32).map(|n| (n / 7) as u8).collect();
        let mut whole = b"first".to_vec();
        for _ in 0..10 {
            spool.push(&block).unwrap();
            whole.extend_from_slice(&block);
        }
        spool.close(None);
        assert!(whole.len() > IN_MEMORY);
        assert!(all(input.reader()).await.unwrap() == whole);
        assert!(all(early).await.unwrap() == whole[5..]);
    }

    #[tokio::test]
    async fn a_stream_that_breaks_is_no_end() {
        let spool = Arc::new(Spool::new(std::env::temp_dir()));
        spool.push(b"half").unwrap();
        spool.close(Some(io::ErrorKind::InvalidData));
        let input = Input::new(spool, Meter::default());
        let error = all(input.reader()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
