//! What is wrong with a command line, in our words: one line that says what, and what to type instead.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::error::CliError;
use crate::cli::quote::quote;
use crate::cli::verb::VERBS;

/// The mistake that clap has found, behind a verb or without one. The hint names the program as it was called.
pub(super) fn of(
    error: &clap::Error,
    (called, words): (&str, &[OsString]),
    (verb, grammar): (Option<&str>, &clap::Command),
) -> CliError {
    let typed = |option: &str| as_typed(option, words, (verb, grammar));
    let help = match verb {
        Some(verb) => format!("see {called} {verb} --help"),
        None => format!("see {called} --help"),
    };
    if error.kind() == ErrorKind::InvalidSubcommand
        && let Some(word) = text(error, ContextKind::InvalidSubcommand)
    {
        // Only `help WORD` comes here: elsewhere an unknown verb is not clap's to find.
        let known = match nearest(word, VERBS.iter().map(|verb| verb.name)) {
            Some(verb) => format!("did you mean `{called} help {verb}`?"),
            None => format!("see {called} --help"),
        };
        return CliError::usage(format!("unknown verb `{word}`")).hint(known);
    }
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let mistake = unknown_option(error, &help, (verb, grammar));
            match (verb, words.iter().rposition(|word| word == "raw")) {
                (Some("raw"), Some(at)) if is_one_word_too_many(error) => {
                    let line = words[at + 1..].iter().map(|word| word.to_string_lossy());
                    let line = line.collect::<Vec<_>>().join(" ");
                    mistake.hint(format!("{called} raw takes one line: {}", quote(&line)))
                }
                _ => mistake,
            }
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = list(error, ContextKind::InvalidArg);
            let missing = missing.join(" ").replace(['<', '>'], "");
            CliError::usage(format!("missing: {missing}")).hint(help)
        }
        ErrorKind::ArgumentConflict => {
            let option = typed(&option(error));
            let other = list(error, ContextKind::PriorArg);
            let other: Vec<String> = other.iter().map(|other| typed(other)).collect();
            CliError::usage(format!("{option} does not go with {}", other.join(", ")))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            bad_value(error, &typed(&option(error)), help)
        }
        ErrorKind::WrongNumberOfValues
        | ErrorKind::TooFewValues
        | ErrorKind::TooManyValues
        | ErrorKind::NoEquals => {
            let argument = text(error, ContextKind::InvalidArg).unwrap_or_default();
            let argument = argument.replace(['<', '>'], "");
            CliError::usage(format!("too few or too many words for {argument}")).hint(help)
        }
        ErrorKind::InvalidSubcommand
        | ErrorKind::MissingSubcommand
        | ErrorKind::InvalidUtf8
        | ErrorKind::DisplayHelp
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::DisplayVersion
        | ErrorKind::Io
        | ErrorKind::Format
        | _ => CliError::usage(first_line(error)).hint(help),
    }
}

/// The word at a place where a verb should stand. What was typed is repeated, so that it can be run as a command.
pub(super) fn unknown_verb(called: &str, words: &[OsString], at: usize) -> CliError {
    let (before, behind) = words.split_at(at);
    let word = &behind[0].to_string_lossy();
    let join = |words: &[OsString]| {
        let quoted = words.iter().map(|word| quote(&word.to_string_lossy()));
        quoted.collect::<Vec<_>>().join(" ")
    };
    let before = match join(before) {
        none if none.is_empty() => "-w NODES".to_owned(),
        before => before,
    };
    let command = format!(
        "to run it as a command: {called} {before} -- {}",
        join(behind)
    );
    let message = format!("unknown verb `{word}`");
    let guess = nearest(word, VERBS.iter().map(|verb| verb.name).chain(["help"]));
    // Nodes without their option: a verb or a command stands behind them, or they are no word of a command at all.
    let verb_follows = behind
        .get(1)
        .is_some_and(|next| next == "--" || VERBS.iter().any(|verb| next == verb.name));
    let is_a_set = word.contains(['[', '@', ',']) || word.contains("..");
    let words = &words[..at];
    let before = join(words);
    let space = if before.is_empty() { "" } else { " " };
    let nodes = format!(
        "nodes stand behind -w: {called} {before}{space}-w {}",
        join(behind)
    );
    CliError::usage(message).hint(match guess {
        Some(verb) => format!("did you mean `{verb}`? {command}"),
        None if is_a_set || behind.get(1).is_some_and(|next| next == "--") => nodes,
        None if verb_follows => format!("{nodes}; {command}"),
        None => command,
    })
}

