//! The audit log as it is read: its lines put together to changes, those of rotated files too.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use indexmap::IndexMap;

use super::Line;
use crate::exec::change::{Entry, EntryKind, LedgerContent, LedgerRow};
use crate::haproxy::name::ServerName;
use crate::haproxy::select::{Selector, SelectorError, select_names};

/// What unpacks a rotated file, by the end of its name.
const PACKED: [(&str, &str); 4] = [
    ("gz", "gzip"),
    ("xz", "xz"),
    ("zst", "zstd"),
    ("bz2", "bzip2"),
];

/// A change as it was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Past {
    /// By what it is found.
    pub(in crate::cli) id: String,
    /// When it was begun, UTC.
    pub(in crate::cli) time: String,
    /// Who made it.
    pub(in crate::cli) user: String,
    /// With which verb.
    pub(in crate::cli) verb: String,
    /// Why.
    pub(in crate::cli) reason: Option<String>,
    /// The change that it takes back.
    pub(in crate::cli) undoes: Option<String>,
    /// Whether the nodes were those of the embedded lab.
    pub(in crate::cli) lab: bool,
    /// What was to be done on each node, and what became of it.
    pub(in crate::cli) nodes: IndexMap<String, OnNode>,
}

/// A change on one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cli) struct OnNode {
    intent: Option<Entry>,
    result: Option<Entry>,
}

/// What became of a change, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Verdict {
    /// It was never begun there
    NotBegun,
    /// It was so before
    Unchanged,
    /// It was made, and read back
    Done,
    /// It was made, and taken back
    Restored,
    /// It was refused, or read back otherwise
    Failed,
    /// It was made, and could not be read back
    Unverified,
    /// Its end was never written down: it is still at work, or was killed, and may have been made
    Unfinished,
}

impl Verdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotBegun => "not-begun",
            Self::Unchanged => "unchanged",
            Self::Done => "done",
            Self::Restored => "restored",
            Self::Failed => "failed",
            Self::Unverified => "unverified",
            Self::Unfinished => "unfinished",
        }
    }

    fn of(word: Option<&str>) -> Self {
        let all = [
            Self::NotBegun,
            Self::Unchanged,
            Self::Done,
            Self::Restored,
            Self::Failed,
            Self::Unverified,
        ];
        let known = all.into_iter().find(|known| Some(known.as_str()) == word);
        // A word of a later version is nothing to rely on.
        known.unwrap_or(Self::Unverified)
    }
}

impl OnNode {
    /// What became of it there.
    pub(in crate::cli) fn verdict(&self) -> Verdict {
        match &self.result {
            Some(result) => Verdict::of(result.verdict.as_deref()),
            None => Verdict::Unfinished,
        }
    }

    /// What became of one server there.
    pub(in crate::cli) fn verdict_of(&self, row: &LedgerRow) -> Verdict {
        match (&self.result, self.verdict()) {
            (Some(_), Verdict::NotBegun) => Verdict::NotBegun,
            (Some(_), _) => Verdict::of(row.verdict.as_deref()),
            (None, _) => Verdict::Unfinished,
        }
    }

    /// What went wrong there.
    pub(in crate::cli) fn message(&self) -> Option<&str> {
        self.result.as_ref()?.message.as_deref()
    }

    /// The servers, as they were written down last.
    pub(in crate::cli) fn rows(&self) -> &[LedgerRow] {
        let entry = self.result.as_ref().or(self.intent.as_ref());
        entry.map_or(&[], |entry| &entry.rows)
    }

    /// The contents of HAProxy's memory, as they were written down last.
    pub(in crate::cli) fn contents(&self) -> &[LedgerContent] {
        let entry = self.result.as_ref().or(self.intent.as_ref());
        entry.map_or(&[], |entry| &entry.contents)
    }

    /// Forgets all servers but those that the selectors mean.
    ///
    /// # Errors
    /// A selector that cannot be evaluated.
    pub(in crate::cli) fn keep_servers(
        &mut self,
        wanted: &[Selector],
    ) -> Result<(), SelectorError> {
        for entry in self.intent.iter_mut().chain(&mut self.result) {
            let names = entry
                .rows
                .iter()
                .map(|row| ServerName::parse(&row.server).ok());
            let names: Vec<Option<ServerName>> = names.collect();
            let known: Vec<&ServerName> = names.iter().flatten().collect();
            let chosen = select_names(wanted, &known)?.chosen;
            let chosen: HashSet<&str> = chosen.into_iter().map(|at| known[at].as_str()).collect();
            entry
                .rows
                .retain(|row| chosen.contains(row.server.as_str()));
        }
        Ok(())
    }

