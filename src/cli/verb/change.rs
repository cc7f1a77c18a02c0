//! `enable`, `disable`, `drain` and `weight`: a change on all load balancers, with proof.

use std::io::Write as _;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::VerbArgs;
use crate::cli::again::again;
use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::cli::haproxy::notes::{self, Words};
use crate::cli::ledger::{About, Log};
use crate::cli::resolve::{Invocation, Job, sockets};
use crate::cli::task::{Effect, Request, Task};
use crate::config::parse_limit;
use crate::exec::change::{Order, Resources, What, change};
use crate::haproxy::change::Wanted;
use crate::haproxy::command::Weight;
use crate::haproxy::select::Selector;
use crate::haproxy::state::AdminWord;
use crate::report::Table;
use crate::work::haproxy::Sockets;
use crate::work::haproxy::change::{Goal, Then};

/// How long `enable` waits for full health, unless told otherwise.
pub(super) const HEALTH: Duration = Duration::from_secs(30);

/// How long a drain that is to be followed by something waits, unless told otherwise.
const SESSIONS: Duration = Duration::from_secs(300);

/// What all changes take.
#[derive(Debug, Clone, Default, Args)]
pub struct ChangeFlags {
    /// Even if a backend keeps no usable server
    #[arg(long)]
    pub force: bool,
    /// On the nodes that can be reached and have the servers, if some cannot or have not
    #[arg(long)]
    pub partial_ok: bool,
    /// If it fails on some node, give all of them back what they had
    #[arg(long)]
    pub rollback: bool,
    /// Why; goes into the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Arguments of `enable`.
#[derive(Debug, Args)]
pub struct EnableArgs {
    /// Which servers, as [BACKEND/]SERVER with node-set brackets, * and ?
    #[arg(value_name = "SEL", required = true)]
    pub select: Vec<String>,
    /// Wait so long for full health [30s]
    #[arg(long, value_name = "TIME", value_parser = parse_limit, conflicts_with = "no_wait")]
    pub wait: Option<Duration>,
    /// Do not wait for health
    #[arg(long)]
    pub no_wait: bool,
    /// Options of every change
    #[command(flatten)]
    pub flags: ChangeFlags,
}

/// Arguments of `disable`.
#[derive(Debug, Args)]
pub struct DisableArgs {
    /// Which servers, as [BACKEND/]SERVER with node-set brackets, * and ?
    #[arg(value_name = "SEL", required = true)]
    pub select: Vec<String>,
    /// Options of every change
    #[command(flatten)]
    pub flags: ChangeFlags,
}

/// What comes after a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum After {
    /// Maintenance once nobody is left; else it stays in drain
    Disable,
    /// Maintenance; who is left when the time is up is cut off
    Kill,
}

/// Arguments of `drain`.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// Which servers, as [BACKEND/]SERVER with node-set brackets, * and ?
    #[arg(value_name = "SEL", required = true)]
    pub select: Vec<String>,
    /// Wait so long for the last session to end [with --then: 5m, else not at all]
    #[arg(long, value_name = "TIME", value_parser = parse_limit)]
    pub wait: Option<Duration>,
    /// What to do after the wait
    #[arg(long, value_name = "WHAT")]
    pub then: Option<After>,
    /// Options of every change
    #[command(flatten)]
    pub flags: ChangeFlags,
}

/// Arguments of `weight`.
#[derive(Debug, Args)]
pub struct WeightArgs {
    /// Which servers, as [BACKEND/]SERVER, and behind them the weight: 0 to 256, or a percentage of the one in the file
    #[arg(value_names = ["SEL", "WEIGHT"], required = true, num_args = 2..)]
    pub words: Vec<String>,
    /// Options of every change
    #[command(flatten)]
    pub flags: ChangeFlags,
}

impl VerbArgs for EnableArgs {
    fn request(self) -> Result<Request, CliError> {
        let goal = if self.no_wait {
            Goal::Set
        } else {
            Goal::Healthy(self.wait.unwrap_or(HEALTH))
        };
        let wanted = Wanted::State(AdminWord::Ready);
        request(("enable", wanted, goal), self.select, self.flags)
    }
}

impl VerbArgs for DisableArgs {
    fn request(self) -> Result<Request, CliError> {
        let wanted = Wanted::State(AdminWord::Maint);
        request(("disable", wanted, Goal::Set), self.select, self.flags)
    }
}

impl VerbArgs for DrainArgs {
    fn request(self) -> Result<Request, CliError> {
        let then = match self.then {
            None => Then::Stay,
            Some(After::Disable) => Then::Disable,
            Some(After::Kill) => Then::Kill,
        };
        let goal = match (self.wait, then) {
            (None, Then::Stay) => Goal::Set,
            (wait, then) => Goal::Idle(wait.unwrap_or(SESSIONS), then),
        };
        let wanted = if self.flags.force {
            Wanted::State(AdminWord::Drain)
        } else {
            Wanted::AtLeast(AdminWord::Drain)
        };
        request(("drain", wanted, goal), self.select, self.flags)
    }
}

