//! What a gateway tells of its run: outputs and outcomes in folded sets, a few times a second and at the end.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::answers;
use super::reporter::Reporter;
use crate::event::{Event, Summary};
use crate::gateway::merge::{BUDGET, Merger};
use crate::gateway::{HEARTBEAT, Tell};
use crate::plan::NodeName;

/// How often it tells what happened: the longer, the more nodes share a message.
const TOGETHER: Duration = Duration::from_millis(250);

/// Where messages go, one a line. Clones write to the same.
pub struct Voice(Arc<Mutex<dyn Write + Send>>);

impl Clone for Voice {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Voice").finish_non_exhaustive()
    }
}

impl Voice {
    /// Messages go there.
    #[must_use]
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(out)))
    }

    /// Writes messages, whole lines only.
    ///
    /// # Errors
    /// What the writer says.
    pub fn say<T: Serialize>(&self, messages: &[T]) -> io::Result<()> {
        let mut lines = Vec::new();
        for message in messages {
            serde_json::to_writer(&mut lines, message)?;
            lines.push(b'\n');
        }
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&lines)?;
        out.flush()
    }
}

/// Tells the gateway above, or the root, what happens here.
#[derive(Debug)]
pub struct Upward {
    voice: Voice,
    names: Arc<[NodeName]>,
    merger: Merger,
    quiet: Duration,
}

impl Upward {
    /// For nodes of these names.
    #[must_use]
    pub fn new(voice: Voice, names: Arc<[NodeName]>) -> Self {
        Self {
            voice,
            names,
            merger: Merger::new(BUDGET),
            quiet: Duration::ZERO,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut tells = self.merger.flush(&self.names);
        if tells.is_empty() {
            self.quiet += TOGETHER;
            if self.quiet < HEARTBEAT {
                return Ok(());
            }
            tells.push(Tell::Alive);
        }
        self.quiet = Duration::ZERO;
        self.voice.say(&tells)
    }
}

impl Reporter for Upward {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            // It was told when it was asked for.
            Event::Started { .. } => {}
            Event::Output { node, stream, data } => self.merger.push(*node, *stream, data),
            Event::Answer { node, answer } => {
                if let Some(output) = answers::output(*node, answer) {
                    self.event(&output)?;
                }
            }
            Event::Finished { node, outcome, .. } => self.merger.finish(*node, outcome.clone()),
        }
        if self.merger.is_pressing() {
            self.flush()?;
        }
        Ok(())
    }

    fn redraw_every(&self) -> Option<Duration> {
        Some(TOGETHER)
    }

    fn redraw(&mut self) -> io::Result<()> {
        self.flush()
    }

    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        let mut tells = self.merger.flush(&self.names);
        tells.push(Tell::End);
        self.voice.say(&tells)
    }
}
