//! One run: what is asked for, what the load balancers are like before it, and what happens meanwhile.

use std::time::Duration;

use fastrand::Rng;

use super::fault::{Fault, What};

/// All nodes that there are.
pub(crate) const NODES: [&str; 3] = ["lb1", "lb2", "lb3"];

/// Selectors, and the servers that they mean.
const SELECTORS: &[(&str, &[&str])] = &[
    ("ldap/ldap-svc1", &["ldap/ldap-svc1"]),
    ("ldap/ldap-svc2", &["ldap/ldap-svc2"]),
    ("http/http-svc1", &["http/http-svc1"]),
    ("http-svc[2]", &["http/http-svc2"]),
    ("ldap/*", &["ldap/ldap-svc1", "ldap/ldap-svc2"]),
    (
        "puppet-i0-svc1",
        &[
            "all_puppet_masters/puppet-i0-svc1",
            "i0_puppet_masters/puppet-i0-svc1",
            "i10_puppet_masters/puppet-i0-svc1",
            "i20_puppet_masters/puppet-i0-svc1",
            "i24_puppet_masters/puppet-i0-svc1",
            "i28_puppet_masters/puppet-i0-svc1",
        ],
    ),
    (
        "all_puppet_masters/puppet-i[10,20]-svc1",
        &[
            "all_puppet_masters/puppet-i10-svc1",
            "all_puppet_masters/puppet-i20-svc1",
        ],
    ),
];

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Enable,
    Disable,
    Drain {
        wait: Option<u64>,
        then: Option<&'static str>,
    },
    Weight(u32),
}

/// Where the audit log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    Good,
    Full,
    /// Full, and no change may be made without it.
    FullAndRequired,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) nodes: &'static [&'static str],
    pub(crate) selector: &'static str,
    pub(crate) servers: &'static [&'static str],
    pub(crate) ask: Ask,
    pub(crate) force: bool,
    pub(crate) rollback: bool,
    pub(crate) partial_ok: bool,
    pub(crate) fanout: u64,
    /// `set server` orders that are given before, by node.
    pub(crate) before: Vec<(&'static str, String)>,
    /// A client that holds a session on ldap, through which node and for how long.
    pub(crate) client: Option<(&'static str, Duration)>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) disk: Disk,
    /// Whether it is taken back when it is over.
    pub(crate) undo: bool,
}

impl Case {
    /// The run of that number.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut case = Self::without_faults(seed, &mut rng);
        // Now and then nothing happens at all, and then all must be well.
        if rng.u8(..) < 220 {
            case.faults = (0..rng.usize(1..=2))
                .map(|_| Fault::random(&mut rng, &case))
                .collect();
        }
        case.disk = match rng.u8(..) {
            0..15 => Disk::Full,
            15..25 => Disk::FullAndRequired,
            _ => Disk::Good,
        };
        case.undo = rng.u8(..3) == 0;
        case
    }

    /// A run in which nothing takes long, for mutants: what happens is another operator or a balancer that hangs up.
    pub(crate) fn quick(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut case = Self::without_faults(seed, &mut rng);
        case.client = None;
        let node = case.nodes[rng.usize(..case.nodes.len())];
        case.faults = vec![Fault {
            node,
            at: rng.usize(1..4),
            is_after: false,
            what: What::HangUp,
        }];
        case
    }

    fn without_faults(seed: u64, rng: &mut Rng) -> Self {
        let (selector, servers) = SELECTORS[rng.usize(..SELECTORS.len())];
        let nodes: &[&str] = if rng.u8(..4) == 0 {
            &NODES
        } else {
            &NODES[..2]
        };
        let ask = match rng.u8(..10) {
            0..2 => Ask::Enable,
            2..5 => Ask::Disable,
            5..8 => {
                let then = [None, Some("disable"), Some("kill")][rng.usize(..3)];
                let wait = (then.is_some() || rng.bool()).then(|| rng.u64(2..6));
                Ask::Drain { wait, then }
            }
            _ => Ask::Weight(rng.u32(..12)),
        };
        let mut before = Vec::new();
        for _ in 0..rng.usize(..4) {
            let node = NODES[rng.usize(..NODES.len())];
            let (_, others) = SELECTORS[rng.usize(..SELECTORS.len())];
            let server = others[rng.usize(..others.len())];
            before.push((node, order(rng, server)));
        }
        if ask == Ask::Enable {
            for node in nodes {
                let server = servers[rng.usize(..servers.len())];
                before.push((node, format!("set server {server} state maint")));
            }
        }
        let is_ldap = selector.starts_with("ldap");
        let client = (is_ldap && rng.bool()).then(|| {
            let time = Duration::from_millis(rng.u64(200..7000));
            (nodes[rng.usize(..nodes.len())], time)
        });
        Self {
            seed,
            nodes,
            selector,
            servers,
            ask,
            force: rng.u8(..4) == 0,
            rollback: rng.u8(..3) == 0,
            partial_ok: rng.u8(..6) == 0,
            fanout: if rng.bool() { 64 } else { 1 },
            before,
            client,
            faults: Vec::new(),
            disk: Disk::Good,
            undo: false,
        }
    }

    /// The words of the command line, without those that say how nodes are reached.
    pub(crate) fn words(&self) -> Vec<String> {
        let fanout = self.fanout.to_string();
        let nodes = self.nodes.join(",");
        let mut words: Vec<String> = ["-w", &nodes, "-f", &fanout, "--json"]
            .map(str::to_owned)
            .to_vec();
        let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
        match &self.ask {
            Ask::Enable => add(&["enable", self.selector, "--wait", "8s"]),
            Ask::Disable => add(&["disable", self.selector]),
            Ask::Drain { wait, then } => {
                add(&["drain", self.selector]);
                if let Some(wait) = wait {
                    add(&["--wait", &format!("{wait}s")]);
                }
                if let Some(then) = then {
                    add(&["--then", then]);
                }
            }
            Ask::Weight(weight) => add(&["weight", self.selector, &weight.to_string()]),
        }
        for (option, is_given) in [
            ("--force", self.force),
            ("--rollback", self.rollback),
            ("--partial-ok", self.partial_ok),
        ] {
            if is_given {
                add(&[option]);
            }
        }
        words
    }

    /// Whether a server with this mask and weight is as asked for.
    pub(crate) fn is_wanted(&self, mask: u32, weight: u32) -> bool {
        let out = if mask & 1 != 0 {
            2
        } else {
            u8::from(mask & 8 != 0)
        };
        match &self.ask {
            Ask::Enable => out == 0,
            Ask::Disable => out == 2,
            Ask::Drain { then: Some(_), .. } => out == 2,
            Ask::Drain { then: None, .. } if self.force => out == 1,
            Ask::Drain { then: None, .. } => out >= 1,
            Ask::Weight(wanted) => weight == *wanted,
        }
    }
}

/// An order about a server, as another operator may give it.
pub(crate) fn order(rng: &mut Rng, server: &str) -> String {
    match rng.u8(..4) {
        0 => format!("set server {server} state ready"),
        1 => format!("set server {server} state drain"),
        2 => format!("set server {server} state maint"),
        _ => format!("set server {server} weight {}", rng.u32(..12)),
    }
}
