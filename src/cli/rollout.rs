//! How a command is rolled out over its nodes: in batches, behind a gate, with a tolerated number of failures.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::config::parse_limit;
use crate::event::Summary;
use crate::exec::batch::Gate;
use crate::plan::Tolerance;
use crate::transport::BoxFuture;

/// The options of a roll-out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Roll-out")]
pub(crate) struct Rollout {
    /// Sizes of the batches, one after another: 2, 10%, or a list such as 1,10%,100%
    #[arg(long, value_name = "N|N%|LIST")]
    batch: Option<BatchSizes>,
    /// Pause between two batches
    #[arg(long, value_name = "TIME", value_parser = parse_limit, requires = "batch")]
    batch_sleep: Option<Duration>,
    /// A command here that decides between two batches: anything but success ends the run
    #[arg(long, value_name = "COMMAND", requires = "batch")]
    gate: Option<String>,
    /// Begin no further node once more than this many have failed
    #[arg(long, value_name = "N|N%")]
    max_fail: Option<Share>,
    /// Begin no further node once more than this many could not be reached
    #[arg(long, value_name = "N|N%")]
    max_unreachable: Option<Share>,
    /// Try a failed connection again, at most N times; what was begun is never repeated
    #[arg(long, value_name = "N", value_parser = times)]
    retry: Option<u32>,
}

impl Rollout {
    /// The options given in front of the verb with those behind it.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            batch: self.batch.or(other.batch),
            batch_sleep: self.batch_sleep.or(other.batch_sleep),
            gate: self.gate.or(other.gate),
            max_fail: self.max_fail.or(other.max_fail),
            max_unreachable: self.max_unreachable.or(other.max_unreachable),
            retry: self.retry.or(other.retry),
        }
    }

    /// The sizes of the batches for this many nodes; empty for one batch of all.
    pub(super) fn sizes(&self, nodes: usize) -> Vec<usize> {
        self.batch
            .iter()
            .flat_map(|batch| &batch.0)
            .map(|share| share.of(nodes).max(1))
            .collect()
    }

    /// The pause between two batches.
    pub(super) fn pause(&self) -> Duration {
        self.batch_sleep.unwrap_or_default()
    }

    /// What is tolerated, for this many nodes.
    pub(super) fn tolerance(&self, nodes: usize) -> Tolerance {
        Tolerance {
            retries: self.retry.unwrap_or(0),
            failed: self.max_fail.map(|share| share.of(nodes)),
            unreached: self.max_unreachable.map(|share| share.of(nodes)),
        }
    }

    /// The command that decides between two batches.
    pub(super) fn gate(&self) -> Option<CommandGate> {
        self.gate.clone().map(CommandGate)
    }
}

/// How often.
fn times(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "expected a number".to_owned())
}

/// A number of nodes, or a share of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    Nodes(usize),
    Percent(usize),
}

impl Share {
    /// A number of nodes; a share is rounded down.
    fn of(self, nodes: usize) -> usize {
        match self {
            Self::Nodes(count) => count,
            Self::Percent(percent) => nodes.saturating_mul(percent) / 100,
        }
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is neither a number of nodes nor a percentage such as 10%");
        match text.strip_suffix('%') {
            None => text.parse().map(Self::Nodes).map_err(|_| wrong()),
            Some(percent) => match percent.parse() {
                Ok(percent @ 0..=100) => Ok(Self::Percent(percent)),
                _ => Err(wrong()),
            },
        }
    }
}

/// The sizes of batches, one after another; the last one serves for all that remain.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BatchSizes(Vec<Share>);

impl FromStr for BatchSizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sizes: Vec<Share> = text
            .split(',')
            .map(|one| one.trim().parse())
            .collect::<Result<_, _>>()?;
        if sizes
            .iter()
            .any(|size| matches!(size, Share::Nodes(0) | Share::Percent(0)))
        {
            return Err("a batch of no nodes".to_owned());
        }
        Ok(Self(sizes))
    }
}

/// A command on this machine as a gate. It finds in `HASH_DONE`, `HASH_FAILED` and `HASH_UNREACHED` how many nodes ended
/// how so far.
#[derive(Debug)]
pub(super) struct CommandGate(String);

impl Gate for CommandGate {
    fn pass<'a>(&'a self, so_far: &'a Summary) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let (failed, unreached) = so_far.failures();
            let status = tokio::process::Command::new("/bin/sh")
                .arg("-c")
                .arg(&self.0)
                .env("HASH_DONE", so_far.outcomes.len().to_string())
                .env("HASH_FAILED", failed.to_string())
                .env("HASH_UNREACHED", unreached.to_string())
                .stdin(std::process::Stdio::null())
                .kill_on_drop(true)
                .status()
                .await
                .map_err(|error| format!("the gate cannot be run: {error}"))?;
            if status.success() {
                Ok(())
            } else {
                Err(format!("the gate did not open ({status})"))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_and_shares() {
        let rollout = |text: &str| Rollout {
            batch: Some(text.parse().unwrap()),
            ..Rollout::default()
        };
        assert_eq!(rollout("1,10%,100%").sizes(50), [1, 5, 50]);
        assert_eq!(rollout("1%").sizes(50), [1], "never an empty batch");
        assert!(Rollout::default().sizes(50).is_empty());
        for bad in ["0", "0%", "101%", "x", "1,,2", "-1", ""] {
            assert!(bad.parse::<BatchSizes>().is_err(), "{bad}");
        }
        let none: Share = "0".parse().unwrap();
        assert_eq!(none.of(50), 0);
    }
}
