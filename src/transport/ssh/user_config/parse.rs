//! Reads the files of a configuration into blocks, once; included files become blocks of their own.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::condition::{Condition, HostPattern};
use super::keyword::{self, Key, Meaning, Value};
use super::{ConfigError, Facts, condition, words};
use crate::transport::ssh::pattern;

/// OpenSSH's limit of files that include one another.
const MAX_DEPTH: usize = 16;

/// Where a line stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) file: Arc<str>,
    /// 0 for an option of the command line.
    pub(super) line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line } = self;
        match line {
            0 => f.write_str(file),
            _ => write!(f, "{file}:{line}"),
        }
    }
}

impl Place {
    /// Whether it is an option of the command line.
    pub(super) const fn is_option(&self) -> bool {
        self.line == 0
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError {
            place: self.to_string(),
            message: message.into(),
        }
    }
}

/// The blocks of one file.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    blocks: Vec<Block>,
    /// Blocks that name this host and have no pattern, by position: with ten thousand of them, a host looks at its own.
    by_name: HashMap<String, Vec<usize>>,
    /// All other blocks, by position.
    general: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) condition: Condition,
    /// Its `Host` or `Match` line; `None` for what stands before the first.
    pub(super) heading: Option<Heading>,
    pub(super) items: Vec<Item>,
}

#[derive(Debug)]
pub(super) enum Item {
    Set(Setting),
    Include(Vec<Blocks>),
}

/// One value with where it was set.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) key: Key,
    pub(super) value: Value,
    pub(super) place: Place,
}

/// The line that begins a block.
#[derive(Debug)]
pub(super) struct Heading {
    pub(super) text: String,
    pub(super) place: Place,
}

impl fmt::Display for Heading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.place, self.text)
    }
}

impl Blocks {
    /// The blocks that may be for a host, in the order of the file.
    pub(super) fn for_host(&self, host: &str) -> impl Iterator<Item = &Block> {
        let named = self.by_name.get(host).map_or(&[][..], Vec::as_slice);
        let mut order: Vec<usize> = self.general.iter().chain(named).copied().collect();
        order.sort_unstable();
        order.into_iter().map(|at| &self.blocks[at])
    }

    fn open(&mut self, condition: Condition, names: Vec<String>, heading: Option<Heading>) {
        let at = self.blocks.len();
        if names.is_empty() {
            self.general.push(at);
        }
        for name in names {
            let positions = self.by_name.entry(name).or_default();
            if positions.last() != Some(&at) {
                positions.push(at);
            }
        }
        self.blocks.push(Block {
            condition,
            heading,
            items: Vec::new(),
        });
    }

    fn push(&mut self, item: Item) {
        if self.blocks.is_empty() {
            self.open(Condition::Always, Vec::new(), None);
        }
        if let Some(block) = self.blocks.last_mut() {
            block.items.push(item);
        }
    }
}

/// Whose file it is: decides what relative paths mean, and `~`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    User,
    System,
}

