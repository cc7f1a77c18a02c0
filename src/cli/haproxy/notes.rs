//! The wording of what the operator should know of a change.

use crate::exec::change::Note;

/// A note as lines of standard error.
#[must_use]
pub fn lines(note: &Note) -> Vec<String> {
    let line = match note {
        Note::SeveralProcesses { nodes } => format!(
            "warning: {nodes}: HAProxy runs in several processes (nbproc), and only one of them answers"
        ),
        Note::OldWorkers { nodes } => format!(
            "warning: {nodes}: old workers still serve connections from before a reload; the change does not reach them"
        ),
        Note::Stopping { nodes } => {
            format!("warning: {nodes}: the worker that answers is about to end")
        }
        Note::Disagree { views, more } => {
            let mut lines = vec![
                "warning: the nodes do not agree on these servers before the change:".to_owned(),
            ];
            for (nodes, rows) in views {
                lines.extend(rows.iter().map(|row| format!("{nodes}: {row}")));
                if rows.is_empty() {
                    lines.push(format!("{nodes}: none of them"));
                }
            }
            if *more > 0 {
                lines.push(format!("and {more} more kinds of nodes"));
            }
            return lines;
        }
        Note::Emptied { node, backends } => format!(
            "warning: {node}: no usable server will be left in {}",
            backends.join(", ")
        ),
        Note::Ledger {
            error,
            before: true,
        } => format!("warning: {error}; the change goes on without"),
        Note::Ledger {
            error,
            before: false,
        } => format!("warning: {error}"),
        Note::Reloaded { nodes } => {
            format!("warning: {nodes}: HAProxy was reloaded in between; the change was made again")
        }
        Note::Waiting { nodes, what } => format!("{nodes}: waiting: {what}"),
        Note::WayBack { nodes, verb } => format!("to take it back: hapsh -w '{nodes}' {verb}"),
    };
    vec![line]
}
