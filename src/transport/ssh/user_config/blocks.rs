//! The configuration in memory: the blocks of each file, with what their lines say.

use std::collections::HashMap;
use std::fmt;

use super::condition::Condition;
use super::place::{ConfigError, Place};
use super::settings::Missing;
use super::value::{Key, Value};

/// The blocks of one file.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    blocks: Vec<Block>,
    /// Blocks that name this host and have no pattern, by position: with ten thousand of them, a host looks at its own.
    by_name: HashMap<String, Vec<usize>>,
    /// All other blocks, by position.
    general: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) condition: Condition,
    /// Its `Host` or `Match` line; `None` for what stands before the first.
    pub(super) heading: Option<Heading>,
    pub(super) items: Vec<Item>,
}

#[derive(Debug)]
pub(super) enum Item {
    Set(Setting),
    /// What only `ssh` does, and whether it would.
    Unused {
        option: Missing,
        is_on: bool,
        place: Place,
    },
    Include(Vec<Blocks>),
    /// A keyword that nobody knows: wrong unless `IgnoreUnknown` names it.
    Unknown {
        keyword: String,
        place: Place,
    },
    /// A line that makes no sense, for the hosts that the block is for.
    Wrong(ConfigError),
}

/// One value with where it was set.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) key: Key,
    pub(super) value: Value,
    pub(super) place: Place,
}

/// The line that begins a block.
#[derive(Debug)]
pub(super) struct Heading {
    pub(super) text: String,
    pub(super) place: Place,
}

impl fmt::Display for Heading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.place, self.text)
    }
}

impl Blocks {
    /// The blocks that may be for a host, in the order of the file.
    pub(super) fn for_host(&self, host: &str) -> impl Iterator<Item = &Block> {
        let named = self.by_name.get(host).map_or(&[][..], Vec::as_slice);
        let mut order: Vec<usize> = self.general.iter().chain(named).copied().collect();
        order.sort_unstable();
        order.into_iter().map(|at| &self.blocks[at])
    }

    /// All blocks, in the order of the file.
    pub(super) fn all(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter()
    }

    /// Begins a block.
    pub(super) fn open(
        &mut self,
        condition: Condition,
        names: Vec<String>,
        heading: Option<Heading>,
    ) {
        let at = self.blocks.len();
        if names.is_empty() {
            self.general.push(at);
        }
        for name in names {
            let positions = self.by_name.entry(name).or_default();
            if positions.last() != Some(&at) {
                positions.push(at);
            }
        }
        self.blocks.push(Block {
            condition,
            heading,
            items: Vec::new(),
        });
    }

    /// Adds a line to the last block.
    pub(super) fn push(&mut self, item: Item) {
        if self.blocks.is_empty() {
            self.open(Condition::Always, Vec::new(), None);
        }
        if let Some(block) = self.blocks.last_mut() {
            block.items.push(item);
        }
    }
}
