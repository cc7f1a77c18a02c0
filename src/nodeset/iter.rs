//! The names of a set one after the other, made as they are asked for.

use std::borrow::Cow;
use std::collections::btree_map;

use super::index::Index;
use super::pattern::Pattern;
use super::range::RangeSet;
use super::span::Span;
use super::{Body, NodeSet};

/// Where a walk through the names of a set is.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bodies: btree_map::Iter<'a, Pattern, Body>,
    body: Option<(&'a Pattern, usize, &'a Body)>,
    /// The product at hand: for each dimension the place of the span and the index in it.
    at: Vec<(usize, Index)>,
    sets: Option<&'a [RangeSet]>,
}

/// Neighbours in the order of the set: all but the last index are the same.
#[derive(Debug)]
pub(super) struct Stretch<'a> {
    pub(super) pattern: &'a Pattern,
    /// The indexes before the last, as far as there are any.
    pub(super) prefix: Vec<Index>,
    /// The last index of each; none for a name without indexes.
    pub(super) span: Option<Span<()>>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(set: &'a NodeSet) -> Self {
        Self {
            bodies: set.bodies.iter(),
            body: None,
            at: Vec::new(),
            sets: None,
        }
    }

    /// Goes to the next product, unless one is at hand.
    fn enter(&mut self) -> Option<(&'a Pattern, &'a [RangeSet])> {
        loop {
            if let Some((pattern, next, body)) = &mut self.body {
                if let Some(sets) = self.sets {
                    return Some((pattern, sets));
                }
                if let Some(sets) = body.product(*next) {
                    *next += 1;
                    self.sets = Some(sets);
                    self.at.clear();
                    let firsts = sets.iter().filter_map(|set| set.spans().first());
                    self.at.extend(firsts.map(|span| (0, span.first)));
                    continue;
                }
            }
            let (pattern, body) = self.bodies.next()?;
            self.body = Some((pattern, 0, body));
        }
    }

    /// The next neighbours, at most so many.
    pub(super) fn next(&mut self, limit: u128) -> Option<Stretch<'a>> {
        let (pattern, sets) = self.enter()?;
        let Some((&(place, first), prefix)) = self.at.split_last() else {
            self.sets = None;
            return Some(Stretch {
                pattern,
                prefix: Vec::new(),
                span: None,
            });
        };
        let prefix = prefix.iter().map(|&(_, index)| index).collect();
        let end = sets.last()?.spans().get(place)?.last;
        let last = if end.since(first) < limit {
            end
        } else {
            first.plus(limit - 1)
        };
        self.go_past(sets, last);
        Some(Stretch {
            pattern,
            prefix,
            span: Some(Span {
                first,
                last,
                tail: (),
            }),
        })
    }

    /// Goes to the index after `last` in the last dimension, or else on in the dimension before, and so on.
    fn go_past(&mut self, sets: &[RangeSet], last: Index) {
        let innermost = self.at.len() - 1;
        for (dimension, (place, index)) in self.at.iter_mut().enumerate().rev() {
            let spans = sets[dimension].spans();
            let here = if dimension == innermost { last } else { *index };
            if here < spans[*place].last {
                *index = here.next();
                return;
            }
            *place += 1;
            if let Some(span) = spans.get(*place) {
                *index = span.first;
                return;
            }
            *place = 0;
            *index = spans[0].first;
        }
        self.sets = None;
    }
}

impl Stretch<'_> {
    /// How many names.
    pub(super) fn count(&self) -> u128 {
        self.span.as_ref().map_or(1, Span::count)
    }
}

/// The names of a [`NodeSet`], in the order ClusterShell lists them.
#[derive(Debug)]
pub struct Names<'a> {
    cursor: Cursor<'a>,
    pattern: Option<&'a Pattern>,
    texts: Vec<Cow<'a, str>>,
    /// What stands before and behind the last index.
    head: String,
    tail: String,
    span: Option<Span<()>>,
}

impl<'a> Names<'a> {
    fn new(set: &'a NodeSet) -> Self {
        Self {
            cursor: Cursor::new(set),
            pattern: None,
            texts: Vec::new(),
            head: String::new(),
            tail: String::new(),
            span: None,
        }
    }

    /// Appends the next name to the text; whether there was one. Saves a million small allocations.
    pub fn append_next(&mut self, out: &mut String) -> bool {
        if self.span.is_none() {
            let Some(stretch) = self.cursor.next(u128::MAX) else {
                return false;
            };
            if self.pattern != Some(stretch.pattern) {
                self.pattern = Some(stretch.pattern);
                self.texts = stretch.pattern.texts();
            }
            self.head.clear();
            for (text, index) in self.texts.iter().zip(&stretch.prefix) {
                self.head.push_str(text);
                index.write(&mut self.head);
            }
            if let Some(text) = self.texts.get(stretch.prefix.len()) {
                self.head.push_str(text);
            }
            self.tail.clear();
            if let Some(text) = self.texts.get(stretch.prefix.len() + 1) {
                self.tail.push_str(text);
            }
            if stretch.span.is_none() {
                out.push_str(&self.head);
                return true;
            }
            self.span = stretch.span;
        }
        if let Some(span) = &mut self.span {
            out.push_str(&self.head);
            span.first.write(out);
            out.push_str(&self.tail);
            if span.first == span.last {
                self.span = None;
            } else {
                span.first = span.first.next();
            }
        }
        true
    }
}

impl Iterator for Names<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut name = String::new();
        self.append_next(&mut name).then_some(name)
    }
}

impl NodeSet {
    /// The names, in the order ClusterShell lists them.
    #[must_use]
    pub fn iter(&self) -> Names<'_> {
        Names::new(self)
    }
}

impl<'a> IntoIterator for &'a NodeSet {
    type Item = String;
    type IntoIter = Names<'a>;

    fn into_iter(self) -> Names<'a> {
        self.iter()
    }
}
