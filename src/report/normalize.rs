//! Lines made comparable: a node's own names, addresses and times become `<host>`, `<addr>` and `<time>`.
//!
//! Of times, what ISO 8601, syslog, `ctime`, `date` and RFC 2822 write, and `HH:MM:SS` alone. Nothing is guessed from
//! the words around, so that the same text becomes the same whoever says it.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::destination;

/// What stands for a name, an address, a time.
const WORDS: [&[u8]; 3] = [HOST, ADDR, TIME];
const HOST: &[u8] = b"<host>";
const ADDR: &[u8] = b"<addr>";
const TIME: &[u8] = b"<time>";

/// The names by which a node may speak of itself, the longest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnNames(Vec<String>);

impl OwnNames {
    /// Those of a node as it was named to us: the name without user, and what is before its first dot.
    pub(super) fn of(node: &str) -> Self {
        let name = destination::host(node);
        let short = name.split('.').next().unwrap_or(name);
        let mut names = vec![name.to_owned()];
        if short != name {
            names.push(short.to_owned());
        }
        // An address is seen as one, and a mere number is too much else.
        names.retain(|name| {
            name.bytes().any(|byte| byte.is_ascii_alphabetic()) && !name.contains(':')
        });
        Self(names)
    }

    /// How long the name is that a text begins with.
    fn at(&self, text: &[u8]) -> Option<usize> {
        let fits = |name: &&String| {
            let head = text.get(..name.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
                && !text.get(name.len()).is_some_and(|next| is_name(*next))
        };
        self.0.iter().find(fits).map(String::len)
    }
}

/// What a name goes on with.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || !byte.is_ascii()
}

/// Writes a line with the words in place of what differs from node to node.
pub(super) fn normalize(line: &[u8], names: &OwnNames, out: &mut Vec<u8>) {
    let mut at = 0;
    while at < line.len() {
        let rest = &line[at..];
        // A word of ours stays what it is, whatever the node is called.
        if let Some(word) = WORDS.iter().find(|word| rest.starts_with(word)) {
            out.extend_from_slice(word);
            at += word.len();
            continue;
        }
        let before = at.checked_sub(1).map(|before| line[before]);
        let (length, word) = match before {
            Some(before) if is_name(before) => (0, HOST),
            _ => found(rest, before, names).unwrap_or((0, HOST)),
        };
        if length > 0 {
            out.extend_from_slice(word);
            at += length;
        } else {
            out.push(line[at]);
            at += 1;
        }
    }
}

/// What a text begins with that is to be replaced: how long it is, and by what.
fn found(text: &[u8], before: Option<u8>, names: &OwnNames) -> Option<(usize, &'static [u8])> {
    let first = *text.first()?;
    if is_name(first)
        && let Some(length) = names.at(text)
    {
        return Some((length, HOST));
    }
    // `1.2` of `0.1.2`, or the end of an address in brackets, is no beginning.
    let is_inside = matches!(before, Some(b'.' | b':'));
    if let Some(length) = time(text).filter(|_| !is_inside) {
        return Some((length, TIME));
    }
    address(text)
        .filter(|_| !is_inside)
        .map(|length| (length, ADDR))
}

/// The length of an address.
fn address(text: &[u8]) -> Option<usize> {
    let run = |fits: fn(u8) -> bool| {
        let end = text
            .iter()
            .position(|byte| !fits(*byte))
            .unwrap_or(text.len());
        std::str::from_utf8(&text[..end.min(64)]).unwrap_or_default()
    };
    let ends = |length: usize| !text.get(length).is_some_and(|next| is_name(*next));
    let four = run(|byte| byte.is_ascii_digit() || byte == b'.').trim_end_matches('.');
    if four.parse::<Ipv4Addr>().is_ok() && ends(four.len()) {
        return Some(four.len());
    }
    let six = run(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    let six = six.trim_end_matches('.');
    let shorter = six.strip_suffix(':').unwrap_or(six);
    for six in [six, shorter] {
        let has_digits = six.bytes().any(|byte| byte != b':');
        if has_digits && six.parse::<Ipv6Addr>().is_ok() && ends(six.len()) {
            return Some(six.len() + zone(&text[six.len()..]));
        }
    }
    None
}

/// The length of `%eth0` behind an address.
fn zone(text: &[u8]) -> usize {
    match text.split_first() {
        Some((b'%', name)) => {
            let length = name.iter().take_while(|byte| is_name(**byte)).count();
            if length > 0 { 1 + length } else { 0 }
        }
        _ => 0,
    }
}

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];

