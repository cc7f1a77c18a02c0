//! The verbs of `hash`: one file and one row of `VERBS` each. Command line, manual, completions and the function of
//! `shell-init` follow from the table.

pub mod change;
pub mod completions;
pub mod config;
mod content;
pub mod copy;
mod drop_in;
pub mod fetch;
pub mod gateway;
pub mod journal;
pub mod lab;
pub mod links;
pub mod log;
pub mod patterns;
pub mod ping;
pub mod question;
pub mod run;
pub mod service;
pub mod shell;
pub mod shell_init;
pub mod status;
pub mod undo;

use std::ffi::OsString;

use clap::{Arg, ArgMatches, Args, value_parser};

use super::error::CliError;
use super::takes::{self, Class};
use super::task::Request;

/// The arguments of a verb.
pub(crate) trait VerbArgs: Args {
    /// What they ask for.
    ///
    /// # Errors
    /// Words that mean nothing.
    fn request(self) -> Result<Request, CliError>;
}

/// A verb.
#[derive(Debug)]
pub(crate) struct Verb {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, in a line.
    about: &'static str,
    /// Which of the options in front of a verb it honours; the others are refused.
    pub(crate) takes: &'static [Class],
    /// Whether `--help` leaves it out.
    hidden: bool,
    /// Adds its arguments to its part of the command line.
    arguments: fn(clap::Command) -> clap::Command,
    /// Reads its arguments.
    read: Read,
}

/// How the words behind a verb are read.
#[derive(Debug)]
enum Read {
    /// By its part of the command line.
    Arguments(fn(&ArgMatches) -> Result<Result<Request, CliError>, clap::Error>),
    /// By what the verb hands them to, as they stand.
    Words(fn(Vec<OsString>) -> Request),
}

/// A verb whose words clap reads.
pub(crate) const fn row<A: VerbArgs>(
    name: &'static str,
    about: &'static str,
    takes: &'static [Class],
) -> Verb {
    Verb {
        name,
        about,
        takes,
        hidden: false,
        arguments: A::augment_args,
        read: Read::Arguments(|matches| Ok(A::from_arg_matches(matches)?.request())),
    }
}

/// A verb whose words are another command line.
const fn other(
    name: &'static str,
    about: &'static str,
    takes: &'static [Class],
    read: fn(Vec<OsString>) -> Request,
) -> Verb {
    Verb {
        name,
        about,
        takes,
        hidden: false,
        arguments: |command| {
            command.arg(
                Arg::new("words")
                    .value_name("WORDS")
                    .help("Its own options and words")
                    .num_args(0..)
                    .trailing_var_arg(true)
                    .allow_hyphen_values(true)
                    .value_parser(value_parser!(OsString)),
            )
        },
        read: Read::Words(read),
    }
}

impl Verb {
    /// Its part of the command line.
    pub(crate) fn command(&self) -> clap::Command {
        let command = clap::Command::new(self.name)
            .hide(self.hidden)
            .disable_help_flag(true);
        // Behind the arguments, whose own comment would stand in its place.
        (self.arguments)(command).about(self.about)
    }

    /// What its words ask for, read by clap or as they stand.
    ///
    /// # Errors
    /// Of the outer result, words that cannot be read; of the inner, words that mean nothing.
    pub(crate) fn request(
        &self,
        matches: Option<&ArgMatches>,
        words: &[OsString],
    ) -> Result<Result<Request, CliError>, clap::Error> {
        match self.read {
            Read::Arguments(read) => read(matches.unwrap_or(&ArgMatches::default())),
            Read::Words(read) => Ok(Ok(read(words.to_vec()))),
        }
    }

    /// Whether its words are another command line, of which ours knows nothing.
    pub(crate) fn is_other(&self) -> bool {
        matches!(self.read, Read::Words(_))
    }
}

/// The verb of that name.
pub(crate) fn by_name(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name)
}

