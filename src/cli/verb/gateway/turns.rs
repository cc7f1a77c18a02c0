//! Nodes whose turn it is wait here for the word that their work may begin.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::event::{ErrorCode, Failure};
use crate::gateway::Tell;
use crate::gateway::merge::MOST;
use crate::nodeset::NodeSet;
use crate::plan::{Limits, NodeName};
use crate::report::gateway::Voice;
use crate::transport::gateway::{Notice, Parent};
use crate::transport::{BoxFuture, Session, Transport};

/// So long a node waits for others, to ask together.
const TOGETHER: Duration = Duration::from_millis(5);

/// Asks above, and keeps who waits for an answer.
#[derive(Debug)]
pub(super) struct Turns {
    voice: Voice,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    to_ask: Vec<NodeName>,
    waiting: HashMap<NodeName, oneshot::Sender<()>>,
    /// The nodes that may begin. Connecting again needs no further permission.
    granted: HashSet<NodeName>,
    is_closed: bool,
}

impl Turns {
    pub(super) fn new(voice: Voice) -> Self {
        Self {
            voice,
            state: Mutex::default(),
        }
    }

    /// Lets these nodes begin.
    pub(super) fn grant(&self, nodes: &NodeSet) {
        let mut state = self.lock();
        for name in nodes.iter() {
            if let Some((name, waiting)) = state.waiting.remove_entry(name.as_str()) {
                state.granted.insert(name);
                let _ = waiting.send(());
            }
        }
    }

    /// No further node may begin.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.waiting.clear();
    }

    /// Waits until all of the nodes may begin; `false` if they never may.
    async fn wait(&self, nodes: &[NodeName]) -> bool {
        let mut answers = Vec::new();
        {
            let mut state = self.lock();
            if state.is_closed {
                return false;
            }
            for name in nodes
                .iter()
                .filter(|name| !state.granted.contains(*name))
                .cloned()
                .collect::<Vec<_>>()
            {
                let (sender, answer) = oneshot::channel();
                state.waiting.insert(name.clone(), sender);
                state.to_ask.push(name);
                answers.push(answer);
            }
        }
        if answers.is_empty() {
            return true;
        }
        tokio::time::sleep(TOGETHER).await;
        self.ask();
        for answer in answers {
            if answer.await.is_err() {
                return false;
            }
        }
        true
    }

    fn ask(&self) {
        let nodes = std::mem::take(&mut self.lock().to_ask);
        for nodes in nodes.chunks(MOST) {
            let nodes: NodeSet = nodes.iter().map(|name| &**name).collect();
            self.say(Tell::Ready {
                nodes: nodes.to_string(),
            });
        }
    }

    fn say(&self, tell: Tell) {
        // Once the caller has gone our input ends too, and with it the run.
        let _ = self.voice.say(&[tell]);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is a single step, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gateways further down ask us, and we ask above.
impl Parent for Turns {
    fn notice(&self, notice: Notice<'_>) {
        match notice {
            Notice::Failed { gateway, message } => self.say(Tell::Failed {
                gateway: gateway.to_owned(),
                message: message.to_owned(),
            }),
            Notice::Rerouting { gateway, nodes } => self.say(Tell::Rerouting {
                gateway: gateway.to_owned(),
                nodes: nodes.to_owned(),
            }),
            // The outcome of the nodes says it.
            Notice::NoRoute { .. } => {}
        }
    }

    fn may_begin<'a>(&'a self, nodes: &'a [NodeName]) -> BoxFuture<'a, bool> {
        Box::pin(self.wait(nodes))
    }

    fn is_user(&self) -> bool {
        false
    }
}

/// A transport that connects to a node when its work may begin.
pub(super) struct InTurn<'a> {
    inner: &'a dyn Transport,
    turns: &'a Turns,
}

impl<'a> InTurn<'a> {
    pub(super) fn new(inner: &'a dyn Transport, turns: &'a Turns) -> Self {
        Self { inner, turns }
    }
}

impl fmt::Debug for InTurn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Transport for InTurn<'_> {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        Box::pin(async move {
            if self.turns.wait(std::slice::from_ref(node)).await {
                self.inner.connect(node, limits).await
            } else {
                let text = "stopped before it was begun";
                Err(Failure::new(ErrorCode::Stopped, text))
            }
        })
    }
}
