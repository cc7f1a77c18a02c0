//! `status`: the states of the servers on all load balancers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;

use super::VerbArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::cli::resolve::{Invocation, Job, sockets};
use crate::cli::task::{Request, Task};
use crate::haproxy::select::Selector;
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
#[derive(Debug)]
struct Show {
    args: StatusArgs,
    selectors: Vec<Selector>,
}

impl VerbArgs for StatusArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(Request::Nodes(Box::new(Show {
            selectors: sockets::selectors(&self.select)?,
            args: self,
        })))
    }
}

impl Task for Show {
    fn what(&self) -> String {
        if self.args.select.is_empty() {
            "show all servers".to_owned()
        } else {
            format!("show {}", self.args.select.join(" "))
        }
    }

    fn selectors(&self) -> &[String] {
        &self.args.select
    }

    fn check(&mut self, asked: Invocation<'_>) -> Result<(), CliError> {
        sockets::sockets(asked).map(drop)
    }

    fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError> {
        let Self { args, selectors } = *self;
        let sockets = sockets::sockets(job.asked)?;
        let mut work = Status::new(Arc::clone(&job.plan.nodes), sockets, selectors);
        work.only_bad = args.bad;
        work.long = args.long;
        work.ignore_unresolved = args.ignore_unresolved;
        let code = job.run(&work, Statuses::Monitoring)?;
        if work.several_processes.load(Ordering::Relaxed) {
            job.warn("HAProxy runs in several processes (nbproc), and only one of them answers");
        }
        Ok(code)
    }
}
