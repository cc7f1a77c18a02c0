//! Whether commands of `Match exec` succeed, each asked once for all hosts.

use std::collections::HashMap;
use std::io;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The answers, by command.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<String, Answer>>);

/// Whether a command succeeded; found out once, waited for by all who ask.
type Answer = Arc<OnceLock<Result<bool, io::ErrorKind>>>;

impl Answers {
    /// Whether a command succeeds in a shell.
    pub(super) fn of(&self, shell: &str, command: &str) -> Result<bool, io::ErrorKind> {
        let answer = {
            let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(command.to_owned()).or_default())
        };
        *answer.get_or_init(|| {
            Command::new(shell)
                .args(["-c", command])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status()
                .map(|status| status.success())
                .map_err(|error| error.kind())
        })
    }
}
