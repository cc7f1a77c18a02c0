//! How one output differs from another: a unified diff of lines.
//!
//! The matching is that of Python's `difflib` (its documentation: longest contiguous block first, then the
//! same to its left and right; lines in more than 1 % of 200 or more are not taken as anchors), because the
//! tools we stand in for print its hunks and other algorithms cut the same difference into other ones.

use std::fmt;
use std::ops::Range;

use hashbrown::HashMap;

/// Unchanged lines shown around a change.
pub const CONTEXT: usize = 3;

/// A line of a unified diff, without its newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiffLine<'a> {
    /// Where the following lines are, such as `@@ -1,3 +1,3 @@`.
    Hunk(Hunk),
    /// A line of both sides.
    Both(&'a [u8]),
    /// A line of the first side only.
    Old(&'a [u8]),
    /// A line of the second side only.
    New(&'a [u8]),
}

/// The lines of both sides that a hunk covers, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hunk {
    old: (usize, usize),
    new: (usize, usize),
}

impl fmt::Display for Hunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |f: &mut fmt::Formatter<'_>, (start, end): (usize, usize)| match end - start {
            0 => write!(f, "{start},0"),
            1 => write!(f, "{}", start + 1),
            len => write!(f, "{},{len}", start + 1),
        };
        f.write_str("@@ -")?;
        range(f, self.old)?;
        f.write_str(" +")?;
        range(f, self.new)?;
        f.write_str(" @@")
    }
}

