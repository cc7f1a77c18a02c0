//! Progress in the last lines of the terminal: the one place that draws it and takes it off again.
//!
//! The cursor stands at the start of what is drawn, so that taking it off is the same whatever became of it meanwhile:
//! a window that shrank may have broken its lines. No line reaches the last column, where terminals differ.

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::prompt::TerminalLock;

/// The columns and rows of a terminal.
pub type Size = (u16, u16);

/// The terminal that progress is drawn on, which the caller knows.
#[derive(Clone)]
pub struct Screen {
    /// Where to write; standard error.
    pub out: Arc<File>,
    /// How large it is right now; `None` if it is no terminal.
    pub size: fn(&File) -> Option<Size>,
    /// Whether it knows codes that wipe and move, as all but the dumbest do.
    pub has_codes: bool,
    /// Keeps what is typed from being shown for as long as what it gives lives.
    pub hush: fn() -> Option<Box<dyn Any>>,
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen").finish_non_exhaustive()
    }
}

/// Progress on a screen that others write on, too.
pub(super) struct Progress {
    screen: Screen,
    terminal_lock: TerminalLock,
    display: Display,
}

impl Progress {
    pub(super) fn new(screen: Screen, terminal_lock: TerminalLock) -> Self {
        Self {
            screen,
            terminal_lock,
            display: Display::default(),
        }
    }

    /// Draws the text, unless somebody is being asked something there. That it cannot be drawn is no matter.
    pub(super) fn draw(&mut self, text: &str) {
        if self.terminal_lock.is_taken() {
            return;
        }
        // Who wrote something else has taken it off before.
        if !self.terminal_lock.is_drawn() {
            self.display.forget();
        }
        let drawn = self
            .display
            .draw(&mut &*self.screen.out, text, Some(&self.screen));
        self.terminal_lock.draw(drawn.is_ok());
    }

    /// Takes it off, if it is there, so that something else can be written.
    pub(super) fn off(&mut self) {
        if self.terminal_lock.wipe() {
            // As above.
            let _ = self.display.clear(&mut &*self.screen.out);
        } else {
            self.display.forget();
        }
    }

    /// Takes it off for good.
    pub(super) fn end(&mut self) {
        self.off();
        self.display = Display::default();
    }
}

/// How something is taken off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Style {
    /// By the codes of terminals.
    #[default]
    Codes,
    /// By blanks: a single line, on what may be no terminal at all.
    Blanks,
}

/// What stands on the screen.
#[derive(Default)]
pub(super) struct Display {
    /// As it was drawn; empty for nothing.
    shown: String,
    style: Style,
    size: Option<Size>,
    /// When it was drawn last.
    at: Option<Instant>,
    hushed: Option<Box<dyn Any>>,
}

/// After so long a terminal is drawn on again, though nothing has changed: a shell may have written there while we were
/// stopped.
const AGAIN: Duration = Duration::from_millis(500);

impl Display {
    /// Somebody else has taken it off.
    pub(super) fn forget(&mut self) {
        self.shown.clear();
    }

    /// Draws the text in place of what stands there, if it is another one or the window has changed. Without a screen it
    /// is a line that blanks wipe.
    pub(super) fn draw(
        &mut self,
        out: &mut impl Write,
        text: &str,
        screen: Option<&Screen>,
    ) -> io::Result<()> {
        if let Some(screen) = screen
            && self.hushed.is_none()
        {
            self.hushed = (screen.hush)();
        }
        let style = match screen {
            Some(screen) if screen.has_codes => Style::Codes,
            Some(_) | None => Style::Blanks,
        };
        let size = screen.and_then(|screen| (screen.size)(&screen.out));
        self.draw_as(out, text, style, size)
    }

