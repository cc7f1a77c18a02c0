//! What is shown of a run: one file and one row of [`FORMATS`] per form of output. Reporters write to any writer and compute
//! no results.

pub(crate) mod answers;
pub mod classic;
pub mod clush;
mod disagree;
mod display;
pub mod files;
pub mod format;
mod formats;
pub mod gateway;
pub mod gathered;
pub mod json;
pub mod lines;
pub mod live;
pub mod look;
mod normalize;
mod notes;
mod out;
mod reporter;
pub mod services;
pub mod spill;
mod states;
#[cfg(test)]
mod tally;
pub mod text;
pub mod way;

use std::io::Write;
use std::sync::Arc;

use crate::plan::NodeName;

pub use answers::Table;
pub use display::{Screen, Size};
pub use format::{Audience, Format};
pub use formats::{FORMATS, by_name, usual};
pub use look::{Look, Transfer};
pub use reporter::Reporter;
pub use services::{ActionEnd, ActionLog, ServiceReporter, Stopped};
pub use spill::Scratch;

/// The reporter for a look. Output that outgrows memory goes to `scratch`.
pub fn new<'a>(
    look: &Look,
    names: Arc<[NodeName]>,
    out: impl Write + 'a,
    err: impl Write + 'a,
    scratch: &Scratch,
) -> Box<dyn Reporter + 'a> {
    let parts = format::Parts {
        look,
        names: Arc::clone(&names),
        out: Box::new(out),
        err: Box::new(err),
        scratch,
    };
    let reporter: Box<dyn Reporter + 'a> = match &look.disagree {
        Some(found) => Box::new(disagree::Disagree::new(parts, Arc::clone(found))),
        None => (look.format.make)(parts),
    };
    match &look.progress {
        Some(screen) => Box::new(live::Live::new(reporter, names, look, screen.clone())),
        None => reporter,
    }
}

#[cfg(test)]
mod tests;
