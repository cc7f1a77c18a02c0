//! What went wrong, as the person should read it: every way an SSH connection fails, as a stable code and a text.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the errors of the system and of russh are open-ended; what has no words of its own falls through"
)]

use std::io;
use std::time::Duration;

use russh::{AlgorithmKind, ChannelOpenFailure};

use super::guard::{Head, Link};
use crate::event::{ErrorCode, Failure, is_unsafe};

/// A ProxyCommand ended, with its last words.
#[derive(Debug, thiserror::Error)]
#[error("ProxyCommand ended{}{}", if .0.is_empty() { "" } else { ": " }, .0)]
pub(super) struct ProxyEnded(pub(super) String);

/// What ends a russh connection: its own error, or a refusal of ours with its reason.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// russh's.
    Ssh(russh::Error),
    /// Ours, such as a host key we do not accept.
    Refused(Failure),
}

impl From<russh::Error> for ConnectError {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

/// A failed attempt to connect.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) failure: Failure,
    /// The peer closed before its version line, so another attempt may do; nothing was run.
    pub(super) again: bool,
}

impl From<Failure> for Attempt {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            again: false,
        }
    }
}

/// The socket could not be connected.
pub(super) fn tcp(error: &io::Error, host: &str, port: u16) -> Failure {
    let connect = |text: &str| Failure::new(ErrorCode::Connect, text);
    let failure = match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::new(ErrorCode::Refused, "connection refused"),
        io::ErrorKind::HostUnreachable => connect("no route to host"),
        io::ErrorKind::NetworkUnreachable => connect("network is unreachable"),
        io::ErrorKind::TimedOut => connect("connection timed out"),
        _ => connect(&format!("cannot connect: {}", reason(error))),
    };
    failure.detail(place(host, port))
}

/// The name has no address.
pub(super) fn resolve(name: &str, error: Option<&io::Error>) -> Failure {
    let why = error.map_or_else(|| "no address of the wanted family".to_owned(), reason);
    // The resolver's texts start with their own prefix, which says nothing to the reader.
    let why = why.trim_start_matches("failed to lookup address information: ");
    Failure::new(ErrorCode::Resolve, format!("cannot resolve: {why}")).detail(name)
}

/// The connect limit passed while the socket was being connected.
pub(super) fn connect_timeout(host: &str, port: u16, after: Duration) -> Failure {
    let text = format!("connect timed out after {}", seconds(after));
    Failure::new(ErrorCode::TimeoutConnect, text).detail(place(host, port))
}

/// The connect limit passed after the socket was connected.
pub(super) fn handshake_timeout(link: &Link, after: Duration) -> Failure {
    let after = seconds(after);
    let text = match link.head() {
        Head::Before(head) if !head.is_empty() => format!(
            "no SSH banner within {after} (got: {})",
            printable(&head, 60)
        ),
        Head::Before(_) => format!("no answer during SSH handshake after {after} (no banner)"),
        Head::Version => format!("no answer during SSH handshake after {after}"),
    };
    Failure::new(ErrorCode::HandshakeTimeout, text)
}

/// The limit for authentication passed.
pub(super) fn authenticate_timeout(after: Duration) -> Failure {
    Failure::new(
        ErrorCode::HandshakeTimeout,
        format!("no answer during authentication after {}", seconds(after)),
    )
}

/// The handshake failed.
pub(super) fn handshake(error: ConnectError, link: &Link) -> Attempt {
    let error = match error {
        ConnectError::Refused(failure) => return failure.into(),
        ConnectError::Ssh(error) => error,
    };
    match (&error, link.head()) {
        (russh::Error::IO(error), _) if is_proxy_end(error) => {
            Failure::new(ErrorCode::Connect, error.to_string()).into()
        }
        (russh::Error::NoCommonAlgo { kind, theirs, .. }, _) => Failure::new(
            ErrorCode::Algorithm,
            format!(
                "no common {} (the server has: {})",
                kind_name(kind),
                printable(theirs.join(",").as_bytes(), 400)
            ),
        )
        .into(),
        (russh::Error::Version, Head::Before(head)) => not_ssh(&head).into(),
        (_, Head::Before(head)) => before_version(&head),
        (russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_), Head::Version) => {
            let why = link.reason().unwrap_or_else(|| error_text(&error));
            Failure::new(
                ErrorCode::Protocol,
                format!("connection closed during SSH handshake: {why}"),
            )
            .into()
        }
        (_, Head::Version) => Failure::new(
            ErrorCode::Protocol,
            format!("protocol error: {}", error_text(&error)),
        )
        .into(),
    }
}

