//! Our side: what a gateway said of output becomes each node's own bytes again.

use std::collections::VecDeque;

use bytes::Bytes;

use super::merge::{BUDGET, OVERHEAD, Place};
use super::message::Stretch;

/// So much is taken of a gateway that should have let go of it.
const MOST: usize = 2 * BUDGET;

/// Pieces that are shorter together are put together, so that many small ones cost no more than their bytes.
const SMALL: usize = 4 * 1024;

#[derive(Debug)]
struct Run {
    after: Place,
    /// The bytes as they came, each piece with the offset behind it.
    pieces: Vec<(u32, Bytes)>,
}

impl Run {
    fn len(&self) -> u32 {
        self.pieces.last().map_or(0, |(end, _)| *end)
    }
}

/// The stretches a gateway speaks of.
#[derive(Debug)]
pub struct Replay {
    runs: VecDeque<Run>,
    first: u32,
    held: usize,
}

impl Default for Replay {
    fn default() -> Self {
        Self {
            runs: VecDeque::new(),
            first: 1,
            held: 0,
        }
    }
}

impl Replay {
    /// Takes in a stretch.
    ///
    /// # Errors
    /// When it is not one that could follow.
    pub fn add(&mut self, Stretch { id, after, data }: Stretch) -> Result<(), String> {
        let bytes = data.0;
        if bytes.is_empty() {
            return Err(format!("nothing new in stretch {id}"));
        }
        self.held += bytes.len() + if after.is_some() { OVERHEAD } else { 0 };
        if self.held > MOST {
            return Err(format!("more than {MOST} bytes to remember"));
        }
        let next = self.next();
        match after {
            Some(after) if id == next && after.0 < id => {
                self.runs.push_back(Run {
                    after,
                    pieces: Vec::new(),
                });
            }
            None if id < next => {}
            _ => return Err(format!("stretch {id} out of order")),
        }
        let run = self.run_mut(id).ok_or_else(|| forgotten(id))?;
        let end = u32::try_from(bytes.len())
            .ok()
            .and_then(|count| run.len().checked_add(count))
            .ok_or("a stretch without end")?;
        match run.pieces.last_mut() {
            Some((behind, last)) if last.len() + bytes.len() <= SMALL => {
                *last = [&last[..], &bytes[..]].concat().into();
                *behind = end;
            }
            _ => run.pieces.push((end, bytes)),
        }
        Ok(())
    }

    /// Lets go of the stretches before that number.
    ///
    /// # Errors
    /// When they are not there yet.
    pub fn forget(&mut self, below: u32) -> Result<(), String> {
        if below > self.next() {
            return Err(format!("stretches below {below} out of order"));
        }
        while self.first < below
            && let Some(run) = self.runs.pop_front()
        {
            self.held -= run.len() as usize + OVERHEAD;
            self.first += 1;
        }
        Ok(())
    }

    /// What a node said on its way from one place to another.
    ///
    /// # Errors
    /// When no way leads there.
    pub fn between(&self, from: Place, to: Place) -> Result<Vec<Bytes>, String> {
        let mut parts = Vec::new();
        let (mut id, mut end) = to;
        // Numbers fall on the way back, so it ends.
        loop {
            if id == from.0 {
                if end < from.1 {
                    return Err(format!("output goes back in stretch {id}"));
                }
                if end > from.1 {
                    self.cut(id, from.1, end, &mut parts)?;
                }
                break;
            }
            if id == 0 {
                return Err("output goes back to the start".to_owned());
            }
            self.cut(id, 0, end, &mut parts)?;
            (id, end) = self.run(id).ok_or_else(|| forgotten(id))?.after;
        }
        parts.reverse();
        Ok(parts)
    }

    /// Puts part of a stretch behind the parts, its last piece first.
    fn cut(&self, id: u32, start: u32, end: u32, parts: &mut Vec<Bytes>) -> Result<(), String> {
        let run = self.run(id).ok_or_else(|| forgotten(id))?;
        if end > run.len() {
            return Err(format!("stretch {id} has no byte {end}"));
        }
        for (behind, bytes) in run.pieces.iter().rev() {
            let begin = behind - bytes.len() as u32;
            let (from, to) = (start.max(begin), end.min(*behind));
            if from < to {
                parts.push(bytes.slice((from - begin) as usize..(to - begin) as usize));
            }
        }
        Ok(())
    }

    /// How much is remembered.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held
    }

    fn next(&self) -> u32 {
        self.first.saturating_add(self.runs.len() as u32)
    }

    fn run(&self, id: u32) -> Option<&Run> {
        self.runs.get(id.checked_sub(self.first)? as usize)
    }

    fn run_mut(&mut self, id: u32) -> Option<&mut Run> {
        self.runs.get_mut(id.checked_sub(self.first)? as usize)
    }
}

fn forgotten(id: u32) -> String {
    format!("stretch {id} is not known")
}
