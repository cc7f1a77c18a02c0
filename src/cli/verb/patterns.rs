//! `map` and `acl`: what HAProxy holds in its maps and ACLs, shown, and replaced on all load balancers at once.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use clap::{Args, Subcommand, ValueHint};

use super::VerbArgs;
use super::content::{ContentFlags, Words, perform};
use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::cli::input;
use crate::cli::resolve::{Invocation, Job, sockets};
use crate::cli::task::{Effect, Request, Task};
use crate::haproxy::patterns::{Edit, Entries, Kind, Name};
use crate::report::Table;
use crate::work::haproxy::patterns::Show;
use crate::work::haproxy::transaction::Transaction;
use crate::work::haproxy::transaction::patterns::Patterns;

/// Arguments of `map`.
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    subcommand_value_name = "ACTION",
    subcommand_help_heading = "Actions"
)]
pub struct MapArgs {
    /// What to do
    #[command(subcommand)]
    action: MapAction,
}

/// What is done with a map.
#[derive(Debug, Subcommand)]
enum MapAction {
    /// Show which maps there are, what is in one, or the entries of one key
    #[command(disable_help_flag = true)]
    Show(ShowArgs),
    /// Give a key a value, or add it
    #[command(disable_help_flag = true)]
    Set {
        /// The map: the path as HAProxy's configuration has it
        name: String,
        /// The key
        #[arg(allow_hyphen_values = true)]
        key: String,
        /// Its value
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Options of every change
        #[command(flatten)]
        flags: ContentFlags,
    },
    /// Take a key away
    #[command(disable_help_flag = true)]
    Del(DelArgs),
    /// Let it hold what is in a file, and nothing else
    #[command(disable_help_flag = true)]
    Replace(ReplaceArgs),
}

/// Arguments of `acl`.
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    subcommand_value_name = "ACTION",
    subcommand_help_heading = "Actions"
)]
pub struct AclArgs {
    /// What to do
    #[command(subcommand)]
    action: AclAction,
}

/// What is done with an ACL.
#[derive(Debug, Subcommand)]
enum AclAction {
    /// Show which ACLs there are, what is in one, or whether it has a pattern
    #[command(disable_help_flag = true)]
    Show(ShowArgs),
    /// Add a pattern, unless it is there
    #[command(disable_help_flag = true)]
    Set {
        /// The ACL: the path as HAProxy's configuration has it
        name: String,
        /// The pattern
        #[arg(allow_hyphen_values = true)]
        key: String,
        /// Options of every change
        #[command(flatten)]
        flags: ContentFlags,
    },
    /// Take a pattern away
    #[command(disable_help_flag = true)]
    Del(DelArgs),
    /// Let it hold what is in a file, and nothing else
    #[command(disable_help_flag = true)]
    Replace(ReplaceArgs),
}

/// Arguments of `show`.
#[derive(Debug, Args)]
struct ShowArgs {
    /// The path as HAProxy's configuration has it, or # and a number [all there are]
    name: Option<String>,
    /// Only the entries of this key
    #[arg(allow_hyphen_values = true)]
    key: Option<String>,
}

/// Arguments of `del`.
#[derive(Debug, Args)]
struct DelArgs {
    /// The path as HAProxy's configuration has it
    name: String,
    /// The key or pattern
    #[arg(allow_hyphen_values = true)]
    key: String,
    /// Options of every change
    #[command(flatten)]
    flags: ContentFlags,
}

/// Arguments of `replace`.
#[derive(Debug, Args)]
struct ReplaceArgs {
    /// The path as HAProxy's configuration has it
    name: String,
    /// A local file with the new content; - is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Options of every change
    #[command(flatten)]
    flags: ContentFlags,
}

impl VerbArgs for MapArgs {
    fn request(self) -> Result<Request, CliError> {
        match self.action {
            MapAction::Show(args) => show(Kind::Map, args),
            MapAction::Set {
                name,
                key,
                value,
                flags,
            } => {
                let edit = Edit::set(Kind::Map, &key, Some(&value)).map_err(CliError::usage)?;
                change(Kind::Map, ("map set", &name), (edit, Bytes::new()), flags)
            }
            MapAction::Del(args) => del(Kind::Map, "map del", args),
            MapAction::Replace(args) => replace(Kind::Map, "map replace", args),
        }
    }
}

