//! Reads pieces into sets of nodes.

use std::path::Path;

use super::super::lists::{self, Content, Format};
use super::{Note, Piece, Role, Rules, TargetError, Wildcards, Words, is_plain};
use crate::nodeset::{self, Builder, EvalError, Expr, Groups, NodeSet, Targets, group_nodes};

/// What is joined by operators outside of brackets.
const OPERATORS: [char; 4] = [',', '!', '&', '^'];

/// Reads pieces.
pub(super) struct Reader<'a> {
    pub(super) rules: &'a Rules,
    pub(super) groups: &'a dyn Groups,
    pub(super) tell: &'a mut dyn FnMut(Note<'_>),
}

impl Reader<'_> {
    /// Adds the nodes of a piece.
    pub(super) fn read(&mut self, piece: &Piece, into: &mut Builder) -> Result<(), TargetError> {
        let text = match &piece.words {
            Words::Nodes(text) | Words::Groups(text) => text,
            Words::All => {
                let all = group_nodes(None, None, self.groups).map_err(TargetError::All)?;
                into.add_set(&all);
                return Ok(());
            }
            Words::Known(nodes) => {
                into.add_set(nodes);
                return Ok(());
            }
            Words::List(path) => return self.list(piece, path, into),
        };
        let found = expression(&piece.words, text).and_then(|value| self.value(&value));
        let found = found.map_err(|error| piece.wrong(text, error))?;
        self.tell_idle(piece.option, Role::Include, &found);
        let nodes = &found.nodes;
        (self.tell)(Note::Value {
            option: piece.option,
            nodes,
        });
        into.add_set(nodes);
        Ok(())
    }

    fn value(&self, expression: &Expr) -> Result<Targets, EvalError> {
        match self.rules.wildcards {
            Wildcards::Targets => nodeset::eval_targets(expression, self.groups),
            Wildcards::Source => Ok(Targets {
                nodes: nodeset::eval(expression, self.groups)?,
                idle: Vec::new(),
            }),
        }
    }

    fn list(&mut self, piece: &Piece, path: &Path, into: &mut Builder) -> Result<(), TargetError> {
        let format = Format {
            comments: self.rules.comments,
            content: Content::Text,
        };
        let read = lists::open(path).and_then(|input| {
            lists::words(input, format, |word| {
                if is_plain(word) {
                    into.add(word);
                    return Ok(());
                }
                let found = self.value(&nodeset::parse(word)?)?;
                self.tell_idle(piece.option, Role::Include, &found);
                into.add_set(&found.nodes);
                Ok(())
            })
        });
        read.map_err(|error| TargetError::List {
            path: path.to_owned(),
            error: Box::new(error),
        })
    }

    /// Adds the nodes that a piece leaves out of the targets.
    pub(super) fn exclude(
        &mut self,
        piece: &Piece,
        targets: &NodeSet,
        into: &mut Builder,
    ) -> Result<(), TargetError> {
        let (Words::Nodes(text) | Words::Groups(text)) = &piece.words else {
            return self.read(piece, into);
        };
        let found = expression(&piece.words, text)
            .and_then(|value| nodeset::eval_exclusion(&value, self.groups, targets));
        let found = found.map_err(|error| piece.wrong(text, error))?;
        self.tell_idle(piece.option, Role::Exclude, &found);
        into.add_set(&found.nodes);
        Ok(())
    }

    fn tell_idle(&mut self, option: &'static str, role: Role, found: &Targets) {
        for text in &found.idle {
            (self.tell)(Note::Idle { option, role, text });
        }
    }
}

impl Piece {
    fn wrong(&self, text: &str, error: EvalError) -> TargetError {
        TargetError::Value {
            option: self.option,
            text: text.to_owned(),
            error,
        }
    }
}

/// The node set that a text is in its piece.
fn expression(words: &Words, text: &str) -> Result<Expr, EvalError> {
    let typed = nodeset::parse(text)?;
    Ok(match words {
        Words::Groups(_) => nodeset::parse(&groups_of(text))?,
        Words::Nodes(_) | Words::All | Words::List(_) | Words::Known(_) => typed,
    })
}

/// The node set of the groups that a set of names names: `a,b` is `@a,@b`.
fn groups_of(text: &str) -> String {
    let mut prefixed = String::from("@");
    let mut depth = 0usize;
    for letter in text.trim_start().chars() {
        prefixed.push(letter);
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 && OPERATORS.contains(&letter) => prefixed.push('@'),
            _ => {}
        }
    }
    prefixed
}