/// All verbs, in the order of `--help`.
pub(crate) static VERBS: &[Verb] = &[
    row::<status::StatusArgs>(
        "status",
        "Show the states of HAProxy's servers; exit code 2 when one is not in service or not usable",
        takes::QUESTION,
    ),
    row::<change::EnableArgs>(
        "enable",
        "Put servers into service, and wait until their checks pass",
        takes::CHANGE,
    ),
    row::<change::DisableArgs>(
        "disable",
        "Take servers out of service, and prove it",
        takes::CHANGE,
    ),
    row::<change::DrainArgs>("drain", "Let servers have no new clients", takes::CHANGE),
    row::<change::WeightArgs>("weight", "Give servers another weight", takes::CHANGE),
    row::<undo::UndoArgs>(
        "undo",
        "Take a change back where it still is what the change left; by default your last one",
        takes::CHANGE,
    ),
    row::<log::LogArgs>(
        "log",
        "Show the changes that were written down: who, when, what, why, and what came of it; with --user only that user's",
        takes::RECORDS,
    ),
    row::<patterns::MapArgs>(
        "map",
        "Show HAProxy's maps, and change them everywhere at once",
        takes::CONTENT,
    ),
    row::<patterns::AclArgs>(
        "acl",
        "Show HAProxy's ACLs, and change them everywhere at once",
        takes::CONTENT,
    ),
    row::<question::InfoArgs>("info", "Show HAProxy's process", takes::QUESTION),
    row::<question::StatArgs>("stat", "Show HAProxy's counters as CSV", takes::QUESTION),
    row::<question::SessArgs>("sess", "Show HAProxy's sessions", takes::QUESTION),
    row::<question::RawArgs>("raw", "Send one line to the Runtime API", takes::QUESTION),
    row::<run::RunArgs>(
        "run",
        "Run a command on the nodes (short: hash … -- COMMAND)",
        takes::COMMAND,
    ),
    row::<copy::CopyArgs>(
        "copy",
        "Copy local files and folders to the nodes",
        takes::WORK,
    ),
    row::<fetch::FetchArgs>("fetch", "Fetch files and folders of the nodes", takes::WORK),
    row::<shell::ShellArgs>(
        "shell",
        "Open a prompt for commands on the nodes, whose connections stay open",
        takes::PROMPT,
    ),
    row::<ping::PingArgs>(
        "ping",
        "See which nodes can be reached and logged in to",
        takes::WORK,
    ),
    other(
        "service",
        "Start, stop and check services in the order of their dependencies, as MilkCheck does",
        takes::SERVICE,
        service::request,
    ),
    row::<lab::LabArgs>(
        "lab",
        "Keep the embedded lab up, for other programs",
        takes::LAB,
    ),
    row::<config::ConfigArgs>("config", "Show the configuration in force", takes::NOTHING),
    row::<journal::JournalArgs>(
        "journal",
        "List the runs that are remembered, for --failed-of last; one per line, the last one last",
        takes::NOTHING,
    ),
    row::<shell_init::ShellInitArgs>(
        "shell-init",
        "Print the function that makes `hash` reach the program in a shell",
        takes::NOTHING,
    ),
    row::<links::LinksArgs>(
        "links",
        "Make, show or remove the links nodeset, milkcheck and so on",
        takes::NOTHING,
    ),
    row::<completions::CompletionsArgs>(
        "completions",
        "Print the completions of a shell",
        takes::NOTHING,
    ),
    other(
        "nodeset",
        "ClusterShell's nodeset",
        takes::NOTHING,
        drop_in::nodeset,
    ),
    other(
        "cluset",
        "The same by its other name",
        takes::NOTHING,
        drop_in::cluset,
    ),
    other(
        "clush",
        "ClusterShell's clush",
        takes::NOTHING,
        drop_in::clush,
    ),
    other(
        "clubak",
        "ClusterShell's clubak",
        takes::NOTHING,
        drop_in::clubak,
    ),
    other("milkcheck", "MilkCheck", takes::NOTHING, drop_in::milkcheck),
    Verb {
        hidden: true,
        ..row::<gateway::GatewayArgs>(
            "gateway",
            "Serve as a gateway of another hash, which starts this by itself",
            takes::NOTHING,
        )
    },
];