/// Reads files and remembers what was learnt on the way.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) facts: &'a Facts,
    /// Patterns of keywords that may be unknown. Unlike `ssh` we take them from any block above.
    ignore_unknown: Vec<String>,
    /// Whether some block asks for a second pass with the final name.
    pub(super) wants_final: bool,
    /// Whether resolving a host may wait for something else than memory.
    pub(super) waits: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(facts: &'a Facts) -> Self {
        Self {
            facts,
            ignore_unknown: Vec::new(),
            wants_final: false,
            waits: false,
        }
    }

    /// Reads one option of the command line, `Key=Value` or `Key Value`.
    pub(super) fn option(&mut self, text: &str, into: &mut Blocks) -> Result<(), ConfigError> {
        let place = Place {
            file: format!("-o {text}").into(),
            line: 0,
        };
        match words::keyword(text) {
            Some((word, _)) if matches!(word.as_str(), "host" | "match" | "include") => {
                Err(place.error(format!("`{word}` belongs into a file")))
            }
            _ => self.line(text, &place, Scope::option(), into),
        }
    }

    /// Reads a file; `None` when there is none, or none we may read.
    pub(super) fn file(
        &mut self,
        path: &Path,
        owner: Owner,
    ) -> Result<Option<Blocks>, ConfigError> {
        self.read(path, Scope { owner, depth: 0 })
    }

    fn read(&mut self, path: &Path, scope: Scope) -> Result<Option<Blocks>, ConfigError> {
        let Ok(bytes) = std::fs::read(path) else {
            return Ok(None);
        };
        self.lines(&path.to_string_lossy(), &bytes, scope).map(Some)
    }

    /// Reads a text as the user's file.
    pub(super) fn text(&mut self, name: &str, text: &[u8]) -> Result<Blocks, ConfigError> {
        self.lines(name, text, Scope::option())
    }

    fn lines(&mut self, name: &str, text: &[u8], scope: Scope) -> Result<Blocks, ConfigError> {
        let file: Arc<str> = name.into();
        let mut blocks = Blocks::default();
        for (line, text) in (1..).zip(String::from_utf8_lossy(text).split('\n')) {
            let place = Place {
                file: Arc::clone(&file),
                line,
            };
            self.line(text, &place, scope, &mut blocks)?;
        }
        Ok(blocks)
    }

    fn line(
        &mut self,
        text: &str,
        place: &Place,
        scope: Scope,
        blocks: &mut Blocks,
    ) -> Result<(), ConfigError> {
        let Some((word, rest)) = words::keyword(text) else {
            return Ok(());
        };
        let fail = |message: String| place.error(format!("{word}: {message}"));
        let heading = || {
            let text = text.trim().to_owned();
            let place = place.clone();
            Some(Heading { text, place })
        };
        let Some(meaning) = keyword::meaning(&word) else {
            let ignored = self.ignore_unknown.join(",");
            return if pattern::matches_list(&word, &ignored) {
                Ok(())
            } else {
                Err(place.error(format!(
                    "bad configuration option `{word}`; remove it, or name it in IgnoreUnknown above"
                )))
            };
        };
        if rest.is_empty() {
            return Err(fail("the argument is missing".to_owned()));
        }
        match meaning {
            Meaning::Ignored => {}
            Meaning::IgnoreUnknown => {
                self.ignore_unknown
                    .push(keyword::one(rest).map_err(fail)?.to_ascii_lowercase());
            }
            Meaning::Set(key, parse) => {
                self.waits |= key == Key::CanonicalizeHostname;
                blocks.push(Item::Set(Setting {
                    key,
                    value: parse(rest).map_err(fail)?,
                    place: place.clone(),
                }));
            }
            Meaning::Host => {
                let words = words::split(rest)
                    .filter(|words| !words.iter().any(String::is_empty))
                    .ok_or_else(|| {
                        fail("an argument is empty or its quote not closed".to_owned())
                    })?;
                if !words.is_empty() && words.iter().all(|word| pattern::is_literal(word)) {
                    blocks.open(Condition::Named, words, heading());
                } else {
                    let patterns = words.iter().map(|word| HostPattern::parse(word)).collect();
                    blocks.open(Condition::Host(patterns), Vec::new(), heading());
                }
            }
            Meaning::Match => {
                let criteria = condition::parse_match(rest).map_err(fail)?;
                self.wants_final |= criteria.iter().any(condition::Criterion::wants_final);
                self.waits |= criteria.iter().any(condition::Criterion::waits);
                let condition = Condition::Match(criteria, place.clone());
                blocks.open(condition, Vec::new(), heading());
            }
            Meaning::Include => {
                let files = self.include(rest, place, scope)?;
                blocks.push(Item::Include(files));
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        rest: &str,
        place: &Place,
        scope: Scope,
    ) -> Result<Vec<Blocks>, ConfigError> {
        let fail = |message: String| place.error(format!("include: {message}"));
        if scope.depth >= MAX_DEPTH {
            return Err(fail(format!(
                "more than {MAX_DEPTH} files include one another"
            )));
        }
        let scope = Scope {
            depth: scope.depth + 1,
            ..scope
        };
        let words = words::split(rest).ok_or_else(|| fail("a quote is not closed".to_owned()))?;
        let options = glob::MatchOptions {
            require_literal_separator: true,
            require_literal_leading_dot: true,
            ..glob::MatchOptions::default()
        };
        let mut files = Vec::new();
        for word in words {
            if word.is_empty() || (word.starts_with('~') && scope.owner == Owner::System) {
                return Err(fail(format!("bad path `{word}`")));
            }
            let word = self.facts.expand_home(&word).map_err(fail)?;
            let folder = match scope.owner {
                Owner::User => self.facts.ssh_folder(),
                Owner::System => self.facts.system_file.parent().unwrap_or(Path::new("/")),
            };
            // A folder's own name is no pattern, even with a bracket in it; a path already whole stays.
            let pattern = if Path::new(&word).is_absolute() {
                word
            } else {
                format!(
                    "{}/{word}",
                    glob::Pattern::escape(&folder.to_string_lossy())
                )
            };
            let paths = glob::glob_with(&pattern, options)
                .map_err(|error| fail(format!("bad path `{pattern}`: {error}")))?;
            for path in paths.flatten() {
                check_owner(&path, self.facts.uid).map_err(fail)?;
                let blocks = self
                    .read(&path, scope)?
                    .ok_or_else(|| fail(format!("cannot read {}", path.display())))?;
                files.push(blocks);
            }
        }
        Ok(files)
    }
}

/// What a line stands in.
#[derive(Debug, Clone, Copy)]
struct Scope {
    owner: Owner,
    depth: usize,
}

impl Scope {
    fn option() -> Self {
        Self {
            owner: Owner::User,
            depth: 0,
        }
    }
}

/// A file that others may write could make us run their commands; `ssh` refuses it too.
pub(super) fn check_owner(path: &Path, uid: u32) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    match std::fs::metadata(path) {
        Ok(facts) if (facts.uid() != 0 && facts.uid() != uid) || facts.mode() & 0o022 != 0 => {
            Err(format!(
                "bad owner or permissions on {path}; try `chmod 600 {path}`",
                path = path.display()
            ))
        }
        _ => Ok(()),
    }
}
