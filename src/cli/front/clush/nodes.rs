//! From `-w`, `-x`, `-g`, `-X`, `-a`, `--hostfile` and `--pick` to a set of nodes.

use std::fs;
use std::path::Path;

use super::failure::Failure;
use super::options::{Options, Part};
use crate::nodeset::{self, Builder, EvalError, GroupError, Groups, NodeSet, group_nodes};

/// What is joined by operators outside of brackets.
const OPERATORS: [char; 4] = [',', '!', '&', '^'];

/// Reads the parts of a target.
pub(super) struct Reader<'a> {
    pub(super) groups: &'a dyn Groups,
    /// Says something about a word that may be what a pattern shrunk to.
    pub(super) warn: &'a mut dyn FnMut(String),
}

impl Reader<'_> {
    fn eval(&self, text: &str) -> Result<NodeSet, EvalError> {
        let expression = nodeset::parse(text)?;
        nodeset::eval(&expression, self.groups)
    }

    /// The nodes to run on; maybe none.
    pub(super) fn target(&mut self, options: &Options) -> Result<NodeSet, Failure> {
        let mut nodes = NodeSet::new();
        let sets = |parts: &[Part]| {
            let texts = parts.iter().filter_map(|part| match part {
                Part::Nodes(text) => Some(text.clone()),
                Part::Group(_) => None,
            });
            texts.collect::<Vec<_>>()
        };
        let groups = |parts: &[Part]| {
            let texts = parts.iter().filter_map(|part| match part {
                Part::Group(text) => Some(text.clone()),
                Part::Nodes(_) => None,
            });
            texts.collect::<Vec<_>>()
        };
        for text in sets(&options.nodes) {
            nodes.union(&self.named("-w", &text)?);
        }
        let mut excluded = NodeSet::new();
        for text in sets(&options.exclude) {
            excluded.union(&self.named("-x", &text)?);
        }
        for file in &options.hostfiles {
            nodes.union(&self.hostfile(file)?);
        }
        if options.all {
            nodes.union(&self.all()?);
        }
        for text in groups(&options.nodes) {
            nodes.union(&self.group(&text)?);
        }
        for text in groups(&options.exclude) {
            excluded.union(&self.group(&text)?);
        }
        nodes.difference(&excluded);
        Ok(nodes)
    }

    /// The value of `-w` or `-x`, with a word about a pattern that the shell may have expanded.
    fn named(&mut self, option: &str, text: &str) -> Result<NodeSet, Failure> {
        let nodes = self.eval(text)?;
        if nodes.len() == 1 {
            let name = nodes.to_string();
            if Path::new(&name).exists() {
                (self.warn)(format!(
                    "Warning: using '{option} {name}' and local path '{name}' exists, was it expanded by the shell?"
                ));
            }
        }
        Ok(nodes)
    }

    fn all(&self) -> Result<NodeSet, Failure> {
        group_nodes(None, None, self.groups).map_err(|error| match &error {
            EvalError::Group(GroupError::UnknownSource(source)) => Failure::Named(format!(
                "External error: Group source error (GroupResolverSourceError: {source})"
            )),
            EvalError::Group(_)
            | EvalError::Parse(_)
            | EvalError::Map { .. }
            | EvalError::Cycle(_) => error.into(),
        })
    }

    /// The nodes of all groups that a node set of names names.
    fn group(&self, text: &str) -> Result<NodeSet, Failure> {
        nodeset::parse(text).map_err(EvalError::from)?;
        let mut prefixed = String::from("@");
        let mut depth = 0usize;
        for letter in text.trim_start().chars() {
            prefixed.push(letter);
            match letter {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ if depth == 0 && OPERATORS.contains(&letter) => prefixed.push('@'),
                _ => {}
            }
        }
        Ok(self.eval(&prefixed)?)
    }

    /// The node sets in a file, separated by white space. There are no comments.
    fn hostfile(&self, path: &Path) -> Result<NodeSet, Failure> {
        let bytes = fs::read(path).map_err(|error| Failure::system(&error, path))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::Named(format!("{}: not UTF-8 text", path.display())))?;
        let mut nodes = Builder::new();
        for word in text.split_whitespace() {
            nodes.add_set(&self.eval(word)?);
        }
        Ok(nodes.finish())
    }
}

/// So many of the nodes, chosen at random; `None` when all are meant.
pub(super) fn pick(nodes: &NodeSet, count: i64) -> Result<Option<NodeSet>, Failure> {
    let count = usize::try_from(count)
        .map_err(|_| Failure::Named("Sample larger than population or is negative".to_owned()))?;
    if count == 0 || count >= nodes.len() {
        return Ok(None);
    }
    let chosen = fastrand::choose_multiple(nodes.iter(), count);
    Ok(Some(chosen.into_iter().collect()))
}
