//! YAML as the files of groups and services have it: version 1.1, and for every value the place it stands at.
//!
//! What the values mean is for the reader of each kind of file to say.

mod build;
mod scalar;

use std::collections::HashMap;
use std::rc::Rc;

pub use build::documents;
pub use scalar::Scalar;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Yaml {
    /// The value.
    pub node: Node,
    /// Where it begins.
    pub at: Position,
}

/// A line and a column, counted from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// The kinds of values.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A scalar.
    Scalar {
        /// Its text.
        text: String,
        /// Whether it is written without quotes and tag, and so may be a number.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Rc<Yaml>>),
    /// A mapping as it is written: keys possibly repeated, `<<` among them. [`Yaml::entries`] tells what counts.
    Map(Vec<(Rc<Yaml>, Rc<Yaml>)>),
}

/// Why a text is no YAML, or a value not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {}, column {})", at.line, at.column)]
pub struct YamlError {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub at: Position,
}

/// A key and its value.
pub type Entry<'y> = (&'y Rc<Yaml>, &'y Rc<Yaml>);

/// What a mapping says once `<<` is followed and repeated keys are sorted out.
#[derive(Debug, Default)]
pub struct Entries<'y> {
    /// The keys and values that count, each key once.
    pub pairs: Vec<Entry<'y>>,
    /// The keys that are written again in the same mapping, each behind the one before it.
    pub repeated: Vec<(&'y Rc<Yaml>, &'y Rc<Yaml>)>,
}

/// What makes a key equal to another, and where it stands among the entries.
type Places<'y> = HashMap<(bool, &'y str), usize>;

impl<'y> Entries<'y> {
    fn put(&mut self, entry: Entry<'y>, places: &mut Places<'y>) {
        let at = self.pairs.len();
        let known = entry.0.identity();
        match known.map(|identity| *places.entry(identity).or_insert(at)) {
            Some(earlier) if earlier < at => self.pairs[earlier] = entry,
            Some(_) | None => self.pairs.push(entry),
        }
    }
}

impl Yaml {
    /// The value of a scalar; `None` of a list or a mapping.
    #[must_use]
    pub fn scalar(&self) -> Option<Scalar<'_>> {
        match &self.node {
            Node::Scalar { text, plain: true } => Some(scalar::resolve(text)),
            Node::Scalar { text, plain: false } => Some(Scalar::Text(text)),
            Node::List(_) | Node::Map(_) => None,
        }
    }

    /// The text of a scalar as it is written, whatever its value is.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Scalar { text, .. } => Some(text),
            Node::List(_) | Node::Map(_) => None,
        }
    }

    /// Whether nothing is written there, or `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.scalar() == Some(Scalar::Null)
    }

    /// What kind of value it is, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.node {
            Node::Scalar { .. } if self.is_null() => "nothing",
            Node::Scalar { .. } => "a single value",
            Node::List(_) => "a list",
            Node::Map(_) => "a mapping",
        }
    }

    /// The entries of a mapping, `None` of anything else. Of equal keys the last one counts, at the place of the
    /// first. `<<` brings in the entries of another mapping, or of a list of them of which earlier ones win, before
    /// the mapping's own, which win over all.
    ///
    /// # Errors
    /// `<<` with something that is no mapping.
    pub fn entries(&self) -> Result<Option<Entries<'_>>, YamlError> {
        let Node::Map(written) = &self.node else {
            return Ok(None);
        };
        let mut entries = Entries::default();
        let mut places = HashMap::with_capacity(written.len());
        for (_, value) in written.iter().filter(|(key, _)| key.is_merge()) {
            let sources = match &value.node {
                Node::List(items) => items.as_slice(),
                Node::Map(_) | Node::Scalar { .. } => std::slice::from_ref(value),
            };
            for source in sources.iter().rev() {
                let merged = source.entries()?.ok_or_else(|| YamlError {
                    message: "`<<` needs a mapping".into(),
                    at: source.at,
                })?;
                for entry in merged.pairs {
                    entries.put(entry, &mut places);
                }
            }
        }
        let mut own = HashMap::with_capacity(written.len());
        for (key, value) in written.iter().filter(|(key, _)| !key.is_merge()) {
            entries.put((key, value), &mut places);
            let earlier = key
                .identity()
                .and_then(|identity| own.insert(identity, key));
            entries
                .repeated
                .extend(earlier.map(|earlier| (earlier, key)));
        }
        Ok(Some(entries))
    }

    fn is_merge(&self) -> bool {
        self.scalar() == Some(Scalar::Text("<<"))
            && matches!(self.node, Node::Scalar { plain: true, .. })
    }

    /// What makes two keys equal: `1` and `'1'` differ, `a` and `'a'` do not. `None` of a list or a mapping.
    fn identity(&self) -> Option<(bool, &str)> {
        Some(match self.scalar()? {
            Scalar::Text(text) => (true, text),
            Scalar::Null => (false, ""),
            Scalar::Bool(true) => (false, "true"),
            Scalar::Bool(false) => (false, "false"),
            Scalar::Int(_) | Scalar::Float(_) | Scalar::Other(_) => (false, self.text()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Rc<Yaml> {
        documents(text).unwrap().remove(0).unwrap()
    }

    fn shown(yaml: &Yaml) -> Vec<(&str, &str)> {
        let entries = yaml.entries().unwrap().unwrap();
        let pairs = entries.pairs.iter();
        pairs
            .map(|(key, value)| (key.text().unwrap(), value.text().unwrap_or("…")))
            .collect()
    }

    #[test]
    fn the_last_of_equal_keys_counts_and_both_are_told() {
        let root = root("a: 1\nb: 2\n'a': 3\n1: x\n'1': y\na: 4\n");
        assert_eq!(
            shown(&root),
            [("a", "4"), ("b", "2"), ("1", "x"), ("1", "y")]
        );
        let entries = root.entries().unwrap().unwrap();
        let lines = entries
            .repeated
            .iter()
            .map(|(earlier, again)| (earlier.at.line, again.at.line));
        assert_eq!(lines.collect::<Vec<_>>(), [(1, 3), (3, 6)]);
    }

    /// The expected order is PyYAML 6.0's.
    #[test]
    fn merged_mappings_come_first_and_lose() {
        let text = "a: &a {k: 1, x: 1}\nb: &b {k: 2, y: 2}\nc:\n  z: 0\n  <<: [*a, *b]\n  x: 9\n";
        let root = root(text);
        let entries = root.entries().unwrap().unwrap();
        let merged = entries.pairs[2].1;
        assert_eq!(
            shown(merged),
            [("k", "1"), ("y", "2"), ("x", "9"), ("z", "0")]
        );
        assert!(merged.entries().unwrap().unwrap().repeated.is_empty());
        for (text, at) in [("<<: 5", 5), ("<<: [{a: 1}, 5]", 14)] {
            let error = self::root(text).entries().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`<<` needs a mapping (line 1, column {at})")
            );
        }
        assert_eq!(shown(&self::root("'<<': 5")), [("<<", "5")]);
    }
}
