//! Numeric addresses in their normal form, as the system's resolver reads and writes them: `127.1` is `127.0.0.1`, and
//! `0:0::1` is `::1`. `ssh` takes a host's name through this before it looks at keys, certificates and `%h`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::settings::AddressFamily;

/// The normal form of a numeric address of the family; `None` for everything else.
pub(super) fn normal(host: &str, family: AddressFamily) -> Option<String> {
    if host.contains(':') {
        (family != AddressFamily::Inet).then(|| v6(host))?
    } else {
        (family != AddressFamily::Inet6).then(|| v4(host).map(|address| address.to_string()))?
    }
}

/// One to four numbers (inet_aton(3)): decimal, octal behind `0`, hexadecimal behind `0x`; the last fills what is left.
fn v4(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 0xff) {
        return None;
    }
    let rest = 8 * (4 - first.len());
    if u64::from(*last) >= 1 << rest {
        return None;
    }
    let first = first
        .iter()
        .zip([24, 16, 8])
        .map(|(part, shift)| part << shift);
    Some((first.sum::<u32>() | last).into())
}

fn number(text: &str) -> Option<u32> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match hexadecimal {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    // A sign is none of theirs.
    let is_plain = digits.starts_with(|first: char| first.is_ascii_hexdigit());
    is_plain
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
}

/// An address, with its zone as the system calls it: only where a zone means something it may be a name.
fn v6(text: &str) -> Option<String> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let shown = show(address);
    let Some(zone) = zone else {
        return Some(shown);
    };
    let is_local = address.is_unicast_link_local() || address.segments()[0] & 0xff0f == 0xff02;
    let index = match zone.parse::<u32>() {
        Ok(index) if zone.starts_with(|first: char| first.is_ascii_digit()) => index,
        _ if is_local => interface_index(zone)?,
        _ => return None,
    };
    let name = is_local.then(|| interface_name(index)).flatten();
    Some(format!(
        "{shown}%{}",
        name.unwrap_or_else(|| index.to_string())
    ))
}

/// As inet_ntop(3), which unlike Rust shows an address that was made of an IPv4 one with dots.
fn show(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
            let inner = Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
            format!("::{inner}")
        }
        _ => address.to_string(),
    }
}

fn interface_index(name: &str) -> Option<u32> {
    rustix::net::netdevice::name_to_index(socket()?, name).ok()
}

fn interface_name(index: u32) -> Option<String> {
    rustix::net::netdevice::index_to_name(socket()?, index).ok()
}

/// Names of interfaces are asked for through any socket.
fn socket() -> Option<std::net::UdpSocket> {
    std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        for (text, expected) in [
            ("127.5416", Some("127.0.21.40")),
            ("127.1", Some("127.0.0.1")),
            ("0x7f.1", Some("127.0.0.1")),
            ("0177.1", Some("127.0.0.1")),
            ("2130706433", Some("127.0.0.1")),
            ("1.2.3", Some("1.2.0.3")),
            ("0", Some("0.0.0.0")),
            ("0127.0.0.1", Some("87.0.0.1")),
            ("1.2.3.4", Some("1.2.3.4")),
            ("1.2.3.4.5", None),
            ("256.1", None),
            ("1.2.65536", None),
            ("4294967296", None),
            ("08.1", None),
            ("0x", None),
            ("1.", None),
            ("+1", None),
            ("1e1", None),
            ("lb1", None),
            ("", None),
            ("0:0:0:0:0:0:0:1", Some("::1")),
            ("2001:DB8::0:1", Some("2001:db8::1")),
            ("::ffff:102:304", Some("::ffff:1.2.3.4")),
            ("::1.2.3.4", Some("::1.2.3.4")),
            ("1:0:0:2:0:0:0:3", Some("1:0:0:2::3")),
            ("fe80::1%lo", Some("fe80::1%lo")),
            ("FE80:0::1%1", Some("fe80::1%lo")),
            ("fe80::1%99999", Some("fe80::1%99999")),
            ("fe80::1%nosuch", None),
            ("::1%1", Some("::1%1")),
            ("::1%lo", None),
            ("fe80::1%", None),
            ("::127.1", None),
        ] {
            let found = normal(text, AddressFamily::Any);
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        assert_eq!(normal("127.1", AddressFamily::Inet6), None);
        assert_eq!(normal("0:0::1", AddressFamily::Inet), None);
    }
}
