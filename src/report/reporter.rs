//! What shows a run, as the engine knows it.

use std::io;
use std::time::Duration;

use crate::event::{Event, NodeId, Stop, Summary};

/// Shows a run as it happens.
pub trait Reporter {
    /// One event.
    ///
    /// # Errors
    /// Whatever the writer says; the engine stops the run on a broken pipe.
    fn event(&mut self, event: &Event) -> io::Result<()>;

    /// A stop was asked for while these nodes were at work.
    ///
    /// # Errors
    /// Whatever the writer says.
    fn stopping(&mut self, _level: Stop, _pending: &[NodeId]) -> io::Result<()> {
        Ok(())
    }

    /// The user wants to know what is going on: these nodes are at work, those have not begun.
    ///
    /// # Errors
    /// Whatever the writer says.
    fn asked(&mut self, _running: &[NodeId], _waiting: &[NodeId]) -> io::Result<()> {
        Ok(())
    }

    /// What the nodes at work wait for, as people read it, or that they do not any more. Whether it is shown.
    fn waiting(&mut self, _what: Option<&str>) -> bool {
        false
    }

    /// How often [`Reporter::redraw`] wants to be called; `None` for never.
    fn redraw_every(&self) -> Option<Duration> {
        None
    }

    /// Draws what changes with time alone.
    ///
    /// # Errors
    /// Whatever the writer says.
    fn redraw(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// The run is over.
    ///
    /// # Errors
    /// Whatever the writer says.
    fn finish(&mut self, summary: &Summary) -> io::Result<()>;
}
