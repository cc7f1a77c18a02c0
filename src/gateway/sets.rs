//! Sets of nodes in messages: counted first, then expanded.
//!
//! A few bytes can stand for more nodes than any memory has. What either side writes is the folded form only: names with
//! ranges, separated by commas. Its size can be told from the text, and all else is refused.

use crate::nodeset::{NoGroups, NodeSet, eval_words};

/// Reads a folded set of at most `most` nodes.
///
/// # Errors
/// When it is no folded set, or stands for more nodes: it is not expanded then.
pub fn nodes(text: &str, most: usize) -> Result<NodeSet, String> {
    let count = count(text)?;
    if count > most as u128 {
        return Err(format!("{count} nodes where at most {most} may be"));
    }
    eval_words(text, &NoGroups).map_err(|error| error.to_string())
}

/// For how many nodes a folded set stands, each counted as often as it is named.
fn count(text: &str) -> Result<u128, String> {
    let mut total = 0u128;
    let mut rest = text;
    while !rest.is_empty() {
        let mut product = 1u128;
        if rest.starts_with('@') {
            return Err(format!("no folded set: \"{}\"", start(rest)));
        }
        // One name with its ranges.
        loop {
            let Some(at) = rest.find(['[', ',']) else {
                plain(rest)?;
                rest = "";
                break;
            };
            let (before, behind) = rest.split_at(at);
            plain(before)?;
            let Some(inside) = behind.strip_prefix('[') else {
                rest = &behind[1..];
                break;
            };
            let (list, behind) = inside
                .split_once(']')
                .ok_or_else(|| format!("missing bracket: \"{}\"", start(behind)))?;
            product = product.saturating_mul(indexes(list)?);
            rest = behind;
        }
        total = total.saturating_add(product);
    }
    Ok(total)
}

/// Refuses what would stand for more than one name.
fn plain(name: &str) -> Result<(), String> {
    let is_operator = |c: char| "!&^*?]".contains(c) || c.is_whitespace();
    let is_range = |at: usize| name[at + 2..].starts_with(|c: char| c.is_ascii_digit());
    let has_range = name.match_indices("..").any(|(at, _)| is_range(at));
    if name.contains(is_operator) || has_range {
        return Err(format!("no folded set: \"{}\"", start(name)));
    }
    Ok(())
}

/// How many indexes a list of ranges has.
fn indexes(list: &str) -> Result<u128, String> {
    let number = |text: &str| text.trim().parse::<u64>().ok().map(u128::from);
    list.split(',').try_fold(0u128, |total, range| {
        let size = match range.split_once('-') {
            None => number(range).map(|_| 1),
            Some((first, last)) => match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => Some(last - first + 1),
                _ => None,
            },
        };
        let size = size.ok_or_else(|| format!("bad range: \"{}\"", start(range)))?;
        Ok(total.saturating_add(size))
    })
}

/// The start of a text, for a message.
fn start(text: &str) -> &str {
    text.char_indices()
        .nth(40)
        .map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_write_is_read_again() {
        for text in [
            "n1",
            "n[1-3,7]",
            "a[1-2]b[01-10],c,d[5-6]-x.example",
            "alice@n[1-2],ssh://bob@n9:22",
            "u[1-2]@h",
            "10.0.0.[1-20]",
            "",
        ] {
            let set = nodes(text, 100).unwrap();
            assert_eq!(nodes(&set.to_string(), set.len()).unwrap(), set, "{text}");
            if !set.is_empty() {
                assert!(nodes(text, set.len() - 1).is_err(), "{text}");
            }
        }
    }

    #[test]
    fn what_stands_for_more_is_not_expanded() {
        // Each would take minutes and all memory if it were.
        for text in [
            "a[1-100000]b[1-100000]c[1-100000]d[1-100000]",
            "a[1-99999]b[1-99999],a[2-99999]b[2-99999],c[1-99999]d[1-99999]",
            "x[0-18446744073709551615]y[0-18446744073709551615]z[0-18446744073709551615]",
            "x[1-1000000000]",
        ] {
            let refused = nodes(text, 1_000_000).unwrap_err();
            assert!(refused.contains("at most 1000000 may be"), "{refused}");
        }
        for text in [
            "a[1-9999999/2]b[1-9999999/3]",
            "a1..99999999",
            "a[1-2]!a1",
            "a[1-2]&a1",
            "@all",
            "n*",
            "x[1-",
            "x]",
            "x[]",
            "x[5-1]",
            "x[1-2]]",
            "x[99999999999999999999]",
        ] {
            assert!(nodes(text, 1_000_000).is_err(), "{text}");
        }
    }
}
