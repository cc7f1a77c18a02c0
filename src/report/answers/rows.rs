//! Answers as rows of JSON.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::contents;
use crate::answer::{Answer, ChangeRow, Said, ServerRow};
use crate::haproxy::name::ServerName;
use crate::haproxy::stat;
use crate::haproxy::state::Server;
use crate::haproxy::usable::Fault;

/// A row in JSON, without its node.
pub(in crate::report) struct Row {
    /// The fields, the same for nodes that answered the same.
    pub(in crate::report) fields: Map<String, Value>,
    /// When it was so, where that is told.
    pub(in crate::report) at: Option<SystemTime>,
}

/// A kind of rows in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// The name of the list in a document.
    pub(in crate::report) name: &'static str,
    /// The name of an event with one row.
    pub(in crate::report) row: &'static str,
}

impl Table {
    /// The servers of `status`.
    pub const SERVERS: Self = Self::new("servers", "server");
    /// What a change did to servers.
    pub const CHANGES: Self = Self::new("changes", "change");
    /// Maps and ACLs.
    pub const MAPS: Self = Self::new("maps", "map");
    /// What maps and ACLs hold.
    pub const ENTRIES: Self = Self::new("entries", "entry");
    /// What a change did to a file in HAProxy's memory.
    pub const CONTENTS: Self = Self::new("contents", "content");
    /// What HAProxy says of its process.
    pub const INFO: Self = Self::new("info", "info");
    /// Counters.
    pub const STAT: Self = Self::new("stat", "stat");
    /// Sessions.
    pub const SESSIONS: Self = Self::new("sessions", "session");

    const fn new(name: &'static str, row: &'static str) -> Self {
        Self { name, row }
    }
}

/// Rows as they are asked for.
type Rows<'a> = Box<dyn Iterator<Item = Row> + 'a>;

/// An answer as typed rows; `None` for one that is text in JSON, too, because only the operator knows how to read it or
/// because it does not look as it should.
pub(in crate::report) fn rows(answer: &Answer) -> Option<(Table, Rows<'_>)> {
    match answer {
        Answer::Servers(servers) => Some((
            Table::SERVERS,
            Box::new(servers.rows.iter().map(server_row)),
        )),
        Answer::Changes(rows) => Some((Table::CHANGES, Box::new(rows.iter().map(change_row)))),
        Answer::Info(said) => Some((Table::INFO, each(said, info_rows)?)),
        Answer::Stat(said) => Some((Table::STAT, each(said, stat_rows)?)),
        Answer::Sessions(said) => Some((Table::SESSIONS, each(said, session_rows)?)),
        Answer::Lists(rows) => Some((Table::MAPS, contents(contents::list_rows(rows)))),
        Answer::Entries(rows) => Some((Table::ENTRIES, contents(contents::entry_rows(rows)))),
        Answer::Contents(rows) => Some((Table::CONTENTS, contents(contents::rows(rows)))),
        Answer::Raw(_) => None,
    }
}

fn contents<'a>(rows: impl Iterator<Item = Map<String, Value>> + 'a) -> Rows<'a> {
    Box::new(rows.map(|fields| Row { fields, at: None }))
}

/// The rows of all instances; `None` if one of them said something else.
fn each<'a>(
    said: &'a [Said],
    rows: impl Fn(Option<&'a str>, &'a str) -> Option<Rows<'a>>,
) -> Option<Rows<'a>> {
    let all = said.iter().map(|one| {
        let text = std::str::from_utf8(&one.text).ok()?;
        rows(one.instance.as_deref(), text)
    });
    let all: Option<Vec<Rows<'a>>> = all.collect();
    Some(Box::new(all?.into_iter().flatten()))
}

/// A row with what all rows begin with.
fn row(instance: Option<&str>, fields: Value) -> Row {
    let mut row = Map::new();
    row.insert("instance".into(), instance.into());
    if let Value::Object(fields) = fields {
        row.extend(fields);
    }
    Row {
        fields: row,
        at: None,
    }
}

