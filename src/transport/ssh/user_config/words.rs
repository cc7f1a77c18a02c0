//! Cuts a line of `ssh_config` into words, the way OpenSSH does: quotes, escapes, one `=`, comments.
//!
//! OpenSSH has two cutters. The keyword and the criteria of `Match` go through the older one
//! ([`delimited`]), all other arguments through the newer ([`split`]).

const SPACE: &[char] = &[' ', '\t', '\r', '\n'];

/// The next word up to white space, a quote or one `=`; `text` becomes what is behind it.
/// `None` at the end, or where a quote is not closed.
pub(super) fn delimited(text: &mut Option<&str>) -> Option<String> {
    let whole = text.take()?;
    let Some(at) = whole.find(|c| SPACE.contains(&c) || c == '"' || c == '=') else {
        return Some(whole.to_owned());
    };
    let (word, rest) = whole.split_at(at);
    if let Some(quoted) = rest.strip_prefix('"') {
        let (inside, rest) = quoted.split_once('"')?;
        *text = Some(rest.trim_start_matches(SPACE));
        return Some(format!("{word}{inside}"));
    }
    let had_equals = rest.starts_with('=');
    let mut rest = rest[1..].trim_start_matches(SPACE);
    if let Some(behind) = rest.strip_prefix('=')
        && !had_equals
    {
        rest = behind.trim_start_matches(SPACE);
    }
    *text = Some(rest);
    Some(word.to_owned())
}

/// The keyword of a line in lower case, and the rest; `None` for an empty line and a comment.
pub(super) fn keyword(line: &str) -> Option<(String, &str)> {
    let line = line.trim_end_matches([' ', '\t', '\r', '\n', '\x0c']);
    let mut rest = Some(line.trim_start_matches(SPACE));
    let word = delimited(&mut rest)?.to_ascii_lowercase();
    if word.is_empty() || word.starts_with('#') {
        return None;
    }
    Some((word, rest.unwrap_or("").trim_start_matches(SPACE)))
}

/// All words up to a comment; quotes hold words together, a backslash escapes a quote, itself or a blank.
/// `None` where a quote is not closed.
pub(super) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut letters = text.chars().peekable();
    loop {
        while letters.next_if(|&c| c == ' ' || c == '\t').is_some() {}
        match letters.peek() {
            None | Some('#') => return Some(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(letter) = letters.next() {
            match (letter, quote) {
                ('\\', _) => {
                    let escaped = letters.next_if(|&next| {
                        matches!(next, '\'' | '"' | '\\') || (next == ' ' && quote.is_none())
                    });
                    word.push(escaped.unwrap_or('\\'));
                }
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(letter),
                (_, Some(open)) if letter == open => quote = None,
                _ => word.push(letter),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_end_at_a_blank_or_one_equals() {
        let cases = [
            ("  Host  a b ", Some(("host", "a b"))),
            ("Port=22", Some(("port", "22"))),
            ("Port = 22", Some(("port", "22"))),
            ("Port == 22", Some(("port", "= 22"))),
            ("\"User\" x", Some(("user", "x"))),
            ("Port", Some(("port", ""))),
            ("# x", None),
            (" \t", None),
        ];
        for (line, expected) in cases {
            let found = keyword(line);
            let found = found.as_ref().map(|(word, rest)| (word.as_str(), *rest));
            assert_eq!(found, expected, "{line:?}");
        }
    }

    #[test]
    fn words_obey_quotes_escapes_and_comments() {
        let words = |text| split(text).unwrap().join("|");
        assert_eq!(words(r#"a "b c" d"#), "a|b c|d");
        assert_eq!(words(r#"x"y z"'w' # no"#), "xy zw");
        assert_eq!(words(r"a\ b c\d \' #"), r"a b|c\d|'");
        assert_eq!(words("a#b #c"), "a#b");
        assert_eq!(words(r#""""#), "");
        assert_eq!(split(r#"a "b"#), None);
    }
}
