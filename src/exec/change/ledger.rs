//! Where changes are written down: the trait that the engine writes to, and what one line says.

use serde::{Deserialize, Serialize};

/// A place that keeps what is changed.
pub trait Ledger: std::fmt::Debug {
    /// Whether no change may be made that cannot be written down.
    fn is_required(&self) -> bool;

    /// By what this change is found again; `None` if it is not written down.
    fn id(&self) -> Option<&str>;

    /// Writes entries down, all of them or none.
    ///
    /// # Errors
    /// Why that cannot be done, in words.
    fn write(&mut self, entries: &[Entry]) -> Result<(), String>;
}

/// Whether an entry was written before the change or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// Before: it may have been begun.
    Intent,
    /// After: what became of it.
    Result,
}

/// What a change is to do on one node, or what became of it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Before or after.
    pub kind: EntryKind,
    /// The node.
    pub node: String,
    /// What to think of it: of its rows the worst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The servers.
    pub rows: Vec<LedgerRow>,
    /// Contents of HAProxy's memory that are replaced as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contents: Vec<LedgerContent>,
}

/// One content of an entry: a map, an ACL or a certificate. What is in it is not written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerContent {
    /// The stats socket.
    pub socket: String,
    /// The instance of HAProxy, where a node has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// `map`, `acl` or `cert`.
    pub kind: String,
    /// Its name, which is that of its file.
    pub name: String,
    /// What was served before, in a few words.
    pub before: String,
    /// What was to be served.
    pub wanted: String,
    /// What was read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether the file on the node was part of it; else the next reload forgets it.
    pub with_file: bool,
    /// `done`, `unchanged`, `failed`, `unverified`, `restored` or `not-begun`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
}

/// One server of an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The stats socket.
    pub socket: String,
    /// The instance of HAProxy, where a node has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Backend and server.
    pub server: String,
    /// What the change may leave, as HAProxy's own words: `maint`, or `weight 10`.
    pub wanted: Vec<String>,
    /// The state before, such as `RUNNING/READY`.
    pub before: String,
    /// What it was told before: `ready`, `drain` or `maint`.
    pub set_before: String,
    /// The weight before.
    pub weight_before: u32,
    /// What was sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// The state that was read last; `None` when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What it was told last, by what was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_after: Option<String>,
    /// The weight that was read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_after: Option<u32>,
    /// `done`, `unchanged`, `failed`, `unverified` or `restored`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Why it is not as wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
