//! Group sources: where named node sets come from (ClusterShell's `groups.conf` and its YAML files).
//!
//! It answers with text: what a group's nodes are is a node-set expression, which `nodeset` evaluates.
//! Nothing is read and nothing is run before the first question.

mod answers;
mod command;
mod conf;
mod defaults;
mod file;
mod kinds;
mod source;
mod text;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use indexmap::IndexMap;
use tokio::time::Instant;

use conf::Table;
pub use conf::search_path;
pub use defaults::Defaults;
use source::Source;

use crate::ini::{IniError, WordsError};

/// How long an upcall may take, unless said otherwise.
pub const UPCALL_LIMIT: Duration = Duration::from_secs(60);

/// How many upcalls run at one time.
const AT_ONCE: usize = 8;

/// Where group sources are described.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The files that are read as `groups.conf`, the later ones winning; a missing one is none.
    pub files: Vec<PathBuf>,
    /// How long one upcall may take.
    pub upcall_limit: Duration,
}

impl Settings {
    /// `groups.conf` in each of these folders ([`search_path`]).
    #[must_use]
    pub fn search(folders: &[PathBuf]) -> Self {
        Self {
            files: folders.iter().map(|dir| dir.join("groups.conf")).collect(),
            upcall_limit: UPCALL_LIMIT,
        }
    }

    /// This file and no other (`--groupsconf`).
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self {
            files: vec![path],
            upcall_limit: UPCALL_LIMIT,
        }
    }
}

/// A question that a group source may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Upcall {
    /// The nodes of a group.
    Map,
    /// All nodes.
    All,
    /// The names of all groups.
    List,
    /// The groups of a node.
    Reverse,
    /// All groups with their nodes.
    MapAll,
}

impl Upcall {
    /// Its name in `groups.conf`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::All => "all",
            Self::List => "list",
            Self::Reverse => "reverse",
            Self::MapAll => "mapall",
        }
    }
}

