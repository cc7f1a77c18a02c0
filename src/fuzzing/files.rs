//! Files that somebody else may have written, and text that somebody types.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use russh::keys::{Algorithm, PublicKey};

use crate::config::services;
use crate::nodeset::{NoGroups, NodeSet, eval, parse};
use crate::plan::NodeName;
use crate::service::expand::{Lookups, NodeFilter};
use crate::service::resolve::Purpose;
use crate::service::{Direction, Ran, Request, Step, Walk, resolve};
use crate::topology::Topology;
use crate::transport::ssh::host_keys::{KnownHosts, Verdict};
use crate::transport::ssh::user_config::{
    AlgorithmList, Facts, Given, HostKeyPolicy, HostKeySettings, UserConfig,
};

/// As much as the sets of one input may have in all, so that a run stays short.
const MOST: u128 = 10_000;

/// A node set: an error with its place, or a set whose folded text reads back as the same set.
pub(super) fn nodeset(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(expr) = parse(text) else { return };
    let Ok(set) = eval(&expr, &NoGroups) else {
        return;
    };
    if set.count() > MOST {
        return;
    }
    let folded = set.to_string();
    let again = parse(&folded).ok();
    let again = again.and_then(|expr| eval(&expr, &NoGroups).ok());
    // `n[-3]` and `n-3` are two patterns of one name, as in ClusterShell, so names are compared.
    let names = |set: &NodeSet| {
        set.iter()
            .map(|name| name.to_string())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(again.as_ref().map(names), Some(names(&set)), "{folded}");
}

/// A `known_hosts` file, looked up by a plain, a ported and an aliased name.
pub(super) fn known_hosts(data: &[u8]) {
    let text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    let Ok(key) = PublicKey::from_openssh(text) else {
        return;
    };
    let key = key.into();
    let path = Path::new("known_hosts");
    for alias in [None, Some("fleet".to_owned())] {
        let settings = HostKeySettings {
            alias,
            policy: HostKeyPolicy::Strict,
            user_files: vec![PathBuf::from(path)],
            global_files: Vec::new(),
            revoked_file: None,
            ca_algorithms: AlgorithmList::default(),
            hash_names: false,
            trust_loopback: false,
        };
        for port in [22, 2222] {
            let known_hosts = KnownHosts::new();
            known_hosts.insert(path, data);
            let host = known_hosts.host(&settings, "lb1", port);
            let verdict = host.judge(&key, UNIX_EPOCH);
            assert!(verdict != Verdict::Known || !data.is_empty());
            assert!(!host.explain(&verdict, &key).message.is_empty());
            let mut order = [Algorithm::Dsa, Algorithm::Ed25519];
            host.prefer(&mut order);
            let _ = host.certificates();
        }
    }
}

/// An `ssh_config`: an error with its line, or settings for every host.
pub(super) fn ssh_config(data: &[u8]) {
    let home = PathBuf::from("/nowhere");
    let facts = Facts {
        user: "me".to_owned(),
        uid: 0,
        homes: HashMap::new(),
        host_name: "control.example".to_owned(),
        // Whatever `Match exec` says is run by this "shell", which does nothing.
        env: HashMap::from([("SHELL".to_owned(), "/bin/true".to_owned())]),
        user_file: home.join(".ssh/config"),
        system_file: home.join("ssh_config"),
        resolves: |_| false,
        home,
    };
    let Ok(config) = UserConfig::from_text(facts, "fuzz", data) else {
        return;
    };
    for host in ["lb1", "LB1.example", "10.0.0.1", "::1"] {
        let _ = config.resolve(host, Given::default());
    }
}

/// Neither groups nor commands.
struct Nowhere;

impl Lookups for Nowhere {
    fn nodes(&mut self, text: &str) -> Result<Vec<NodeName>, String> {
        let set = parse(text).map_err(|error| error.to_string())?;
        let set = eval(&set, &NoGroups).map_err(|error| error.to_string())?;
        if set.count() > 100 {
            return Err("too many".to_owned());
        }
        Ok(set.iter().map(NodeName::from).collect())
    }

    fn fold(&mut self, nodes: &[NodeName]) -> String {
        nodes.join(",")
    }

    fn shell(&mut self, command: &str) -> Option<String> {
        command.len().is_multiple_of(2).then(|| command.to_owned())
    }
}

/// Service files: a graph that is walked to its end, or an error.
pub(super) fn services(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut names = |name: &str| Ok(vec![name.to_owned()]);
    let Ok(loaded) = services::parse("fuzz.yaml", text, &mut names) else {
        return;
    };
    let filter = NodeFilter::default();
    let definitions = &loaded.definitions;
    let Ok(graph) = resolve(definitions, Purpose::Run, &[], &filter, &mut Nowhere) else {
        return;
    };
    for direction in [Direction::Forward, Direction::Reverse] {
        let Ok(mut walk) = Walk::new(&graph, &Request::all("start", direction)) else {
            continue;
        };
        while !walk.is_over() {
            let steps = walk.ready();
            assert!(!steps.is_empty(), "the walk stands still");
            for step in steps {
                if let Step::Run { action, .. } = step {
                    walk.settle(action, &Ran::default());
                }
            }
        }
    }
}

/// A `topology.conf`: an error, or a tree in which each node that has ways can be looked up.
pub(super) fn topology(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(topology) = Topology::read("fuzz.conf", text, "root", &NoGroups) else {
        return;
    };
    let _ = topology.gateways_below("root");
    if topology.gateways().count() < MOST {
        for gateway in topology.gateways().iter() {
            let _ = (topology.ways(&gateway), topology.below(&gateway));
        }
        let _ = topology.to_string();
    }
}
