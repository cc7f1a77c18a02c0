//! What follows a command of the Runtime API on lines of its own: counted before it is sent, and free of whatever a
//! version would run as a command or keep as junk.
//!
//! HAProxy reads a command with its payload into one buffer. 2.6 to 3.2 spin and then abort, the master included, on
//! one that is just over it, so what is larger than [`MOST`] is never sent. An empty line ends the payload, and what
//! follows it is run as commands by 2.6 and 2.8.

use std::fmt;

use zeroize::Zeroizing;

/// The most bytes of a command with its payload, all line ends counted; well under the buffer (`tune.bufsize`, 16,384).
pub const MOST: usize = 16_000;

/// What stands between a command and its payload.
const ANNOUNCED: &str = " <<\n";

/// The lines behind a command. They may be a secret: they are wiped when dropped, and nothing prints them.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Zeroizing<Vec<u8>>);

/// Why lines cannot be a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// There is nothing to send.
    #[error("there is nothing in it")]
    Empty,
    /// What follows would be run as commands.
    #[error("line {0} is empty, which ends what HAProxy reads; it would run the rest as commands")]
    EmptyLine(usize),
    /// HAProxy would have an entry without a key of it.
    #[error("line {0} begins with a blank")]
    Blank(usize),
    /// Versions differ in what they make of it, joined lines among that.
    #[error("line {0} has a control character")]
    Control(usize),
    /// It kills some versions.
    #[error(
        "with its command it is {0} bytes, and more than {MOST} bytes at once can kill HAProxy, its master included"
    )]
    TooLong(usize),
}

impl Payload {
    /// The lines of a text as they are to be sent behind `command`. A line end at the end of the text is no empty line,
    /// and a carriage return before a line end is left out.
    ///
    /// # Errors
    /// What would make HAProxy do something else, or die.
    pub fn new(command: &str, text: &[u8]) -> Result<Self, PayloadError> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        if text.is_empty() {
            return Err(PayloadError::Empty);
        }
        let mut lines = Zeroizing::new(Vec::with_capacity(text.len() + 1));
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let [first, ..] = line else {
                return Err(PayloadError::EmptyLine(number));
            };
            if matches!(first, b' ' | b'\t') {
                return Err(PayloadError::Blank(number));
            }
            if line
                .iter()
                .any(|byte| byte.is_ascii_control() && *byte != b'\t')
            {
                return Err(PayloadError::Control(number));
            }
            lines.extend_from_slice(line);
            lines.push(b'\n');
        }
        match length(command, lines.len()) {
            all if all > MOST => Err(PayloadError::TooLong(all)),
            _ => Ok(Self(lines)),
        }
    }

    /// The command and its payload as they go over the socket.
    #[must_use]
    pub fn behind(&self, command: &str) -> Zeroizing<Vec<u8>> {
        let mut sent = Zeroizing::new(Vec::with_capacity(length(command, self.0.len())));
        sent.extend_from_slice(command.as_bytes());
        sent.extend_from_slice(ANNOUNCED.as_bytes());
        sent.extend_from_slice(&self.0);
        sent.push(b'\n');
        sent
    }

    /// How many lines it has.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.0.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// Only its size: it may be a secret.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

/// How long a command is with so many bytes of payload and the empty line that ends it.
#[must_use]
pub fn length(command: &str, payload: usize) -> usize {
    command.len() + ANNOUNCED.len() + payload + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_payload_ends_with_an_empty_line() {
        let payload = Payload::new("add map m", b"a 1\r\nb 2").unwrap();
        let sent = payload.behind("add map m");
        assert_eq!(sent.as_slice(), b"add map m <<\na 1\nb 2\n\n");
        assert_eq!(sent.len(), length("add map m", b"a 1\nb 2\n".len()));
        assert_eq!(payload.lines(), 2);
        assert_eq!(format!("{payload:?}"), "Payload(8 bytes)");
    }

    #[test]
    fn what_a_version_would_run_or_keep_is_refused() {
        for (text, error) in [
            (&b""[..], PayloadError::Empty),
            (b"\n", PayloadError::Empty),
            (b"a 1\n\nb 2\n", PayloadError::EmptyLine(2)),
            (b"a 1\n\r\nb 2\n", PayloadError::EmptyLine(2)),
            (b"a 1\n\n", PayloadError::EmptyLine(2)),
            (b" a 1\n", PayloadError::Blank(1)),
            (b"a 1\rb 2\n", PayloadError::Control(1)),
            (b"a 1\nb\0 2\n", PayloadError::Control(2)),
        ] {
            assert_eq!(Payload::new("add map m", text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn sixteen_thousand_bytes_are_the_most() {
        let command = "add map m";
        let room = MOST - length(command, 1);
        assert!(Payload::new(command, &vec![b'x'; room]).is_ok());
        assert_eq!(
            Payload::new(command, &vec![b'x'; room + 1]),
            Err(PayloadError::TooLong(MOST + 1))
        );
    }

    proptest! {
        /// Whatever is given, nothing can follow the payload.
        #[test]
        fn nothing_follows_a_payload(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let Ok(payload) = Payload::new("add map m", &text) else { return Ok(()) };
            let sent = payload.behind("add map m");
            let ends: Vec<_> = sent.windows(2).enumerate().filter(|(_, two)| *two == b"\n\n").collect();
            prop_assert_eq!(ends.len(), 1);
            prop_assert_eq!(ends[0].0, sent.len() - 2);
        }
    }
}
