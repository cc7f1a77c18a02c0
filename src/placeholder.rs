//! Placeholders in commands: `%h` and its kin for commands that run here, and whatever else is a [`Syntax`].
//!
//! What a placeholder stands for is the caller's to say.

use std::fmt;

/// How placeholders are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// `%name` or `%{name}`; `%%` is a percent sign.
    Percent,
    /// `{name}`; `{{` and `}}` are braces.
    Braces,
}

/// A way to write placeholders.
#[derive(Debug, Clone, Copy)]
pub struct Syntax<P: 'static> {
    /// How they are marked.
    pub marks: Marks,
    /// Their names, and what each is.
    pub names: &'static [(&'static str, P)],
}

/// A `%` or brace that stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceholderError {
    marks: Marks,
    known: Vec<&'static str>,
    /// The placeholder, as far as it can be read.
    pub written: String,
    /// The name in it; `None` if there is none or the placeholder is not closed.
    pub name: Option<String>,
    /// The line it is in, from 1.
    pub line: usize,
    /// The character of the line it begins at, from 1.
    pub column: usize,
}

impl std::error::Error for PlaceholderError {}

/// The words for `%` are ClusterShell's.
impl fmt::Display for PlaceholderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            written,
            line,
            column,
            ..
        } = self;
        match (self.marks, &self.name) {
            (Marks::Percent, Some(name)) => {
                write!(f, "'{name}' is not a valid pattern, use '%%' to escape '%'")
            }
            (Marks::Percent, None) => write!(
                f,
                "Invalid placeholder in string: line {line}, col {column} is not a valid pattern, \
                 use '%%' to escape '%'"
            ),
            (Marks::Braces, Some(_)) => {
                write!(
                    f,
                    "`{written}` (column {column}) stands for nothing; there are "
                )?;
                for (at, name) in self.known.iter().enumerate() {
                    let joint = match at {
                        0 => "",
                        _ if at + 1 == self.known.len() => " and ",
                        _ => ", ",
                    };
                    write!(f, "{joint}{{{name}}}")?;
                }
                f.write_str(", and {{ for a brace")
            }
            (Marks::Braces, None) => write!(
                f,
                "`{written}` (column {column}) has no partner; write it twice if it is meant as it is"
            ),
        }
    }
}

/// A text with its placeholders found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template<P>(Vec<Part<P>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part<P> {
    Text(String),
    Placeholder(P),
}

impl<P: Copy> Syntax<P> {
    /// Finds the placeholders of a text.
    ///
    /// # Errors
    /// The first that stands for nothing.
    pub fn parse(&self, text: &str) -> Result<Template<P>, PlaceholderError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(|letter| self.marks.has(letter)) {
            plain.push_str(&rest[..at]);
            let found = &rest[at..];
            let (mark, behind) = found.split_at(1);
            if let Some(behind) = behind.strip_prefix(mark) {
                plain.push_str(mark);
                rest = behind;
                continue;
            }
            let (name, length) = self.marks.name(found);
            let known = self.names.iter().find(|(known, _)| name == Some(known));
            let (_, placeholder) = known.ok_or_else(|| {
                let before = &text[..text.len() - found.len()];
                PlaceholderError {
                    marks: self.marks,
                    known: self.names.iter().map(|(name, _)| *name).collect(),
                    written: found[..length].to_owned(),
                    name: name.map(str::to_owned),
                    line: before.matches('\n').count() + 1,
                    column: before.chars().rev().take_while(|&c| c != '\n').count() + 1,
                }
            })?;
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Placeholder(*placeholder));
            rest = &found[length..];
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Template(parts))
    }
}

impl Marks {
    fn has(self, letter: char) -> bool {
        match self {
            Self::Percent => letter == '%',
            Self::Braces => matches!(letter, '{' | '}'),
        }
    }

    /// The name of the placeholder that a text begins with, and how long the placeholder is in the text.
    fn name(self, text: &str) -> (Option<&str>, usize) {
        let behind = &text[1..];
        match self {
            Self::Percent => {
                if let Some(inner) = behind.strip_prefix('{') {
                    let name = &inner[..word(inner)];
                    let closed = inner[name.len()..].starts_with('}');
                    let named = closed && !name.is_empty();
                    (named.then_some(name), 2 + name.len() + usize::from(closed))
                } else {
                    let name = &behind[..word(behind)];
                    let next = behind.chars().next().map_or(0, char::len_utf8);
                    let named = !name.is_empty();
                    (named.then_some(name), 1 + name.len().max(next))
                }
            }
            Self::Braces => match behind.find(['{', '}']) {
                Some(end) if text.starts_with('{') && behind[end..].starts_with('}') => {
                    (Some(&behind[..end]), end + 2)
                }
                Some(_) | None => (None, 1),
            },
        }
    }
}

/// How long the word is that a text begins with.
fn word(text: &str) -> usize {
    let is_word = |(at, letter): (usize, char)| {
        letter == '_' || letter.is_ascii_alphabetic() || (at > 0 && letter.is_ascii_digit())
    };
    text.char_indices()
        .find(|&letter| !is_word(letter))
        .map_or(text.len(), |(at, _)| at)
}

