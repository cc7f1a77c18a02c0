//! What is sent to many nodes, read once for all of them: they share a window of blocks that moves over the stream.
//!
//! Whoever is ahead waits a moment for those behind, so that they find in memory what was read for the first. Who falls
//! behind for longer, or begins when the others are far, reads for itself and holds up nobody.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, OnceCell};
use tokio::time::{Instant, sleep};

use crate::transport::{BoxFuture, CHUNK, Source};

/// What can be read at any place. Reading blocks, so it is done off the event loop.
pub(super) trait Origin: Send + Sync + Debug + 'static {
    /// How long it is.
    fn length(&self) -> u64;
    /// So many bytes from a place on, fewer at the end only.
    fn fill(&self, at: u64, want: usize) -> io::Result<Vec<u8>>;
}

/// The unit in which the origin is read: whole chunks.
const BLOCK: usize = 8 * CHUNK;

/// How many blocks are kept: 24 MiB.
const BLOCKS: usize = 96;

/// How long a node that does not move is waited for, and one that holds up most others; an eighth of the time the copy
/// has taken, if that is more.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long most nodes are held up in all; a quarter of the time the copy has taken, if that is more.
const ALL_PATIENCE: Duration = Duration::from_secs(10);

/// How long who waits sleeps at most before looking again.
const LOOK: Duration = Duration::from_millis(50);

/// The window over an origin.
#[derive(Debug)]
pub(super) struct Window<O> {
    origin: Arc<O>,
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Debug)]
struct State {
    /// The number of the first block that is kept.
    first: usize,
    blocks: VecDeque<Arc<OnceCell<Bytes>>>,
    readers: Vec<Follower>,
    /// How many readers are still to come, as long as they keep coming.
    missing: usize,
    arrived: Instant,
    /// When the first reader came.
    begun: Instant,
    /// Until when the waiting was charged.
    charged: Instant,
    /// The first block when it was last waited for, and since when.
    held: (usize, Instant),
    /// How long most readers were held up.
    spent: Duration,
}

/// A reader, seen from the window.
#[derive(Debug)]
struct Follower {
    place: Weak<AtomicU64>,
    /// Where it was when it was last looked at, and since when.
    seen: (u64, Instant),
    /// How long it held up most others.
    cost: Duration,
}

/// Where a reader finds its block.
enum Found {
    Shared(Arc<OnceCell<Bytes>>),
    Alone,
    /// The window cannot move on yet.
    Wait,
}

