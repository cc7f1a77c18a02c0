//! What happens at which question.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::case::{Case, order};
use crate::lab::{Act, Control, Moment};

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// At which node.
    pub(crate) node: &'static str,
    /// At which of its questions.
    pub(crate) at: usize,
    /// Once that is answered, or before HAProxy has heard of it.
    pub(crate) is_after: bool,
    pub(crate) what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A reload, which is over before anything goes on.
    Reload,
    /// A reload under way.
    BeginReload,
    /// The worker is killed, and its master ends.
    Kill,
    /// The worker stands still for so many milliseconds.
    Freeze(u64),
    /// Another operator gives an order.
    Operator(String),
    /// The connection is closed without an answer.
    HangUp,
    /// The SSH connections to the node are cut.
    Sever,
    /// The program gets a signal.
    Interrupt,
    Terminate,
    KillUs,
    /// The audit log's disk is full from now on.
    DiskFull,
}

impl Fault {
    pub(crate) fn random(rng: &mut Rng, case: &Case) -> Self {
        let server = case.servers[rng.usize(..case.servers.len())];
        let what = match rng.u8(..22) {
            0..3 => What::Reload,
            3..6 => What::BeginReload,
            6..8 => What::Kill,
            8..10 => What::Freeze(rng.u64(200..2500)),
            10 => What::Freeze(if rng.u8(..3) == 0 { 11_000 } else { 4000 }),
            11..15 => What::Operator(order(rng, server)),
            15 => What::HangUp,
            16 => What::Interrupt,
            17 => What::Terminate,
            18 => What::KillUs,
            19..21 => What::Sever,
            _ => What::DiskFull,
        };
        Self {
            node: case.nodes[rng.usize(..case.nodes.len())],
            at: rng.usize(..9),
            is_after: rng.bool(),
            what,
        }
    }
}

/// A question, or something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) node: &'static str,
    pub(crate) at: Instant,
    pub(crate) clock: SystemTime,
    pub(crate) what: Happened,
}

#[derive(Clone, Debug)]
pub(crate) enum Happened {
    Asked(usize, String),
    Answered(usize),
    Began(What),
}

impl std::fmt::Display for Happened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Asked(number, text) => write!(f, "{number} {text}"),
            Self::Answered(number) => write!(f, "{number} is answered"),
            Self::Began(what) => write!(f, "{what:?}"),
        }
    }
}

/// What all proxies of a run have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) program: Arc<Mutex<Option<Pid>>>,
    pub(crate) log: Arc<Mutex<std::path::PathBuf>>,
}

impl Script {
    fn note(&self, node: &'static str, what: Happened) {
        let (at, clock) = (Instant::now(), SystemTime::now());
        self.seen.lock().expect("events").push(Seen {
            node,
            at,
            clock,
            what,
        });
    }

    /// What a proxy of a node does with a question.
    pub(crate) fn hook(
        &self,
        node: &'static str,
        control: Control,
        faults: Vec<Fault>,
    ) -> impl Fn(Moment, usize, &str) -> Act + Send + Sync + use<> {
        let script = self.clone();
        move |moment, number, text| {
            match moment {
                Moment::Asked => script.note(node, Happened::Asked(number, text.to_owned())),
                Moment::Answered => script.note(node, Happened::Answered(number)),
            }
            let is_after = moment == Moment::Answered;
            let mut act = Act::Pass;
            for fault in &faults {
                if fault.at == number && fault.is_after == is_after {
                    script.note(node, Happened::Began(fault.what.clone()));
                    if script.happen(&fault.what, &control) {
                        act = Act::Say("");
                    }
                }
            }
            act
        }
    }

    /// Lets something happen. Whether the connection is to be closed.
    fn happen(&self, what: &What, control: &Control) -> bool {
        let signal = |signal| {
            let program = *self.program.lock().expect("the program");
            // It may have ended.
            let _ = program.map(|pid| kill_process(pid, signal));
        };
        match what {
            What::Reload => control.reload(),
            What::BeginReload => control.begin_reload(),
            What::Kill => control.kill(),
            What::Freeze(time) => control.freeze(Duration::from_millis(*time)),
            What::Operator(order) => drop(control.try_cli(order)),
            What::HangUp => return true,
            What::Sever => control.sever(),
            What::Interrupt => signal(Signal::INT),
            What::Terminate => signal(Signal::TERM),
            What::KillUs => signal(Signal::KILL),
            What::DiskFull => {
                let log = self.log.lock().expect("the log").clone();
                let _ = std::fs::rename(&log, log.with_extension("jsonl.1"));
                let _ = std::os::unix::fs::symlink("/dev/full", &log);
            }
        }
        false
    }
}