/// The unified diff from `old` to `new`; empty when they are equal.
#[must_use]
pub fn unified<'a>(old: &[&'a [u8]], new: &[&'a [u8]]) -> Vec<DiffLine<'a>> {
    if old == new {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for hunk in hunks(&Matcher::new(old, new).blocks(), old.len(), new.len()) {
        if let (Some(first), Some(last)) = (hunk.first(), hunk.last()) {
            lines.push(DiffLine::Hunk(Hunk {
                old: (first.old.start, last.old.end),
                new: (first.new.start, last.new.end),
            }));
        }
        for step in hunk {
            if step.equal {
                lines.extend(old[step.old].iter().map(|line| DiffLine::Both(line)));
            } else {
                lines.extend(old[step.old].iter().map(|line| DiffLine::Old(line)));
                lines.extend(new[step.new].iter().map(|line| DiffLine::New(line)));
            }
        }
    }
    lines
}

/// The same lines in both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    old: usize,
    new: usize,
    len: usize,
}

/// Lines of both sides that are equal, or that stand for one another.
struct Step {
    equal: bool,
    old: Range<usize>,
    new: Range<usize>,
}

/// The steps that turn one side into the other, cut where more than twice the context is equal.
fn hunks(blocks: &[Block], old_len: usize, new_len: usize) -> Vec<Vec<Step>> {
    let (mut hunks, mut hunk) = (Vec::new(), Vec::new());
    let (mut old, mut new) = (0, 0);
    let end = Block {
        old: old_len,
        new: new_len,
        len: 0,
    };
    for (index, block) in blocks.iter().chain([&end]).enumerate() {
        if (old, new) != (block.old, block.new) {
            hunk.push(Step {
                equal: false,
                old: old..block.old,
                new: new..block.new,
            });
        }
        (old, new) = (block.old + block.len, block.new + block.len);
        let context = block.len.min(CONTEXT);
        let head = |equal| Step {
            equal,
            old: block.old..block.old + context,
            new: block.new..block.new + context,
        };
        let tail = Step {
            equal: true,
            old: old - context..old,
            new: new - context..new,
        };
        let is_first = index == 0 && (block.old, block.new) == (0, 0);
        let is_last = (old, new) == (old_len, new_len);
        if block.len == 0 {
            // Only the end.
        } else if is_first {
            hunk.push(tail);
        } else if is_last {
            hunk.push(head(true));
        } else if block.len > 2 * CONTEXT {
            hunk.push(head(true));
            hunks.push(std::mem::take(&mut hunk));
            hunk.push(tail);
        } else {
            hunk.push(Step {
                equal: true,
                old: block.old..old,
                new: block.new..new,
            });
        }
    }
    hunks.push(hunk);
    hunks
}

/// Finds the blocks that two sides have in common. Lines are numbers here: equal lines, equal numbers.
struct Matcher {
    old: Vec<usize>,
    new: Vec<usize>,
    /// Where each line is in `new`; empty for lines too frequent to be an anchor.
    positions: Vec<Vec<usize>>,
}

impl Matcher {
    fn new(old: &[&[u8]], new: &[&[u8]]) -> Self {
        fn number<'a>(numbers: &mut HashMap<&'a [u8], usize>, lines: &[&'a [u8]]) -> Vec<usize> {
            lines
                .iter()
                .map(|line| {
                    let next = numbers.len();
                    *numbers.entry(line).or_insert(next)
                })
                .collect()
        }
        let mut numbers = HashMap::new();
        let (old, new) = (number(&mut numbers, old), number(&mut numbers, new));
        let mut positions = vec![Vec::new(); numbers.len()];
        for (position, &line) in new.iter().enumerate() {
            positions[line].push(position);
        }
        if new.len() >= 200 {
            let frequent = new.len() / 100 + 1;
            for list in positions.iter_mut().filter(|list| list.len() > frequent) {
                list.clear();
            }
        }
        Self {
            old,
            new,
            positions,
        }
    }

    /// The common blocks in order, neighbours joined.
    fn blocks(&self) -> Vec<Block> {
        let mut found = Vec::new();
        let mut todo = vec![(0..self.old.len(), 0..self.new.len())];
        while let Some((old, new)) = todo.pop() {
            let block = self.longest(old.clone(), new.clone());
            if block.len == 0 {
                continue;
            }
            found.push(block);
            let (old_end, new_end) = (block.old + block.len, block.new + block.len);
            for (old, new) in [
                (old.start..block.old, new.start..block.new),
                (old_end..old.end, new_end..new.end),
            ] {
                if !old.is_empty() && !new.is_empty() {
                    todo.push((old, new));
                }
            }
        }
        found.sort_unstable();
        let mut blocks: Vec<Block> = Vec::new();
        for block in found {
            match blocks.last_mut() {
                Some(last)
                    if (last.old + last.len, last.new + last.len) == (block.old, block.new) =>
                {
                    last.len += block.len;
                }
                _ => blocks.push(block),
            }
        }
        blocks
    }

    /// The longest common block within both ranges; of several the first in `old`, then in `new`.
    fn longest(&self, old: Range<usize>, new: Range<usize>) -> Block {
        let mut best = Block {
            old: old.start,
            new: new.start,
            len: 0,
        };
        // How long the common stretches are that end in the previous line of `old`, by their end in `new`.
        let mut before: Vec<(usize, usize)> = Vec::new();
        let mut now = Vec::new();
        for at in old.clone() {
            let mut older = before.iter().peekable();
            let list = &self.positions[self.old[at]];
            let from = list.partition_point(|&position| position < new.start);
            for &position in list[from..].iter().take_while(|&&p| p < new.end) {
                while older.next_if(|(end, _)| end + 1 < position).is_some() {}
                let len = 1 + older
                    .peek()
                    .filter(|(end, _)| end + 1 == position)
                    .map_or(0, |(_, len)| *len);
                now.push((position, len));
                if len > best.len {
                    best = Block {
                        old: at + 1 - len,
                        new: position + 1 - len,
                        len,
                    };
                }
            }
            std::mem::swap(&mut before, &mut now);
            now.clear();
        }
        // Frequent lines are no anchors, but they belong to a block that touches them.
        while best.old > old.start
            && best.new > new.start
            && self.old[best.old - 1] == self.new[best.new - 1]
        {
            best.old -= 1;
            best.new -= 1;
            best.len += 1;
        }
        while best.old + best.len < old.end
            && best.new + best.len < new.end
            && self.old[best.old + best.len] == self.new[best.new + best.len]
        {
            best.len += 1;
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &str) -> Vec<&[u8]> {
        text.lines().map(str::as_bytes).collect()
    }

    fn shown(old: &[&[u8]], new: &[&[u8]]) -> String {
        let text = |line| String::from_utf8_lossy(line).into_owned();
        unified(old, new)
            .into_iter()
            .map(|line| match line {
                DiffLine::Hunk(hunk) => format!("{hunk}\n"),
                DiffLine::Both(line) => format!(" {}\n", text(line)),
                DiffLine::Old(line) => format!("-{}\n", text(line)),
                DiffLine::New(line) => format!("+{}\n", text(line)),
            })
            .collect()
    }

    #[test]
    fn one_changed_line() {
        assert_eq!(
            shown(&lines("l1\neven\nl3"), &lines("l1\nodd\nl3")),
            "@@ -1,3 +1,3 @@\n l1\n-even\n+odd\n l3\n"
        );
        assert_eq!(shown(&lines("a"), &lines("b")), "@@ -1 +1 @@\n-a\n+b\n");
    }

    #[test]
    fn nothing_on_one_side() {
        assert_eq!(
            shown(&lines("even\nl3"), &[]),
            "@@ -1,2 +0,0 @@\n-even\n-l3\n"
        );
        assert_eq!(shown(&[], &lines("x")), "@@ -0,0 +1 @@\n+x\n");
        assert_eq!(shown(&lines("x"), &lines("x")), "");
    }

    #[test]
    fn distant_changes_are_two_hunks() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12";
        let new = "1\nx\n3\n4\n5\n6\n7\n8\n9\n10\ny\n12";
        assert_eq!(
            shown(&lines(old), &lines(new)),
            "@@ -1,5 +1,5 @@\n 1\n-2\n+x\n 3\n 4\n 5\n@@ -8,5 +8,5 @@\n 8\n 9\n 10\n-11\n+y\n 12\n"
        );
    }

    #[test]
    fn equal_ends_are_cut_to_the_context() {
        let old = "1\n2\n3\n4\n5\nold\n6\n7\n8\n9";
        let new = "1\n2\n3\n4\n5\nnew\n6\n7\n8\n9";
        assert_eq!(
            shown(&lines(old), &lines(new)),
            "@@ -3,7 +3,7 @@\n 3\n 4\n 5\n-old\n+new\n 6\n 7\n 8\n"
        );
    }

    /// Turns `old` into what the diff says, to compare with `new`.
    fn applied<'a>(old: &[&'a [u8]], diff: &[DiffLine<'a>]) -> Vec<&'a [u8]> {
        let (mut result, mut at) = (Vec::new(), 0);
        for line in diff {
            match line {
                DiffLine::Hunk(hunk) => {
                    result.extend(&old[at..hunk.old.0]);
                    at = hunk.old.0;
                    assert_eq!(result.len(), hunk.new.0);
                }
                DiffLine::Both(text) => {
                    assert_eq!(old[at], *text);
                    result.push(*text);
                    at += 1;
                }
                DiffLine::Old(text) => {
                    assert_eq!(old[at], *text);
                    at += 1;
                }
                DiffLine::New(text) => result.push(*text),
            }
        }
        result.extend(&old[at..]);
        result
    }

    proptest! {
        #[test]
        fn the_diff_turns_one_into_the_other(
            old in prop::collection::vec(0u8..6, 0..260),
            new in prop::collection::vec(0u8..6, 0..260),
        ) {
            let side = |side: &'_ [u8]| -> Vec<[u8; 1]> { side.iter().map(|&b| [b]).collect() };
            let (old, new) = (side(&old), side(&new));
            let old: Vec<&[u8]> = old.iter().map(<[u8; 1]>::as_slice).collect();
            let new: Vec<&[u8]> = new.iter().map(<[u8; 1]>::as_slice).collect();
            prop_assert_eq!(applied(&old, &unified(&old, &new)), new);
        }
    }
}
