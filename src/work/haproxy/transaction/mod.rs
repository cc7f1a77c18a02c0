//! A content of HAProxy's memory that is replaced as a whole, and the file it was read from: the steps on one node.
//!
//! Which step is taken when, and on which nodes, is the engine's (`exec::transaction`). Each step finds what the steps
//! before it left in the node's [`State`], however they ended.

mod file;
pub mod patterns;
mod step;

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::{Asker, Sockets, failure};
use crate::event::{Failure, NodeId};
use crate::haproxy::answer::{AnswerError, Info};
use crate::haproxy::command::Command;
use crate::plan::NodeName;
use crate::transport::{Endpoint, Session};

pub use file::NodeFile;
pub use step::{Phase, Step};

/// A conversation with one HAProxy.
pub struct Talk<'a> {
    asker: &'a Asker,
    session: &'a mut dyn Session,
    endpoint: &'a Endpoint,
}

impl std::fmt::Debug for Talk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Talk")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl<'a> Talk<'a> {
    /// A conversation with the HAProxy at an endpoint.
    pub(super) fn new(
        asker: &'a Asker,
        session: &'a mut dyn Session,
        endpoint: &'a Endpoint,
    ) -> Self {
        Self {
            asker,
            session,
            endpoint,
        }
    }

    /// The whole answer to one command, on a connection of its own.
    ///
    /// # Errors
    /// What the transport says, or that HAProxy took too long or said too much.
    pub async fn ask(&mut self, command: &Command) -> Result<Bytes, Failure> {
        self.asker.ask(self.session, self.endpoint, command).await
    }

    /// What an answer that is none means.
    #[must_use]
    pub fn wrong(&self, error: &AnswerError) -> Failure {
        failure(self.endpoint, error)
    }
}

/// What one HAProxy has of an object.
#[derive(Debug, Clone)]
pub struct Seen<C> {
    /// The process.
    pub info: Info,
    /// What it serves.
    pub content: C,
    /// What somebody has begun and not ended: a version of a map, a file's name.
    pub open: Option<Open>,
}

/// Something begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// By what it is told from others.
    pub id: String,
    /// It in words.
    pub words: String,
}

/// What is replaced, and how.
pub trait Object: Debug + Send + Sync {
    /// What HAProxy serves of it.
    type Content: Clone + PartialEq + Debug + Send + Sync;
    /// What was put beside it, to be served on command.
    type Staged: Debug + Send + Sync;

    /// What it is: `map`, `acl`, `cert`.
    fn what(&self) -> &'static str;

    /// Its name, which is also that of its file on the node.
    fn name(&self) -> &str;

    /// Reads what is served; `None` if this HAProxy has no such object.
    fn look(
        &self,
        talk: &mut Talk<'_>,
    ) -> impl Future<Output = Result<Option<Seen<Self::Content>>, Failure>> + Send;

    /// What is to be served instead.
    ///
    /// # Errors
    /// Why nothing can be made of it.
    fn target(&self, content: &Self::Content) -> Result<Self::Content, Failure>;

    /// What the file is to be.
    ///
    /// # Errors
    /// Why nothing can be made of the one that is there.
    fn file(&self, old: &[u8]) -> Result<Bytes, Failure>;

    /// Puts it beside what is served, and reads it back.
    fn stage(
        &self,
        talk: &mut Talk<'_>,
        target: &Self::Content,
    ) -> impl Future<Output = Result<Self::Staged, Failure>> + Send;

    /// By what [`Open::id`] the staged thing is known.
    fn open_id(&self, staged: &Self::Staged) -> String;

    /// Lets it be served. Whether it is, only [`Object::look`] tells.
    fn commit(
        &self,
        talk: &mut Talk<'_>,
        staged: &Self::Staged,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Takes back what was staged and not committed.
    fn unstage(
        &self,
        talk: &mut Talk<'_>,
        staged: &Self::Staged,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Lets what was served before be served again; `file` is the old file, if it was part of the change.
    fn restore(
        &self,
        talk: &mut Talk<'_>,
        old: &Self::Content,
        file: Option<&[u8]>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// How far a commit came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It was not sent.
    No,
    /// It was sent, and not read back.
    Unknown,
    /// It was read back.
    Yes,
    /// The old content was read back behind it.
    Restored,
}

/// One HAProxy of a node that has the object.
#[derive(Debug)]
pub struct Site<O: Object> {
    /// How its rows are marked when there are several.
    pub label: Option<Arc<str>>,
    /// Where it answered.
    pub endpoint: Endpoint,
    /// What it had before.
    pub seen: Seen<O::Content>,
    /// What it is to have; `None` until that is known.
    pub target: Option<O::Content>,
    /// What was staged.
    pub staged: Option<O::Staged>,
    /// How far it came.
    pub committed: Committed,
    /// What was read last after the commit was sent.
    pub after: Option<O::Content>,
}

impl<O: Object> Site<O> {
    /// Whether it serves already what it is to serve.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.target.as_ref() == Some(&self.seen.content)
    }
}

/// What is known of a node.
#[derive(Debug)]
pub struct State<O: Object> {
    /// Its HAProxy that have the object.
    pub sites: Vec<Site<O>>,
    /// The file, if it is part of the change.
    pub file: Option<NodeFile>,
}

impl<O: Object> State<O> {
    /// Whether there is anything to do.
    #[must_use]
    pub fn needs_change(&self) -> bool {
        self.sites.iter().any(|site| !site.is_well())
            || self.file.as_ref().is_some_and(NodeFile::needs_change)
    }

    /// Whether a commit was sent and not taken back, or the file is another one.
    #[must_use]
    pub fn may_differ(&self) -> bool {
        let sent = |site: &Site<O>| matches!(site.committed, Committed::Yes | Committed::Unknown);
        self.sites.iter().any(sent) || self.file.as_ref().is_some_and(NodeFile::is_swapped)
    }
}

/// A replacement on all nodes.
#[derive(Debug)]
pub struct Transaction<O: Object> {
    /// What is replaced.
    pub object: O,
    /// The names of the nodes.
    pub names: Arc<[NodeName]>,
    /// Where the sockets are.
    pub sockets: Sockets,
    /// Whether the file is part of it.
    pub with_file: bool,
    asker: Asker,
    nodes: Vec<Mutex<Option<State<O>>>>,
}

impl<O: Object> Transaction<O> {
    /// A replacement of which nothing is known yet.
    #[must_use]
    pub fn new(object: O, names: Arc<[NodeName]>, sockets: Sockets, with_file: bool) -> Self {
        Self {
            object,
            nodes: names.iter().map(|_| Mutex::new(None)).collect(),
            names,
            sockets,
            with_file,
            asker: Asker::default(),
        }
    }

    /// Looks at what is known of a node, or changes it. Between the steps nobody else does.
    pub fn with<T>(&self, node: NodeId, look: impl FnOnce(&mut State<O>) -> T) -> Option<T> {
        let mut state = self.nodes[node.index()].try_lock().ok()?;
        state.as_mut().map(look)
    }
}
