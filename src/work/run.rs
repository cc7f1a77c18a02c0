//! Runs a command on each node.

use std::borrow::Cow;

use super::Work;
use crate::event::{NodeId, Outcome};
use crate::transport::{BoxFuture, Command, NodeIo, Session};

/// One command, the same for all nodes.
#[derive(Debug)]
pub struct Run {
    /// What is run.
    pub command: Command,
}

impl Work for Run {
    fn serve<'a>(
        &'a self,
        _node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        session.exec(&self.command, io)
    }

    fn command(&self, _node: NodeId) -> Option<Cow<'_, Command>> {
        Some(Cow::Borrowed(&self.command))
    }
}