    /// The servers that were written to, or may have been.
    pub(in crate::cli) fn touched(&self) -> impl Iterator<Item = &LedgerRow> {
        let is_over = self.result.is_some();
        let rows = self.rows().iter();
        rows.filter(move |row| !is_over || !row.commands.is_empty())
    }
}

impl Past {
    /// What became of it: of its nodes the worst.
    pub(in crate::cli) fn verdict(&self) -> Verdict {
        let worst = self.nodes.values().map(OnNode::verdict).max();
        worst.unwrap_or(Verdict::NotBegun)
    }

    fn begin(line: &Line) -> Self {
        Self {
            id: line.id.clone(),
            time: line.time.clone(),
            user: line.user.clone(),
            verb: line.verb.clone(),
            reason: line.reason.clone(),
            undoes: line.undoes.clone(),
            lab: line.lab,
            nodes: IndexMap::new(),
        }
    }

    fn add(&mut self, line: Line) {
        let node = self.nodes.entry(line.entry.node.clone()).or_default();
        let place = match line.entry.kind {
            EntryKind::Intent => &mut node.intent,
            EntryKind::Result => &mut node.result,
        };
        *place = Some(line.entry);
    }
}

/// What the log says.
#[derive(Debug, Default)]
pub(in crate::cli) struct History {
    /// The changes, in the order in which they were begun.
    pub(in crate::cli) changes: Vec<Past>,
    /// What could not be read, in words.
    pub(in crate::cli) missing: Vec<String>,
}

impl History {
    /// Reads the log and its rotated files, as far as they hold what is wanted. A log that was never written is empty.
    ///
    /// # Errors
    /// What the system said of the log or its folder.
    pub(in crate::cli) fn read(log: &Path, wants: impl Fn(&Line) -> bool) -> io::Result<Self> {
        let mut history = Self::default();
        let mut changes: IndexMap<String, Past> = IndexMap::new();
        for file in files(log)? {
            let mut bad = 0;
            let read = each_line(&file, |text| match serde_json::from_slice::<Line>(text) {
                Ok(line) if wants(&line) => {
                    let change = changes.entry(line.id.clone());
                    change.or_insert_with(|| Past::begin(&line)).add(line);
                }
                Ok(_) => {}
                Err(_) => bad += 1,
            });
            let shown = file.display();
            match read {
                Ok(()) => {}
                Err(error) if file == log => return Err(error),
                Err(error) => history
                    .missing
                    .push(format!("cannot read {shown}: {error}")),
            }
            if bad > 0 {
                let lines = if bad == 1 { "line" } else { "lines" };
                let text = format!("{bad} {lines} of {shown} cannot be understood");
                history.missing.push(text);
            }
        }
        history.changes = changes.into_values().collect();
        // The names of rotated files say nothing certain about their order.
        history
            .changes
            .sort_by(|one, other| one.time.cmp(&other.time));
        Ok(history)
    }
}

/// The log and what was rotated of it, such as `audit.jsonl.1`, `audit.jsonl-20260102.gz` and `audit.1.jsonl`.
fn files(log: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = match log.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let own = name(log).unwrap_or_default();
    let (stem, end) = own.rsplit_once('.').unwrap_or((own.as_str(), ""));
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let other = name(&path).unwrap_or_default();
        let is_behind = |start: &str| {
            let rest = other.strip_prefix(start);
            rest.is_some_and(|rest| rest.starts_with(['.', '-']))
        };
        // As logrotate's `extension` leaves it: the number or date stands in front of the end.
        let is_within = other.strip_prefix(stem).is_some_and(|rest| {
            let (number, rest) = rest.split_once(&format!(".{end}")).unwrap_or_default();
            let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
            !number.is_empty() && number.chars().all(is_number) && !rest.contains('/')
        });
        if other != own && (is_behind(&own) || is_within) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    match fs::metadata(log) {
        Ok(known) if known.is_file() => files.push(log.to_owned()),
        Ok(_) => return Err(io::Error::other("it is no file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(files)
}

/// Hands over the lines of a file, unpacked where its name says that it is packed.
fn each_line(file: &Path, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let end = file.extension().and_then(|end| end.to_str());
    let unpack = PACKED.iter().find(|(packed, _)| end == Some(packed));
    let Some((_, program)) = unpack else {
        return lines(File::open(file)?, &mut take);
    };
    let unpacking = Command::new(program)
        .arg("-dc")
        .stdin(File::open(file)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut unpacking =
        unpacking.map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    let read = match unpacking.stdout.take() {
        Some(out) => lines(out, &mut take),
        None => Ok(()),
    };
    let status = unpacking.wait()?;
    read?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{program} ended with {status}"))),
    }
}

fn lines(from: impl Read, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        let text = line.trim_ascii();
        if !text.is_empty() {
            take(text);
        }
        line.clear();
    }
    Ok(())
}
