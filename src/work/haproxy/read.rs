//! Reads all that a change must know of a node, before anything is written.

use std::sync::{Arc, Mutex, PoisonError};

use super::look::look;
use super::{Asker, Master, Masters, Place, Sockets, failure, unless_stopped};
use crate::event::{ErrorCode, Failure, NodeId, Outcome};
use crate::haproxy::command::Command;
use crate::haproxy::reading::Reading;
use crate::haproxy::select::{Selector, select};
use crate::plan::NodeName;
use crate::transport::{BoxFuture, Endpoint, NodeIo, Session};
use crate::work::Work;

/// One HAProxy of a node, with what is meant of it.
#[derive(Debug, Clone)]
pub struct Found {
    /// How its rows are marked when there are several.
    pub label: Option<String>,
    /// Where it answered.
    pub endpoint: Endpoint,
    /// What it said.
    pub reading: Reading,
    /// The servers that are meant, by their place in the reading.
    pub chosen: Vec<usize>,
    /// Its master, where one is known.
    pub master: Option<Master>,
}

/// What is known of a node.
#[derive(Debug, Clone, Default)]
pub struct NodeReading {
    /// Its HAProxy, one or several.
    pub found: Vec<Found>,
    /// Selectors that meet nothing on this node, by their position.
    pub unmatched: Vec<usize>,
}

/// Reads every HAProxy of the nodes.
#[derive(Debug)]
pub struct Read {
    /// The names of the nodes.
    pub names: Arc<[NodeName]>,
    /// Where the sockets are.
    pub sockets: Sockets,
    /// Where the masters' sockets are.
    pub masters: Masters,
    /// Which servers are meant.
    pub selectors: Vec<Selector>,
    /// Asks.
    pub asker: Asker,
    /// What was read, by node.
    readings: Mutex<Vec<Option<NodeReading>>>,
}

impl Read {
    /// A work that reads these sockets and looks for these servers.
    #[must_use]
    pub fn new(
        names: Arc<[NodeName]>,
        (sockets, masters): (Sockets, Masters),
        selectors: Vec<Selector>,
    ) -> Self {
        Self {
            readings: Mutex::new(vec![None; names.len()]),
            names,
            sockets,
            masters,
            selectors,
            asker: Asker::default(),
        }
    }

    /// What was read of each node, by its position.
    #[must_use]
    pub fn readings(&self) -> Vec<Option<NodeReading>> {
        std::mem::take(&mut *self.readings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn read(&self, node: NodeId, session: &mut dyn Session) -> Result<(), Failure> {
        let mut known = NodeReading::default();
        // A selector is met when any HAProxy of the node has what it means.
        let mut unmatched: Vec<usize> = (0..self.selectors.len()).collect();
        for place in self.sockets.on(&self.names[node.index()])? {
            let (found, missing) = self.instance(session, place).await?;
            unmatched.retain(|selector| missing.contains(selector));
            known.found.push(found);
        }
        known.unmatched = unmatched;
        let pid = |one: &Found| one.reading.info.pid;
        let workers: Vec<u32> = known.found.iter().map(pid).collect();
        let masters = self.masters.of(&self.asker, session, &workers).await?;
        for (found, master) in known.found.iter_mut().zip(masters) {
            found.master = master;
        }
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)[node.index()] = Some(known);
        Ok(())
    }

    async fn instance(
        &self,
        session: &mut dyn Session,
        place: Place<'_>,
    ) -> Result<(Found, Vec<usize>), Failure> {
        let (endpoint, answer) = self
            .asker
            .ask_first(session, place.endpoints, &Command::Reading)
            .await?;
        let mut reading = Reading::parse(&answer).map_err(|error| failure(endpoint, &error))?;
        if reading.info.stopping {
            reading = look(&self.asker, session, endpoint).await?;
        }
        let wrong = |error| Failure::new(ErrorCode::Select, format!("{endpoint}: {error}"));
        let within = select(place.backends, &reading.servers).map_err(wrong)?;
        // Selected among the instance's own servers, so that a match elsewhere is none.
        let own: Vec<_> = within
            .chosen
            .iter()
            .map(|place| reading.servers[*place].clone())
            .collect();
        let selection = select(&self.selectors, &own).map_err(wrong)?;
        let chosen = selection
            .chosen
            .iter()
            .map(|place| within.chosen[*place])
            .collect();
        let found = Found {
            label: place.label.map(str::to_owned),
            endpoint: endpoint.clone(),
            reading,
            chosen,
            master: None,
        };
        Ok((found, selection.unmatched))
    }
}

impl Work for Read {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match unless_stopped(&mut io.stop, self.read(node, session)).await {
                Ok(()) => Outcome::OK,
                Err(failure) => Outcome::Failed(failure),
            }
        })
    }
}
