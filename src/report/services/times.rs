//! How long services took, and the chain of dependencies that the run had to wait for.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::service::{Direction, Graph, ServiceId};

/// Durations of a run, service by service.
#[derive(Debug, Default)]
pub(super) struct Times {
    own: HashMap<ServiceId, Duration>,
    /// Per settled service: from the begin of its chain to its end, and what came before it in the chain.
    chains: HashMap<ServiceId, (Duration, Option<ServiceId>)>,
    /// In the order they were settled.
    order: Vec<ServiceId>,
}

impl Times {
    /// An action of the service took so long.
    pub(super) fn add(&mut self, service: ServiceId, took: Duration) {
        *self.own.entry(service).or_default() += took;
    }

    /// The service is settled, after all it waited for.
    pub(super) fn settle(&mut self, graph: &Graph, direction: Direction, service: ServiceId) {
        let mut waited_for: Vec<ServiceId> = graph.members(service).to_vec();
        let mut level = Some(service);
        while let Some(at) = level {
            waited_for.extend(graph.dependencies(at, direction).iter().map(|link| link.to));
            level = graph.service(at).parent;
        }
        let before = waited_for
            .into_iter()
            .filter_map(|id| self.chains.get(&id).map(|(chain, _)| (*chain, id)))
            .max();
        let own = self.own.get(&service).copied().unwrap_or_default();
        let chain = own + before.map_or(Duration::ZERO, |(chain, _)| chain);
        self.chains
            .insert(service, (chain, before.map(|(_, id)| id)));
        if self.own.contains_key(&service) {
            self.order.push(service);
        }
    }

    /// The services with their times, and the longest chain.
    pub(super) fn text(&self, graph: &Graph) -> String {
        let mut text = " + Time\n".to_owned();
        for id in &self.order {
            let seconds = self.own.get(id).copied().unwrap_or_default().as_secs_f64();
            let _ = writeln!(
                text,
                "    {seconds:8.2} s  {}",
                graph.service(*id).full_name
            );
        }
        let last = self
            .chains
            .iter()
            .map(|(id, (chain, _))| (*chain, *id))
            .max();
        let mut names = Vec::new();
        let mut at = last.map(|(_, id)| id);
        while let Some(id) = at {
            if self.own.contains_key(&id) {
                names.push(&*graph.service(id).full_name);
            }
            at = self.chains.get(&id).and_then(|(_, before)| *before);
        }
        names.reverse();
        if let (Some((chain, _)), false) = (last, names.is_empty()) {
            let seconds = chain.as_secs_f64();
            let _ = writeln!(
                text,
                " + Critical path ({seconds:.2} s)\n    {}",
                names.join(" -> ")
            );
        }
        text
    }
}
