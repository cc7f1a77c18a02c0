//! What a form of output is, and what it is made of. Each has a file and a row of [`super::FORMATS`].

use std::io::Write;
use std::sync::Arc;

use super::look::Look;
use super::notes::Notes;
use super::out::Out;
use super::reporter::Reporter;
use super::spill::Scratch;
use crate::gather::{DEFAULT_BUDGET, Gather};
use crate::plan::NodeName;

/// A form of output.
pub struct Format {
    /// Its name, for `--output`.
    pub name: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// The option that is short for `--output NAME`, beside its letter.
    pub switch: Option<Switch>,
    /// What it is for.
    pub audience: Audience,
    /// How what shows a run is made.
    pub(super) make: for<'l, 'a> fn(Parts<'l, 'a>) -> Box<dyn Reporter + 'a>,
}

/// An option that is short for `--output NAME`.
#[derive(Debug, Clone, Copy)]
pub struct Switch {
    /// The word behind two dashes.
    pub long: &'static str,
    /// The letter behind one.
    pub short: Option<char>,
    /// What it does, for `--help`.
    pub about: &'static str,
}

/// What a form of output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// People, each answer as it comes.
    PeopleAtOnce,
    /// People, equal answers once when all nodes are done.
    PeopleAtTheEnd,
    /// Programs.
    Programs,
}

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Format")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Format {}

/// One of our two streams.
pub(super) type Writer<'a> = Box<dyn Write + 'a>;

/// What a form shows a run with.
pub(super) struct Parts<'l, 'a> {
    /// How it is shown.
    pub(super) look: &'l Look,
    /// The names of the nodes.
    pub(super) names: Arc<[NodeName]>,
    /// Standard output.
    pub(super) out: Writer<'a>,
    /// Standard error.
    pub(super) err: Writer<'a>,
    /// Where output goes that outgrows memory.
    pub(super) scratch: &'l Scratch,
}

impl<'a> Parts<'_, 'a> {
    /// An empty gathering, one of up to three that a form has.
    pub(super) fn gather(&self) -> Gather {
        self.scratch.gather(DEFAULT_BUDGET / 3)
    }

    /// The two streams as people see them.
    pub(super) fn streams(self) -> (Out<Writer<'a>>, Notes<Writer<'a>>) {
        let look = self.look;
        let out = Out {
            writer: self.out,
            color: look.color_out,
            escape: look.escape_out,
            states: false,
        };
        let notes = Notes {
            program: look.program.clone(),
            names: self.names,
            statuses: look.notes,
            details: look.details,
            err: Out {
                writer: self.err,
                color: look.color_err,
                escape: look.escape_err,
                states: false,
            },
        };
        (out, notes)
    }
}
