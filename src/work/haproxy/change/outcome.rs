//! What all rows of a node come to.

use super::{Change, End, Goal, Progress, Row, Then, list};
use crate::event::{ErrorCode, Failure, NodeId, Outcome};
use crate::haproxy::answer::AnswerError;
use crate::haproxy::change::{Verdict, Wanted};
use crate::haproxy::state::AdminWord;

impl Change {
    /// Whether the work on a node was begun, so that something may have been written.
    #[must_use]
    pub fn is_served(&self, node: NodeId) -> bool {
        self.locked(node).begun.is_some()
    }

    /// Whether the look at the end failed on a node.
    #[must_use]
    pub fn is_unread(&self, node: NodeId) -> bool {
        self.locked(node).unread.is_some()
    }

    /// The work on a node was cut short, for that reason.
    pub fn cut_short(&self, node: NodeId, failure: Failure) {
        let end = &mut self.locked(node).end;
        end.get_or_insert(End::Failed(failure));
    }

    /// What became of a node, by what was read of it last.
    #[must_use]
    pub fn outcome(&self, node: NodeId) -> Outcome {
        let progress = self.locked(node);
        match trouble(&progress, self.goal) {
            Some(failure) => Outcome::Failed(failure),
            None => Outcome::OK,
        }
    }
}

/// Where a drain ends that is followed by something.
const OUT: Wanted = Wanted::State(AdminWord::Maint);

fn trouble(progress: &Progress, goal: Goal) -> Option<Failure> {
    let rows = &progress.rows;
    if let Some(failure) = &progress.unread {
        return Some(Failure::new(
            failure.code,
            format!(
                "not known: it could not be read at the end ({}); before that: {}",
                failure.message,
                states(rows)
            ),
        ));
    }
    let is_waited_for = match goal {
        Goal::Set | Goal::Healthy(_) => true,
        Goal::Idle(_, then) => then != Then::Stay && rows.iter().all(|row| row.stage == OUT),
    };
    let is_proved = is_waited_for && rows.iter().all(Row::is_done);
    match &progress.end {
        // A write that was not answered in time may have been done all the same.
        Some(End::Failed(failure)) if !is_proved => return Some(failure.clone()),
        Some(End::Stopped(left)) if !left.is_empty() => {
            let text = format!("stopped while waiting: {left}; {}", states(rows));
            return Some(Failure::new(ErrorCode::Stopped, text));
        }
        _ => {}
    }
    if let Some(failure) = refused(rows).or_else(|| wrong(rows)) {
        return Some(failure);
    }
    let limit = humantime::format_duration(goal.limit().unwrap_or_default());
    if let Some(End::WaitOver(left)) = &progress.end
        && let Goal::Idle(..) = goal
    {
        let text = format!("{left} after {limit}; {}", states(rows));
        return Some(Failure::new(ErrorCode::Wait, text));
    }
    let settling = those(rows, |row| match &row.verdict {
        Some(Verdict::Settling(status)) => Some(format!("{} is {status}", row.before.name)),
        Some(Verdict::Done | Verdict::Wrong(_)) | None => None,
    });
    match goal {
        Goal::Healthy(_) if !settling.is_empty() => Some(Failure::new(
            ErrorCode::Wait,
            format!(
                "READY, but no full health after {limit}: {}",
                list(&settling)
            ),
        )),
        Goal::Set | Goal::Healthy(_) | Goal::Idle(..) => None,
    }
}

/// What HAProxy refused.
fn refused(rows: &[Row]) -> Option<Failure> {
    let refused = those(rows, |row| {
        let error = row.refused.as_ref().filter(|_| !row.is_done())?;
        Some(format!("{}: {error}", row.before.name))
    });
    let is_denied = |row: &Row| row.refused == Some(AnswerError::Permission);
    let code = if rows.iter().any(is_denied) {
        ErrorCode::Permission
    } else {
        ErrorCode::Haproxy
    };
    (!refused.is_empty()).then(|| Failure::new(code, list(&refused)))
}

/// What is not as wanted, though HAProxy did not refuse it, or could not be read.
fn wrong(rows: &[Row]) -> Option<Failure> {
    let wrong = those(rows, |row| match &row.verdict {
        Some(Verdict::Wrong(what)) => Some(format!("{} is {what}", row.before.name)),
        Some(Verdict::Done | Verdict::Settling(_)) => None,
        None => Some(format!("{} was not read back", row.before.name)),
    });
    (!wrong.is_empty()).then(|| {
        let text = format!("not as wanted: {}", list(&wrong));
        Failure::new(ErrorCode::Verify, text)
    })
}

/// The rows as they were read last, in words.
fn states(rows: &[Row]) -> String {
    let texts = those(rows, |row| {
        let name = &row.before.name;
        Some(match &row.after {
            Some(after) => format!("{name} is {}", row.stage.shown(after)),
            None => format!("{name} was not read back"),
        })
    });
    list(&texts)
}

fn those(rows: &[Row], of: impl Fn(&Row) -> Option<String>) -> Vec<String> {
    rows.iter().filter_map(of).collect()
}
