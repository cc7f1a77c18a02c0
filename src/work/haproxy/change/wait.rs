//! What a change waits for: health, or the end of the last session, those of old workers too.

use std::time::Duration;

use tokio::sync::watch;

use super::{At, Change, Row, list};
use crate::event::Stop;
use crate::haproxy::change::Verdict;
use crate::haproxy::name::ServerName;
use crate::haproxy::reading::Reading;
use crate::transport::Session;

/// Between two looks at sessions; longer than a browser's next request usually takes.
pub(super) const DRAIN_POLL: Duration = Duration::from_secs(1);

/// Between two looks at health.
pub(super) const HEALTH_POLL: Duration = Duration::from_millis(250);

impl Change {
    pub(super) fn say_waiting(&self, at: At<'_>, text: Option<String>) {
        self.locked(at.node).waiting = text;
    }

    /// The rows whose health is not proven yet, in words.
    pub(super) fn settling(&self, at: At<'_>) -> Option<String> {
        let texts: Vec<String> = self.with_rows(at, |rows| {
            let settling = |row: &&mut Row| match &row.verdict {
                Some(Verdict::Settling(status)) => Some(format!("{} is {status}", row.before.name)),
                Some(Verdict::Done | Verdict::Wrong(_)) | None => None,
            };
            rows.iter().filter_map(settling).collect()
        });
        (!texts.is_empty()).then(|| list(&texts))
    }

    /// The sessions left on the rows, in words.
    pub(super) async fn busy(
        &self,
        at: At<'_>,
        session: &mut dyn Session,
        reading: &Reading,
    ) -> Option<String> {
        let names = self.names(at);
        let mut left: Vec<String> = names
            .iter()
            .filter_map(|name| reading.counters(name))
            .filter(|counters| !counters.is_idle())
            .map(|counters| match (counters.sessions, counters.queued) {
                (count, 0) => format!("{} has {}", counters.name, sessions(count)),
                (count, queued) => {
                    format!(
                        "{} has {} and {queued} queued",
                        counters.name,
                        sessions(count)
                    )
                }
            })
            .collect();
        if let Some(master) = &at.found.master {
            let pid = reading.info.pid;
            match master.carried(&self.asker, session, (pid, &names)).await {
                Ok(carried) => {
                    let counts = names.iter().zip(carried.sessions);
                    let counts = counts.filter(|(_, count)| *count > 0);
                    left.extend(counts.map(|(name, count)| {
                        format!("{name} has {} with old workers", sessions(count))
                    }));
                }
                // The master is away for a moment while it reloads.
                Err(failure) => {
                    left.push(format!("sessions of old workers are not known ({failure})"))
                }
            }
        }
        (!left.is_empty()).then(|| list(&left))
    }

    /// The names of the rows of one HAProxy.
    pub(super) fn names(&self, at: At<'_>) -> Vec<ServerName> {
        self.with_rows(at, |rows| {
            rows.iter().map(|row| row.before.name.clone()).collect()
        })
    }
}

fn sessions(count: u64) -> String {
    match count {
        1 => "1 session".to_owned(),
        count => format!("{count} sessions"),
    }
}

/// Waits a moment; whether a stop was asked for meanwhile. The change is made, so that even `Drain` ends the wait.
pub(super) async fn stopped(stop: &mut watch::Receiver<Stop>, moment: Duration) -> bool {
    tokio::select! {
        biased;
        Ok(_) = stop.wait_for(|level| *level > Stop::No) => true,
        () = tokio::time::sleep(moment) => false,
    }
}
