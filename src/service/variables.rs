//! Values and the patterns in them: `%NAME`, `%{NAME}`, `%(command)` and `%%`.

use std::fmt;

use super::error::Origin;
use crate::yaml::Scalar;

/// A value of a variable or a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    None,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
    /// Several values.
    List(Vec<Value>),
    /// Keys and values, in the order of the file.
    Map(Vec<(Value, Value)>),
}

impl From<Scalar<'_>> for Value {
    fn from(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Null => Self::None,
            Scalar::Bool(value) => Self::Bool(value),
            Scalar::Int(number) => Self::Int(number),
            Scalar::Float(number) => Self::Float(number),
            Scalar::Other(text) | Scalar::Text(text) => Self::Text(text.to_owned()),
        }
    }
}

/// The text a value has inside a longer one. It is Python's, which scripts have come to rely on.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Text(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", Inside(item))?;
                }
                f.write_str("]")
            }
            Self::Map(pairs) => {
                f.write_str("{")?;
                for (at, (key, value)) in pairs.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{}: {}", Inside(key), Inside(value))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// A value inside a list or a mapping, as Python shows it there: text in quotes.
struct Inside<'v>(&'v Value);

impl fmt::Display for Inside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Value::Text(text) = self.0 else {
            return self.0.fmt(f);
        };
        let quote = match text.contains('\'') && !text.contains('"') {
            true => '"',
            false => '\'',
        };
        write!(f, "{quote}")?;
        for letter in text.chars() {
            match letter {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\\' => f.write_str("\\\\")?,
                letter if letter == quote => write!(f, "\\{quote}")?,
                letter if u32::from(letter) < 0x20 || letter == '\x7f' => {
                    write!(f, "\\x{:02x}", u32::from(letter))?;
                }
                letter => write!(f, "{letter}")?,
            }
        }
        write!(f, "{quote}")
    }
}

/// A value as written, patterns not yet expanded.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// What is written.
    pub form: ValueForm,
    /// Where.
    pub origin: Origin,
}

/// The forms a written value has.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueForm {
    /// A value without patterns.
    Plain(Value),
    /// Text with patterns.
    Template(Template),
    /// Several.
    List(Vec<Written>),
}

impl Written {
    /// Whether there is no pattern in it.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        match &self.form {
            ValueForm::Plain(_) => true,
            ValueForm::Template(template) => template.is_constant(),
            ValueForm::List(items) => items.iter().all(Self::is_constant),
        }
    }
}

/// Text cut into its patterns and what stands between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template(pub(super) Vec<Piece>);

/// A piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text that stands for itself.
    Text(String),
    /// The value of a variable.
    Variable(String),
    /// The output of a command.
    Shell(Template),
}

/// A `%` that begins no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a `%` that begins no variable (column {column} of the text)")]
pub struct PatternError {
    /// The position of the `%` in characters, counted from 1.
    pub column: usize,
}

impl Template {
    /// Text that stands for itself.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self(vec![Piece::Text(text.into())])
    }

    /// Finds the patterns of a text.
    ///
    /// # Errors
    /// When a `%` begins none; `%%` is a plain one.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            plain.push_str(&rest[..at]);
            let behind = &rest[at + 1..];
            let bad = |inner: usize| PatternError {
                column: text[..text.len() - rest.len() + at].chars().count() + 1 + inner,
            };
            let (piece, length) = match behind.chars().next() {
                Some('%') => {
                    plain.push('%');
                    rest = &behind[1..];
                    continue;
                }
                Some('(') => {
                    let end = behind.find(')').ok_or_else(|| bad(0))?;
                    let command =
                        Self::parse(&behind[1..end]).map_err(|error| bad(error.column + 1))?;
                    (Piece::Shell(command), end + 1)
                }
                Some('{') => {
                    let length = name_length(&behind[1..]);
                    if length == 0 || !behind[1 + length..].starts_with('}') {
                        return Err(bad(0));
                    }
                    (Piece::Variable(behind[1..=length].to_owned()), length + 2)
                }
                _ => match name_length(behind) {
                    0 => return Err(bad(0)),
                    length => (Piece::Variable(behind[..length].to_owned()), length),
                },
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece);
            rest = &behind[length..];
        }
        plain.push_str(rest);
        if !plain.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// Whether there is no pattern in it.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// The texts between the patterns.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Variable(_) | Piece::Shell(_) => None,
        })
    }
}

/// How long the variable name is that the text begins with.
fn name_length(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|at: char| !at.is_ascii_alphanumeric() && at != '_')
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(text: &str) -> Vec<Piece> {
        Template::parse(text).unwrap().0
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.into())
    }

    fn variable(name: &str) -> Piece {
        Piece::Variable(name.into())
    }

    #[test]
    fn finds_names_braces_commands_and_percent_signs() {
        assert_eq!(pieces(""), [text("")]);
        assert_eq!(pieces("50%%"), [text("50%")]);
        assert_eq!(pieces("%a_1"), [variable("a_1")]);
        assert_eq!(
            pieces("x%{a}b%c-%%d"),
            [
                text("x"),
                variable("a"),
                text("b"),
                variable("c"),
                text("-%d")
            ]
        );
        assert_eq!(
            pieces("%(echo %a) b)"),
            [
                Piece::Shell(Template(vec![text("echo "), variable("a")])),
                text(" b)")
            ]
        );
    }

    #[test]
    fn a_percent_sign_alone_has_a_column() {
        for (text, column) in [
            ("% d", 1),
            ("100% done", 4),
            ("é%", 2),
            ("%1", 1),
            ("%{a", 1),
            ("%{}", 1),
            ("%(ls", 1),
            ("a%(b % c)", 6),
        ] {
            assert_eq!(
                Template::parse(text),
                Err(PatternError { column }),
                "{text}"
            );
        }
    }

    #[test]
    fn values_read_as_in_python() {
        let list = Value::List(vec![
            Value::Text("a".into()),
            Value::Int(1),
            Value::Float(1.0),
            Value::Bool(true),
            Value::None,
        ]);
        assert_eq!(list.to_string(), "['a', 1, 1.0, True, None]");
        let map = Value::Map(vec![
            (Value::Text("a".into()), list),
            (Value::Int(1), Value::Text("it's\n\\ é".into())),
            (Value::None, Value::Text("'\"".into())),
            (Value::Text("m".into()), Value::Map(Vec::new())),
        ]);
        assert_eq!(
            map.to_string(),
            r#"{'a': ['a', 1, 1.0, True, None], 1: "it's\n\\ é", None: '\'"', 'm': {}}"#
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[%(){}a1 é]*") {
            let _ = Template::parse(&text);
        }

        #[test]
        fn doubled_percent_signs_stand_for_themselves(text in "[%a ]*") {
            let parsed = Template::parse(&text.replace('%', "%%")).unwrap();
            prop_assert_eq!(parsed, Template::plain(text));
        }
    }
}
