//! YAML files of groups: `source: {group: nodes}`, several sources in one file.
//!
//! What a plain scalar means is decided as in YAML 1.1 ("Resolved Tags"), as the original does: a name such as
//! `1` or `yes` is no text and needs quotes.

use std::rc::Rc;

use granit_parser::{Event, Options, Parser, ScalarStyle};
use hashbrown::HashMap;

/// The sources of a file, each with its groups, in the order of the file.
pub(super) type Sources = Vec<(String, Vec<(String, String)>)>;

/// Reads a file; `path` is its name in messages.
pub(super) fn parse(path: &str, text: &str) -> Result<Sources, String> {
    let root = Reader::new(text)
        .document()
        .map_err(|error| format!("{path}: {error}"))?;
    let Some(Node::Map(sources)) = root.as_deref() else {
        return Err(format!("{path}: invalid content (base is not a dict)"));
    };
    let mut found = Sources::new();
    for (name, groups) in sources {
        let Node::Text(name) = &**name else {
            return Err(format!(
                "{path}: group source {} not a string (add quotes?)",
                name.shown()
            ));
        };
        let Node::Map(groups) = &**groups else {
            return Err(format!(
                "{path}: invalid content (group source '{name}' is not a dict)"
            ));
        };
        let groups = groups
            .iter()
            .map(|(group, nodes)| {
                let Node::Text(group) = &**group else {
                    return Err(format!(
                        "{path}: {name}: group name {} not a string (add quotes?)",
                        group.shown()
                    ));
                };
                let nodes = nodes.nodes().ok_or_else(|| {
                    format!("{path}: {name}: nodes of group '{group}' are not a string, a list of strings or null (add quotes?)")
                })?;
                Ok((group.clone(), nodes))
            })
            .collect::<Result<Vec<_>, String>>()?;
        found.push((name.clone(), groups));
    }
    Ok(found)
}

/// A value in a YAML file.
#[derive(Debug)]
enum Node {
    Text(String),
    Null,
    /// A number, a date, a truth value: as it would be shown.
    Other(String),
    List(Vec<Rc<Node>>),
    Map(Vec<(Rc<Node>, Rc<Node>)>),
}

impl Node {
    /// The name of a key that is no text, in messages.
    fn shown(&self) -> String {
        match self {
            Self::Text(text) | Self::Other(text) => text.clone(),
            Self::Null => "None".to_owned(),
            Self::List(_) => "[...]".to_owned(),
            Self::Map(_) => "{...}".to_owned(),
        }
    }

    /// A group's nodes as one expression.
    fn nodes(&self) -> Option<String> {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(",");
        match self {
            Self::Text(text) => Some(words(text)),
            Self::Null => Some(String::new()),
            Self::List(items) => items
                .iter()
                .map(|item| match &**item {
                    Self::Text(text) => Some(words(text)),
                    Self::Null | Self::Other(_) | Self::List(_) | Self::Map(_) => None,
                })
                .collect::<Option<Vec<_>>>()
                .map(|all| all.join(",")),
            Self::Other(_) | Self::Map(_) => None,
        }
    }

    fn is(&self, key: &Node) -> bool {
        match (self, key) {
            (Self::Text(a), Self::Text(b)) | (Self::Other(a), Self::Other(b)) => a == b,
            (Self::Null, Self::Null) => true,
            _ => false,
        }
    }
}

/// Builds the first document of a file out of the parser's events.
struct Reader<'a> {
    events: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Rc<Node>>,
}

