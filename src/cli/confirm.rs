//! A question before much is changed: whoever starts a run on many nodes types how many they are.

use super::error::CliError;
use super::resolve::{Job, reach};
use super::runtime::Runtime;
use crate::prompt::{Echo, Prompter};
use crate::report::text::Count;

/// Asks, if the configuration wants that for so many nodes and `--yes` has not answered already.
///
/// # Errors
/// Another answer than the number of nodes, none, or nobody to ask: exit code 4, and nothing was contacted.
pub(super) fn confirm(job: &mut Job<'_>, what: &str) -> Result<(), CliError> {
    let asked = job.asked;
    let Some(limit) = asked.site.values()?.confirm_above else {
        return Ok(());
    };
    let count = job.plan.nodes.len();
    if count <= limit || asked.options.care.yes {
        return Ok(());
    }
    let person = reach::person(asked.called, job.console)?;
    let question = format!(
        "{} ({}): {what}\nType the number of nodes to go on: ",
        job.nodes,
        Count(count, "node")
    );
    let answer = Runtime::start()?.block_on(async |signals| {
        tokio::select! {
            biased;
            _ = signals.stops.recv() => None,
            answer = person.ask(&question, Echo::Shown) => answer,
        }
    })?;
    let refused = |why: &str| {
        Err(CliError::refused(format!(
            "{} (confirm_above = {limit}), and {why}; nothing was contacted",
            Count(count, "node")
        ))
        .hint("--yes answers"))
    };
    match answer {
        Some(answer) if answer.trim().parse() == Ok(count) => Ok(()),
        Some(_) => refused("that is not their number"),
        None => refused("nobody confirmed it at a terminal"),
    }
}