/// An option that there is not, with one that may have been meant.
fn unknown_option(
    error: &clap::Error,
    help: &str,
    (verb, grammar): (Option<&str>, &clap::Command),
) -> CliError {
    let typed = text(error, ContextKind::InvalidArg).unwrap_or_default();
    if !typed.starts_with('-') {
        return CliError::usage(format!("one word too many: `{typed}`")).hint(help);
    }
    let mistake = CliError::usage(format!("unknown option `{typed}`"));
    let behind = verb.and_then(|verb| grammar.find_subcommand(verb));
    let known = std::iter::once(grammar)
        .chain(behind)
        .flat_map(clap::Command::get_arguments)
        .filter_map(clap::Arg::get_long);
    let name = typed.split('=').next().unwrap_or(typed);
    match nearest(name.trim_start_matches('-'), known) {
        Some(known) => mistake.hint(format!("did you mean --{known}?")),
        None => mistake.hint(help),
    }
}

/// A word where none is expected, which is no option either.
fn is_one_word_too_many(error: &clap::Error) -> bool {
    text(error, ContextKind::InvalidArg).is_some_and(|typed| !typed.starts_with('-'))
}

fn bad_value(error: &clap::Error, option: &str, help: String) -> CliError {
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    if value.is_empty() {
        return CliError::usage(format!("{option} needs a value")).hint(help);
    }
    let valid = list(error, ContextKind::ValidValue);
    let mistake = format!("bad value `{value}` for {option}");
    if !valid.is_empty() {
        let one_of = if valid.len() > 1 { "one of " } else { "" };
        let expected = format!("expected {one_of}{}", valid.join(", "));
        return CliError::usage(format!("{mistake}: {expected}"));
    }
    let why = std::error::Error::source(error).map(ToString::to_string);
    CliError::usage(match why {
        Some(why) => format!("{mistake}: {why}"),
        None => mistake,
    })
}

/// An option by the name it was typed with, of those that it has.
fn as_typed(
    option: &str,
    words: &[OsString],
    (verb, grammar): (Option<&str>, &clap::Command),
) -> String {
    let Some(long) = option.strip_prefix("--") else {
        return option.to_owned();
    };
    let behind = verb.and_then(|verb| grammar.find_subcommand(verb));
    let known = std::iter::once(grammar).chain(behind);
    let argument = known
        .flat_map(clap::Command::get_arguments)
        .find(|argument| argument.get_long() == Some(long));
    let words = words.iter().filter_map(|word| word.to_str());
    let words: Vec<&str> = words.take_while(|word| *word != "--").collect();
    let is_typed = |name: &&str| {
        let with = |word: &&str| {
            word.strip_prefix("--")
                .is_some_and(|word| word.split('=').next() == Some(*name))
        };
        words.iter().any(with)
    };
    let Some(argument) = argument.filter(|_| !is_typed(&long)) else {
        return option.to_owned();
    };
    if let Some(alias) = argument
        .get_all_aliases()
        .into_iter()
        .flatten()
        .find(is_typed)
    {
        return format!("--{alias}");
    }
    let has_letter = |letter: &char| {
        words.iter().any(|word| {
            !word.starts_with("--")
                && word
                    .strip_prefix('-')
                    .is_some_and(|word| word.contains(*letter))
        })
    };
    match argument.get_short().filter(has_letter) {
        Some(letter) => format!("-{letter}"),
        None => option.to_owned(),
    }
}

/// The option that is meant, without the name of its value.
fn option(error: &clap::Error) -> String {
    let whole = text(error, ContextKind::InvalidArg).unwrap_or_default();
    match whole.strip_prefix('-') {
        Some(_) => whole.split([' ', '=']).next().unwrap_or(whole).to_owned(),
        None => whole.to_owned(),
    }
}

/// What clap says in the line that matters.
fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    }
}

fn list(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

/// The name that was meant, if it is one slip of the keyboard away, or two in a long one. What is further away may be
/// anything, and a wrong guess about an option can do harm.
pub(super) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let letters = typed.chars().count();
    let most = if letters < 6 { 1 } else { 2 };
    known
        .map(|name| (strsim::osa_distance(typed, name), name))
        .filter(|(slips, _)| *slips <= most)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slip_is_a_guess() {
        let known = ["bad", "force", "status", "ping"];
        let guess = |typed: &str| nearest(typed, known.into_iter());
        assert_eq!(guess("bda"), Some("bad"));
        assert_eq!(guess("statsu"), Some("status"));
        assert_eq!(guess("pign"), Some("ping"));
        for other in ["for", "of", "uptime", "stop"] {
            assert_eq!(guess(other), None, "{other}");
        }
    }
}
