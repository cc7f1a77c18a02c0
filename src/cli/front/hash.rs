//! The native front-end, `hash`: targets and options in front, a verb or `-- COMMAND` behind.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::cli::console::Console;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::flags::{Care, Reach, Show, Targets};
use crate::cli::order::Order;
use crate::cli::rollout::Rollout;
use crate::cli::verb;
use crate::config::Environment;
use crate::haproxy::command::Command;

/// The command line of `hash`.
#[derive(Debug, Parser)]
#[command(
    name = "hash",
    version,
    about = "Reach a fleet over SSH in parallel, show equal answers once, and change HAProxy's servers with proof",
    override_usage = "hash [TARGETS] [OPTIONS] VERB [ARGS]\n       hash [TARGETS] [OPTIONS] -- COMMAND [ARG...]",
    after_help = EXAMPLES,
    disable_help_flag = true,
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs",
    max_term_width = 110
)]
pub struct Cli {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    care: Care,
    #[command(flatten)]
    order: Order,
    #[command(flatten)]
    rollout: Rollout,
    /// Print this help
    #[arg(short, long, global = true, action = clap::ArgAction::HelpShort)]
    help: Option<bool>,
    #[command(subcommand)]
    verb: Option<Verb>,
    /// A command for the nodes: one word is text for the remote shell, several are quoted one by one
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

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

/// The verbs.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the states of HAProxy's servers; exit code 2 when one is not RUNNING/READY
    Status(verb::status::StatusArgs),
    /// Put servers into service, and wait until their checks pass
    Enable(verb::change::EnableArgs),
    /// Take servers out of service, and prove it
    Disable(verb::change::DisableArgs),
    /// Let servers have no new clients
    Drain(verb::change::DrainArgs),
    /// Give servers another weight
    Weight(verb::change::WeightArgs),
    /// Show HAProxy's process
    Info(verb::question::QuestionArgs),
    /// Show HAProxy's counters as CSV
    Stat(verb::question::QuestionArgs),
    /// Show HAProxy's sessions
    Sess(verb::question::QuestionArgs),
    /// Send one line to the Runtime API
    Raw(verb::question::RawArgs),
    /// Run a command on the nodes (short: hash … -- COMMAND)
    Run(verb::run::RunArgs),
    /// Copy local files and folders to the nodes
    Copy(verb::copy::CopyArgs),
    /// Fetch files and folders of the nodes
    Fetch(verb::fetch::FetchArgs),
    /// Open a prompt for commands on the nodes, whose connections stay open
    Shell(verb::shell::ShellArgs),
    /// See which nodes can be reached and logged in to
    Ping(verb::ping::PingArgs),
    /// Keep the embedded lab up, for other programs
    Lab(verb::lab::LabArgs),
    /// Show the configuration in force
    Config(verb::config::ConfigArgs),
    /// List the runs that are remembered, for --failed-of last; one per line, the last one last
    Journal(verb::journal::JournalArgs),
    /// Print the function that makes `hash` reach the program in a shell
    ShellInit(verb::shell_init::ShellInitArgs),
    /// Make, show or remove the links nodeset, milkcheck and so on
    Links(verb::links::LinksArgs),
    /// Print the completions of a shell
    Completions(verb::completions::CompletionsArgs),
    /// Serve as a gateway of another hash, which starts this by itself
    #[command(hide = true)]
    Gateway(verb::gateway::GatewayArgs),
}

impl Verb {
    fn run(self, context: &mut Context<'_>) -> Result<u8, CliError> {
        match self {
            Self::Status(args) => verb::status::run(&args, context),
            Self::Enable(args) => verb::change::enable(&args, context),
            Self::Disable(args) => verb::change::disable(&args, context),
            Self::Drain(args) => verb::change::drain(&args, context),
            Self::Weight(args) => verb::change::weight(&args, context),
            Self::Info(_) => verb::question::run(Command::ShowInfo, context),
            Self::Stat(_) => verb::question::run(Command::ShowStat, context),
            Self::Sess(_) => verb::question::run(Command::ShowSessions, context),
            Self::Raw(args) => verb::question::raw(&args, context),
            Self::Run(args) => verb::run::run(args, context),
            Self::Copy(args) => verb::copy::run(&args, context),
            Self::Fetch(args) => verb::fetch::run(&args, context),
            Self::Shell(args) => verb::shell::run(&args, context),
            Self::Ping(args) => verb::ping::run(&args, context),
            Self::Lab(args) => verb::lab::run(&args, context),
            Self::Config(args) => verb::config::run(&args, context),
            Self::Journal(args) => verb::journal::run(&args, context),
            Self::ShellInit(args) => verb::shell_init::run(&args, context),
            Self::Links(args) => verb::links::run(&args, context),
            Self::Completions(args) => verb::completions::run(&args, context),
            Self::Gateway(args) => verb::gateway::run(&args, context),
        }
    }
}

/// The clap command, for manuals and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Whether a word is the name of a verb.
#[must_use]
pub fn is_verb(word: &str) -> bool {
    Cli::command().find_subcommand(word).is_some()
}

/// Runs `hash` with the words behind its name.
pub fn run(called: &str, words: &[OsString], console: &mut Console) -> u8 {
    let argv = std::iter::once(OsString::from(called)).chain(words.iter().cloned());
    let parsed = Cli::command()
        .try_get_matches_from(argv)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return explain(called, &error, words, console),
    };
    let Cli {
        targets,
        reach,
        show,
        care,
        order,
        rollout,
        verb,
        command,
        help: _,
    } = cli;
    let mut context = Context::new(
        called,
        Environment::of_process(),
        console,
        (targets, reach, show, care),
    );
    let result = match verb {
        Some(Verb::Run(args)) => verb::run::run(args.over(order, rollout), &mut context),
        None if !command.is_empty() || order.is_enough() => {
            let args = verb::run::RunArgs {
                order,
                rollout,
                command,
            };
            verb::run::run(args, &mut context)
        }
        None => Err(context.no_verb()),
        Some(_) if !command.is_empty() => Err(CliError::usage(
            "a verb and a command after `--` do not go together",
        )),
        Some(verb) => order
            .refuse()
            .and_then(|()| rollout.refuse())
            .and_then(|()| verb.run(&mut context)),
    };
    let code = result.unwrap_or_else(|error| {
        console.complain(format_args!("{called}: {error}"));
        error.code()
    });
    match console.close() {
        Err(error) => console.lost(called, &error),
        Ok(()) => code,
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
    let command = Cli::command();
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
