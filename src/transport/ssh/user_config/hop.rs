//! The hops of `ProxyJump`, read as `ssh` does: by itself it hands them to a shell, so quotes around them are taken off.

use std::borrow::Cow;

use super::facts::parse_port;
use super::settings::Hop;
use crate::destination::Destination;

/// The hops of a list; `None` for `none`.
pub(super) fn parse(text: &str) -> Result<Option<(Vec<Hop>, &str)>, String> {
    let text = text.trim_start_matches([' ', '\t', '=']);
    // Whatever is behind a blank is passed over.
    let end = text.find([' ', '\t', '#']).unwrap_or(text.len());
    let text = &text[..end];
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let hops = unquoted(text).split(',').map(|hop| {
        one(hop).ok_or_else(|| format!("`{hop}` is not a jump host; expected [USER@]HOST[:PORT]"))
    });
    Ok(Some((hops.collect::<Result<_, _>>()?, text)))
}

/// `[user@]host[:port]`, an IPv6 address in brackets, or the same behind `ssh://`.
fn one(text: &str) -> Option<Hop> {
    if text.starts_with("ssh://") {
        let Destination { user, host, port } = Destination::parse(text).ok()?;
        return Some(Hop {
            user: user.map(Cow::into_owned),
            host: host.to_owned(),
            port,
        });
    }
    let (user, rest) = match text.rsplit_once('@') {
        Some(("", _)) => return None,
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(inside) => {
            let (host, behind) = inside.split_once(']')?;
            let port = match behind {
                "" => "",
                _ => behind.strip_prefix(':')?,
            };
            (host, port)
        }
        None => rest.split_once(':').unwrap_or((rest, "")),
    };
    let port = match port {
        "" => None,
        port => Some(parse_port(port)?),
    };
    let host = unquoted(host);
    // What a shell or `ssh` would take for something else than a name names nobody.
    if host.is_empty() || host.starts_with('-') || host.contains(['/', '"', '\'']) {
        return None;
    }
    Some(Hop {
        user: user.map(|user| unquoted(user).to_owned()),
        host: host.to_owned(),
        port,
    })
}

/// Without the quotes around it.
fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    let inside = inside('"').or_else(|| inside('\''));
    inside
        .filter(|inside| !inside.contains(['"', '\'']))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_have_users_ports_and_addresses() {
        let hop = |text| one(text).map(|hop| format!("{:?} {} {:?}", hop.user, hop.host, hop.port));
        for (text, expected) in [
            ("b", "None b None"),
            ("u@b:3", "Some(\"u\") b Some(3)"),
            ("u@d@b", "Some(\"u@d\") b None"),
            ("[::1]:22", "None ::1 Some(22)"),
            ("[::1]:", "None ::1 None"),
            ("hop:", "None hop None"),
            ("hop:022", "None hop Some(22)"),
            ("%r@%h", "Some(\"%r\") %h None"),
            ("\"hop\"", "None hop None"),
            ("u@'hop'", "Some(\"u\") hop None"),
            ("ssh://u@b:3/", "Some(\"u\") b Some(3)"),
            ("ssh://u%40d;x=y@b", "Some(\"u@d\") b None"),
        ] {
            assert_eq!(hop(text).as_deref(), Some(expected), "{text}");
        }
        for wrong in [
            "", "@b", "u@", "b:0", "b:x", "[::1", "[::1]x", "-oX", "::1", "b/x", "SSH://b", "a:%p",
            "\"\"", "a\"b",
        ] {
            assert_eq!(hop(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lists_end_at_a_blank_and_may_be_quoted() {
        let names = |text| {
            let (hops, _) = parse(text).unwrap().unwrap();
            let names: Vec<_> = hops.into_iter().map(|hop| hop.host).collect();
            names.join("+")
        };
        assert_eq!(names("= a,b c # d"), "a+b");
        assert_eq!(names("\"a,u@b\""), "a+b");
        assert_eq!(names("none,a"), "none+a");
        assert_eq!(parse(" NONE"), Ok(None));
        for wrong in ["a,", "a, b", ",a", "", "a,,b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
