//! What is shown of a run: one file per format. Reporters write to any writer and compute no results.

pub(crate) mod answers;
pub mod classic;
pub mod clush;
pub mod files;
pub mod gateway;
pub mod gathered;
pub mod json;
pub mod lines;
pub mod live;
pub mod look;
mod normalize;
mod notes;
mod out;
pub mod services;
pub mod spill;
pub mod text;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::event::{Event, NodeId, Stop, Summary};
use crate::gather::{DEFAULT_BUDGET, Gather};
use crate::plan::NodeName;

use gathered::Labels;
pub use look::{Form, Look, Transfer};
use notes::Notes;
use out::Out;
pub use services::{ActionEnd, ActionLog, ServiceReporter, Stopped};
use spill::TempFile;

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

/// The reporter for a look. `scratch` is the folder for output that outgrows memory.
pub fn new<'a>(
    look: &Look,
    names: Arc<[NodeName]>,
    out: impl Write + 'a,
    err: impl Write + 'a,
    scratch: &std::path::Path,
) -> Box<dyn Reporter + 'a> {
    let gather = || {
        Gather::new(
            DEFAULT_BUDGET / 2,
            Box::new(TempFile::new(scratch.to_owned())),
        )
    };
    let shown = Arc::clone(&names);
    let out = Out {
        writer: out,
        color: look.color_out,
        escape: look.escape_out,
    };
    let notes = Notes {
        program: look.program.clone(),
        names: Arc::clone(&names),
        statuses: look.notes,
        details: look.details,
        err: Out {
            writer: err,
            color: look.color_err,
            escape: look.escape_err,
        },
    };
    let json = |kind, out| json::Json {
        out,
        names,
        kind,
        now: SystemTime::now,
        said: gather(),
        complained: gather(),
        rows: gather(),
        tables: Default::default(),
        took: Default::default(),
        partial: Default::default(),
    };
    let reporter: Box<dyn Reporter + 'a> = match look.form {
        Form::Json => Box::new(json(json::Kind::Document, out.writer)),
        Form::Jsonl => Box::new(json(json::Kind::Events, out.writer)),
        Form::Lines => Box::new(lines::Lines {
            out,
            notes,
            labels: look.labels,
            merge_err: look.merge_err,
            partial: Default::default(),
        }),
        Form::Gathered | Form::Blocks => Box::new(gathered::Gathered {
            out,
            notes,
            labels: match (look.labels, look.form) {
                (false, _) => Labels::None,
                (true, Form::Blocks) => Labels::Blocks,
                (true, _) => Labels::Lines,
            },
            merge_err: look.merge_err,
            diff: look.diff,
            normalize: look.normalize,
            lines: (look.merge_err || look.normalize).then(Default::default),
            silent: Default::default(),
            said: gather(),
            complained: gather(),
        }),
    };
    if look.progress {
        Box::new(live::Live::new(reporter, shown, look))
    } else {
        reporter
    }
}

#[cfg(test)]
mod tests;
