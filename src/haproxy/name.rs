//! Names as HAProxy allows them, so that nothing else can reach a socket.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Longest name we take. HAProxy itself sets no limit but that of a configuration line.
const LONGEST: usize = 512;

/// Whether HAProxy accepts the byte in the name of a proxy or a server (HAProxy configuration manual,
/// section 2.4: letters, digits, `-`, `_`, `.` and `:`).
#[must_use]
pub fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':')
}

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no character.
    #[error("a name is empty")]
    Empty,
    /// It is longer than any real name.
    #[error("a name has more than {LONGEST} characters")]
    TooLong,
    /// It has a character that HAProxy does not allow.
    #[error("HAProxy names have no {0:?}, only letters, digits, `-`, `_`, `.` and `:`")]
    Character(char),
    /// Backend and server are not parted by one slash.
    #[error("expected BACKEND/SERVER")]
    NoSlash,
}

/// Checks the name of a backend or a server.
///
/// # Errors
/// When HAProxy could not have such a name.
pub fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > LONGEST {
        return Err(NameError::TooLong);
    }
    match name
        .chars()
        .find(|c| !u8::try_from(*c).is_ok_and(is_name_byte))
    {
        Some(character) => Err(NameError::Character(character)),
        None => Ok(()),
    }
}

/// A server of a backend, cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName {
    text: Arc<str>,
    slash: usize,
}

impl ServerName {
    /// The server of that name in that backend.
    ///
    /// # Errors
    /// When one of them is no name.
    pub fn new(backend: &str, server: &str) -> Result<Self, NameError> {
        check(backend)?;
        check(server)?;
        Ok(Self {
            text: format!("{backend}/{server}").into(),
            slash: backend.len(),
        })
    }

    /// Reads `BACKEND/SERVER`.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (backend, server) = text.split_once('/').ok_or(NameError::NoSlash)?;
        Self::new(backend, server)
    }

    /// The backend.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.text[..self.slash]
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.text[self.slash + 1..]
    }

    /// Both, as `BACKEND/SERVER`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The order in which people sort names: numbers in them by their value, so that `web-9` is before `web-10`.
#[must_use]
pub fn by_number(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    loop {
        let (a, b) = match (one.first(), other.first()) {
            (Some(a), Some(b)) => (a, b),
            (left, right) => return left.is_some().cmp(&right.is_some()),
        };
        if a.is_ascii_digit() && b.is_ascii_digit() {
            let ((x, rest), (y, behind)) = (number(one), number(other));
            // Without zeros in front a longer number is a larger one.
            let order = (x.len(), x).cmp(&(y.len(), y));
            if order.is_ne() {
                return order;
            }
            (one, other) = (rest, behind);
        } else if a == b {
            (one, other) = (&one[1..], &other[1..]);
        } else {
            return a.cmp(b);
        }
    }
}

/// The number that a text begins with, without zeros in front, and what follows it.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let is_digit = |byte: &&u8| byte.is_ascii_digit();
    let (digits, rest) = text.split_at(text.iter().take_while(is_digit).count());
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    (&digits[zeros..], rest)
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_sorted_by_value() {
        let mut names = [
            "web-10", "web-9", "web", "a2b10", "a2b9", "a10", "web-09x", "b",
        ];
        names.sort_by(|one, other| by_number(one, other));
        assert_eq!(
            names,
            [
                "a2b9", "a2b10", "a10", "b", "web", "web-9", "web-09x", "web-10"
            ]
        );
    }

    #[test]
    fn a_name_has_two_halves() {
        let name = ServerName::parse("i0_puppet_masters/puppet-i0-svc1").unwrap();
        assert_eq!(name.backend(), "i0_puppet_masters");
        assert_eq!(name.server(), "puppet-i0-svc1");
        assert_eq!(name.to_string(), "i0_puppet_masters/puppet-i0-svc1");
    }

    #[test]
    fn what_haproxy_forbids_is_refused() {
        for text in [
            "a/b;c", "a/b\n", "a/b c", "a\\/b", "a/é", "a/b/c", "a/\"b\"", "a/#1",
        ] {
            assert!(
                matches!(ServerName::parse(text), Err(NameError::Character(_))),
                "{text:?}"
            );
        }
        assert_eq!(ServerName::parse("a/"), Err(NameError::Empty));
        assert_eq!(ServerName::parse("ab"), Err(NameError::NoSlash));
        assert_eq!(check(&"a".repeat(513)), Err(NameError::TooLong));
    }

    proptest! {
        #[test]
        fn only_the_alphabet_passes(text in ".{0,20}") {
            let allowed = !text.is_empty() && text.bytes().all(is_name_byte);
            prop_assert_eq!(check(&text).is_ok(), allowed);
        }
    }
}
