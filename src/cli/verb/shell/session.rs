//! One session at the prompt: its nodes, its connections, its settings, and what became of the last command.

use std::io::Write;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Duration;

use super::HELP;
use super::sets::{self, Last, WithLast};
use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::cli::interactive::{self, Current, Line, Script, Words, run_here};
use crate::cli::resolve::{Job, limits, nodes};
use crate::cli::runtime::Runtime;
use crate::config::parse_limit;
use crate::event::{Ending, Summary};
use crate::exec::pool::SessionPool;
use crate::exec::{Executor, dispatch};
use crate::nodeset::{Groups, NodeSet};
use crate::report::text::Count;
use crate::report::{self, Audience, Format};
use crate::terminal::editor::{Editor, Typed};
use crate::terminal::signals::Signals;
use crate::transport::Command;
use crate::work::run::Run;

/// The words of our own that may begin a line.
const OWN: &[&str] = &["quit", "help", ":diff", ":timeout", ":fanout"];

/// A longer set is cut short in the prompt.
const LONGEST: usize = 40;

/// A session.
pub(super) struct Session<'j, 'a> {
    job: &'j mut Job<'a>,
    input: Input,
    groups: Box<dyn Groups>,
    current: Current,
    pool: SessionPool,
    /// The form that `=` comes back to.
    format: &'static Format,
    last: Last,
    /// The highest exit code so far.
    worst: u8,
}

/// Where lines come from.
enum Input {
    Typed(Editor),
    Script(Script),
}

/// Whether the session goes on; its exit code if that is not the usual one.
type After = ControlFlow<Option<u8>>;

/// What is next.
enum Next {
    Line(String),
    Again,
    Leave(Option<u8>),
}

impl<'j, 'a> Session<'j, 'a> {
    /// A session on the nodes of a job, from its first line to its last.
    pub(super) fn run(job: &'j mut Job<'a>) -> Result<u8, CliError> {
        let current = Current::default();
        current.set(job.nodes.clone());
        let input = Self::input(job, &current)?;
        // Sessions stay open from one command to the next, those through gateways, too.
        let launcher = &mut job.reached.launcher;
        *launcher = launcher.take().filter(|launcher| launcher.is_only_way());
        let runtime = Runtime::start()?;
        let mut session = Session {
            pool: SessionPool::new(limits::spare_sessions(&job.plan)),
            groups: Box::new(nodes::groups(&job.asked.site.environment)),
            format: match job.look.format.audience {
                Audience::PeopleAtOnce => report::usual(),
                Audience::PeopleAtTheEnd | Audience::Programs => job.look.format,
            },
            job,
            input,
            current,
            last: Last::default(),
            worst: 0,
        };
        runtime.block_on(async |signals| {
            let code = session.serve(signals).await;
            session.pool.close().await;
            code
        })
    }

    fn input(job: &Job<'_>, current: &Current) -> Result<Input, CliError> {
        if !rustix::termios::isatty(rustix::stdio::stdin()) {
            return Ok(Input::Script(Script));
        }
        let environment = &job.asked.site.environment;
        let words = Words::new(
            Box::new(nodes::groups(environment)),
            current.clone(),
            environment,
            (OWN, sets::NAMES),
        );
        let state = environment.xdg("XDG_STATE_HOME", ".local/state");
        let history = state.map(|state| state.join("hash/shell_history"));
        interactive::editor(environment, history, words)
            .map(Input::Typed)
            .map_err(|error| CliError::system(format!("cannot use the terminal: {error}")))
    }

    /// Takes lines until the last. Returns the exit code.
    async fn serve(&mut self, signals: &mut Signals) -> u8 {
        let is_script = matches!(self.input, Input::Script(_));
        if !is_script {
            self.say("`help` shows what there is to type, Ctrl-D leaves");
        }
        let leaving = loop {
            let line = match self.next(signals).await {
                Next::Line(line) => line,
                Next::Again => continue,
                Next::Leave(code) => break code,
            };
            match self.take(&line, signals).await {
                Ok(After::Continue(())) => {}
                Ok(After::Break(code)) => break code,
                Err(error) => {
                    self.say(&error.to_string());
                    // What follows counts on what was asked for.
                    if is_script {
                        break Some(error.code());
                    }
                }
            }
        };
        leaving.unwrap_or(if is_script || self.job.asked.options.show.max_status {
            self.worst
        } else {
            0
        })
    }

