//! Gathering: who said the same. Knows nothing of colours, headers or events.
//!
//! Each key's output is a place in one trie of everything that was ever said, so equal outputs are stored
//! once even while they arrive, however their bytes were cut and interleaved. Two keys said the same
//! exactly when they stand at the same place; no hash is asked.

pub mod diff;
mod pages;
mod quota;
pub mod tree;
mod trie;

use std::cmp::{Ordering, Reverse};
use std::io;

use hashbrown::HashMap;

pub use pages::{Memory, PAGE, Store};
pub use quota::{Full, Quota};
use trie::{LineRuns, Place, Trie};

/// How much output is kept in memory before pages go to the [`Store`], unless said otherwise.
pub const DEFAULT_BUDGET: usize = 12 * 1024 * 1024;

/// Collects the output of many keys and tells which of them said the same.
///
/// Keys are small dense numbers (positions in a plan): memory is kept for every key up to the largest.
#[derive(Debug)]
pub struct Gather {
    trie: Trie,
    keys: Vec<Key>,
    quota: Quota,
    /// What was added to the quota here.
    added: u64,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, Default)]
struct Key {
    place: Place,
    status: Option<u8>,
    /// How many bytes nobody else had said before.
    own: u64,
}

impl Default for Gather {
    fn default() -> Self {
        Self::new(DEFAULT_BUDGET, Box::new(Memory::default()))
    }
}

impl Gather {
    /// An empty one that keeps about `budget` bytes of distinct output in memory and the rest in `store`.
    #[must_use]
    pub fn new(budget: usize, store: Box<dyn Store>) -> Self {
        Self {
            trie: Trie::new(budget, store),
            keys: Vec::new(),
            quota: Quota::default(),
            added: 0,
        }
    }

    /// The same with a limit on all that is kept, which several may share.
    #[must_use]
    pub fn within(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }

    /// Appends bytes to a key's output.
    ///
    /// # Errors
    /// [`Full`] when no more may be kept of this key; what fits is. What the store said otherwise; the outputs gathered
    /// so far are then not to be trusted.
    pub fn push(&mut self, key: u32, bytes: &[u8]) -> io::Result<()> {
        let entry = Self::entry(&mut self.keys, key);
        let room = self.quota.room(entry.own);
        let mut left = room;
        let taken = self.trie.advance(&mut entry.place, bytes, &mut left);
        let grown = room - left;
        entry.own += grown;
        self.added += grown;
        self.quota.add(grown);
        if taken? < bytes.len() {
            return Err(self.quota.full());
        }
        Ok(())
    }

    /// The key is done, with this status. Only such keys are in [`Gather::groups`].
    pub fn finish(&mut self, key: u32, status: u8) {
        Self::entry(&mut self.keys, key).status = Some(status);
    }

    fn entry(keys: &mut Vec<Key>, key: u32) -> &mut Key {
        let index = key as usize;
        if index >= keys.len() {
            keys.resize(index + 1, Key::default());
        }
        &mut keys[index]
    }

    /// The finished keys, grouped by status and whole output: by status, then the largest group
    /// first, then the one with the lowest key.
    #[must_use]
    pub fn groups(&self) -> Vec<Group<'_>> {
        let mut index: HashMap<(u8, Place), usize> = HashMap::new();
        let mut groups: Vec<Group<'_>> = Vec::new();
        for (key, entry) in (0u32..).zip(&self.keys) {
            let Some(status) = entry.status else { continue };
            let at = *index.entry((status, entry.place)).or_insert_with(|| {
                groups.push(Group {
                    status,
                    keys: Vec::new(),
                    output: Output {
                        trie: &self.trie,
                        place: entry.place,
                    },
                });
                groups.len() - 1
            });
            groups[at].keys.push(key);
        }
        groups.sort_by_key(|group| (group.status, Reverse(group.keys.len()), group.keys[0]));
        groups
    }

    /// What a key has said so far.
    #[must_use]
    pub fn output(&self, key: u32) -> Output<'_> {
        Output {
            trie: &self.trie,
            place: self
                .keys
                .get(key as usize)
                .map_or_else(Place::default, |entry| entry.place),
        }
    }
}

