//! `info`, `stat`, `sess` and `raw`: HAProxy's own words, gathered.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use zeroize::Zeroizing;

use super::VerbArgs;
use crate::answer::{Answer, Said};
use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::cli::input;
use crate::cli::resolve::{Invocation, Job, sockets};
use crate::cli::task::{Effect, Request, Task};
use crate::haproxy::command::Command;
use crate::haproxy::payload::Payload;
use crate::haproxy::raw::{RawCommand, RawError};
use crate::report::Table;
use crate::work::haproxy::Asker;
use crate::work::haproxy::question::Question;

/// Arguments of `info`: none.
#[derive(Debug, Args)]
pub struct InfoArgs {}

/// Arguments of `stat`: none.
#[derive(Debug, Args)]
pub struct StatArgs {}

/// Arguments of `sess`: none.
#[derive(Debug, Args)]
pub struct SessArgs {}

/// Arguments of `raw`.
#[derive(Debug, Args)]
pub struct RawArgs {
    /// One line for the Runtime API, such as 'show servers conn'
    #[arg(value_name = "COMMAND")]
    pub command: String,
    /// Send a lower level first, so that nothing can be changed by mistake
    #[arg(long)]
    pub read_only: bool,
    /// Send the lines of FILE (- is standard input) behind the command, which HAProxy takes as its payload
    #[arg(long, value_name = "FILE", conflicts_with = "read_only")]
    pub payload: Option<PathBuf>,
}

/// Asks all nodes a question.
struct Ask {
    command: Command,
    /// What the answers are.
    answer: fn(Vec<Said>) -> Answer,
    /// Their rows for programs; what `raw` asks has none.
    rows: Option<Table>,
    /// What may change something, as it was typed.
    changes: Option<String>,
}

fn ask(command: Command, answer: fn(Vec<Said>) -> Answer, rows: Option<Table>) -> Request {
    Request::Nodes(Box::new(Ask {
        command,
        answer,
        rows,
        changes: None,
    }))
}

impl VerbArgs for InfoArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(ask(Command::ShowInfo, Answer::Info, Some(Table::INFO)))
    }
}

impl VerbArgs for StatArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(ask(Command::ShowStat, Answer::Stat, Some(Table::STAT)))
    }
}

impl VerbArgs for SessArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(ask(
            Command::ShowSessions,
            Answer::Sessions,
            Some(Table::SESSIONS),
        ))
    }
}

impl VerbArgs for RawArgs {
    fn request(self) -> Result<Request, CliError> {
        let wrong = |error: RawError| {
            let refused = CliError::usage(format!(
                "cannot send `{}`: {error}",
                self.command.escape_debug()
            ));
            if error == RawError::Payload {
                return refused.hint("--payload FILE sends one");
            }
            refused
        };
        if let Some(file) = &self.payload {
            let typed = RawCommand::before_payload(&self.command).map_err(wrong)?;
            let text = Zeroizing::new(input::read(file)?);
            let payload = Payload::new(typed.as_str(), &text).map_err(|error| {
                CliError::usage(format!("cannot send {}: {error}", file.display()))
            })?;
            return Ok(Request::Nodes(Box::new(Ask {
                command: Command::RawPayload(typed, payload),
                answer: Answer::Raw,
                changes: Some(self.command),
                rows: None,
            })));
        }
        let typed = RawCommand::parse(&self.command).map_err(wrong)?;
        if self.read_only {
            let lowered = RawCommand::parse(&format!("user;{}", self.command))
                .map_err(|error| CliError::usage(error.to_string()))?;
            return Ok(ask(Command::Raw(lowered), Answer::Raw, None));
        }
        let changes = typed.changes().then_some(self.command);
        Ok(Request::Nodes(Box::new(Ask {
            command: Command::Raw(typed),
            answer: Answer::Raw,
            rows: None,
            changes,
        })))
    }
}

impl Task for Ask {
    fn what(&self) -> String {
        self.command.to_string()
    }

    fn effect(&self) -> Effect {
        match self.changes {
            Some(_) => Effect::Changes,
            None => Effect::Looks,
        }
    }

    fn check(&mut self, asked: Invocation<'_>) -> Result<(), CliError> {
        sockets::sockets(asked)?;
        let care = &asked.options.care;
        match &self.changes {
            Some(typed) if !care.yes && care.dry_run.is_none() => Err(CliError::refused(format!(
                "`{typed}` may change something, and what `raw` sends is neither checked nor read back; nothing was sent"
            ))
            .hint("add --yes to send it, or use enable, disable, drain or weight")),
            _ => Ok(()),
        }
    }

    fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError> {
        let work = Question {
            names: Arc::clone(&job.plan.nodes),
            sockets: sockets::sockets(job.asked)?,
            answer: self.answer,
            command: self.command,
            asker: Asker::default(),
        };
        job.look.rows = self.rows;
        job.run(&work, Statuses::Command)
    }
}
