//! A service run for programs: one event a line, as it happens.
//!
//! An event has `"v":1`, a UTC time and `"event"`: `started`, `finished`, `spared`, `service`, `interrupted`,
//! `summary`. Outputs that are not UTF-8 are base64 in a field with `_b64` behind its name.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::log::NodeEnd;
use super::text::Names;
use super::{ActionEnd, ServiceReporter, Stopped};
use crate::nodeset::NodeSet;
use crate::report::json::stream::Object;
use crate::service::{ActionId, Graph, ServiceId, Status, Target};

/// The version of the events.
const VERSION: u8 = 1;

/// Writes events.
pub struct ServiceJson<'g, W> {
    graph: &'g Graph,
    out: W,
    now: fn() -> SystemTime,
    actions: usize,
    failed: usize,
    services: BTreeMap<&'static str, usize>,
}

impl<W> std::fmt::Debug for ServiceJson<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceJson").finish_non_exhaustive()
    }
}

impl<'g, W: Write> ServiceJson<'g, W> {
    /// A report on a run over the graph; `now` tells the time.
    pub fn new(graph: &'g Graph, out: W, now: fn() -> SystemTime) -> Self {
        Self {
            graph,
            out,
            now,
            actions: 0,
            failed: 0,
            services: BTreeMap::new(),
        }
    }

    fn time(&self) -> String {
        humantime::format_rfc3339_millis((self.now)()).to_string()
    }

    fn emit(&mut self, event: &str, fields: Value) -> io::Result<()> {
        let mut line = Map::new();
        line.insert("v".into(), VERSION.into());
        line.insert("time".into(), self.time().into());
        line.insert("event".into(), event.into());
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        serde_json::to_writer(&mut self.out, &line)?;
        self.out.write_all(b"\n")
    }

    fn folded(&self, target: &Target) -> String {
        match target {
            Target::Local => "localhost".to_owned(),
            Target::Nodes(nodes) => {
                let names = self.graph.nodes();
                let set: NodeSet = nodes.iter().map(|node| &*names[node.index()]).collect();
                set.to_string()
            }
        }
    }
}

impl<W: Write> ServiceReporter for ServiceJson<'_, W> {
    fn delayed(&mut self, _action: ActionId, _target: &Target) -> io::Result<()> {
        Ok(())
    }

    fn started(&mut self, action: ActionId, target: &Target) -> io::Result<()> {
        let nodes = self.folded(target);
        let command = self.graph.action(action).task.text(&nodes);
        let name = self.graph.action_name(action);
        self.emit(
            "started",
            json!({"action": name, "nodes": nodes, "command": command}),
        )
    }

    fn ended(&mut self, end: ActionEnd) -> io::Result<()> {
        self.actions += 1;
        self.failed += usize::from(end.status.is_failure());
        let names = Names::of(self.graph, &end);
        let results: Vec<Value> = end
            .log
            .by_end()
            .into_iter()
            .map(|(ending, ranks)| {
                let code = match ending {
                    NodeEnd::Code(code) => Some(code),
                    NodeEnd::TimedOut => None,
                };
                json!({
                    "nodes": names.fold(&ranks),
                    "count": ranks.len(),
                    "status": code,
                    "timed_out": code.is_none(),
                })
            })
            .collect();
        let time = self.time();
        let mut event = Object::open(&mut self.out)?;
        event.field("v", &VERSION)?;
        event.field("time", &time)?;
        event.field("event", "finished")?;
        event.field("action", &self.graph.action_name(end.action))?;
        event.field("status", end.status.as_str())?;
        event.field("seconds", &end.took.as_secs_f64())?;
        event.field("results", &results)?;
        let mut outputs = event.list("outputs")?;
        for (ranks, output) in end.log.outputs() {
            let mut one = Object::open(outputs.item()?)?;
            one.field("nodes", &names.fold(&ranks))?;
            one.field("count", &ranks.len())?;
            one.said("stdout", output)?;
            one.close()?;
        }
        outputs.close()?;
        event.close()?;
        self.out.write_all(b"\n")
    }

    fn spared(&mut self, action: ActionId, status: Status) -> io::Result<()> {
        self.actions += usize::from(status != Status::Skipped);
        let name = self.graph.action_name(action);
        self.emit("spared", json!({"action": name, "status": status.as_str()}))
    }

    fn settled(&mut self, service: ServiceId, status: Status, _quiet: bool) -> io::Result<()> {
        *self.services.entry(status.as_str()).or_default() += 1;
        let name = &*self.graph.service(service).full_name;
        self.emit(
            "service",
            json!({"service": name, "status": status.as_str()}),
        )
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn interrupted(&mut self, running: &[Stopped], never: &[ServiceId]) -> io::Result<()> {
        let running: Vec<Value> = running
            .iter()
            .map(|stopped| {
                let nodes = match stopped.nodes.as_slice() {
                    [] => "localhost".to_owned(),
                    nodes => self.folded(&Target::Nodes(nodes.into())),
                };
                json!({"action": self.graph.action_name(stopped.action), "nodes": nodes})
            })
            .collect();
        let never: Vec<&str> = never
            .iter()
            .map(|id| &*self.graph.service(*id).full_name)
            .collect();
        self.emit(
            "interrupted",
            json!({"running": running, "never_started": never}),
        )?;
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        let services = json!(self.services);
        let (actions, failed) = (self.actions, self.failed);
        self.emit(
            "summary",
            json!({"actions": actions, "failed": failed, "services": services}),
        )?;
        self.out.flush()
    }
}