    /// The next line, or what came instead.
    async fn next(&mut self, signals: &mut Signals) -> Next {
        let prompt = self.prompt();
        let is_script = matches!(self.input, Input::Script(_));
        let asking = async {
            match &mut self.input {
                Input::Typed(editor) => Ok(editor.line(&prompt).await),
                Input::Script(script) => script.line().await,
            }
        };
        let typed = tokio::select! {
            biased;
            Some(_) = signals.stops.recv() => None,
            typed = asking => Some(typed),
        };
        match typed {
            Some(Ok(Typed::Line(line))) => Next::Line(line),
            Some(Ok(Typed::Interrupt)) => Next::Again,
            Some(Ok(Typed::End)) => Next::Leave(None),
            Some(Err(error)) => {
                self.say(&format!("standard input is no text: {error}"));
                Next::Leave(Some(64))
            }
            None => match signals.leave() {
                Some(signal) => Next::Leave(Some(128 + signal)),
                None if is_script => Next::Leave(Some(130)),
                None => {
                    // Behind the ^C of a terminal that edits by itself.
                    self.job.console.complain("");
                    signals.forget();
                    Next::Again
                }
            },
        }
    }

    fn prompt(&self) -> String {
        let mut folded = self.job.nodes.to_string();
        if let Some((cut, _)) = folded.char_indices().nth(LONGEST) {
            folded.truncate(cut);
            folded.push('…');
        }
        match self.job.nodes.len() {
            0 => "(no nodes)> ".to_owned(),
            1 => format!("{folded}> "),
            many => format!("{folded} ({many})> "),
        }
    }

    /// Does what a line says.
    async fn take(&mut self, text: &str, signals: &mut Signals) -> Result<After, CliError> {
        self.remember(text);
        match Line::parse(text) {
            Line::Nothing => {}
            Line::Quit | Line::Command("exit") => return Ok(After::Break(None)),
            Line::Command("help") | Line::Command(":help") => self.print(HELP)?,
            Line::Command(command) if command.starts_with(':') => self.setting(&command[1..])?,
            Line::Command(command) => return self.command(command, signals).await,
            Line::Here(command) => return self.here(command, signals).await,
            Line::Show => self.show()?,
            Line::Toggle => self.toggle()?,
            Line::Add(set) => {
                let mut nodes = self.job.nodes.clone();
                nodes.union(&self.eval(set)?);
                self.go_to(nodes)?;
            }
            Line::Remove(set) => {
                let (mut nodes, without) = (self.job.nodes.clone(), self.eval(set)?);
                nodes.difference(&without);
                if nodes == self.job.nodes {
                    self.say(&format!("none of {without} was among the nodes"));
                }
                self.go_to(nodes)?;
            }
            Line::Replace(set) => {
                let nodes = self.eval(set)?;
                self.go_to(nodes)?;
            }
        }
        Ok(After::Continue(()))
    }

    fn remember(&mut self, line: &str) {
        if let Input::Typed(editor) = &mut self.input
            && !line.trim().is_empty()
            && let Err(error) = editor.remember(line)
        {
            self.say(&format!("cannot write the history: {error}"));
        }
    }

    fn eval(&self, text: &str) -> Result<NodeSet, CliError> {
        if text.is_empty() {
            return Err(CliError::usage("a node set is missing").hint("`help` shows what there is"));
        }
        let groups = WithLast {
            groups: &*self.groups,
            last: &self.last,
        };
        nodes::eval(&Last::as_groups(text), &groups)
    }

    /// Other nodes from now on. Connections to those that were left stay open: they may come back.
    fn go_to(&mut self, nodes: NodeSet) -> Result<(), CliError> {
        self.job.go_to(nodes)?;
        self.current.set(self.job.nodes.clone());
        if self.job.nodes.is_empty() {
            self.say("there are no nodes left; nothing will be run");
        }
        Ok(())
    }

    /// Runs a command on the nodes and shows it.
    async fn command(&mut self, line: &str, signals: &mut Signals) -> Result<After, CliError> {
        if self.job.nodes.is_empty() {
            return Err(CliError::usage("there are no nodes; nothing was run")
                .hint("name some with @SET or +SET"));
        }
        let work = Run {
            command: Command {
                line: line.to_owned(),
                stdin: None,
                pty: false,
            },
        };
        let keys = matches!(self.input, Input::Typed(_));
        let pool = &self.pool;
        let summary = self
            .job
            .show_on(signals, keys, async |planned, requests, reporter| {
                let executor = Executor {
                    launcher: planned.reached.launcher.as_deref(),
                    pool: Some(pool),
                    ..Executor::new(&*planned.reached.transport, &work)
                };
                dispatch(planned.plan, executor, requests, reporter).await
            })
            .await?;
        self.over(&summary, signals)
    }