impl VerbArgs for WeightArgs {
    fn request(self) -> Result<Request, CliError> {
        let mut select = self.words;
        let weight = select.pop().unwrap_or_default();
        let weight: Weight = weight
            .parse()
            .map_err(|error| CliError::usage(format!("{error}")))?;
        let wanted = Wanted::Weight(weight);
        request(("weight", wanted, Goal::Set), select, self.flags)
    }
}

fn request(
    (verb, wanted, goal): (&'static str, Wanted, Goal),
    select: Vec<String>,
    flags: ChangeFlags,
) -> Result<Request, CliError> {
    Ok(Request::Nodes(Box::new(Change {
        verb,
        wanted,
        goal,
        selectors: sockets::selectors(&select)?,
        select,
        flags,
    })))
}

/// Makes a change and shows what became of it.
struct Change {
    verb: &'static str,
    wanted: Wanted,
    goal: Goal,
    select: Vec<String>,
    selectors: Vec<Selector>,
    flags: ChangeFlags,
}

impl Task for Change {
    fn what(&self) -> String {
        format!("{} {}", self.verb, self.select.join(" "))
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn selectors(&self) -> &[String] {
        &self.select
    }

    fn reads_ahead(&self) -> bool {
        true
    }

    fn check(&mut self, asked: Invocation<'_>) -> Result<(), CliError> {
        sockets::masters(asked)?;
        sockets::sockets(asked).map(drop)
    }

    fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError> {
        let Self {
            verb,
            wanted,
            goal,
            selectors,
            flags,
            ..
        } = *self;
        let making = Making {
            what: What::Alike(wanted, selectors),
            goal,
            sockets: sockets::sockets(job.asked)?,
            canary: wanted == Wanted::State(AdminWord::Maint),
            may_miss: false,
        };
        let about = About {
            verb,
            ..About::default()
        };
        make(job, making, about, flags)
    }
}

/// What is to be made.
pub(super) struct Making {
    pub(super) what: What,
    pub(super) goal: Goal,
    pub(super) sockets: Sockets,
    /// One node goes first.
    pub(super) canary: bool,
    /// A node without any of the servers has nothing to do.
    pub(super) may_miss: bool,
}

/// Makes a change on the nodes of a job and shows what became of it. Returns the exit code.
pub(super) fn make(
    job: &mut Job<'_>,
    making: Making,
    about: About,
    flags: ChangeFlags,
) -> Result<u8, CliError> {
    let called = job.asked.called;
    let (site, options) = (job.asked.site, job.asked.options);
    let is_dry = options.care.dry_run.is_some();
    let about = About {
        reason: flags.reason,
        lab: options.targets.lab,
        ..about
    };
    let verb = about.verb;
    let mut log = Log::new(site.values()?, &site.environment, about);
    let again = again(called, options);
    let words = Words {
        again: again.clone(),
        force: "--force drains them all the same".to_owned(),
    };
    let order = Order {
        what: making.what,
        goal: making.goal,
        sockets: making.sockets,
        masters: sockets::masters(job.asked)?,
        force: flags.force,
        force_hint: "--force does it all the same".to_owned(),
        partial_ok: flags.partial_ok,
        rollback: flags.rollback,
        canary: making.canary,
        may_miss: making.may_miss,
        dry_run: is_dry,
    };
    let err = job.console.err.try_clone();
    let err = err.map_err(|error| CliError::system(error.to_string()))?;
    job.look.rows = Some(Table::CHANGES);
    let (done, signal) = job.show(async |planned, requests, reporter| {
        let resources = Resources {
            plan: planned.plan,
            transport: &*planned.reached.transport,
            stops: requests.stops,
            ledger: &mut log,
            reporter,
            note: &mut |note| {
                for line in notes::lines(&note, &words) {
                    // Nothing can be done if that fails.
                    let _ = writeln!(&err, "{called}: {line}");
                }
            },
        };
        change(order, resources).await
    })?;
    if is_dry {
        job.console
            .complain(format_args!("{called}: dry run: nothing was changed"));
    } else if done.made && !options.show.quiet {
        let undo = done.id.filter(|_| verb != "undo");
        let undo = undo.map(|id| format!("; to take it back: {again} undo {id}"));
        job.console.complain(format_args!(
            "{called}: note: HAProxy forgets this at its next reload or restart{}",
            undo.unwrap_or_default()
        ));
    }
    Ok(job.judge(&done.summary, Statuses::Command, signal))
}
