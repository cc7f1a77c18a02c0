//! One server of a change on one node.

use std::time::SystemTime;

use tokio::time::Instant;

use crate::haproxy::answer::AnswerError;
use crate::haproxy::change::{Verdict, Wanted};
use crate::haproxy::command::Command;
use crate::haproxy::state::Server;

/// One server of a change on one node.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which of the node's HAProxy, by its place in the reading.
    pub instance: usize,
    /// What it is to become first.
    pub wanted: Wanted,
    /// What it is to be by now; something else than that once a drain is followed by maintenance.
    pub stage: Wanted,
    /// How it was before.
    pub before: Server,
    /// What was sent for it.
    pub sent: Vec<Command>,
    /// How it was when it was last read; `None` from a write until then.
    pub after: Option<Server>,
    /// When that was.
    pub at: Option<SystemTime>,
    /// What HAProxy said instead of yes.
    pub refused: Option<AnswerError>,
    /// How that stands to what was wanted.
    pub verdict: Option<Verdict>,
    /// Whether it was read back as wanted at some time.
    pub held: bool,
    /// Whether it has what it had before again, once that was tried.
    pub restored: Option<bool>,
    /// When it was written.
    pub(super) since: Option<Instant>,
}

impl Row {
    pub(super) fn new(instance: usize, wanted: Wanted, before: Server) -> Self {
        Self {
            instance,
            wanted,
            stage: wanted,
            before,
            sent: Vec::new(),
            after: None,
            at: None,
            refused: None,
            verdict: None,
            held: false,
            restored: None,
            since: None,
        }
    }

    /// Whether it is as wanted, and known to be.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.verdict == Some(Verdict::Done)
    }

    /// Whether anything was sent for it.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        !self.sent.is_empty()
    }

    /// Whether it may be otherwise than before: it was written, and not read as it was before since then.
    #[must_use]
    pub fn may_differ(&self) -> bool {
        let is_back = |after: &Server| self.wanted.back(&self.before).is_set(after);
        self.is_touched() && !self.after.as_ref().is_some_and(is_back)
    }

    /// What there is to say of it beside how it is: why it is not as wanted.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        if let Some(refused) = self.refused.as_ref().filter(|_| !self.is_done()) {
            return Some(refused.to_string());
        }
        match &self.verdict {
            Some(Verdict::Wrong(what) | Verdict::Settling(what)) => Some(what.clone()),
            Some(Verdict::Done) | None => None,
        }
    }
}
