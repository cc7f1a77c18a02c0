//! The journal of runs: what was run where, and what became of each node. `--failed-of last` reads it.
//!
//! One file per run below the state folder, named by its time, so that runs side by side do not meet. What the nodes
//! were given to read and what they said is not in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::error::CliError;
use super::state;
use crate::config::Environment;
use crate::event::{ErrorCode, FailureClass, NodeId, Outcome, Summary};
use crate::nodeset::NodeSet;
use crate::plan::NodeName;

/// How many runs are remembered.
const KEPT: usize = 100;

/// What is remembered of one run. The nodes are folded.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// When it ended.
    pub(super) time: String,
    /// What was run, in one line.
    pub(super) command: String,
    /// Whether the nodes were those of the embedded lab.
    pub(super) lab: bool,
    /// Did what was asked.
    pub(super) ok: String,
    /// Their command failed.
    pub(super) failed: String,
    /// Could not be reached, or did not finish in time.
    pub(super) unreached: String,
    /// Were stopped, or not begun.
    pub(super) stopped: String,
    /// The exit code.
    pub(super) code: u8,
}

impl Record {
    /// The record of a run that is over.
    pub(super) fn new(command: &str, names: &[NodeName], summary: &Summary, code: u8) -> Self {
        let among = |wanted: fn(&Outcome) -> bool| {
            let nodes = summary.outcomes.iter();
            let nodes = nodes.filter(|(_, outcome)| wanted(outcome));
            fold(names, nodes.map(|(node, _)| *node)).to_string()
        };
        Self {
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            command: command.to_owned(),
            lab: false,
            ok: among(|outcome| outcome.class().is_none()),
            failed: among(|outcome| {
                let class = outcome.class();
                class.is_some_and(|class| class != FailureClass::Unreached)
            }),
            unreached: among(|outcome| {
                outcome.class() == Some(FailureClass::Unreached) && !is_stopped(outcome)
            }),
            stopped: among(is_stopped),
            code,
        }
    }

    /// The nodes on which it was not done, for whatever reason.
    fn not_done(&self) -> impl Iterator<Item = &str> {
        [&self.failed, &self.unreached, &self.stopped]
            .into_iter()
            .map(String::as_str)
            .filter(|nodes| !nodes.is_empty())
    }
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} exit {}", self.time, self.code)?;
        for (what, nodes) in [
            ("ok", &self.ok),
            ("failed", &self.failed),
            ("unreached", &self.unreached),
            ("stopped", &self.stopped),
        ] {
            if !nodes.is_empty() {
                write!(f, " {what} {nodes}")?;
            }
        }
        let lab = if self.lab { " --lab" } else { "" };
        write!(f, "{lab} -- {}", self.command.escape_debug())
    }
}

/// Whether the node was not done because the run ended before its time.
fn is_stopped(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(failure)
        if matches!(failure.code, ErrorCode::Stopped | ErrorCode::Deadline | ErrorCode::NotBegun))
}

fn fold(names: &[NodeName], nodes: impl Iterator<Item = NodeId>) -> NodeSet {
    nodes.map(|node| &*names[node.index()]).collect()
}

/// The journal.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
}

impl Journal {
    /// The journal of this user; `None` when nothing says where it is.
    pub(super) fn new(environment: &Environment) -> Option<Self> {
        let folder = state::folder(environment)?.join("runs");
        Some(Self { folder })
    }

    /// Adds a run and forgets the oldest ones.
    ///
    /// # Errors
    /// What the system said, with the folder's name.
    pub(super) fn add(&self, record: &Record) -> Result<(), String> {
        let added = || -> io::Result<()> {
            let mut text = serde_json::to_vec(record)?;
            text.push(b'\n');
            let name = format!("{}-{}.json", record.time, std::process::id());
            state::write(&self.folder.join(name), &text)?;
            let files = self.files()?;
            for old in files.iter().rev().skip(KEPT) {
                // Another run may have forgotten it first.
                let _ = fs::remove_file(old);
            }
            Ok(())
        };
        added().map_err(|error| {
            format!(
                "cannot write the journal of runs in {}: {error}",
                self.folder.display()
            )
        })
    }

