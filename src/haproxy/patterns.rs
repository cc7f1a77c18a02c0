//! Maps and ACLs in HAProxy's memory: what they hold, how a file of one is read, and the commands about them.
//!
//! A file is read as HAProxy reads it (seen with 2.6 and 2.8): a line that begins with `#` is a comment, blanks in front
//! are skipped, a map's key ends at the first blank and its value loses the blanks at its end, an ACL's pattern is the
//! rest of the line as it is.

mod edit;
mod lists;

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};

use super::answer::AnswerError;
use super::payload::{self, Payload, PayloadError};

pub use edit::{Edit, edit_file};
pub use lists::{List, lists};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Keys with values.
    Map,
    /// Patterns only.
    Acl,
}

impl Kind {
    /// The word for it in commands.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Acl => "acl",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a map or ACL: the path as the configuration has it, byte for byte, or `#` and its number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

/// Why a text is no name of a map or ACL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no name of a map or ACL: expected the path as the configuration has it, or # and a number", .0.escape_debug())]
pub struct NameError(String);

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// What cannot be one.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let fits = match text.strip_prefix('#') {
            Some(number) => is_number(number),
            None => {
                !text.is_empty()
                    && text.len() <= 1000
                    && !text.starts_with(['@', '-'])
                    && !text.ends_with("<<")
                    && !text.chars().any(char::is_control)
            }
        };
        fits.then(|| Self(text.to_owned()))
            .ok_or_else(|| NameError(text.to_owned()))
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the whole path of a file.
    #[must_use]
    pub fn is_path(&self) -> bool {
        self.0.starts_with('/')
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A word as the Runtime API reads it back: a backslash before all that would end it or mean something.
fn word(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, ' ' | '\t' | ';' | '\\' | '#') {
            word.push('\\');
        }
        word.push(letter);
    }
    word
}

/// A command about maps or ACLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternCommand {
    /// The process, and all that there are.
    Lists(Kind),
    /// What is in one: in what is served, or in a version that is prepared.
    Show(Kind, Name, Option<u64>),
    /// Begins a version.
    Prepare(Kind, Name),
    /// Entries into a version of a map.
    Fill(Name, u64, Payload),
    /// Entries into a version of an ACL, which takes no payload: one command each, in one line.
    Add(Name, u64, Vec<String>),
    /// Serves a version from now on.
    Commit(Kind, Name, u64),
}

impl PatternCommand {
    /// Whether it may change something, if only what is prepared.
    #[must_use]
    pub fn changes(&self) -> bool {
        !matches!(self, Self::Lists(_) | Self::Show(..))
    }

    /// What goes over the socket behind the line, and that line.
    pub(super) fn payload(&self) -> Option<(&Payload, String)> {
        let Self::Fill(name, version, payload) = self else {
            return None;
        };
        Some((payload, fill(name, *version)))
    }
}

fn name_word(name: &Name) -> String {
    match name.as_str().strip_prefix('#') {
        Some(number) => format!("#{number}"),
        None => word(name.as_str()),
    }
}

/// The command that a payload of a map goes behind.
fn fill(name: &Name, version: u64) -> String {
    format!("add map @{version} {}", name_word(name))
}

impl fmt::Display for PatternCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lists(kind) => write!(f, "show info;show {kind}"),
            Self::Show(kind, name, None) => write!(f, "show {kind} {}", name_word(name)),
            Self::Show(kind, name, Some(version)) => {
                write!(f, "show {kind} @{version} {}", name_word(name))
            }
            Self::Prepare(kind, name) => write!(f, "prepare {kind} {}", name_word(name)),
            Self::Fill(name, version, payload) => {
                write!(f, "{} << ({} lines)", fill(name, *version), payload.lines())
            }
            Self::Add(name, version, patterns) => {
                let name = name_word(name);
                for (number, pattern) in patterns.iter().enumerate() {
                    let separator = if number > 0 { ";" } else { "" };
                    write!(f, "{separator}add acl @{version} {name} {}", word(pattern))?;
                }
                Ok(())
            }
            Self::Commit(kind, name, version) => {
                write!(f, "commit {kind} @{version} {}", name_word(name))
            }
        }
    }
}

/// Reads the answer to `prepare`: the version that was begun.
///
/// # Errors
/// What is anything else.
pub fn prepared(answer: &[u8]) -> Result<u64, AnswerError> {
    let text = super::answer::check(answer)?;
    text.trim()
        .strip_prefix("New version created: ")
        .and_then(|version| version.parse().ok())
        .ok_or_else(|| AnswerError::Refused(super::answer::quote(&text)))
}

