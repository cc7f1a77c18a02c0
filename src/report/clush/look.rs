//! How `clush` shows a run: resolved from options, configuration and the terminal's facts.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::event::Meter;
use crate::nodeset::{NodeSet, Style};
use crate::plan::NodeName;
use crate::report::display::Screen;

/// How output is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Each line as it comes.
    Live,
    /// Equal outputs under one header, at the end.
    Blocks,
    /// Each node's output with a label on each line, at the end.
    Lines,
    /// Equal lines with one label, as soon as all nodes have said as many.
    Columns,
    /// How outputs differ from the most frequent one, at the end.
    Diff,
}

/// Who says why a node could not be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reasons {
    /// We do, on standard error.
    Ours,
    /// What reaches the nodes writes it on the node's standard error by itself; we do if it wrote nothing.
    Theirs,
}

/// Gives the text of a set of nodes, such as `n[1-3]` or `@gpu`.
pub type Fold<'a> = Box<dyn Fn(&NodeSet) -> io::Result<String> + 'a>;

/// How a run is shown.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each answers a question of its own about the output"
)]
pub struct Look<'a> {
    /// The name in front of our messages.
    pub program: String,
    /// How output is shown.
    pub form: Layout,
    /// Whether standard error is part of what is gathered.
    pub merge_err: bool,
    /// Whether lines and blocks are labelled.
    pub labels: bool,
    /// Whether lines are shown as they come, whatever the form.
    pub echo: bool,
    /// Whether headers have the number of nodes.
    pub count_in_headers: bool,
    /// Whether messages have it.
    pub count_in_messages: bool,
    /// Whether exit codes and time limits are told.
    pub messages: bool,
    /// Whether progress is shown.
    pub progress: bool,
    /// The terminal that standard error is, if it is one.
    pub screen: Option<Screen>,
    /// Whether somebody sits in front of it, so that a stop shows what was gathered so far.
    pub interactive: bool,
    /// Whether labels and headers are coloured.
    pub color: bool,
    /// Whether standard output is a terminal, so that control characters of nodes are escaped.
    pub escape_out: bool,
    /// The same for standard error.
    pub escape_err: bool,
    /// Who says why a node could not be reached.
    pub reasons: Reasons,
    /// How much was sent to the nodes.
    pub sent: Option<Meter>,
    /// The text of a set of nodes in headers and labels.
    pub fold: Fold<'a>,
    /// How sets are folded in messages.
    pub style: Style,
    /// The gateways that are open, if there is a tree.
    pub gateways: Option<Gateways>,
}

/// Tells which gateways are open, each with the nodes it has yet to finish.
pub type Gateways = Arc<dyn Fn() -> Vec<(NodeName, NodeSet)> + Send + Sync>;

impl fmt::Debug for Look<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look")
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}
