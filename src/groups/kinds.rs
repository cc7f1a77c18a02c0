//! The table of the kinds of group sources that have files of their own.

use std::path::Path;

use super::source::Source;
use super::{Error, command, file};

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
