//! What a change makes of the content of a map or ACL, and of the file it was read from.

use super::{Entries, EntryError, Kind, check, file_line};

/// What is to become of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// This key has this value, wherever it stands, or is added at the end; an ACL has the pattern.
    Set(String, Option<String>),
    /// No entry has this key.
    Del(String),
    /// These instead of all.
    Replace(Entries),
}

impl Edit {
    /// An edit of one entry.
    ///
    /// # Errors
    /// A key or value that HAProxy would take otherwise, in words.
    pub fn set(kind: Kind, key: &str, value: Option<&str>) -> Result<Self, String> {
        key_fits(kind, key)?;
        if let Some(value) = value {
            check(kind, value, 1).map_err(|_| "the value has a control character".to_owned())?;
            if value.trim_matches([' ', '\t']) != value {
                return Err("a value cannot begin or end with blanks".to_owned());
            }
            if value.is_empty() {
                return Err("the value is empty".to_owned());
            }
        }
        Ok(Self::Set(key.to_owned(), value.map(str::to_owned)))
    }

    /// An edit that takes one key away.
    ///
    /// # Errors
    /// A key that no entry can have, in words.
    pub fn del(kind: Kind, key: &str) -> Result<Self, String> {
        key_fits(kind, key)?;
        Ok(Self::Del(key.to_owned()))
    }

    /// What it makes of a content; `None` if it takes away what is not there.
    #[must_use]
    pub fn on(&self, old: &Entries) -> Option<Entries> {
        let mut new = Entries::empty(old.kind);
        let mut met = false;
        match self {
            Self::Replace(entries) => return Some(entries.clone()),
            Self::Set(wanted, value) => {
                for (key, before) in old.iter() {
                    let is_met = key == wanted;
                    met |= is_met;
                    new.push(key, if is_met { value.as_deref() } else { before });
                }
                if !met {
                    new.push(wanted, value.as_deref());
                }
            }
            Self::Del(wanted) => {
                for (key, value) in old.iter() {
                    match key == wanted {
                        true => met = true,
                        false => new.push(key, value),
                    }
                }
                if !met {
                    return None;
                }
            }
        }
        Some(new)
    }
}

/// A key must be found again as it is, in a file too.
fn key_fits(kind: Kind, key: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err("the key is empty".to_owned());
    }
    if key.starts_with('#') {
        return Err("a key cannot begin with `#`, which begins a comment in the file".to_owned());
    }
    if key.starts_with([' ', '\t']) || kind == Kind::Map && key.contains([' ', '\t']) {
        return Err("the key has a blank, which ends it in the file".to_owned());
    }
    check(kind, key, 1).map_err(|_| "the key has a control character".to_owned())
}

/// What a change of one entry makes of the file: its lines stay as they are, comments too, but for those of the key.
/// `None` if the whole file is to be another one.
///
/// # Errors
/// A line of the file that HAProxy takes otherwise than it looks.
pub fn edit_file(kind: Kind, file: &[u8], edit: &Edit) -> Result<Option<Vec<u8>>, EntryError> {
    let (wanted, value) = match edit {
        Edit::Replace(_) => return Ok(None),
        Edit::Set(key, value) => (key, Some(value)),
        Edit::Del(key) => (key, None),
    };
    let entry = value.map(|value| match value {
        Some(value) => format!("{wanted} {value}\n"),
        None => format!("{wanted}\n"),
    });
    let mut new = Vec::with_capacity(file.len() + 80);
    let mut met = false;
    for (number, line) in (1..).zip(file.split_inclusive(|byte| *byte == b'\n')) {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        let own = file_line(kind, number, bare)?;
        if own.is_none_or(|(key, _)| key != wanted) {
            new.extend_from_slice(line);
            continue;
        }
        met = true;
        // A line that says it already stays as it is written.
        match (&entry, own) {
            (Some(_), Some((_, before))) if value == Some(&before.map(str::to_owned)) => {
                new.extend_from_slice(line);
            }
            (Some(entry), _) => new.extend_from_slice(entry.as_bytes()),
            (None, _) => {}
        }
    }
    if let (Some(entry), false) = (entry, met) {
        if new.last().is_some_and(|last| *last != b'\n') {
            new.push(b'\n');
        }
        new.extend_from_slice(entry.as_bytes());
    }
    Ok(Some(new))
}