/// Judges the answer to `count` commands that each say one empty line.
///
/// # Errors
/// Anything else.
pub fn silent(answer: &[u8], count: usize) -> Result<(), AnswerError> {
    let text = super::answer::check(answer)?;
    match text.trim() {
        "" if text.len() == count => Ok(()),
        "" => Err(AnswerError::Shape(format!(
            "{} empty lines to {count} commands",
            text.len()
        ))),
        said => Err(AnswerError::Refused(super::answer::quote(said))),
    }
}

/// Why a file or an answer is not what a map or ACL can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// HAProxy would join it with the next line.
    #[error("line {0}: a key without a value")]
    NoValue(usize),
    /// HAProxy takes it as an entry, which nobody means.
    #[error(
        "line {0}: blanks in front of `#`, which HAProxy takes as an entry; begin the line with # or with the key"
    )]
    Indented(usize),
    /// It would be something else on its way.
    #[error("line {0}: a control character")]
    Control(usize),
    /// At the end of a line it would begin a payload.
    #[error("line {0}: `<<`, which HAProxy takes as the beginning of something else")]
    Announces(usize),
    /// It is not text.
    #[error("line {0}: not UTF-8")]
    NotText(usize),
    /// It cannot be sent.
    #[error("line {0}: {1}")]
    Payload(usize, PayloadError),
}

/// What a map or ACL holds, in order, duplicates too: a line each, `key value` or the pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries {
    kind: Kind,
    text: String,
    count: usize,
}

impl Entries {
    /// Nothing.
    #[must_use]
    pub fn empty(kind: Kind) -> Self {
        Self {
            kind,
            text: String::new(),
            count: 0,
        }
    }

    /// Reads a file as HAProxy does.
    ///
    /// # Errors
    /// What HAProxy would take otherwise than it is meant, or what could not be sent to it.
    pub fn of_file(kind: Kind, file: &[u8]) -> Result<Self, EntryError> {
        let mut entries = Self::empty(kind);
        for (number, line) in (1..).zip(file.split(|byte| *byte == b'\n')) {
            if let Some((key, value)) = file_line(kind, number, line)? {
                entries.push(key, value);
            }
        }
        Ok(entries)
    }

    /// Reads the answer to `show map NAME`.
    ///
    /// # Errors
    /// When it is anything else, or not whole.
    pub fn of_answer(kind: Kind, answer: &[u8]) -> Result<Self, AnswerError> {
        let text = super::answer::check(answer)?;
        if text.starts_with("Unknown ") {
            return Err(AnswerError::Refused(super::answer::quote(&text)));
        }
        let table = match &*text {
            "\n" => "",
            text => text.strip_suffix("\n\n").ok_or(AnswerError::Cut)?,
        };
        let mut entries = Self::empty(kind);
        entries.text.reserve(table.len());
        for line in table.lines() {
            let rest = line
                .strip_prefix("0x")
                .and_then(|line| line.split_once(' '))
                .ok_or_else(|| AnswerError::Shape(super::answer::quote(line)))?
                .1;
            match kind {
                Kind::Map => {
                    let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
                    entries.push(key, Some(value));
                }
                Kind::Acl => entries.push(rest, None),
            }
        }
        entries.text.shrink_to_fit();
        Ok(entries)
    }

    fn push(&mut self, key: &str, value: Option<&str>) {
        self.text.push_str(key);
        if let Some(value) = value {
            self.text.push(' ');
            self.text.push_str(value);
        }
        self.text.push('\n');
        self.count += 1;
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them as the lines of a file.
    #[must_use]
    pub fn as_text(&self) -> &str {
        &self.text
    }

    /// Key and value of each; an ACL's patterns have none.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let kind = self.kind;
        self.text.lines().map(move |line| match kind {
            Kind::Map => match line.split_once(' ') {
                Some((key, value)) => (key, Some(value)),
                None => (line, Some("")),
            },
            Kind::Acl => (line, None),
        })
    }

    /// The entries of one key.
    #[must_use]
    pub fn only(&self, wanted: &str) -> Self {
        let mut only = Self::empty(self.kind);
        for (key, value) in self.iter().filter(|(key, _)| *key == wanted) {
            only.push(key, value);
        }
        only
    }

