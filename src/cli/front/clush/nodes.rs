//! From `-w`, `-x`, `-g`, `-X`, `-a`, `--hostfile` and `--pick` to a set of nodes.

use std::path::Path;

use super::failure::Failure;
use super::options::{Options, Part};
use crate::cli::resolve::groups::no_all;
use crate::cli::resolve::lists::ListError;
use crate::cli::resolve::nodes::too_many;
use crate::cli::resolve::targets::{self, Note, Piece, Role, Rules, TargetError, Words};
use crate::nodeset::{Groups, NodeSet};

/// The nodes to run on; maybe none. `warn` hears of words that may be what a pattern was expanded to.
pub(super) fn target(
    options: &Options,
    groups: &dyn Groups,
    warn: &mut dyn FnMut(String),
) -> Result<NodeSet, Failure> {
    let mut tell = |note: Note<'_>| {
        if let Note::Value {
            option: option @ ("-w" | "-x"),
            nodes,
        } = note
            && nodes.len() == 1
        {
            let name = nodes.to_string();
            if Path::new(&name).exists() {
                warn(format!(
                    "Warning: using '{option} {name}' and local path '{name}' exists, was it expanded by the shell?"
                ));
            }
        }
    };
    let pieces = pieces(options);
    Ok(targets::resolve(
        &pieces,
        &Rules::CLUSTERSHELL,
        groups,
        &mut tell,
    )?)
}

/// What the options say, in the order in which the original reads it.
fn pieces(options: &Options) -> Vec<Piece> {
    let nodes = |option, role, parts: &[Part]| {
        let texts = parts.iter().filter_map(|part| match part {
            Part::Nodes(text) => Some(Words::Nodes(text.clone())),
            Part::Group(_) => None,
        });
        pieces_of(option, role, texts.collect())
    };
    let groups = |option, role, parts: &[Part]| {
        let texts = parts.iter().filter_map(|part| match part {
            Part::Group(text) => Some(Words::Groups(text.clone())),
            Part::Nodes(_) => None,
        });
        pieces_of(option, role, texts.collect())
    };
    let files = options.hostfiles.iter().cloned().map(Words::List);
    let all = options.all.then_some(Words::All);
    [
        nodes("-w", Role::Include, &options.nodes),
        nodes("-x", Role::Exclude, &options.exclude),
        pieces_of("--hostfile", Role::Include, files.collect()),
        pieces_of("-a", Role::Include, all.into_iter().collect()),
        groups("-g", Role::Include, &options.nodes),
        groups("-X", Role::Exclude, &options.exclude),
    ]
    .concat()
}

fn pieces_of(option: &'static str, role: Role, words: Vec<Words>) -> Vec<Piece> {
    let piece = |words| Piece {
        option,
        role,
        words,
    };
    words.into_iter().map(piece).collect()
}

/// So many of the nodes, chosen at random; `None` when all are meant.
pub(super) fn pick(nodes: &NodeSet, count: i64) -> Result<Option<NodeSet>, Failure> {
    let count = u128::try_from(count)
        .map_err(|_| Failure::Named("Sample larger than population or is negative".to_owned()))?;
    if count == 0 || count >= nodes.count() {
        return Ok(None);
    }
    Ok(Some(targets::pick(nodes.clone(), count)))
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Value { error, .. } => error.into(),
            TargetError::All(error) => Self::Named(no_all(&error)),
            TargetError::TooMany { count, most } => Self::Named(too_many(count, most)),
            TargetError::List { path, error } => match *error {
                ListError::System(error) => Self::system(&error, &path),
                ListError::Word { error, .. } => error.into(),
                ListError::NoFile(_) | ListError::TooLong => {
                    Self::Named(format!("{}: {error}", path.display()))
                }
                ListError::NoText { line, .. } => {
                    Self::Named(format!("{}:{line}: {error}", path.display()))
                }
            },
        }
    }
}
