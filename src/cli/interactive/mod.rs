//! A prompt for commands on a fleet: what `hash shell` and the interactive mode of `clush` share.

mod complete;
mod local;
mod script;

use std::path::PathBuf;

use crate::config::Environment;
use crate::nodeset::{Groups, NodeSet};
use crate::terminal::editor::{Editor, Kind};
use crate::terminal::history::History;

pub(in crate::cli) use complete::{Current, Words};
pub(in crate::cli) use local::run_here;
pub(in crate::cli) use script::Script;

/// What a line that was entered asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Line<'a> {
    /// Nothing.
    Nothing,
    /// A command on the nodes.
    Command(&'a str),
    /// A command here.
    Here(&'a str),
    /// The nodes, please.
    Show,
    /// The other form of output.
    Toggle,
    /// More nodes.
    Add(&'a str),
    /// Without these nodes.
    Remove(&'a str),
    /// These nodes instead.
    Replace(&'a str),
    /// Away from here.
    Quit,
}

impl<'a> Line<'a> {
    /// Reads a line by the letters that clush has given it.
    pub(in crate::cli) fn parse(text: &'a str) -> Self {
        let text = text.trim();
        let Some(first) = text.chars().next() else {
            return Self::Nothing;
        };
        let rest = text[first.len_utf8()..].trim();
        match first {
            '!' => Self::Here(rest),
            '?' => Self::Show,
            '=' => Self::Toggle,
            '+' => Self::Add(rest),
            '-' => Self::Remove(rest),
            '@' => Self::Replace(rest),
            _ if text.eq_ignore_ascii_case("quit") => Self::Quit,
            _ => Self::Command(text),
        }
    }
}

/// The line editor, on a terminal that can do what `TERM` says.
pub(in crate::cli) fn editor(
    environment: &Environment,
    history: Option<PathBuf>,
    words: Words,
) -> std::io::Result<Editor> {
    let kind = match environment.text("TERM") {
        None | Some("dumb" | "cons25" | "emacs") => Kind::Dumb,
        Some(_) => Kind::Full,
    };
    Editor::open(kind, history.map(History::new), Box::new(words))
}

/// The names of nodes that a source of groups has.
fn known(groups: &dyn Groups) -> NodeSet {
    crate::nodeset::parse("@*")
        .ok()
        .and_then(|all| crate::nodeset::eval(&all, groups).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_its_first_letter_says() {
        for (text, line) in [
            ("", Line::Nothing),
            ("  \t", Line::Nothing),
            ("echo -n", Line::Command("echo -n")),
            (" exit 3 ", Line::Command("exit 3")),
            ("!ls -l", Line::Here("ls -l")),
            ("?anything", Line::Show),
            ("=", Line::Toggle),
            ("+ N7", Line::Add("N7")),
            ("-@web", Line::Remove("@web")),
            ("@@web,n1", Line::Replace("@web,n1")),
            ("QuiT", Line::Quit),
            ("quit now", Line::Command("quit now")),
            ("é", Line::Command("é")),
        ] {
            assert_eq!(Line::parse(text), line, "{text}");
        }
    }
}
