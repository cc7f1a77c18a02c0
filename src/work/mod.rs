//! What can be done on a node once it is reached: one file per kind of work.

pub mod copy;
pub mod fetch;
pub mod haproxy;
pub mod ping;
pub mod run;
pub mod script;
pub mod template;

use std::borrow::Cow;

use crate::event::{NodeId, Outcome};
use crate::transport::{BoxFuture, Command, NodeIo, Session};

/// A kind of work. One value serves all nodes of a run, so what is equal for all is prepared once.
pub trait Work: Send + Sync {
    /// Does the work on one node. Typed results that later steps need are kept inside the value.
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome>;

    /// The work on a node as one command, for who reaches the node by itself; `None` if it takes more than that.
    fn command(&self, _node: NodeId) -> Option<Cow<'_, Command>> {
        None
    }
}
