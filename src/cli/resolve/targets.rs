//! The one resolver of node targets: from the pieces of a command line to the nodes they name.
//!
//! What differs between the tools is a value: the [`Piece`]s and their order, and the [`Rules`]. Errors and notes are
//! values too; each front-end has words of its own for them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::lists::{self, Content, Format, ListError};
use crate::nodeset::{
    self, Builder, EvalError, Expr, GroupError, Groups, NodeSet, Targets, Upcall, group_nodes,
};

/// So many nodes a run may have, unless the configuration says otherwise (`max_nodes`).
pub(in crate::cli) const MAX_NODES: u128 = 1_000_000;

/// What is joined by operators outside of brackets.
const OPERATORS: [char; 4] = [',', '!', '&', '^'];

/// What was typed about nodes in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Piece {
    /// The option, for messages.
    pub(in crate::cli) option: &'static str,
    /// What it does.
    pub(in crate::cli) role: Role,
    /// Which nodes.
    pub(in crate::cli) words: Words,
}

/// What the nodes of a piece are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Role {
    /// These are targeted.
    Include,
    /// Of those before, only these.
    Among,
    /// These are left out, wherever the piece stands.
    Exclude,
}

/// The words of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Words {
    /// A node set.
    Nodes(String),
    /// Names of groups, with brackets and operators as in a node set.
    Groups(String),
    /// All nodes of the default source.
    All,
    /// Node sets in a file, separated by white space; `-` is standard input.
    List(PathBuf),
    /// Nodes that are known already.
    Known(NodeSet),
}

/// In what the tools differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Rules {
    /// What wildcards are compared with where nodes are left out.
    pub(in crate::cli) wildcards: Wildcards,
    /// What a group is that nobody knows.
    pub(in crate::cli) unknown_group: Unknown,
    /// Whether lists have comments.
    pub(in crate::cli) comments: bool,
}

impl Rules {
    /// Ours.
    pub(in crate::cli) const NATIVE: Self = Self {
        wildcards: Wildcards::Targets,
        unknown_group: Unknown::Error,
        comments: true,
    };

    /// ClusterShell's.
    pub(in crate::cli) const CLUSTERSHELL: Self = Self {
        wildcards: Wildcards::Source,
        unknown_group: Unknown::Empty,
        comments: false,
    };
}

/// What wildcards are compared with where nodes are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Wildcards {
    /// The targeted nodes, whether a group knows them or not.
    Targets,
    /// All nodes of the default source, as everywhere else.
    Source,
}

/// What a group is that its source does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Unknown {
    /// A mistake: a typo must not mean fewer nodes.
    Error,
    /// The empty set.
    Empty,
}

/// What is worth a word, but stops nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Note<'a> {
    /// The value of an option has been read.
    Value {
        /// The option.
        option: &'static str,
        /// Its value.
        nodes: &'a NodeSet,
    },
    /// Nothing of the targets was left out by what should leave something out.
    Idle {
        /// The option.
        option: &'static str,
        /// What does the option: all nodes of its own, or some of them, behind `!`.
        role: Role,
        /// The operand.
        text: &'a str,
    },
}

/// Why there are no targets.
#[derive(Debug)]
pub(in crate::cli) enum TargetError {
    /// A node set that is none, or whose groups cannot be had.
    Value {
        /// The option.
        option: &'static str,
        /// As it was typed.
        text: String,
        /// Why.
        error: EvalError,
    },
    /// All nodes cannot be had.
    All(EvalError),
    /// A list cannot be used.
    List {
        /// The file.
        path: PathBuf,
        /// Why.
        error: Box<ListError<EvalError>>,
    },
    /// More nodes than there may be.
    TooMany {
        /// How many.
        count: u128,
        /// How many there may be.
        most: u128,
    },
}

