//! Many servers in few lines: those of a backend in the same state on one, or a whole backend.

use std::fmt::Write;

use indexmap::IndexMap;

use super::{start, state};
use crate::answer::ServerRow;
use crate::haproxy::state::{AdminWord, Server};
use crate::haproxy::usable::Fault;
use crate::nodeset::NodeSet;

/// One line for the servers of a backend in the same state, as `web/web-[1-40]: RUNNING/READY`.
pub(super) fn fold(out: &mut String, rows: &[ServerRow]) {
    let mut backends: IndexMap<_, IndexMap<String, Vec<&str>>> = IndexMap::new();
    for row in rows {
        let states = backends.entry(backend(row)).or_default();
        let alike = states.entry(state(&row.server)).or_default();
        alike.push(row.server.name.server());
    }
    for ((instance, backend), states) in backends {
        for (state, names) in states {
            start(out, instance);
            let names: NodeSet = names.into_iter().collect();
            let _ = writeln!(out, "{backend}/{names}: {state}");
        }
    }
}

/// One line for each backend: how many of its servers are usable, and what the others are.
pub(super) fn summary(rows: &[ServerRow]) -> String {
    let mut backends: IndexMap<_, Counts> = IndexMap::new();
    for row in rows {
        backends.entry(backend(row)).or_default().add(&row.server);
    }
    let mut out = String::new();
    for ((instance, backend), counts) in backends {
        start(&mut out, instance);
        let _ = writeln!(out, "{backend}: {}", counts.words());
    }
    out
}

fn backend(row: &ServerRow) -> (Option<&str>, &str) {
    (row.instance.as_deref(), row.server.name.backend())
}

/// How many servers of a backend are what.
#[derive(Debug, Default)]
struct Counts {
    all: usize,
    usable: usize,
    maintenance: usize,
    down: usize,
    drain: usize,
    /// By the reason.
    others: IndexMap<&'static str, usize>,
}

impl Counts {
    fn add(&mut self, server: &Server) {
        self.all += 1;
        let Some(fault) = server.fault() else {
            self.usable += 1;
            return;
        };
        match (server.admin.word(), fault) {
            (AdminWord::Maint, _) => self.maintenance += 1,
            (AdminWord::Drain, _) => self.drain += 1,
            (AdminWord::Ready, Fault::Check | Fault::Agent | Fault::Down) => self.down += 1,
            (AdminWord::Ready, fault) => {
                self.usable += usize::from(fault.is_usable());
                let words = if fault == Fault::Weight {
                    "of weight 0"
                } else {
                    fault.as_str()
                };
                *self.others.entry(words).or_default() += 1;
            }
        }
    }

    /// The first three always, so that they can be looked for; the others where there are any.
    fn words(&self) -> String {
        let Self {
            all,
            usable,
            maintenance,
            down,
            drain,
            others,
        } = self;
        let mut words = format!("{usable}/{all} usable, {maintenance} in maintenance, {down} down");
        if *drain > 0 {
            let _ = write!(words, ", {drain} in drain");
        }
        for (reason, count) in others {
            let _ = write!(words, ", {count} {reason}");
        }
        words
    }
}
