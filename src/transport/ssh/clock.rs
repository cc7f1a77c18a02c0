//! Time limits that stand still while a person is being asked.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Whether a question is open on the terminal: all limits of the run stand still meanwhile, as the ones who wait
/// for the answer wait too.
#[derive(Debug)]
pub(super) struct Asking(watch::Sender<bool>);

impl Default for Asking {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

/// Held while a question is open.
#[derive(Debug)]
pub(super) struct Open<'a>(&'a Asking);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.0.send_replace(false);
    }
}

impl Asking {
    /// A question is open until the result is dropped. There is one at a time.
    pub(super) fn open(&self) -> Open<'_> {
        self.0.send_replace(true);
        Open(self)
    }
}

/// What is left of a time limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    limit: Option<Duration>,
    left: Duration,
}

/// The limit passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Elapsed(
    /// The whole limit.
    pub(super) Duration,
);

impl Left {
    /// All of a limit.
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            left: limit.unwrap_or(Duration::MAX),
        }
    }

    /// What is left of it.
    pub(super) fn left(&self) -> Option<Duration> {
        self.limit.map(|_| self.left)
    }

    /// Awaits a future for as long as there is time left, and uses that time up.
    pub(super) async fn spend<T>(
        &mut self,
        asking: &Asking,
        work: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let mut work = pin!(work);
        let Some(limit) = self.limit else {
            return Ok(work.await);
        };
        let mut asking = asking.0.subscribe();
        loop {
            let started = Instant::now();
            let asked = *asking.borrow_and_update();
            tokio::select! {
                biased;
                out = &mut work => {
                    if !asked {
                        self.left = self.left.saturating_sub(started.elapsed());
                    }
                    return Ok(out);
                }
                changed = asking.changed() => {
                    if !asked {
                        self.left = self.left.saturating_sub(started.elapsed());
                    }
                    if changed.is_err() {
                        return Ok(work.await);
                    }
                }
                () = sleep(self.left), if !asked => return Err(Elapsed(limit)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_shared_by_the_steps() {
        let asking = Asking::default();
        let mut left = Left::new(Some(3 * SECOND));
        assert_eq!(left.spend(&asking, sleep(2 * SECOND)).await, Ok(()));
        assert_eq!(
            left.spend(&asking, sleep(2 * SECOND)).await,
            Err(Elapsed(3 * SECOND))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn no_limit_waits() {
        let mut left = Left::new(None);
        let out = left.spend(&Asking::default(), sleep(3600 * SECOND)).await;
        assert_eq!(out, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_stops_the_clock() {
        let asking = Asking::default();
        let mut left = Left::new(Some(3 * SECOND));
        let started = Instant::now();
        let (out, ()) = tokio::join!(left.spend(&asking, pending::<()>()), async {
            sleep(SECOND).await;
            let open = asking.open();
            sleep(60 * SECOND).await;
            drop(open);
        });
        assert_eq!(out, Err(Elapsed(3 * SECOND)));
        assert_eq!(started.elapsed(), 63 * SECOND);
    }
}