impl Drop for Gather {
    fn drop(&mut self) {
        self.quota.give_back(self.added);
    }
}

/// Keys with the same status that said the same.
#[derive(Debug)]
pub struct Group<'a> {
    /// Their status.
    pub status: u8,
    /// The keys, lowest first; never empty.
    pub keys: Vec<u32>,
    /// What each of them said.
    pub output: Output<'a>,
}

/// What some key said. Two outputs of one [`Gather`] are equal exactly when their bytes are.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    trie: &'a Trie,
    place: Place,
}

impl PartialEq for Output<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.trie, other.trie) && self.place == other.place
    }
}

impl<'a> Output<'a> {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.place == Place::default()
    }

    /// The bytes, in chunks of at most [`PAGE`] bytes.
    #[must_use]
    pub fn chunks(self) -> Chunks<'a> {
        Chunks(self.trie.chunks(self.place))
    }

    /// Where its lines part from those of other outputs; reads all of it.
    ///
    /// # Errors
    /// What the store said.
    pub fn parting(self) -> io::Result<Parting> {
        self.trie.line_runs(self.place).map(Parting)
    }

    /// The bytes in one piece.
    ///
    /// # Errors
    /// What the store said.
    pub fn to_vec(self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        for chunk in self.chunks() {
            all.extend_from_slice(&chunk?);
        }
        Ok(all)
    }
}

/// The order of a [`LineTree`](tree::LineTree) without the tree: where two outputs part, the one whose line was first said
/// later comes first; the beginning of another one comes before it.
#[derive(Debug, PartialEq, Eq)]
pub struct Parting(LineRuns);

impl Ord for Parting {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut ours, mut theirs) = (self.0.iter().copied(), other.0.iter().copied());
        let (mut a, mut b) = (ours.next(), theirs.next());
        loop {
            match (a, b) {
                (Some((run, lines)), Some((other, others))) if run == other => {
                    let both = lines.min(others);
                    a = match lines - both {
                        0 => ours.next(),
                        rest => Some((run, rest)),
                    };
                    b = match others - both {
                        0 => theirs.next(),
                        rest => Some((other, rest)),
                    };
                }
                (Some((run, _)), Some((other, _))) => return other.cmp(&run),
                (a, b) => return a.is_some().cmp(&b.is_some()),
            }
        }
    }
}

impl PartialOrd for Parting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The bytes of an [`Output`], chunk by chunk.
#[derive(Debug)]
pub struct Chunks<'a>(trie::Chunks<'a>);

impl<'a> Iterator for Chunks<'a> {
    type Item = io::Result<std::borrow::Cow<'a, [u8]>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The groups as plain values: status, keys, bytes.
    fn shown(gather: &Gather) -> Vec<(u8, Vec<u32>, Vec<u8>)> {
        gather
            .groups()
            .into_iter()
            .map(|group| (group.status, group.keys, group.output.to_vec().unwrap()))
            .collect()
    }

    fn tight() -> Gather {
        Gather::new(2 * PAGE, Box::new(Memory::default()))
    }

    #[test]
    fn equal_output_is_one_group_and_silence_is_an_output() {
        let mut gather = Gather::default();
        gather.push(3, b"up\n").unwrap();
        gather.push(1, b"u").unwrap();
        gather.push(2, b"down\n").unwrap();
        gather.push(1, b"p\n").unwrap();
        gather.push(7, b"never finished").unwrap();
        for key in [0, 1, 2, 3] {
            gather.finish(key, 0);
        }
        assert_eq!(
            shown(&gather),
            [
                (0, vec![1, 3], b"up\n".to_vec()),
                (0, vec![0], b"".to_vec()),
                (0, vec![2], b"down\n".to_vec())
            ]
        );
        assert!(gather.output(0).is_empty());
        assert!(gather.output(3) == gather.output(1));
    }

