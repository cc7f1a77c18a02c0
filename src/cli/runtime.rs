//! The async runtime of a run, and what the outside asks of it meanwhile: signals and the Enter key.

use super::error::CliError;
use crate::exec::Requests;
use crate::prompt::TerminalLock;
use crate::terminal::enter::Enter;
use crate::terminal::signals::Signals;

/// The async runtime of a run.
#[derive(Debug)]
pub(super) struct Runtime(tokio::runtime::Runtime);

impl Runtime {
    /// One thread: it serves a thousand nodes a second, and costs less per node than several.
    ///
    /// # Errors
    /// When the system refuses what it is made of.
    pub(super) fn start() -> Result<Self, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::system(format!("cannot start: {error}")))?;
        Ok(Self(runtime))
    }

    /// Runs a future to its end, with the signals of the process.
    ///
    /// # Errors
    /// When the system refuses the signal handlers.
    pub(super) fn block_on<T>(
        &self,
        work: impl AsyncFnOnce(&mut Signals) -> T,
    ) -> Result<T, CliError> {
        self.0.block_on(async {
            let mut signals = Signals::listen()
                .map_err(|error| CliError::system(format!("cannot listen to signals: {error}")))?;
            Ok(work(&mut signals).await)
        })
    }

    /// Runs something that can be stopped and asked how it goes. Also returns the first signal, if there was one.
    ///
    /// # Errors
    /// When the system refuses the signal handlers.
    pub(super) fn attend<T>(
        &self,
        keys: Option<&TerminalLock>,
        run: impl AsyncFnOnce(Requests<'_>) -> T,
    ) -> Result<(T, Option<u8>), CliError> {
        self.block_on(async |signals| {
            let ended = attend(signals, keys, run).await;
            (ended, signals.first())
        })
    }
}

/// Runs something that signals can stop and, where `keys` says who has the terminal, the Enter key asks how it goes.
pub(super) async fn attend<T>(
    signals: &mut Signals,
    keys: Option<&TerminalLock>,
    run: impl AsyncFnOnce(Requests<'_>) -> T,
) -> T {
    let mut enter = keys.map(Enter::listen);
    let requests = Requests {
        stops: &mut signals.stops,
        questions: enter.as_mut().map(|enter| &mut enter.pressed),
    };
    run(requests).await
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // A look-up of a name may hang in a thread of the runtime's pool: it must not hold up the end.
        if let Ok(empty) = tokio::runtime::Builder::new_current_thread().build() {
            std::mem::replace(&mut self.0, empty).shutdown_background();
        }
    }
}