    /// A word for what they are: the first half of their SHA-256.
    #[must_use]
    pub fn digest(&self) -> String {
        let sum = Sha256::digest(self.text.as_bytes());
        sum.iter().take(8).fold(String::new(), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The commands that fill a version with them, each as large as may be.
    ///
    /// # Errors
    /// An entry that cannot be sent.
    pub fn commands(&self, name: &Name, version: u64) -> Result<Vec<PatternCommand>, EntryError> {
        match self.kind {
            Kind::Map => self.payloads(name, version),
            Kind::Acl => self.lines(name, version),
        }
    }

    fn payloads(&self, name: &Name, version: u64) -> Result<Vec<PatternCommand>, EntryError> {
        let command = fill(name, version);
        let room = payload::MOST.saturating_sub(payload::length(&command, 0));
        let mut commands = Vec::new();
        let (mut begin, mut end, mut first) = (0, 0, 1);
        let mut take = |text: &str, first| {
            let payload = Payload::new(&command, text.as_bytes())
                .map_err(|error| EntryError::Payload(first, error))?;
            commands.push(PatternCommand::Fill(name.clone(), version, payload));
            Ok(())
        };
        for (number, line) in (1..).zip(self.text.split_inclusive('\n')) {
            if end > begin && end - begin + line.len() > room {
                take(&self.text[begin..end], first)?;
                (begin, first) = (end, number);
            }
            end += line.len();
        }
        if end > begin {
            take(&self.text[begin..end], first)?;
        }
        Ok(commands)
    }

    fn lines(&self, name: &Name, version: u64) -> Result<Vec<PatternCommand>, EntryError> {
        let each = format!(";add acl @{version} {} ", name_word(name)).len();
        let mut commands = Vec::new();
        let (mut patterns, mut length) = (Vec::new(), 1);
        for (number, (pattern, _)) in (1..).zip(self.iter()) {
            let more = each + word(pattern).len();
            if more + 1 > payload::MOST {
                let error = PayloadError::TooLong(more + 1);
                return Err(EntryError::Payload(number, error));
            }
            if length + more > payload::MOST {
                let full = std::mem::take(&mut patterns);
                commands.push(PatternCommand::Add(name.clone(), version, full));
                length = 1;
            }
            patterns.push(pattern.to_owned());
            length += more;
        }
        if !patterns.is_empty() {
            commands.push(PatternCommand::Add(name.clone(), version, patterns));
        }
        Ok(commands)
    }

    /// What makes the other of these.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Difference {
        if self == other {
            return Difference::default();
        }
        let mut balance: HashMap<&str, i64> = HashMap::new();
        for line in self.text.lines() {
            *balance.entry(line).or_default() -= 1;
        }
        for line in other.text.lines() {
            *balance.entry(line).or_default() += 1;
        }
        let mut rows = Vec::new();
        let (mut removed, mut added) = (0, 0);
        for line in self.text.lines() {
            if let Some(count) = balance.get_mut(line).filter(|count| **count < 0) {
                *count += 1;
                removed += 1;
                rows.push(format!("- {line}"));
            }
        }
        for line in other.text.lines() {
            if let Some(count) = balance.get_mut(line).filter(|count| **count > 0) {
                *count -= 1;
                added += 1;
                rows.push(format!("+ {line}"));
            }
        }
        Difference {
            removed,
            added,
            is_order: removed + added == 0,
            rows,
        }
    }
}

/// How two contents differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// How many entries are gone.
    pub removed: usize,
    /// How many are new.
    pub added: usize,
    /// They are the same entries in another order.
    pub is_order: bool,
    /// The entries, with `- ` and `+ ` in front.
    pub rows: Vec<String>,
}

impl Difference {
    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.rows.is_empty() && !self.is_order
    }
}

/// The entry of a line of a file; comments and empty lines have none.
fn file_line(
    kind: Kind,
    number: usize,
    line: &[u8],
) -> Result<Option<(&str, Option<&str>)>, EntryError> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = std::str::from_utf8(line).map_err(|_| EntryError::NotText(number))?;
    if line.starts_with('#') {
        return Ok(None);
    }
    let entry = line.trim_start_matches([' ', '\t']);
    if entry.is_empty() {
        return Ok(None);
    }
    if entry.starts_with('#') {
        return Err(EntryError::Indented(number));
    }
    check(kind, entry, number)?;
    Ok(Some(match kind {
        Kind::Map => {
            let (key, value) = entry
                .split_once([' ', '\t'])
                .ok_or(EntryError::NoValue(number))?;
            let value = value.trim_matches([' ', '\t']);
            if value.is_empty() {
                return Err(EntryError::NoValue(number));
            }
            (key, Some(value))
        }
        Kind::Acl => (entry, None),
    }))
}

/// Whether an entry survives the way to HAProxy and back.
fn check(kind: Kind, entry: &str, number: usize) -> Result<(), EntryError> {
    let is_wrong = |letter: char| match (kind, letter) {
        (Kind::Map, '\t') => false,
        (_, letter) => letter.is_ascii_control(),
    };
    if entry.chars().any(is_wrong) {
        return Err(EntryError::Control(number));
    }
    // Only an ACL's entries are on the line of the command.
    if kind == Kind::Acl && entry.contains("<<") {
        return Err(EntryError::Announces(number));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
