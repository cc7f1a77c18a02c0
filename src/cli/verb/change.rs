//! `enable`, `disable`, `drain` and `weight`: a change on all load balancers, with proof.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::cli::haproxy::notes;
use crate::cli::ledger::Log;
use crate::config::parse_limit;
use crate::exec::change::{Order, Resources, change};
use crate::haproxy::change::Wanted;
use crate::haproxy::command::Weight;
use crate::haproxy::state::AdminWord;
use crate::report;
use crate::work::haproxy::change::{Goal, Then};

/// How long `enable` waits for full health, unless told otherwise.
const HEALTH: Duration = Duration::from_secs(30);

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

/// Puts servers into service.
pub(crate) fn enable(args: &EnableArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    let goal = if args.no_wait {
        Goal::Set
    } else {
        Goal::Healthy(args.wait.unwrap_or(HEALTH))
    };
    let wanted = Wanted::State(AdminWord::Ready);
    make(("enable", wanted, goal), &args.select, &args.flags, context)
}

/// Takes servers out of service.
pub(crate) fn disable(args: &DisableArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    let wanted = Wanted::State(AdminWord::Maint);
    make(
        ("disable", wanted, Goal::Set),
        &args.select,
        &args.flags,
        context,
    )
}

/// Lets servers have no new clients.
pub(crate) fn drain(args: &DrainArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    let then = match args.then {
        None => Then::Stay,
        Some(After::Disable) => Then::Disable,
        Some(After::Kill) => Then::Kill,
    };
    let goal = match (args.wait, then) {
        (None, Then::Stay) => Goal::Set,
        (wait, then) => Goal::Idle(wait.unwrap_or(SESSIONS), then),
    };
    let wanted = Wanted::State(AdminWord::Drain);
    make(("drain", wanted, goal), &args.select, &args.flags, context)
}

/// Gives servers another weight.
pub(crate) fn weight(args: &WeightArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    let Some((weight, select)) = args.words.split_last() else {
        return Err(CliError::usage("no server and no weight"));
    };
    let weight: Weight = weight
        .parse()
        .map_err(|error| CliError::usage(format!("{error}")))?;
    let wanted = Wanted::Weight(weight);
    make(("weight", wanted, Goal::Set), select, &args.flags, context)
}

/// Makes a change and shows what became of it.
fn make(
    (verb, wanted, goal): (&'static str, Wanted, Goal),
    select: &[String],
    flags: &ChangeFlags,
    context: &mut Context<'_>,
) -> Result<u8, CliError> {
    let selectors = context.selectors(select)?;
    let sockets = context.sockets()?;
    context.refuse_shrunken_glob()?;
    if context.care.dry_run {
        let nodes = context.nodes()?;
        // What cannot be written is told when the console is closed.
        let _ = writeln!(context.console.out, "{nodes}: {verb} {}", select.join(" "));
        context.console.complain("dry run: nothing was contacted");
        return Ok(0);
    }
    let values = context.config()?.values.clone();
    let mut log = Log::new(&values, &context.environment, verb, flags.reason.clone());
    let fleet = context.fleet()?;
    let order = Order {
        wanted,
        goal,
        selectors,
        sockets,
        force: flags.force,
        force_hint: "--force does it all the same",
        partial_ok: flags.partial_ok,
        rollback: flags.rollback,
        canary: wanted == Wanted::State(AdminWord::Maint),
        may_miss: false,
    };
    let look = context.look()?;
    let scratch = context.scratch();
    let called = context.called;
    let console = &mut *context.console;
    let (mut done, signal) = fleet.engine.block_on(async |signals| {
        let resources = Resources {
            plan: &fleet.plan,
            transport: &*fleet.transport,
            stops: &mut signals.stops,
            ledger: &mut log,
            note: &mut |note| {
                for line in notes::lines(&note) {
                    console.complain(format_args!("{called}: {line}"));
                }
            },
        };
        let done = change(order, resources).await;
        (done, signals.first())
    })?;
    let names = Arc::clone(&fleet.plan.nodes);
    let mut reporter = report::new(&look, names, &mut console.out, &mut console.err, &scratch);
    let shown = done.show(&mut *reporter);
    drop(reporter);
    if let Err(error) = shown {
        done.summary
            .ending
            .get_or_insert(crate::event::Ending::OutputLost(error));
    }
    if done.wrote
        && matches!(wanted, Wanted::State(AdminWord::Maint | AdminWord::Drain))
        && !context.show.quiet
    {
        context.console.complain(format_args!(
            "{called}: note: HAProxy forgets this at its next reload or restart"
        ));
    }
    Ok(context.code(&done.summary, Statuses::Command, signal))
}
