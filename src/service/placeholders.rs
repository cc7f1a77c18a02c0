//! Placeholders in commands that run here once for each node: `%h`, `%n`, `%hosts` and their kin.

/// A piece of a command with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Node,
    Rank,
    Nodes,
}

/// A command with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholders<'t>(Vec<Piece<'t>>);

/// A `%` that begins no placeholder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown placeholder `{text}`")]
pub struct PlaceholderError {
    /// The placeholder, as far as it can be read.
    pub text: String,
}

impl<'t> Placeholders<'t> {
    /// Finds the placeholders of a command.
    ///
    /// # Errors
    /// When a `%` begins none; `%%` is a plain one.
    pub fn parse(text: &'t str) -> Result<Self, PlaceholderError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            pieces.push(Piece::Text(&rest[..at]));
            let behind = &rest[at + 1..];
            let letters = |text: &str| {
                text.find(|at: char| !at.is_ascii_alphanumeric() && at != '_')
                    .unwrap_or(text.len())
            };
            if let Some(after) = behind.strip_prefix('%') {
                pieces.push(Piece::Text("%"));
                rest = after;
                continue;
            }
            let (name, length) = if let Some(inner) = behind.strip_prefix('{') {
                let length = letters(inner);
                let closed = inner[length..].starts_with('}');
                (if closed { &inner[..length] } else { "" }, length + 2)
            } else {
                let length = letters(behind);
                (&behind[..length], length)
            };
            pieces.push(match name {
                "h" | "host" => Piece::Node,
                "n" | "rank" => Piece::Rank,
                "hosts" => Piece::Nodes,
                _ => {
                    let text = rest[at..].chars().take(length.max(1) + 1).collect();
                    return Err(PlaceholderError { text });
                }
            });
            rest = &behind[length..];
        }
        pieces.push(Piece::Text(rest));
        Ok(Self(pieces))
    }

    /// Whether one process serves all nodes.
    #[must_use]
    pub fn is_collective(&self) -> bool {
        self.0.contains(&Piece::Nodes)
    }

    /// The command for one node: its name, its position, and the folded set of all.
    #[must_use]
    pub fn fill(&self, node: &str, rank: usize, nodes: &str) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Node => text.push_str(node),
                Piece::Rank => text.push_str(&rank.to_string()),
                Piece::Nodes => text.push_str(nodes),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_node_rank_and_nodes() {
        let all = Placeholders::parse("%h %host %n %rank %{h}x 100%% %hosts").unwrap();
        assert_eq!(
            all.fill("rack7", 3, "rack[4-7]"),
            "rack7 rack7 3 3 rack7x 100% rack[4-7]"
        );
        assert!(all.is_collective());
        assert!(!Placeholders::parse("%h %%hosts").unwrap().is_collective());
    }

    #[test]
    fn anything_else_is_an_error_that_names_it() {
        for (text, named) in [
            ("a %x b", "%x"),
            ("%hx", "%hx"),
            ("100% b", "% "),
            ("%{h", "%{h"),
            ("%", "%"),
        ] {
            assert_eq!(Placeholders::parse(text).unwrap_err().text, named, "{text}");
        }
    }
}
