//! From `-w`, `-x`, `-g`, `-X`, `-a`, `--hostfile`, `--failed-of` and `--pick` to a node set.

use std::path::Path;

use super::context::Context;
use super::error::CliError;
use super::flags::{PastRun, Targets};
use super::groups::folders;
use super::journal::Journal;
use crate::config::Environment;
use crate::groups::{Resolver, Settings};
use crate::nodeset::{self, EvalError, GroupError, Groups, NodeSet, ParseError};
use crate::report::text::Count;

/// The nodes that are meant; never empty.
pub(super) fn nodes(
    targets: &Targets,
    default: Option<&str>,
    environment: &Environment,
) -> Result<NodeSet, CliError> {
    let groups = groups(environment);
    let eval = |text: &str| eval(text, &groups);
    let mut nodes = NodeSet::default();
    let mut named = targets.all || !targets.group.is_empty();
    if targets.all {
        nodes.union(&eval("@*")?);
    }
    for text in &targets.nodes {
        named = true;
        if text == "-" {
            nodes.union(&list(Path::new("-"), &groups)?);
        } else {
            nodes.union(&eval(text)?);
        }
    }
    for group in &targets.group {
        nodes.union(&eval(&format!("@{group}"))?);
    }
    for file in &targets.hostfile {
        named = true;
        nodes.union(&list(file, &groups)?);
    }
    if let Some(PastRun::Last) = targets.failed_of {
        let failed = failed_of_last(targets.lab, environment, &groups)?;
        if named {
            nodes.intersection(&failed);
        } else {
            nodes = failed;
        }
    } else if !named {
        if targets.lab {
            nodes.union(&eval(default.unwrap_or("lb[1-2]"))?);
        } else if let Some(text) = default {
            nodes.union(&eval(text)?);
        } else {
            return Err(CliError::usage("no nodes")
                .hint("name them with -w, or set `nodes` in the configuration or HASH_NODES"));
        }
    }
    for text in &targets.exclude {
        nodes.difference(&eval(text)?);
    }
    for group in &targets.exclude_group {
        nodes.difference(&eval(&format!("@{group}"))?);
    }
    if let Some(count) = targets.pick {
        nodes = fastrand::choose_multiple(nodes.iter(), count.get())
            .into_iter()
            .collect();
    }
    if nodes.is_empty() {
        return Err(CliError::usage(match targets.failed_of {
            Some(PastRun::Last) => {
                "nothing failed in the last run on these nodes; nothing was contacted"
            }
            None => "the node set is empty; nothing was contacted",
        }));
    }
    match targets.expect {
        Some(expected) if nodes.len() != expected => Err(CliError::refused(format!(
            "expected {}, but there are {}: {nodes}; nothing was contacted",
            Count(expected, "node"),
            nodes.len()
        ))),
        _ => Ok(nodes),
    }
}

/// The nodes on which the last run was not done; never empty.
fn failed_of_last(
    lab: bool,
    environment: &Environment,
    groups: &dyn Groups,
) -> Result<NodeSet, CliError> {
    let journal = Journal::new(environment).ok_or_else(|| {
        CliError::usage("neither XDG_STATE_HOME nor HOME says where runs are remembered")
    })?;
    let failed = journal
        .failed_of_last(lab)?
        .ok_or_else(|| CliError::usage("no run is remembered, so there is no last one"))?;
    if failed.is_empty() {
        return Err(CliError::usage("nothing failed in the last run"));
    }
    let mut nodes = NodeSet::default();
    for text in failed {
        nodes.union(&eval(&text, groups)?);
    }
    Ok(nodes)
}

/// The groups that node sets may name.
pub(super) fn groups(environment: &Environment) -> impl Groups + use<> {
    Known(resolver(environment))
}

/// ClusterShell's groups, from where its tools look for them. Nothing is read before a group is asked for.
pub(super) fn resolver(environment: &Environment) -> Resolver {
    Resolver::new(Settings::search(&folders(environment)))
}