/// Why a question about groups has no answer. The texts are those of the original tools, without the
/// program's name; what they add (the expression in hand) is for who evaluates it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No source of that name; `<default>` when there is no source at all.
    #[error("Unknown group source: \"{0}\"")]
    UnknownSource(String),
    /// The source cannot answer this kind of question.
    #[error("No {} upcall defined for group source \"{source_name}\"", upcall.name())]
    NoUpcall {
        /// The question.
        upcall: Upcall,
        /// The source.
        source_name: String,
    },
    /// The nodes of a group could not be had.
    #[error("{0}")]
    Map(String),
    /// The names of the groups could not be had.
    #[error("Group error: {0}")]
    List(String),
    /// All nodes could not be had.
    #[error("External error: Failed to get all nodes: {0}")]
    All(String),
    /// The groups of a node could not be had.
    #[error("External error: Group source query failed: {0}")]
    Reverse(String),
    /// Neither `all` nor `list` and `map`.
    #[error("External error: Not enough working methods (all or map + list) to get all nodes")]
    NotEnough,
    /// A group name with a character that has another meaning.
    #[error("Illegal group character: \"{0}\"")]
    IllegalCharacter(char),
    /// A configuration that makes no sense.
    #[error("Group resolver error: {0}")]
    Config(String),
    /// A file that is not in the ini dialect.
    #[error(transparent)]
    Ini(#[from] IniError),
    /// A value that is no list of words.
    #[error(transparent)]
    Words(#[from] WordsError),
}

impl Error {
    fn failed(upcall: Upcall, detail: String) -> Self {
        match upcall {
            Upcall::Map => Self::Map(detail),
            Upcall::List | Upcall::MapAll => Self::List(detail),
            Upcall::All => Self::All(detail),
            Upcall::Reverse => Self::Reverse(detail),
        }
    }
}

/// Answers questions about groups.
#[derive(Debug)]
pub struct Resolver {
    settings: Settings,
    table: OnceLock<Result<Table, Error>>,
    answers: Mutex<HashMap<Question, (Instant, Arc<str>)>>,
    /// The answers to [`Upcall::MapAll`], read, by the text they were read from.
    mapped: Mutex<HashMap<usize, Mapped>>,
}

/// Groups with their nodes, in the order in which they are told.
type Pairs = IndexMap<String, Arc<str>>;

/// An answer to [`Upcall::MapAll`], and what was read from it.
type Mapped = (Arc<str>, Arc<Pairs>);

/// Source, kind, and what it is about (a group, a node, or nothing).
type Question = (usize, Upcall, String);

impl Resolver {
    /// A resolver that has read nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            table: OnceLock::new(),
            answers: Mutex::default(),
            mapped: Mutex::default(),
        }
    }

    fn table(&self) -> Result<&Table, Error> {
        self.table
            .get_or_init(|| Table::load(&self.settings.files))
            .as_ref()
            .map_err(Error::clone)
    }

    /// The names of the sources, the default one first.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn sources(&self) -> Result<Vec<&str>, Error> {
        let table = self.table()?;
        let default = table.default_source().map(|(index, _)| index);
        let others = (0..table.sources.len()).filter(|index| Some(*index) != default);
        Ok(default
            .into_iter()
            .chain(others)
            .map(|index| table.sources[index].name.as_str())
            .collect())
    }

    fn source(&self, name: Option<&str>) -> Result<(usize, &Source), Error> {
        let table = self.table()?;
        match name {
            Some(name) => table.find(name),
            None => table.default_source(),
        }
        .ok_or_else(|| Error::UnknownSource(name.unwrap_or("<default>").to_owned()))
    }

    /// Whether the source, or the default one, can answer this kind of question by itself.
    ///
    /// # Errors
    /// When there is no such source.
    pub fn can(&self, source: Option<&str>, upcall: Upcall) -> Result<bool, Error> {
        Ok(self.source(source)?.1.can(upcall))
    }

    /// The nodes of a group, as an expression; empty if the source knows of none.
    ///
    /// # Errors
    /// When there is no such source, or it fails.
    pub fn map(&self, source: Option<&str>, group: &str) -> Result<Arc<str>, Error> {
        let (index, source) = self.source(source)?;
        let Some(groups) = self.mapped(index, source, Upcall::Map)? else {
            return self.ask(index, source, Upcall::Map, group);
        };
        match groups.get(group) {
            Some(nodes) => Ok(Arc::clone(nodes)),
            None if source.answers.takes(Upcall::Map) => {
                self.ask(index, source, Upcall::Map, group)
            }
            None => Ok(Arc::from("")),
        }
    }

    /// The names of all groups, as patterns (`rack[1-4]` stands for four).
    ///
    /// # Errors
    /// When there is no such source, it fails or does not know, or a name has an illegal character.
    pub fn list(&self, source: Option<&str>) -> Result<Vec<String>, Error> {
        let (index, source) = self.source(source)?;
        let names: Vec<String> = match self.mapped(index, source, Upcall::List)? {
            Some(groups) => groups.keys().cloned().collect(),
            None => {
                let answer = self.ask(index, source, Upcall::List, "")?;
                answer.split_whitespace().map(str::to_owned).collect()
            }
        };
        legal(names)
    }

    /// All nodes of the source, as an expression; `None` if it must be put together from
    /// [`Resolver::list`] and [`Resolver::map`].
    ///
    /// # Errors
    /// When there is no such source, it fails, or it can neither say nor be asked group by group.
    pub fn all(&self, source: Option<&str>) -> Result<Option<Arc<str>>, Error> {
        let (index, source) = self.source(source)?;
        if source.can(Upcall::All) {
            return Ok(Some(self.ask(index, source, Upcall::All, "")?));
        }
        if !(source.can(Upcall::Map) && source.can(Upcall::List)) {
            return Err(Error::NotEnough);
        }
        let groups = source.answers.groups();
        Ok(groups.and_then(|groups| groups.get("all").cloned()))
    }

    /// The groups of a node, as the source tells them.
    ///
    /// # Errors
    /// When there is no such source, it fails or does not know, or a name has an illegal character.
    pub fn reverse(&self, source: Option<&str>, node: &str) -> Result<Vec<String>, Error> {
        let (index, source) = self.source(source)?;
        let answer = self.ask(index, source, Upcall::Reverse, node)?;
        legal(answer.split_whitespace().map(str::to_owned).collect())
    }

    /// Asks several questions of one kind at the same time, so that their answers are there when they are
    /// asked for one by one. Failures are left for then.
    pub fn prefetch(&self, source: Option<&str>, upcall: Upcall, subjects: &[&str]) {
        let Ok((index, source)) = self.source(source) else {
            return;
        };
        if !source.can(upcall) || (upcall == Upcall::Map && source.has_all_groups()) {
            return;
        }
        let queue = Mutex::new(subjects.iter());
        let work = || {
            while let Some(subject) = locked(&queue).next() {
                let _ = self.ask(index, source, upcall, subject);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(subjects.len()) {
                scope.spawn(work);
            }
        });
    }

    /// Each group with its nodes, of a source that tells them all at once; `None` for the others. A failure
    /// is one of the question that needs them.
    fn mapped(
        &self,
        index: usize,
        source: &Source,
        needs: Upcall,
    ) -> Result<Option<Arc<Pairs>>, Error> {
        if let Some(groups) = source.answers.groups() {
            return Ok(Some(Arc::clone(groups)));
        }
        if !source.can(Upcall::MapAll) {
            return Ok(None);
        }
        let answer = match self.ask(index, source, Upcall::MapAll, "") {
            Err(Error::List(detail)) => return Err(Error::failed(needs, detail)),
            answer => answer?,
        };
        if let Some((text, groups)) = locked(&self.mapped).get(&index)
            && Arc::ptr_eq(text, &answer)
        {
            return Ok(Some(Arc::clone(groups)));
        }
        let groups = command::parse_mapall(&answer);
        let groups = Arc::new(groups.map_err(|detail| Error::failed(needs, detail))?);
        locked(&self.mapped).insert(index, (answer, Arc::clone(&groups)));
        Ok(Some(groups))
    }

    /// The answer to a question, from memory if it is fresh enough.
    fn ask(
        &self,
        index: usize,
        source: &Source,
        upcall: Upcall,
        subject: &str,
    ) -> Result<Arc<str>, Error> {
        if !source.answers.takes(upcall) {
            return Err(Error::NoUpcall {
                upcall,
                source_name: source.name.clone(),
            });
        }
        let question = (index, upcall, subject.to_owned());
        let now = Instant::now();
        if let Some((since, answer)) = locked(&self.answers).get(&question)
            && now.duration_since(*since).as_secs_f64() < source.cache_time
        {
            return Ok(Arc::clone(answer));
        }
        let limit = self.settings.upcall_limit;
        let output = source.answers.ask(source, (upcall, subject), limit)?;
        let answer: Arc<str> = match upcall {
            Upcall::MapAll => output.into(),
            Upcall::Map | Upcall::All | Upcall::List | Upcall::Reverse => output
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(match upcall {
                    Upcall::Map | Upcall::All => ",",
                    Upcall::List | Upcall::Reverse | Upcall::MapAll => " ",
                })
                .into(),
        };
        locked(&self.answers).insert(question, (now, Arc::clone(&answer)));
        Ok(answer)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn legal(names: Vec<String>) -> Result<Vec<String>, Error> {
    match names.iter().find_map(|name| {
        name.find(['@', ',', '!', '&', '^', '*'])
            .and_then(|at| name[at..].chars().next())
    }) {
        Some(c) => Err(Error::IllegalCharacter(c)),
        None => Ok(names),
    }
}

/// Reads any bytes as a file of groups, as `groups.conf` and as what a command for all groups prints. No command is run.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = file::fuzz(&text);
    let _ = command::parse_mapall(&text);
    let mut ini = crate::ini::Ini::default();
    if ini.merge("fuzz", &text).is_ok() {
        let _ = command::sections(&ini, std::path::Path::new("/nowhere"));
        for section in ini.sections().collect::<Vec<_>>() {
            for (_, value) in ini.entries(section) {
                let _ = crate::ini::words(value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