/// A row about a server.
fn about(instance: Option<&str>, name: &ServerName, fields: Value) -> Row {
    let mut all = json!({ "backend": name.backend(), "server": name.server() });
    if let (Value::Object(all), Value::Object(fields)) = (&mut all, fields) {
        all.extend(fields);
    }
    row(instance, all)
}

fn server_row(of: &ServerRow) -> Row {
    let (server, counters) = (&of.server, of.counters.as_ref());
    let fields = json!({
        "id": server.id,
        "operational": server.operational.to_string(),
        "administrative": server.admin.word().to_string(),
        "usable": server.is_usable(),
        "reason": server.fault().map(Fault::as_str),
        "weight": server.weight,
        "initial_weight": server.initial_weight,
        "address": server.address,
        "sessions": counters.map(|counters| counters.sessions),
        "queue": counters.map(|counters| counters.queued),
        "status": counters.map(|counters| &counters.status),
        "check": counters.and_then(|counters| (!counters.check.is_empty()).then_some(&counters.check)),
        "tracks": counters.and_then(|counters| counters.tracked.as_ref().map(ToString::to_string)),
    });
    about(of.instance.as_deref(), &server.name, fields)
}

fn change_row(of: &ChangeRow) -> Row {
    let after = of.after.as_ref();
    let fields = json!({
        "before": of.before.words(),
        "after": after.map(Server::words),
        "weight_before": of.before.weight,
        "weight_after": after.map(|after| after.weight),
        "verdict": of.verdict.as_str(),
        "message": of.message,
    });
    Row {
        at: of.at,
        ..about(of.instance.as_deref(), &of.before.name, fields)
    }
}

/// Pairs of texts as an object.
fn values<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.into()));
    Value::Object(pairs.collect())
}

/// `show info`: one row with all its lines.
fn info_rows<'a>(instance: Option<&'a str>, text: &'a str) -> Option<Rows<'a>> {
    let pairs: Option<Vec<_>> = text.lines().map(|line| line.split_once(':')).collect();
    let pairs = pairs?
        .into_iter()
        .map(|(name, value)| (name, value.trim_start()));
    let fields = json!({ "values": values(pairs) });
    Some(Box::new(std::iter::once(row(instance, fields))))
}

/// `show stat`: a row for each proxy and server, without the columns that are empty.
fn stat_rows<'a>(instance: Option<&'a str>, text: &'a str) -> Option<Rows<'a>> {
    let (header, records) = stat::table(text)?;
    Some(Box::new(records.map(move |record| {
        let of = |name: &str| {
            let at = header.iter().position(|column| *column == name)?;
            record.get(at).map(String::as_str)
        };
        let kind = match of("type") {
            Some("0") => Some("frontend"),
            Some("1") => Some("backend"),
            Some("2") => Some("server"),
            Some("3") => Some("listener"),
            Some(_) | None => None,
        };
        let pairs = header
            .iter()
            .copied()
            .zip(record.iter().map(String::as_str));
        let pairs = pairs.filter(|(name, value)| !name.is_empty() && !value.is_empty());
        let fields = json!({
            "proxy": of("pxname"),
            "name": of("svname"),
            "kind": kind,
            "values": values(pairs),
        });
        row(instance, fields)
    })))
}

/// `show sess`: a row for each session; `name=value` and `name[…]` are its values.
fn session_rows<'a>(instance: Option<&'a str>, text: &'a str) -> Option<Rows<'a>> {
    let is_session = |line: &str| line.starts_with("0x") && line.contains(": ");
    if !text.lines().all(is_session) {
        return None;
    }
    Some(Box::new(text.lines().filter_map(move |line| {
        let (id, rest) = line.split_once(": ")?;
        let pairs = rest.split(' ').filter_map(|word| {
            let at = word.find(['=', '['])?;
            let value = word[at + 1..].trim_end_matches(']');
            Some((&word[..at], value))
        });
        Some(row(instance, json!({ "id": id, "values": values(pairs) })))
    })))
}
