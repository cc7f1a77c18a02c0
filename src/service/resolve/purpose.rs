//! What a graph is made for.

/// What the graph is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To look at: only targets and dependencies are expanded.
    Check,
    /// To run.
    Run,
}
