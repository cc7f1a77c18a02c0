//! What may be asked of the user while a run goes on.
//!
//! How to ask is decided in `terminal::ask`; a transport only holds a [`Prompter`].

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// An answer to come; `None` when there is no terminal to ask on or the user gave up.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Option<String>> + Send + 'a>>;

/// Whether what is typed is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// Shown while it is typed.
    Shown,
    /// Not shown: a secret.
    Hidden,
}

/// Asks and tells the user things while a run goes on.
pub trait Prompter: Send + Sync + Debug {
    /// Asks one question and waits for one line. Dropping the future takes the question back and leaves
    /// the terminal as it was. Callers ask one question at a time.
    fn ask<'a>(&'a self, prompt: &'a str, echo: Echo) -> Answer<'a>;

    /// Says something the user should know, on one line and without a prefix.
    fn warn(&self, message: &str);
}

/// Whether the terminal is in use by a question. While one is open nothing is drawn, and no key asks for progress.
/// Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct TerminalLock(Arc<State>);

#[derive(Debug, Default)]
struct State {
    questions: AtomicUsize,
    drawn: AtomicBool,
}

/// A question is open for as long as this lives.
#[derive(Debug)]
pub struct TerminalGuard(TerminalLock);

impl TerminalLock {
    /// Opens a question.
    #[must_use]
    pub fn take(&self) -> TerminalGuard {
        self.0.questions.fetch_add(1, Ordering::Relaxed);
        TerminalGuard(self.clone())
    }

    /// Whether a question is open.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.0.questions.load(Ordering::Relaxed) > 0
    }

    /// Something that is drawn again and again, such as progress, is now in the terminal's last line, or is gone.
    pub fn draw(&self, drawn: bool) {
        self.0.drawn.store(drawn, Ordering::Relaxed);
    }

    /// Whether it is there, and nobody has wiped it.
    #[must_use]
    pub fn is_drawn(&self) -> bool {
        self.0.drawn.load(Ordering::Relaxed)
    }

    /// Whether the terminal's last line has to be wiped before something else is written. It is so only once.
    #[must_use]
    pub fn wipe(&self) -> bool {
        self.0.drawn.swap(false, Ordering::Relaxed)
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        self.0.0.questions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// No user: no question has an answer, and warnings are dropped.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Prompter for Nobody {
    fn ask<'a>(&'a self, _prompt: &'a str, _echo: Echo) -> Answer<'a> {
        Box::pin(std::future::ready(None))
    }

    fn warn(&self, _message: &str) {}
}
