//! How outcomes become an action's status, and members' statuses a group's.

/// What became of a service, a group or an action. The order is that of a group's judgement: the worst is
/// the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Taken out of the run by name; counts as satisfied.
    Locked,
    /// Has no such action; counts as satisfied.
    Missing,
    /// Has no node left to run on; counts as satisfied.
    Skipped,
    /// All went well.
    Done,
    /// Some nodes failed, within what the action tolerates.
    Warning,
    /// More nodes than tolerated took too long, and none failed otherwise.
    Timeout,
    /// More nodes than tolerated failed.
    Error,
    /// A dependency failed, or a member of the group.
    DepError,
}

impl Status {
    /// Every status, best first.
    pub const ALL: [Self; 8] = [
        Self::Locked,
        Self::Missing,
        Self::Skipped,
        Self::Done,
        Self::Warning,
        Self::Timeout,
        Self::Error,
        Self::DepError,
    ];

    /// Whether what requires it must not run.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self >= Self::Timeout
    }

    /// Whether something was run, or would have been but for a failure.
    #[must_use]
    pub fn took_part(self) -> bool {
        self > Self::Missing
    }

    /// The name used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Locked => "LOCKED",
            Self::Missing => "MISSING",
            Self::Skipped => "SKIPPED",
            Self::Done => "OK",
            Self::Warning => "WARNING",
            Self::Timeout => "TIMEOUT",
            Self::Error => "ERROR",
            Self::DepError => "DEP_ERROR",
        }
    }

    /// A group's status from those of its deciding members: the worst, a failure of any kind being that
    /// of a dependency. A group without any is as one that lacks the action.
    pub fn of_group(members: impl IntoIterator<Item = Self>) -> Self {
        match members.into_iter().max() {
            Some(worst) if worst.is_failure() => Self::DepError,
            Some(worst) => worst,
            None => Self::Missing,
        }
    }
}

/// How many failed nodes an action tolerates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// More than this many are an error.
    pub errors: u64,
    /// More than this many are a warning.
    pub warnings: u64,
}

impl Thresholds {
    /// Judges a finished action by how many nodes failed and how many took too long.
    #[must_use]
    pub fn judge(self, failed: u64, timed_out: u64) -> Status {
        if timed_out > self.errors && failed == 0 {
            Status::Timeout
        } else if failed + timed_out > self.errors {
            Status::Error
        } else if failed + timed_out > self.warnings {
            Status::Warning
        } else {
            Status::Done
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(errors: u64, warnings: u64, failed: u64, timed_out: u64) -> Status {
        Thresholds { errors, warnings }.judge(failed, timed_out)
    }

    #[test]
    fn thresholds_separate_done_warning_and_error() {
        assert_eq!(judge(0, 0, 0, 0), Status::Done);
        assert_eq!(judge(0, 0, 1, 0), Status::Error);
        for (failed, expected) in [
            (1, Status::Done),
            (2, Status::Warning),
            (3, Status::Warning),
            (4, Status::Error),
        ] {
            assert_eq!(judge(3, 1, failed, 0), expected, "{failed} failed");
        }
        assert_eq!(
            judge(1, 4, 2, 0),
            Status::Error,
            "warnings above errors have no effect"
        );
    }

    #[test]
    fn timeout_needs_that_nothing_failed_otherwise() {
        assert_eq!(judge(0, 0, 0, 1), Status::Timeout);
        assert_eq!(judge(0, 0, 1, 1), Status::Error);
        assert_eq!(judge(3, 0, 1, 2), Status::Warning);
        assert_eq!(judge(1, 0, 0, 2), Status::Timeout);
    }

    #[test]
    fn a_group_is_the_worst_of_its_members_and_never_an_error_itself() {
        for status in Status::ALL {
            let expected = if status.is_failure() {
                Status::DepError
            } else {
                status
            };
            assert_eq!(Status::of_group([status]), expected);
        }
        assert_eq!(
            Status::of_group([Status::Done, Status::Warning, Status::Skipped]),
            Status::Warning
        );
        assert_eq!(Status::of_group([]), Status::Missing);
    }
}
