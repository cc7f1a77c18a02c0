//! `map show` and `acl show`: which there are, and what they hold.

use std::sync::Arc;

use super::transaction::Talk;
use super::transaction::patterns::{all, entries, find};
use super::{Asker, Sockets, unless_stopped};
use crate::answer::{Answer, EntriesRow, ListRow};
use crate::event::{ErrorCode, Failure, NodeId, Outcome};
use crate::haproxy::patterns::{Kind, Name};
use crate::plan::NodeName;
use crate::transport::{BoxFuture, NodeIo, Session};
use crate::work::Work;

/// Shows all of them, one, or one key of one.
#[derive(Debug)]
pub struct Show {
    /// The names of the nodes.
    pub names: Arc<[NodeName]>,
    /// Where the sockets are.
    pub sockets: Sockets,
    /// Which of the two.
    pub kind: Kind,
    /// Which one; `None` shows which there are.
    pub name: Option<Name>,
    /// Only the entries of this key.
    pub key: Option<String>,
    /// Asks.
    pub asker: Asker,
}

impl Show {
    async fn look(&self, node: NodeId, session: &mut dyn Session) -> Result<Answer, Failure> {
        let mut known = Vec::new();
        let mut held = Vec::new();
        let mut has_it = false;
        for place in self.sockets.on(&self.names[node.index()])? {
            let endpoint = self.asker.find(session, place.endpoints).await?;
            let mut talk = Talk::new(&self.asker, session, endpoint);
            let instance: Option<Arc<str>> = place.label.map(Arc::from);
            let (_, lists) = all(&mut talk, self.kind).await?;
            let Some(name) = &self.name else {
                // Those without a file belong to the configuration itself, and are many.
                let lists = lists.into_iter().filter(|list| list.file.is_some());
                known.extend(lists.map(|list| ListRow {
                    instance: instance.clone(),
                    kind: self.kind,
                    list,
                }));
                continue;
            };
            if find(&lists, name).is_none() {
                continue;
            }
            has_it = true;
            let mut entries = entries(&mut talk, (self.kind, name), None).await?;
            if let Some(key) = &self.key {
                entries = entries.only(key);
            }
            held.push(EntriesRow {
                instance,
                kind: self.kind,
                name: name.to_string(),
                entries,
            });
        }
        let Some(name) = &self.name else {
            known.sort_by(|a, b| {
                let key = |row: &ListRow| (row.instance.clone(), row.list.file.clone());
                key(a).cmp(&key(b))
            });
            return Ok(Answer::Lists(known));
        };
        if !has_it {
            return Err(no_such(self.kind, name.as_str()));
        }
        if let (Some(key), true) = (&self.key, held.iter().all(|row| row.entries.is_empty())) {
            return Err(Failure::new(
                ErrorCode::Select,
                format!("{name} has no entry `{}`", key.escape_debug()),
            ));
        }
        Ok(Answer::Entries(held))
    }
}

/// A node has no such object.
pub(super) fn no_such(what: impl std::fmt::Display, name: &str) -> Failure {
    Failure::new(
        ErrorCode::Select,
        format!("HAProxy has no {what} {name}; its configuration says how it is called"),
    )
}

impl Work for Show {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match unless_stopped(&mut io.stop, self.look(node, session)).await {
                Ok(answer) => {
                    io.answer(answer).await;
                    Outcome::OK
                }
                Err(failure) => Outcome::Failed(failure),
            }
        })
    }
}
