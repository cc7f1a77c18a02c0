//! How a verb's work is run on its fleet: announced, batch by batch, shown, written down, and made an exit code.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::context::{Context, Fleet};
use super::error::CliError;
use super::exit::{Statuses, code};
use super::journal::{Journal, Record};
use super::outputs;
use super::rollout::Rollout;
use crate::config::Worker;
use crate::event::{Ending, Summary};
use crate::exec::batch::{Batches, Gate, dispatch_batches};
use crate::exec::{Means, Requests};
use crate::plan::{Limits, NodeName};
use crate::report;
use crate::report::files::Files;
use crate::terminal::enter::Enter;
use crate::work::Work;

impl Context<'_> {
    /// Runs one work on all nodes of the fleet and shows it.
    ///
    /// # Errors
    /// When the run could not begin; what became of the nodes is in the exit code.
    pub fn run(
        &mut self,
        fleet: &Fleet,
        work: &dyn Work,
        statuses: Statuses,
    ) -> Result<u8, CliError> {
        let all = Batches {
            sizes: &[],
            pause: Duration::ZERO,
            gate: None,
        };
        Ok(self.run_batches(fleet, work, statuses, all)?.1)
    }

    /// Runs one work on the nodes of the fleet, batch by batch. `what` says in the journal what that was.
    ///
    /// # Errors
    /// When the run could not begin.
    pub(super) fn roll_out(
        &mut self,
        fleet: &Fleet,
        work: &dyn Work,
        rollout: &Rollout,
        what: &str,
    ) -> Result<u8, CliError> {
        self.announce(fleet, what)?;
        let gate = rollout.gate();
        let batches = Batches {
            sizes: &rollout.sizes(fleet.plan.nodes.len()),
            pause: rollout.pause(),
            gate: gate.as_ref().map(|gate| gate as &dyn Gate),
        };
        let (summary, exit) = self.run_batches(fleet, work, self.statuses(), batches)?;
        self.remember(what, fleet, &summary, exit);
        Ok(exit)
    }

    /// With `-v` says what is asked, with `-vv` also how the nodes are reached.
    fn announce(&mut self, fleet: &Fleet, what: &str) -> Result<(), CliError> {
        let (called, verbose) = (self.called, self.show.verbose);
        if verbose > 0 {
            let nodes = &fleet.nodes;
            self.console
                .complain(format_args!("{called}: {nodes}: {what}"));
        }
        if verbose > 1 {
            let worker = match self.worker()? {
                Worker::Native => "SSH in this process",
                Worker::Ssh => "the system's ssh",
                Worker::Exec => "commands here",
                Worker::Rsh => "rsh",
                Worker::Pdsh => "pdsh",
                Worker::Slurm => "Slurm",
            };
            let Limits {
                connect,
                idle,
                command,
                deadline,
                ..
            } = fleet.plan.limits;
            let limits = [
                ("connect", connect),
                ("idle", idle),
                ("command", command),
                ("deadline", deadline),
            ];
            let limits: String = limits
                .into_iter()
                .filter_map(|(name, limit)| Some((name, limit?)))
                .map(|(name, limit)| format!(", {name} {}", humantime::format_duration(limit)))
                .collect();
            self.console.complain(format_args!(
                "{called}: reached by {worker}, {} at one time{limits}",
                fleet.plan.fanout
            ));
        }
        Ok(())
    }

    fn run_batches(
        &mut self,
        fleet: &Fleet,
        work: &dyn Work,
        statuses: Statuses,
        batches: Batches<'_>,
    ) -> Result<(Summary, u8), CliError> {
        let look = self.look()?;
        let scratch = self.scratch();
        let names = Arc::clone(&fleet.plan.nodes);
        let mut files = self.files(&names)?;
        let mut shown = report::new(
            &look,
            names,
            &mut self.console.out,
            &mut self.console.err,
            &scratch,
        );
        let mut reporter = files.around(&mut *shown);
        let means = Means {
            launcher: fleet.launcher.as_deref(),
            ..Means::new(&*fleet.transport, work)
        };
        let (floor, listening) = (self.console.floor.clone(), !self.care.stdin);
        let (summary, signal) = fleet.engine.block_on(async |signals| {
            let mut enter = listening.then(|| Enter::listen(&floor));
            let requests = Requests {
                stops: &mut signals.stops,
                questions: enter.as_mut().map(|enter| &mut enter.pressed),
            };
            let summary =
                dispatch_batches(&fleet.plan, batches, means, requests, &mut reporter).await;
            (summary, signals.first())
        })?;
        drop(shown);
        let exit = self.code(&summary, statuses, signal);
        Ok((summary, exit))
    }

    /// Writes a run down. That it cannot be is worth a warning, and no more.
    fn remember(&mut self, what: &str, fleet: &Fleet, summary: &Summary, exit: u8) {
        let Some(journal) = Journal::new(&self.environment) else {
            return;
        };
        let record = Record {
            lab: self.targets.lab,
            ..Record::new(what, &fleet.plan.nodes, summary, exit)
        };
        if let Err(error) = journal.add(&record) {
            self.console
                .complain(format_args!("{}: warning: {error}", self.called));
        }
    }

    /// The files that `--outdir` and `--errdir` ask for.
    fn files(&self, names: &Arc<[NodeName]>) -> Result<Files<'static>, CliError> {
        let folder = |folder: &Option<PathBuf>| {
            let made = folder.as_ref().map(|folder| outputs::folder(folder, names));
            made.transpose().map_err(|failed| {
                CliError::system(format!("{}: {}", failed.path.display(), failed.error))
            })
        };
        let (out, err) = (folder(&self.show.outdir)?, folder(&self.show.errdir)?);
        Ok(Files::new(Arc::clone(names), out, err))
    }

    /// The exit code of a run, and a word about output that was lost.
    pub fn code(&mut self, summary: &Summary, statuses: Statuses, signal: Option<u8>) -> u8 {
        if let Some(Ending::OutputLost(error)) = &summary.ending {
            return self.console.lost(self.called, error);
        }
        code(summary, statuses, signal)
    }
}
