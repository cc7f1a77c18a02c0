//! One node of the lab as its sessions see it: a name, faults, and a HAProxy.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::fault::Fault;
use super::haproxy::{Haproxy, ORIGINS, Setup};
use crate::haproxy::answer::Level;
use crate::plan::NodeName;

/// How long a slow node waits before each thing it says.
const SLOWNESS: Duration = Duration::from_secs(1);

/// What the HAProxy of a node that disagrees was told.
const DISAGREEMENT: &[u8] = b"set server i0_puppet_masters/puppet-i0-svc1 state maint";

/// One node.
pub(super) struct Node {
    index: usize,
    pub(super) name: NodeName,
    faults: Vec<Fault>,
    /// Made when the first question comes: most nodes of a large fleet are never asked.
    haproxy: Mutex<Option<Haproxy>>,
}

impl Node {
    pub(super) fn new(index: usize, name: NodeName, faults: Vec<Fault>) -> Self {
        Self {
            index,
            name,
            faults,
            haproxy: Mutex::new(None),
        }
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Waits, if the node is slow.
    pub(super) async fn pause(&self) {
        if self.has(Fault::Slow) {
            tokio::time::sleep(SLOWNESS).await;
        }
    }

    /// What the node's HAProxy answers, given the age of the lab.
    pub(super) fn ask(
        &self,
        age: Duration,
        question: impl FnOnce(&mut Haproxy) -> Vec<u8>,
    ) -> Vec<u8> {
        let mut haproxy = self.haproxy.lock().unwrap_or_else(PoisonError::into_inner);
        question(haproxy.get_or_insert_with(|| self.make_haproxy(age)))
    }

    /// A HAProxy that was started with the lab.
    fn make_haproxy(&self, age: Duration) -> Haproxy {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let addresses = (8001..).zip(ORIGINS);
        let mut haproxy = Haproxy::new(
            Setup {
                node: self.name.to_string(),
                description: "hash lab".to_owned(),
                pid: u32::try_from(1001 + self.index).unwrap_or(1001),
                addresses: addresses
                    .map(|(port, _)| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
                    .collect(),
                started: now.map_or(0, |now| now.saturating_sub(age).as_secs()),
            },
            Duration::ZERO,
        );
        if self.has(Fault::Disagree) {
            haproxy.answer(DISAGREEMENT, Level::Admin, Duration::ZERO);
        }
        haproxy
    }
}
