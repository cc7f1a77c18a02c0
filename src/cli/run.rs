//! The one road of every run on nodes: targets, checks, the question before much is done, the run itself, what is
//! remembered of it, and the exit code.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::confirm::confirm;
use super::console::Console;
use super::error::CliError;
use super::exit::{Statuses, code};
use super::journal::{Journal, Record};
use super::request::DryRun;
use super::resolve::{self, Invocation, Job, nodes, reach, show};
use super::rollout::Rollout;
use super::runtime::{Runtime, attend};
use super::task::{Effect, Task};
use crate::event::{Ending, Summary};
use crate::exec::batch::{Batches, Gate, dispatch_batches};
use crate::exec::{Executor, Requests};
use crate::plan::{Limits, Plan};
use crate::report::way::Way;
use crate::report::{self, Reporter};
use crate::terminal::signals::Signals;
use crate::transport::ways::Reached;
use crate::work::Work;

/// How long after the deadline of a run what nodes have said until then may be printed.
const PRINTING: Duration = Duration::from_secs(5);

/// Does a task on the nodes that were asked for. Returns the exit code.
///
/// # Errors
/// Whatever the user got wrong; nothing has been contacted then.
pub(super) fn run(
    mut task: Box<dyn Task>,
    asked: Invocation<'_>,
    console: &mut Console,
) -> Result<u8, CliError> {
    task.check(asked)?;
    let way = reach::way(asked)?;
    if let Some(lack) = task.needs().lacks(way.can) {
        let (name, what) = (way.name, task.what());
        let refused = format!("-R {name} {lack}, which is not enough for: {what}");
        return Err(CliError::usage(refused).hint("use -R native"));
    }
    let nodes = task.nodes(asked, console)?;
    guard_globs(&*task, asked, console)?;
    let is_dry = match asked.options.care.dry_run {
        Some(DryRun::Read) => !task.reads_ahead(),
        Some(DryRun::Offline) => true,
        None => false,
    };
    if is_dry {
        return dry_run(&task.plan(&nodes)?, asked, console);
    }
    let mut job = Job::resolve(asked, nodes, console)?;
    job.announce(&task.what());
    if task.effect() != Effect::Looks && asked.options.care.dry_run.is_none() {
        confirm(&mut job, &task.what())?;
    }
    task.perform(&mut job)
}

/// A word that may be what the shell made of a pattern is worth a warning, and stops what changes something.
fn guard_globs(
    task: &dyn Task,
    asked: Invocation<'_>,
    console: &mut Console,
) -> Result<(), CliError> {
    let Some(word) = nodes::left_over(&asked.options.targets, task.selectors()) else {
        return Ok(());
    };
    let (message, hint) = (word.message(), word.hint());
    if task.effect() == Effect::Changes && !asked.options.care.yes {
        let refused = CliError::refused(format!("{message}; nothing was changed"));
        return Err(refused.hint(format!("{hint}, or add --yes")));
    }
    console.complain(format_args!("{}: warning: {message}; {hint}", asked.called));
    Ok(())
}

/// Says what would be done, and on which nodes.
fn dry_run(
    steps: &[(crate::nodeset::NodeSet, String)],
    asked: Invocation<'_>,
    console: &mut Console,
) -> Result<u8, CliError> {
    resolve::check(asked)?;
    for (nodes, what) in steps {
        // What cannot be written is told when the console is closed.
        let _ = writeln!(console.out, "{nodes}: {what}");
    }
    console.complain(format_args!(
        "{}: dry run: nothing was contacted",
        asked.called
    ));
    Ok(0)
}

