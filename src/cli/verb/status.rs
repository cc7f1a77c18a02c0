//! `status`: the states of the servers on all load balancers.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::work::haproxy::status::Status;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Which servers, as [BACKEND/]SERVER with node-set brackets, * and ? [all]
    #[arg(value_name = "SEL")]
    pub select: Vec<String>,
    /// Only servers that are not RUNNING/READY; prints nothing when there are none
    #[arg(long)]
    pub bad: bool,
    /// With the reason, the weight, the sessions and the check
    #[arg(long)]
    pub long: bool,
    /// Leave out servers that only have no address (slots of a server-template)
    #[arg(long)]
    pub ignore_unresolved: bool,
}

/// Shows the servers; exit code 2 when one is not RUNNING/READY.
pub(crate) fn run(args: &StatusArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    let selectors = context.selectors(&args.select)?;
    let sockets = context.sockets()?;
    if context.care.dry_run {
        let nodes = context.nodes()?;
        let what = if args.select.is_empty() {
            "all servers".to_owned()
        } else {
            args.select.join(" ")
        };
        // What cannot be written is told when the console is closed.
        let _ = writeln!(context.console.out, "{nodes}: show {what}");
        context.console.complain("dry run: nothing was contacted");
        return Ok(0);
    }
    let fleet = context.fleet()?;
    let mut work = Status::new(Arc::clone(&fleet.plan.nodes), sockets, selectors);
    work.only_bad = args.bad;
    work.long = args.long;
    work.ignore_unresolved = args.ignore_unresolved;
    let code = context.run(&fleet, &work, Statuses::Monitoring)?;
    if work.several_processes.load(Ordering::Relaxed) {
        context.console.complain(format_args!(
            "{}: warning: HAProxy runs in several processes (nbproc), and only one of them answers",
            context.called
        ));
    }
    Ok(code)
}
