//! Commands that differ from node to node: `{node}`, `{rank}` and `{n}` in their text, `{{` and `}}` for braces.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::Work;
use crate::event::{NodeId, Outcome};
use crate::plan::NodeName;
use crate::transport::{BoxFuture, Command, NodeIo, Session};

/// What a template cannot be, or cannot be filled with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A name that stands for nothing.
    #[error(
        "`{{{name}}}` (column {column}) stands for nothing; there are {{node}}, {{rank}} and {{n}}, and {{{{ for a brace"
    )]
    Unknown {
        /// What is between the braces.
        name: String,
        /// Where the brace is, from 1.
        column: usize,
    },
    /// A brace without its partner.
    #[error("`{brace}` (column {column}) has no partner; write it twice if it is meant as it is")]
    Lonely {
        /// The brace.
        brace: char,
        /// Where it is, from 1.
        column: usize,
    },
    /// A name that a shell might take for something else.
    #[error(
        "the node name `{}` cannot stand in a command: only letters, digits and _ . : @ + , - may be in it, and a letter or digit must be first",
        .0.escape_debug()
    )]
    Name(NodeName),
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Node,
    Rank,
    Count,
}

/// A text with its placeholders found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// The first brace that stands for nothing.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = vec![Part::Text(String::new())];
        let mut letters = (1..).zip(text.chars()).peekable();
        while let Some((column, letter)) = letters.next() {
            let is_brace = matches!(letter, '{' | '}');
            if !is_brace || letters.next_if(|(_, next)| *next == letter).is_some() {
                push(&mut parts, letter);
            } else if letter == '}' {
                return Err(TemplateError::Lonely {
                    brace: letter,
                    column,
                });
            } else {
                let mut name = String::new();
                loop {
                    match letters.next() {
                        Some((_, '}')) => break,
                        Some((_, '{')) | None => {
                            return Err(TemplateError::Lonely {
                                brace: letter,
                                column,
                            });
                        }
                        Some((_, letter)) => name.push(letter),
                    }
                }
                parts.push(match name.as_str() {
                    "node" => Part::Node,
                    "rank" => Part::Rank,
                    "n" => Part::Count,
                    _ => return Err(TemplateError::Unknown { name, column }),
                });
            }
        }
        Ok(Self(parts))
    }

    /// Whether these names may stand in a command. A name is not quoted, because the template may have quotes around
    /// its place already; so it must be one that no shell takes for anything else, nor a program for an option.
    ///
    /// # Errors
    /// The first that may not.
    pub fn check(&self, names: &[NodeName]) -> Result<(), TemplateError> {
        if !self.0.contains(&Part::Node) {
            return Ok(());
        }
        match names.iter().find(|name| !is_harmless(name)) {
            Some(name) => Err(TemplateError::Name(Arc::clone(name))),
            None => Ok(()),
        }
    }

    /// The text for one of the nodes.
    #[must_use]
    pub fn fill(&self, names: &[NodeName], node: NodeId) -> String {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => Cow::Borrowed(text.as_str()),
                Part::Node => Cow::Borrowed(&*names[node.index()]),
                Part::Rank => Cow::Owned(node.index().to_string()),
                Part::Count => Cow::Owned(names.len().to_string()),
            })
            .collect()
    }
}

fn push(parts: &mut Vec<Part>, letter: char) {
    match parts.last_mut() {
        Some(Part::Text(text)) => text.push(letter),
        _ => parts.push(Part::Text(letter.into())),
    }
}

fn is_harmless(name: &str) -> bool {
    let mut letters = name.chars();
    let first = letters.next();
    first.is_some_and(|first| first.is_alphanumeric() || matches!(first, '_' | ':'))
        && letters.all(|letter| letter.is_alphanumeric() || "_.:@+,-".contains(letter))
}

/// Makes a command of a text.
type Make = Box<dyn Fn(String) -> Command + Send + Sync>;

/// A command of each node's own.
pub struct Tailored {
    names: Arc<[NodeName]>,
    template: Template,
    make: Make,
}

impl Tailored {
    /// The commands that `make` makes of the filled template.
    ///
    /// # Errors
    /// A name that may not stand in a command.
    pub fn new(
        names: Arc<[NodeName]>,
        template: Template,
        make: impl Fn(String) -> Command + Send + Sync + 'static,
    ) -> Result<Self, TemplateError> {
        template.check(&names)?;
        Ok(Self {
            names,
            template,
            make: Box::new(make),
        })
    }

    fn tailor(&self, node: NodeId) -> Command {
        (self.make)(self.template.fill(&self.names, node))
    }
}

impl fmt::Debug for Tailored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tailored")
            .field("template", &self.template)
            .finish_non_exhaustive()
    }
}

impl Work for Tailored {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let command = self.tailor(node);
            session.exec(&command, io).await
        })
    }

    fn command(&self, node: NodeId) -> Option<Cow<'_, Command>> {
        Some(Cow::Owned(self.tailor(node)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fill(text: &str) -> Result<String, String> {
        let names: Vec<NodeName> = vec!["n1".into(), "n2".into(), "n3".into()];
        let template = Template::parse(text).map_err(|error| error.to_string())?;
        Ok(template.fill(&names, NodeId(1)))
    }

    #[test]
    fn placeholders_and_braces() {
        assert_eq!(
            fill("echo {node} {rank}/{n} {{node}} }}{{").unwrap(),
            "echo n2 1/3 {node} }{"
        );
        assert_eq!(fill("").unwrap(), "");
        assert_eq!(fill("{node}{node}").unwrap(), "n2n2");
    }

    #[test]
    fn mistakes_name_their_column() {
        let unknown = fill("echo ${HOME}").unwrap_err();
        assert!(
            unknown.starts_with("`{HOME}` (column 7) stands for nothing"),
            "{unknown}"
        );
        assert!(unknown.ends_with("{node}, {rank} and {n}, and {{ for a brace"));
        for (text, column) in [("é {", 3), ("a }", 3), ("{no{de}", 1), ("{{}", 3)] {
            let error = fill(text).unwrap_err();
            assert!(
                error.contains(&format!("(column {column}) has no partner")),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_hostile_name_does_not_come_near_a_shell() {
        let template = Template::parse("echo {node}").unwrap();
        for bad in [
            "", "a;id", "$(id)", "a b", "-rf", "..", ".", "a'b", "a\nb", "a/../b", "a%b", "*",
        ] {
            let names: Vec<NodeName> = vec!["fine".into(), bad.into()];
            assert!(template.check(&names).is_err(), "{bad}");
            let other = Template::parse("echo {rank}").unwrap();
            assert!(other.check(&names).is_ok(), "the name is not used");
        }
        for good in ["lb1", "root@lb1.example.org:22", "::1", "_x", "n-1", "été"] {
            assert!(template.check(&[good.into()]).is_ok(), "{good}");
        }
    }

    proptest! {
        #[test]
        fn doubled_braces_are_the_text_itself(text in "[{}a-z é\n]{0,20}") {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(fill(&doubled).unwrap(), text.clone());
            let _ = fill(&text);
        }
    }
}
