//! A question before much is changed: whoever starts a run on many nodes types how many they are.

use super::context::{Context, Fleet};
use super::error::CliError;
use crate::prompt::{Echo, Prompter};
use crate::report::text::Count;

/// Asks, if the configuration wants that for so many nodes and `--yes` has not answered already.
///
/// # Errors
/// Another answer than the number of nodes, none, or nobody to ask: exit code 4, and nothing was contacted.
pub(super) fn confirm(
    context: &mut Context<'_>,
    fleet: &Fleet,
    what: &str,
) -> Result<(), CliError> {
    let Some(limit) = context.config()?.values.confirm_above else {
        return Ok(());
    };
    let count = fleet.plan.nodes.len();
    if count <= limit || context.care.yes {
        return Ok(());
    }
    let person = context.person()?;
    let question = format!(
        "{} ({}): {what}\nType the number of nodes to go on: ",
        fleet.nodes,
        Count(count, "node")
    );
    let answer = fleet.engine.block_on(async |signals| {
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
