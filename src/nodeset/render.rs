//! Node set to text.

use std::borrow::Cow;
use std::fmt;

use super::fold::Autostep;
use super::range::RangeSet;
use super::{NodeSet, pattern::Pattern};

/// How a set is printed.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// Whether steps are written.
    pub autostep: Autostep,
    /// Which dimensions may be written in brackets.
    pub axes: Axes,
}

/// The dimensions that may be written in brackets; the others are written out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Axes {
    /// All.
    #[default]
    All,
    /// These, counted from 0.
    These(Vec<usize>),
    /// One, counted from 1 at the end.
    FromEnd(usize),
}

impl Axes {
    fn allow(&self, dimension: usize, dimensions: usize) -> bool {
        match self {
            Self::All => true,
            Self::These(axes) => axes.contains(&dimension),
            Self::FromEnd(axis) => dimension + axis == dimensions,
        }
    }
}

/// Appends texts with a comma between them.
struct Joined<'a> {
    out: &'a mut String,
    style: &'a Style,
    first: bool,
}

impl Joined<'_> {
    fn push(&mut self, texts: &[Cow<'_, str>], sets: &[RangeSet]) {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        for (place, text) in texts.iter().enumerate() {
            self.out.push_str(text);
            if let Some(set) = sets.get(place) {
                set.write_in_name(self.style.autostep, self.out);
            }
        }
    }

    /// Writes out the dimensions that may not be folded, the first of them fastest.
    fn push_apart(&mut self, texts: &[Cow<'_, str>], sets: &[RangeSet]) {
        let apart: Vec<usize> = (0..sets.len())
            .filter(|&dimension| !self.style.axes.allow(dimension, sets.len()))
            .collect();
        let mut sets = sets.to_vec();
        self.push_each(texts, &mut sets, &apart);
    }

    fn push_each(&mut self, texts: &[Cow<'_, str>], sets: &mut [RangeSet], apart: &[usize]) {
        let Some((&slowest, rest)) = apart.split_last() else {
            return self.push(texts, sets);
        };
        let all = std::mem::take(&mut sets[slowest]);
        for index in all.indexes() {
            sets[slowest] = RangeSet::single(index);
            self.push_each(texts, sets, rest);
        }
        sets[slowest] = all;
    }
}

impl NodeSet {
    /// The folded text in a given style.
    #[must_use]
    pub fn fold(&self, style: &Style) -> String {
        let mut out = String::new();
        let mut joined = Joined {
            out: &mut out,
            style,
            first: true,
        };
        for (pattern, body) in &self.bodies {
            let texts = Pattern::texts(pattern);
            for product in body.products() {
                joined.push_apart(&texts, product);
            }
        }
        out
    }
}

/// The folded text: the shortest that means this set, and exactly what ClusterShell prints.
impl fmt::Display for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fold(&Style::default()))
    }
}
