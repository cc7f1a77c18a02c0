//! The password of all nodes: asked for once, and shown to one node before the others.
//!
//! One wrong password must not lock an account that all nodes share: until a node has taken it, the others wait, and once
//! one has refused it, no other gets to see it. A node that hangs with it keeps it from the others for [`TURN`] at most;
//! then two may try it at one time, then four.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use crate::event::{ErrorCode, Failure};
use crate::prompt::{Echo, Prompter};

/// How long a node that has the password before the others may take to say what it thinks of it, from when it was sent.
pub(super) const TURN: Duration = Duration::from_secs(15);

/// So many nodes may end with the password and not say whether it was wrong, before it is taken to be.
const DOUBTS: u32 = 2;

/// What is known of the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// No node has taken or refused it; so many ended with it and did not say why.
    Open(u32),
    /// A node took it.
    Right,
    /// The first node to say anything about it did not take it.
    Wrong,
}

/// The password of all nodes.
pub(super) struct Password {
    prompter: Arc<dyn Prompter>,
    known: OnceCell<Option<Arc<str>>>,
    verdict: Mutex<Verdict>,
    turns: Arc<Semaphore>,
}

/// A node's turn to try the password, before it is known to be right. Dropping it hands the turn on.
pub(super) struct Turn {
    password: Arc<Password>,
    permit: OwnedSemaphorePermit,
}

impl fmt::Debug for Password {
    // What it is concerns nobody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl Password {
    /// Nothing is asked yet.
    pub(super) fn new(prompter: Arc<dyn Prompter>) -> Self {
        Self {
            prompter,
            known: OnceCell::new(),
            verdict: Mutex::new(Verdict::Open(0)),
            turns: Arc::new(Semaphore::new(1)),
        }
    }

    fn verdict(&self) -> MutexGuard<'_, Verdict> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The password to be `user` on a node, and its turn if it is to try it before the others; or why it is not sent.
    pub(super) async fn answer(
        self: &Arc<Self>,
        node: &str,
        user: &str,
    ) -> Result<(Arc<str>, Option<Turn>), Failure> {
        let refuse = |text: &str| Err(Failure::new(ErrorCode::Auth, text));
        let prompt = format!("{node}: password for sudo to {user} on all nodes: ");
        let ask = || async {
            let typed = self.prompter.ask(&prompt, Echo::Hidden).await;
            typed.map(Arc::from)
        };
        let Some(password) = self.known.get_or_init(ask).await.clone() else {
            return refuse("sudo wants a password, and nobody gave one at a terminal");
        };
        let permit = Arc::clone(&self.turns).acquire_owned().await;
        let verdict = *self.verdict();
        match (verdict, permit) {
            (Verdict::Right, _) => Ok((password, None)),
            (Verdict::Open(_), Ok(permit)) => {
                let password_of_all = Arc::clone(self);
                let turn = Turn {
                    password: password_of_all,
                    permit,
                };
                Ok((password, Some(turn)))
            }
            (Verdict::Wrong | Verdict::Open(_), _) => {
                refuse("sudo wants a password, which was not sent here: another node refused it")
            }
        }
    }
}

impl Turn {
    /// The node took it.
    pub(super) fn right(self) {
        *self.password.verdict() = Verdict::Right;
    }

    /// The node refused it. What another one took before is right all the same.
    pub(super) fn wrong(self) {
        let mut verdict = self.password.verdict();
        if *verdict != Verdict::Right {
            *verdict = Verdict::Wrong;
        }
    }

    /// The node ended with it and did not say why.
    pub(super) fn doubtful(self) {
        let mut verdict = self.password.verdict();
        if let Verdict::Open(doubts) = *verdict {
            *verdict = match doubts + 1 {
                DOUBTS.. => Verdict::Wrong,
                doubts => Verdict::Open(doubts),
            };
        }
    }

    /// The node says nothing: two others may try in its place.
    pub(super) fn pass_on(self) {
        self.permit.forget();
        self.password.turns.add_permits(2);
    }
}