/// How deep values may be within one another; three levels have a meaning.
const DEEPEST: usize = 64;

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            events: Parser::new_from_str_with_options(text, Options::default()),
            anchors: HashMap::new(),
        }
    }

    fn next(&mut self) -> Result<Event<'a>, String> {
        match self.events.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(error.to_string()),
            None => Ok(Event::StreamEnd),
        }
    }

    fn document(&mut self) -> Result<Option<Rc<Node>>, String> {
        let mut root = None;
        loop {
            let event = self.next()?;
            if matches!(event, Event::StreamEnd) {
                return Ok(root);
            }
            if matches!(event, Event::DocumentStart(..)) {
                if root.is_some() {
                    return Err("expected a single document in the stream".to_owned());
                }
                let event = self.next()?;
                root = Some(self.node(event, 0)?);
            }
        }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Rc<Node>, String> {
        if depth > DEEPEST {
            return Err("values within values, too deep".to_owned());
        }
        let (node, anchor) = if let Event::Scalar(text, style, anchor, tag) = event {
            let plain = style == ScalarStyle::Plain && tag.is_none();
            let node = if plain {
                resolve(&text)
            } else {
                Node::Text(text.into_owned())
            };
            (node, anchor)
        } else if let Event::SequenceStart(_, anchor, _) = event {
            let mut items = Vec::new();
            while let Some(item) = self.item(depth)? {
                items.push(item);
            }
            (Node::List(items), anchor)
        } else if let Event::MappingStart(_, anchor, _) = event {
            (self.map(depth)?, anchor)
        } else if let Event::Alias(anchor) = event {
            let known = self.anchors.get(&anchor).cloned();
            return known.ok_or_else(|| "an alias inside what it stands for".to_owned());
        } else {
            return Err("expected a value".to_owned());
        };
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    /// The next value inside a list or mapping, `None` at its end.
    fn item(&mut self, depth: usize) -> Result<Option<Rc<Node>>, String> {
        let event = self.next()?;
        if matches!(event, Event::SequenceEnd | Event::MappingEnd) {
            return Ok(None);
        }
        self.node(event, depth + 1).map(Some)
    }

    /// The pairs of a mapping: of equal keys the last one counts, and `<<` adds those of another mapping.
    fn map(&mut self, depth: usize) -> Result<Node, String> {
        let mut pairs: Vec<(Rc<Node>, Rc<Node>)> = Vec::new();
        let mut merged = Vec::new();
        while let Some(key) = self.item(depth)? {
            let Some(value) = self.item(depth)? else {
                return Err("expected a value".to_owned());
            };
            if matches!(&*key, Node::Text(text) if text == "<<") {
                let lists = match &*value {
                    Node::List(lists) => lists.as_slice(),
                    Node::Text(_) | Node::Null | Node::Other(_) | Node::Map(_) => {
                        std::slice::from_ref(&value)
                    }
                };
                for list in lists {
                    if let Node::Map(others) = &**list {
                        merged.extend(others.iter().cloned());
                    }
                }
                continue;
            }
            match pairs.iter_mut().find(|(known, _)| known.is(&key)) {
                Some((_, known)) => *known = value,
                None => pairs.push((key, value)),
            }
        }
        for (key, value) in merged.into_iter().rev() {
            if !pairs.iter().any(|(known, _)| known.is(&key)) {
                pairs.insert(0, (key, value));
            }
        }
        Ok(Node::Map(pairs))
    }
}

/// What a plain scalar is (YAML 1.1: <https://yaml.org/type/>).
fn resolve(text: &str) -> Node {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Node::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Node::Other("True".to_owned());
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Node::Other("False".to_owned());
        }
        _ => {}
    }
    if is_number(text) || is_date(text) {
        Node::Other(text.to_owned())
    } else {
        Node::Text(text.to_owned())
    }
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let all = |text: &str, allowed: fn(u8) -> bool| {
        !text.is_empty() && text.bytes().all(|b| b == b'_' || allowed(b))
    };
    if let Some(digits) = unsigned.strip_prefix("0b") {
        return all(digits, |b| matches!(b, b'0' | b'1'));
    }
    if let Some(digits) = unsigned.strip_prefix("0x") {
        return all(digits, |b| b.is_ascii_hexdigit());
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    // Base 60: 1:30 is ninety.
    if let Some((first, rest)) = unsigned.split_once(':') {
        return all(first, |b| b.is_ascii_digit())
            && rest.split(':').all(|part| {
                matches!(part.split('.').next().map(str::len), Some(1 | 2))
                    && all(part, |b| b.is_ascii_digit() || b == b'.')
                    && part.as_bytes()[0] < b'6'
            });
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        mantissa.contains('.')
            && exponent
                .strip_prefix(['+', '-'])
                .is_some_and(|digits| all(digits, |b| b.is_ascii_digit()))
    });
    let octal = !mantissa.contains('.') && mantissa.len() > 1 && mantissa.starts_with('0');
    exponent_fits
        && mantissa.matches('.').count() <= 1
        && mantissa.bytes().any(|b| b.is_ascii_digit())
        && all(mantissa, |b| b.is_ascii_digit() || b == b'.')
        && (!octal || all(mantissa, |b| (b'0'..b'8').contains(&b)))
}

/// `2020-01-01`; longer time stamps have blanks or colons, which no name has.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), [year, month, day]
        if year.len() == 4 && month.len() == 2 && day.len() == 2)
        && text.bytes().all(|b| b == b'-' || b.is_ascii_digit())
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

    #[test]
    fn what_is_a_number_is_no_name() {
        for number in [
            "1",
            "010",
            "1.5",
            "-3",
            "0x1f",
            "1:30",
            "1_000",
            "1.5e+3",
            ".5",
            ".inf",
            "2020-01-01",
        ] {
            assert!(matches!(resolve(number), Node::Other(_)), "{number}");
        }
        for name in [
            "n1", "1n", "1e3", "08", "-", ".", "a:1", "1:99", "10.0.0.1", "0b2", "y", "n[1-2]",
        ] {
            assert!(matches!(resolve(name), Node::Text(_)), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a1:\\[\\]{},&*<|\n '\"]{0,40}") {
            let _ = parse("x", &text);
        }
    }
}
