//! One question to one socket, within its time, and with a bound on what the answers of all nodes need.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::event::{ErrorCode, Failure};
use crate::haproxy::answer;
use crate::haproxy::command::Command;
use crate::transport::{Endpoint, Session};

/// One question, from opening the socket to the end of the answer. It is a limit on the whole: a limit on
/// each read would never end an answer without end.
const ANSWER: Duration = Duration::from_secs(10);

/// Longest answer that is taken.
const LONGEST: usize = 32 << 20;

/// An answer longer than this is asked for again when it is its turn, so that many nodes with long answers need no
/// more memory than few.
const SHORT: usize = 256 << 10;

/// How many long answers have their turn at one time.
const LONG_AT_ONCE: usize = 2;

/// An answer that stands still for so long loses its turn, so that others need not wait for it.
const STALL: Duration = Duration::from_millis(500);

/// How much all answers may hold that have lost their turn.
const STALLED: usize = 128 << 20;

/// Asks questions, and bounds what the answers need.
#[derive(Debug)]
pub struct Asker {
    turns: Semaphore,
    stalled: AtomicUsize,
}

impl Default for Asker {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(LONG_AT_ONCE),
            stalled: AtomicUsize::new(0),
        }
    }
}

/// What came of asking once.
enum Asked {
    /// The whole answer.
    Whole(Bytes),
    /// It is long, and others have their turn: it was dropped.
    Later,
}

impl Asker {
    /// The whole answer to one command.
    ///
    /// # Errors
    /// What the transport says about the socket, or that HAProxy took too long or said too much.
    pub async fn ask(
        &self,
        session: &mut dyn Session,
        endpoint: &Endpoint,
        command: &Command,
    ) -> Result<Bytes, Failure> {
        // Asking for a password is no part of the question.
        session.ready().await?;
        let mut turn = None;
        loop {
            // Waiting for a turn is no fault of the node's, so each time has the whole limit.
            let asked = self.converse(session, endpoint, command, turn.take());
            match timeout(ANSWER, asked).await {
                Ok(Ok(Asked::Whole(answer))) => return Ok(answer),
                Ok(Ok(Asked::Later)) => turn = self.turns.acquire().await.ok(),
                Ok(Err(failure)) => return Err(failure),
                Err(_) => return Err(too_late(endpoint)),
            }
        }
    }

    async fn converse(
        &self,
        session: &mut dyn Session,
        endpoint: &Endpoint,
        command: &Command,
        turn: Option<SemaphorePermit<'_>>,
    ) -> Result<Asked, Failure> {
        let broken = |error: std::io::Error| match error.downcast::<Failure>() {
            Ok(failure) => failure,
            Err(error) => Failure::new(
                ErrorCode::Haproxy,
                format!("{endpoint}: the conversation with HAProxy broke off: {error}"),
            ),
        };
        let mut stream = session.open(endpoint).await?;
        stream.write_all(&command.wire()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        if command.is_for_master() {
            stream.shutdown().await.map_err(broken)?;
        }
        let mut answer = Vec::new();
        let mut room = Room {
            asker: self,
            turn,
            stalled: false,
            kept: 0,
        };
        loop {
            match room.of(&answer, command) {
                Some(true) => {}
                Some(false) => return Ok(Asked::Later),
                None => return Err(too_late(endpoint)),
            }
            if answer.len() > LONGEST {
                return Err(Failure::new(
                    ErrorCode::Haproxy,
                    format!(
                        "{endpoint}: the answer of HAProxy is longer than {} MiB",
                        LONGEST >> 20
                    ),
                ));
            }
            let read = stream.read_buf(&mut answer);
            let count = match &room.turn {
                None => read.await,
                Some(_) => match timeout(STALL, read).await {
                    Ok(count) => count,
                    Err(_) => {
                        room.turn = None;
                        room.stalled = true;
                        continue;
                    }
                },
            };
            if count.map_err(broken)? == 0 {
                return Ok(Asked::Whole(answer.into()));
            }
            // It would wait for more until the end of its patience.
            if answer.len() < SHORT && !command.is_for_master() && answer::is_from_master(&answer) {
                return Err(Failure::new(
                    ErrorCode::Socket,
                    format!(
                        "{endpoint} is the socket of HAProxy's master, not a stats socket; name one of `stats socket` with --socket"
                    ),
                ));
            }
        }
    }

    /// The first place where a HAProxy answers.
    pub(super) async fn find<'a>(
        &self,
        session: &mut dyn Session,
        endpoints: &'a [Endpoint],
    ) -> Result<&'a Endpoint, Failure> {
        match endpoints {
            [only] => Ok(only),
            several => {
                let asked = self.ask_first(session, several, &Command::ShowInfo).await;
                asked.map(|(endpoint, _)| endpoint)
            }
        }
    }

    /// Asks at the first place where there is a socket, and says where that was.
    pub(super) async fn ask_first<'a>(
        &self,
        session: &mut dyn Session,
        endpoints: &'a [Endpoint],
        command: &Command,
    ) -> Result<(&'a Endpoint, Bytes), Failure> {
        let mut missing = None;
        for endpoint in endpoints {
            match self.ask(session, endpoint, command).await {
                Ok(answer) => return Ok((endpoint, answer)),
                Err(failure) if failure.code == ErrorCode::Socket && endpoints.len() > 1 => {
                    missing.get_or_insert(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        let places: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
        Err(missing.map_or_else(
            || Failure::new(ErrorCode::Socket, "no stats socket is known; name it with --socket"),
            |failure| {
                Failure::new(
                    failure.code,
                    format!(
                        "no stats socket of HAProxy at {} ({}); is HAProxy running? name another place with --socket",
                        places.join(", "),
                        failure.message
                    ),
                )
            },
        ))
    }
}

/// The room that one answer takes.
struct Room<'a> {
    asker: &'a Asker,
    turn: Option<SemaphorePermit<'a>>,
    /// It has had its turn and stood still.
    stalled: bool,
    /// How much of what it has is counted.
    kept: usize,
}

impl Room<'_> {
    /// Whether an answer may go on now; `None` if there is no room for it at all.
    fn of(&mut self, answer: &[u8], command: &Command) -> Option<bool> {
        if self.stalled {
            let more = answer.len() - self.kept;
            self.kept = answer.len();
            let all = self.asker.stalled.fetch_add(more, Ordering::Relaxed) + more;
            return (all <= STALLED).then_some(true);
        }
        if answer.len() > SHORT && self.turn.is_none() {
            self.turn = self.asker.turns.try_acquire().ok();
            // What changes something is not asked a second time.
            return Some(self.turn.is_some() || command.changes());
        }
        Some(true)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.asker.stalled.fetch_sub(self.kept, Ordering::Relaxed);
    }
}

fn too_late(endpoint: &Endpoint) -> Failure {
    Failure::new(
        ErrorCode::TimeoutCommand,
        format!(
            "{endpoint}: no whole answer from HAProxy within {}s; it is busy, or others hold all connections of this socket",
            ANSWER.as_secs()
        ),
    )
}
