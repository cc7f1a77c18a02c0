//! `info`, `stat`, `sess` and `raw`: a question, and HAProxy's own words as the answer.

use std::sync::Arc;

use super::{Asker, Sockets, failure, unless_stopped};
use crate::answer::{Answer, Said};
use crate::event::{Failure, NodeId, Outcome};
use crate::haproxy::answer;
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
    async fn ask(&self, node: NodeId, session: &mut dyn Session) -> Result<Vec<Said>, Failure> {
        let mut said = Vec::new();
        for place in self.sockets.on(&self.names[node.index()])? {
            let (endpoint, answer) = self
                .asker
                .ask_first(session, place.endpoints, &self.command)
                .await?;
            answer::check(&answer).map_err(|error| failure(endpoint, &error))?;
            // The empty line only says that the answer ends here.
            let text = answer
                .strip_suffix(b"\n\n")
                .map_or(&answer[..], |text| &answer[..=text.len()]);
            // One in front is the answer to a command that only sets something.
            let text = text.strip_prefix(b"\n").unwrap_or(text);
            let text = if text == b"\n" { &[] } else { text };
            said.push(Said {
                instance: place.label.map(Arc::from),
                text: answer.slice_ref(text),
            });
        }
        Ok(said)
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
                Ok(said) => {
                    io.answer((self.answer)(said)).await;
                    Outcome::OK
                }
                Err(failure) => Outcome::Failed(failure),
            }
        })
    }
}
