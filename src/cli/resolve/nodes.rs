//! From `-w`, `-x`, `-g`, `-X`, `-a`, `--hostfile`, `--failed-of` and `--pick` to a node set, in the words of `hash`.

use std::path::{Path, PathBuf};

use super::Invocation;
use super::globs::LeftOver;
use super::groups::resolver;
use super::lists::ListError;
use super::targets::{self, Note, Piece, Role, Rules, TargetError, Words};
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::journal::Journal;
use crate::cli::quote::quote;
use crate::cli::request::{PastRun, Targets};
use crate::config::{Config, Environment, Values};
use crate::nodeset::{EvalError, GroupError, Groups, NodeSet};
use crate::report::text::Count;

/// The nodes that are meant; never empty. `tell` hears of what had no effect.
///
/// # Errors
/// A node set that cannot be read, an unknown group, no nodes or too many of them.
pub(in crate::cli) fn nodes(
    options: &Targets,
    values: &Values,
    environment: &Environment,
    tell: &mut dyn FnMut(String),
) -> Result<NodeSet, CliError> {
    let groups = resolver(environment);
    let pieces = pieces(options, values, || {
        failed_of_last(options.lab, environment, &groups)
    })?;
    let mut tell = |note: Note<'_>| tell_idle(note, tell);
    let mut nodes = targets::resolve(&pieces, &Rules::NATIVE, &groups, &mut tell)?;
    targets::bounded(&nodes, most(values))?;
    if let Some(count) = options.pick {
        nodes = targets::pick(nodes, count.get() as u128);
    }
    if nodes.is_empty() {
        return Err(CliError::usage(match options.failed_of {
            Some(PastRun::Last) => {
                "nothing failed in the last run on these nodes; nothing was contacted"
            }
            None => "the node set is empty; nothing was contacted",
        }));
    }
    match options.expect {
        Some(expected) if nodes.len() != expected => Err(CliError::refused(format!(
            "expected {}, but there are {}: {nodes}; nothing was contacted",
            Count(expected, "node"),
            nodes.len()
        ))),
        _ => Ok(nodes),
    }
}

/// The nodes that were asked for; never empty. What had no effect is told on standard error.
///
/// # Errors
/// A node set that cannot be read, an unknown group, no nodes or too many of them.
pub(in crate::cli) fn of(
    asked: Invocation<'_>,
    console: &mut Console,
) -> Result<NodeSet, CliError> {
    let mut tell = |text| console.complain(format_args!("{}: {text}", asked.called));
    let site = asked.site;
    nodes(
        &asked.options.targets,
        site.values()?,
        &site.environment,
        &mut tell,
    )
}

/// What of the options and of a verb's words may be what the shell has made of an unquoted pattern.
pub(in crate::cli) fn left_over<'a>(
    options: &'a Targets,
    select: &'a [String],
) -> Option<LeftOver<'a>> {
    let each = |option, texts: &'a [String]| {
        let words = texts.iter().flat_map(|text| text.split(','));
        words.map(move |word| (Some(option), word))
    };
    let nodes = each("-w", &options.nodes).chain(each("-x", &options.exclude));
    let nodes = nodes.filter(|(_, word)| *word != "-" && !word.contains(['@', '/']));
    // Names of groups are no wildcards, so what is left of a pattern has a number.
    let groups = each("-g", &options.group).chain(each("-X", &options.exclude_group));
    let groups = groups.filter(|(_, word)| word.bytes().any(|byte| byte.is_ascii_digit()));
    let select = select.iter().map(|word| (None, word.as_str()));
    LeftOver::find(nodes.chain(groups).chain(select))
}

/// How many nodes a run may have.
pub(in crate::cli) fn most(values: &Values) -> u128 {
    let configured = values.max_nodes.map(|most| most.get() as u128);
    configured.unwrap_or(targets::MAX_NODES)
}

/// Refuses a set that is too large to be listed. Our configuration is read only where it could allow the set, as the
/// tools that stand in for others do not depend on it.
///
/// # Errors
/// When it has more nodes than there may be.
pub(in crate::cli) fn bounded(
    nodes: &NodeSet,
    environment: &Environment,
) -> Result<(), TargetError> {
    targets::bounded(nodes, targets::MAX_NODES).or_else(|refused| match Config::load(environment) {
        Ok(config) => targets::bounded(nodes, most(&config.values)),
        Err(_) => Err(refused),
    })
}

/// As [`bounded`], with the words of the tools that stand in for others.
///
/// # Errors
/// When it has more nodes than there may be.
pub(in crate::cli) fn listable(nodes: &NodeSet, environment: &Environment) -> Result<(), String> {
    bounded(nodes, environment).map_err(|error| match error {
        TargetError::TooMany { count, most } => too_many(count, most),
        TargetError::Value { .. } | TargetError::All(_) | TargetError::List { .. } => {
            CliError::from(error).to_string()
        }
    })
}

/// That there are too many nodes, in the words of the tools that stand in for others.
pub(in crate::cli) fn too_many(count: u128, most: u128) -> String {
    format!(
        "{count} nodes are more than the {most} that a run may have (max_nodes in hapsh-config(5))"
    )
}

