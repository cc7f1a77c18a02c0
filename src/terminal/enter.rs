//! The Enter key while something runs: a question what is going on.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::ioctl_fionread;
use rustix::process::getpgrp;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{isatty, tcgetpgrp};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::ask::open_terminal;
use crate::prompt::TerminalLock;

/// Listens to the Enter key for as long as it lives.
#[derive(Debug)]
pub struct Enter {
    /// One message for each time it was pressed.
    pub pressed: mpsc::Receiver<()>,
    _listener: JoinSet<()>,
}

impl Enter {
    /// Starts to listen if standard input and output are the terminal in whose foreground we run; says
    /// nothing otherwise, and nothing while a question is open. Needs a runtime.
    #[must_use]
    pub fn listen(terminal_lock: &TerminalLock) -> Self {
        let (sender, pressed) = mpsc::channel(1);
        let mut listener = JoinSet::new();
        if is_ours()
            && let Ok(terminal) = open_terminal()
            && let Ok(terminal) = adopt(terminal)
        {
            let terminal_lock = terminal_lock.clone();
            listener.spawn(async move {
                // An error means that there is no terminal any more.
                let _ = listen(&terminal, &terminal_lock, &sender).await;
            });
        }
        Self {
            pressed,
            _listener: listener,
        }
    }
}

/// Whether standard input and output are a terminal, and we run in its foreground.
#[must_use]
pub fn is_ours() -> bool {
    isatty(stdin()) && isatty(stdout()) && is_foreground()
}

/// Whether we run in the foreground of the terminal that standard input is.
#[must_use]
pub fn is_foreground() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
}

#[expect(
    deprecated,
    reason = "its replacement is unsafe, asking for what an OwnedFd keeps anyway"
)]
fn adopt(terminal: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(terminal, Interest::READABLE)
}

async fn listen(
    terminal: &AsyncFd<OwnedFd>,
    terminal_lock: &TerminalLock,
    sender: &mpsc::Sender<()>,
) -> io::Result<()> {
    loop {
        let mut ready = terminal.readable().await?;
        // A line that is not empty was typed for the next reader of the terminal, and is left for it.
        let is_empty_line = ioctl_fionread(terminal.get_ref())? == 1;
        if is_empty_line && !terminal_lock.is_taken() && is_foreground() {
            let mut line = [0];
            rustix::io::read(terminal.get_ref(), &mut line)?;
            // A question that waits already is the same question.
            let _ = sender.try_send(());
        }
        ready.clear_ready();
    }
}
