//! What `run` runs: the words behind `--`, as text for the shell, a template, or a script's arguments.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::StyledStr;
use clap::{Args, ValueHint};

use super::error::CliError;
use super::input::read;
use super::quote::{command_line, quote};
use crate::event::NodeId;
use crate::placeholder::Template;
use crate::plan::NodeName;
use crate::transport::Command;
use crate::transport::input::Input;
use crate::work::Work;
use crate::work::run::Run;
use crate::work::script::Script;
use crate::work::template::{self, Tailored};

/// The options about what is run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Command")]
pub(crate) struct Order {
    #[arg(short = 'T', long, help = placeholders())]
    template: bool,
    /// Run this local file on the nodes; the words after -- are its arguments. It goes there over standard input into
    /// a private temporary file, is run as its first line says, and removed. With --stdin it reads what we read
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    script: Option<PathBuf>,
    /// Give the command a terminal on each node: what is stopped ends there for sure, and its standard error is part of its
    /// output
    #[arg(long)]
    pty: bool,
}

/// What `-T` does. clap takes `{n}` for a new line unless something stands between its letters.
fn placeholders() -> StyledStr {
    use std::fmt::Write as _;
    let name = anstyle::Style::new().bold();
    let mut help = StyledStr::new();
    // Writing to a string does not fail.
    let _ = write!(
        help,
        "{{{name}node{name:#}}}, {{{name}rank{name:#}}} (from 0) and {{{name}n{name:#}}} (how many there are) in the \
         command differ from node to node; {{{{ and }}}} are braces"
    );
    help
}

impl Order {
    /// The options given in front of the verb with those behind it.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            template: self.template || other.template,
            script: self.script.or(other.script),
            pty: self.pty || other.pty,
        }
    }

    /// What is run, with its script read.
    ///
    /// # Errors
    /// No command, a script that cannot be read, a template that makes no sense.
    pub(super) fn line(&self, words: &[String], stdin: bool) -> Result<CommandLine, CliError> {
        let script = match &self.script {
            Some(path) if path.as_os_str() == "-" && stdin => {
                return Err(CliError::usage(
                    "--script - and --stdin would both read standard input",
                ));
            }
            Some(path) => Some((path.display().to_string(), read(path)?)),
            None => None,
        };
        let text = match &script {
            Some(_) => {
                let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
                words.join(" ")
            }
            None => command_line(words),
        };
        if self.pty && (stdin || script.is_some()) {
            return Err(CliError::usage(
                "--pty goes with neither --stdin nor --script: what is read from a terminal has no end, and is shown",
            ));
        }
        if text.trim().is_empty() && script.is_none() {
            return Err(CliError::usage("the command after `--` is empty"));
        }
        let template = if self.template {
            Some(template::SYNTAX.parse(&text).map_err(wrong)?)
        } else {
            None
        };
        Ok(CommandLine {
            text,
            template,
            script,
            pty: self.pty,
        })
    }
}

fn wrong(error: impl std::error::Error) -> CliError {
    CliError::usage(error.to_string())
}

/// What is run on each node.
#[derive(Debug)]
pub(super) struct CommandLine {
    text: String,
    template: Option<Template<template::Value>>,
    script: Option<(String, Vec<u8>)>,
    pty: bool,
}

impl CommandLine {
    /// Whether it is given a terminal.
    pub(super) fn has_terminal(&self) -> bool {
        self.pty
    }

    /// Whether it is a local file, which goes to the nodes over standard input.
    pub(super) fn is_script(&self) -> bool {
        self.script.is_some()
    }

    /// What one of the nodes runs, in words.
    ///
    /// # Errors
    /// A name that may not stand in a command.
    pub(super) fn on(&self, names: &[NodeName], node: NodeId) -> Result<String, CliError> {
        let Some(template) = &self.template else {
            return Ok(self.to_string());
        };
        template::check(template, names).map_err(wrong)?;
        Ok(self.told(&template::fill(template, names, node)))
    }

    fn told(&self, text: &str) -> String {
        let script = match &self.script {
            Some((name, _)) if text.is_empty() => name.clone(),
            Some((name, _)) => format!("{name} "),
            None => String::new(),
        };
        script + text
    }

    /// The work for these nodes.
    ///
    /// # Errors
    /// A name that may not stand in a command.
    pub(super) fn work(
        self,
        names: &Arc<[NodeName]>,
        stdin: Option<Input>,
    ) -> Result<Box<dyn Work>, CliError> {
        let script = self
            .script
            .map(|(_, bytes)| Script::new(bytes, stdin.clone()));
        let pty = self.pty;
        let make = move |line: String| match &script {
            Some(script) => script.command(&line),
            None => Command {
                line,
                stdin: stdin.clone(),
                pty,
            },
        };
        Ok(match self.template {
            Some(template) => {
                let tailored = Tailored::new(Arc::clone(names), template, make);
                Box::new(tailored.map_err(wrong)?)
            }
            None => Box::new(Run {
                command: make(self.text),
            }),
        })
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(&self.text))
    }
}