/// The nodes that the pieces name; maybe none, and maybe too many to be listed: see [`bounded`]. The pieces are read in
/// their order, but for those that leave out targets which must be known first ([`Wildcards::Targets`]).
///
/// # Errors
/// The first piece that cannot be read.
pub(in crate::cli) fn resolve(
    pieces: &[Piece],
    rules: &Rules,
    groups: &dyn Groups,
    tell: &mut dyn FnMut(Note<'_>),
) -> Result<NodeSet, TargetError> {
    let strict = Strict(groups);
    let mut reader = Reader {
        rules,
        groups: match rules.unknown_group {
            Unknown::Error => &strict,
            Unknown::Empty => groups,
        },
        tell,
    };
    let mut included = Builder::new();
    let mut excluded = Builder::new();
    let is_late =
        |piece: &&Piece| rules.wildcards == Wildcards::Targets && piece.role == Role::Exclude;
    for piece in pieces.iter().filter(|piece| !is_late(piece)) {
        match piece.role {
            Role::Include => reader.read(piece, &mut included)?,
            Role::Exclude => reader.read(piece, &mut excluded)?,
            Role::Among => {
                let mut among = Builder::new();
                reader.read(piece, &mut among)?;
                let mut nodes = std::mem::take(&mut included).finish();
                nodes.intersection(&among.finish());
                included.add_set(&nodes);
            }
        }
    }
    let mut nodes = included.finish();
    for piece in pieces.iter().filter(is_late) {
        reader.exclude(piece, &nodes, &mut excluded)?;
    }
    nodes.difference(&excluded.finish());
    Ok(nodes)
}

/// Refuses a set that is too large to be listed.
///
/// # Errors
/// When it has more nodes than that.
pub(in crate::cli) fn bounded(nodes: &NodeSet, most: u128) -> Result<(), TargetError> {
    match nodes.count() {
        count if count > most => Err(TargetError::TooMany { count, most }),
        _ => Ok(()),
    }
}

/// So many of the nodes, chosen by chance; all of them if they are no more.
pub(in crate::cli) fn pick(nodes: NodeSet, count: u128) -> NodeSet {
    let all = nodes.count();
    if count >= all {
        return nodes;
    }
    // Floyd's choice: each position is chosen with the same probability, in time and memory of the choice.
    let mut chosen = HashSet::new();
    for last in all - count..all {
        let position = fastrand::u128(..=last);
        if !chosen.insert(position) {
            chosen.insert(last);
        }
    }
    let positions: NodeSet = chosen.iter().map(u128::to_string).collect();
    nodes.slice(&positions.ranges())
}

/// The value of a node set.
///
/// # Errors
/// When it is none, or a group cannot be had.
pub(in crate::cli) fn eval(text: &str, groups: &dyn Groups) -> Result<NodeSet, EvalError> {
    nodeset::eval(&nodeset::parse(text)?, groups)
}

/// Adds the value of a node set. Most words of long lists name one node, which is added as it stands.
///
/// # Errors
/// As [`eval`].
pub(in crate::cli) fn add(
    text: &str,
    groups: &dyn Groups,
    into: &mut Builder,
) -> Result<(), EvalError> {
    if is_plain(text) {
        into.add(text);
    } else {
        into.add_set(&eval(text, groups)?);
    }
    Ok(())
}

/// Whether the text is the name of one node and nothing else.
fn is_plain(text: &str) -> bool {
    let special = |byte: u8| {
        byte.is_ascii_whitespace()
            || !byte.is_ascii()
            || matches!(
                byte,
                b',' | b'!' | b'&' | b'^' | b'[' | b']' | b'*' | b'?' | b'@'
            )
    };
    !text.is_empty() && !text.bytes().any(special) && !text.contains("..")
}

/// Reads pieces.
struct Reader<'a> {
    rules: &'a Rules,
    groups: &'a dyn Groups,
    tell: &'a mut dyn FnMut(Note<'_>),
}