impl VerbArgs for AclArgs {
    fn request(self) -> Result<Request, CliError> {
        match self.action {
            AclAction::Show(args) => show(Kind::Acl, args),
            AclAction::Set { name, key, flags } => {
                let edit = Edit::set(Kind::Acl, &key, None).map_err(CliError::usage)?;
                change(Kind::Acl, ("acl set", &name), (edit, Bytes::new()), flags)
            }
            AclAction::Del(args) => del(Kind::Acl, "acl del", args),
            AclAction::Replace(args) => replace(Kind::Acl, "acl replace", args),
        }
    }
}

fn parse(name: &str) -> Result<Name, CliError> {
    Name::parse(name).map_err(|error| CliError::usage(error.to_string()))
}

fn show(kind: Kind, args: ShowArgs) -> Result<Request, CliError> {
    Ok(Request::Nodes(Box::new(Look {
        kind,
        name: args.name.as_deref().map(parse).transpose()?,
        key: args.key,
    })))
}

fn del(kind: Kind, verb: &'static str, args: DelArgs) -> Result<Request, CliError> {
    let edit = Edit::del(kind, &args.key).map_err(CliError::usage)?;
    change(kind, (verb, &args.name), (edit, Bytes::new()), args.flags)
}

fn replace(kind: Kind, verb: &'static str, args: ReplaceArgs) -> Result<Request, CliError> {
    let file = Bytes::from(input::read(&args.file)?);
    let entries = Entries::of_file(kind, &file)
        .map_err(|error| CliError::usage(format!("{}: {error}", args.file.display())))?;
    let edit = Edit::Replace(entries);
    change(kind, (verb, &args.name), (edit, file), args.flags)
}

fn change(
    kind: Kind,
    (verb, name): (&'static str, &str),
    (edit, file): (Edit, Bytes),
    flags: ContentFlags,
) -> Result<Request, CliError> {
    let name = parse(name)?;
    if !name.is_path() && !flags.runtime_only {
        let refused = format!("{name} is not the whole path of a file on the nodes");
        return Err(CliError::usage(refused).hint("--runtime-only leaves the file out"));
    }
    if let Edit::Replace(entries) = &edit {
        // What cannot be sent is told before anything is contacted.
        let sent = entries.commands(&name, u64::MAX);
        sent.map_err(|error| CliError::usage(error.to_string()))?;
    }
    Ok(Request::Nodes(Box::new(Change {
        verb,
        patterns: Patterns {
            kind,
            name,
            edit,
            file,
        },
        flags,
    })))
}

/// Shows what there is.
#[derive(Debug)]
struct Look {
    kind: Kind,
    name: Option<Name>,
    key: Option<String>,
}

impl Task for Look {
    fn what(&self) -> String {
        match &self.name {
            Some(name) => format!("show {} {name}", self.kind),
            None => format!("show {}", self.kind),
        }
    }

    fn check(&mut self, asked: Invocation<'_>) -> Result<(), CliError> {
        sockets::sockets(asked).map(drop)
    }

    fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError> {
        job.look.rows = Some(match &self.name {
            Some(_) => Table::ENTRIES,
            None => Table::MAPS,
        });
        let work = Show {
            names: Arc::clone(&job.plan.nodes),
            sockets: sockets::sockets(job.asked)?,
            kind: self.kind,
            name: self.name,
            key: self.key,
            asker: crate::work::haproxy::Asker::default(),
        };
        job.run(&work, Statuses::Command)
    }
}

/// Replaces what is in one.
#[derive(Debug)]
struct Change {
    verb: &'static str,
    patterns: Patterns,
    flags: ContentFlags,
}

impl Task for Change {
    fn what(&self) -> String {
        format!("{} {}", self.verb, self.patterns.name)
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn reads_ahead(&self) -> bool {
        true
    }

    fn check(&mut self, asked: Invocation<'_>) -> Result<(), CliError> {
        sockets::sockets(asked).map(drop)
    }

    fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError> {
        let transaction = Transaction::new(
            self.patterns,
            Arc::clone(&job.plan.nodes),
            sockets::sockets(job.asked)?,
            !self.flags.runtime_only,
        );
        let words = Words {
            verb: self.verb,
            force: "--force does it all the same",
        };
        perform(&transaction, &words, self.flags, job)
    }
}