    fn draw_as(
        &mut self,
        out: &mut impl Write,
        text: &str,
        style: Style,
        size: Option<Size>,
    ) -> io::Result<()> {
        let text = fit(text, style, size);
        let is_fresh = style == Style::Blanks || self.at.is_some_and(|at| at.elapsed() < AGAIN);
        if text == self.shown && size == self.size && is_fresh {
            return Ok(());
        }
        self.at = Some(Instant::now());
        // In one piece, so that it does not flicker.
        let mut bytes = Vec::new();
        self.clear(&mut bytes)?;
        bytes.extend_from_slice(text.replace('\n', "\r\n").as_bytes());
        let up = text.matches('\n').count();
        if up > 0 {
            write!(bytes, "\x1b[{up}A")?;
        }
        bytes.push(b'\r');
        (self.shown, self.style, self.size) = (text, style, size);
        out.write_all(&bytes)?;
        out.flush()
    }

    /// Takes off what is drawn.
    pub(super) fn clear(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.shown.is_empty() {
            return Ok(());
        }
        let wiped = match self.style {
            Style::Codes => "\r\x1b[J".to_owned(),
            // One more than it is wide, as in ClusterShell, where that reaches no last column.
            Style::Blanks => {
                let width = self.shown.len() + usize::from(self.size.is_none());
                format!("{:width$}\r", "")
            }
        };
        self.shown.clear();
        out.write_all(wiped.as_bytes())?;
        out.flush()
    }
}

/// What of a text has room: each line short of the last column, and one row less than there are.
fn fit(text: &str, style: Style, size: Option<Size>) -> String {
    let Some((columns, rows)) = size else {
        return text.to_owned();
    };
    let rows = match style {
        Style::Codes => usize::from(rows).saturating_sub(1).max(1),
        Style::Blanks => 1,
    };
    let lines = text.lines().take(rows);
    let lines: Vec<String> = lines
        .map(|line| cut(line, usize::from(columns).saturating_sub(1)))
        .collect();
    lines.join("\n")
}

/// As much of a line as is no wider than that.
fn cut(line: &str, width: usize) -> String {
    // A character beyond ASCII may be two columns wide.
    let wide = |c: char| if c.is_ascii() { 1 } else { 2 };
    if line.chars().map(wide).sum::<usize>() <= width {
        return line.to_owned();
    }
    /// Stands for the rest.
    const MORE: &str = "...";
    let mut left = width.saturating_sub(MORE.len());
    let fits = |c: &char| {
        let fits = wide(*c) <= left;
        left = left.saturating_sub(wide(*c));
        fits
    };
    let mut text: String = line.chars().take_while(fits).collect();
    text.push_str(&MORE[..MORE.len().min(width)]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(display: &mut Display, text: &str, style: Style, size: Option<Size>) -> String {
        let mut out = Vec::new();
        display.draw_as(&mut out, text, style, size).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_reaches_the_last_column_or_row() {
        let mut display = Display::default();
        let size = Some((10, 3));
        assert_eq!(
            drawn(&mut display, "012345678", Style::Codes, size),
            "012345678\r"
        );
        assert_eq!(
            drawn(&mut display, "0123456789", Style::Codes, size),
            "\r\x1b[J012345...\r"
        );
        assert_eq!(drawn(&mut display, "0123456789", Style::Codes, size), "");
        // The same in a smaller window is drawn again.
        assert_eq!(
            drawn(&mut display, "0123456789", Style::Codes, Some((3, 3))),
            "\r\x1b[J..\r"
        );
        assert_eq!(
            drawn(&mut display, "é23456\nb\nc", Style::Codes, Some((8, 3))),
            "\r\x1b[Jé23456\r\nb\x1b[1A\r"
        );
        let mut out = Vec::new();
        display.clear(&mut out).unwrap();
        display.clear(&mut out).unwrap();
        assert_eq!(out, b"\r\x1b[J");
    }

    #[test]
    fn without_codes_blanks_wipe_a_single_line() {
        let mut display = Display::default();
        assert_eq!(
            drawn(&mut display, "ab\ncd", Style::Blanks, Some((9, 9))),
            "ab\r"
        );
        assert_eq!(
            drawn(&mut display, "c", Style::Blanks, Some((9, 9))),
            "  \rc\r"
        );
        let mut display = Display::default();
        assert_eq!(drawn(&mut display, "ab", Style::Blanks, None), "ab\r");
        assert_eq!(drawn(&mut display, "c", Style::Blanks, None), "   \rc\r");
    }
}
