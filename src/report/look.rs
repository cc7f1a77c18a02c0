//! How a run is shown: resolved from options, configuration and the terminal's facts.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::event::Meter;

use super::answers::Table;
use super::display::Screen;
use super::format::Format;
use crate::prompt::TerminalLock;

/// How a run is shown.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each answers a question of its own about the output"
)]
pub struct Look {
    /// The name in front of our own messages.
    pub program: String,
    /// The form of the output.
    pub format: &'static Format,
    /// Whether lines and blocks are labelled.
    pub labels: bool,
    /// Whether standard error is shown among standard output.
    pub merge_err: bool,
    /// Whether only what most nodes said is shown in full, and of the others how they differ.
    pub diff: bool,
    /// Whether names, addresses and times are replaced before outputs are compared.
    pub normalize: bool,
    /// Only the servers that are not the same on all nodes are shown; told when there are any.
    pub disagree: Option<Arc<AtomicBool>>,
    /// The rows that a document for programs has, even if there are none.
    pub rows: Option<Table>,
    /// Whether exit statuses other than 0 are worth a line on standard error.
    pub notes: bool,
    /// Whether failures are told with what differs from node to node, such as addresses.
    pub details: bool,
    /// Whether labels on standard output are coloured.
    pub color_out: bool,
    /// Whether messages on standard error are coloured.
    pub color_err: bool,
    /// Whether standard output is a terminal, so that control characters of nodes are escaped.
    pub escape_out: bool,
    /// The same for standard error.
    pub escape_err: bool,
    /// Where progress is shown, if it is.
    pub progress: Option<Screen>,
    /// What is copied meanwhile, for the progress.
    pub transfer: Option<Transfer>,
    /// Whether a question has the terminal that progress is shown on.
    pub terminal_lock: TerminalLock,
}

impl Look {
    /// Labelled text without colour or progress, and nothing escaped.
    #[must_use]
    pub fn plain(program: &str, format: &'static Format) -> Self {
        Self {
            program: program.to_owned(),
            format,
            labels: true,
            merge_err: false,
            diff: false,
            normalize: false,
            disagree: None,
            rows: None,
            notes: true,
            details: false,
            color_out: false,
            color_err: false,
            escape_out: false,
            escape_err: false,
            progress: None,
            transfer: None,
            terminal_lock: TerminalLock::default(),
        }
    }
}

/// A copy that goes on.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// Counts what has gone over, to or from all nodes.
    pub meter: Meter,
    /// How much that will be, if it is known.
    pub total: Option<u64>,
}
