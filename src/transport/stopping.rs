//! How a command is asked to end: interrupted, a grace later terminated, another later given up.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::NodeIo;
use crate::event::Stop;

/// How long a command may take to end after each step.
const GRACE: Duration = Duration::from_secs(1);

/// What to do about a command next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Send it `INT`.
    Interrupt,
    /// Send it `TERM`.
    Terminate,
    /// Leave it, or kill it if it is ours.
    GiveUp,
}

/// Where a command is on its way to the end.
#[derive(Debug, Default)]
pub(super) struct Stopping {
    steps: u32,
    /// When the grace after the last step ends.
    until: Option<Instant>,
}

impl Stopping {
    /// Whether it was asked to end.
    pub(super) fn asked(&self) -> bool {
        self.steps > 0
    }

    /// The next step, the first when stopping is asked for; the last one at once when nobody asks any more. May be
    /// dropped and called again while it waits.
    pub(super) async fn next(&mut self, io: &mut NodeIo) -> Step {
        match self.until {
            None => io.stopped(Stop::Terminate).await,
            Some(until) => tokio::select! {
                () = io.stopped(Stop::Kill) => {}
                () = sleep_until(until) => {}
            },
        }
        self.steps += 1;
        self.until = Some(Instant::now() + GRACE);
        match self.steps {
            _ if *io.stop.borrow() >= Stop::Kill => Step::GiveUp,
            1 => Step::Interrupt,
            2 => Step::Terminate,
            _ => Step::GiveUp,
        }
    }
}