/// Groups of which an unknown one is an error: a typo must not mean fewer nodes.
struct Known(Resolver);

impl Groups for Known {
    fn map(&self, source: Option<&str>, group: &str) -> Result<String, GroupError> {
        let nodes = Groups::map(&self.0, source, group)?;
        let known =
            || Groups::list(&self.0, source).map(|names| names.iter().any(|name| name == group));
        if nodes.trim().is_empty() && !known().unwrap_or(true) {
            let prefix = source
                .map(|source| format!("{source}:"))
                .unwrap_or_default();
            return Err(GroupError::Other(format!(
                "unknown group `@{prefix}{group}`"
            )));
        }
        Ok(nodes)
    }

    fn all(&self, source: Option<&str>) -> Result<Option<String>, GroupError> {
        Groups::all(&self.0, source)
    }

    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError> {
        Groups::list(&self.0, source)
    }

    fn reverse(&self, source: Option<&str>, node: &str) -> Result<Option<Vec<String>>, GroupError> {
        Groups::reverse(&self.0, source, node)
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        Groups::sources(&self.0)
    }
}

/// The nodes that a text means.
pub(super) fn eval(text: &str, groups: &dyn Groups) -> Result<NodeSet, CliError> {
    let wrong = |why: String| CliError::usage(format!("bad node set `{text}`: {why}"));
    let parse = |error: ParseError| wrong(format!("{error} (column {})", error.column));
    let expression = nodeset::parse(text).map_err(parse)?;
    nodeset::eval(&expression, groups).map_err(|error| {
        wrong(match error {
            EvalError::Group(GroupError::UnknownSource(source)) if source == "<default>" => {
                "there are no groups: no group source is configured".to_owned()
            }
            EvalError::Group(GroupError::Other(why)) => why,
            EvalError::Parse(_)
            | EvalError::Group(_)
            | EvalError::Map { .. }
            | EvalError::Cycle(_) => error.to_string(),
        })
    })
}

/// The node sets in a file: several to a line, `#` begins a comment.
fn list(path: &Path, groups: &dyn Groups) -> Result<NodeSet, CliError> {
    let bytes = Context::read(path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| CliError::usage(format!("{}: not UTF-8 text", path.display())))?;
    let mut nodes = NodeSet::default();
    for (number, line) in (1..).zip(text.lines()) {
        for word in line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace()
        {
            let set = eval(word, groups).map_err(|error| {
                CliError::usage(format!("{}:{number}: {error}", path.display()))
            })?;
            nodes.union(&set);
        }
    }
    Ok(nodes)
}

/// A word of `-w` without a bracket that names a file of the current folder: what the shell leaves of an
/// unquoted `lb[1-2]` there.
pub(super) fn shrunken_glob(targets: &Targets) -> Option<String> {
    targets
        .nodes
        .iter()
        .flat_map(|text| text.split(','))
        .find(|word| {
            !word.is_empty()
                && *word != "-"
                && !word.contains(['[', '@', '/', '*', '?'])
                && Path::new(word).exists()
        })
        .map(str::to_owned)
}

/// The same node with its last number in brackets, which says that it is meant: `lb1` → `lb[1]`.
pub(super) fn bracketed(word: &str) -> String {
    let digit = |byte: &u8| byte.is_ascii_digit();
    let Some(end) = word
        .bytes()
        .rposition(|byte| digit(&byte))
        .map(|last| last + 1)
    else {
        return word.to_owned();
    };
    let start = word.as_bytes()[..end]
        .iter()
        .rposition(|byte| !digit(byte))
        .map_or(0, |before| before + 1);
    format!("{}[{}]{}", &word[..start], &word[start..end], &word[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_goes_into_brackets() {
        assert_eq!(bracketed("lb1"), "lb[1]");
        assert_eq!(bracketed("rack2n10-ib"), "rack2n[10]-ib");
        assert_eq!(bracketed("localhost"), "localhost");
    }
}
