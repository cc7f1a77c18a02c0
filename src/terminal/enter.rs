//! The Enter key while something runs: a question what is going on.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{isatty, tcgetpgrp};
use tokio::sync::mpsc;

/// How long the listener may outlive who listens.
const LINGER: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// Listens to the Enter key for as long as it lives.
#[derive(Debug)]
pub struct Enter {
    /// One message for each line that was entered.
    pub pressed: mpsc::Receiver<()>,
}

impl Enter {
    /// Starts to listen if standard input and output are the terminal in whose foreground we run; says
    /// nothing otherwise.
    #[must_use]
    pub fn listen() -> Self {
        let (sender, pressed) = mpsc::channel(1);
        let is_foreground = isatty(stdin())
            && isatty(stdout())
            && tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp());
        if is_foreground {
            // A terminal cannot be read without blocking: whoever shares it would be affected.
            std::thread::spawn(move || tell_lines(&sender));
        }
        Self { pressed }
    }
}

fn tell_lines(sender: &mpsc::Sender<()>) {
    let mut line = [0; 256];
    while !sender.is_closed() {
        let mut wait = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)];
        match poll(&mut wait, Some(&LINGER)) {
            Ok(0) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        match rustix::io::read(stdin(), &mut line) {
            Ok(0) | Err(_) => return,
            // A question that waits already is the same question.
            Ok(_) => drop(sender.try_send(())),
        }
    }
}
