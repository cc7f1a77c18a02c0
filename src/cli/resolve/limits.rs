//! How many nodes are at work at one time, and how long anything may take.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::Invocation;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::config::Limit;
use crate::plan::{Limits, Plan};
use crate::transport::raise_file_limit;

/// Files that are open beside those of the nodes.
const OWN_FILES: usize = 64;

/// The time limits: of the command line, else of the configuration.
///
/// # Errors
/// A configuration that cannot be used.
pub fn limits(asked: Invocation<'_>) -> Result<Limits, CliError> {
    let (reach, values) = (&asked.options.reach, asked.site.values()?);
    let pick = |option: Option<Duration>, configured: Option<Limit>| {
        option.map(Limit).or(configured).and_then(Limit::get)
    };
    Ok(Limits {
        connect: pick(reach.connect_timeout, values.connect_timeout),
        authenticate: pick(None, values.auth_timeout),
        idle: pick(reach.idle, values.idle_timeout),
        command: pick(reach.command_timeout, values.command_timeout),
        deadline: pick(reach.deadline, values.deadline),
    })
}

/// The fanout: of the command line, else of the configuration, and no more than the open files allow.
///
/// # Errors
/// A configuration that cannot be used.
pub fn fanout(asked: Invocation<'_>, console: &mut Console) -> Result<NonZeroUsize, CliError> {
    let fanout = match asked.options.reach.fanout {
        Some(fanout) => fanout,
        None => asked.site.values()?.fanout.unwrap_or(NonZeroUsize::MIN),
    };
    Ok(affordable(fanout, asked.called, console))
}

/// A fanout that the limit of open files allows: one file a node at work.
pub fn affordable(fanout: NonZeroUsize, called: &str, console: &mut Console) -> NonZeroUsize {
    let files = raise_file_limit();
    let most = NonZeroUsize::new(files.saturating_sub(OWN_FILES)).unwrap_or(NonZeroUsize::MIN);
    if fanout > most {
        console.complain(format_args!(
            "{called}: warning: fanout {fanout} needs more open files than the limit of {files} allows; using {most}"
        ));
    }
    fanout.min(most)
}

/// How many sessions may be kept beside those of the nodes at work: one open file each.
#[must_use]
pub fn spare_sessions(plan: &Plan) -> usize {
    raise_file_limit()
        .saturating_sub(OWN_FILES)
        .saturating_sub(plan.fanout.get())
}
