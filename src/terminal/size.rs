//! How wide the terminal is.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

/// The columns and rows of a terminal; `None` if it is none, or does not know.
#[must_use]
pub fn of(terminal: &File) -> Option<(u16, u16)> {
    let size = tcgetwinsize(terminal).ok()?;
    Some((size.ws_col, size.ws_row)).filter(|(columns, rows)| *columns > 0 && *rows > 0)
}

/// The columns of the first of standard input, output and error that is a terminal, else of the
/// controlling terminal.
#[must_use]
pub fn columns() -> Option<usize> {
    let of = |stream: &dyn AsFd| tcgetwinsize(stream.as_fd()).ok().map(|size| size.ws_col);
    of(&rustix::stdio::stdin())
        .or_else(|| of(&rustix::stdio::stdout()))
        .or_else(|| of(&rustix::stdio::stderr()))
        .or_else(|| File::open("/dev/tty").ok().and_then(|tty| of(&tty)))
        .filter(|columns| *columns > 0)
        .map(usize::from)
}
