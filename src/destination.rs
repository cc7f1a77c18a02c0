//! A node's name as `ssh` takes it: `HOST`, `USER@HOST`, `ssh://[USER@]HOST[:PORT]`. An IPv6 address may be in brackets.
//!
//! The whole name is what a node is called everywhere; what is in it says how the node is reached.

use std::borrow::Cow;

/// What a node's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination<'a> {
    /// Whom to log in as.
    pub user: Option<Cow<'a, str>>,
    /// The host, without brackets.
    pub host: &'a str,
    /// The port.
    pub port: Option<u16>,
}

impl<'a> Destination<'a> {
    /// What stands in front of the other form.
    const SCHEME: &'static str = "ssh://";

    /// Reads a node's name.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(node: &'a str) -> Result<Self, String> {
        let read = match node.strip_prefix(Self::SCHEME) {
            Some(rest) => Self::of_uri(rest),
            None => Self::of_plain(node),
        };
        read.filter(|read| is_host(read.host)).ok_or_else(|| {
            format!("`{node}` names no host: expected [USER@]HOST or ssh://[USER@]HOST[:PORT]")
        })
    }

    fn of_plain(text: &'a str) -> Option<Self> {
        let (user, host) = match text.rsplit_once('@') {
            Some(("", _)) => return None,
            Some((user, host)) => (Some(user.into()), host),
            None => (None, text),
        };
        let inside = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        Some(Self {
            user,
            host: inside.filter(|inside| inside.contains(':')).unwrap_or(host),
            port: None,
        })
    }

    /// As in `misc.c` of OpenSSH: what is behind `;` in the user is passed over, and no path may follow.
    fn of_uri(text: &'a str) -> Option<Self> {
        let (user, rest) = match text.split_once('@') {
            Some((user, rest)) => {
                let user = user.split(';').next().filter(|user| !user.is_empty())?;
                (Some(decoded(user)?), rest)
            }
            None => (None, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, behind) = match rest.strip_prefix('[') {
            Some(inside) => inside.split_once(']')?,
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        let port = match behind.strip_prefix(':') {
            Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
            None if behind.is_empty() => None,
            None => return None,
        };
        Some(Self { user, host, port })
    }
}

/// The host in a node's name; the name itself if it is none.
#[must_use]
pub fn host(node: &str) -> &str {
    Destination::parse(node).map_or(node, |destination| destination.host)
}

/// The node's name as that of a file: without `ssh://`, whose slashes would lead into folders.
#[must_use]
pub fn file_name(node: &str) -> &str {
    let rest = node.strip_prefix(Destination::SCHEME);
    rest.map_or(node, |rest| rest.strip_suffix('/').unwrap_or(rest))
}

fn is_host(host: &str) -> bool {
    let odd =
        |letter: char| letter.is_whitespace() || letter.is_control() || matches!(letter, '/' | '@');
    !host.is_empty() && !host.starts_with('-') && !host.contains(odd)
}

/// A user with `%40` and the like replaced.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    let Some((before, rest)) = text.split_once('%') else {
        return Some(text.into());
    };
    let mut bytes = before.as_bytes().to_vec();
    for part in rest.split('%') {
        let (digits, behind) = part.split_at_checked(2)?;
        bytes.push(
            u8::from_str_radix(digits, 16)
                .ok()
                .filter(|byte| *byte != 0)?,
        );
        bytes.extend_from_slice(behind.as_bytes());
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(node: &str) -> Option<String> {
        let Destination { user, host, port } = Destination::parse(node).ok()?;
        let user = user.map(|user| format!("{user} at ")).unwrap_or_default();
        let port = port.map(|port| format!(" port {port}")).unwrap_or_default();
        Some(format!("{user}{host}{port}"))
    }

    #[test]
    fn names_are_read_as_ssh_reads_them() {
        for (node, expected) in [
            ("web1", "web1"),
            ("root@web1", "root at web1"),
            ("a@b@web1", "a@b at web1"),
            ("web1:22", "web1:22"),
            ("fe80::1", "fe80::1"),
            ("u@fe80::1%lo", "u at fe80::1%lo"),
            ("[::1]", "::1"),
            ("root@[::1]", "root at ::1"),
            ("[web1]", "[web1]"),
            ("ssh://web1", "web1"),
            ("ssh://web1/", "web1"),
            ("ssh://r@web1:22", "r at web1 port 22"),
            ("ssh://r@web1:22/", "r at web1 port 22"),
            ("ssh://r%40d@web1", "r@d at web1"),
            ("ssh://r;x=y@web1", "r at web1"),
            ("ssh://r@[fe80::1%lo]:2222", "r at fe80::1%lo port 2222"),
        ] {
            assert_eq!(read(node).as_deref(), Some(expected), "{node}");
        }
        for wrong in [
            "@web1",
            "web1@",
            "ssh://",
            "ssh://@web1",
            "ssh://a@b@c/d",
            "ssh://web1/x",
            "ssh://web1:0",
            "ssh://web1:x",
            "ssh://web1:70000",
            "ssh://::1",
            "ssh://[::1",
            "ssh://[::1]x",
            "ssh://%zz@web1",
            "SSH://web1",
            "-oProxyCommand=x",
            "u@-x",
            "",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(host("ssh://r@web1:22"), "web1");
        assert_eq!(host("@x"), "@x");
        assert_eq!(file_name("ssh://r@web1:22/"), "r@web1:22");
        assert_eq!(file_name("root@web1"), "root@web1");
    }
}