impl Reader<'_> {
    /// Adds the nodes of a piece.
    fn read(&mut self, piece: &Piece, into: &mut Builder) -> Result<(), TargetError> {
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
    fn exclude(
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

/// Groups of which an unknown one is an error.
pub(in crate::cli) struct Strict<G>(pub(in crate::cli) G);

impl<G: Groups> Groups for Strict<G> {
    fn map(&self, source: Option<&str>, group: &str) -> Result<String, GroupError> {
        let nodes = self.0.map(source, group)?;
        let known = || {
            let names = self.0.list(source);
            names.map(|names| names.iter().any(|name| name == group))
        };
        if nodes.trim().is_empty() && !known().unwrap_or(true) {
            let prefix = source.map_or_else(String::new, |source| format!("{source}:"));
            let text = format!("unknown group `@{prefix}{group}`");
            return Err(GroupError::Other(text));
        }
        Ok(nodes)
    }

    fn all(&self, source: Option<&str>) -> Result<Option<String>, GroupError> {
        self.0.all(source)
    }

    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError> {
        self.0.list(source)
    }

    fn reverse(&self, source: Option<&str>, node: &str) -> Result<Option<Vec<String>>, GroupError> {
        self.0.reverse(source, node)
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        self.0.sources()
    }

    fn prepare(&self, source: Option<&str>, upcall: Upcall, subjects: &[String]) {
        self.0.prepare(source, upcall, subjects);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// The group `a` has `a1` and `a2`, and so on.
    struct Letters;

    impl Groups for Letters {
        fn map(&self, _: Option<&str>, group: &str) -> Result<String, GroupError> {
            Ok(match group {
                "a" | "b" | "c" => format!("{group}[1-2]"),
                _ => String::new(),
            })
        }
        fn all(&self, _: Option<&str>) -> Result<Option<String>, GroupError> {
            Ok(Some("@a,@b,@c".to_owned()))
        }
        fn list(&self, _: Option<&str>) -> Result<Vec<String>, GroupError> {
            Ok(["a", "b", "c", "none"].map(str::to_owned).to_vec())
        }
        fn reverse(&self, _: Option<&str>, _: &str) -> Result<Option<Vec<String>>, GroupError> {
            Ok(None)
        }
        fn sources(&self) -> Result<Vec<String>, GroupError> {
            Ok(vec!["letters".to_owned()])
        }
    }

    /// Pieces as on a command line: `-w n1 -X a`.
    fn pieces(line: &str) -> Vec<Piece> {
        let mut words = line.split(' ');
        let mut pieces = Vec::new();
        while let Some(option) = words.next() {
            let mut value = || words.next().unwrap().to_owned();
            let (option, role, words) = match option {
                "-w" => ("-w", Role::Include, Words::Nodes(value())),
                "-g" => ("-g", Role::Include, Words::Groups(value())),
                "-x" => ("-x", Role::Exclude, Words::Nodes(value())),
                "-X" => ("-X", Role::Exclude, Words::Groups(value())),
                "-a" => ("-a", Role::Include, Words::All),
                "-l" => ("-l", Role::Include, Words::List(value().into())),
                "-k" => ("-k", Role::Among, Words::Nodes(value())),
                other => panic!("{other}"),
            };
            pieces.push(Piece {
                option,
                role,
                words,
            });
        }
        pieces
    }

    /// The nodes, and behind them what had no effect.
    fn found(line: &str, rules: &Rules) -> Result<String, TargetError> {
        let mut idle = String::new();
        let mut tell = |note: Note<'_>| {
            if let Note::Idle { option, role, text } = note {
                let mark = if role == Role::Exclude { "" } else { "!" };
                idle += &format!(" {option}:{mark}{text}");
            }
        };
        let nodes = resolve(&pieces(line), rules, &Letters, &mut tell)?;
        Ok(format!("{nodes}{idle}"))
    }

    fn native(line: &str) -> String {
        found(line, &Rules::NATIVE).unwrap()
    }

    #[test]
    fn a_list_of_groups_is_so_many_groups() {
        assert_eq!(native("-g a,b"), "a[1-2],b[1-2]");
        assert_eq!(native("-w a[1-2],b[1-2],z -X a,b"), "z");
        assert_eq!(native("-g a,b!a"), "b[1-2]");
        assert_eq!(native("-a -X letters:c"), "a[1-2],b[1-2]");
        let classic = |line| found(line, &Rules::CLUSTERSHELL).unwrap();
        assert_eq!(classic("-g a,b -X b,zzz"), "a[1-2]");
        assert_eq!(classic("-a -X * -w n1"), "n1");
    }

    #[test]
    fn what_leaves_out_looks_at_the_targets_and_says_when_it_meets_none() {
        assert_eq!(native("-w web1,new7 -x new*"), "web1");
        assert_eq!(native("-x new* -w web1,new7"), "web1");
        assert_eq!(native("-w web1,new7!new*"), "web1");
        assert_eq!(native("-w n1 -x new*,n2"), "n1 -x:new* -x:n2");
        assert_eq!(native("-w n1 -X a,none"), "n1 -X:@a -X:@none");
        assert_eq!(native("-w n1!m1!n2"), "n1 -w:!m1 -w:!n2");
        assert_eq!(native("-w n1,n2 -x n1 -x n1"), "n2");
        // The original compares with all nodes of the default source, and says nothing.
        let classic = |line| found(line, &Rules::CLUSTERSHELL).unwrap();
        assert_eq!(classic("-w web1,new7,a1 -x new* -x a*,zzz"), "new7,web1");
        assert_eq!(classic("-w web1,new7!new*"), "new7,web1");
    }

    #[test]
    fn an_unknown_group_is_a_mistake_or_empty() {
        let why = |line| match found(line, &Rules::NATIVE) {
            Err(TargetError::Value {
                option,
                text,
                error: EvalError::Group(GroupError::Other(why)),
            }) => format!("{option} {text} {why}"),
            other => panic!("{other:?}"),
        };
        assert_eq!(why("-g zzz"), "-g zzz unknown group `@zzz`");
        assert_eq!(why("-w n1 -X a,zzz"), "-X a,zzz unknown group `@zzz`");
        assert_eq!(native("-w n1 -g none"), "n1");
        assert_eq!(found("-w n1 -g zzz", &Rules::CLUSTERSHELL).unwrap(), "n1");
    }

    #[test]
    fn nothing_is_nothing() {
        for rules in [Rules::NATIVE, Rules::CLUSTERSHELL] {
            assert!(
                resolve(&[], &rules, &Letters, &mut |_| ())
                    .unwrap()
                    .is_empty()
            );
            for line in [
                "-g none",
                "-w n1 -x n1",
                "-w a1 -k b1",
                "-w n1!n1",
                "-l /dev/null",
            ] {
                assert_eq!(found(line, &rules).unwrap(), "", "{line}");
            }
        }
    }

    #[test]
    fn lists_hold_node_sets_and_groups() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"n1 n[2-3] # n9\n@a n5..6\nweb1,new7!new*\n")
            .unwrap();
        let path = file.path().display().to_string();
        let nodes = native(&format!("-l {path} -k n[1-9],@a -x n3"));
        assert_eq!(nodes, "a[1-2],n[1-2,5-6]");
        file.write_all(b"\nn[1-\n").unwrap();
        match found(&format!("-l {path}"), &Rules::NATIVE) {
            Err(TargetError::List { error, .. }) => {
                assert_eq!(error.line(), Some(5));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn too_many_are_counted_and_not_listed() {
        let line = "-w a[1-1000]b[1-1000]c[1-1000]d[1-1000] -x a1b1c1d[1-1000]";
        let nodes = resolve(&pieces(line), &Rules::NATIVE, &Letters, &mut |_| ()).unwrap();
        match bounded(&nodes, MAX_NODES) {
            Err(TargetError::TooMany { count, most }) => {
                assert_eq!((count, most), (1_000_000_000_000 - 1000, MAX_NODES));
            }
            other => panic!("{other:?}"),
        }
        assert!(bounded(&nodes, nodes.count()).is_ok());
    }

    #[test]
    fn so_many_are_picked() {
        let nodes = eval("n[1-1000]m[1-9]", &Letters).unwrap();
        let few = pick(nodes.clone(), 20);
        assert!(few.len() == 20 && nodes.is_superset(&few));
        assert_eq!(pick(nodes.clone(), 9000), nodes);
    }
}
