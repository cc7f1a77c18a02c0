//! For programs: one document at the end, or one event per line as it happens.
//!
//! The document is `{"schema":"hash/1","results":[…],"groups":[…],"summary":{…}}`. An event has `"v":1`, a UTC
//! time and `"event"`: `started`, `line`, `finished`, `group`, `summary`. Bytes that are not UTF-8 are base64 in a
//! field with `_b64` behind its name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::answers::{self, Row, Table};
use super::format::{Audience, Format, Parts, Switch};
use super::notes::fold;
use super::reporter::Reporter;
use crate::event::{Ending, Event, NodeId, Outcome, Stream, Summary};
use crate::gather::{Gather, Output};
use crate::lines::{LineEnd, Streams};
use crate::plan::NodeName;

pub(super) const DOCUMENT: Format = Format {
    name: "json",
    about: "one document for programs, when all is over",
    switch: Some(Switch {
        long: "json",
        short: None,
        about: "Short for --output json",
    }),
    audience: Audience::Programs,
    make: |parts| Box::new(Json::new(parts, Kind::Document)),
};

pub(super) const EVENTS: Format = Format {
    name: "jsonl",
    about: "one event a line for programs, as it happens",
    switch: Some(Switch {
        long: "jsonl",
        short: None,
        about: "Short for --output jsonl",
    }),
    audience: Audience::Programs,
    make: |parts| Box::new(Json::new(parts, Kind::Events)),
};

/// The version of the events.
const VERSION: u8 = 1;

/// Which of the two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Document,
    Events,
}

/// Writes JSON.
#[derive(Debug)]
pub struct Json<W> {
    pub(super) out: W,
    pub(super) names: Arc<[NodeName]>,
    pub(super) kind: Kind,
    pub(super) now: fn() -> SystemTime,
    pub(super) said: Gather,
    pub(super) complained: Gather,
    /// Rows of answers, one a line behind the name of their table, so that equal ones are kept once.
    pub(super) rows: Gather,
    pub(super) tables: BTreeSet<&'static str>,
    pub(super) took: HashMap<NodeId, Duration>,
    pub(super) partial: Streams,
}

impl<'a> Json<Box<dyn Write + 'a>> {
    fn new(parts: Parts<'_, 'a>, kind: Kind) -> Self {
        Self {
            said: parts.gather(),
            complained: parts.gather(),
            rows: parts.gather(),
            names: parts.names,
            out: parts.out,
            kind,
            now: SystemTime::now,
            tables: BTreeSet::new(),
            took: HashMap::new(),
            partial: Streams::default(),
        }
    }
}

impl<W: Write> Json<W> {
    fn emit(&mut self, event: &str, fields: Value) -> io::Result<()> {
        let time = humantime::format_rfc3339_millis((self.now)()).to_string();
        let mut line = Map::new();
        line.insert("v".into(), VERSION.into());
        line.insert("time".into(), time.into());
        line.insert("event".into(), event.into());
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        serde_json::to_writer(&mut self.out, &line)?;
        self.out.write_all(b"\n")
    }

    fn lines(&mut self, node: NodeId, stream: Stream, data: Option<&[u8]>) -> io::Result<()> {
        let name = Arc::clone(&self.names[node.index()]);
        let mut partial = std::mem::take(&mut self.partial);
        let given = partial.take(node, stream, data, |line| {
            let mut fields = Map::new();
            fields.insert("node".into(), (*name).into());
            fields.insert("stream".into(), stream_name(stream).into());
            put_bytes(&mut fields, "line", line.text);
            if line.end == LineEnd::More {
                fields.insert("more".into(), true.into());
            }
            self.emit("line", Value::Object(fields))
        });
        self.partial = partial;
        given
    }

