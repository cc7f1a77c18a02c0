//! What we and a gateway say to each other: JSON, one message a line, in words of our own.
//!
//! A gateway is this program, started on a node over SSH. It greets ([`Hello`]), and we tell it what it is for:
//!
//! - One command on many nodes ([`Ask::Run`]). Before it begins on a node it asks ([`Tell::Ready`]) and waits for
//!   [`Ask::Begin`], so that we know at any time what cannot have been begun and may be given to another gateway. What
//!   nodes say is sent once for all that say the same: [`merge`] takes it apart there, [`replay`] puts it together here.
//! - Sessions on nodes ([`Ask::Sessions`]), for all that takes more than one command: [`session`] has the messages.
//!
//! Neither side trusts the other: lines have a greatest length, sets of nodes are counted before they are expanded, and
//! whatever does not fit is an error in words.

pub mod merge;
pub mod message;
pub mod replay;
pub mod session;
mod sets;
mod written;

pub use message::{Ask, Hello, Job, Reach, Run, SshClient, Stretch, Tell};
pub use sets::nodes;
pub use written::Data;

use crate::event::{ErrorCode, FailureClass};

/// The version of the messages. Both sides must have the same.
pub const VERSION: u32 = 2;

/// The longest line of a gateway.
pub const LONGEST_TELL: usize = 1024 * 1024;

/// The longest line to a gateway: its share of the nodes with their commands is in one.
pub const LONGEST_ASK: usize = 64 * 1024 * 1024;

/// After so long without anything else to say, a gateway says that it is alive.
pub const HEARTBEAT: std::time::Duration = std::time::Duration::from_secs(5);

/// Whether a gateway may say that of a node: that it was not reached, or what can become of a command there. All else
/// is found out by the asking side itself.
#[must_use]
pub fn is_of_run(code: ErrorCode) -> bool {
    code.class() == FailureClass::Unreached && code != ErrorCode::Deadline
        || matches!(code, ErrorCode::Input | ErrorCode::NoStatus)
}

/// Whether a gateway may say that of a stream that it could not open.
#[must_use]
pub fn is_of_open(code: ErrorCode) -> bool {
    is_of_run(code) || matches!(code, ErrorCode::Socket | ErrorCode::Permission)
}

/// Takes whole lines out of a stream that comes in pieces.
#[derive(Debug)]
pub struct Lines {
    longest: usize,
    held: Vec<u8>,
    /// Where the next line starts.
    start: usize,
    /// Up to here nothing ends a line.
    seen: usize,
}

impl Lines {
    /// For lines of at most `longest` bytes.
    #[must_use]
    pub fn new(longest: usize) -> Self {
        Self {
            longest,
            held: Vec::new(),
            start: 0,
            seen: 0,
        }
    }

    /// More of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.drain(..self.start);
        self.seen -= self.start;
        self.start = 0;
        self.held.extend_from_slice(bytes);
    }

    /// The next line without its end, if it is there.
    ///
    /// # Errors
    /// When it is longer than lines may be.
    pub fn take(&mut self) -> Result<Option<&[u8]>, String> {
        let end = memchr::memchr(b'\n', &self.held[self.seen..]).map(|end| end + self.seen);
        if end.unwrap_or(self.held.len()) - self.start > self.longest {
            return Err(format!("a line of more than {} bytes", self.longest));
        }
        let Some(end) = end else {
            self.seen = self.held.len();
            return Ok(None);
        };
        let line = self.start..end;
        self.start = end + 1;
        self.seen = self.start;
        Ok(Some(&self.held[line]))
    }
}

#[cfg(test)]
mod tests;
