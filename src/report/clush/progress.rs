//! The line of progress, which goes to standard error whether it is a terminal or not.

use std::io::{self, Write};
use std::time::Duration;

use tokio::time::Instant;

use super::Gateways;
use crate::event::Meter;
use crate::report::display::{Display, Screen};

/// How often it is drawn at most.
pub(super) const EVERY: Duration = Duration::from_nanos(1_000_000_000 / 3);

/// A run that is over sooner shows none.
const SILENT_FOR: Duration = Duration::from_millis(1330);

/// How many nodes are done, and how fast something is sent to them.
pub(super) struct Progress {
    program: String,
    total: usize,
    sent: Option<Meter>,
    gateways: Option<Gateways>,
    /// How many nodes are done.
    pub(super) done: usize,
    begun: Instant,
    display: Display,
    /// Standard error, if it is a terminal.
    screen: Option<Screen>,
    /// Whether it was ever shown.
    seen: bool,
}

impl Progress {
    pub(super) fn new(
        program: String,
        total: usize,
        (sent, gateways): (Option<Meter>, Option<Gateways>),
        screen: Option<Screen>,
    ) -> Self {
        Self {
            program,
            total,
            sent,
            gateways,
            done: 0,
            begun: Instant::now(),
            display: Display::default(),
            screen,
            seen: false,
        }
    }

    fn text(&self) -> String {
        let (program, total) = (&self.program, self.total.to_string());
        let width = total.len();
        let mut text = format!("{program}: {:width$}/{total}", self.done);
        let open = self.gateways.as_ref().map_or(0, |open| open().len());
        if open > 0 {
            text.push_str(&format!(" gw {open}"));
        }
        let sent = self.sent.as_ref().map_or(0, Meter::total);
        if sent > 0 {
            let rate = sent as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
            text.push_str(&format!(" write: {}/s", size(rate)));
        }
        text
    }

    /// Shows the line, if it has changed and it is time.
    pub(super) fn draw(&mut self, err: &mut impl Write) -> io::Result<()> {
        // The tick that is due then may come a little early.
        if self.begun.elapsed() + Duration::from_millis(5) < SILENT_FOR {
            return Ok(());
        }
        let text = self.text();
        self.seen = true;
        self.display.draw(err, &text, self.screen.as_ref())
    }

    /// Takes the line off the screen.
    pub(super) fn clear(&mut self, err: &mut impl Write) -> io::Result<()> {
        self.display.clear(err)
    }

    /// Takes it off for good; `whole` shows it once more, with all nodes done, where that leaves nothing on a terminal.
    pub(super) fn finish(&mut self, err: &mut impl Write, whole: bool) -> io::Result<()> {
        self.clear(err)?;
        self.display = Display::default();
        if self.seen && whole && self.screen.is_none() {
            write!(err, "{}: {1}/{1}\r", self.program, self.total)?;
            err.flush()?;
        }
        Ok(())
    }
}

/// Bytes as people read them: `12 B`, `2.07 KiB`.
fn size(bytes: f64) -> String {
    let mut value = bytes;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    match unit {
        "B" => format!("{value:.0} B"),
        _ => format!("{value:.2} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_comes_late_and_changes_only() {
        let sent = Meter::default();
        let mut progress = Progress::new("clush".into(), 12, (Some(sent.clone()), None), None);
        let mut err = Vec::new();
        progress.draw(&mut err).unwrap();
        assert!(err.is_empty());
        tokio::time::advance(Duration::from_secs(2)).await;
        progress.draw(&mut err).unwrap();
        progress.draw(&mut err).unwrap();
        assert_eq!(err, b"clush:  0/12\r");
        err.clear();
        progress.done = 3;
        sent.add(4240);
        progress.draw(&mut err).unwrap();
        let expected = "             \rclush:  3/12 write: 2.07 KiB/s\r";
        assert_eq!(String::from_utf8_lossy(&err), expected);
        err.clear();
        progress.finish(&mut err, true).unwrap();
        assert!(err.ends_with(b"\rclush: 12/12\r"));
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size(12.0), "12 B");
        assert_eq!(size(1024.0 * 1024.0 * 1.5), "1.50 MiB");
    }
}
