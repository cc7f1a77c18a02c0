//! `info`, `stat`, `sess` and `raw`: a question, and HAProxy's own words as the answer.

use std::sync::Arc;

use super::{Asker, Sockets, failure, unless_stopped};
use crate::answer::{Answer, Said};
use crate::event::{Failure, NodeId, Outcome};
use crate::haproxy::answer::{self, AnswerError};
use crate::haproxy::command::Command;
use crate::plan::NodeName;
use crate::transport::{BoxFuture, NodeIo, Session};
use crate::work::Work;

/// Asks every HAProxy of the nodes the same.
#[derive(Debug)]
pub struct Question {
    /// The names of the nodes.
    pub names: Arc<[NodeName]>,
    /// Where the sockets are.
    pub sockets: Sockets,
    /// What is asked.
    pub command: Command,
    /// What the words are.
    pub answer: fn(Vec<Said>) -> Answer,
    /// Asks.
    pub asker: Asker,
}

impl Question {
    /// What all of them say, and what one of them refused.
    async fn ask(
        &self,
        node: NodeId,
        session: &mut dyn Session,
    ) -> Result<(Vec<Said>, Option<Failure>), Failure> {
        let mut said = Vec::new();
        let mut refused = None;
        for place in self.sockets.on(&self.names[node.index()])? {
            let (endpoint, answer) = self
                .asker
                .ask_first(session, place.endpoints, &self.command)
                .await?;
            let whole = answer::check(&answer).map_err(|error| failure(endpoint, &error))?;
            let refusal = self.command.refusal(&whole);
            // The empty line only says that the answer ends here.
            let text = answer
                .strip_suffix(b"\n\n")
                .map_or(&answer[..], |text| &answer[..=text.len()]);
            // One in front is the answer to a command that only sets something.
            let text = text.strip_prefix(b"\n").unwrap_or(text);
            let text = if text == b"\n" { &[] } else { text };
            if let Some(words) = refusal {
                let error = AnswerError::Refused(words.clone());
                refused.get_or_insert(failure(endpoint, &error));
                if text.trim_ascii() == words.as_bytes() {
                    // The failure says it.
                    continue;
                }
            }
            said.push(Said {
                instance: place.label.map(Arc::from),
                text: answer.slice_ref(text),
            });
        }
        Ok((said, refused))
    }
}

impl Work for Question {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match unless_stopped(&mut io.stop, self.ask(node, session)).await {
                Ok((said, refused)) => {
                    if refused.is_none() || !said.is_empty() {
                        io.answer((self.answer)(said)).await;
                    }
                    refused.map_or(Outcome::OK, Outcome::Failed)
                }
                Err(failure) => Outcome::Failed(failure),
            }
        })
    }
}
