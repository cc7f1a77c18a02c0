//! Placeholders in commands that run here for a node: `%h`, `%host`, `%n`, `%rank`, `%hosts`, `%{h}`, `%%`.

/// A `%` that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceholderError {
    /// A name that is not known.
    #[error("'{0}' is not a valid pattern, use '%%' to escape '%'")]
    Unknown(String),
    /// No name at all; line and column count from 1.
    #[error(
        "Invalid placeholder in string: line {line}, col {column} is not a valid pattern, use '%%' to escape '%'"
    )]
    Invalid {
        /// The line.
        line: usize,
        /// The column of the `%`.
        column: usize,
    },
}

/// A part of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Node,
    Rank,
    All,
}

/// A command with its placeholders found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// Reads a command.
    ///
    /// # Errors
    /// The first `%` that stands for nothing.
    pub fn parse(command: &str) -> Result<Self, PlaceholderError> {
        let mut parts = Vec::new();
        let mut rest = command;
        while let Some(at) = rest.find('%') {
            let invalid = || {
                let before = &command[..command.len() - rest.len() + at];
                PlaceholderError::Invalid {
                    line: before.matches('\n').count() + 1,
                    column: before.chars().rev().take_while(|&c| c != '\n').count() + 1,
                }
            };
            parts.push(Part::Text(rest[..at].to_owned()));
            let behind = &rest[at + 1..];
            if let Some(behind) = behind.strip_prefix('%') {
                parts.push(Part::Text("%".to_owned()));
                rest = behind;
                continue;
            }
            let braced = behind.strip_prefix('{');
            let text = braced.unwrap_or(behind);
            let name = &text[..name_length(text)];
            let mut after = &text[name.len()..];
            if braced.is_some() {
                after = after.strip_prefix('}').ok_or_else(invalid)?;
            }
            parts.push(match name {
                "" => return Err(invalid()),
                "h" | "host" => Part::Node,
                "n" | "rank" => Part::Rank,
                "hosts" => Part::All,
                _ => return Err(PlaceholderError::Unknown(name.to_owned())),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// Whether the whole node set is in it, so that it runs once for all.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.0.contains(&Part::All)
    }

    /// The command for one node, or with [`Template::is_for_all`] for all: then every placeholder is about the set.
    #[must_use]
    pub fn fill(&self, node: &str, rank: usize, all: &str) -> String {
        let (node, rank) = if self.is_for_all() {
            (all, 0)
        } else {
            (node, rank)
        };
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Node => out.push_str(node),
                Part::Rank => out.push_str(&rank.to_string()),
                Part::All => out.push_str(all),
            }
        }
        out
    }
}

/// How long the name at the start of a text is.
fn name_length(text: &str) -> usize {
    let is_name = |(at, c): (usize, char)| {
        c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit())
    };
    text.char_indices()
        .find(|&letter| !is_name(letter))
        .map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(command: &str) -> Result<String, String> {
        let template = Template::parse(command).map_err(|error| error.to_string())?;
        Ok(template.fill("n2", 1, "n[1-3]"))
    }

    /// The examples of ClusterShell 1.10.1's `clush -R exec`.
    #[test]
    fn placeholders_are_those_of_clush() {
        assert_eq!(
            fill("%h %host %n %rank %%h %{h}x").unwrap(),
            "n2 n2 1 1 %h n2x"
        );
        assert_eq!(fill("echo %hosts %h %n").unwrap(), "echo n[1-3] n[1-3] 0");
        assert_eq!(fill("x").unwrap(), "x");
        let unknown = "'s' is not a valid pattern, use '%%' to escape '%'";
        assert_eq!(fill("date +%s").unwrap_err(), unknown);
        assert_eq!(
            fill("date +%").unwrap_err(),
            "Invalid placeholder in string: line 1, col 7 is not a valid pattern, use '%%' to escape '%'"
        );
        assert!(fill("a\nb %{h").unwrap_err().contains("line 2, col 3"));
        assert!(fill("%hostsx").unwrap_err().starts_with("'hostsx'"));
    }

    proptest! {
        #[test]
        fn escaped_text_stays_itself(text in r"[%a-z{}é\n]{0,20}") {
            let escaped = text.replace('%', "%%");
            prop_assert_eq!(fill(&escaped).unwrap(), text.clone());
            let _ = fill(&text);
        }
    }
}
