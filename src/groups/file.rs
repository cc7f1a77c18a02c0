//! YAML files of groups: `source: {group: nodes}`, several sources in one file.
//!
//! A name such as `1` or `yes` is no text to YAML 1.1 and needs quotes, as in ClusterShell.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::source::{Answers, CACHE_TIME, Source};
use super::text::utf8;
use super::{Error, Pairs, Upcall};
use crate::yaml::{Entry, Node, Scalar, Yaml, documents};

/// The sources of a file, each with its groups, in the order of the file.
type Sources = Vec<(String, Vec<(String, String)>)>;

/// The groups of a file.
#[derive(Debug)]
struct Groups(Arc<Pairs>);

impl Answers for Groups {
    fn takes(&self, _: Upcall) -> bool {
        false
    }

    fn ask(
        &self,
        source: &Source,
        (upcall, _): (Upcall, &str),
        _: Duration,
    ) -> Result<String, Error> {
        let source_name = source.name.clone();
        Err(Error::NoUpcall {
            upcall,
            source_name,
        })
    }

    fn groups(&self) -> Option<&Arc<Pairs>> {
        Some(&self.0)
    }
}

/// The sources of a YAML file. One that cannot be read is not there for this user.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(path: &Path, folder: &Path) -> Result<Vec<Source>, Error> {
    let Ok(bytes) = std::fs::read(path) else {
        return Ok(Vec::new());
    };
    let text = utf8(path, bytes)?;
    let found = parse(&path.to_string_lossy(), &text).map_err(Error::Config)?;
    let source = |(name, groups): (String, Vec<(String, String)>)| {
        let groups = groups.into_iter();
        let groups = groups.map(|(name, nodes)| (name, nodes.into())).collect();
        Source {
            name,
            answers: Arc::new(Groups(Arc::new(groups))),
            folder: folder.to_path_buf(),
            cfgdir: String::new(),
            cache_time: CACHE_TIME,
        }
    };
    Ok(found.into_iter().map(source).collect())
}

/// Reads a file; `path` is its name in messages.
fn parse(path: &str, text: &str) -> Result<Sources, String> {
    sources(text).map_err(|problem| format!("{path}: {problem}"))
}

fn sources(text: &str) -> Result<Sources, String> {
    let documents = documents(text).map_err(|error| error.to_string())?;
    let root = match documents.as_slice() {
        [_, _, ..] => return Err("expected a single document in the stream".into()),
        [root] => root.as_deref(),
        [] => None,
    };
    let Some(sources) = root.map(entries).transpose()?.flatten() else {
        return Err("invalid content (base is not a dict)".into());
    };
    let mut found = Sources::new();
    for (key, groups) in sources {
        let Some(Scalar::Text(name)) = key.scalar() else {
            let shown = shown(key);
            return Err(format!("group source {shown} not a string (add quotes?)"));
        };
        let Some(groups) = entries(groups)? else {
            return Err(format!(
                "invalid content (group source '{name}' is not a dict)"
            ));
        };
        let groups = groups.into_iter().map(|entry| group(name, entry));
        found.push((name.to_owned(), groups.collect::<Result<_, String>>()?));
    }
    Ok(found)
}

fn entries(yaml: &Yaml) -> Result<Option<Vec<Entry<'_>>>, String> {
    let entries = yaml.entries().map_err(|error| error.to_string())?;
    Ok(entries.map(|entries| entries.pairs))
}

/// A group's name and its nodes.
fn group(source: &str, (key, value): Entry<'_>) -> Result<(String, String), String> {
    let Some(Scalar::Text(group)) = key.scalar() else {
        let shown = shown(key);
        return Err(format!(
            "{source}: group name {shown} not a string (add quotes?)"
        ));
    };
    let nodes = nodes(value).ok_or_else(|| {
        format!("{source}: nodes of group '{group}' are not a string, a list of strings or null (add quotes?)")
    })?;
    Ok((group.to_owned(), nodes))
}

