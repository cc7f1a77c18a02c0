//! What a group source is.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Error, Pairs, Upcall};

/// How long answers are kept, unless the source says otherwise, in seconds.
pub(super) const CACHE_TIME: f64 = 3600.0;

/// One group source.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    /// What answers.
    pub(super) answers: Arc<dyn Answers>,
    /// Where its upcalls run.
    pub(super) folder: PathBuf,
    /// What `$CFGDIR` is in them.
    pub(super) cfgdir: String,
    /// How long its answers are kept, in seconds.
    pub(super) cache_time: f64,
}

/// How a kind of source answers.
pub(super) trait Answers: Debug + Send + Sync {
    /// Whether it can be asked this kind of question.
    fn takes(&self, upcall: Upcall) -> bool;

    /// The answer to a question that it takes, as it comes.
    ///
    /// # Errors
    /// Why there is none.
    fn ask(
        &self,
        source: &Source,
        question: (Upcall, &str),
        limit: Duration,
    ) -> Result<String, Error>;

    /// Each group with its nodes, where that is known without a question.
    fn groups(&self) -> Option<&Arc<Pairs>> {
        None
    }
}

impl Source {
    /// Whether it can answer this kind of question, maybe by way of another one.
    pub(super) fn can(&self, upcall: Upcall) -> bool {
        self.answers.takes(upcall)
            || (self.has_all_groups() && matches!(upcall, Upcall::Map | Upcall::List))
    }

    /// Whether one answer has all groups with their nodes.
    pub(super) fn has_all_groups(&self) -> bool {
        self.answers.groups().is_some() || self.answers.takes(Upcall::MapAll)
    }
}
