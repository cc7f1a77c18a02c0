//! Only the servers that are not the same on all load balancers, with each side.
//!
//! Whether they differ is known when the last node has answered, so answers wait until then. Text has the sides of a
//! server below one another; other forms get the rows of each node that differ from those of others.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indexmap::IndexMap;

use super::answers;
use super::format::{Audience, Parts, Writer};
use super::notes::{Notes, fold};
use super::out::Out;
use super::reporter::Reporter;
use crate::answer::{Answer, ServerRow, Servers};
use crate::event::{Event, NodeId, Stop, Summary};
use crate::haproxy::name::ServerName;

/// Holds answers back and shows where they differ.
pub(super) struct Disagree<'a> {
    show: Show<'a>,
    sides: Sides,
    finished: Vec<Event>,
    /// Told when anything differs.
    found: Arc<AtomicBool>,
}

/// How it is shown.
enum Show<'a> {
    /// As text, server by server.
    Rows {
        out: Out<Writer<'a>>,
        notes: Notes<Writer<'a>>,
        labels: bool,
    },
    /// Node by node, by another reporter.
    Nodes(Box<dyn Reporter + 'a>),
}

impl<'a> Disagree<'a> {
    pub(super) fn new(parts: Parts<'_, 'a>, found: Arc<AtomicBool>) -> Self {
        let look = parts.look;
        let show = if look.format.audience == Audience::PeopleAtTheEnd {
            let (mut out, notes) = parts.streams();
            out.states = true;
            let labels = look.labels;
            Show::Rows { out, notes, labels }
        } else {
            Show::Nodes((look.format.make)(parts))
        };
        Self {
            show,
            sides: Sides::default(),
            finished: Vec::new(),
            found,
        }
    }
}

impl Reporter for Disagree<'_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match (event, &mut self.show) {
            (Event::Answer { node, answer }, _) if let Answer::Servers(servers) = &**answer => {
                self.sides.add(*node, servers);
                Ok(())
            }
            (Event::Finished { .. }, _) => {
                self.finished.push(event.clone());
                Ok(())
            }
            (_, Show::Nodes(inner)) => inner.event(event),
            (_, Show::Rows { .. }) => Ok(()),
        }
    }

    fn stopping(&mut self, level: Stop, pending: &[NodeId]) -> io::Result<()> {
        match &mut self.show {
            Show::Nodes(inner) => inner.stopping(level, pending),
            Show::Rows { notes, .. } => notes.stopping(level, pending),
        }
    }

    fn asked(&mut self, running: &[NodeId], waiting: &[NodeId]) -> io::Result<()> {
        match &mut self.show {
            Show::Nodes(inner) => inner.asked(running, waiting),
            Show::Rows { notes, .. } => notes.asked(running, waiting),
        }
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        let differing = self.sides.differing();
        self.found
            .fetch_or(!differing.is_empty(), Ordering::Relaxed);
        match &mut self.show {
            Show::Rows { out, notes, labels } => {
                for one in &differing {
                    for (words, nodes) in &one.sides {
                        let nodes = fold(&notes.names, nodes.iter().copied());
                        out.said(labels.then_some(&nodes), &one.line(words))?;
                    }
                }
                out.writer.flush()?;
                notes.summary(summary)
            }
            Show::Nodes(inner) => {
                let mut rows: HashMap<NodeId, Vec<ServerRow>> = HashMap::new();
                for (row, nodes) in differing.iter().flat_map(|one| one.rows) {
                    for node in nodes {
                        rows.entry(*node).or_default().push(row.clone());
                    }
                }
                for finished in &self.finished {
                    let node = finished.node();
                    if let Some(rows) = rows.remove(&node) {
                        let servers = Servers {
                            rows,
                            ..Servers::default()
                        };
                        let answer = Arc::new(Answer::Servers(servers));
                        inner.event(&Event::Answer { node, answer })?;
                    }
                    inner.event(finished)?;
                }
                inner.finish(summary)
            }
        }
    }
}

/// A server of an instance.
type Key = (Option<Arc<str>>, ServerName);

/// How the nodes have each server.
#[derive(Debug, Default)]
struct Sides {
    servers: IndexMap<Key, IndexMap<ServerRow, Vec<NodeId>>>,
    /// The nodes that were asked about an instance.
    asked: HashMap<Option<Arc<str>>, Vec<NodeId>>,
}

/// A server that is not the same everywhere.
struct Differing<'a> {
    key: &'a Key,
    /// The rows and who has them.
    rows: &'a IndexMap<ServerRow, Vec<NodeId>>,
    /// How it is where, what most nodes say first.
    sides: Vec<(String, Vec<NodeId>)>,
}

impl Differing<'_> {
    fn line(&self, words: &str) -> String {
        let (instance, name) = self.key;
        let mut line = String::new();
        answers::start(&mut line, instance.as_deref());
        line.push_str(&format!("{name}: {words}"));
        line
    }
}

impl Sides {
    fn add(&mut self, node: NodeId, servers: &Servers) {
        for instance in &servers.asked {
            self.asked.entry(instance.clone()).or_default().push(node);
        }
        for row in &servers.rows {
            let key = (row.instance.clone(), row.server.name.clone());
            let alike = self.servers.entry(key).or_default();
            // Most nodes have the same row.
            match alike.get_mut(row) {
                Some(nodes) => nodes.push(node),
                None => {
                    alike.insert(row.clone(), vec![node]);
                }
            }
        }
    }

    /// The servers whose states, reasons or weights differ, or that some node does not have.
    fn differing(&self) -> Vec<Differing<'_>> {
        let differing = self.servers.iter().filter_map(|(key, rows)| {
            let weight = rows.keys().next()?.server.weight;
            let weights_differ = rows.keys().any(|row| row.server.weight != weight);
            let mut sides: IndexMap<String, Vec<NodeId>> = IndexMap::new();
            for (row, nodes) in rows {
                let mut words = answers::state(&row.server);
                if weights_differ {
                    words.push_str(&format!(" weight={}", row.server.weight));
                }
                sides.entry(words).or_default().extend(nodes);
            }
            let missing = self.missing(key, rows);
            if !missing.is_empty() {
                sides.insert("not there".to_owned(), missing);
            }
            let mut sides: Vec<_> = sides.into_iter().collect();
            for (_, nodes) in &mut sides {
                nodes.sort_unstable();
            }
            sides
                .sort_by_key(|(_, nodes)| (std::cmp::Reverse(nodes.len()), nodes.first().copied()));
            (sides.len() > 1).then_some(Differing { key, rows, sides })
        });
        differing.collect()
    }

    /// The nodes that were asked and do not have a server.
    fn missing(&self, key: &Key, rows: &IndexMap<ServerRow, Vec<NodeId>>) -> Vec<NodeId> {
        let asked = self.asked.get(&key.0).map_or(&[][..], Vec::as_slice);
        if rows.values().map(Vec::len).sum::<usize>() >= asked.len() {
            return Vec::new();
        }
        let having: HashSet<NodeId> = rows.values().flatten().copied().collect();
        let lacks = |node: &NodeId| !having.contains(node);
        asked.iter().copied().filter(lacks).collect()
    }
}