    #[test]
    fn a_prefix_is_another_output() {
        let mut gather = Gather::default();
        gather.push(0, b"abc").unwrap();
        gather.push(1, b"ab").unwrap();
        gather.push(2, b"abd").unwrap();
        gather.push(3, b"ab").unwrap();
        (0..4).for_each(|key| gather.finish(key, 0));
        assert_eq!(
            shown(&gather),
            [
                (0, vec![1, 3], b"ab".to_vec()),
                (0, vec![0], b"abc".to_vec()),
                (0, vec![2], b"abd".to_vec())
            ]
        );
    }

    #[test]
    fn status_comes_first_in_the_order() {
        let mut gather = Gather::default();
        for key in 0..4 {
            gather.push(key, b"x").unwrap();
            gather.finish(key, if key == 3 { 0 } else { 2 });
        }
        let order: Vec<_> = shown(&gather).into_iter().map(|(s, k, _)| (s, k)).collect();
        assert_eq!(order, [(0, vec![3]), (2, vec![0, 1, 2])]);
    }

    #[test]
    fn ten_thousand_interleaved_keys_cost_their_distinct_output() {
        let mut gather = Gather::default();
        for line in 0..100 {
            for key in 0..10_000 {
                let text = if key == 4711 && line == 50 {
                    "odd"
                } else {
                    "even"
                };
                gather
                    .push(key, format!("{line} {text}\n").as_bytes())
                    .unwrap();
            }
        }
        (0..10_000).for_each(|key| gather.finish(key, 0));
        let groups = gather.groups();
        assert_eq!(
            groups.iter().map(|g| g.keys.len()).collect::<Vec<_>>(),
            [9_999, 1]
        );
        assert!(
            gather.trie.resident() < 4 * PAGE,
            "{}",
            gather.trie.resident()
        );
    }

    #[test]
    fn memory_stays_within_the_budget_and_what_was_spilled_still_compares() {
        let mut gather = tight();
        let line =
            |key: u32, n: u32| format!("{} {n}\n", if key.is_multiple_of(3) { "a" } else { "b" });
        for n in 0..20_000 {
            for key in 0..4 {
                gather.push(key, line(key, n).as_bytes()).unwrap();
            }
            assert!(gather.trie.resident() <= 4 * PAGE);
        }
        // One that comes late walks along everything that was spilled.
        for n in 0..20_000 {
            gather.push(4, line(4, n).as_bytes()).unwrap();
        }
        (0..5).for_each(|key| gather.finish(key, 0));
        let whole = |key| {
            (0..20_000)
                .map(|n| line(key, n))
                .collect::<String>()
                .into_bytes()
        };
        assert_eq!(
            shown(&gather),
            [(0, vec![1, 2, 4], whole(1)), (0, vec![0, 3], whole(0))]
        );
    }

    #[test]
    fn a_key_that_says_too_much_is_cut_and_others_are_not() {
        const SMALL: usize = quota::SMALL as usize;
        let quota = Quota::new(1_000_000);
        let mut gather = tight().within(quota.clone());
        let long = vec![b'x'; 700_000];
        gather.push(0, &long).unwrap();
        // Who says the same adds nothing.
        gather.push(1, &long).unwrap();
        gather.push(2, b"y").unwrap();
        let full = gather.push(2, &long).unwrap_err();
        assert!(Full::of(&full).is_some());
        assert!(full.to_string().contains("976.6 KiB"), "{full}");
        assert!(gather.push(0, b"x").is_err());
        // What is short is kept in any case.
        gather.push(3, &vec![b'z'; SMALL]).unwrap();
        assert!(gather.push(3, b"z").is_err());
        for (key, len) in [(0, 700_000), (1, 700_000), (2, 300_000), (3, SMALL)] {
            assert_eq!(gather.output(key).to_vec().unwrap().len(), len, "{key}");
        }
        assert_eq!(quota.room(u64::MAX), 0);
        drop(gather);
        assert_eq!(quota.room(u64::MAX), 1_000_000);
    }

