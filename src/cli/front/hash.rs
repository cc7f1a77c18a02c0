//! The native front-end, `hash`: targets and options in front, a verb or `-- COMMAND` behind.

use std::ffi::OsString;
use std::io::Write as _;

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};

use super::mistakes;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::request::Options;
use crate::cli::resolve::Invocation;
use crate::cli::resolve::globs::rejoin;
use crate::cli::site::Site;
use crate::cli::task::Request;
use crate::cli::verb::run::RunArgs;
use crate::cli::verb::{self, VERBS, Verb, VerbArgs};
use crate::cli::{run, takes};
use crate::config::Environment;

const EXAMPLES: &str = "\
Examples:
  hash --lab -w 'lb[1-2]' status              try it, on load balancers inside this process
  hash -w 'lb[1-2]' status --bad              servers that are not in service; exit 2 if there are any
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
    grammar("hash", VERBS)
}

fn grammar(called: &str, verbs: &[Verb]) -> clap::Command {
    let command = clap::Command::new("hash")
        .version(env!("CARGO_PKG_VERSION"))
        .override_usage(format!(
            "{called} [TARGETS] [OPTIONS] VERB [ARGS]\n       {called} [TARGETS] [OPTIONS] -- COMMAND [ARG...]"
        ))
        .after_help(examples(called))
        .disable_help_flag(true)
        .subcommand_value_name("VERB")
        .subcommand_help_heading("Verbs")
        .max_term_width(110);
    Options::augment_args(command)
        .next_help_heading(None)
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
        .subcommands(verbs.iter().map(Verb::command))
}

/// The examples, with the name the program was called by.
fn examples(called: &str) -> String {
    let more = " ".repeat(called.len().saturating_sub("hash".len()));
    let lines = EXAMPLES
        .lines()
        .map(|line| match line.strip_prefix("  hash ") {
            Some(rest) => format!("  {called} {rest}\n"),
            None if line.starts_with("   ") => format!("{more}{line}\n"),
            None => format!("{line}\n"),
        });
    lines.collect()
}