impl Job<'_> {
    /// Runs one work on all nodes and shows it. Returns the exit code.
    ///
    /// # Errors
    /// When the run could not begin.
    pub(super) fn run(&mut self, work: &dyn Work, statuses: Statuses) -> Result<u8, CliError> {
        let all = Batches {
            sizes: &[],
            pause: Duration::ZERO,
            gate: None,
        };
        Ok(self.run_batches(work, statuses, all)?.1)
    }

    /// Runs one work on the nodes, batch by batch, and writes it down in the journal as `what`.
    ///
    /// # Errors
    /// When the run could not begin.
    pub(super) fn roll_out(
        &mut self,
        work: &dyn Work,
        rollout: &Rollout,
        what: &str,
    ) -> Result<u8, CliError> {
        let gate = rollout.gate();
        let batches = Batches {
            sizes: &rollout.sizes(self.plan.nodes.len()),
            pause: rollout.pause(),
            gate: gate.as_ref().map(|gate| gate as &dyn Gate),
        };
        let (summary, exit) = self.run_batches(work, Statuses::Command, batches)?;
        self.remember(what, &summary, exit);
        Ok(exit)
    }

    fn run_batches(
        &mut self,
        work: &dyn Work,
        statuses: Statuses,
        batches: Batches<'_>,
    ) -> Result<(Summary, u8), CliError> {
        let (summary, signal) = self.show(async |planned, requests, reporter| {
            let executor = Executor {
                launcher: planned.reached.launcher.as_deref(),
                ..Executor::new(&*planned.reached.transport, work)
            };
            dispatch_batches(planned.plan, batches, executor, requests, reporter).await
        })?;
        let exit = self.judge(&summary, statuses, signal);
        Ok((summary, exit))
    }

    /// Runs something that has a reporter to tell, and that signals and the Enter key reach. Also returns the first
    /// signal, if there was one.
    ///
    /// # Errors
    /// When the run could not begin.
    pub(super) fn show<T>(
        &mut self,
        run: impl AsyncFnOnce(PlannedRun<'_>, Requests<'_>, &mut dyn Reporter) -> T,
    ) -> Result<(T, Option<u8>), CliError> {
        let runtime = Runtime::start()?;
        let keys = !self.asked.options.care.stdin;
        runtime.block_on(async |signals| {
            let ended = self.show_on(signals, keys, run).await?;
            Ok((ended, signals.first()))
        })?
    }

    /// The same within a session that has the signals already; `keys` says whether the Enter key is listened to.
    ///
    /// # Errors
    /// When the run could not begin.
    pub(super) async fn show_on<T>(
        &mut self,
        signals: &mut Signals,
        keys: bool,
        run: impl AsyncFnOnce(PlannedRun<'_>, Requests<'_>, &mut dyn Reporter) -> T,
    ) -> Result<T, CliError> {
        let mut files = show::files(self.asked, &self.plan.nodes)?;
        let deadline = self.plan.limits.deadline;
        let until = deadline.map(|limit| Instant::now() + limit + PRINTING);
        self.console.out.get_mut().end_at(until);
        let mut shown = report::new(
            &self.look,
            Arc::clone(&self.plan.nodes),
            &mut self.console.out,
            &self.console.err,
            &self.asked.site.scratch(),
        );
        let mut shown = files.around(&mut *shown);
        let told = self.told.clone();
        let mut reporter = Way::new(&mut shown, told, &self.look, &self.console.err);
        let planned = PlannedRun {
            plan: &self.plan,
            reached: &self.reached,
        };
        let keys = keys.then_some(&self.console.terminal_lock);
        let run = attend(signals, keys, async |requests| {
            run(planned, requests, &mut reporter).await
        });
        Ok(run.await)
    }

    /// With `-v` says what is asked, with `-vv` also how the nodes are reached.
    fn announce(&mut self, what: &str) {
        let (called, verbose) = (self.asked.called, self.asked.options.show.verbose);
        if verbose > 0 {
            let nodes = &self.nodes;
            self.console
                .complain(format_args!("{called}: {nodes}: {what}"));
        }
        if verbose > 1 {
            self.console.complain(format_args!(
                "{called}: reached by {}, {} at one time{}",
                self.way.about,
                self.plan.fanout,
                told(&self.plan.limits)
            ));
        }
    }

    /// Writes a run down. That it cannot be is worth a warning, and no more.
    fn remember(&mut self, what: &str, summary: &Summary, exit: u8) {
        let Some(journal) = Journal::new(&self.asked.site.environment) else {
            return;
        };
        let record = Record {
            lab: self.asked.options.targets.lab,
            ..Record::new(what, &self.plan.nodes, summary, exit)
        };
        if let Err(error) = journal.add(&record) {
            self.warn(&error);
        }
    }

    /// Says something on standard error that is wrong and stops nothing.
    pub(super) fn warn(&mut self, text: &str) {
        let called = self.asked.called;
        self.console
            .complain(format_args!("{called}: warning: {text}"));
    }

    /// The exit code of a run, and a word about output that was lost. `-S` asks for the largest status.
    pub(super) fn judge(
        &mut self,
        summary: &Summary,
        statuses: Statuses,
        signal: Option<u8>,
    ) -> u8 {
        if let Some(Ending::OutputLost(error)) = &summary.ending {
            return self.console.lost(self.asked.called, error);
        }
        code(summary, show::statuses(self.asked, statuses), signal)
    }
}

/// The plan of a run and the way to its nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlannedRun<'a> {
    /// The nodes, with fanout and limits.
    pub(super) plan: &'a Plan,
    /// How they are reached.
    pub(super) reached: &'a Reached,
}

/// The limits in words, each behind a comma.
fn told(limits: &Limits) -> String {
    let limits = [
        ("connect", limits.connect),
        ("idle", limits.idle),
        ("command", limits.command),
        ("deadline", limits.deadline),
    ];
    limits
        .into_iter()
        .filter_map(|(name, limit)| Some((name, limit?)))
        .map(|(name, limit)| format!(", {name} {}", humantime::format_duration(limit)))
        .collect()
}
