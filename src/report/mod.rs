//! What is shown of a run: one file per format. Reporters write to any writer and compute no results.

pub mod spill;
pub mod text;

use std::io;
use std::time::Duration;

use crate::event::{Event, Summary};

/// Shows a run as it happens.
pub trait Reporter {
    /// One event.
    ///
    /// # Errors
    /// Whatever the writer says; the engine stops the run on a broken pipe.
    fn event(&mut self, event: &Event) -> io::Result<()>;

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
