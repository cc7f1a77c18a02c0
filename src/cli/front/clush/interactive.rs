//! The interactive mode: commands that are typed, on nodes that may change in between.
//!
//! Where the original lower-cases the names of nodes, runs a command here when no nodes are left, or ends on an empty `!`
//! or an unknown source of groups, we do not.

use std::io::Write;

use super::failure::Failure;
use super::session::{End, INTERRUPT, Session};
use crate::cli::interactive::{self, Current, Line, Words};
use crate::cli::resolve::groups::Sources;
use crate::cli::resolve::reach;
use crate::config::clush::Verbosity;
use crate::exec::Executor;
use crate::nodeset::{self, EvalError, NodeSet};
use crate::plan::{NodeName, Plan};
use crate::report::clush::Reasons;
use crate::terminal::editor::{Editor, Typed};
use crate::transport::Command;
use crate::work::run::Run;

/// The name of this machine in the output.
const LOCAL: &str = "LOCAL";

/// What stands before each line.
const PROMPT: &str = "clush> ";

/// Runs what is typed until there is no more. The exit code is the last command's, with `-S`.
pub(super) fn interact(session: &mut Session<'_>) -> Result<u8, Failure> {
    if session.options.no_stdin {
        return Err(Failure::Usage(
            "illegal option `--nostdin' in that case".to_owned(),
        ));
    }
    let current = Current::default();
    current.set(session.nodes.clone());
    let mut editor = editor(session, current.clone())?;
    if session.verbosity >= Verbosity::Standard {
        session.say("Enter 'quit' to leave this interactive mode")?;
    }
    session.working_with()?;
    let mut code = 0;
    loop {
        let line = match session.ask(&mut editor)? {
            Ok(Typed::Line(line)) => line,
            Ok(Typed::Interrupt) => return Err(Failure::Interrupted),
            Ok(Typed::End) => break,
            Err(INTERRUPT) => return Err(Failure::Interrupted),
            Err(signal) => return Ok(128 + signal),
        };
        if !line.trim().is_empty()
            && let Err(error) = editor.remember(&line)
        {
            session.console.complain(format_args!(
                "{}: cannot write the history: {error}",
                session.called
            ));
        }
        let line = parse(&line);
        if line == Line::Quit {
            break;
        }
        let ended = session.take(line)?;
        current.set(session.nodes.clone());
        match ended {
            None => {}
            Some(End::Done(done)) => code = done,
            Some(End::Signal(signal)) => return Ok(128 + signal),
        }
    }
    Ok(if session.conf.maxrc()? { code } else { 0 })
}

/// Reads a line as the original does: a blank in front or something behind makes it a command.
fn parse(text: &str) -> Line<'_> {
    let line = Line::parse(text);
    let is_more = match line {
        Line::Nothing => false,
        Line::Toggle => text != "=",
        Line::Quit => !text.eq_ignore_ascii_case("quit"),
        Line::Command(_)
        | Line::Here(_)
        | Line::Show
        | Line::Add(_)
        | Line::Remove(_)
        | Line::Replace(_) => text.starts_with(char::is_whitespace),
    };
    if is_more { Line::Command(text) } else { line }
}

fn editor(session: &Session<'_>, current: Current) -> Result<Editor, Failure> {
    let environment = &session.site.environment;
    let mut sources = Sources::new(environment, session.options.groupsconf.clone());
    if let Some(source) = &session.options.source {
        sources.set_default(source)?;
    }
    let words = Words::new(Box::new(sources), current, environment, (&["quit"], &[]));
    let history = environment.home().map(|home| home.join(".clush_history"));
    Ok(interactive::editor(environment, history, words)?)
}

impl Session<'_> {
    fn say(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.console.out, "{line}")?;
        Ok(self.console.close()?)
    }

    fn working_with(&mut self) -> Result<(), Failure> {
        let nodes = self.fold(&self.nodes)?;
        self.say(&format!("Working with nodes: {nodes}"))
    }

    /// What is typed next, or the signal that came instead.
    fn ask(&self, editor: &mut Editor) -> Result<Result<Typed, u8>, Failure> {
        self.runtime
            .block_on(async |signals| {
                tokio::select! {
                    biased;
                    Some(_) = signals.stops.recv() => Err(signals.first().unwrap_or(INTERRUPT)),
                    typed = editor.line(PROMPT) => Ok(typed),
                }
            })
            .map_err(|error| Failure::Named(error.to_string()))
    }

    /// Does what a line says; how it ended, if it was a command.
    fn take(&mut self, line: Line<'_>) -> Result<Option<End>, Failure> {
        match line {
            Line::Nothing | Line::Here("") | Line::Quit => Ok(None),
            Line::Command(_) if self.nodes.is_empty() => {
                self.console
                    .complain(format_args!("{}: no node to run on", self.called));
                Ok(None)
            }
            Line::Command(command) => {
                let command = self.prefixed(command)?;
                self.run(&command).map(Some)
            }
            Line::Here(command) => self.here(command).map(Some),
            Line::Show => self.working_with().map(|()| None),
            Line::Toggle => {
                self.gather = !self.gather;
                let form = if self.gather { "gathered" } else { "standard" };
                self.say(&format!("Switching to {form} output format"))?;
                Ok(None)
            }
            Line::Add(set) => self.change(set, |nodes, set| nodes.union(&set)),
            Line::Remove(set) => self.change(set, |nodes, set| nodes.difference(&set)),
            Line::Replace(set) => self.change(set, |nodes, set| *nodes = set),
        }
    }

    fn change(
        &mut self,
        text: &str,
        how: impl FnOnce(&mut NodeSet, NodeSet),
    ) -> Result<Option<End>, Failure> {
        let set = nodeset::parse(text)
            .map_err(EvalError::from)
            .and_then(|expression| nodeset::eval(&expression, &self.sources));
        match set {
            Ok(set) => how(&mut self.nodes, set),
            Err(EvalError::Parse(_)) => self.console.complain(format_args!(
                "{}: nodeset parse error (ignoring)",
                self.called
            )),
            Err(error) => self
                .console
                .complain(format_args!("{}: {error}", self.called)),
        }
        self.working_with()?;
        Ok(None)
    }

    /// Runs a command on this machine and shows it as that of a node.
    fn here(&mut self, command: &str) -> Result<End, Failure> {
        let names: Vec<NodeName> = vec![LOCAL.into()];
        let plan = Plan::all(names.into(), self.fanout, self.limits);
        let work = Run {
            command: Command {
                line: command.to_owned(),
                stdin: None,
                pty: false,
            },
        };
        // There is nothing to gather of one.
        let gather = std::mem::take(&mut self.gather);
        let ended = self.show(
            &plan,
            Executor::new(reach::here(), &work),
            (Reasons::Ours, None),
            None,
        );
        self.gather = gather;
        ended.map(|ended| ended.end)
    }
}
