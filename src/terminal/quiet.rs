//! Keys that are typed while progress is shown are not, since each would leave a mark on the screen.

use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::ask::open_terminal;
use super::enter::is_foreground;

/// The terminal does not show what is typed for as long as this lives. It is kept for whoever reads next all the same.
#[derive(Debug)]
pub struct Hushed(OwnedFd);

impl Hushed {
    /// Turns it off, unless it is off or the terminal is not ours.
    #[must_use]
    pub fn new() -> Option<Self> {
        // Who changes the modes from the background is stopped.
        if !is_foreground() {
            return None;
        }
        let terminal = open_terminal().ok()?;
        set_echo(&terminal, false).then_some(Self(terminal))
    }
}

impl Drop for Hushed {
    fn drop(&mut self) {
        if is_foreground() {
            set_echo(&self.0, true);
        }
    }
}

/// Whether that changed anything.
fn set_echo(terminal: &impl AsFd, on: bool) -> bool {
    let Ok(mut modes) = tcgetattr(terminal) else {
        return false;
    };
    if modes.local_modes.contains(LocalModes::ECHO) == on {
        return false;
    }
    modes.local_modes.set(LocalModes::ECHO, on);
    tcsetattr(terminal, OptionalActions::Now, &modes).is_ok()
}