fn is_proxy_end(error: &io::Error) -> bool {
    let inner = error.get_ref();
    inner.is_some_and(|inner| inner.is::<ProxyEnded>())
}

/// The peer went away before a version line.
fn before_version(head: &[u8]) -> Attempt {
    const SHEDDING: [&[u8]; 2] = [b"Exceeded MaxStartups", b"Not allowed at this time"];
    let first = head.trim_ascii_start();
    if SHEDDING.iter().any(|text| first.starts_with(text)) {
        return Attempt {
            failure: Failure::new(
                ErrorCode::MaxStartups,
                "sshd refuses more connections (MaxStartups)",
            ),
            again: true,
        };
    }
    // The beginning of a version line is one that was cut short; anything else is another language.
    if !b"SSH-".starts_with(&first[..first.len().min(4)]) || first.contains(&b'\n') {
        return not_ssh(head).into();
    }
    Attempt {
        failure: Failure::new(
            ErrorCode::Closed,
            "connection closed before the SSH banner (sshd's MaxStartups, a ban or a firewall)",
        ),
        again: true,
    }
}

fn not_ssh(head: &[u8]) -> Failure {
    Failure::new(
        ErrorCode::NotSsh,
        format!("not an SSH server (got: {})", printable(head, 60)),
    )
}

/// The server does not give us a session channel.
pub(super) fn session_refused(error: &russh::Error, link: &Link) -> Failure {
    match error {
        russh::Error::ChannelOpenFailure(reason) => Failure::new(
            ErrorCode::SessionRefused,
            format!("server refuses a session ({})", refusal(reason)),
        ),
        _ => lost(link),
    }
}

/// The server did not give us a channel in time.
pub(super) fn no_channel(after: Duration) -> Failure {
    let after = seconds(after);
    Failure::new(
        ErrorCode::HandshakeTimeout,
        format!("server opened no session within {after}; nothing was run"),
    )
}

/// The server gave us a channel and did not say in time whether it runs the command.
pub(super) fn unanswered(after: Duration) -> Failure {
    let after = seconds(after);
    Failure::new(
        ErrorCode::HandshakeTimeout,
        format!(
            "server did not say within {after} whether it runs the command, which may be running"
        ),
    )
}

/// The server closed the channel in order and did not say how the command ended.
pub(super) fn no_status() -> Failure {
    Failure::new(ErrorCode::NoStatus, "ended without an exit status")
}

/// Why a channel was refused, in few words.
pub(super) fn refusal(reason: &ChannelOpenFailure) -> String {
    match reason {
        ChannelOpenFailure::AdministrativelyProhibited => "prohibited by its configuration".into(),
        ChannelOpenFailure::ConnectFailed => "connect failed".into(),
        ChannelOpenFailure::UnknownChannelType => "unknown channel type".into(),
        ChannelOpenFailure::ResourceShortage => "resource shortage".into(),
        ChannelOpenFailure::Other { code, .. } => format!("code {code}"),
    }
}

/// The connection is gone while nothing ran.
pub(super) fn lost(link: &Link) -> Failure {
    Failure::new(
        ErrorCode::Lost,
        match link.reason() {
            Some(why) => format!("connection lost: {why}"),
            None => "connection lost".into(),
        },
    )
}

/// The connection is gone while a command ran.
pub(super) fn lost_running(link: &Link) -> Failure {
    let mut failure = lost(link);
    failure
        .message
        .push_str("; the command may still be running");
    failure
}

