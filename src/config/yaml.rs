//! YAML as MilkCheck reads it: version 1.1 scalars, and for every value the place it stands at.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span};

use crate::service::variables::Value;

/// How deep values may be nested.
const DEPTH: usize = 200;

/// How many values a file may have once its aliases are followed.
const VALUES: usize = 2_000_000;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Yaml {
    pub(super) node: Node,
    pub(super) at: Position,
}

/// A line and a column, counted from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// The kinds of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A scalar: its text, and whether it is written without quotes and so may be a number.
    Scalar { text: String, plain: bool },
    /// A sequence.
    List(Vec<Rc<Yaml>>),
    /// A mapping, in the order of the file, keys possibly repeated.
    Map(Vec<(Rc<Yaml>, Rc<Yaml>)>),
}

/// Why a text is no YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct YamlError {
    pub(super) message: String,
    pub(super) at: Position,
}

impl Yaml {
    /// The scalar's value as YAML 1.1 has it; `None` of a list or a mapping.
    pub(super) fn scalar(&self) -> Option<Value> {
        match &self.node {
            Node::Scalar { text, plain: true } => Some(plain_value(text)),
            Node::Scalar { text, plain: false } => Some(Value::Text(text.clone())),
            Node::List(_) | Node::Map(_) => None,
        }
    }

    /// The scalar's text as it is written, whatever YAML makes of it.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Scalar { text, .. } => Some(text),
            Node::List(_) | Node::Map(_) => None,
        }
    }

    /// Whether nothing is written there, or `null`.
    pub(super) fn is_null(&self) -> bool {
        self.scalar() == Some(Value::None)
    }

    /// What kind of value it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self.node {
            Node::Scalar { .. } if self.is_null() => "nothing",
            Node::Scalar { .. } => "a single value",
            Node::List(_) => "a list",
            Node::Map(_) => "a mapping",
        }
    }
}

/// The documents of a text; `None` for an empty one.
pub(super) fn documents(text: &str) -> Result<Vec<Option<Rc<Yaml>>>, YamlError> {
    let mut options = Options::default();
    // As the original has it, down to the last line of a block.
    options.block_scalar_eof_without_line_feed = true;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::default();
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| YamlError {
            message: error.info(),
            at: Position::new(error.marker().line(), error.marker().col()),
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.documents)
}

impl Position {
    fn new(line: usize, column: usize) -> Self {
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            line: small(line.max(1)),
            column: small(column + 1),
        }
    }
}

#[derive(Default)]
struct Builder {
    documents: Vec<Option<Rc<Yaml>>>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Rc<Yaml>, usize)>,
    root: Option<Rc<Yaml>>,
    values: usize,
}

/// A list or mapping that is not closed yet.
struct Open {
    at: Position,
    anchor: usize,
    is_map: bool,
    items: Vec<Rc<Yaml>>,
    /// How many values there were before it.
    before: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let at = Position::new(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.root = None;
            }
            Event::DocumentEnd => {
                let root = self.root.take();
                self.documents.push(root.filter(|root| !root.is_null()));
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = Node::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain && tag.is_none(),
                };
                self.put(Yaml { node, at }, anchor, 1)?;
            }
            Event::SequenceStart(_, anchor, _) => self.open(at, anchor, false)?,
            Event::MappingStart(_, anchor, _) => self.open(at, anchor, true)?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(mut open) = self.open.pop() {
                    let weight = self.values - open.before + 1;
                    self.values = open.before;
                    self.put(open.close(), open.anchor, weight)?;
                }
            }
            Event::Alias(id) => {
                let known = self.anchors.get(&id).cloned();
                let (value, weight) = known.ok_or_else(|| YamlError {
                    message: "an alias inside its own anchor".into(),
                    at,
                })?;
                self.put_shared(value, weight)?;
            }
            Event::StreamStart | Event::StreamEnd | Event::Anchor(..) | _ => {}
        }
        Ok(())
    }

    fn open(&mut self, at: Position, anchor: usize, is_map: bool) -> Result<(), YamlError> {
        if self.open.len() >= DEPTH {
            return Err(YamlError {
                message: format!("values nested more than {DEPTH} deep"),
                at,
            });
        }
        self.open.push(Open {
            at,
            anchor,
            is_map,
            items: Vec::new(),
            before: self.values,
        });
        Ok(())
    }

    fn put(&mut self, value: Yaml, anchor: usize, weight: usize) -> Result<(), YamlError> {
        let value = Rc::new(value);
        if anchor > 0 {
            self.anchors.insert(anchor, (Rc::clone(&value), weight));
        }
        self.put_shared(value, weight)
    }

    fn put_shared(&mut self, value: Rc<Yaml>, weight: usize) -> Result<(), YamlError> {
        self.values += weight;
        if self.values > VALUES {
            return Err(YamlError {
                message: format!("more than {VALUES} values once aliases are followed"),
                at: value.at,
            });
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(value),
            None => self.root = Some(value),
        }
        Ok(())
    }
}

