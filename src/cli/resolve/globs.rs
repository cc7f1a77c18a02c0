//! Words that the shell may have made of a pattern: an unquoted `lb[1-2]` is a glob, and files of the current folder
//! that match it take its place.

use std::path::Path;

/// A word that names a file of the current folder and says by no bracket that it is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct LeftOver<'a> {
    /// The word.
    pub(in crate::cli) word: &'a str,
    /// The option it is the value of, if it is one.
    pub(in crate::cli) option: Option<&'static str>,
}

impl<'a> LeftOver<'a> {
    /// The first of these words that may be what a pattern was expanded to.
    pub(in crate::cli) fn find(
        words: impl IntoIterator<Item = (Option<&'static str>, &'a str)>,
    ) -> Option<Self> {
        words
            .into_iter()
            .find(|(_, word)| may_be_left_over(word))
            .map(|(option, word)| Self { word, option })
    }

    /// What was noticed.
    pub(in crate::cli) fn message(&self) -> String {
        let word = self.word;
        format!("`{word}` is also a file here, so an unquoted pattern may have been expanded to it")
    }

    /// What to do: quote the pattern, or say that the word is meant.
    pub(in crate::cli) fn hint(&self) -> String {
        let option = self
            .option
            .map_or_else(String::new, |option| format!("{option} "));
        match bracketed(self.word) {
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

/// The same word with its last number in brackets, which says that it is meant: `lb1` → `lb[1]`; `None` without a number.
fn bracketed(word: &str) -> Option<String> {
    let digit = |byte: &u8| byte.is_ascii_digit();
    let end = word.bytes().rposition(|byte| digit(&byte))? + 1;
    let start = word.as_bytes()[..end]
        .iter()
        .rposition(|byte| !digit(byte))
        .map_or(0, |before| before + 1);
    Some(format!(
        "{}[{}]{}",
        &word[..start],
        &word[start..end],
        &word[end..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_goes_into_brackets() {
        assert_eq!(bracketed("lb1").as_deref(), Some("lb[1]"));
        assert_eq!(bracketed("rack2n10-ib").as_deref(), Some("rack2n[10]-ib"));
        assert_eq!(bracketed("localhost"), None);
    }
}
