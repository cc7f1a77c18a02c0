//! The native front-end, `hash`: targets and options in front, a verb or `-- COMMAND` behind.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};

use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::request::Options;
use crate::cli::resolve::Asked;
use crate::cli::site::Site;
use crate::cli::task::Request;
use crate::cli::verb::run::RunArgs;
use crate::cli::verb::{self, VERBS, Verb, VerbArgs};
use crate::cli::{run, takes};
use crate::config::Environment;

const EXAMPLES: &str = "\
Examples:
  hash --lab -w 'lb[1-2]' status              try it, on load balancers inside this process
  hash -w 'lb[1-2]' status --bad              servers that are not RUNNING/READY; exit 2 if there are any
  hash -w 'lb[1-2]' disable web1              take server web1 out everywhere, and prove it
  hash -w 'lb[1-2]' drain app/web1 --wait 5m  no new clients, until the last session has ended
  hash -w 'lb[1-2]' enable web1               put it back, and wait until its checks pass
  hash -w '@web' -x web7 -- uptime            a command on a group of nodes
  hash -w '@web' shell                        a prompt for many commands, over connections that stay open
  hash -w 'n[1-500]' -f 32 -u 10 -L -- df -h  32 at a time, 10 s each, line by line
  hash --failed-of last -- uptime             where the last command was not done
  hash -g web --script fix.sh --become -- -v  a script of ours, by sudo, with an argument
  hash -g web --diff --normalize -- cat /etc/app.conf
                                              what most have, and how the others differ

In bash, zsh, ksh and sh, `hash` is a builtin: call the program hapsh, or run  eval \"$(hapsh shell-init bash)\"  once.";

/// The command line of `hash`: the options that may stand in front, and the table of verbs.
#[must_use]
pub fn command() -> clap::Command {
    let command = clap::Command::new("hash")
        .version(env!("CARGO_PKG_VERSION"))
        .override_usage(
            "hash [TARGETS] [OPTIONS] VERB [ARGS]\n       hash [TARGETS] [OPTIONS] -- COMMAND [ARG...]",
        )
        .after_help(EXAMPLES)
        .disable_help_flag(true)
        .subcommand_value_name("VERB")
        .subcommand_help_heading("Verbs")
        .max_term_width(110);
    Options::augment_args(command)
        .about("Reach a fleet over SSH in parallel, show equal answers once, and change HAProxy's servers with proof")
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .help("Print this help")
                .global(true)
                .action(ArgAction::HelpShort),
        )
        .arg(
            Arg::new("command")
                .help("A command for the nodes: one word is text for the remote shell, several are quoted one by one")
                .value_name("COMMAND")
                .num_args(0..)
                .last(true),
        )
        .subcommands(VERBS.iter().map(Verb::command))
}

/// Runs `hash` with the words behind its name.
pub fn run(called: &str, words: &[OsString], console: &mut Console) -> u8 {
    let argv = std::iter::once(OsString::from(called)).chain(words.iter().cloned());
    let parsed = command()
        .try_get_matches_from(argv)
        .and_then(|matches| Ok((request(&matches)?, Options::from_arg_matches(&matches)?)));
    let (request, options) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return explain(called, &error, words, console),
    };
    let site = Site::new(Environment::of_process());
    let asked = Asked {
        called,
        options: &options,
        site: &site,
        grammar: command,
    };
    let done = request.and_then(|request| match request {
        Some(Request::Nodes(task)) => run::run(task, asked, console),
        Some(Request::Here(here)) => here.perform(asked, console),
        None => Err(no_verb(&options)),
    });
    let code = done.unwrap_or_else(|error| {
        console.complain(format_args!("{called}: {error}"));
        error.code()
    });
    match console.close() {
        Err(error) => console.lost(called, &error),
        Ok(()) => code,
    }
}

/// What the words ask for; nothing without a verb and a command.
fn request(matches: &ArgMatches) -> Result<Result<Option<Request>, CliError>, clap::Error> {
    let words: Vec<String> = matches
        .get_many("command")
        .map(|words| words.cloned().collect())
        .unwrap_or_default();
    let named = matches
        .subcommand()
        .and_then(|(name, matches)| Some((verb::by_name(name)?, matches)));
    let Some((verb, behind)) = named else {
        let is_enough = matches.contains_id("script");
        return Ok(if words.is_empty() && !is_enough {
            Ok(None)
        } else {
            let command = RunArgs {
                command: words,
                ..RunArgs::default()
            };
            command.request().map(Some)
        });
    };
    if !words.is_empty() {
        let text = "a verb and a command after `--` do not go together";
        return Ok(Err(CliError::usage(text)));
    }
    if let Err(error) = takes::refuse(verb, matches, &command()) {
        return Ok(Err(error));
    }
    Ok(verb.request(behind)?.map(Some))
}

/// The error for a command line without a verb.
fn no_verb(options: &Options) -> CliError {
    match options.targets.nodes.as_slice() {
        // With the shell's nullglob an unquoted lb[1-2] vanishes, and -w takes the verb instead.
        [only] if verb::by_name(only).is_some() => CliError::usage(format!(
            "no verb: -w took `{only}` as the node set; was the pattern removed by the shell (nullglob)?"
        ))
        .hint("quote it: -w 'lb[1-2]'"),
        _ => CliError::usage("no verb and no command").hint("see hapsh --help"),
    }
}

/// Says what is wrong with a command line, in one line; prints help and version as asked.
fn explain(called: &str, error: &clap::Error, words: &[OsString], console: &mut Console) -> u8 {
    use std::io::Write;
    if error.use_stderr() {
        console.complain(format_args!("{called}: {}", one_line(error, words)));
        return 64;
    }
    let text = error.render();
    let shown = if console.out_is_terminal {
        write!(console.out, "{}", text.ansi())
    } else {
        write!(console.out, "{text}")
    };
    match shown.and_then(|()| console.close()) {
        Ok(()) => 0,
        Err(error) => console.lost(called, &error),
    }
}

/// clap's error as one line; an unknown verb also shows how to run it as a command.
fn one_line(error: &clap::Error, words: &[OsString]) -> String {
    let stray = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg]
        .into_iter()
        .find_map(|kind| match error.get(kind) {
            Some(ContextValue::String(word)) if !word.starts_with('-') => Some(word),
            _ => None,
        });
    if let (ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument, Some(word)) =
        (error.kind(), stray)
    {
        return unknown_verb(word, words);
    }
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let details = lines
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(|line| line.strip_prefix("tip: ").unwrap_or(line))
        .collect::<Vec<_>>()
        .join("; ");
    let separator = if details.is_empty() { "" } else { "; " };
    format!("{first}{separator}{details} (see {NAME} --help)")
}

const NAME: &str = "hapsh";

fn unknown_verb(word: &str, words: &[OsString]) -> String {
    let command = command();
    let nearest = command
        .get_subcommands()
        .map(|verb| (strsim::jaro_winkler(word, verb.get_name()), verb.get_name()))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| format!("; did you mean `{name}`?"))
        .unwrap_or_default();
    let before: Vec<String> = words
        .iter()
        .take_while(|given| given.to_str() != Some(word))
        .map(|given| crate::cli::quote::quote(&given.to_string_lossy()))
        .collect();
    let before = if before.is_empty() {
        "-w NODES".to_owned()
    } else {
        before.join(" ")
    };
    format!("unknown verb `{word}`{nearest}; to run it as a command: hash {before} -- {word}")
}
