//! What `map`, `acl` and `cert` have in common when they change something: their options, and the way through the engine.

use std::io::Write as _;

use clap::Args;

use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::cli::ledger::{About, Log};
use crate::cli::resolve::Job;
use crate::exec::transaction::{Manner, Resources, Subject, replace};
use crate::report::Table;
use crate::work::haproxy::transaction::Transaction;

/// What all of these changes take.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ContentFlags {
    /// Leave the file on the nodes as it is: the next reload of HAProxy forgets the change
    #[arg(long)]
    pub(super) runtime_only: bool,
    /// Whatever the guard says
    #[arg(long)]
    pub(super) force: bool,
    /// On the nodes that can be read, if some cannot
    #[arg(long)]
    pub(super) partial_ok: bool,
    /// Why; goes into the audit log
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// How it is spoken of.
pub(super) struct Words {
    /// The verb with its action.
    pub(super) verb: &'static str,
    /// How the guard is lifted.
    pub(super) force: &'static str,
}

/// Replaces a content on all nodes. Returns the exit code.
///
/// # Errors
/// When it could not begin.
pub(super) fn perform<O: Subject>(
    transaction: &Transaction<O>,
    words: &Words,
    flags: ContentFlags,
    job: &mut Job<'_>,
) -> Result<u8, CliError> {
    let (called, site) = (job.asked.called, job.asked.site);
    let dry_run = job.asked.options.care.dry_run.is_some();
    let about = About {
        verb: words.verb,
        reason: flags.reason,
        lab: job.asked.options.targets.lab,
        ..About::default()
    };
    let mut log = Log::new(site.values()?, &site.environment, about);
    let manner = Manner {
        force: flags.force,
        partial_ok: flags.partial_ok,
        dry_run,
        force_hint: words.force.to_owned(),
    };
    let err = job.console.err.try_clone();
    let err = err.map_err(|error| CliError::system(error.to_string()))?;
    job.look.rows = Some(Table::CONTENTS);
    let (done, signal) = job.show(async |planned, requests, reporter| {
        let with = Resources {
            plan: planned.plan,
            transport: &*planned.reached.transport,
            stops: requests.stops,
            ledger: &mut log,
            reporter,
            note: &mut |line| {
                // Nothing can be done if that fails.
                let _ = writeln!(&err, "{called}: {line}");
            },
        };
        replace(transaction, manner, with).await
    })?;
    if dry_run {
        job.console
            .complain(format_args!("{called}: dry run: nothing was changed"));
    }
    if done.made && flags.runtime_only && !job.asked.options.show.quiet {
        job.console.complain(format_args!(
            "{called}: note: the file on the nodes is as it was: HAProxy forgets this at its next reload or restart"
        ));
    }
    Ok(job.judge(&done.summary, Statuses::Command, signal))
}