/// What the options say, what leaves nodes out last.
fn pieces(
    options: &Targets,
    values: &Values,
    failed: impl FnOnce() -> Result<NodeSet, CliError>,
) -> Result<Vec<Piece>, CliError> {
    let piece = |option, role, words| Piece {
        option,
        role,
        words,
    };
    let include = |option, words| piece(option, Role::Include, words);
    let mut pieces = Vec::new();
    if options.all {
        pieces.push(include("-a", Words::All));
    }
    for text in &options.nodes {
        pieces.push(include(
            "-w",
            match text.as_str() {
                "-" => Words::List(PathBuf::from("-")),
                _ => Words::Nodes(text.clone()),
            },
        ));
    }
    for text in &options.group {
        pieces.push(include("-g", Words::Groups(text.clone())));
    }
    for file in &options.hostfile {
        pieces.push(include("--hostfile", Words::List(file.clone())));
    }
    if let Some(PastRun::Last) = options.failed_of {
        let role = if pieces.is_empty() {
            Role::Include
        } else {
            Role::Among
        };
        pieces.push(piece("--failed-of", role, Words::Known(failed()?)));
    } else if pieces.is_empty() {
        let lab = options.lab.then_some("lb[1-2]");
        let default = values.nodes.as_deref().or(lab).ok_or_else(|| {
            CliError::usage("no nodes")
                .hint("name them with -w, or set `nodes` in the configuration or HASH_NODES")
        })?;
        if default.is_empty() {
            let text = "HASH_NODES, or `nodes` of the configuration, names no nodes; nothing was contacted";
            return Err(CliError::usage(text).hint("name them with -w"));
        }
        pieces.push(include("nodes", Words::Nodes(default.to_owned())));
    }
    if options.exclude.iter().any(|text| text == "-") {
        // A node of that name can hardly be; a list that is not read would leave nobody out.
        let text = "-x - reads nothing: only -w and --hostfile read nodes from standard input";
        return Err(CliError::usage(text).hint("write -x \"$(cat)\" to leave out what is read"));
    }
    for text in &options.exclude {
        pieces.push(piece("-x", Role::Exclude, Words::Nodes(text.clone())));
    }
    for text in &options.exclude_group {
        pieces.push(piece("-X", Role::Exclude, Words::Groups(text.clone())));
    }
    Ok(pieces)
}

/// The note about an exclusion that matches no target.
fn tell_idle(note: Note<'_>, tell: &mut dyn FnMut(String)) {
    let Note::Idle { option, role, text } = note else {
        return;
    };
    tell(match (role, option) {
        (Role::Exclude, "-X") => {
            let group = text.strip_prefix('@').unwrap_or(text);
            format!("-X {} leaves nobody out", quote(group))
        }
        (Role::Exclude, _) => format!("{option} {} leaves nobody out", quote(text)),
        (Role::Include | Role::Among, _) => {
            format!("{} leaves nobody out", quote(&format!("!{text}")))
        }
    });
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

/// The nodes that a text means, with a word for a mistake.
///
/// # Errors
/// A text that is no node set, or groups that cannot be had.
pub(in crate::cli) fn eval(text: &str, groups: &dyn Groups) -> Result<NodeSet, CliError> {
    let value = targets::eval(text, groups);
    value.map_err(|error| CliError::usage(wrong_value(text, &error)))
}

/// The groups that node sets may name; an unknown one is an error.
pub(in crate::cli) fn groups(environment: &Environment) -> impl Groups + use<> {
    targets::Strict(resolver(environment))
}

fn wrong_value(text: &str, error: &EvalError) -> String {
    let why = match error {
        EvalError::Parse(error) => format!("{error} (column {})", error.column),
        EvalError::Group(GroupError::UnknownSource(source)) if source == "<default>" => {
            "there are no groups: no group source is configured".to_owned()
        }
        EvalError::Group(GroupError::Other(why)) => why.clone(),
        EvalError::Group(_)
        | EvalError::Map { .. }
        | EvalError::Cycle(_)
        | EvalError::TooMany { .. } => error.to_string(),
    };
    format!("bad node set `{text}`: {why}")
}

impl From<TargetError> for CliError {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Value {
                option: "-g" | "-X",
                text,
                error,
            } => Self::usage(wrong_value(&format!("@{text}"), &error)),
            TargetError::Value { text, error, .. } => Self::usage(wrong_value(&text, &error)),
            TargetError::All(error) => Self::usage(wrong_value("@*", &error)),
            TargetError::List { path, error } => wrong_list(&path, &error),
            TargetError::TooMany { count, most } => Self::usage(format!(
                "{count} nodes are more than the {most} that a run may have; nothing was contacted"
            ))
            .hint("if they are meant, set `max_nodes` in the configuration or HASH_MAX_NODES"),
        }
    }
}

fn wrong_list(path: &Path, error: &ListError<EvalError>) -> CliError {
    let name = match path.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => path.display().to_string(),
    };
    let place = match error.line() {
        Some(line) => format!("{name}:{line}"),
        None => name,
    };
    match error {
        ListError::System(error) => CliError::usage(format!("cannot read {place}: {error}")),
        ListError::NoFile(what) => CliError::usage(format!("cannot read {place}: it is {what}"))
            .hint("name a file, - for standard input, or <(COMMAND)"),
        ListError::TooLong | ListError::NoText { .. } => {
            CliError::usage(format!("{place}: {error}; expected a list of node sets"))
        }
        ListError::Word { word, error, .. } => {
            CliError::usage(format!("{place}: {}", wrong_value(word, error)))
        }
    }
}
