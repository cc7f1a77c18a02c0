//! What a run of `clush` needs, resolved once: commands run on it one after the other, on a set of nodes that may
//! change in between.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::failure::Failure;
use super::options::Options;
use super::tree::{self, Tree};
use super::worker::{ClushWorker, Given};
use crate::cli::console::Console;
use crate::cli::outputs;
use crate::cli::resolve::groups::Sources;
use crate::cli::runtime::Runtime;
use crate::cli::site::Site;
use crate::config::clush::{ClushConf, Verbosity};
use crate::event::{Ending, ErrorCode, Meter, NodeId, Outcome, Summary};
use crate::exec::pool::SessionPool;
use crate::exec::{Executor, dispatch};
use crate::nodeset::{self, NodeSet, Style};
use crate::placeholder::LOCAL;
use crate::plan::{Limits, NodeName, Plan};
use crate::report::clush::{Clush, Gateways, Layout, Look, Reasons};
use crate::report::files::Files;
use crate::topology::Topology;
use crate::transport::Command;
use crate::transport::input::Input;
use crate::work::Work;
use crate::work::run::Run;

/// How long authentication may take, as in `hash`.
const AUTHENTICATE: Duration = Duration::from_secs(30);

/// Everything but the command.
pub(super) struct Session<'a> {
    pub(super) called: &'a str,
    pub(super) site: Site,
    pub(super) console: &'a mut Console,
    pub(super) options: Options,
    pub(super) conf: ClushConf,
    pub(super) sources: Sources,
    pub(super) style: Style,
    /// The nodes to run on.
    pub(super) nodes: NodeSet,
    /// Whether equal outputs are shown once.
    pub(super) gather: bool,
    pub(super) runtime: Runtime,
    pub(super) worker: &'static ClushWorker,
    /// Which gateways lead to which nodes.
    pub(super) topology: Option<Topology>,
    /// What every command reads, and how much of it was sent.
    pub(super) input: Option<Input>,
    pub(super) sent: Meter,
    pub(super) fanout: NonZeroUsize,
    pub(super) limits: Limits,
    pub(super) verbosity: Verbosity,
    pub(super) color: bool,
    /// Whether somebody sits at the keyboard.
    pub(super) interactive: bool,
    /// Whether standard input is the terminal in whose foreground we run.
    pub(super) keyboard: bool,
}

/// How a command ended everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By itself; the exit code that `-S` gives.
    Done(u8),
    /// Ctrl-C, or another signal's number.
    Signal(u8),
}

/// How a work ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// How it ended everywhere.
    pub(super) end: End,
    /// Where all went well.
    pub(super) done: NodeSet,
}

/// The signal of Ctrl-C.
pub(super) const INTERRUPT: u8 = 2;

/// The limits of a number of seconds; 0 and below is none.
pub(super) fn limit(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|limit| !limit.is_zero())
}

