//! The gateway's side: equal output becomes one stretch of bytes, however it was cut on its way and whoever is ahead.
//!
//! Stretches form a trie. A node's place in it is all that is remembered of what the node said; who says the same walks
//! the same way, who says something else branches off into a stretch of his own. Unlike `gather`, which keeps
//! everything for the end of a run, this forgets the oldest stretches above a budget: who is further behind than that
//! has them sent again, so memory does not grow with what nodes choose to print.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use hashbrown::HashMap;
use indexmap::IndexMap;

use super::message::{Stretch, Tell};
use super::written::Data;
use crate::event::{NodeId, Outcome, Stream};
use crate::nodeset::NodeSet;
use crate::plan::NodeName;

/// A stretch and how many bytes of it.
pub type Place = (u32, u32);

/// The longest stretch; it fits in a line whatever its bytes.
const LONGEST: usize = 64 * 1024;

/// How many bytes of stretches are remembered.
pub const BUDGET: usize = 16 * 1024 * 1024;

/// What a stretch costs beside its bytes.
pub(super) const OVERHEAD: usize = 64;

/// The most nodes of one message, so that it fits in a line even if their names do not fold.
pub const MOST: usize = 2000;

/// Once so much waits to be told it should be told.
const PRESSING: usize = 256 * 1024;

#[derive(Debug)]
struct Run {
    after: Place,
    bytes: BytesMut,
    told: usize,
}

/// Merges what nodes say.
#[derive(Debug)]
pub struct Merger {
    budget: usize,
    /// The stretches from number `first` on.
    runs: VecDeque<Run>,
    first: u32,
    held: usize,
    /// The stretch that goes on with a byte at a place whose own stretch does not.
    branches: HashMap<(Place, u8), u32>,
    /// Where each node is in each stream, if it said anything, and where it was when it was last told.
    places: HashMap<(NodeId, Stream), (Place, Place)>,
    /// Who moved since.
    moved: Vec<(NodeId, Stream)>,
    /// The stretches that grew since.
    grown: Vec<u32>,
    waiting: usize,
    finished: Vec<(NodeId, Outcome)>,
}