/// The length of a time.
fn time(text: &[u8]) -> Option<usize> {
    let forms: [fn(&mut Reader<'_>) -> Option<()>; 4] = [iso, named_day, syslog, clock];
    forms.into_iter().find_map(|form| {
        let mut reader = Reader { text, at: 0 };
        form(&mut reader)?;
        let next = text.get(reader.at);
        (!next.is_some_and(|next| is_name(*next))).then_some(reader.at)
    })
}

/// `2026-11-25`, also with slashes; `T` or a blank and a clock behind it; a zone behind that.
fn iso(reader: &mut Reader<'_>) -> Option<()> {
    reader.digits(4, 4)?;
    let dash = reader.one_of(b"-/")?;
    reader.digits(2, 2)?;
    reader.one_of(&[dash])?;
    reader.digits(2, 2)?;
    reader.maybe(|reader| {
        reader.one_of(b"T ")?;
        reader.digits(2, 2)?;
        reader.one_of(b":")?;
        reader.digits(2, 2)?;
        reader.maybe(seconds);
        reader.maybe(|reader| {
            reader.maybe(blank);
            offset(reader)
        });
        Some(())
    });
    Some(())
}

/// `Wed Nov 25 22:15:03 2026`, also with a zone or half of the day; `Wed 25 Nov 2026 …`; `Wed, 25 Nov 2026 … +0000`.
fn named_day(reader: &mut Reader<'_>) -> Option<()> {
    reader.word(&DAYS)?;
    reader.maybe(|reader| reader.one_of(b",").map(drop));
    blank(reader)?;
    if reader.maybe(|reader| reader.word(&MONTHS)) {
        blank(reader)?;
        reader.digits(1, 2)?;
    } else {
        reader.digits(1, 2)?;
        blank(reader)?;
        reader.word(&MONTHS)?;
        blank(reader)?;
        reader.digits(4, 4)?;
    }
    blank(reader)?;
    clock(reader)?;
    reader.maybe(|reader| {
        blank(reader)?;
        reader.word(&[b"AM", b"PM"])
    });
    reader.maybe(|reader| {
        blank(reader)?;
        zone_name(reader)
    });
    reader.maybe(|reader| {
        blank(reader)?;
        reader.digits(4, 4)
    });
    Some(())
}

/// `Nov 25 22:15:03`, `Nov  5 22:15:03`.
fn syslog(reader: &mut Reader<'_>) -> Option<()> {
    reader.word(&MONTHS)?;
    blank(reader)?;
    reader.digits(1, 2)?;
    blank(reader)?;
    clock(reader)
}

/// `22:15:03`, also with parts of a second.
fn clock(reader: &mut Reader<'_>) -> Option<()> {
    reader.digits(2, 2)?;
    reader.one_of(b":")?;
    reader.digits(2, 2)?;
    seconds(reader)?;
    // `22:15:03:99` is none.
    (reader.peek() != Some(b':')).then_some(())
}

/// `:03`, `:03.25`, `:03,250`.
fn seconds(reader: &mut Reader<'_>) -> Option<()> {
    reader.one_of(b":")?;
    reader.digits(2, 2)?;
    reader.maybe(|reader| {
        reader.one_of(b".,")?;
        reader.digits(1, 9)
    });
    Some(())
}

/// `Z`, `+01:00`, `-0500`.
fn offset(reader: &mut Reader<'_>) -> Option<()> {
    if reader.one_of(b"Zz").is_some() {
        return Some(());
    }
    reader.one_of(b"+-")?;
    reader.digits(2, 2)?;
    reader.maybe(|reader| reader.one_of(b":").map(drop));
    reader.digits(2, 2)
}

/// `UTC`, `CEST`, `+0000`.
fn zone_name(reader: &mut Reader<'_>) -> Option<()> {
    if reader.maybe(offset) {
        return Some(());
    }
    let rest = &reader.text[reader.at..];
    let length = rest
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    reader.at += length;
    (3..=5).contains(&length).then_some(())
}

/// One blank, or the two in front of a day of one digit.
fn blank(reader: &mut Reader<'_>) -> Option<()> {
    reader.one_of(b" ")?;
    reader.maybe(|reader| reader.one_of(b" ").map(drop));
    Some(())
}

/// A place in a text.
#[derive(Clone, Copy)]
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let byte = self.peek().filter(|byte| bytes.contains(byte))?;
        self.at += 1;
        Some(byte)
    }

    /// Takes at most `most` digits.
    fn digits(&mut self, least: usize, most: usize) -> Option<()> {
        let rest = self.text[self.at..].iter().take(most);
        let count = rest.take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count >= least).then_some(())
    }

    fn word(&mut self, words: &[&[u8]]) -> Option<()> {
        let rest = &self.text[self.at..];
        let word = words.iter().find(|word| rest.starts_with(word))?;
        self.at += word.len();
        Some(())
    }

    /// Reads what may be there; stays where it is if it is not.
    fn maybe(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> bool {
        let before = self.at;
        let is_there = read(self).is_some();
        if !is_there {
            self.at = before;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(node: &str, line: &str) -> String {
        let mut out = Vec::new();
        normalize(line.as_bytes(), &OwnNames::of(node), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn own_names_and_only_whole_ones() {
        let node = "root@lb1.example.org";
        assert_eq!(
            shown(node, "lb1.example.org LB1 lb1: lb1.other lb10 xlb1 lb1-x"),
            "<host> <host> <host>: <host>.other lb10 xlb1 lb1-x"
        );
        assert_eq!(shown("lb1", "lb1 and lb2"), "<host> and lb2");
        assert_eq!(shown("10.0.0.1", "10 of 10.0.0.1"), "10 of <addr>");
        assert_eq!(shown("7", "7 of 7"), "7 of 7");
        assert_eq!(shown("host", "host <host>"), "<host> <host>");
    }

    #[test]
    fn addresses_of_both_kinds() {
        for (line, expected) in [
            ("at 10.0.0.1.", "at <addr>."),
            ("10.0.0.1:80 and 10.0.0.0/8", "<addr>:80 and <addr>/8"),
            ("[fe80::1%eth0]:22", "[<addr>]:22"),
            ("inet6 2001:db8::5/64 ::1", "inet6 <addr>/64 <addr>"),
            ("::ffff:10.0.0.1", "<addr>"),
            ("2001:db8::5: said", "<addr>: said"),
            (
                "version 1.2.3.4.5 1.2.3 999.1.1.1",
                "version 1.2.3.4.5 1.2.3 999.1.1.1",
            ),
            (
                "std::fs ab:cd:ef:01:02:03 a::",
                "std::fs ab:cd:ef:01:02:03 <addr>",
            ),
            (":: 1.2.3.4x", ":: 1.2.3.4x"),
        ] {
            assert_eq!(shown("n1", line), expected);
        }
    }

    #[test]
    fn times_of_all_forms() {
        for time in [
            "2026-11-25",
            "2026-11-25T22:15:03Z",
            "2026-11-25T22:15",
            "2026-11-25 22:15:03.123456789 +0100",
            "2026-11-25T22:15:03,123+01:00",
            "2026/11/25 22:15:03",
            "Nov 25 22:15:03",
            "Nov  5 22:15:03",
            "Wed Nov 25 22:15:03 2026",
            "Wed Nov 25 22:15:03 UTC 2026",
            "Wed Nov 25 10:15:03 PM UTC 2026",
            "Wed 25 Nov 2026 10:15:03 PM CEST",
            "Wed, 25 Nov 2026 22:15:03 +0000",
            "22:15:03",
            "22:15:03.5",
        ] {
            assert_eq!(shown("n1", &format!("[{time}] x")), "[<time>] x", "{time}");
            assert_eq!(shown("n1", time), "<time>", "{time}");
        }
        for other in [
            "12026-11-25",
            "2026-11-25x",
            "22:15",
            "1:02:03",
            "22:15:03:04",
            "November 5",
            "2026-1-2",
            "Monday",
        ] {
            assert_eq!(shown("n1", other), other);
        }
        assert_eq!(
            shown("lb1", "Nov 25 22:15:03 lb1 sshd[1]: from 10.1.2.3 port 5"),
            "<time> <host> sshd[1]: from <addr> port 5"
        );
    }

    proptest! {
        #[test]
        fn once_is_enough(
            node in "[a-z]{1,4}[0-9]?(\\.[a-z]{1,3})?|host|time|addr",
            parts in prop::collection::vec(
                prop_oneof![
                    Just("10.0.0.1".to_owned()), Just("fe80::1".to_owned()), Just("22:15:03".to_owned()),
                    Just("2026-11-25".to_owned()), Just("Nov 25 ".to_owned()), Just("<host>".to_owned()),
                    Just("<time>".to_owned()), Just("host".to_owned()), "[a-z0-9:. <>%+-]{0,6}",
                ],
                0..8,
            ),
        ) {
            let once = shown(&node, &parts.concat());
            prop_assert_eq!(shown(&node, &once), once.clone());
        }

        #[test]
        fn any_bytes_do(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut out = Vec::new();
            normalize(&line, &OwnNames::of("n1"), &mut out);
        }
    }
}
