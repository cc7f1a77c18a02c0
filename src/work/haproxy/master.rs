//! The masters of a node's HAProxy: which workers each has, and what old workers still carry.
//!
//! A reload leaves the old worker to its connections. It answers on no stats socket any more, only through the master.

use std::time::Duration;

use tokio::time::timeout;

use super::{Asker, failure};
use crate::event::{ErrorCode, Failure};
use crate::haproxy::answer::{self, Workers};
use crate::haproxy::command::Command;
use crate::haproxy::name::ServerName;
use crate::haproxy::{sessions, stat};
use crate::transport::{Endpoint, Session};

/// Where the sockets of masters are.
#[derive(Debug, Clone)]
pub struct Masters {
    /// The places that are looked at.
    pub places: Vec<Endpoint>,
    /// Whether the operator named them, so that one that does not serve is a mistake.
    pub named: bool,
}

/// How long something at a usual place may take to prove that it is a master.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the master's socket usually is: Debian's and upstream's unit, and beside the stats socket.
const USUAL: [&str; 3] = [
    "/run/haproxy-master.sock",
    "/run/haproxy/master.sock",
    "/var/lib/haproxy/master.sock",
];

impl Default for Masters {
    fn default() -> Self {
        Self {
            places: USUAL.map(|path| Endpoint::Unix(path.to_owned())).into(),
            named: false,
        }
    }
}

impl Masters {
    /// For each worker, by process id, the master that has it and the old workers beside it.
    ///
    /// # Errors
    /// What is wrong with a place that the operator named.
    pub(super) async fn of(
        &self,
        asker: &Asker,
        session: &mut dyn Session,
        workers: &[u32],
    ) -> Result<Vec<Option<Master>>, Failure> {
        let mut found: Vec<Option<Master>> = vec![None; workers.len()];
        for place in &self.places {
            if found.iter().all(Option::is_some) {
                break;
            }
            let asked = ask(asker, session, place);
            let known = if self.named {
                asked.await?
            } else {
                match timeout(PATIENCE, asked).await {
                    Ok(Ok(known)) => known,
                    Ok(Err(_)) | Err(_) => continue,
                }
            };
            for (pid, found) in workers.iter().zip(&mut found) {
                if known.current.contains(pid) || known.old.contains(pid) {
                    *found = Some(Master {
                        endpoint: place.clone(),
                        old: old(&known, *pid),
                    });
                }
            }
        }
        if self.named && found.iter().all(Option::is_none) {
            let places: Vec<String> = self.places.iter().map(ToString::to_string).collect();
            return Err(Failure::new(
                ErrorCode::Socket,
                format!(
                    "no worker of the master at {} answers on the stats socket; is it another HAProxy's?",
                    places.join(", ")
                ),
            ));
        }
        Ok(found)
    }
}

/// The master of one HAProxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// Its socket.
    pub endpoint: Endpoint,
    /// The old workers, by process id.
    pub old: Vec<u32>,
}

/// What old workers carry of some servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Carried {
    /// Sessions and what is queued, server by server.
    pub(super) sessions: Vec<u64>,
    /// The old workers that were asked.
    pub(super) old: Vec<u32>,
}

impl Master {
    /// Its workers now, as seen from the one that answers on the stats socket.
    ///
    /// # Errors
    /// What the transport or the master says.
    pub(super) async fn workers(
        &self,
        asker: &Asker,
        session: &mut dyn Session,
    ) -> Result<Workers, Failure> {
        ask(asker, session, &self.endpoint).await
    }

    /// What the workers before this one still carry of the servers.
    ///
    /// # Errors
    /// What the transport or the master says.
    pub(super) async fn carried(
        &self,
        asker: &Asker,
        session: &mut dyn Session,
        (worker, servers): (u32, &[ServerName]),
    ) -> Result<Carried, Failure> {
        let old = old(&self.workers(asker, session).await?, worker);
        let mut sessions = vec![0; servers.len()];
        if !old.is_empty() {
            let question = Command::ShowOldStat(old.clone());
            let answer = asker.ask(session, &self.endpoint, &question).await?;
            let rows =
                stat::rows_of_several(&answer).map_err(|error| failure(&self.endpoint, &error))?;
            for row in rows {
                for (server, count) in servers.iter().zip(&mut sessions) {
                    if *server == row.name {
                        *count += row.sessions + row.queued;
                    }
                }
            }
        }
        Ok(Carried { sessions, old })
    }

    /// Cuts what the workers before this one still carry of the servers. An old worker takes no order about a server
    /// ("Proxy is disabled"), only about a session.
    ///
    /// # Errors
    /// What the transport or the master says.
    pub(super) async fn cut(
        &self,
        asker: &Asker,
        session: &mut dyn Session,
        (worker, servers): (u32, &[ServerName]),
    ) -> Result<(), Failure> {
        for pid in old(&self.workers(asker, session).await?, worker) {
            let question = Command::ShowOldSessions(pid);
            let answer = asker.ask(session, &self.endpoint, &question).await?;
            for (pointer, server) in sessions::rows(&answer) {
                if servers.contains(&server) {
                    let order = Command::ShutdownOldSession(pid, pointer);
                    // It may have ended by itself: what is left is counted again.
                    asker.ask(session, &self.endpoint, &order).await?;
                }
            }
        }
        Ok(())
    }
}

/// The workers from before a reload. One that answers on the stats socket is none, whatever the master calls it after
/// a reload that failed.
fn old(known: &Workers, worker: u32) -> Vec<u32> {
    let others = known.old.iter().filter(|pid| **pid != worker);
    others.copied().collect()
}

async fn ask(
    asker: &Asker,
    session: &mut dyn Session,
    endpoint: &Endpoint,
) -> Result<Workers, Failure> {
    let answer = asker
        .ask(session, endpoint, &Command::ShowProcesses)
        .await?;
    answer::workers(&answer).map_err(|error| failure(endpoint, &error))
}