impl<O: Origin> Window<O> {
    /// A window for so many readers at one time.
    pub(super) fn new(origin: Arc<O>, readers: usize) -> Self {
        let now = Instant::now();
        Self {
            origin,
            state: Mutex::new(State {
                first: 0,
                blocks: VecDeque::new(),
                readers: Vec::new(),
                missing: readers,
                arrived: now,
                begun: now,
                charged: now,
                held: (usize::MAX, now),
                spent: Duration::ZERO,
            }),
            moved: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change leaves a whole state, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads off the event loop.
    async fn load(&self, at: u64, want: usize) -> io::Result<Bytes> {
        let origin = Arc::clone(&self.origin);
        let read = tokio::task::spawn_blocking(move || origin.fill(at, want));
        Ok(read.await.map_err(io::Error::other)??.into())
    }

    async fn get(&self, at: u64) -> io::Result<Bytes> {
        if at >= self.origin.length() {
            return Ok(Bytes::new());
        }
        let (number, inside) = place(at);
        if inside == 0 && number == self.lock().first + 1 {
            self.moved.notify_waiters();
        }
        let cell = loop {
            let moved = self.moved.notified();
            let found = self.lock().find(number);
            match found {
                Found::Shared(cell) => break cell,
                Found::Alone => return self.load(at, CHUNK).await,
                Found::Wait => tokio::select! {
                    () = moved => {}
                    () = sleep(LOOK) => {}
                },
            }
        };
        let begin = (number * BLOCK) as u64;
        // Should the reader be dropped while it reads, the next one that waits here takes over.
        let block = cell.get_or_try_init(|| self.load(begin, BLOCK)).await?;
        let end = (inside + CHUNK).min(block.len());
        Ok(block.slice(inside.min(end)..end))
    }
}

/// The block of a place, and where in it that is.
fn place(at: u64) -> (usize, usize) {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    (at / BLOCK, at % BLOCK)
}

impl State {
    fn find(&mut self, number: usize) -> Found {
        self.readers
            .retain(|reader| reader.place.strong_count() > 0);
        let end = self.first + self.blocks.len();
        let begins_anew = number > end || number < self.first && !self.is_followed();
        if begins_anew || self.blocks.is_empty() {
            self.blocks.clear();
            self.first = number;
        } else if number < self.first {
            return Found::Alone;
        } else if number < end {
            return Found::Shared(Arc::clone(&self.blocks[number - self.first]));
        } else if self.blocks.len() == BLOCKS {
            if self.holds_back() {
                return Found::Wait;
            }
            self.blocks.pop_front();
            self.first += 1;
        }
        let cell = Arc::default();
        self.blocks.push_back(Arc::clone(&cell));
        Found::Shared(cell)
    }

    /// Whether any reader is where the window is.
    fn is_followed(&self) -> bool {
        self.readers
            .iter()
            .any(|reader| reader.block().is_some_and(|block| block >= self.first))
    }

    /// Whether somebody is waited for who still needs the first block.
    ///
    /// As long as most readers are at work, whoever waits lets them have the machine and the network, and nothing is
    /// lost. When most wait, or somebody takes too long over a single block, the wait is charged to those they wait for.
    fn holds_back(&mut self) -> bool {
        let now = Instant::now();
        let waited = (now - self.charged).min(LOOK);
        self.charged = now;
        if self.missing > 0 {
            // While others keep coming the time is theirs, but not for ever; the first gap ends that.
            if now - self.arrived < PATIENCE && now - self.begun < ALL_PATIENCE {
                return true;
            }
            self.missing = 0;
        }
        let (first, end) = (self.first, self.first + self.blocks.len());
        if self.held.0 != first {
            self.held = (first, now);
        }
        let block_for = now - self.held.1;
        let is_crawl = block_for >= PATIENCE;
        let (mut at_work, mut waiting) = (0, 0);
        for reader in &mut self.readers {
            match reader.block() {
                Some(block) if block >= end => waiting += 1,
                Some(_) if reader.moves(now) => at_work += 1,
                Some(_) | None => {}
            }
        }
        let is_crowded = waiting >= at_work;
        let taken = now - self.begun;
        if is_crowded && self.spent >= ALL_PATIENCE.max(taken / 4) {
            return false;
        }
        let charge = match (is_crowded, is_crawl) {
            (true, _) => waited,
            // What was for nothing until it was found out to be a crawl.
            (false, true) if block_for - waited < PATIENCE => block_for,
            (false, true) => waited,
            (false, false) => Duration::ZERO,
        };
        let mut held = false;
        for reader in &mut self.readers {
            if reader.block() == Some(first)
                && reader.moves(now)
                && reader.cost < PATIENCE.max(taken / 8)
            {
                held = true;
                reader.cost += charge;
            }
        }
        if held && is_crowded {
            self.spent += waited;
        }
        held
    }
}

impl Follower {
    fn block(&self) -> Option<usize> {
        let at = self.place.upgrade()?;
        Some(place(at.load(Ordering::Relaxed)).0)
    }

    /// Whether it has moved within the time it is given for that.
    fn moves(&mut self, now: Instant) -> bool {
        let at = self.place.upgrade();
        let at = at.map_or(u64::MAX, |at| at.load(Ordering::Relaxed));
        if at != self.seen.0 {
            self.seen = (at, now);
        }
        now - self.seen.1 < PATIENCE
    }
}

impl<O: Origin> Source for Window<O> {
    fn read(&self, at: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        Box::pin(self.get(at))
    }

    fn follow(&self, reader: Weak<AtomicU64>) {
        let mut state = self.lock();
        state.missing = state.missing.saturating_sub(1);
        let now = Instant::now();
        state.arrived = now;
        if state.readers.is_empty() {
            state.begun = now;
        }
        state.readers.push(Follower {
            place: reader,
            seen: (0, now),
            cost: Duration::ZERO,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Meter;
    use crate::transport::Input;

    /// Counts what is read of it.
    #[derive(Debug)]
    struct Counted {
        length: u64,
        read: AtomicU64,
    }

    impl Origin for Counted {
        fn length(&self) -> u64 {
            self.length
        }

        fn fill(&self, at: u64, want: usize) -> io::Result<Vec<u8>> {
            let end = self.length.min(at + want as u64);
            self.read.fetch_add(end - at, Ordering::Relaxed);
            let mut bytes = vec![0; (end - at) as usize];
            // The ends of each chunk are what is looked at.
            for chunk in (0..bytes.len()).step_by(CHUNK) {
                let last = (chunk + CHUNK).min(bytes.len()) - 1;
                for place in [chunk, last] {
                    bytes[place] = ((at + place as u64) / 7) as u8;
                }
            }
            Ok(bytes)
        }
    }

    fn window(blocks: usize, readers: usize) -> (Arc<Counted>, Input) {
        let origin = Arc::new(Counted {
            length: (blocks * BLOCK + 3) as u64,
            read: AtomicU64::new(0),
        });
        let source = Arc::new(Window::new(Arc::clone(&origin), readers));
        (origin, Input::new(source, Meter::default()))
    }

    async fn read_all(input: &Input) -> u64 {
        let mut reader = input.reader();
        let mut at = 0;
        loop {
            let data = reader.next().await.unwrap();
            if data.is_empty() {
                return at;
            }
            let last = at + data.len() as u64 - 1;
            assert_eq!(
                (data[0], data[data.len() - 1]),
                ((at / 7) as u8, (last / 7) as u8)
            );
            at += data.len() as u64;
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn everybody_gets_all_and_it_is_read_once() {
        let (origin, input) = window(3 * BLOCKS, 8);
        let all = (0..8).map(|_| read_all(&input));
        for length in futures_util::future::join_all(all).await {
            assert_eq!(length, origin.length);
        }
        assert_eq!(origin.read.load(Ordering::Relaxed), origin.length);
    }

    #[tokio::test(start_paused = true)]
    async fn who_hangs_is_left_behind_after_a_moment_and_still_gets_all() {
        let (origin, input) = window(2 * BLOCKS, 2);
        let mut slow = input.reader();
        let first = slow.next().await.unwrap();
        let begun = Instant::now();
        assert_eq!(read_all(&input).await, origin.length);
        assert!(begun.elapsed() < 3 * PATIENCE, "{:?}", begun.elapsed());
        let mut got = first.len() as u64;
        loop {
            let data = slow.next().await.unwrap();
            if data.is_empty() {
                break;
            }
            got += data.len() as u64;
        }
        assert_eq!(got, origin.length);
    }

    /// One that moves, but at a crawl, holds up the other for a while and not for the whole copy.
    #[tokio::test(start_paused = true)]
    async fn who_crawls_is_left_behind_too() {
        let (origin, input) = window(4 * BLOCKS, 2);
        let mut slow = input.reader();
        let crawling = async {
            while !slow.next().await.unwrap().is_empty() {
                sleep(Duration::from_millis(900)).await;
            }
        };
        let begun = Instant::now();
        tokio::select! {
            length = read_all(&input) => assert_eq!(length, origin.length),
            () = crawling => unreachable!("it takes an hour"),
        }
        assert!(begun.elapsed() < 10 * PATIENCE, "{:?}", begun.elapsed());
    }

    /// Nor do most of them, when they take longer over a block than anybody is waited for.
    #[tokio::test(start_paused = true)]
    async fn most_that_crawl_do_not_hold_up_the_others() {
        let (origin, input) = window(4 * BLOCKS, 3);
        let crawling = async {
            let mut slow = input.reader();
            while !slow.next().await.unwrap().is_empty() {
                sleep(Duration::from_millis(900)).await;
            }
        };
        let other = async {
            let mut slow = input.reader();
            while !slow.next().await.unwrap().is_empty() {
                sleep(Duration::from_millis(1100)).await;
            }
        };
        let begun = Instant::now();
        tokio::select! {
            length = read_all(&input) => assert_eq!(length, origin.length),
            ((), ()) = async { tokio::join!(crawling, other) } => unreachable!("it takes an hour"),
        }
        assert!(begun.elapsed() < 10 * PATIENCE, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_comes_costs_a_moment_once() {
        let (origin, input) = window(3 * BLOCKS, 64);
        let begun = Instant::now();
        assert_eq!(read_all(&input).await, origin.length);
        assert!(begun.elapsed() <= PATIENCE + LOOK, "{:?}", begun.elapsed());
    }
}
