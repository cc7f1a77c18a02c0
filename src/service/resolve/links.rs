//! What the words of dependencies mean.

use std::collections::{HashMap, HashSet, VecDeque};

use super::entries::Entry;
use super::purpose::Purpose;
use crate::service::error::{Origin, ServiceError};
use crate::service::expand::Expander;
use crate::service::graph::{Link, Word};
use crate::service::id::ServiceId;
use crate::service::variables::Value;

/// What each definition's dependency words mean.
pub(super) fn resolve_links<'d>(
    entries: &[Entry<'d>],
    purpose: Purpose,
    expander: &mut Expander<'d>,
) -> Result<Vec<Vec<Link>>, ServiceError> {
    let mut siblings: HashMap<(Option<usize>, &str), usize> = HashMap::new();
    let mut paths: HashMap<&str, usize> = HashMap::new();
    for (at, entry) in entries.iter().enumerate() {
        siblings.insert((entry.parent, &entry.definition.name), at);
        paths.insert(&entry.full_name, at);
    }
    let mut words: Vec<Vec<(Word, String, &Origin)>> = Vec::with_capacity(entries.len());
    for entry in entries {
        words.push(dependency_words(entry, purpose, expander)?);
    }
    let find = |entry: &Entry<'_>, word: &str| {
        let sibling = siblings.get(&(entry.parent, word));
        let path = || paths.get(word).filter(|_| word.contains('.'));
        sibling.or_else(path).copied()
    };
    let mut found: Vec<Vec<Option<usize>>> = entries
        .iter()
        .zip(&words)
        .map(|(entry, words)| words.iter().map(|(_, word, _)| find(entry, word)).collect())
        .collect();
    // What is left may be something an enclosing group waits for anyway. Groups stand before members.
    let mut outer = OuterNames::default();
    for at in 0..entries.len() {
        for position in 0..found[at].len() {
            if found[at][position].is_some() {
                continue;
            }
            let (_, word, origin) = &words[at][position];
            let mut group = entries[at].parent;
            while let (Some(parent), None) = (group, found[at][position]) {
                found[at][position] = outer.find(entries, &found, parent, word);
                group = entries[parent].parent;
            }
            if found[at][position].is_none() {
                let error =
                    ServiceError::classic(format!("Unknown dependency '{word}'"), Some(*origin));
                return Err(
                    match entries.iter().find(|entry| entry.definition.name == *word) {
                        Some(other) if other.parent.is_some() => {
                            error.hint(format!("write the path from the top: {}", other.full_name))
                        }
                        Some(_) => error.hint(format!(
                            "'{word}' is outside of the group: let the group depend on it"
                        )),
                        None => error,
                    },
                );
            }
        }
    }
    entries
        .iter()
        .zip(words.iter().zip(found))
        .map(|(entry, (words, found))| links_of(entry, words, &found))
        .collect()
}

/// The words of one definition's dependencies, expanded.
fn dependency_words<'d>(
    entry: &Entry<'d>,
    purpose: Purpose,
    expander: &mut Expander<'d>,
) -> Result<Vec<(Word, String, &'d Origin)>, ServiceError> {
    let mut words = Vec::new();
    for (word, written) in &entry.definition.links {
        let value = match expander.value(entry.scope, written) {
            // The check sees undefined variables in targets only.
            Err(error) if purpose == Purpose::Check && error.classic => continue,
            value => value?,
        };
        let names = match value {
            Value::List(items) => items,
            Value::None => Vec::new(),
            Value::Text(text) if text.is_empty() => Vec::new(),
            one @ (Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Map(_)) => vec![one],
        };
        words.extend(
            names
                .into_iter()
                .map(|name| (*word, name.to_string(), &written.origin)),
        );
    }
    Ok(words)
}

fn links_of(
    entry: &Entry<'_>,
    words: &[(Word, String, &Origin)],
    found: &[Option<usize>],
) -> Result<Vec<Link>, ServiceError> {
    let mut seen = HashSet::new();
    let mut links = Vec::with_capacity(words.len());
    for ((word, name, origin), to) in words.iter().zip(found) {
        let Some(to) = to.and_then(|to| u32::try_from(to).ok()) else {
            continue;
        };
        if !seen.insert(to) {
            let message = format!("Dependency '{name}' given twice in '{}'", entry.full_name);
            return Err(ServiceError::classic(message, Some(*origin)));
        }
        links.push(Link {
            to: ServiceId(to),
            word: *word,
        });
    }
    Ok(links)
}

/// The names a group's members may use because the group waits for them, by group.
#[derive(Default)]
struct OuterNames<'d>(HashMap<usize, HashMap<&'d str, usize>>);

impl<'d> OuterNames<'d> {
    fn find(
        &mut self,
        entries: &[Entry<'d>],
        found: &[Vec<Option<usize>>],
        group: usize,
        word: &str,
    ) -> Option<usize> {
        let names = self.0.entry(group).or_insert_with(|| {
            let mut names = HashMap::new();
            let mut seen = HashSet::new();
            let mut todo: VecDeque<usize> = found[group].iter().copied().flatten().collect();
            while let Some(at) = todo.pop_front() {
                if seen.insert(at) {
                    names
                        .entry(entries[at].definition.name.as_str())
                        .or_insert(at);
                    todo.extend(found[at].iter().copied().flatten());
                }
            }
            names
        });
        names.get(word).copied()
    }
}