    /// The runs, oldest first.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub(super) fn runs(&self) -> Result<Vec<Record>, CliError> {
        let files = self
            .files()
            .map_err(|error| unreadable(&self.folder, &error))?;
        files.iter().map(|file| read(file)).collect()
    }

    /// The node sets, folded, that the last run was not done on; `None` if no run is remembered.
    ///
    /// # Errors
    /// A record that cannot be read: it must not mean that nothing failed.
    pub(super) fn failed_of_last(&self, lab: bool) -> Result<Option<Vec<String>>, CliError> {
        let files = self
            .files()
            .map_err(|error| unreadable(&self.folder, &error))?;
        for file in files.iter().rev() {
            let record = read(file)?;
            // A practice run says nothing about real nodes of the same names.
            if record.lab == lab {
                return Ok(Some(record.not_done().map(str::to_owned).collect()));
            }
        }
        Ok(None)
    }

    /// The files, oldest first.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "json") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
}

fn read(file: &Path) -> Result<Record, CliError> {
    let bytes = fs::read(file).map_err(|error| unreadable(file, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| unreadable(file, &error))
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> CliError {
    CliError::system(format!(
        "cannot read the journal of runs, {}: {error}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::event::Stop;

    fn journal() -> (tempfile::TempDir, Journal) {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("hash/runs");
        (state, Journal { folder })
    }

    fn record(time: &str, failed: &str) -> Record {
        Record {
            time: time.to_owned(),
            failed: failed.to_owned(),
            ..Record::default()
        }
    }

    #[test]
    fn every_node_is_in_one_of_four_sets() {
        let names: Vec<NodeName> = (1..=6).map(|n| format!("n{n}").into()).collect();
        let outcomes = [
            Outcome::OK,
            Outcome::Exited { status: 3 },
            Outcome::failed(ErrorCode::Refused, "refused"),
            Outcome::failed(ErrorCode::Stopped, "stopped before it was begun"),
            Outcome::failed(ErrorCode::TimeoutCommand, "timed out"),
            Outcome::failed(ErrorCode::Deadline, "deadline passed"),
        ];
        let summary = Summary {
            outcomes: (0..).map(NodeId).zip(outcomes).collect(),
            stop: Stop::No,
            ending: None,
        };
        let record = Record::new("x", &names, &summary, 3);
        assert_eq!(
            (
                record.ok.as_str(),
                record.failed.as_str(),
                record.unreached.as_str(),
                record.stopped.as_str()
            ),
            ("n1", "n2", "n[3,5]", "n[4,6]")
        );
    }

    #[test]
    fn the_last_run_counts_and_a_lab_is_another_world() {
        let (_state, journal) = journal();
        assert_eq!(journal.failed_of_last(false).unwrap(), None);
        journal.add(&record("2026-01-01", "n1")).unwrap();
        journal.add(&record("2026-01-02", "n[2-3]")).unwrap();
        let lab = Record {
            lab: true,
            ..record("2026-01-03", "")
        };
        journal.add(&lab).unwrap();
        let failed = journal.failed_of_last(false).unwrap();
        assert_eq!(failed, Some(vec!["n[2-3]".to_owned()]));
        assert_eq!(journal.failed_of_last(true).unwrap(), Some(Vec::new()));
        assert_eq!(journal.runs().unwrap().len(), 3);
    }

    #[test]
    fn old_runs_are_forgotten_and_nobody_else_reads_them() {
        let (_state, journal) = journal();
        for n in 0..KEPT + 5 {
            journal.add(&record(&format!("2026-{n:04}"), "n1")).unwrap();
        }
        let runs = journal.runs().unwrap();
        assert_eq!(runs.len(), KEPT);
        assert_eq!(runs[0].time, "2026-0005");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&journal.folder), 0o700);
        for file in journal.files().unwrap() {
            assert_eq!(mode(&file), 0o600);
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_is_no_run_without_failures() {
        let (_state, journal) = journal();
        journal.add(&record("2026-01-01", "n1")).unwrap();
        fs::write(journal.folder.join("2026-02.json"), "{").unwrap();
        let error = journal.failed_of_last(false).unwrap_err();
        assert!(error.message.contains("2026-02.json"), "{error}");
    }
}
