//! A look at one HAProxy, on a connection of its own: what was opened before a reload speaks to the old worker.

use std::time::Duration;

use super::{Asker, failure};
use crate::event::{ErrorCode, Failure};
use crate::haproxy::command::Command;
use crate::haproxy::reading::Reading;
use crate::transport::{Endpoint, Session};

/// How often it is asked for another worker while one answers that is on its way out.
const AGAIN: Duration = Duration::from_millis(200);

/// How often at most.
const TIMES: usize = 25;

/// Reads all that a change must know. An answer of a worker that is stopping is none.
///
/// # Errors
/// What the transport or HAProxy says, or that no other worker answers.
pub(super) async fn look(
    asker: &Asker,
    session: &mut dyn Session,
    endpoint: &Endpoint,
) -> Result<Reading, Failure> {
    for _ in 0..TIMES {
        let answer = asker.ask(session, endpoint, &Command::Reading).await?;
        let reading = Reading::parse(&answer).map_err(|error| failure(endpoint, &error))?;
        if !reading.info.stopping {
            return Ok(reading);
        }
        tokio::time::sleep(AGAIN).await;
    }
    Err(Failure::new(
        ErrorCode::Haproxy,
        format!(
            "{endpoint}: only a worker that is about to end answers (Stopping: 1), and nothing set there would last"
        ),
    ))
}
