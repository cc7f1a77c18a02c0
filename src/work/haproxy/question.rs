//! `info`, `stat`, `sess` and `raw`: a question, and HAProxy's own words as the answer.

use std::sync::Arc;

use bytes::Bytes;

use super::{Asker, Sockets, failure, unless_stopped};
use crate::event::{Failure, NodeId, Outcome, Stream};
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
    /// Asks.
    pub asker: Asker,
}

impl Question {
    async fn answers(
        &self,
        node: NodeId,
        session: &mut dyn Session,
    ) -> Result<Vec<Bytes>, Failure> {
        let mut answers = Vec::new();
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
            answers.push(match place.label {
                None => answer.slice_ref(text),
                Some(label) => marked(label, text).into(),
            });
        }
        Ok(answers)
    }
}

/// Each line with the instance in front.
fn marked(label: &str, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(label.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(line);
    }
    out
}

impl Work for Question {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match unless_stopped(&mut io.stop, self.answers(node, session)).await {
                Ok(answers) => {
                    for answer in answers.into_iter().filter(|answer| !answer.is_empty()) {
                        io.output(Stream::Out, answer).await;
                    }
                    Outcome::OK
                }
                Err(failure) => Outcome::Failed(failure),
            }
        })
    }
}