    #[test]
    fn what_the_store_says_is_passed_on() {
        #[derive(Debug)]
        struct Full;
        impl Store for Full {
            fn write(&mut self, _: u32, _: &[u8]) -> io::Result<()> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn read(&self, _: u32, _: &mut [u8]) -> io::Result<()> {
                unreachable!("nothing could be written")
            }
        }
        let mut gather = Gather::new(PAGE, Box::new(Full));
        let err = gather.push(0, &vec![b'x'; 3 * PAGE]).unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::StorageFull);
    }

    /// Outputs that share long prefixes, some longer than a page.
    fn outputs() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let piece = prop_oneof![
            4 => prop::collection::vec(prop::sample::select(b"ab\n".to_vec()), 0..4),
            1 => Just(vec![b'x'; PAGE - 1]),
            1 => Just(vec![b'x'; 2 * PAGE]),
        ];
        let output = prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat());
        prop::collection::vec(output, 1..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Outputs in the order of their parting are in the order of the tree of their lines.
        #[test]
        fn outputs_part_as_in_the_tree_of_lines(
            said in proptest::collection::vec((0u32..6, "[ab]{0,2}"), 0..40),
        ) {
            let (mut gather, mut tree) = (Gather::default(), tree::LineTree::default());
            for (key, line) in &said {
                gather.push(*key, format!("{line}\n").as_bytes()).unwrap();
                tree.push(*key, line.as_bytes());
            }
            for key in 0..6 {
                gather.push(key, format!("key {key}\n").as_bytes()).unwrap();
                gather.finish(key, 0);
                tree.push(key, format!("key {key}").as_bytes());
            }
            let mut groups = gather.groups();
            groups.sort_by_cached_key(|group| group.output.parting().unwrap());
            let found: Vec<u32> = groups.iter().map(|group| group.keys[0]).collect();
            let walk = tree.walk().map(|step| String::from_utf8_lossy(step.line).into_owned());
            let keys = walk.filter_map(|line| line.strip_prefix("key ")?.parse().ok());
            prop_assert_eq!(found, keys.collect::<Vec<u32>>());
        }

        #[test]
        fn the_beginning_of_an_output_comes_before_it(lines in 0usize..4, more in 1usize..4) {
            let mut gather = Gather::default();
            for (key, count) in [(0, lines + more), (1, lines)] {
                gather.push(key, "a\n".repeat(count).as_bytes()).unwrap();
            }
            let parting = |key| gather.output(key).parting().unwrap();
            prop_assert!(parting(1) < parting(0));
        }

        #[test]
        fn never_merges_different_bytes_and_never_splits_equal_ones(
            outputs in outputs(),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..5000), 0..200),
            spill in any::<bool>(),
        ) {
            let mut gather = if spill { tight() } else { Gather::default() };
            let mut rest: Vec<&[u8]> = outputs.iter().map(Vec::as_slice).collect();
            for (which, size) in cuts {
                let key = which.index(rest.len());
                let (now, later) = rest[key].split_at(size.min(rest[key].len()));
                gather.push(key as u32, now).unwrap();
                rest[key] = later;
            }
            for (key, rest) in rest.into_iter().enumerate() {
                gather.push(key as u32, rest).unwrap();
                gather.finish(key as u32, 0);
            }

            let mut model: BTreeMap<&[u8], Vec<u32>> = BTreeMap::new();
            for (key, output) in outputs.iter().enumerate() {
                model.entry(output).or_default().push(key as u32);
            }
            let mut expected: Vec<(u8, Vec<u32>, Vec<u8>)> =
                model.into_iter().map(|(bytes, keys)| (0, keys, bytes.to_vec())).collect();
            expected.sort_by_key(|(_, keys, _)| (Reverse(keys.len()), keys[0]));
            prop_assert_eq!(shown(&gather), expected);
        }
    }
}
