//! What failed in the last run of an action, for `--failed-of last`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::state;

/// The top-level services that failed, by directory of service files and action.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Records {
    failed: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// The file that remembers.
#[derive(Debug)]
pub(super) struct Last {
    file: PathBuf,
    directory: String,
}

impl Last {
    /// The memory in the state folder, for the service files of a directory.
    pub(super) fn new(state: &Path, directory: &Path) -> Self {
        let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
        Self {
            file: state.join("services.json"),
            directory: directory.display().to_string(),
        }
    }

    /// The services that failed in the last run of the action; `None` if none is remembered.
    pub(super) fn failed(&self, action: &str) -> Option<Vec<String>> {
        let mut records = self.read();
        records.failed.get_mut(&self.directory)?.remove(action)
    }

    /// Remembers which services failed.
    pub(super) fn remember(&self, action: &str, failed: Vec<String>) -> io::Result<()> {
        let mut records = self.read();
        let actions = records.failed.entry(self.directory.clone()).or_default();
        actions.insert(action.to_owned(), failed);
        let mut text = serde_json::to_vec(&records)?;
        text.push(b'\n');
        state::write(&self.file, &text)
    }

    /// What is remembered; a file that cannot be read remembers nothing.
    fn read(&self) -> Records {
        fs::read(&self.file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_of_each_directory_is_remembered_by_itself() {
        let state = tempfile::tempdir().unwrap();
        let here = Last::new(state.path(), Path::new("/here"));
        assert_eq!(here.failed("start"), None);
        here.remember("start", vec!["a".into(), "b".into()])
            .unwrap();
        here.remember("stop", Vec::new()).unwrap();
        assert_eq!(here.failed("start"), Some(vec!["a".into(), "b".into()]));
        assert_eq!(here.failed("stop"), Some(Vec::new()));
        assert_eq!(
            Last::new(state.path(), Path::new("/there")).failed("start"),
            None
        );
        fs::write(state.path().join("services.json"), "rubbish").unwrap();
        assert_eq!(here.failed("start"), None);
    }
}
