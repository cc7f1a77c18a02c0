//! What a node's HAProxy answered, as data. Text and JSON are made of it in `report::answers` alone.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::haproxy::change::Wanted;
use crate::haproxy::patterns::{Entries, Kind, List};
use crate::haproxy::stat::Counters;
use crate::haproxy::state::Server;

/// The answer of one node to one verb, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `status`.
    Servers(Servers),
    /// `enable`, `disable`, `drain`, `weight`: rows as far as they are known by now.
    Changes(Vec<ChangeRow>),
    /// `map show`, `acl show`: which there are.
    Lists(Vec<ListRow>),
    /// `map show NAME`, `acl show NAME`: what they hold.
    Entries(Vec<EntriesRow>),
    /// `map`, `acl` and `cert` with what they change.
    Contents(Vec<ContentRow>),
    /// `info`: `show info` of each instance.
    Info(Vec<Said>),
    /// `stat`: `show stat` of each instance.
    Stat(Vec<Said>),
    /// `sess`: `show sess` of each instance.
    Sessions(Vec<Said>),
    /// `raw`: what nobody but the operator knows how to read.
    Raw(Vec<Said>),
}

impl Answer {
    /// Roughly how many bytes it takes to show it.
    #[must_use]
    pub fn size(&self) -> usize {
        /// A row of a table, as text.
        const ROW: usize = 64;
        match self {
            Self::Servers(servers) => servers.rows.len() * ROW,
            Self::Changes(rows) => rows.len() * ROW,
            Self::Lists(rows) => rows.len() * ROW,
            Self::Entries(rows) => rows.iter().map(|row| row.entries.as_text().len()).sum(),
            Self::Contents(rows) => rows.iter().map(|row| row.difference.len() * ROW).sum(),
            Self::Info(said) | Self::Stat(said) | Self::Sessions(said) | Self::Raw(said) => {
                said.iter().map(|said| said.text.len()).sum()
            }
        }
    }
}

/// The servers of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Servers {
    /// In HAProxy's order, instance by instance, unless another one was asked for.
    pub rows: Vec<ServerRow>,
    /// The instances that were asked, also those that have none of the rows.
    pub asked: Vec<Option<Arc<str>>>,
    /// How people see them.
    pub form: Form,
}

/// How people see the servers of a node. In JSON they are rows in each form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// One line a server, with its states.
    #[default]
    Plain,
    /// The same with the reason, the weight, the sessions and the check.
    Long,
    /// One line for the servers of a backend that are in the same state.
    Fold,
    /// One line a backend, with how many of its servers are usable.
    Summary,
}

/// A server as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerRow {
    /// The instance of HAProxy, where a node has several.
    pub instance: Option<Arc<str>>,
    /// Name, states, weight, address.
    pub server: Server,
    /// Sessions, queue and check, if they were asked for.
    pub counters: Option<Counters>,
}

/// What became of one server of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// The instance of HAProxy, where a node has several.
    pub instance: Option<Arc<str>>,
    /// What it was to become.
    pub wanted: Wanted,
    /// As it was read before the change.
    pub before: Server,
    /// As it was read last; `None` if it was written and could not be read back.
    pub after: Option<Server>,
    /// What to think of it.
    pub verdict: ChangeVerdict,
    /// What there is to say beside the verdict.
    pub message: Option<String>,
    /// When that was known; `None` where no clock was asked.
    pub at: Option<SystemTime>,
}

/// What to think of a server of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeVerdict {
    /// It was written and read back as wanted.
    Done,
    /// It was so before; nothing was written.
    Unchanged,
    /// It was read back otherwise than wanted, or HAProxy refused.
    Failed,
    /// It was written and not read back.
    Unverified,
    /// It has what it had before the change again.
    Restored,
    /// Nothing was written, because that was not asked for: it would be.
    Planned,
}

impl ChangeVerdict {
    /// The word for it, in JSON and in the audit log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
            Self::Unverified => "unverified",
            Self::Restored => "restored",
            Self::Planned => "planned",
        }
    }
}

/// A map or ACL that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRow {
    /// The instance of HAProxy, where a node has several.
    pub instance: Option<Arc<str>>,
    /// Which of the two.
    pub kind: Kind,
    /// It as HAProxy's table has it.
    pub list: List,
}

/// What a map or ACL holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntriesRow {
    /// The instance of HAProxy, where a node has several.
    pub instance: Option<Arc<str>>,
    /// Which of the two.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The entries.
    pub entries: Entries,
}

/// What becomes, or became, of a content of HAProxy's memory that is replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRow {
    /// The instance of HAProxy, where a node has several.
    pub instance: Option<Arc<str>>,
    /// `map`, `acl` or `cert`.
    pub kind: &'static str,
    /// Its name, which is that of its file.
    pub name: String,
    /// What was served before, in a few words.
    pub before: String,
    /// What is to be served.
    pub wanted: String,
    /// What was read last; `None` if it was written and could not be read back.
    pub after: Option<String>,
    /// How the new content differs from the old one, line by line; none once it was told.
    pub difference: Vec<String>,
    /// The difference in words.
    pub summary: String,
    /// What to think of it.
    pub verdict: ChangeVerdict,
    /// Why it is not as wanted.
    pub message: Option<String>,
    /// What became of the file: `written`, `unchanged`, `not written`; `None` if it is not part of the change.
    pub file: Option<&'static str>,
}

/// What one instance of HAProxy said, in its own words and without the empty line that ends them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The instance of HAProxy, where a node has several.
    pub instance: Option<Arc<str>>,
    /// The words.
    pub text: Bytes,
}