/// Runs `hash` with the words behind its name.
pub fn run(called: &str, words: &[OsString], console: &mut Console) -> u8 {
    let (request, options) = match parse(called, words, VERBS) {
        Ok(parsed) => parsed,
        Err(Mistake::Shown(answer)) => return show(called, &answer, console),
        Err(Mistake::Made(mistake)) => {
            console.complain(format_args!("{called}: {mistake}"));
            return mistake.code();
        }
    };
    let site = Site::new(Environment::of_process());
    let asked = Invocation {
        called,
        options: &options,
        site: &site,
        grammar: command,
    };
    let done = request.and_then(|request| match request {
        Some(Request::Nodes(task)) => run::run(task, asked, console),
        Some(Request::Here(here)) => here.perform(asked, console),
        None => Err(no_verb(called, &options)),
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

/// Why a command line asks for nothing that could be done.
enum Mistake {
    /// It asks for help or the version, which clap has as an error.
    Shown(clap::Error),
    /// It is wrong.
    Made(CliError),
}

/// What the words ask for, and the options in front; nothing is asked for without a verb and a command.
fn parse(
    called: &str,
    words: &[OsString],
    verbs: &[Verb],
) -> Result<(Result<Option<Request>, CliError>, Options), Mistake> {
    // The help of a drop-in is its own.
    if let [help, name] = words
        && help == "help"
        && verbs
            .iter()
            .any(|verb| verb.is_other() && name == verb.name)
    {
        return parse(called, &[name.clone(), "--help".into()], verbs);
    }
    let grammar = grammar(called, verbs);
    let at = first_word(words, &grammar);
    let name = at.and_then(|at| words[at].to_str());
    let verb = name.and_then(|name| verbs.iter().find(|verb| verb.name == name));
    let is_known = verb.is_some() || name == Some("help");
    // Words of an expanded pattern are taken together again, and the guard has its say about them.
    if let (Some(at), false) = (at, is_known)
        && let Some(words) = rejoin(words, at)
    {
        return parse(called, &words, verbs);
    }
    // What stands behind a drop-in is its own, and behind an unknown verb nothing has a meaning.
    let (ours, behind) = match (at, verb) {
        (Some(at), Some(verb)) if verb.is_other() => (&words[..at], &words[at + 1..]),
        (Some(at), _) if !is_known => (&words[..at], &words[..0]),
        _ => (words, &words[..0]),
    };
    let mistake = |error: clap::Error| match error.use_stderr() {
        true => Mistake::Made(mistakes::of(
            &error,
            (called, ours),
            (verb.map(|verb| verb.name), &grammar),
        )),
        false => Mistake::Shown(error),
    };
    let argv = std::iter::once(OsString::from(called)).chain(ours.iter().cloned());
    let matches = grammar
        .clone()
        .try_get_matches_from(argv)
        .map_err(mistake)?;
    if let (Some(at), false) = (at, is_known) {
        return Err(Mistake::Made(mistakes::unknown_verb(called, words, at)));
    }
    let options = Options::from_arg_matches(&matches).map_err(mistake)?;
    let Some(verb) = verb else {
        return Ok((command_of(&matches), options));
    };
    if let Err(error) = takes::refuse((verb.name, verb.takes), &matches, &grammar) {
        return Err(Mistake::Made(error));
    }
    if matches.contains_id("command") {
        let text = "a verb and a command after `--` do not go together";
        return Err(Mistake::Made(CliError::usage(text)));
    }
    let request = verb
        .request(matches.subcommand_matches(verb.name), behind)
        .map_err(mistake)?;
    Ok((request.map(Some), options))
}

/// What the words behind `--` ask for.
fn command_of(matches: &ArgMatches) -> Result<Option<Request>, CliError> {
    let words = matches.get_many("command");
    let command: Vec<String> = words
        .map(|words| words.cloned().collect())
        .unwrap_or_default();
    if command.is_empty() && !matches.contains_id("script") {
        return Ok(None);
    }
    let args = RunArgs {
        command,
        ..RunArgs::default()
    };
    args.request().map(Some)
}

/// The place of the first word that is no option and no value of one; none in front of `--`.
fn first_word(words: &[OsString], grammar: &clap::Command) -> Option<usize> {
    let takes_value =
        |argument: &Arg| argument.get_action().takes_values() && !argument.is_require_equals_set();
    let long = |name: &str| {
        let names = |argument: &&Arg| {
            argument.get_long() == Some(name)
                || argument
                    .get_all_aliases()
                    .is_some_and(|known| known.contains(&name))
        };
        grammar.get_arguments().find(names)
    };
    let short = |letter| {
        grammar
            .get_arguments()
            .find(|known| known.get_short() == Some(letter))
    };
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let word = word.to_string_lossy();
        let skips = if word == "--" {
            return None;
        } else if let Some(name) = word.strip_prefix("--") {
            !name.contains('=') && long(name).is_some_and(takes_value)
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            // The first letter with a value has all that is behind it, or the next word.
            let valued = letters
                .char_indices()
                .find(|(_, letter)| short(*letter).is_some_and(takes_value));
            valued.is_some_and(|(place, letter)| place + letter.len_utf8() == letters.len())
        } else {
            return Some(at);
        };
        at += if skips { 2 } else { 1 };
    }
    None
}

/// The error for a command line without a verb.
fn no_verb(called: &str, options: &Options) -> CliError {
    match options.targets.nodes.as_slice() {
        // With the shell's nullglob an unquoted lb[1-2] vanishes, and -w takes the verb instead.
        [only] if verb::by_name(only).is_some() => CliError::usage(format!(
            "no verb: -w took `{only}` as the node set; was the pattern removed by the shell (nullglob)?"
        ))
        .hint("quote it: -w 'lb[1-2]'"),
        _ => CliError::usage("no verb and no command").hint(format!("see {called} --help")),
    }
}

/// Shows the help or the version.
fn show(called: &str, answer: &clap::Error, console: &mut Console) -> u8 {
    let text = answer.render();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Statuses;
    use crate::cli::resolve::Job;
    use crate::cli::task::Task;
    use crate::cli::verb::row;
    use crate::transport::Command;

    /// A verb that is there for this test alone: what a new one's file would hold.
    #[derive(Debug, Args)]
    struct EchoArgs {
        /// What to say
        word: String,
    }

    impl VerbArgs for EchoArgs {
        fn request(self) -> Result<Request, CliError> {
            Ok(Request::Nodes(Box::new(self)))
        }
    }

    impl Task for EchoArgs {
        fn what(&self) -> String {
            format!("echo {}", self.word)
        }

        fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError> {
            let command = Command {
                line: self.what(),
                ..Command::default()
            };
            job.run(&crate::work::run::Run { command }, Statuses::Command)
        }
    }

    fn with_echo(words: &[&str]) -> Result<(Request, Options), String> {
        let verbs = [row::<EchoArgs>(
            "echo",
            "Say a word everywhere",
            takes::WORK,
        )];
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        match parse("hapsh", &words, &verbs) {
            Ok((Ok(Some(request)), options)) => Ok((request, options)),
            Ok((Ok(None), _)) => Err("nothing is asked for".to_owned()),
            Ok((Err(error), _)) | Err(Mistake::Made(error)) => Err(error.to_string()),
            Err(Mistake::Shown(help)) => Err(help.to_string()),
        }
    }

    fn parsed(words: &[&str]) -> Result<(Result<Option<Request>, CliError>, Options), Mistake> {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        parse("hapsh", &words, VERBS)
    }

    #[test]
    fn help_says_the_name_that_was_typed_and_leaves_drop_ins_to_theirs() {
        let Err(Mistake::Shown(help)) = parsed(&["--help"]) else {
            panic!("no help");
        };
        let help = help.to_string();
        assert!(help.contains("Usage: hapsh [TARGETS]"), "{help}");
        assert!(help.contains("  hapsh --lab -w"), "{help}");
        assert!(!help.contains("  hash -"), "{help}");
        for listed in ["service", "clush", "nodeset", "clubak", "milkcheck"] {
            assert!(help.contains(&format!("\n  {listed} ")), "{listed}: {help}");
            let own = parsed(&["help", listed]);
            assert!(
                matches!(own, Ok((Ok(Some(Request::Here(_))), _))),
                "{listed}"
            );
        }
        let Err(Mistake::Shown(help)) = parsed(&["help", "status"]) else {
            panic!("no help");
        };
        assert!(help.to_string().contains("Usage: hapsh status"), "{help}");
    }

    #[test]
    fn a_verb_is_one_file_and_one_row() {
        let exec = ["-R", "exec", "-w", "n[1-2]", "-q"];
        let (request, options) = with_echo(&[&exec[..], &["echo", "hello"]].concat()).unwrap();
        let Request::Nodes(task) = request else {
            panic!("not on nodes");
        };
        assert_eq!(task.what(), "echo hello");
        let site = Site::new(Environment::default());
        let asked = Invocation {
            called: "hapsh",
            options: &options,
            site: &site,
            grammar: command,
        };
        let mut console = Console::open().unwrap();
        assert_eq!(run::run(task, asked, &mut console).unwrap(), 0);
        let refused = with_echo(&["-w", "n1", "--socket", "/x", "echo", "hello"]).err();
        let reason = "--socket means nothing here: `echo` asks no HAProxy";
        assert_eq!(refused.as_deref(), Some(reason));
        let help = with_echo(&["echo", "--help"]).err().unwrap();
        assert!(help.contains("Say a word everywhere"), "{help}");
    }

    #[test]
    fn the_first_word_is_found_behind_options_and_their_values() {
        let find = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(Into::into).collect();
            first_word(&words, &command())
        };
        assert_eq!(find(&["-w", "a", "status"]), Some(2));
        assert_eq!(find(&["-wa", "-vL", "--json", "status"]), Some(3));
        assert_eq!(find(&["-vw", "status", "ping"]), Some(2));
        assert_eq!(find(&["--nodes=a", "--fanout", "3", "ping"]), Some(3));
        assert_eq!(
            find(&["--become", "ping"]),
            Some(1),
            "its value is behind = only"
        );
        assert_eq!(find(&["-w", "a", "--", "status"]), None);
        assert_eq!(find(&["--machinefile", "ping"]), None);
    }
}
