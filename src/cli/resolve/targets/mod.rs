//! The one resolver of node targets: from the pieces of a command line to the nodes they name.
//!
//! What differs between the tools is a value: the [`Piece`]s and their order, and the [`Rules`]. Errors and notes are
//! values too; each front-end has words of its own for them.

mod reader;
mod strict;

use std::collections::HashSet;
use std::path::PathBuf;

use super::lists::ListError;
use crate::nodeset::{self, Builder, EvalError, Groups, NodeSet};
use reader::Reader;
pub(in crate::cli) use strict::Strict;

/// The most nodes of a run, unless the configuration says otherwise (`max_nodes`).
pub(in crate::cli) const MAX_NODES: u128 = 1_000_000;

/// What was typed about nodes in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Piece {
    /// The option, for messages.
    pub(in crate::cli) option: &'static str,
    /// What it does.
    pub(in crate::cli) role: Role,
    /// Which nodes.
    pub(in crate::cli) words: Words,
}

/// What the nodes of a piece are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Role {
    /// These are targeted.
    Include,
    /// Of those before, only these.
    Among,
    /// These are left out, wherever the piece stands.
    Exclude,
}

/// The words of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Words {
    /// A node set.
    Nodes(String),
    /// Names of groups, with brackets and operators as in a node set.
    Groups(String),
    /// All nodes of the default source.
    All,
    /// Node sets in a file, separated by white space; `-` is standard input.
    List(PathBuf),
    /// Nodes that are known already.
    Known(NodeSet),
}

/// Where the tools differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Rules {
    /// What wildcards are compared with where nodes are left out.
    pub(in crate::cli) wildcards: Wildcards,
    /// How an unknown group is taken.
    pub(in crate::cli) unknown_group: Unknown,
    /// Whether lists have comments.
    pub(in crate::cli) comments: bool,
}

impl Rules {
    /// Ours.
    pub(in crate::cli) const NATIVE: Self = Self {
        wildcards: Wildcards::Targets,
        unknown_group: Unknown::Error,
        comments: true,
    };

    /// ClusterShell's.
    pub(in crate::cli) const CLUSTERSHELL: Self = Self {
        wildcards: Wildcards::Source,
        unknown_group: Unknown::Empty,
        comments: false,
    };
}

/// What wildcards are compared with where nodes are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Wildcards {
    /// The targeted nodes, whether a group knows them or not.
    Targets,
    /// All nodes of the default source, as everywhere else.
    Source,
}

/// How a group is taken that its source does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Unknown {
    /// A mistake: a typo must not mean fewer nodes.
    Error,
    /// The empty set.
    Empty,
}

/// Something to tell the user that stops nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Note<'a> {
    /// The value of an option has been read.
    Value {
        /// The option.
        option: &'static str,
        /// Its value.
        nodes: &'a NodeSet,
    },
    /// An exclusion matched none of the targets.
    Idle {
        /// The option.
        option: &'static str,
        /// Whether the whole option excludes, or a part of its value behind `!`.
        role: Role,
        /// The operand.
        text: &'a str,
    },
}

/// Why there are no targets.
#[derive(Debug)]
pub(in crate::cli) enum TargetError {
    /// Not a valid node set, or its groups cannot be looked up.
    Value {
        /// The option.
        option: &'static str,
        /// As it was typed.
        text: String,
        /// Why.
        error: EvalError,
    },
    /// All nodes cannot be had.
    All(EvalError),
    /// A list cannot be used.
    List {
        /// The file.
        path: PathBuf,
        /// Why.
        error: Box<ListError<EvalError>>,
    },
    /// More nodes than there may be.
    TooMany {
        /// How many.
        count: u128,
        /// How many there may be.
        most: u128,
    },
}

/// The nodes that the pieces name; maybe none, and maybe too many to be listed: see [`bounded`]. The pieces are read in
/// their order, but for those that leave out targets which must be known first ([`Wildcards::Targets`]).
///
/// # Errors
/// The first piece that cannot be read.
pub(in crate::cli) fn resolve(
    pieces: &[Piece],
    rules: &Rules,
    groups: &dyn Groups,
    tell: &mut dyn FnMut(Note<'_>),
) -> Result<NodeSet, TargetError> {
    let strict = Strict(groups);
    let mut reader = Reader {
        rules,
        groups: match rules.unknown_group {
            Unknown::Error => &strict,
            Unknown::Empty => groups,
        },
        tell,
    };
    let mut included = Builder::new();
    let mut excluded = Builder::new();
    let is_late =
        |piece: &&Piece| rules.wildcards == Wildcards::Targets && piece.role == Role::Exclude;
    for piece in pieces.iter().filter(|piece| !is_late(piece)) {
        match piece.role {
            Role::Include => reader.read(piece, &mut included)?,
            Role::Exclude => reader.read(piece, &mut excluded)?,
            Role::Among => {
                let mut among = Builder::new();
                reader.read(piece, &mut among)?;
                let mut nodes = std::mem::take(&mut included).finish();
                nodes.intersection(&among.finish());
                included.add_set(&nodes);
            }
        }
    }
    let mut nodes = included.finish();
    for piece in pieces.iter().filter(is_late) {
        reader.exclude(piece, &nodes, &mut excluded)?;
    }
    nodes.difference(&excluded.finish());
    Ok(nodes)
}

/// Refuses a set that is too large to be listed.
///
/// # Errors
/// When it has more nodes than that.
pub(in crate::cli) fn bounded(nodes: &NodeSet, most: u128) -> Result<(), TargetError> {
    match nodes.count() {
        count if count > most => Err(TargetError::TooMany { count, most }),
        _ => Ok(()),
    }
}

/// At most `count` of the nodes, chosen at random.
pub(in crate::cli) fn pick(nodes: NodeSet, count: u128) -> NodeSet {
    let all = nodes.count();
    if count >= all {
        return nodes;
    }
    // Floyd's choice: each position is chosen with the same probability, in time and memory of the choice.
    let mut chosen = HashSet::new();
    for last in all - count..all {
        let position = fastrand::u128(..=last);
        if !chosen.insert(position) {
            chosen.insert(last);
        }
    }
    let positions: NodeSet = chosen.iter().map(u128::to_string).collect();
    nodes.slice(&positions.ranges())
}

/// The value of a node set.
///
/// # Errors
/// When it is not valid, or a group cannot be looked up.
pub(in crate::cli) fn eval(text: &str, groups: &dyn Groups) -> Result<NodeSet, EvalError> {
    nodeset::eval_text(text, groups)
}

/// Adds the value of a node set. Most words of long lists name one node, which is added as it stands.
///
/// # Errors
/// As [`eval`].
pub(in crate::cli) fn add(
    text: &str,
    groups: &dyn Groups,
    into: &mut Builder,
) -> Result<(), EvalError> {
    if is_plain(text) {
        into.add(text);
    } else {
        into.take_set(eval(text, groups)?);
    }
    Ok(())
}

/// Whether the text is the name of one node and nothing else.
fn is_plain(text: &str) -> bool {
    let special = |byte: u8| {
        byte.is_ascii_whitespace()
            || !byte.is_ascii()
            || matches!(
                byte,
                b',' | b'!' | b'&' | b'^' | b'[' | b']' | b'*' | b'?' | b'@'
            )
    };
    !text.is_empty() && !text.bytes().any(special) && !text.contains("..")
}

#[cfg(test)]
mod tests;
