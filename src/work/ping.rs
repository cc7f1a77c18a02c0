//! Does nothing on a node: that it could be reached and logged in to is the answer.

use super::Work;
use crate::event::{NodeId, Outcome, Stream};
use crate::transport::{BoxFuture, NodeIo, Session};

/// Says `ok`.
#[derive(Debug)]
pub struct Ping;

impl Work for Ping {
    fn serve<'a>(
        &'a self,
        _node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async {
            if let Err(failure) = session.ready().await {
                return Outcome::Failed(failure);
            }
            io.output(Stream::Out, (&b"ok\n"[..]).into()).await;
            Outcome::OK
        })
    }
}
