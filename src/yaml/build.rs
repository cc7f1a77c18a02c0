//! A text's documents, built of the parser's events.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span};

use super::{Node, Position, Yaml, YamlError};

/// How deep values may be nested.
const DEPTH: usize = 200;

/// How many values a file may have once its aliases are followed.
const VALUES: usize = 2_000_000;

/// The documents of a text; `None` for an empty one.
///
/// # Errors
/// What is no YAML, or is more than a file may be.
pub fn documents(text: &str) -> Result<Vec<Option<Rc<Yaml>>>, YamlError> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Scalar;
    use super::*;

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
        assert_eq!(items[1].scalar(), Some(Scalar::Text("on")));
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
            for document in documents(&text).into_iter().flatten().flatten() {
                let _ = document.entries();
            }
        }
    }
}
