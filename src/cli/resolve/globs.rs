//! Words that the shell may have made of a pattern: an unquoted `lb[1-2]` is a glob, and files of the current folder
//! that match it take its place.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::nodeset::NodeSet;

/// Words that name files of the current folder and say by no bracket that they are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct LeftOver<'a> {
    /// The words, all of one option or none; there is at least one.
    words: Vec<&'a str>,
    /// The option they are the value of, if they are one.
    option: Option<&'static str>,
}

impl<'a> LeftOver<'a> {
    /// What may be what a pattern was expanded to, of words and the options they belong to.
    pub(in crate::cli) fn find(
        words: impl IntoIterator<Item = (Option<&'static str>, &'a str)>,
    ) -> Option<Self> {
        let mut found = words.into_iter().filter(|(_, word)| may_be_left_over(word));
        let (option, first) = found.next()?;
        let more = found.filter(|(other, _)| *other == option);
        Some(Self {
            words: std::iter::once(first)
                .chain(more.map(|(_, word)| word))
                .collect(),
            option,
        })
    }

    /// What was noticed.
    pub(in crate::cli) fn message(&self) -> String {
        match self.words.as_slice() {
            [word] => format!(
                "`{word}` is also a file here, so an unquoted pattern may have been expanded to it"
            ),
            words => format!(
                "`{}` are also files here, so an unquoted pattern may have been expanded to them",
                words.join("`, `")
            ),
        }
    }

    /// What to do: quote the pattern, or say that the words are meant.
    pub(in crate::cli) fn hint(&self) -> String {
        let option = self
            .option
            .map_or_else(String::new, |option| format!("{option} "));
        match bracketed(&self.words) {
            Some(meant) => {
                format!("quote the pattern, or write {option}'{meant}' if this is meant")
            }
            None => "quote the pattern if there was one".to_owned(),
        }
    }
}

fn may_be_left_over(word: &str) -> bool {
    !word.is_empty() && !word.contains(['[', '*', '?']) && Path::new(word).exists()
}

/// The same words with a number of each in brackets, which says that they are meant: `lb1` → `lb[1]`, `lb1 lb2` →
/// `lb[1-2]`; `None` if one has no number.
fn bracketed(words: &[&str]) -> Option<String> {
    if let [_, _, ..] = words {
        let folded = words.iter().collect::<NodeSet>().to_string();
        let is_one = folded.contains('[') && split(&folded).count() == 1;
        if is_one {
            return Some(folded);
        }
    }
    let each: Option<Vec<String>> = words.iter().map(|word| bracket_last(word)).collect();
    each.map(|each| each.join(","))
}

/// The parts between commas that are in no brackets.
fn split(folded: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0usize;
    folded.split(move |letter| {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
}

/// The word with its last number in brackets.
fn bracket_last(word: &str) -> Option<String> {
    let digit = |byte: &u8| byte.is_ascii_digit();
    let end = word.bytes().rposition(|byte| digit(&byte))? + 1;
    let start = word.as_bytes()[..end]
        .iter()
        .rposition(|byte| !digit(byte))
        .map_or(0, |before| before + 1);
    let (before, number, behind) = (&word[..start], &word[start..end], &word[end..]);
    Some(format!("{before}[{number}]{behind}"))
}

/// The words of a command line with an expanded pattern put together again: beside files `lb1` and `lb2` an unquoted
/// `-w lb[1-2]` reaches us as `-w lb1 lb2`, which becomes `-w lb1,lb2`. The word at `at` makes no sense where it stands;
/// `None` if it is no file, or not of one pattern with the value of an option in front of it.
pub(in crate::cli) fn rejoin(words: &[OsString], at: usize) -> Option<Vec<OsString>> {
    let stray = words.get(at)?.to_str()?;
    let fits = |word: &OsString| {
        let word = word.to_str();
        word.is_some_and(|word| may_be_left_over(word) && stem(word) == stem(stray))
    };
    let option = words.get(at.checked_sub(2)?)?.to_str()?;
    if !takes_pattern(option) || !fits(&words[at - 1]) || !fits(&words[at]) {
        return None;
    }
    let (before, value) = words.split_at(at - 1);
    let end = value.iter().position(|word| !fits(word));
    let (value, behind) = value.split_at(end.unwrap_or(value.len()));
    let value = value.join(OsStr::new(","));
    Some([before, &[value], behind].concat())
}

/// Whether the next word is a value that may have been a pattern: `-w`, `-vw`, `--nodes`.
fn takes_pattern(option: &str) -> bool {
    let is_short = || !option.starts_with("--") && option.ends_with(['w', 'x', 'g', 'X']);
    let long = ["--nodes", "--exclude", "--group", "--exclude-group"];
    option.starts_with('-') && is_short() || long.contains(&option)
}

/// What words of one pattern have in common: all but their numbers.
fn stem(word: &str) -> String {
    word.chars()
        .filter(|letter| !letter.is_ascii_digit())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_into_brackets() {
        for (words, meant) in [
            (&["lb1"][..], Some("lb[1]")),
            (&["rack2n10-ib"], Some("rack2n[10]-ib")),
            (&["lb1", "lb2"], Some("lb[1-2]")),
            (&["web/s1", "web/s2"], Some("web/s[1-2]")),
            (&["a1b1", "a2b2"], Some("a1b[1],a2b[2]")),
            (&["lb1", "db7"], Some("lb[1],db[7]")),
            (&["lb1", "localhost"], None),
            (&["localhost"], None),
        ] {
            assert_eq!(bracketed(words).as_deref(), meant, "{words:?}");
        }
    }

    #[test]
    fn patterns_are_behind_some_options() {
        for option in ["-w", "-vw", "--nodes", "-X"] {
            assert!(takes_pattern(option), "{option}");
        }
        for option in ["-f", "w", "--yes", "--fanout", "--tax"] {
            assert!(!takes_pattern(option), "{option}");
        }
    }
}
