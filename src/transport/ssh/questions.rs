//! Questions to the user: one at a time, each warning once, and secrets kept for the run.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use tokio::sync::Mutex;

use super::clock::Asking;
use crate::prompt::{Echo, Prompter};

/// Asks the user on behalf of all connections.
#[derive(Debug)]
pub(super) struct Questions {
    prompter: Arc<dyn Prompter>,
    pub(super) asking: Asking,
    turn: Mutex<()>,
    told: StdMutex<HashSet<String>>,
    secrets: Mutex<HashMap<String, Secret>>,
}

/// A secret that was typed.
struct Secret {
    value: Option<Arc<str>>,
    /// How many times it was asked for.
    asked: u32,
    /// Some node took it, so a node that refuses it has another one.
    worked: bool,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret")
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

/// A secret and which asking it came from.
#[derive(Clone)]
pub(super) struct Typed {
    pub(super) value: Arc<str>,
    asked: u32,
}

impl Questions {
    pub(super) fn new(prompter: Arc<dyn Prompter>) -> Self {
        Self {
            prompter,
            asking: Asking::default(),
            turn: Mutex::new(()),
            told: StdMutex::default(),
            secrets: Mutex::default(),
        }
    }

    /// Asks, when all earlier questions are answered. All time limits stand still meanwhile.
    pub(super) async fn ask(&self, prompt: &str, echo: Echo) -> Option<String> {
        let _turn = self.turn.lock().await;
        let _open = self.asking.open();
        self.prompter.ask(prompt, echo).await
    }

    /// Says something, unless it was said before.
    pub(super) fn warn_once(&self, text: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(text.to_owned()) {
            self.prompter.warn(text);
        }
    }

    /// The secret known under `name`, asked for once for all nodes. With `refused`, a node did not take that one:
    /// it is asked for again as long as no node ever took it and it was asked for less than `tries` times. The prompt begins
    /// with the name of the node that asks.
    pub(super) async fn secret(
        &self,
        name: &str,
        prompt: &str,
        refused: Option<&Typed>,
        tries: u32,
    ) -> Option<Typed> {
        let mut secrets = self.secrets.lock().await;
        let known = secrets.get(name);
        let again = match (known, refused) {
            (None, _) => true,
            // Another node already asked again.
            (Some(secret), Some(refused)) if secret.asked == refused.asked => {
                if secret.worked || secret.asked >= tries {
                    return None;
                }
                true
            }
            (Some(_), _) => false,
        };
        if again {
            let asked = known.map_or(0, |secret| secret.asked) + 1;
            let shown = match (refused, prompt.split_once(": ")) {
                (Some(_), Some((node, question))) => {
                    format!("{node}: Permission denied, please try again. {question}")
                }
                (Some(_), None) | (None, _) => prompt.to_owned(),
            };
            let value = self.ask(&shown, Echo::Hidden).await.map(Arc::from);
            secrets.insert(
                name.to_owned(),
                Secret {
                    value,
                    asked,
                    worked: false,
                },
            );
        }
        let secret = secrets.get(name)?;
        Some(Typed {
            value: secret.value.clone()?,
            asked: secret.asked,
        })
    }

    /// A node took the secret.
    pub(super) async fn secret_worked(&self, name: &str, typed: &Typed) {
        if let Some(secret) = self.secrets.lock().await.get_mut(name)
            && secret.asked == typed.asked
        {
            secret.worked = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::Answer;

    /// Answers from a list, and counts what it was told.
    #[derive(Debug, Default)]
    struct Script {
        answers: StdMutex<Vec<&'static str>>,
        asked: StdMutex<Vec<String>>,
        told: StdMutex<Vec<String>>,
    }

    impl Prompter for Script {
        fn ask<'a>(&'a self, prompt: &'a str, _echo: Echo) -> Answer<'a> {
            self.asked.lock().unwrap().push(prompt.to_owned());
            let answer = self.answers.lock().unwrap().pop().map(str::to_owned);
            Box::pin(async move {
                tokio::task::yield_now().await;
                answer
            })
        }

        fn warn(&self, message: &str) {
            self.told.lock().unwrap().push(message.to_owned());
        }
    }

    fn questions(answers: &[&'static str]) -> (Questions, Arc<Script>) {
        let script = Arc::new(Script::default());
        script
            .answers
            .lock()
            .unwrap()
            .extend(answers.iter().rev().copied());
        let prompter: Arc<dyn Prompter> = script.clone();
        (Questions::new(prompter), script)
    }

    #[tokio::test]
    async fn many_nodes_ask_once() {
        let (questions, script) = questions(&["sesame"]);
        let asks = (0..50).map(|_| questions.secret("u", "password: ", None, 3));
        let got = futures_util::future::join_all(asks).await;
        assert!(
            got.iter()
                .all(|t| t.as_ref().unwrap().value.as_ref() == "sesame")
        );
        assert_eq!(script.asked.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_refused_secret_is_asked_for_again_until_one_works() {
        let (questions, script) = questions(&["wrong", "right", "never"]);
        let wrong = questions.secret("u", "p", None, 3).await.unwrap();
        let right = questions.secret("u", "p", Some(&wrong), 3).await.unwrap();
        assert_eq!(right.value.as_ref(), "right");
        // Another node that was refused the first one gets the second without a question.
        let same = questions.secret("u", "p", Some(&wrong), 3).await.unwrap();
        assert_eq!(same.value.as_ref(), "right");
        questions.secret_worked("u", &right).await;
        assert!(questions.secret("u", "p", Some(&right), 3).await.is_none());
        assert_eq!(script.asked.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn nobody_there_is_asked_once_too() {
        let (questions, script) = questions(&[]);
        assert!(questions.secret("u", "p", None, 3).await.is_none());
        assert!(questions.secret("u", "p", None, 3).await.is_none());
        assert_eq!(script.asked.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn warnings_come_once() {
        let (questions, script) = questions(&[]);
        questions.warn_once("a");
        questions.warn_once("a");
        questions.warn_once("b");
        assert_eq!(*script.told.lock().unwrap(), ["a", "b"]);
    }
}