    /// What the end of a command means for the session.
    fn over(&mut self, summary: &Summary, signals: &mut Signals) -> Result<After, CliError> {
        self.last = Last::of(summary, &self.job.plan);
        let code = self.job.judge(summary, Statuses::Command, signals.first());
        if matches!(summary.ending, Some(Ending::OutputLost(_))) {
            return Ok(After::Break(Some(code)));
        }
        let is_script = matches!(self.input, Input::Script(_));
        if matches!(summary.ending, Some(Ending::Stopped)) {
            if is_script || signals.leave().is_some() {
                return Ok(After::Break(Some(code)));
            }
            signals.forget();
        }
        self.worst = self.worst.max(code);
        Ok(After::Continue(()))
    }

    /// Runs a command on this machine.
    async fn here(&mut self, command: &str, signals: &mut Signals) -> Result<After, CliError> {
        if command.is_empty() {
            return Err(CliError::usage("a command is missing behind `!`"));
        }
        let status = run_here(command, &self.job.nodes.to_string(), signals)
            .await
            .map_err(|error| CliError::system(format!("cannot run /bin/sh: {error}")))?;
        match status {
            None => return Ok(After::Break(signals.leave().map(|signal| 128 + signal))),
            Some(status) if !status.success() => {
                self.worst = self.worst.max(1);
                self.say(&format!("here: {status}"));
            }
            Some(_) => {}
        }
        Ok(After::Continue(()))
    }

    fn show(&mut self) -> Result<(), CliError> {
        let mut text = match self.job.nodes.len() {
            0 => "no nodes".to_owned(),
            many => format!("{} ({})", self.job.nodes, Count(many, "node")),
        };
        for line in self.last.describe() {
            text.push('\n');
            text.push_str(&line);
        }
        self.print(&text)
    }

    fn toggle(&mut self) -> Result<(), CliError> {
        let (format, said) = match self.job.look.format.audience {
            Audience::Programs => {
                return Err(CliError::usage("`=` does not go with JSON"));
            }
            Audience::PeopleAtOnce => (self.format, "equal output once"),
            Audience::PeopleAtTheEnd => (
                report::by_name("lines").unwrap_or(self.format),
                "each line with its own node",
            ),
        };
        self.job.look.format = format;
        self.say(said);
        Ok(())
    }

    /// `timeout 10s` and the like.
    fn setting(&mut self, text: &str) -> Result<(), CliError> {
        let mut words = text.split_whitespace();
        let (name, value) = (words.next().unwrap_or_default(), words.next());
        if words.next().is_some() {
            return Err(CliError::usage(format!("too many words behind `:{name}`")));
        }
        let said = match (name, value) {
            ("diff", None) => self.differences()?,
            ("timeout", None) => timeout(self.job.plan.limits.command),
            ("timeout", Some(value)) => {
                let limit = parse_limit(value).map_err(CliError::usage)?;
                self.job.plan.limits.command = Some(limit).filter(|limit| !limit.is_zero());
                timeout(self.job.plan.limits.command)
            }
            ("fanout", None) => fanout(self.job.plan.fanout),
            ("fanout", Some(value)) => {
                let asked = value
                    .parse()
                    .map_err(|_| CliError::usage(format!("`{value}` is no number of nodes")))?;
                let called = self.job.asked.called;
                self.job.plan.fanout = limits::affordable(asked, called, self.job.console);
                fanout(self.job.plan.fanout)
            }
            _ => {
                return Err(CliError::usage(format!("there is no `:{name}`"))
                    .hint("`help` shows what there is"));
            }
        };
        self.say(&said);
        Ok(())
    }

    /// From now on what most nodes said and how the others differ, or all again.
    fn differences(&mut self) -> Result<String, CliError> {
        if self.job.look.format.audience == Audience::Programs {
            return Err(CliError::usage("`:diff` does not go with JSON"));
        }
        self.job.look.diff = !self.job.look.diff;
        Ok(if self.job.look.diff {
            self.job.look.format = self.format;
            "what most nodes say, and how the others differ"
        } else {
            "all that nodes say"
        }
        .to_owned())
    }

    /// Writes what was asked for to standard output.
    fn print(&mut self, text: &str) -> Result<(), CliError> {
        let out = &mut self.job.console.out;
        writeln!(out, "{text}")
            .and_then(|()| out.flush())
            .map_err(|error| CliError::system(format!("cannot write the output: {error}")))
    }

    /// Says something beside the output.
    fn say(&mut self, text: &str) {
        let called = self.job.asked.called;
        self.job.console.complain(format_args!("{called}: {text}"));
    }
}

fn timeout(limit: Option<Duration>) -> String {
    match limit {
        Some(limit) => format!("a command may take {}", humantime::format_duration(limit)),
        None => "a command may take as long as it does".to_owned(),
    }
}

fn fanout(fanout: NonZeroUsize) -> String {
    format!(
        "at most {} at work at one time",
        Count(fanout.get(), "node")
    )
}
