//! What an action does on each node: one command for all, or one with placeholders.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::{ErrorCode, NodeId, Outcome};
use crate::placeholder::LOCAL;
use crate::plan::NodeName;
use crate::transport::{BoxFuture, Command, NodeIo, Session};
use crate::work::Work;

pub(super) fn command(line: String) -> Command {
    Command {
        line,
        ..Command::default()
    }
}

/// The commands of an action.
pub(super) enum Commands {
    /// The same for all nodes.
    Same(Command),
    /// One with placeholders, filled in for each.
    Each {
        ranks: HashMap<NodeId, usize>,
        nodes: Arc<[NodeName]>,
        text: String,
        folded: String,
    },
}

impl Work for Commands {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        match self {
            Self::Same(command) => session.exec(command, io),
            Self::Each {
                ranks,
                nodes,
                text,
                folded,
            } => Box::pin(async move {
                let rank = ranks.get(&node).copied().unwrap_or_default();
                match LOCAL.parse(text) {
                    Ok(template) => {
                        let line = template.command(&nodes[node.index()], rank, folded);
                        session.exec(&command(line), io).await
                    }
                    Err(error) => Outcome::failed(ErrorCode::ExecRefused, error.to_string()),
                }
            }),
        }
    }
}
