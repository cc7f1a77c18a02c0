//! For programs: one document at the end, or one event per line as it happens.
//!
//! The document is `{"schema":"hash/1","results":[…],"groups":[…],"summary":{…}}`, and behind that a list of rows for what
//! HAProxy answered. An event has `"v":1`, a UTC time and `"event"`: `started`, `line`, `finished`, `group`, `summary`, or
//! the kind of a row. Bytes that are not UTF-8 are base64 in a field with `_b64` behind its name. `schema/hash-1.json`
//! has all of it. What nodes said is written from where it is kept, piece by piece.

mod groups;
pub(super) mod stream;

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
use crate::gather::Gather;
use crate::lines::{Line, LineEnd, LineSplitter, Streams};
use crate::plan::NodeName;
use groups::{Alike, groups};
use stream::Object;

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
            tables: parts.look.rows.iter().map(|table| table.name).collect(),
            took: HashMap::new(),
            partial: Streams::default(),
        }
    }
}

impl<W: Write> Json<W> {
    fn time(&self) -> String {
        humantime::format_rfc3339_millis((self.now)()).to_string()
    }

    fn emit(&mut self, event: &str, fields: Value) -> io::Result<()> {
        let time = self.time();
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
    fn take_rows(
        &mut self,
        node: NodeId,
        table: Table,
        rows: impl Iterator<Item = Row>,
    ) -> io::Result<()> {
        self.tables.insert(table.name);
        for row in rows {
            let mut line = format!("{} ", table.name).into_bytes();
            serde_json::to_writer(&mut line, &row.fields)?;
            line.push(b'\n');
            self.rows.push(node.0, &line)?;
            if self.kind == Kind::Events {
                let mut fields = Map::new();
                fields.insert("node".into(), (*self.names[node.index()]).into());
                fields.extend(row.fields);
                if let Some(at) = row.at {
                    let at = humantime::format_rfc3339_millis(at).to_string();
                    fields.insert("at".into(), at.into());
                }
                self.emit(table.row, Value::Object(fields))?;
            }
        }
        Ok(())
    }

    /// Writes the rows of a table, node by node.
    fn write_table(&mut self, table: &str) -> io::Result<()> {
        let prefix = format!("{table} ");
        let mut is_first = true;
        for (key, name) in (0u32..).zip(&*self.names) {
            let start = format!("{{\"node\":{},", serde_json::to_string(&**name)?);
            let out = &mut self.out;
            let mut lines = LineSplitter::default();
            let mut is_meant = false;
            let mut give = |line: Line<'_>| {
                let mut text = line.text;
                if line.first {
                    let row = text.strip_prefix(prefix.as_bytes());
                    is_meant = row.is_some();
                    // The node is the first field of the row.
                    text = row.map_or(text, |row| row.strip_prefix(b"{").unwrap_or(row));
                }
                if !is_meant {
                    return Ok(());
                }
                if line.first {
                    if !std::mem::take(&mut is_first) {
                        out.write_all(b",")?;
                    }
                    out.write_all(start.as_bytes())?;
                }
                out.write_all(text)
            };
            for chunk in self.rows.output(key).chunks() {
                lines.push(&chunk?, &mut give)?;
            }
            lines.finish(&mut give)?;
        }
        Ok(())
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

    fn write_document(&mut self, summary: &Summary) -> io::Result<()> {
        let mut outcomes: Vec<_> = summary.outcomes.iter().collect();
        outcomes.sort_by_key(|(node, _)| *node);
        let results: Vec<_> = outcomes
            .into_iter()
            .map(|(node, outcome)| self.result(*node, outcome))
            .collect();
        let mut document = Object::open(&mut self.out)?;
        document.field("schema", "hash/1")?;
        document.field("results", &results)?;
        let mut list = document.list("groups")?;
        for group in groups(&self.said, &self.complained, &self.rows) {
            write_group(Object::open(list.item()?)?, &group, &self.names)?;
        }
        list.close()?;
        document.field("summary", &totals(summary))?;
        for table in std::mem::take(&mut self.tables) {
            write!(self.out, ",\"{table}\":[")?;
            self.write_table(table)?;
            self.out.write_all(b"]")?;
        }
        self.out.write_all(b"}")
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
        match self.kind {
            Kind::Events => {
                let time = self.time();
                for group in groups(&self.said, &self.complained, &self.rows) {
                    let mut event = Object::open(&mut self.out)?;
                    event.field("v", &VERSION)?;
                    event.field("time", &time)?;
                    event.field("event", "group")?;
                    write_group(event, &group, &self.names)?;
                    self.out.write_all(b"\n")?;
                }
                self.emit("summary", totals(summary))?;
            }
            Kind::Document => {
                self.write_document(summary)?;
                self.out.write_all(b"\n")?;
            }
        }
        self.out.flush()
    }
}

/// Writes the fields of a group and ends it.
fn write_group(mut object: Object<'_>, group: &Alike<'_>, names: &[NodeName]) -> io::Result<()> {
    object.field("nodes", &fold(names, group.nodes.iter().copied()))?;
    object.field("count", &group.nodes.len())?;
    object.field("status", &group.status)?;
    object.said("stdout", group.stdout)?;
    if !group.stderr.is_empty() {
        object.said("stderr", group.stderr)?;
    }
    object.close()
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
fn put_bytes(fields: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => fields.insert(name.into(), text.into()),
        Err(_) => fields.insert(format!("{name}_b64"), BASE64.encode(bytes).into()),
    };
}

fn seconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1000.0).round() / 1000.0
}
