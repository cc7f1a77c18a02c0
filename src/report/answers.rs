//! What HAProxy answered, as text and as rows of JSON: the one place that knows how an answer looks.

mod contents;
mod many;
mod rows;

use std::fmt::Write;

use bytes::Bytes;

use crate::answer::{Answer, ChangeRow, ChangeVerdict, Form, Said, ServerRow, Servers};
use crate::event::{Event, NodeId, Stream};
use crate::haproxy::state::Server;

pub use rows::Table;
pub(super) use rows::{Row, rows};

/// What stands above the rows of `status`. "frontend_name" really is the server's; the words are older than we are.
const HEADER: &str =
    "# Format\n# backend_name/frontend_name: operational_state/administrative_state\n\n";

/// An answer as the output of its node, for what shows text; `None` if there is nothing to show.
pub(crate) fn output(node: NodeId, answer: &Answer) -> Option<Event> {
    let data = text(answer);
    let stream = Stream::Out;
    (!data.is_empty()).then_some(Event::Output { node, stream, data })
}

/// Whether its lines hold states of servers.
pub(super) fn has_states(answer: &Answer) -> bool {
    matches!(answer, Answer::Servers(_) | Answer::Changes(_))
}

/// An answer as text.
fn text(answer: &Answer) -> Bytes {
    match answer {
        Answer::Servers(servers) => servers_text(servers).into(),
        Answer::Changes(rows) => rows.iter().map(change_line).collect::<String>().into(),
        Answer::Lists(rows) => contents::lists_text(rows).into(),
        Answer::Entries(rows) => contents::entries_text(rows).into(),
        Answer::Contents(rows) => contents::text(rows).into(),
        Answer::Info(said) | Answer::Stat(said) | Answer::Sessions(said) | Answer::Raw(said) => {
            said_text(said)
        }
    }
}

fn servers_text(servers: &Servers) -> String {
    if servers.form == Form::Summary {
        return many::summary(&servers.rows);
    }
    let mut text = HEADER.to_owned();
    if servers.form == Form::Fold {
        many::fold(&mut text, &servers.rows);
        return text;
    }
    for row in &servers.rows {
        start(&mut text, row.instance.as_deref());
        let _ = write!(text, "{}: ", row.server.name);
        if servers.form == Form::Long {
            details(&mut text, row);
        } else {
            text.push_str(&state(&row.server));
        }
        text.push('\n');
    }
    text
}

/// `OPERATIONAL/ADMIN`, and the reason where these would hide that a server is not usable.
pub(super) fn state(server: &Server) -> String {
    match server.fault().filter(|fault| fault.is_hidden()) {
        Some(fault) => format!("{} ({fault})", server.words()),
        None => server.words(),
    }
}

/// What stands in front of a row.
pub(super) fn start(out: &mut String, instance: Option<&str>) {
    if let Some(instance) = instance {
        let _ = write!(out, "{instance}: ");
    }
}

/// The states with the reason, the weight, the sessions and the check. These differ from node to node, so they are for
/// those who ask.
fn details(out: &mut String, row: &ServerRow) {
    let server = &row.server;
    out.push_str(&server.words());
    if let Some(fault) = server.fault() {
        let _ = write!(out, " ({fault})");
    }
    let _ = write!(out, " weight={}", server.weight);
    if server.weight != server.initial_weight {
        let _ = write!(out, "/{}", server.initial_weight);
    }
    if let Some(counters) = &row.counters {
        let _ = write!(
            out,
            " sessions={} queue={} status=\"{}\"",
            counters.sessions, counters.queued, counters.status
        );
        if !counters.check.is_empty() {
            let _ = write!(out, " check={}", counters.check);
        }
        if let Some(tracked) = &counters.tracked {
            let _ = write!(out, " track={tracked}");
        }
    }
}

/// What a change made of a server.
fn change_line(row: &ChangeRow) -> String {
    let mut line = String::new();
    start(&mut line, row.instance.as_deref());
    let show = |server: &Server| row.wanted.shown(server);
    let (name, old) = (&row.before.name, show(&row.before));
    let Some(new) = row.after.as_ref().map(show) else {
        let _ = writeln!(line, "{name}: {old} -> not read back");
        return line;
    };
    let _ = match row.verdict {
        ChangeVerdict::Planned => {
            let target = row.wanted.target(&row.before);
            writeln!(line, "{name}: {old}, would become {target}")
        }
        ChangeVerdict::Unchanged => writeln!(line, "{name}: {new}, unchanged"),
        ChangeVerdict::Restored => writeln!(line, "{name}: {new}, taken back"),
        ChangeVerdict::Unverified => writeln!(line, "{name}: {old} -> {new}, not known at the end"),
        ChangeVerdict::Failed if old == new => writeln!(line, "{name}: {new}, not changed"),
        ChangeVerdict::Failed | ChangeVerdict::Done => writeln!(line, "{name}: {old} -> {new}"),
    };
    line
}

/// HAProxy's own words, each line with its instance in front where there are several.
fn said_text(said: &[Said]) -> Bytes {
    if let [
        Said {
            instance: None,
            text,
        },
    ] = said
    {
        return text.clone();
    }
    let mut out = Vec::new();
    for Said { instance, text } in said {
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if let Some(instance) = instance {
                out.extend_from_slice(instance.as_bytes());
                out.extend_from_slice(b": ");
            }
            out.extend_from_slice(line);
        }
    }
    out.into()
}

#[cfg(test)]
mod tests;