impl Session<'_> {
    /// The time limits of the configuration.
    pub(super) fn limits(connect: f64, command: f64) -> Limits {
        Limits {
            connect: limit(connect),
            authenticate: Some(AUTHENTICATE),
            command: limit(command),
            ..Limits::default()
        }
    }

    /// Whether commands run on the nodes, not on the gateways that lead to them.
    fn is_remote(&self) -> bool {
        self.options.remote != Some("no")
    }

    fn form(&self) -> Layout {
        match (self.gather, self.options.lines) {
            _ if self.options.diff => Layout::Diff,
            (true, true) => Layout::Columns,
            (false, true) => Layout::Lines,
            (true, false) => Layout::Blocks,
            (false, false) => Layout::Live,
        }
    }

    /// Runs a command on all nodes and shows what comes of it.
    pub(super) fn run(&mut self, command: &str) -> Result<End, Failure> {
        if self.worker.can()?.here || self.topology.is_some() && !self.is_remote() {
            LOCAL
                .parse(command)
                .map_err(|error| Failure::Named(error.to_string()))?;
        }
        if self.verbosity == Verbosity::Debug {
            let (connect, command_limit) = (self.limits.connect, self.limits.command);
            let seconds = |limit: Option<Duration>| limit.unwrap_or_default().as_secs_f64();
            writeln!(
                self.console.out,
                "{}: nodeset={} fanout={} [timeout conn={:?} cmd={:?}] command=\"{command}\"",
                self.called,
                self.fold(&self.nodes)?,
                self.fanout,
                seconds(connect),
                seconds(command_limit),
            )?;
            if let Some(topology) = &self.topology {
                tree::draw(topology, &mut self.console.out)?;
            }
        }
        let work = Run {
            command: Command {
                line: command.to_owned(),
                stdin: self.input.clone(),
                pty: false,
            },
        };
        let sent = self.input.is_some().then(|| self.sent.clone());
        Ok(self.perform(&self.plan(), &work, None, sent)?.end)
    }

    /// The plan for all nodes.
    pub(super) fn plan(&self) -> Plan {
        let names: Arc<[NodeName]> = self.nodes.iter().map(NodeName::from).collect();
        Plan::all(names, self.fanout, self.limits)
    }

    /// Does one work on all nodes of a plan and shows what comes of it; `moved` counts bytes for progress.
    pub(super) fn perform(
        &mut self,
        plan: &Plan,
        work: &dyn Work,
        pool: Option<&SessionPool>,
        moved: Option<Meter>,
    ) -> Result<Ended, Failure> {
        let given = Given {
            called: self.called,
            conf: &self.conf,
            site: &self.site,
            console: &*self.console,
            nodes: &plan.nodes,
            folded: &self.nodes.fold(&self.style),
        };
        let reached = self.worker.make(&given)?;
        let (tree, reached) = match &self.topology {
            Some(topology) => {
                let remote = self.is_remote();
                let (tree, reached) = Tree::plant(topology, remote, &given, reached)?;
                (Some(tree), reached)
            }
            None => (None, reached),
        };
        let executor = Executor {
            launcher: reached.ready.launcher.as_deref(),
            pool,
            ..Executor::new(&*reached.ready.transport, work)
        };
        self.show(plan, executor, (reached.reasons, tree.as_ref()), moved)
    }

    /// Closes the connections that were kept for the next work.
    pub(super) fn close(&self, pool: &SessionPool) -> Result<(), Failure> {
        let closed = self.runtime.block_on(async |_| pool.close().await);
        closed.map_err(|error| Failure::Named(error.to_string()))
    }

    fn look(&self, reasons: Reasons, moved: Option<Meter>) -> Look<'static> {
        let form = self.form();
        let quiet = self.verbosity == Verbosity::Quiet;
        let shown = matches!(self.verbosity, Verbosity::Standard | Verbosity::Verbose);
        Look {
            program: self.called.to_owned(),
            form,
            merge_err: self.options.gather_all,
            labels: !self.options.no_labels,
            echo: self.verbosity >= Verbosity::Verbose,
            count_in_headers: !quiet && self.conf.node_count().unwrap_or(true),
            count_in_messages: !quiet,
            messages: !(quiet && self.options.maxrc),
            progress: shown
                && (form != Layout::Live
                    || self.options.progress
                    || self.options.copying.is_some()),
            screen: self.console.screen(),
            interactive: self.interactive,
            color: self.color,
            escape_out: self.console.out_is_terminal,
            escape_err: self.console.err_is_terminal,
            reasons,
            sent: moved,
            fold: Box::new(|set| Ok(set.to_string())),
            gateways: None,
            style: self.style.clone(),
        }
    }

    /// The text of a set: by groups with `-r`, and folded as `--axis` says.
    pub(super) fn fold(&self, set: &NodeSet) -> io::Result<String> {
        if !self.options.regroup {
            return Ok(set.fold(&self.style));
        }
        let source = self.options.source.as_deref();
        let told = nodeset::regroup(set, source, &self.sources)
            .map_err(|error| io::Error::other(error.to_string()))?;
        let prefix = source.filter(|_| !self.options.no_prefix);
        Ok(told.fold(prefix, &self.style))
    }

    pub(super) fn show(
        &mut self,
        plan: &Plan,
        executor: Executor<'_>,
        (reasons, tree): (Reasons, Option<&Tree>),
        moved: Option<Meter>,
    ) -> Result<Ended, Failure> {
        let mut out = self
            .console
            .out
            .get_ref()
            .try_clone()
            .map(io::BufWriter::new)?;
        let err = self.console.err.try_clone()?;
        self.console.close()?;
        let this = &*self;
        let look = Look {
            fold: Box::new(|set| this.fold(set)),
            gateways: tree.map(|tree| {
                let open = tree.open.clone();
                Arc::new(move || open.list()) as Gateways
            }),
            ..this.look(reasons, moved)
        };
        let live = look.form == Layout::Live && !look.progress;
        let mut clush = Clush::new(
            look,
            Arc::clone(&plan.nodes),
            &mut out,
            err,
            &this.site.scratch(),
        );
        let mut files = match live {
            true => this.files(plan)?,
            false => None,
        };
        let keys = this.interactive.then_some(&this.console.terminal_lock);
        let (summary, signal) = this
            .runtime
            .attend(keys, async |requests| {
                let running = async {
                    match &mut files {
                        Some(files) => {
                            let mut both = files.around(&mut clush);
                            dispatch(plan, executor, requests, &mut both).await
                        }
                        None => dispatch(plan, executor, requests, &mut clush).await,
                    }
                };
                tokio::select! {
                    biased;
                    node = stranded(tree) => {
                        Err(Failure::Named(format!("TREE MODE: No route available to {node}")))
                    }
                    summary = running => Ok(summary),
                }
            })
            .map_err(|error| Failure::Named(error.to_string()))?;
        let summary = summary?;
        let incomplete = clush.incomplete();
        drop(clush);
        out.flush()?;
        let ok = |(node, outcome): &(NodeId, Outcome)| {
            (*outcome == Outcome::OK).then(|| &**plan.name(*node))
        };
        let done = summary.outcomes.iter().filter_map(ok).collect();
        let end = self.end(summary, signal, incomplete.as_deref())?;
        Ok(Ended { end, done })
    }

    fn end(
        &mut self,
        summary: Summary,
        signal: Option<u8>,
        incomplete: Option<&str>,
    ) -> Result<End, Failure> {
        match summary.ending {
            Some(Ending::OutputLost(error)) => Err(Failure::Output(error)),
            Some(Ending::Stopped) => {
                let signal = signal.unwrap_or(INTERRUPT);
                match incomplete {
                    _ if signal != INTERRUPT => {}
                    Some(nodes) => self.console.complain(format_args!(
                        "Keyboard interrupt ({nodes} did not complete)."
                    )),
                    None => self.console.complain("Keyboard interrupt."),
                }
                Ok(End::Signal(signal))
            }
            Some(Ending::Deadline | Ending::Threshold(_)) | None => {
                let codes = summary.outcomes.iter().map(|(_, outcome)| code(outcome));
                Ok(End::Done(codes.max().unwrap_or(0)))
            }
        }
    }

    /// The files of `--outdir` and `--errdir`.
    fn files(&self, plan: &Plan) -> Result<Option<Files<'static>>, Failure> {
        let Options { outdir, errdir, .. } = &self.options;
        if outdir.is_none() && errdir.is_none() {
            return Ok(None);
        }
        let open = |folder: &Option<PathBuf>| {
            folder
                .as_deref()
                .map(|folder| outputs::folder(folder, &plan.nodes))
                .transpose()
                .map_err(|failed| Failure::system(&failed.error, &failed.path))
        };
        Ok(Some(Files::new(
            Arc::clone(&plan.nodes),
            open(outdir)?,
            open(errdir)?,
        )))
    }
}

/// Waits for a node that no gateway is left for: the original gives up then.
async fn stranded(tree: Option<&Tree>) -> String {
    match tree {
        Some(tree) => tree.notices.stranded().await,
        None => std::future::pending().await,
    }
}

/// The exit code that an outcome is for `-S`.
fn code(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Failed(failure) if failure.code == ErrorCode::TimeoutCommand => 255,
        Outcome::Failed(_) | Outcome::Exited { .. } | Outcome::Killed { .. } => outcome.status(),
    }
}
