//! Where changes are written down: the trait that the engine writes to, and what one line says.

use serde::Serialize;

/// A place that keeps what was changed.
pub trait Ledger: std::fmt::Debug {
    /// Whether no change may be made that cannot be written down.
    fn is_required(&self) -> bool;

    /// Opens it, before the first write.
    ///
    /// # Errors
    /// Why it cannot be written to, in words.
    fn open(&mut self) -> Result<(), String>;

    /// Writes the entries down. The change is made by then.
    ///
    /// # Errors
    /// What the system says, in words.
    fn write(&mut self, entries: &[Entry]) -> Result<(), String>;
}

/// What became of one server of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The node.
    pub node: String,
    /// The stats socket.
    pub socket: String,
    /// Backend and server.
    pub server: String,
    /// What was sent.
    pub commands: Vec<String>,
    /// The state before, such as `RUNNING/READY`.
    pub before: String,
    /// The state that was read back; `null` when it was not.
    pub after: Option<String>,
    /// The weight before.
    pub weight_before: u32,
    /// The weight that was read back.
    pub weight_after: Option<u32>,
    /// `done`, `unchanged`, `failed`, `unverified` or `restored`.
    pub verdict: &'static str,
}