impl Merger {
    /// Remembers at most `budget` bytes of stretches.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            budget,
            runs: VecDeque::new(),
            first: 1,
            held: 0,
            branches: HashMap::new(),
            places: HashMap::new(),
            moved: Vec::new(),
            grown: Vec::new(),
            waiting: 0,
            finished: Vec::new(),
        }
    }

    /// A node said something.
    pub fn push(&mut self, node: NodeId, stream: Stream, mut bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let key = (node, stream);
        let (mut place, told) = self.places.get(&key).copied().unwrap_or_default();
        if place == told {
            self.moved.push(key);
        }
        while let Some(next) = bytes.first() {
            let taken = self.walk(&mut place, bytes);
            if taken > 0 {
                bytes = &bytes[taken..];
            } else if let Some(branch) = self.branches.get(&(place, *next)) {
                place = (*branch, 0);
            } else {
                let taken = self.grow(&mut place, bytes);
                bytes = &bytes[taken..];
            }
        }
        self.places.insert(key, (place, told));
    }

    /// A node is done; what it said goes before.
    pub fn finish(&mut self, node: NodeId, outcome: Outcome) {
        self.finished.push((node, outcome));
    }

    /// Whether so much waits to be told that it should not wait for its time.
    #[must_use]
    pub fn is_pressing(&self) -> bool {
        self.waiting >= PRESSING
    }

    /// All that happened since the last time.
    pub fn flush(&mut self, names: &[NodeName]) -> Vec<Tell> {
        let mut tells = Vec::new();
        let mut grown = std::mem::take(&mut self.grown);
        // A stretch is told before those that follow on it, as these are newer.
        grown.sort_unstable();
        grown.dedup();
        for id in grown {
            let Some(run) = self.run_mut(id) else {
                continue;
            };
            let after = (run.told == 0).then_some(run.after);
            let data = Data(Bytes::copy_from_slice(&run.bytes[run.told..]));
            run.told = run.bytes.len();
            tells.push(Tell::Stretch(Stretch { id, after, data }));
        }
        self.waiting = 0;
        let mut outputs: IndexMap<(Stream, Place), Vec<NodeId>> = IndexMap::new();
        for key @ (node, stream) in std::mem::take(&mut self.moved) {
            if let Some((place, told)) = self.places.get_mut(&key) {
                *told = *place;
                outputs.entry((stream, *place)).or_default().push(node);
            }
        }
        for ((stream, at), nodes) in outputs {
            tells.extend(nodes.chunks(MOST).map(|nodes| Tell::Output {
                nodes: fold(names, nodes),
                stream,
                at,
            }));
        }
        let mut ends: Vec<(Outcome, Vec<NodeId>)> = Vec::new();
        for (node, outcome) in std::mem::take(&mut self.finished) {
            for stream in [Stream::Out, Stream::Err] {
                self.places.remove(&(node, stream));
            }
            match ends.iter_mut().find(|(known, _)| *known == outcome) {
                Some((_, nodes)) => nodes.push(node),
                None => ends.push((outcome, vec![node])),
            }
        }
        for (outcome, nodes) in ends {
            tells.extend(nodes.chunks(MOST).map(|nodes| Tell::Finished {
                nodes: fold(names, nodes),
                outcome: outcome.clone(),
            }));
        }
        tells.extend(self.forget());
        tells
    }

    /// How much is remembered.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held
    }

    fn run_mut(&mut self, id: u32) -> Option<&mut Run> {
        let index = id.checked_sub(self.first)?;
        self.runs.get_mut(index as usize)
    }

    /// Walks along a stretch as far as it says the same; gives back how far that is.
    fn walk(&mut self, place: &mut Place, bytes: &[u8]) -> usize {
        let Some(run) = self.run_mut(place.0) else {
            return 0;
        };
        let ahead = &run.bytes[place.1 as usize..];
        let same = ahead
            .iter()
            .zip(bytes)
            .take_while(|(one, other)| one == other);
        let same = same.count();
        place.1 += same as u32;
        same
    }

    /// Adds bytes that no node has said at this place before; returns how many.
    fn grow(&mut self, place: &mut Place, bytes: &[u8]) -> usize {
        let (id, offset) = *place;
        let room = match self.run_mut(id) {
            Some(run) if run.bytes.len() == offset as usize => LONGEST - run.bytes.len(),
            _ => 0,
        };
        if room == 0 {
            let new = self.first + self.runs.len() as u32;
            self.branches.insert((*place, bytes[0]), new);
            self.runs.push_back(Run {
                after: *place,
                bytes: BytesMut::new(),
                told: 0,
            });
            self.held += OVERHEAD;
            *place = (new, 0);
            return self.grow(place, bytes);
        }
        let taken = bytes.len().min(room);
        if let Some(run) = self.run_mut(id) {
            run.bytes.extend_from_slice(&bytes[..taken]);
        }
        place.1 += taken as u32;
        self.held += taken;
        self.waiting += taken;
        self.grown.push(id);
        taken
    }

    /// Lets go of the oldest stretches above the budget. All are told by now, and so is how far each node is.
    fn forget(&mut self) -> Option<Tell> {
        let before = self.first;
        while self.held > self.budget
            && let Some(run) = self.runs.pop_front()
        {
            self.held -= run.bytes.len() + OVERHEAD;
            if let Some(byte) = run.bytes.first() {
                self.branches.remove(&(run.after, *byte));
            }
            self.first += 1;
        }
        (self.first > before).then_some(Tell::Forget { below: self.first })
    }
}

/// The folded set of some nodes.
#[must_use]
pub fn fold(names: &[NodeName], nodes: &[NodeId]) -> String {
    let names = nodes.iter().map(|node| &*names[node.index()]);
    names.collect::<NodeSet>().to_string()
}
