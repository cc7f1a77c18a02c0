//! What a group source is, and the table of the kinds there are.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Error, Pairs, Upcall, command, file};

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

/// A kind of source that has files of its own: where `groups.conf` says their folders are, and how they are read.
#[derive(Debug)]
pub(super) struct Kind {
    /// The keys of `groups.conf` that name the folders; the first that is there counts.
    pub(super) keys: &'static [&'static str],
    /// The ending of the files.
    pub(super) extension: &'static str,
    /// Whether a file that cannot be read is passed over or read as an empty one.
    pub(super) read: fn(path: &Path, folder: &Path) -> Result<Vec<Source>, Error>,
}

/// All kinds, in the order in which their sources are found; those of `groups.conf` itself come last.
pub(super) static SOURCES: &[Kind] = &[
    Kind {
        keys: &["groupsdir", "confdir"],
        extension: "conf",
        read: command::read,
    },
    Kind {
        keys: &["autodir"],
        extension: "yaml",
        read: file::read,
    },
];
