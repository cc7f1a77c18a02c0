//! Commands that differ from node to node: `{node}`, `{rank}` and `{n}` in their text, `{{` and `}}` for braces.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::Work;
use crate::event::{NodeId, Outcome};
use crate::placeholder::{Marks, Syntax, Template};
use crate::plan::NodeName;
use crate::transport::{BoxFuture, Command, NodeIo, Session};

/// What a command of a node can have in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// The node's name.
    Node,
    /// Its place among the nodes, from 0.
    Rank,
    /// How many nodes there are.
    Count,
}

/// How they are written.
pub const SYNTAX: Syntax<Value> = Syntax {
    marks: Marks::Braces,
    names: &[
        ("node", Value::Node),
        ("rank", Value::Rank),
        ("n", Value::Count),
    ],
};

/// A name that a shell might take for something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the node name `{}` cannot stand in a command: only letters, digits and _ . : @ + , - may be in it, and a letter or digit must be first",
    .0.escape_debug()
)]
pub struct NameError(NodeName);

/// Whether these names may stand in a command: a name is not quoted, because the template may have quotes around
/// its place already; so it must be one that no shell takes for anything else, nor a program for an option.
///
/// # Errors
/// The first that may not.
pub fn check(template: &Template<Value>, names: &[NodeName]) -> Result<(), NameError> {
    if !template.has(Value::Node) {
        return Ok(());
    }
    match names.iter().find(|name| !is_harmless(name)) {
        Some(name) => Err(NameError(Arc::clone(name))),
        None => Ok(()),
    }
}

/// The text for one of the nodes.
#[must_use]
pub fn fill(template: &Template<Value>, names: &[NodeName], node: NodeId) -> String {
    template.fill(|value| match value {
        Value::Node => Cow::Borrowed(&*names[node.index()]),
        Value::Rank => Cow::Owned(node.index().to_string()),
        Value::Count => Cow::Owned(names.len().to_string()),
    })
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
    template: Template<Value>,
    make: Make,
}

impl Tailored {
    /// The commands that `make` makes of the filled template.
    ///
    /// # Errors
    /// A name that may not stand in a command.
    pub fn new(
        names: Arc<[NodeName]>,
        template: Template<Value>,
        make: impl Fn(String) -> Command + Send + Sync + 'static,
    ) -> Result<Self, NameError> {
        check(&template, &names)?;
        Ok(Self {
            names,
            template,
            make: Box::new(make),
        })
    }

    fn tailor(&self, node: NodeId) -> Command {
        (self.make)(fill(&self.template, &self.names, node))
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
    use super::*;

    #[test]
    fn each_node_has_its_own_values() {
        let names: Vec<NodeName> = vec!["n1".into(), "n2".into(), "n3".into()];
        let template = SYNTAX.parse("echo {node} {rank}/{n} {{node}}").unwrap();
        let command = |line| Command {
            line,
            stdin: None,
            pty: false,
        };
        let tailored = Tailored::new(names.into(), template, command).unwrap();
        assert_eq!(tailored.tailor(NodeId(1)).line, "echo n2 1/3 {node}");
        assert_eq!(tailored.tailor(NodeId(2)).line, "echo n3 2/3 {node}");
    }

    #[test]
    fn a_hostile_name_does_not_come_near_a_shell() {
        let template = SYNTAX.parse("echo {node}").unwrap();
        for bad in [
            "", "a;id", "$(id)", "a b", "-rf", "..", ".", "a'b", "a\nb", "a/../b", "a%b", "*",
        ] {
            let names: Vec<NodeName> = vec!["fine".into(), bad.into()];
            assert!(check(&template, &names).is_err(), "{bad}");
            let other = SYNTAX.parse("echo {rank}").unwrap();
            assert!(check(&other, &names).is_ok(), "the name is not used");
        }
        for good in ["lb1", "root@lb1.example.org:22", "::1", "_x", "n-1", "été"] {
            assert!(check(&template, &[good.into()]).is_ok(), "{good}");
        }
    }
}