/// A russh error in the words of the person who reads it.
pub(super) fn error_text(error: &russh::Error) -> String {
    let text = match error {
        russh::Error::IO(error)
            if error.kind() == io::ErrorKind::UnexpectedEof && !is_proxy_end(error) =>
        {
            "closed by the server"
        }
        russh::Error::IO(error) => return reason(error),
        russh::Error::KeepaliveTimeout => "no answer to keepalives",
        russh::Error::InactivityTimeout => "inactivity timeout",
        russh::Error::Disconnect | russh::Error::HUP => "closed by the server",
        russh::Error::PacketSize(_) => "bad packet size",
        russh::Error::PacketAuth | russh::Error::DecryptionError => "corrupted packet",
        russh::Error::Kex | russh::Error::KexInit => "key exchange failed",
        russh::Error::WrongServerSig => "wrong signature of the server's host key",
        russh::Error::StrictKeyExchangeViolation { .. } => "strict key exchange violated",
        other => return lower(&printable(other.to_string().as_bytes(), 120)),
    };
    text.to_owned()
}

/// An operating system error without its number.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    lower(match text.find(" (os error") {
        Some(end) => &text[..end],
        None => &text,
    })
}

pub(in crate::transport) fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        // Not an abbreviation such as `EOF`.
        Some(first) if !chars.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

/// At most `room` characters of what a peer said, in quotes, on one line, without control characters.
pub(in crate::transport) fn printable(bytes: &[u8], room: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    let mut out: String = text
        .chars()
        .map(|c| match c {
            '\r' | '\n' | '\t' => ' ',
            c if is_unsafe(c) => '?',
            c => c,
        })
        .take(room)
        .collect();
    if text.chars().nth(room).is_some() {
        out.push_str("...");
    }
    out
}

fn kind_name(kind: &AlgorithmKind) -> &'static str {
    match kind {
        AlgorithmKind::Kex => "key exchange algorithm",
        AlgorithmKind::Key => "host key algorithm",
        AlgorithmKind::Cipher => "cipher",
        AlgorithmKind::Compression => "compression",
        AlgorithmKind::Mac => "MAC",
    }
}

/// `HOST:PORT`, with brackets where the host has colons itself.
pub(super) fn place(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

pub(super) fn seconds(time: Duration) -> String {
    let mut text = format!("{:.1}", time.as_secs_f64());
    if let Some(whole) = text.strip_suffix(".0") {
        text.truncate(whole.len());
    }
    text + "s"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_the_version_line_decides() {
        let shed = before_version(b"Exceeded MaxStartups\r\n");
        assert_eq!(shed.failure.code, ErrorCode::MaxStartups);
        assert!(shed.again);
        let shed = before_version(b"Not allowed at this time\r\n");
        assert_eq!(shed.failure.code, ErrorCode::MaxStartups);
        let closed = before_version(b"");
        assert_eq!(closed.failure.code, ErrorCode::Closed);
        assert!(closed.again);
        let old = before_version(b"SSH-1.5-old\r\n");
        assert_eq!(old.failure.code, ErrorCode::NotSsh);
        let half = before_version(b"SSH-2.0-Ope");
        assert_eq!(half.failure.code, ErrorCode::Closed);
        let http = before_version(b"HTTP/1.1 400 Bad\x1b[31m Request\r\n");
        assert_eq!(http.failure.code, ErrorCode::NotSsh);
        assert_eq!(
            http.failure.message,
            "not an SSH server (got: HTTP/1.1 400 Bad?[31m Request)"
        );
        assert!(!http.again);
    }

    #[test]
    fn places_and_times_read_well() {
        assert_eq!(place("::1", 22), "[::1]:22");
        assert_eq!(place("lb1", 22), "lb1:22");
        assert_eq!(seconds(Duration::from_secs(10)), "10s");
        assert_eq!(seconds(Duration::from_millis(1500)), "1.5s");
    }

    #[test]
    fn system_errors_lose_their_number() {
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(reason(&refused), "connection refused");
        assert_eq!(
            tcp(&refused, "::1", 22),
            Failure::new(ErrorCode::Refused, "connection refused").detail("[::1]:22")
        );
    }
}