    /// Keeps rows for the end, and tells them now if it is the time.
    fn take_rows(&mut self, node: NodeId, table: Table, rows: Vec<Row>) -> io::Result<()> {
        self.tables.insert(table.name);
        for row in rows {
            let mut line = format!("{} ", table.name).into_bytes();
            serde_json::to_writer(&mut line, &row)?;
            line.push(b'\n');
            self.rows.push(node.0, &line)?;
            if self.kind == Kind::Events {
                let mut fields = Map::new();
                fields.insert("node".into(), (*self.names[node.index()]).into());
                fields.extend(row);
                self.emit(table.row, Value::Object(fields))?;
            }
        }
        Ok(())
    }

    /// The rows of a table, node by node.
    fn table(&self, table: &str) -> io::Result<Vec<Value>> {
        let mut all = Vec::new();
        for (key, name) in (0u32..).zip(&*self.names) {
            for line in self.rows.output(key).to_vec()?.split(|byte| *byte == b'\n') {
                let row = line.strip_prefix(table.as_bytes());
                let Some(row) = row.and_then(|row| row.strip_prefix(b" ")) else {
                    continue;
                };
                let mut fields = Map::new();
                fields.insert("node".into(), (**name).into());
                fields.extend(serde_json::from_slice::<Row>(row)?);
                all.push(Value::Object(fields));
            }
        }
        Ok(all)
    }

    /// Nodes with the same status that answered the same and said the same on both streams.
    fn groups(&self) -> io::Result<Vec<Value>> {
        let complained: HashMap<u32, (usize, Output<'_>)> = self
            .complained
            .groups()
            .iter()
            .enumerate()
            .flat_map(|(index, group)| {
                group
                    .keys
                    .iter()
                    .map(move |key| (*key, (index, group.output)))
                    .collect::<Vec<_>>()
            })
            .collect();
        let alike = self.rows.groups();
        let rows: HashMap<u32, usize> = alike
            .iter()
            .enumerate()
            .flat_map(|(index, group)| group.keys.iter().map(move |key| (*key, index)))
            .collect();
        let mut groups = Vec::new();
        for group in self.said.groups() {
            let mut parts: BTreeMap<_, (Vec<u32>, Option<Output<'_>>)> = BTreeMap::new();
            for key in group.keys {
                let complaint = complained.get(&key);
                let same = (complaint.map(|(index, _)| *index), rows.get(&key));
                let part = parts.entry(same).or_default();
                part.0.push(key);
                part.1 = complaint.map(|(_, output)| *output);
            }
            for (keys, complaint) in parts.into_values() {
                let mut fields = Map::new();
                fields.insert(
                    "nodes".into(),
                    fold(&self.names, keys.iter().copied().map(NodeId)).into(),
                );
                fields.insert("count".into(), keys.len().into());
                fields.insert("status".into(), group.status.into());
                put_bytes(&mut fields, "stdout", &group.output.to_vec()?);
                if let Some(output) = complaint.filter(|output| !output.is_empty()) {
                    put_bytes(&mut fields, "stderr", &output.to_vec()?);
                }
                groups.push(Value::Object(fields));
            }
        }
        Ok(groups)
    }

    fn result(&self, node: NodeId, outcome: &Outcome) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("node".into(), (*self.names[node.index()]).into());
        fields.insert("status".into(), outcome.status().into());
        match outcome {
            Outcome::Exited { .. } => {}
            Outcome::Killed { signal } => {
                fields.insert("signal".into(), signal.as_str().into());
                fields.insert(
                    "code".into(),
                    crate::event::ErrorCode::Signal.as_str().into(),
                );
            }
            Outcome::Failed(failure) => {
                fields.insert("code".into(), failure.code.as_str().into());
                fields.insert("message".into(), failure.message.as_str().into());
                if let Some(detail) = &failure.detail {
                    fields.insert("detail".into(), detail.as_str().into());
                }
            }
        }
        if let Some(took) = self.took.get(&node) {
            fields.insert("seconds".into(), seconds(*took).into());
        }
        fields
    }

    fn show(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { node } if self.kind == Kind::Events => {
                let name = Arc::clone(&self.names[node.index()]);
                self.emit("started", json!({ "node": &*name }))
            }
            Event::Started { .. } => Ok(()),
            Event::Output { node, stream, data } => {
                let gather = if *stream == Stream::Out {
                    &mut self.said
                } else {
                    &mut self.complained
                };
                gather.push(node.0, data)?;
                if self.kind == Kind::Events {
                    self.lines(*node, *stream, Some(data))
                } else {
                    Ok(())
                }
            }
            Event::Answer { node, answer } => match answers::rows(answer) {
                Some((table, rows)) => self.take_rows(*node, table, rows),
                None => match answers::output(*node, answer) {
                    Some(output) => self.show(&output),
                    None => Ok(()),
                },
            },
            Event::Finished {
                node,
                outcome,
                took,
            } => {
                self.rows.finish(node.0, outcome.status());
                self.said.finish(node.0, outcome.status());
                self.complained.finish(node.0, outcome.status());
                self.took.insert(*node, *took);
                if self.kind == Kind::Document {
                    return Ok(());
                }
                self.lines(*node, Stream::Out, None)?;
                self.lines(*node, Stream::Err, None)?;
                let fields = self.result(*node, outcome);
                self.emit("finished", Value::Object(fields))
            }
        }
    }
}

