//! Maps, ACLs and certificates: what there is, what it holds, and what a change made of it.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::start;
use crate::answer::{ChangeVerdict, ContentRow, EntriesRow, ListRow};

/// The fields of a row of JSON.
type Fields = Map<String, Value>;

/// The most lines of a difference that people are shown of one content.
const SHOWN: usize = 200;

/// `NAME: 4 entries`, and what is begun. Numbers, versions and who uses it differ from node to node, so they are in JSON
/// only.
pub(super) fn lists_text(rows: &[ListRow]) -> String {
    let mut text = String::new();
    for row in rows {
        start(&mut text, row.instance.as_deref());
        let list = &row.list;
        let name = list.file.as_deref().unwrap_or("(no file)");
        let _ = write!(text, "{name}: {}", plural(list.entries, "entry", "entries"));
        if list.is_open() {
            text.push_str(", a version is prepared and not served");
        }
        text.push('\n');
    }
    text
}

/// The entries as the lines of a file.
pub(super) fn entries_text(rows: &[EntriesRow]) -> String {
    if let [
        EntriesRow {
            instance: None,
            entries,
            ..
        },
    ] = rows
    {
        return entries.as_text().to_owned();
    }
    let mut text = String::new();
    for row in rows {
        for line in row.entries.as_text().lines() {
            start(&mut text, row.instance.as_deref());
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The difference of what is to be changed, or a line about what was.
pub(super) fn text(rows: &[ContentRow]) -> String {
    let mut text = String::new();
    for row in rows {
        let begin = |text: &mut String| {
            start(text, row.instance.as_deref());
            let _ = write!(text, "{}: ", row.name);
        };
        if row.verdict == ChangeVerdict::Planned {
            begin(&mut text);
            let _ = writeln!(text, "{} -> {} ({})", row.before, row.wanted, row.summary);
            for line in row.difference.iter().take(SHOWN) {
                start(&mut text, row.instance.as_deref());
                let _ = writeln!(text, "{line}");
            }
            if row.difference.len() > SHOWN {
                start(&mut text, row.instance.as_deref());
                let _ = writeln!(text, "and {} more lines", row.difference.len() - SHOWN);
            }
            continue;
        }
        begin(&mut text);
        let after = row.after.as_deref().unwrap_or("not read back");
        let _ = match row.verdict {
            ChangeVerdict::Unchanged => write!(text, "{after}, unchanged"),
            ChangeVerdict::Restored => write!(text, "{after}, taken back"),
            ChangeVerdict::Done if row.after.as_deref() == Some(row.before.as_str()) => {
                write!(text, "{after}")
            }
            ChangeVerdict::Failed if row.after.as_deref() == Some(row.before.as_str()) => {
                write!(text, "{after}, not changed")
            }
            ChangeVerdict::Done
            | ChangeVerdict::Failed
            | ChangeVerdict::Unverified
            | ChangeVerdict::Planned => write!(text, "{} -> {after}", row.before),
        };
        if let Some(file) = row.file {
            let _ = write!(text, "; file {file}");
        }
        text.push('\n');
    }
    text
}

fn plural(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    }
}

fn object(value: Value) -> Fields {
    let Value::Object(row) = value else {
        return Fields::new();
    };
    row
}

pub(super) fn list_rows(rows: &[ListRow]) -> impl Iterator<Item = Fields> {
    let row = |row: &ListRow| {
        object(json!({
            "instance": row.instance.as_deref(),
            "kind": row.kind.to_string(),
            "name": row.list.file,
            "id": row.list.id,
            "description": row.list.description,
            "entries": row.list.entries,
            "version": row.list.current,
            "next_version": row.list.next,
        }))
    };
    rows.iter().map(row)
}

pub(super) fn entry_rows(rows: &[EntriesRow]) -> impl Iterator<Item = Fields> {
    rows.iter().flat_map(|row| {
        row.entries.iter().map(move |(key, value)| {
            object(json!({
                "instance": row.instance.as_deref(),
                "kind": row.kind.to_string(),
                "name": row.name,
                "key": key,
                "value": value,
            }))
        })
    })
}

pub(super) fn rows(rows: &[ContentRow]) -> impl Iterator<Item = Fields> {
    let row = |row: &ContentRow| {
        object(json!({
            "instance": row.instance.as_deref(),
            "kind": row.kind,
            "name": row.name,
            "before": row.before,
            "wanted": row.wanted,
            "after": row.after,
            "difference": row.difference,
            "verdict": row.verdict.as_str(),
            "message": row.message,
            "file": row.file,
        }))
    };
    rows.iter().map(row)
}
