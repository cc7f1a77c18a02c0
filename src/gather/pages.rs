//! Pages of output: kept in memory up to a budget, beyond it in a [`Store`].

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;

use hashbrown::HashMap;

/// The size of a page; only the last page of a run of output is shorter.
pub const PAGE: usize = 4096;

/// Where pages go that do not fit the budget. Slots are numbers counted up from 0.
pub trait Store: Debug + Send {
    /// Keeps a page of at most [`PAGE`] bytes; a slot may be written again with a longer page.
    ///
    /// # Errors
    /// When the page cannot be kept.
    fn write(&mut self, slot: u32, page: &[u8]) -> io::Result<()>;

    /// Gives back the first `page.len()` bytes of what was written to the slot.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read(&self, slot: u32, page: &mut [u8]) -> io::Result<()>;
}

/// A store in memory, for those who need no bound.
#[derive(Debug, Default)]
pub struct Memory(HashMap<u32, Box<[u8]>>);

impl Store for Memory {
    fn write(&mut self, slot: u32, page: &[u8]) -> io::Result<()> {
        self.0.insert(slot, page.into());
        Ok(())
    }

    fn read(&self, slot: u32, page: &mut [u8]) -> io::Result<()> {
        match self.0.get(&slot).and_then(|kept| kept.get(..page.len())) {
            Some(kept) => page.copy_from_slice(kept),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(())
    }
}

/// All pages of a gather. Those not used for the longest time leave memory first (second chance).
#[derive(Debug)]
pub(super) struct Pages {
    slots: Vec<Option<Box<Page>>>,
    clock: VecDeque<u32>,
    resident: usize,
    budget: usize,
    store: Box<dyn Store>,
}

#[derive(Debug, Default)]
struct Page {
    bytes: Vec<u8>,
    /// Looked at since the clock's hand came by.
    used: bool,
    /// Holds something that the store does not.
    changed: bool,
}

impl Pages {
    pub(super) fn new(budget: usize, store: Box<dyn Store>) -> Self {
        Self {
            slots: Vec::new(),
            clock: VecDeque::new(),
            resident: 0,
            budget,
            store,
        }
    }

    /// How many bytes of output are in memory.
    #[cfg(test)]
    pub(super) fn resident(&self) -> usize {
        self.resident
    }

    /// A new, empty page.
    pub(super) fn add(&mut self) -> io::Result<u32> {
        let slot = u32::try_from(self.slots.len())
            .map_err(|_| io::Error::other("too much output to gather"))?;
        self.slots.push(Some(Box::default()));
        self.clock.push_back(slot);
        Ok(slot)
    }

    /// The bytes of a page that is `len` bytes long, kept in memory for the next time.
    pub(super) fn bytes(&mut self, slot: u32, len: usize) -> io::Result<&[u8]> {
        self.load(slot, len).map(|page| page.bytes.as_slice())
    }

    /// Appends to a page that is `len` bytes long as much as fits, and says how much that was.
    pub(super) fn append(&mut self, slot: u32, len: usize, bytes: &[u8]) -> io::Result<usize> {
        let fits = bytes.len().min(PAGE - len);
        let page = self.load(slot, len)?;
        let before = page.bytes.capacity();
        // Doubling, but never beyond a page: most outputs are short, long ones fill their pages.
        if before < len + fits {
            let wanted = (len + fits).next_power_of_two().clamp(64, PAGE);
            page.bytes.reserve_exact(wanted - len);
        }
        page.bytes.extend_from_slice(&bytes[..fits]);
        page.changed = true;
        let grown = page.bytes.capacity() - before;
        self.resident += grown;
        self.make_room(slot)?;
        Ok(fits)
    }

    /// The bytes of a page that is `len` bytes long, leaving memory as it is.
    pub(super) fn peek(&self, slot: u32, len: usize) -> io::Result<Cow<'_, [u8]>> {
        match &self.slots[slot as usize] {
            Some(page) => Ok(Cow::Borrowed(&page.bytes[..len])),
            None => {
                let mut bytes = vec![0; len];
                self.store.read(slot, &mut bytes)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    fn load(&mut self, slot: u32, len: usize) -> io::Result<&mut Page> {
        if self.slots[slot as usize].is_none() {
            let mut bytes = vec![0; len];
            self.store.read(slot, &mut bytes)?;
            self.resident += bytes.capacity();
            self.slots[slot as usize] = Some(Box::new(Page {
                bytes,
                ..Page::default()
            }));
            self.clock.push_back(slot);
            self.make_room(slot)?;
        }
        let page = self.slots[slot as usize].get_or_insert_default();
        page.used = true;
        Ok(page)
    }

    /// Spills pages, but not the given one, until the rest fits the budget.
    fn make_room(&mut self, keep: u32) -> io::Result<()> {
        while self.resident > self.budget && self.clock.len() > 1 {
            let Some(slot) = self.clock.pop_front() else {
                break;
            };
            let Some(page) = &mut self.slots[slot as usize] else {
                continue;
            };
            if slot == keep || page.used {
                page.used = false;
                self.clock.push_back(slot);
                continue;
            }
            if page.changed {
                self.store.write(slot, &page.bytes)?;
            }
            self.resident -= page.bytes.capacity();
            self.slots[slot as usize] = None;
        }
        Ok(())
    }
}
