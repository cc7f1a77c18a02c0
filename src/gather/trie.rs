//! The trie of everything that was said.
//!
//! It is made of runs: a run is a stretch of bytes that somebody was the first to say. Whoever says the
//! same walks along it; whoever says something else at some place branches off there into another run.
//! Runs are never split, so places stay valid, and each sequence of bytes has exactly one place.

use std::borrow::Cow;
use std::io;

use hashbrown::HashMap;

use super::pages::{PAGE, Pages, Store};

/// How far somebody has come: so many bytes along a run. The start of everything is the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Place {
    run: u32,
    offset: u64,
}

#[derive(Debug)]
struct Run {
    /// Where it branches off. The first run has none; it never looks.
    from: Place,
    len: u64,
    pages: Vec<u32>,
}

impl Run {
    /// The length of the page with this index.
    fn page_len(&self, index: usize) -> usize {
        let before = index as u64 * PAGE as u64;
        usize::try_from(self.len - before).map_or(PAGE, |rest| rest.min(PAGE))
    }
}

#[derive(Debug)]
pub(super) struct Trie {
    runs: Vec<Run>,
    /// The run that goes on with a byte at a place whose own run goes on with another byte.
    branches: HashMap<(Place, u8), u32>,
    pages: Pages,
}

/// The index of a page in its run, and the position within.
fn page_of(offset: u64) -> (usize, usize) {
    let page = PAGE as u64;
    // A run has fewer pages than `u32::MAX`, since their slots are counted in `u32`.
    ((offset / page) as usize, (offset % page) as usize)
}

impl Trie {
    pub(super) fn new(budget: usize, store: Box<dyn Store>) -> Self {
        let root = Run {
            from: Place::default(),
            len: 0,
            pages: Vec::new(),
        };
        Self {
            runs: vec![root],
            branches: HashMap::new(),
            pages: Pages::new(budget, store),
        }
    }

    #[cfg(test)]
    pub(super) fn resident(&self) -> usize {
        self.pages.resident()
    }

    /// Moves a place on by these bytes, and says by how many: fewer if more would have to be kept than there is `room`,
    /// which becomes less by what is kept now.
    pub(super) fn advance(
        &mut self,
        place: &mut Place,
        all: &[u8],
        room: &mut u64,
    ) -> io::Result<usize> {
        let mut bytes = all;
        while let Some(&first) = bytes.first() {
            let run = &self.runs[place.run as usize];
            let taken = if place.offset == run.len {
                let fits = usize::try_from(*room).map_or(bytes.len(), |room| room.min(bytes.len()));
                if fits == 0 {
                    break;
                }
                let taken = self.grow(place.run, &bytes[..fits])?;
                *room -= taken as u64;
                taken
            } else {
                let (index, at) = page_of(place.offset);
                let known = &self.pages.bytes(run.pages[index], run.page_len(index))?[at..];
                common_prefix(known, bytes)
            };
            if taken == 0 {
                place.run = self.branch(*place, first)?;
                place.offset = 0;
            } else {
                place.offset += taken as u64;
                bytes = &bytes[taken..];
            }
        }
        Ok(all.len() - bytes.len())
    }

    /// Appends to a run what fits its last page.
    fn grow(&mut self, run: u32, bytes: &[u8]) -> io::Result<usize> {
        let run = &mut self.runs[run as usize];
        let (index, at) = page_of(run.len);
        if index == run.pages.len() {
            run.pages.push(self.pages.add()?);
        }
        let taken = self.pages.append(run.pages[index], at, bytes)?;
        run.len += taken as u64;
        Ok(taken)
    }

    /// The run that goes on with `byte` at a place where the place's own run does not.
    fn branch(&mut self, from: Place, byte: u8) -> io::Result<u32> {
        if let Some(&run) = self.branches.get(&(from, byte)) {
            return Ok(run);
        }
        let run = u32::try_from(self.runs.len())
            .map_err(|_| io::Error::other("too many different outputs to gather"))?;
        self.runs.push(Run {
            from,
            len: 0,
            pages: Vec::new(),
        });
        self.branches.insert((from, byte), run);
        Ok(run)
    }

    /// The runs in which the lines from the start to a place end. Who says a line that nobody said there before ends it in
    /// a run of its own, so where two outputs part the younger run tells which line came later.
    pub(super) fn line_runs(&self, place: Place) -> io::Result<LineRuns> {
        let mut runs = LineRuns::new();
        let mut chunks = self.chunks(place);
        while let Some((run, chunk)) = chunks.next_of_run() {
            let lines = memchr::memchr_iter(b'\n', &chunk?).count() as u64;
            match runs.last_mut() {
                Some((last, count)) if *last == run => *count += lines,
                _ if lines > 0 => runs.push((run, lines)),
                _ => {}
            }
        }
        Ok(runs)
    }

    /// All bytes from the start to a place.
    pub(super) fn chunks(&self, place: Place) -> Chunks<'_> {
        let mut way = vec![place];
        let mut at = place;
        while at.run != 0 {
            at = self.runs[at.run as usize].from;
            way.push(at);
        }
        Chunks {
            trie: self,
            way,
            offset: 0,
        }
    }
}

/// How many bytes are the same from the start.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let len = a.len().min(b.len());
    if a[..len] == b[..len] {
        return len;
    }
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The runs that lines end in, and how many in each before the next run: a run is younger than those of smaller numbers.
pub(super) type LineRuns = Vec<(u32, u64)>;

/// The bytes on the way to a place.
#[derive(Debug)]
pub(super) struct Chunks<'a> {
    trie: &'a Trie,
    /// The ends of the stretches still to come, the next one last.
    way: Vec<Place>,
    /// How much of the next one was given.
    offset: u64,
}

impl<'a> Chunks<'a> {
    /// The next bytes, and the run they are of.
    fn next_of_run(&mut self) -> Option<(u32, io::Result<Cow<'a, [u8]>>)> {
        let end = loop {
            let end = *self.way.last()?;
            if self.offset < end.offset {
                break end;
            }
            self.way.pop();
            self.offset = 0;
        };
        let run = &self.trie.runs[end.run as usize];
        let (index, _) = page_of(self.offset);
        let start = index as u64 * PAGE as u64;
        let len = usize::try_from(end.offset - start).map_or(PAGE, |rest| rest.min(PAGE));
        self.offset = start + len as u64;
        Some((end.run, self.trie.pages.peek(run.pages[index], len)))
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = io::Result<Cow<'a, [u8]>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_of_run().map(|(_, chunk)| chunk)
    }
}
