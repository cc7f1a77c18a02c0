//! How long a gateway is believed that something is still going on: our own limits, with some time for its words.

use std::time::Duration;

use tokio::time::Instant;

use super::talk::INSTALL;
use super::{Gateways, SILENCE};
use crate::event::{ErrorCode, Failure};
use crate::plan::{self, Plan};

/// How long the word of what became of a node may take beyond the limits that the gateway keeps itself.
pub(super) const MARGIN: Duration = Duration::from_secs(5);

/// What holds for the nodes of one gateway.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From the permission to begin until the command runs; `None` without a limit.
    connecting: Option<Duration>,
    command: Option<Duration>,
    idle: Option<Duration>,
    /// How long it may take to begin with the first node.
    pub(super) setup: Duration,
}

impl Limits {
    pub(super) fn new(gateways: &Gateways, plan: &Plan, gateway: &str) -> Self {
        let limits = &plan.limits;
        let tries = plan.tolerance.retries.saturating_add(1);
        // Between two tries is a pause of at most half a minute.
        let pauses = Duration::from_secs(30).saturating_mul(tries - 1);
        let connecting = once(limits).map(|once| once.saturating_mul(tries).saturating_add(pauses));
        Self {
            connecting,
            command: limits.command,
            idle: limits.idle,
            setup: SILENCE.saturating_add(setup(gateways, limits, gateway)),
        }
    }

    /// Why a node that was begun is overdue, if it is.
    pub(super) fn passed(&self, since: Instant, heard: Instant, now: Instant) -> Option<Failure> {
        let connecting = self.connecting?;
        let since = now.saturating_duration_since(since);
        let silent = now.saturating_duration_since(heard);
        let is_over = |time: Duration, limit: Duration| {
            let limits = [connecting, limit, MARGIN];
            time > limits
                .into_iter()
                .fold(Duration::ZERO, Duration::saturating_add)
        };
        let failure = |code, text: &str, limit: Duration| {
            let seconds = limit.as_secs_f64();
            let text = format!("{text} {seconds}s; the command may still be running");
            Some(Failure::new(code, text))
        };
        match (self.command, self.idle) {
            (Some(limit), _) if is_over(since, limit) => {
                failure(ErrorCode::TimeoutCommand, "timed out after", limit)
            }
            (_, Some(limit)) if is_over(silent, limit) => {
                failure(ErrorCode::TimeoutIdle, "silent for", limit)
            }
            _ => None,
        }
    }
}

/// The longest that a single try to reach a node may take.
fn once(limits: &plan::Limits) -> Option<Duration> {
    Some(limits.connect?.saturating_add(limits.authenticate?))
}

/// The longest that it may take until the gateways below this one are there.
fn setup(gateways: &Gateways, limits: &plan::Limits, gateway: &str) -> Duration {
    let levels = gateways.topology.gateways_below(gateway).len();
    let levels = u32::try_from(levels).unwrap_or(u32::MAX);
    let install = gateways
        .install
        .as_ref()
        .map_or(Duration::ZERO, |_| INSTALL);
    let greeting = limits.connect.unwrap_or(SILENCE);
    let once = once(limits).unwrap_or(SILENCE);
    let each = once.saturating_add(greeting).saturating_add(install);
    each.saturating_mul(levels)
}

/// How long a gateway may take to say whether a node could be reached; `None` without a limit.
pub(super) fn connecting(
    gateways: &Gateways,
    limits: &plan::Limits,
    gateway: &str,
) -> Option<Duration> {
    let once = once(limits)?.saturating_add(MARGIN);
    Some(once.saturating_add(setup(gateways, limits, gateway)))
}
