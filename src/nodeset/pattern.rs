//! What of a name is no index: `rack%s-node%s`.

use std::borrow::Cow;
use std::sync::Arc;

use super::index::{Index, MAX_DIGITS};

/// A name has at most so many indexes; further digits are text.
pub(super) const MAX_DIMENSIONS: usize = 32;

/// A name with `%s` in place of each index and `%%` for a percent sign. ClusterShell orders names by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pattern(Arc<str>);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// As text, `%s` and `%%` included.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The texts around the indexes: one more than there are indexes.
    pub(super) fn texts(&self) -> Vec<Cow<'_, str>> {
        let mut texts = Vec::new();
        let mut text = Cow::Borrowed("");
        let mut rest = &*self.0;
        while let Some(at) = rest.find('%') {
            let (before, behind) = rest.split_at(at);
            text += before;
            if behind.starts_with("%s") {
                texts.push(std::mem::take(&mut text));
            } else {
                text += "%";
            }
            rest = behind.get(2..).unwrap_or_default();
        }
        text += rest;
        texts.push(text);
        texts
    }
}

impl std::borrow::Borrow<str> for Pattern {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Appends text of a name to a pattern.
pub(super) fn push_text(pattern: &mut String, text: &str) {
    if text.contains('%') {
        pattern.push_str(&text.replace('%', "%%"));
    } else {
        pattern.push_str(text);
    }
}

/// How long an IPv6 address in brackets is that a text begins with, as in `[::1]` and `ssh://[fe80::1%eth0]:22`: it is
/// text, and no range set. `before` is what stands in front of it; behind it there may only be a port.
pub(super) fn address_length(before: &str, text: &str) -> Option<usize> {
    let (inside, behind) = text.strip_prefix('[')?.split_once(']')?;
    let (address, zone) = inside.split_once('%').unwrap_or((inside, ""));
    let is_address = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let is_zone = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_host = before.is_empty() || before.ends_with(['@', '/']);
    let fits = is_host
        && (behind.is_empty() || behind.starts_with(':'))
        && address.matches(':').nth(1).is_some()
        && address.bytes().all(is_address)
        && zone.bytes().all(is_zone);
    fits.then_some(inside.len() + 2)
}

/// Cuts a plain name into its pattern and its indexes.
pub(super) fn cut(name: &str, pattern: &mut String, indexes: &mut Vec<Index>) {
    pattern.clear();
    indexes.clear();
    let mut rest = name;
    if let Some(open) = name.find('[') {
        let (before, behind) = name.split_at(open);
        if let Some(length) = address_length(before, behind) {
            cut_on(before, pattern, indexes);
            push_text(pattern, &behind[..length]);
            rest = &behind[length..];
        }
    }
    cut_on(rest, pattern, indexes);
}

fn cut_on(name: &str, pattern: &mut String, indexes: &mut Vec<Index>) {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let length = |digits: bool| {
            let end = bytes[at..]
                .iter()
                .position(|byte| byte.is_ascii_digit() != digits);
            end.unwrap_or(bytes.len() - at)
        };
        let text = length(false);
        if text > 0 {
            push_text(pattern, &name[at..at + text]);
            at += text;
            continue;
        }
        let digits = length(true);
        if digits <= MAX_DIGITS && indexes.len() < MAX_DIMENSIONS {
            indexes.push(Index::of_digits(&bytes[at..at + digits]));
            pattern.push_str("%s");
        } else {
            pattern.push_str(&name[at..at + digits]);
        }
        at += digits;
    }
}