impl<W: Write> Reporter for Json<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.show(event)?;
        match self.kind {
            // A reader sees each event as it happens, and costs a call per event, not per line.
            Kind::Events => self.out.flush(),
            Kind::Document => Ok(()),
        }
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        let groups = self.groups()?;
        match self.kind {
            Kind::Events => {
                for group in groups {
                    self.emit("group", group)?;
                }
                self.emit("summary", totals(summary))?;
            }
            Kind::Document => {
                let mut outcomes: Vec<_> = summary.outcomes.iter().collect();
                outcomes.sort_by_key(|(node, _)| *node);
                let results: Vec<Value> = outcomes
                    .into_iter()
                    .map(|(node, outcome)| Value::Object(self.result(*node, outcome)))
                    .collect();
                let mut document = json!({ "schema": "hash/1", "results": results, "groups": groups, "summary": totals(summary) });
                for table in &self.tables {
                    document[table] = self.table(table)?.into();
                }
                serde_json::to_writer(&mut self.out, &document)?;
                self.out.write_all(b"\n")?;
            }
        }
        self.out.flush()
    }
}

/// How many ended how.
fn totals(summary: &Summary) -> Value {
    let (mut ok, mut nonzero, mut killed) = (0, 0, 0);
    let mut errors: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, outcome) in &summary.outcomes {
        match outcome {
            Outcome::Exited { status: 0 } => ok += 1,
            Outcome::Exited { .. } => nonzero += 1,
            Outcome::Killed { .. } => killed += 1,
            Outcome::Failed(failure) => *errors.entry(failure.code.as_str()).or_default() += 1,
        }
    }
    let ended = match summary.ending {
        None => "complete",
        Some(Ending::Stopped) => "stopped",
        Some(Ending::Deadline) => "deadline",
        Some(Ending::Threshold(_)) => "threshold",
        Some(Ending::OutputLost(_)) => "output_lost",
    };
    json!({
        "nodes": summary.outcomes.len(), "ok": ok, "nonzero": nonzero, "killed": killed,
        "failed": errors.values().sum::<usize>(), "errors": errors, "ended": ended,
    })
}

fn stream_name(stream: Stream) -> &'static str {
    match stream {
        Stream::Out => "stdout",
        Stream::Err => "stderr",
    }
}

/// Text under the name, other bytes as base64 under the name with `_b64`.
pub(super) fn put_bytes(fields: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => fields.insert(name.into(), text.into()),
        Err(_) => fields.insert(format!("{name}_b64"), BASE64.encode(bytes).into()),
    };
}

fn seconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1000.0).round() / 1000.0
}
