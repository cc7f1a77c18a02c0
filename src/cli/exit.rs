//! From what became of a run to the exit code of the native front-end.

use std::io;

use crate::event::{Ending, FailureClass, Outcome, Summary};
use crate::terminal::outlet::Cut;

/// What a remote exit status other than 0 means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statuses {
    /// A command's: any of them is exit code 1.
    Command,
    /// `-S`: the largest is our exit code.
    Largest,
    /// `status`: 2 says that a server is not RUNNING/READY.
    Monitoring,
}

/// The exit code of a run; the highest of 1 to 4 wins, except that an ending before its time has its own.
#[must_use]
pub(super) fn code(summary: &Summary, statuses: Statuses, signal: Option<u8>) -> u8 {
    match &summary.ending {
        Some(Ending::Stopped) => return signal.map_or(130, |signal| 128 + signal),
        Some(Ending::Deadline) => return 124,
        Some(Ending::Threshold(_)) => return 4,
        Some(Ending::OutputLost(error)) => return lost_output(error),
        None => {}
    }
    summary
        .outcomes
        .iter()
        .map(|(_, outcome)| match outcome {
            Outcome::Exited { status } if statuses == Statuses::Command => u8::from(*status != 0),
            Outcome::Exited { status } => *status,
            Outcome::Killed { .. } | Outcome::Failed(_) if statuses == Statuses::Largest => {
                outcome.status()
            }
            Outcome::Killed { .. } => 1,
            Outcome::Failed(failure) => match failure.code.class() {
                FailureClass::Command => 1,
                FailureClass::Unreached => 3,
                FailureClass::Guarded => 4,
            },
        })
        .max()
        .unwrap_or(0)
}

/// The exit code when our own output could not be written: 141 when the reader went away, that of a signal or of the
/// deadline which ended the writing, else 1.
#[must_use]
pub(super) fn lost_output(error: &io::Error) -> u8 {
    match Cut::of(error) {
        Some(Cut::Signal(number)) => 128 + number,
        Some(Cut::Deadline) => 124,
        None if error.kind() == io::ErrorKind::BrokenPipe => 141,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ErrorCode, NodeId, Stop};

    fn summary(outcomes: Vec<Outcome>) -> Summary {
        let outcomes = (0..).map(NodeId).zip(outcomes).collect();
        Summary {
            outcomes,
            stop: Stop::No,
            ending: None,
        }
    }

    #[test]
    fn the_highest_wins() {
        let mixed = summary(vec![
            Outcome::OK,
            Outcome::Exited { status: 7 },
            Outcome::failed(ErrorCode::Refused, "connection refused"),
        ]);
        assert_eq!(code(&mixed, Statuses::Command, None), 3);
        assert_eq!(code(&mixed, Statuses::Largest, None), 255);
        assert_eq!(
            code(
                &summary(vec![Outcome::Exited { status: 7 }]),
                Statuses::Command,
                None
            ),
            1
        );
        assert_eq!(
            code(
                &summary(vec![Outcome::Exited { status: 7 }]),
                Statuses::Largest,
                None
            ),
            7
        );
        assert_eq!(
            code(
                &summary(vec![Outcome::Exited { status: 2 }]),
                Statuses::Monitoring,
                None
            ),
            2
        );
        assert_eq!(
            code(
                &summary(vec![Outcome::failed(ErrorCode::Guard, "last one")]),
                Statuses::Command,
                None
            ),
            4
        );
        assert_eq!(code(&summary(vec![]), Statuses::Command, None), 0);
    }

    #[test]
    fn an_early_end_has_its_own_code() {
        let ended = |ending| Summary {
            ending: Some(ending),
            ..summary(vec![Outcome::OK])
        };
        assert_eq!(
            code(&ended(Ending::Stopped), Statuses::Command, Some(2)),
            130
        );
        assert_eq!(
            code(&ended(Ending::Stopped), Statuses::Command, Some(15)),
            143
        );
        assert_eq!(code(&ended(Ending::Deadline), Statuses::Command, None), 124);
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(
            code(&ended(Ending::OutputLost(pipe)), Statuses::Command, None),
            141
        );
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(
            code(&ended(Ending::OutputLost(full)), Statuses::Command, None),
            1
        );
    }
}
