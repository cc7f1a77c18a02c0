//! Whether the audit log of a run is true.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::case::{Case, Disk};
use super::fault::{Happened, What};
use super::judge::{changes, is_write, name_of};
use super::world::Run;

/// The log has whole milliseconds only.
const ROUNDED: Duration = Duration::from_millis(2);

pub(crate) fn judge(case: &Case, run: &Run, wrong: &mut Vec<String>) {
    let mut lines = Vec::new();
    for line in &run.ledger {
        match serde_json::from_str::<Value>(line) {
            Ok(line) => lines.push(line),
            Err(_) => wrong.push(format!("half a line in the audit log: {line}")),
        }
    }
    let began = |wanted: &What| {
        let mut seen = run.seen.iter();
        seen.find(|seen| matches!(&seen.what, Happened::Began(what) if what == wanted))
    };
    let filled = began(&What::DiskFull).map(|seen| seen.at);
    let first_write = run.seen.iter().find(|seen| is_asked_to_write(&seen.what));
    match case.disk {
        Disk::Good => {}
        Disk::FullAndRequired => {
            if let Some(write) = first_write {
                wrong.push(format!("no audit log, and {} was written to", write.node));
            }
            return;
        }
        Disk::Full => {
            let is_told = run.stderr.contains("cannot write the audit log");
            if first_write.is_some() && !is_told && run.code.is_some() {
                wrong.push("the audit log is full, and nobody says so".to_owned());
            }
            return;
        }
    }
    for node in case.nodes {
        let writes =
            |seen: &&super::fault::Seen| seen.node == *node && is_asked_to_write(&seen.what);
        let Some(first) = run.seen.iter().find(writes) else {
            continue;
        };
        if filled.is_some_and(|filled| filled <= first.at) {
            continue;
        }
        let of_node = |kind: &str| {
            let mut lines = lines.iter();
            lines.find(|line| line["node"] == *node && line["kind"] == kind)
        };
        match of_node("intent").map(time) {
            None => wrong.push(format!(
                "{node} was written to, and no intent was written down"
            )),
            Some(Some(time)) if time <= first.clock + ROUNDED => {}
            Some(time) => wrong.push(format!("the intent of {node} came too late, {time:?}")),
        }
        if run.code.is_none() {
            continue;
        }
        match of_node("result") {
            None if filled.is_some() => {}
            None => wrong.push(format!("no result of {node} was written down")),
            Some(result) => same_rows(run, node, result, wrong),
        }
    }
    let is_told = run.stderr.contains("cannot write the audit log");
    let has_result = lines.iter().any(|line| line["kind"] == "result");
    if filled.is_some() && first_write.is_some() && run.code.is_some() && !has_result && !is_told {
        wrong.push("the audit log was full, and nobody says so".to_owned());
    }
}

fn is_asked_to_write(what: &Happened) -> bool {
    matches!(what, Happened::Asked(_, text) if is_write(text))
}

fn time(line: &Value) -> Option<SystemTime> {
    humantime::parse_rfc3339(line["time"].as_str()?).ok()
}

/// The log and the report say the same.
fn same_rows(run: &Run, node: &str, result: &Value, wrong: &mut Vec<String>) {
    let none = Vec::new();
    let logged = result["rows"].as_array().unwrap_or(&none);
    for row in changes(run)
        .unwrap_or_default()
        .iter()
        .filter(|row| row["node"] == node)
    {
        let name = name_of(row);
        let Some(line) = logged.iter().find(|line| line["server"] == name.as_str()) else {
            wrong.push(format!("the audit log has no {node}: {name}"));
            continue;
        };
        for key in [
            "before",
            "after",
            "weight_before",
            "weight_after",
            "verdict",
        ] {
            if line[key] != row[key] {
                wrong.push(format!(
                    "{node}: {name}: {key} is {} in the report and {} in the audit log",
                    row[key], line[key]
                ));
            }
        }
    }
}
