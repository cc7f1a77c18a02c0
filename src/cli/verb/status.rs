//! `status`: the states of the servers on all load balancers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, ValueEnum};

use super::VerbArgs;
use crate::answer::Form;
use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::cli::resolve::{Invocation, Job, sockets};
use crate::cli::task::{Request, Task};
use crate::haproxy::select::Selector;
use crate::haproxy::usable::{NoState, StateWord};
use crate::report::Table;
use crate::work::haproxy::status::{Shown, Sort, Status};

/// Arguments of `status`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own on the command line"
)]
pub struct StatusArgs {
    /// Which servers, as [BACKEND/]SERVER with node-set brackets, * and ? [all]
    #[arg(value_name = "SEL")]
    pub select: Vec<String>,
    /// Only servers that are not in service, or are not usable all the same; prints nothing when there are none
    #[arg(long)]
    pub bad: bool,
    /// Only servers in this state: running, starting, stopping, stopped, ready, drain, maint, both as in stopped/maint,
    /// up, down, usable, unusable; several with commas
    #[arg(long, value_name = "WORD", value_delimiter = ',', value_parser = state)]
    pub state: Vec<StateWord>,
    /// With the reason, the weight, the sessions and the check
    #[arg(long)]
    pub long: bool,
    /// One line for the servers of a backend in the same state, as web/web-[1-40]: RUNNING/READY
    #[arg(long, conflicts_with = "long")]
    pub fold: bool,
    /// One line a backend: usable of all, in maintenance, down
    #[arg(long, conflicts_with_all = ["long", "fold", "bad", "state"])]
    pub summary: bool,
    /// Only servers that are not the same on all nodes, with each side; exit code 2 when there are any
    #[arg(long, conflicts_with_all = ["long", "fold", "summary", "bad", "state", "sort"])]
    pub disagree: bool,
    /// Sort by name, state (what is out first), weight or sessions [name]
    #[arg(long, value_name = "KEY", num_args = 0..=1, require_equals = true, default_missing_value = "name")]
    pub sort: Option<SortKey>,
    /// Leave out servers that only have no address (slots of a server-template)
    #[arg(long)]
    pub ignore_unresolved: bool,
}

/// What `--sort` sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SortKey {
    /// Backend and server, numbers by their value.
    Name,
    /// What is out first.
    State,
    /// The heaviest first.
    Weight,
    /// Most sessions first.
    Sessions,
}

fn state(word: &str) -> Result<StateWord, NoState> {
    word.parse()
}

impl StatusArgs {
    fn shown(&self) -> Shown {
        Shown {
            only_bad: self.bad,
            states: self.state.clone(),
            sort: self.sort.map(|key| match key {
                SortKey::Name => Sort::Name,
                SortKey::State => Sort::State,
                SortKey::Weight => Sort::Weight,
                SortKey::Sessions => Sort::Sessions,
            }),
            form: match (self.long, self.fold, self.summary) {
                (true, ..) => Form::Long,
                (_, true, _) => Form::Fold,
                (.., true) => Form::Summary,
                (false, false, false) => Form::Plain,
            },
        }
    }
}

/// Shows the servers; exit code 2 when something is amiss with one.
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
        let show = &asked.options.show;
        if self.args.disagree && (show.diff || show.normalize) {
            let refused = "--disagree compares servers, --diff and --normalize compare text";
            return Err(CliError::usage(refused).hint("use one of them"));
        }
        sockets::sockets(asked).map(drop)
    }

    fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError> {
        let Self { args, selectors } = *self;
        let sockets = sockets::sockets(job.asked)?;
        let mut work = Status::new(Arc::clone(&job.plan.nodes), sockets, selectors);
        work.shown = args.shown();
        work.ignore_unresolved = args.ignore_unresolved;
        let differ = Arc::new(AtomicBool::new(false));
        job.look.disagree = args.disagree.then(|| Arc::clone(&differ));
        job.look.rows = Some(Table::SERVERS);
        let code = job.run(&work, Statuses::Monitoring)?;
        if work.several_processes.load(Ordering::Relaxed) {
            job.warn("HAProxy runs in several processes (nbproc), and only one of them answers");
        }
        // That all are in service does not make them the same: weights may differ, or a server be missing.
        let is_whole = code == 0 && differ.load(Ordering::Relaxed);
        Ok(if is_whole { NOT_ALIKE } else { code })
    }
}

/// The exit code when load balancers differ, which is that of a server that has something amiss.
const NOT_ALIKE: u8 = 2;