/// A key that is no text, as ClusterShell names it.
fn shown(yaml: &Yaml) -> &str {
    match (yaml.scalar(), &yaml.node) {
        (Some(Scalar::Null), _) => "None",
        (Some(Scalar::Bool(true)), _) => "True",
        (Some(Scalar::Bool(false)), _) => "False",
        (_, Node::Scalar { text, .. }) => text,
        (_, Node::List(_)) => "[...]",
        (_, Node::Map(_)) => "{...}",
    }
}

/// A group's nodes as one expression.
fn nodes(yaml: &Yaml) -> Option<String> {
    match (yaml.scalar(), &yaml.node) {
        (Some(Scalar::Text(text)), _) => Some(words(text)),
        (Some(Scalar::Null), _) => Some(String::new()),
        (_, Node::List(items)) => {
            let items = items.iter().map(|item| match item.scalar() {
                Some(Scalar::Text(text)) => Some(words(text)),
                _ => None,
            });
            Some(items.collect::<Option<Vec<_>>>()?.join(","))
        }
        (_, Node::Scalar { .. } | Node::Map(_)) => None,
    }
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(",")
}
/// Reads any text as a file of groups.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(text: &str) -> usize {
    parse("fuzz", text).map_or(0, |sources| sources.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn groups(text: &str) -> Vec<(String, String)> {
        let mut sources = parse("x.yaml", text).unwrap();
        assert_eq!(sources.len(), 1);
        sources.remove(0).1
    }

    fn error(text: &str) -> String {
        parse("x.yaml", text).unwrap_err()
    }

    #[test]
    fn values_are_text_lists_or_nothing() {
        let text =
            "r:\n  a: n1\n  b: [n1, 'n2 n3']\n  c:\n  d: n[1-3] n7\n  e: |\n    n1\n    n2\n";
        let expected = [
            ("a", "n1"),
            ("b", "n1,n2,n3"),
            ("c", ""),
            ("d", "n[1-3],n7"),
            ("e", "n1,n2"),
        ];
        let found = groups(text);
        let found: Vec<_> = found
            .iter()
            .map(|(group, nodes)| (group.as_str(), nodes.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_last_of_equal_keys_counts_and_merge_keys_merge() {
        assert_eq!(
            groups("r:\n  a: n1\n  a: n2\n"),
            [("a".into(), "n2".into())]
        );
        let both = parse("x", "r: &r\n  a: n1\ns:\n  <<: *r\n  b: n2\n").unwrap();
        assert_eq!(
            both[1].1,
            [("a".into(), "n1".into()), ("b".into(), "n2".into())]
        );
    }

    #[test]
    fn errors_are_worded_as_the_original_does() {
        for (text, expected) in [
            ("- a\n- b\n", "x.yaml: invalid content (base is not a dict)"),
            ("", "x.yaml: invalid content (base is not a dict)"),
            (
                "src:\n  1: n1\n",
                "x.yaml: src: group name 1 not a string (add quotes?)",
            ),
            (
                "src: n1\n",
                "x.yaml: invalid content (group source 'src' is not a dict)",
            ),
            (
                "1:\n  a: n1\n",
                "x.yaml: group source 1 not a string (add quotes?)",
            ),
            (
                "r:\n  yes: n1\n",
                "x.yaml: r: group name True not a string (add quotes?)",
            ),
            (
                "r:\n  ~: n1\n",
                "x.yaml: r: group name None not a string (add quotes?)",
            ),
        ] {
            assert_eq!(error(text), expected, "{text}");
        }
        assert!(error("r:\n  a: 5\n").contains("'a' are not a string"));
        assert!(error("src: {a: [n1\n").starts_with("x.yaml: "));
        assert!(error("a: {b: c}\n---\nb: n2\n").contains("single document"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a1:\\[\\]{},&*<|\n '\"]{0,40}") {
            let _ = parse("x", &text);
        }
    }
}
