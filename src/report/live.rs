//! A line of progress on the terminal, around another reporter.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::display::{Progress, Screen};
use super::look::{Look, Transfer};
use super::notes::fold;
use super::reporter::Reporter;
use crate::event::{Event, NodeId, Outcome, Stop, Summary, size};
use crate::plan::NodeName;

/// A run that is over sooner shows no progress.
const SILENT_FOR: Duration = Duration::from_millis(400);
/// How often the line is drawn at most.
const EVERY: Duration = Duration::from_millis(100);
/// With this many pending nodes or more, only their number is shown: folding them ten times a second would cost more
/// than the run.
const NAMED: usize = 200;

/// Shows how many nodes are done, how many failed, and which are still at work.
pub struct Live<'a> {
    inner: Box<dyn Reporter + 'a>,
    names: Arc<[NodeName]>,
    progress: Progress,
    rate: Option<Rate>,
    begun: Instant,
    running: Vec<NodeId>,
    done: usize,
    failed: usize,
    /// What those at work wait for, if they say so.
    waiting: Option<String>,
}

impl std::fmt::Debug for Live<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

impl<'a> Live<'a> {
    pub(super) fn new(
        inner: Box<dyn Reporter + 'a>,
        names: Arc<[NodeName]>,
        look: &Look,
        screen: Screen,
    ) -> Self {
        Self {
            inner,
            names,
            progress: Progress::new(screen, look.terminal_lock.clone()),
            rate: look.transfer.clone().map(Rate::new),
            begun: Instant::now(),
            running: Vec::new(),
            done: 0,
            failed: 0,
            waiting: None,
        }
    }

    /// Takes the line off the screen while something else is written. It comes back when it is time to draw.
    fn aside(&mut self, write: impl FnOnce(&mut dyn Reporter) -> io::Result<()>) -> io::Result<()> {
        self.progress.off();
        write(&mut *self.inner)
    }

    fn text(&mut self) -> String {
        if let Some(waiting) = &self.waiting {
            return format!("waiting: {waiting}");
        }
        let pending = match self.running.len() {
            0 => String::new(),
            few if few <= NAMED => format!(
                "  waiting for {}",
                fold(&self.names, self.running.iter().copied())
            ),
            many => format!("  waiting for {many} nodes"),
        };
        let failed = if self.failed == 0 {
            String::new()
        } else {
            format!(", {} failed", self.failed)
        };
        let copied = self.rate.as_mut().map(Rate::show).unwrap_or_default();
        let (done, all) = (self.done, self.names.len());
        format!("{done}/{all} done{failed}{copied}{pending}")
    }
}

impl Reporter for Live<'_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { node } => self.running.push(*node),
            Event::Output { .. } | Event::Answer { .. } => {}
            Event::Finished { node, outcome, .. } => {
                self.running.retain(|running| running != node);
                self.done += 1;
                self.failed += usize::from(!matches!(outcome, Outcome::Exited { status: 0 }));
            }
        }
        self.aside(|inner| inner.event(event))
    }

    fn stopping(&mut self, level: Stop, pending: &[NodeId]) -> io::Result<()> {
        self.aside(|inner| inner.stopping(level, pending))
    }

    fn asked(&mut self, running: &[NodeId], waiting: &[NodeId]) -> io::Result<()> {
        self.aside(|inner| inner.asked(running, waiting))
    }

    fn waiting(&mut self, what: Option<&str>) -> bool {
        self.waiting = what.map(str::to_owned);
        true
    }

    fn redraw_every(&self) -> Option<Duration> {
        Some(EVERY)
    }

    fn redraw(&mut self) -> io::Result<()> {
        if self.begun.elapsed() >= SILENT_FOR {
            let text = self.text();
            self.progress.draw(&text);
        }
        Ok(())
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.progress.end();
        self.inner.finish(summary)
    }
}

/// How fast a copy goes: over the last second or so, as that is what people want to know.
struct Rate {
    transfer: Transfer,
    /// When how much had gone over, the oldest first.
    seen: VecDeque<(Instant, u64)>,
}

/// Over how many drawings the rate is taken.
const SEEN: usize = 20;

impl Rate {
    fn new(transfer: Transfer) -> Self {
        let seen = VecDeque::from([(Instant::now(), transfer.meter.total())]);
        Self { transfer, seen }
    }

    fn show(&mut self) -> String {
        let (now, done) = (Instant::now(), self.transfer.meter.total());
        let (then, before) = *self.seen.front().unwrap_or(&(now, done));
        if self.seen.len() == SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back((now, done));
        let seconds = (now - then).as_secs_f64();
        let rate = if seconds > 0.0 {
            (done - before) as f64 / seconds
        } else {
            0.0
        };
        let total = match self.transfer.total {
            Some(total) => format!(" of {}", size(total)),
            None => String::new(),
        };
        format!(", {}{total} at {}/s", size(done), size(rate as u64))
    }
}