impl Open {
    fn close(&mut self) -> Yaml {
        let items = std::mem::take(&mut self.items);
        let node = if self.is_map {
            let mut pairs = Vec::with_capacity(items.len() / 2);
            let mut items = items.into_iter();
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                pairs.push((key, value));
            }
            Node::Map(pairs)
        } else {
            Node::List(items)
        };
        Yaml { node, at: self.at }
    }
}

/// What a scalar without quotes is in YAML 1.1 (yaml.org/type: null, bool, int, float).
fn plain_value(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::None,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        _ => number(text).unwrap_or_else(|| Value::Text(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Value> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    if let Some(number) = whole(digits) {
        return Some(Value::Int(if negative { -number } else { number }));
    }
    let number = fraction(digits)?;
    Some(Value::Float(if negative { -number } else { number }))
}

fn whole(digits: &str) -> Option<i64> {
    let radix = |digits: &str, radix| {
        let clean = digits.replace('_', "");
        let known = !clean.starts_with(['+', '-']);
        i64::from_str_radix(&clean, radix).ok().filter(|_| known)
    };
    if let Some(binary) = digits.strip_prefix("0b") {
        return radix(binary, 2);
    }
    if let Some(hexadecimal) = digits.strip_prefix("0x") {
        return radix(hexadecimal, 16);
    }
    match digits.strip_prefix('0') {
        Some("") => Some(0),
        Some(octal) => radix(octal, 8),
        None if digits.contains(':') => sexagesimal(digits),
        None => radix(digits, 10),
    }
}

/// `1:30` is ninety.
fn sexagesimal(digits: &str) -> Option<i64> {
    let mut total = 0i64;
    for (at, part) in digits.split(':').enumerate() {
        let number: i64 = part.replace('_', "").parse().ok()?;
        if at > 0 && (number > 59 || part.len() > 2) {
            return None;
        }
        total = total.checked_mul(60)?.checked_add(number)?;
    }
    Some(total)
}

fn fraction(digits: &str) -> Option<f64> {
    match digits {
        ".inf" | ".Inf" | ".INF" => return Some(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, "+0"),
    };
    let is_float = mantissa.contains('.')
        && mantissa.len() > 1
        && mantissa
            .chars()
            .all(|c| c.is_ascii_digit() || c == '.' || c == '_')
        && exponent.starts_with(['+', '-']);
    let clean = digits.replace('_', "");
    is_float.then(|| clean.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scalars_are_those_of_version_1_1() {
        for (text, value) in [
            ("", Value::None),
            ("~", Value::None),
            ("on", Value::Bool(true)),
            ("No", Value::Bool(false)),
            ("012", Value::Int(10)),
            ("0x1f", Value::Int(31)),
            ("0b101", Value::Int(5)),
            ("1_000", Value::Int(1000)),
            ("-7", Value::Int(-7)),
            ("1:30", Value::Int(90)),
            ("0.5", Value::Float(0.5)),
            (".5", Value::Float(0.5)),
            ("1.0e+3", Value::Float(1000.0)),
            ("1e3", Value::Text("1e3".into())),
            ("089", Value::Text("089".into())),
            ("1.2.3", Value::Text("1.2.3".into())),
            ("n", Value::Text("n".into())),
            ("-", Value::Text("-".into())),
            ("0x", Value::Text("0x".into())),
        ] {
            assert_eq!(plain_value(text), value, "{text:?}");
        }
    }

    #[test]
    fn values_know_where_they_stand_and_repeated_keys_are_kept() {
        let documents = documents("a: 1\nb:\n  - x\n  - 'on'\na: 2\n---\n---\nc\n").unwrap();
        assert_eq!(documents.len(), 3);
        assert!(documents[1].is_none());
        let Node::Map(pairs) = &documents[0].as_ref().unwrap().node else {
            panic!("a mapping");
        };
        let keys: Vec<_> = pairs.iter().map(|(key, _)| key.text().unwrap()).collect();
        assert_eq!(keys, ["a", "b", "a"]);
        let Node::List(items) = &pairs[1].1.node else {
            panic!("a list");
        };
        assert_eq!(items[1].scalar(), Some(Value::Text("on".into())));
        assert_eq!(items[1].at, Position { line: 4, column: 5 });
    }

    #[test]
    fn aliases_are_followed_but_not_without_end() {
        let text = "a: &x [1, 2]\nb: *x\n";
        let Node::Map(pairs) = &documents(text).unwrap()[0].as_ref().unwrap().node.clone() else {
            panic!("a mapping");
        };
        assert!(Rc::ptr_eq(&pairs[0].1, &pairs[1].1));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for at in 1..12 {
            let before = at - 1;
            let item = format!("*a{before}");
            bomb += &format!("a{at}: &a{at} [{}]\n", vec![item; 10].join(", "));
        }
        assert!(documents(&bomb).unwrap_err().message.contains("aliases"));
        let deep = "[".repeat(5000);
        assert!(documents(&deep).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a:\\[\\]{}&*!|>'\"%@,#? \n\t]*") {
            let _ = documents(&text);
        }
    }
}
