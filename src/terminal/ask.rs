//! Questions on the terminal: the user types a line, or a secret without echo.
//!
//! The terminal is `/dev/tty`, whatever standard input and output are, as with `ssh`.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::io::unix::AsyncFd;

use crate::prompt::{Answer, Echo, Prompter, TerminalLock};

/// Longer answers are refused; no terminal sends more in one line.
const LONGEST: usize = 4096;

/// Takes off progress, at whose start the cursor is.
const WIPE: &[u8] = b"\r\x1b[J";

/// The terminal, by a file description of our own: others do not find theirs non-blocking.
pub(super) fn open_terminal() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/dev/tty", flags, Mode::empty())?)
}

/// Asks questions on the terminal.
pub struct TerminalPrompter {
    terminal_lock: TerminalLock,
    warn: Box<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for TerminalPrompter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TerminalPrompter").finish_non_exhaustive()
    }
}

impl TerminalPrompter {
    /// Takes the terminal for each question; warnings go to `warn`, one line each.
    #[must_use]
    pub fn new(terminal_lock: TerminalLock, warn: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            terminal_lock,
            warn: Box::new(warn),
        }
    }
}

impl Prompter for TerminalPrompter {
    fn ask<'a>(&'a self, prompt: &'a str, echo: Echo) -> Answer<'a> {
        Box::pin(async move {
            let terminal = open_terminal().ok()?;
            let _guard = self.terminal_lock.take();
            if self.terminal_lock.wipe() {
                let _ = rustix::io::write(&terminal, WIPE);
            }
            ask_on(terminal, prompt, echo).await.ok()?
        })
    }

    fn warn(&self, message: &str) {
        (self.warn)(message);
    }
}

/// A terminal that gets its modes back when this goes, however the question ends.
struct Quiet {
    terminal: AsyncFd<OwnedFd>,
    /// The modes it had, and what is written when it has them again.
    before: Option<(Termios, &'static [u8])>,
}

impl Quiet {
    #[expect(
        deprecated,
        reason = "its replacement is unsafe, asking for what an OwnedFd keeps anyway"
    )]
    fn new(terminal: OwnedFd, echo: Echo) -> io::Result<Self> {
        let terminal = AsyncFd::new(terminal)?;
        let modes = tcgetattr(terminal.get_ref())?;
        let mut wanted = modes.clone();
        let mut before = None;
        match echo {
            Echo::Hidden => {
                wanted
                    .local_modes
                    .remove(LocalModes::ECHO | LocalModes::ECHONL);
                // What was typed before the question is no answer to it.
                tcsetattr(terminal.get_ref(), OptionalActions::Flush, &wanted)?;
                before = Some((modes, b"\n".as_slice()));
            }
            // It is off while progress is shown.
            Echo::Shown if !modes.local_modes.contains(LocalModes::ECHO) => {
                wanted.local_modes.insert(LocalModes::ECHO);
                tcsetattr(terminal.get_ref(), OptionalActions::Now, &wanted)?;
                before = Some((modes, b"".as_slice()));
            }
            Echo::Shown => {}
        }
        Ok(Self { terminal, before })
    }

    async fn write(&self, text: &str) -> io::Result<()> {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let written = self
                .terminal
                .async_io(tokio::io::Interest::WRITABLE, |fd| {
                    rustix::io::write(fd, rest).map_err(Into::into)
                })
                .await?;
            rest = &rest[written..];
        }
        Ok(())
    }

    /// One line without its end; `None` at the end of input.
    async fn line(&self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        loop {
            let mut room = [0; 256];
            let read = self
                .terminal
                .async_io(tokio::io::Interest::READABLE, |fd| {
                    rustix::io::read(fd, &mut room).map_err(Into::into)
                })
                .await?;
            line.extend_from_slice(&room[..read]);
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                line.truncate(end);
                return Ok(String::from_utf8(line).ok());
            }
            if read == 0 || line.len() > LONGEST {
                return Ok(None);
            }
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some((before, end)) = &self.before {
            let fd = self.terminal.as_fd();
            let _ = tcsetattr(fd, OptionalActions::Drain, before);
            // The end of a hidden line that was typed, or left, was not shown either.
            let _ = rustix::io::write(fd, end);
        }
    }
}

async fn ask_on(terminal: OwnedFd, prompt: &str, echo: Echo) -> io::Result<Option<String>> {
    let quiet = Quiet::new(terminal, echo)?;
    quiet.write(prompt).await?;
    quiet.line().await
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A terminal and the one who sits at it.
    fn terminal() -> (OwnedFd, OwnedFd, tokio::fs::File) {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let open = |flags| {
            rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | flags, Mode::empty()).unwrap()
        };
        let asked = open(OFlags::NONBLOCK);
        (
            asked,
            open(OFlags::empty()),
            std::fs::File::from(person).into(),
        )
    }

    fn echoes(terminal: &OwnedFd) -> bool {
        tcgetattr(terminal)
            .unwrap()
            .local_modes
            .contains(LocalModes::ECHO)
    }

    async fn seen(person: &mut tokio::fs::File, until: &str) -> String {
        let mut all = String::new();
        while !all.contains(until) {
            let mut room = [0; 64];
            let read = person.read(&mut room).await.unwrap();
            all.push_str(std::str::from_utf8(&room[..read]).unwrap());
        }
        all
    }

    #[tokio::test]
    async fn a_secret_is_not_shown() {
        let (asked, watch, mut person) = terminal();
        let asking = ask_on(asked, "Password: ", Echo::Hidden);
        let typing = async {
            let shown = seen(&mut person, "Password: ").await;
            assert!(!echoes(&watch));
            person.write_all(b"sesame\n").await.unwrap();
            person.flush().await.unwrap();
            shown + &seen(&mut person, "\n").await
        };
        let (answer, shown) = tokio::join!(asking, typing);
        assert_eq!(answer.unwrap().as_deref(), Some("sesame"));
        assert!(!shown.contains("sesame"), "{shown}");
        assert!(echoes(&watch), "the terminal is as it was");
    }

    #[tokio::test]
    async fn a_question_taken_back_leaves_the_terminal_as_it_was() {
        let (asked, watch, _person) = terminal();
        {
            let mut asking = Box::pin(ask_on(asked, "Password: ", Echo::Hidden));
            assert!((&mut asking).now_or_never().is_none());
            assert!(!echoes(&watch));
        }
        assert!(echoes(&watch));
    }

    #[tokio::test]
    async fn the_end_of_input_is_no_answer() {
        let (asked, _watch, mut person) = terminal();
        let typing = async {
            seen(&mut person, "? ").await;
            person.write_all(b"\x04").await.unwrap();
            person.flush().await.unwrap();
        };
        let (answer, ()) = tokio::join!(ask_on(asked, "Right? ", Echo::Shown), typing);
        assert_eq!(answer.unwrap(), None);
    }
}
