//! The keys of lines: which nodes they name, and how nodes are named in the end.

use std::rc::Rc;

use hashbrown::HashMap;

use super::Error;
use super::options::Interpret;
use crate::groups::Resolver;
use crate::nodeset::{self, EvalError, GroupError, NodeSet};

/// The most nodes that one key may name: keys come from outside, and each node costs memory.
const MOST_NODES: u128 = 1_000_000;

/// Gives each node a number, and remembers what keys name.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    interpret: Interpret,
    resolver: &'a Resolver,
    /// What stands in front of the separator, untrimmed.
    known: HashMap<Box<[u8]>, Ids>,
    ids: HashMap<String, u32>,
    names: Vec<String>,
}

/// The nodes of a key; most have one.
#[derive(Debug, Clone)]
pub(super) enum Ids {
    One(u32),
    Many(Rc<[u32]>),
}

impl Ids {
    pub(super) fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }
}

impl<'a> Keys<'a> {
    pub(super) fn new(interpret: Interpret, resolver: &'a Resolver) -> Self {
        Self {
            interpret,
            resolver,
            known: HashMap::new(),
            ids: HashMap::new(),
            names: Vec::new(),
        }
    }

    /// The nodes that a key names; `None` if it is blank.
    pub(super) fn nodes(&mut self, field: &[u8]) -> Result<Option<Ids>, Error> {
        if let Some(ids) = self.known.get(field) {
            return Ok(Some(ids.clone()));
        }
        let text = String::from_utf8_lossy(field);
        let key = text.trim_matches(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c));
        if key.is_empty() {
            return Ok(None);
        }
        let ids = self.look_up(key)?;
        self.known.insert(field.into(), ids.clone());
        Ok(Some(ids))
    }

    fn look_up(&mut self, key: &str) -> Result<Ids, Error> {
        if self.interpret == Interpret::Never {
            return Ok(Ids::One(self.node(key)));
        }
        match self.evaluate(key) {
            Ok(set) if set.count() > MOST_NODES => Err(Error::Message(format!(
                "more than {MOST_NODES} nodes in one key: \"{key}\""
            ))),
            Ok(set) => {
                let mut ids: Vec<u32> = set.iter().map(|name| self.node(&name)).collect();
                Ok(match (ids.len(), ids.pop()) {
                    (1, Some(id)) => Ids::One(id),
                    (_, last) => {
                        ids.extend(last);
                        Ids::Many(ids.into())
                    }
                })
            }
            Err(error) if self.interpret == Interpret::Auto && is_no_set(&error) => {
                // From here on all keys are plain, also those that were seen before.
                self.interpret = Interpret::Never;
                self.known.clear();
                Ok(Ids::One(self.node(key)))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn evaluate(&self, key: &str) -> Result<NodeSet, EvalError> {
        nodeset::eval(&nodeset::parse(key)?, self.resolver)
    }

    /// The number of a node.
    pub(super) fn node(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.ids.insert(name.to_owned(), id);
        self.names.push(name.to_owned());
        id
    }

    pub(super) fn into_names(self) -> Names {
        Names {
            plain: self.interpret == Interpret::Never,
            ids: self.ids,
            names: self.names,
        }
    }
}

/// Whether the key is no node set, rather than one that cannot be resolved.
fn is_no_set(error: &EvalError) -> bool {
    match error {
        EvalError::Parse(_) | EvalError::Map { .. } | EvalError::Cycle(_) => true,
        EvalError::TooMany { .. } => false,
        EvalError::Group(error) => matches!(error, GroupError::IllegalCharacter(_)),
    }
}

/// The names of all nodes that were seen.
#[derive(Debug)]
pub(super) struct Names {
    /// They are keys as they stood, and make no sets.
    plain: bool,
    ids: HashMap<String, u32>,
    /// In the order they came.
    names: Vec<String>,
}

impl Names {
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.names.len()).unwrap_or(u32::MAX)
    }

    /// Whether names make sets.
    pub(super) const fn are_sets(&self) -> bool {
        !self.plain
    }

    /// The names, as they came.
    pub(super) fn of<'a>(&'a self, ids: &'a [u32]) -> impl Iterator<Item = &'a str> {
        ids.iter().map(|id| self.names[*id as usize].as_str())
    }

    /// The nodes as a set, unless names make none.
    pub(super) fn set(&self, ids: &[u32]) -> Option<NodeSet> {
        (!self.plain).then(|| self.of(ids).collect())
    }

    /// The names, with commas between them.
    pub(super) fn joined(&self, ids: &[u32]) -> String {
        self.of(ids).collect::<Vec<_>>().join(",")
    }

    /// The name of the first node, unless names make no sets.
    pub(super) fn first(&self, ids: &[u32]) -> Option<String> {
        match ids {
            [_] if !self.plain => Some(self.joined(ids)),
            ids => self.set(ids)?.iter().next(),
        }
    }

    /// All nodes, in the order of a set of them, else in the order they came.
    pub(super) fn ordered(&self) -> Vec<u32> {
        let all: Vec<u32> = (0..self.len()).collect();
        match self.set(&all) {
            Some(set) => set
                .iter()
                .filter_map(|name| self.ids.get(name.as_str()).copied())
                .collect(),
            None => all,
        }
    }
}