impl<P: Copy + PartialEq> Template<P> {
    /// Whether a placeholder is in it.
    #[must_use]
    pub fn has(&self, placeholder: P) -> bool {
        self.0.contains(&Part::Placeholder(placeholder))
    }

    /// The text, each placeholder replaced by what it stands for.
    #[must_use]
    pub fn fill<S: AsRef<str>>(&self, value: impl Fn(P) -> S) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Placeholder(placeholder) => text.push_str(value(*placeholder).as_ref()),
            }
        }
        text
    }
}

/// The placeholders of a command that runs here for a node (`-R exec`, `mode: exec`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    /// The node's name.
    Node,
    /// Its place among the nodes, from 0.
    Rank,
    /// The folded set of all nodes. The command then runs once for all.
    All,
}

/// How ClusterShell and MilkCheck write them.
pub const LOCAL: Syntax<Local> = Syntax {
    marks: Marks::Percent,
    names: &[
        ("h", Local::Node),
        ("host", Local::Node),
        ("n", Local::Rank),
        ("rank", Local::Rank),
        ("hosts", Local::All),
    ],
};

impl Template<Local> {
    /// Whether the whole node set is in it, so that it runs once for all.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.has(Local::All)
    }

    /// The command for one node, or if it is for all the one for all: then every placeholder is about the set.
    #[must_use]
    pub fn command(&self, node: &str, rank: usize, all: &str) -> String {
        let rank = if self.is_for_all() { 0 } else { rank }.to_string();
        let node = if self.is_for_all() { all } else { node };
        self.fill(|placeholder| match placeholder {
            Local::Node => node,
            Local::Rank => rank.as_str(),
            Local::All => all,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BRACES: Syntax<char> = Syntax {
        marks: Marks::Braces,
        names: &[("node", 'N'), ("rank", 'R'), ("n", 'C')],
    };

    fn local(command: &str) -> Result<String, PlaceholderError> {
        Ok(LOCAL.parse(command)?.command("n2", 1, "n[1-3]"))
    }

    fn braces(text: &str) -> Result<String, String> {
        let template = BRACES.parse(text).map_err(|error| error.to_string())?;
        Ok(template.fill(String::from))
    }

    /// The examples of ClusterShell 1.10.1's `clush -R exec`.
    #[test]
    fn those_of_local_commands_are_clushs() {
        assert_eq!(
            local("%h %host %n %rank %%h %{h}x").unwrap(),
            "n2 n2 1 1 %h n2x"
        );
        assert_eq!(local("echo %hosts %h %n").unwrap(), "echo n[1-3] n[1-3] 0");
        assert_eq!(local("x").unwrap(), "x");
        assert!(!LOCAL.parse("%h %%hosts").unwrap().is_for_all());
        let error = |text| local(text).unwrap_err().to_string();
        assert_eq!(
            error("date +%s"),
            "'s' is not a valid pattern, use '%%' to escape '%'"
        );
        assert_eq!(
            error("date +%"),
            "Invalid placeholder in string: line 1, col 7 is not a valid pattern, use '%%' to escape '%'"
        );
        assert!(error("a\nb %{h").contains("line 2, col 3"));
        assert!(error("%hostsx").starts_with("'hostsx'"));
    }

    #[test]
    fn mistakes_are_shown_as_they_are_written() {
        for (text, written) in [
            ("a %x b", "%x"),
            ("%hx", "%hx"),
            ("100% b", "% "),
            ("%{h", "%{h"),
            ("%{x}y", "%{x}"),
            ("%é", "%é"),
            ("%", "%"),
        ] {
            assert_eq!(local(text).unwrap_err().written, written, "{text}");
        }
    }

    #[test]
    fn names_in_braces() {
        assert_eq!(
            braces("echo {node} {rank}/{n} {{node}} }}{{").unwrap(),
            "echo N R/C {node} }{"
        );
        assert_eq!(braces("").unwrap(), "");
        assert_eq!(braces("{node}{node}").unwrap(), "NN");
        assert_eq!(
            braces("echo ${HOME}").unwrap_err(),
            "`{HOME}` (column 7) stands for nothing; there are {node}, {rank} and {n}, and {{ for a brace"
        );
        assert!(
            braces("{}")
                .unwrap_err()
                .starts_with("`{}` (column 1) stands")
        );
        for (text, column) in [("é {", 3), ("a }", 3), ("{no{de}", 1), ("{{}", 3)] {
            let error = braces(text).unwrap_err();
            let told = format!("(column {column}) has no partner");
            assert!(error.contains(&told), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn doubled_marks_are_the_text_itself(text in "[%{}a-z é\n]{0,20}") {
            prop_assert_eq!(local(&text.replace('%', "%%")).unwrap(), text.clone());
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(braces(&doubled).unwrap(), text.clone());
            let _ = local(&text);
            let _ = braces(&text);
        }
    }
}
