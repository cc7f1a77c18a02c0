//! Reads the files of a configuration into blocks, once; included files become blocks of their own.
//!
//! What is wrong with a line is kept in its place: only the hosts that its block is for have to do with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blocks::{Blocks, Heading, Item, Setting};
use super::condition::{self, Condition, HostPattern};
use super::facts::Facts;
use super::keyword::{self, Meaning};
use super::place::Place;
use super::value::{Key, Value};
use super::{argument, words};
use crate::transport::ssh::pattern;

/// OpenSSH's limit of files that include one another.
const MAX_DEPTH: usize = 16;

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
    /// Whether some block asks for a second pass with the final name.
    pub(super) wants_final: bool,
    /// Whether resolving a host may wait for something else than memory.
    pub(super) waits: bool,
    /// What any block lets be unknown.
    pub(super) ignored: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(facts: &'a Facts) -> Self {
        Self {
            facts,
            wants_final: false,
            waits: false,
            ignored: Vec::new(),
        }
    }

    /// Reads one option of the command line, `Key=Value` or `Key Value`.
    pub(super) fn option(&mut self, text: &str, into: &mut Blocks) {
        let place = Place {
            file: format!("-o {text}").into(),
            line: 0,
        };
        match words::keyword(text) {
            Some((word, _)) if matches!(word.as_str(), "host" | "match" | "include") => {
                into.push(Item::Wrong(
                    place.error(format!("`{word}` belongs into a file")),
                ));
            }
            _ => self.line(text, &place, Scope::option(), into),
        }
    }

    /// Reads a file; `None` when there is none, or none we may read.
    pub(super) fn file(&mut self, path: &Path, owner: Owner) -> Option<Blocks> {
        self.read(path, Scope { owner, depth: 0 })
    }

    fn read(&mut self, path: &Path, scope: Scope) -> Option<Blocks> {
        let bytes = std::fs::read(path).ok()?;
        Some(self.lines(&path.to_string_lossy(), &bytes, scope))
    }

    /// Reads a text as the user's file.
    pub(super) fn text(&mut self, name: &str, text: &[u8]) -> Blocks {
        self.lines(name, text, Scope::option())
    }

    fn lines(&mut self, name: &str, text: &[u8], scope: Scope) -> Blocks {
        let file: Arc<str> = name.into();
        let mut blocks = Blocks::default();
        for (line, text) in (1..).zip(String::from_utf8_lossy(text).split('\n')) {
            let place = Place {
                file: Arc::clone(&file),
                line,
            };
            self.line(text, &place, scope, &mut blocks);
        }
        blocks
    }

    fn line(&mut self, text: &str, place: &Place, scope: Scope, blocks: &mut Blocks) {
        let Some((word, rest)) = words::keyword(text) else {
            return;
        };
        let heading = || {
            let text = text.trim().to_owned();
            let place = place.clone();
            Some(Heading { text, place })
        };
        let Some(meaning) = keyword::meaning(&word) else {
            return blocks.push(Item::Unknown {
                keyword: word,
                place: place.clone(),
            });
        };
        let begins = matches!(meaning, Meaning::Host | Meaning::Match);
        let read = match rest.is_empty() {
            true => Err("the argument is missing".to_owned()),
            false => self.read_line(meaning, rest, place, scope),
        };
        match read {
            Ok(Line::Block(condition, names)) => blocks.open(condition, names, heading()),
            Ok(Line::Item(item)) => blocks.push(item),
            Ok(Line::Nothing) => {}
            Err(message) => {
                let error = place.error(format!("{word}: {message}"));
                if begins {
                    // Whom it is for nobody knows.
                    blocks.open(Condition::Wrong(error), Vec::new(), heading());
                } else {
                    blocks.push(Item::Wrong(error));
                }
            }
        }
    }

    /// Reads what is behind a keyword.
    fn read_line(
        &mut self,
        meaning: Meaning,
        rest: &str,
        place: &Place,
        scope: Scope,
    ) -> Result<Line, String> {
        Ok(match meaning {
            Meaning::Ignored => Line::Nothing,
            Meaning::Unused(unused) => {
                let Value::Word(argument) = argument::first(rest)? else {
                    return Ok(Line::Nothing);
                };
                Line::Item(Item::Unused {
                    option: unused.option,
                    is_on: unused.is_on(&argument),
                    place: place.clone(),
                })
            }
            Meaning::Set(key, parse) => {
                self.waits |= key == Key::CanonicalizeHostname;
                let value = parse(rest)?;
                if let (Key::IgnoreUnknown, Value::Word(list)) = (key, &value) {
                    self.ignored.push(list.to_ascii_lowercase());
                }
                Line::Item(Item::Set(Setting {
                    key,
                    value,
                    place: place.clone(),
                }))
            }
            Meaning::Host => {
                let words = words::split(rest)
                    .filter(|words| !words.iter().any(String::is_empty))
                    .ok_or("an argument is empty or its quote not closed")?;
                if !words.is_empty() && words.iter().all(|word| pattern::is_literal(word)) {
                    Line::Block(Condition::Named, words)
                } else {
                    let patterns = words.iter().map(|word| HostPattern::parse(word)).collect();
                    Line::Block(Condition::Host(patterns), Vec::new())
                }
            }
            Meaning::Match => {
                let criteria = condition::parse_match(rest)?;
                self.wants_final |= criteria.iter().any(condition::Criterion::wants_final);
                self.waits |= criteria.iter().any(condition::Criterion::waits);
                Line::Block(Condition::Match(criteria, place.clone()), Vec::new())
            }
            Meaning::Include => Line::Item(Item::Include(self.include(rest, scope)?)),
        })
    }

    fn include(&mut self, rest: &str, scope: Scope) -> Result<Vec<Blocks>, String> {
        if scope.depth >= MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} files include one another"));
        }
        let scope = Scope {
            depth: scope.depth + 1,
            ..scope
        };
        let words = words::split(rest).ok_or("a quote is not closed")?;
        let mut files = Vec::new();
        for word in words {
            for path in self.included(&word, scope.owner)? {
                check_owner(&path, self.facts.uid)?;
                let blocks = self
                    .read(&path, scope)
                    .ok_or_else(|| format!("cannot read {}", path.display()))?;
                files.push(blocks);
            }
        }
        Ok(files)
    }

    /// The files that one argument of `Include` names. As with glob(3), a user or a file that is not there is no error.
    fn included(&self, word: &str, owner: Owner) -> Result<Vec<PathBuf>, String> {
        if word.is_empty() || (word.starts_with('~') && owner == Owner::System) {
            return Err(format!("bad path `{word}`"));
        }
        let Ok(word) = self.facts.expand_home(word) else {
            return Ok(Vec::new());
        };
        let folder = match owner {
            Owner::User => self.facts.ssh_folder(),
            Owner::System => self.facts.system_file.parent().unwrap_or(Path::new("/")),
        };
        // A folder's own name is no pattern, even with a bracket in it; a path already whole stays.
        let pattern = if Path::new(&word).is_absolute() {
            word
        } else {
            let folder = glob::Pattern::escape(&folder.to_string_lossy());
            format!("{folder}/{word}")
        };
        let options = glob::MatchOptions {
            require_literal_separator: true,
            require_literal_leading_dot: true,
            ..glob::MatchOptions::default()
        };
        Ok(match glob::glob_with(&pattern, options) {
            Ok(paths) => paths.flatten().filter(|path| !path.is_dir()).collect(),
            // Not a pattern, so at most a name.
            Err(_) => Some(PathBuf::from(pattern))
                .filter(|path| path.exists())
                .into_iter()
                .collect(),
        })
    }
}

/// What a line says.
enum Line {
    Block(Condition, Vec<String>),
    Item(Item),
    Nothing,
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
