//! Patterns as OpenSSH has them in `ssh_config` and `known_hosts` (ssh_config(5), PATTERNS): `*`, `?`, `!`.

/// Whether `text` matches one pattern of literal bytes, `*` and `?`.
///
/// Linear in practice and quadratic at worst: only the last `*` is ever tried again.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut t, mut p) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == text[t] => {
                t += 1;
                p += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    t = from + 1;
                    p = star + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Whether `text` matches a list of patterns separated by commas: at least one must match, none behind `!` may.
pub(super) fn matches_list(text: &str, list: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches(text, excluded) => return false,
            Some(_) => {}
            None => found |= matches(text, pattern),
        }
    }
    found
}

/// [`matches_list`] for host names, whose case says nothing.
pub(super) fn matches_host(host: &str, list: &str) -> bool {
    matches_list(&host.to_ascii_lowercase(), &list.to_ascii_lowercase())
}

/// Whether a pattern can only match itself.
pub(super) fn is_literal(pattern: &str) -> bool {
    !pattern.starts_with('!') && !pattern.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_take_what_they_must() {
        for (text, pattern, expected) in [
            ("", "", true),
            ("", "*", true),
            ("", "?", false),
            ("lb1", "lb?", true),
            ("lb12", "lb?", false),
            ("a.b.c", "*.c", true),
            ("aab", "*ab", true),
            ("abcbd", "a*b?", true),
            ("abc", "a**c", true),
            ("abc", "*b", false),
        ] {
            assert_eq!(matches(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn an_excluded_name_never_matches() {
        assert!(matches_list("lb1", "lb*,!lb2"));
        assert!(!matches_list("lb2", "lb*,!lb2"));
        assert!(
            !matches_list("lb2", "!lb1"),
            "exclusion alone selects nothing"
        );
        assert!(matches_host("LB1.Example", "lb1.*"));
    }

    /// The definition, exponential and obviously right.
    fn model(text: &[u8], pattern: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|cut| model(&text[cut..], rest)),
            Some((b'?', rest)) => !text.is_empty() && model(&text[1..], rest),
            Some((byte, rest)) => text.first() == Some(byte) && model(&text[1..], rest),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(text in "[ab]{0,8}", pattern in "[ab*?]{0,6}") {
            prop_assert_eq!(matches(&text, &pattern), model(text.as_bytes(), pattern.as_bytes()));
        }
    }
}
