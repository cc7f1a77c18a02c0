//! What may be asked of the person in front of the program while a run goes on.
//!
//! Who asks and how is a face's business (`terminal::ask`); a transport only holds a [`Prompter`].

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

/// An answer to come; `None` when nobody can be asked or the person gave up.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Option<String>> + Send + 'a>>;

/// Whether what is typed is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// Shown while it is typed.
    Shown,
    /// Not shown: a secret.
    Hidden,
}

/// Somebody who can be asked and told things while a run goes on.
pub trait Prompter: Send + Sync + Debug {
    /// Asks one question and waits for one line. Dropping the future takes the question back and leaves
    /// the terminal as it was. Callers ask one question at a time.
    fn ask<'a>(&'a self, prompt: &'a str, echo: Echo) -> Answer<'a>;

    /// Says something the person should know, on one line and without a prefix.
    fn warn(&self, message: &str);
}

/// Nobody is there: no question has an answer, and warnings are dropped.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Prompter for Nobody {
    fn ask<'a>(&'a self, _prompt: &'a str, _echo: Echo) -> Answer<'a> {
        Box::pin(std::future::ready(None))
    }

    fn warn(&self, _message: &str) {}
}
