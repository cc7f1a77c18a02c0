//! Whether what was reported of a run is true.

use std::time::Duration;

use serde_json::Value;

use super::case::{Ask, Case, Disk, NODES};
use super::fault::{Happened, What};
use super::judge_ledger;
use super::world::{Row, Run};

/// A reload that was begun takes its time to be known to anybody.
const RELOAD: Duration = Duration::from_millis(700);

/// What is wrong with a report; nothing if it is true.
pub(crate) fn all(case: &Case, run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    others(case, run, &mut wrong);
    guarded(run, &mut wrong);
    if run.code.is_some() {
        success(case, run, &mut wrong);
        failure(case, run, &mut wrong);
        rows(case, run, &mut wrong);
    }
    judge_ledger::judge(case, run, &mut wrong);
    undone(case, run, &mut wrong);
    wrong
}

/// What was asked of the nodes that changes something.
pub(crate) fn is_write(text: &str) -> bool {
    text.starts_with("set ") || text.starts_with("shutdown ") || text.starts_with("enable ")
}

fn is_reading(text: &str) -> bool {
    text.starts_with("show cli level")
}

/// Whether HAProxy may have become otherwise on a node after the program looked at it for the last time.
pub(crate) fn is_disturbed(run: &Run, node: &str) -> bool {
    let seen = || run.seen.iter().filter(|seen| seen.node == node);
    let last =
        seen().rfind(|seen| matches!(&seen.what, Happened::Asked(_, text) if is_reading(text)));
    seen().any(|seen| {
        let Happened::Began(what) = &seen.what else {
            return false;
        };
        let late = match what {
            What::BeginReload => RELOAD,
            What::Reload | What::Kill | What::Operator(_) => Duration::ZERO,
            What::Freeze(_)
            | What::HangUp
            | What::Sever
            | What::Interrupt
            | What::Terminate
            | What::KillUs
            | What::DiskFull => return false,
        };
        last.is_none_or(|last| seen.at + late >= last.at)
    })
}

/// Whether somebody else had a hand in it on a node.
fn is_touched_by_others(run: &Run, node: &str) -> bool {
    run.seen.iter().any(|seen| {
        let others = matches!(
            &seen.what,
            Happened::Began(What::Reload | What::BeginReload | What::Kill | What::Operator(_))
        );
        seen.node == node && others
    })
}

/// Servers and nodes that are not meant are left alone.
fn others(case: &Case, run: &Run, wrong: &mut Vec<String>) {
    for node in NODES {
        let (before, Some(after)) = (&run.before[node], run.after.get(node)) else {
            continue;
        };
        if is_touched_by_others(run, node) {
            continue;
        }
        let is_meant = |name: &str| case.nodes.contains(&node) && case.servers.contains(&name);
        for (name, row) in before.iter().filter(|(name, _)| !is_meant(name)) {
            let now = after.get(name);
            if now.map(|now| (now.mask, now.weight)) != Some((row.mask, row.weight)) {
                wrong.push(format!(
                    "{node}: {name} was not meant and is {now:?}, not {row:?}"
                ));
            }
        }
    }
}

/// What was refused on purpose has written nothing.
fn guarded(run: &Run, wrong: &mut Vec<String>) {
    for seen in &run.seen {
        if let (Some(4), Happened::Asked(_, text)) = (run.code, &seen.what)
            && is_write(text)
        {
            wrong.push(format!("refused with 4, and {} got `{text}`", seen.node));
        }
    }
}

/// Exit code 0: it is true on every node.
fn success(case: &Case, run: &Run, wrong: &mut Vec<String>) {
    if run.code != Some(0) {
        return;
    }
    for node in case.nodes.iter().filter(|node| !is_disturbed(run, node)) {
        let Some(after) = run.after.get(node) else {
            wrong.push(format!("exit code 0, and {node} does not answer"));
            continue;
        };
        for name in case.servers {
            let row = after[*name];
            if !case.is_wanted(row.mask, row.weight) {
                wrong.push(format!("exit code 0, and {node}: {name} is {row:?}"));
            }
            if case.ask == Ask::Enable && row.operational != 2 {
                wrong.push(format!("exit code 0, and {node}: {name} does not run"));
            }
        }
        let waits = matches!(case.ask, Ask::Drain { wait: Some(_), then } if then != Some("kill"));
        if let (true, Some((at, on, true))) = (waits, &run.client)
            && at == node
            && case.servers.contains(&on.as_str())
        {
            wrong.push(format!(
                "exit code 0 after a wait, and {node}: {on} has a client"
            ));
        }
    }
}

/// Another code: something is wrong, and it is said where.
fn failure(case: &Case, run: &Run, wrong: &mut Vec<String>) {
    if run.code == Some(0) {
        return;
    }
    // A signal at the very end finds nothing that went wrong.
    let is_stopped = matches!(run.code, Some(130 | 143)) && is_as_wanted(case, run);
    if !is_stopped && !run.stderr.contains("lb") && !names_a_node(run) {
        wrong.push("a failure, and no node is named".to_owned());
    }
    let is_quiet = case.faults.is_empty() && case.client.is_none() && case.disk == Disk::Good;
    if is_quiet && run.code != Some(4) {
        wrong.push("nothing happened, and it failed".to_owned());
    }
    let nothing_began = !run
        .seen
        .iter()
        .any(|seen| matches!(seen.what, Happened::Began(_)));
    if nothing_began && !matches!(run.code, Some(1 | 4)) {
        wrong.push(format!(
            "nothing happened, and the exit code is {:?}",
            run.code
        ));
    }
}

/// Taken back with exit code 0: what was written has what it had, and nothing else is otherwise.
fn undone(case: &Case, run: &Run, wrong: &mut Vec<String>) {
    let Some(undo) = &run.undo else { return };
    if undo.code != Some(0) && undo.said.is_empty() {
        wrong.push("not taken back, and nobody says so".to_owned());
    }
    for (node, after) in &undo.after {
        let Some(left) = run.after.get(node) else {
            continue;
        };
        for (name, row) in after {
            let is_meant = case.nodes.contains(node) && case.servers.contains(&name.as_str());
            let other = left
                .get(name)
                .filter(|left| (left.mask, left.weight) != (row.mask, row.weight));
            if let (false, Some(other), false) = (is_meant, other, is_touched_by_others(run, node))
            {
                wrong.push(format!(
                    "taking back made {node}: {name} {row:?} of {other:?}"
                ));
            }
        }
    }
    if undo.code != Some(0) {
        return;
    }
    for line in run
        .ledger
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
    {
        let node = line["node"].as_str().unwrap_or_default();
        let rows = line["rows"].as_array().into_iter().flatten();
        let written = rows.filter(|row| {
            row["commands"]
                .as_array()
                .is_some_and(|sent| !sent.is_empty())
        });
        for row in written {
            let name = row["server"].as_str().unwrap_or_default();
            let Some(now) = undo.after.get(node).and_then(|after| after.get(name)) else {
                wrong.push(format!("taken back, and {node}: {name} does not answer"));
                continue;
            };
            let is_weight = matches!(case.ask, Ask::Weight(_));
            let is_back = match is_weight {
                true => row["weight_before"] == now.weight,
                false => {
                    row["set_before"].as_str().map(str::to_uppercase).as_deref()
                        == Some(admin(*now))
                }
            };
            if !is_back {
                wrong.push(format!("taken back, and {node}: {name} is {now:?}: {row}"));
            }
        }
    }
}

/// Whether all is as was asked for.
fn is_as_wanted(case: &Case, run: &Run) -> bool {
    let wanted = |node: &&str| {
        let after = run.after.get(*node);
        after.is_some_and(|after| {
            let mut rows = case.servers.iter().map(|name| after[*name]);
            rows.all(|row| case.is_wanted(row.mask, row.weight))
        })
    };
    case.nodes
        .iter()
        .all(|node| wanted(node) || is_disturbed(run, node))
}

/// Whether the report has a node that failed, with the reason.
fn names_a_node(run: &Run) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(&run.stdout) else {
        return false;
    };
    let mut results = document["results"].as_array().into_iter().flatten();
    results.any(|result| {
        let says_why = result["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty());
        result["status"] != 0 && says_why
    })
}

/// The rows of a report: each is as HAProxy has it, and each server has one.
fn rows(case: &Case, run: &Run, wrong: &mut Vec<String>) {
    let Some(told) = changes(run) else {
        wrong.push("the report is no JSON".to_owned());
        return;
    };
    for row in &told {
        if let Err(why) = row_is_true(case, run, row) {
            wrong.push(format!("{why}: {row}"));
        }
    }
    if run.code != Some(0) {
        return;
    }
    for node in case.nodes {
        for name in case.servers {
            let is_there = told.iter().any(|row| {
                row["node"] == *node
                    && name_of(row) == *name
                    && matches!(row["verdict"].as_str(), Some("done" | "unchanged"))
            });
            if !is_there {
                wrong.push(format!(
                    "exit code 0, and no row says {node}: {name} is done"
                ));
            }
        }
    }
}

/// The rows about changes; none is a report that cannot be read.
pub(crate) fn changes(run: &Run) -> Option<Vec<Value>> {
    let document: Value = serde_json::from_str(&run.stdout).ok()?;
    document["results"].as_array()?;
    let none = Vec::new();
    Some(document["changes"].as_array().unwrap_or(&none).clone())
}

pub(crate) fn name_of(row: &Value) -> String {
    format!(
        "{}/{}",
        row["backend"].as_str().unwrap_or(""),
        row["server"].as_str().unwrap_or("")
    )
}

fn admin(row: Row) -> &'static str {
    match row.mask {
        mask if mask & 0x23 != 0 => "MAINT",
        mask if mask & 0x18 != 0 => "DRAIN",
        _ => "READY",
    }
}

fn says(words: &Value, row: Row) -> bool {
    let words = words.as_str().unwrap_or_default();
    words
        .split_once('/')
        .is_some_and(|(_, word)| word == admin(row))
}

fn row_is_true(case: &Case, run: &Run, row: &Value) -> Result<(), String> {
    let node = row["node"].as_str().unwrap_or_default();
    let name = name_of(row);
    if !case.nodes.contains(&node) || !case.servers.contains(&name.as_str()) {
        return Err("a row of what was not meant".to_owned());
    }
    let (before, verdict) = (
        run.before[node][&name],
        row["verdict"].as_str().unwrap_or_default(),
    );
    let touched = is_touched_by_others(run, node);
    if !touched && (!says(&row["before"], before) || row["weight_before"] != before.weight) {
        return Err(format!("it was {before:?} before"));
    }
    if verdict == "restored" && row["after"] != row["before"] && !touched {
        let states = |words: &Value| {
            words
                .as_str()
                .and_then(|words| Some(words.split_once('/')?.1.to_owned()))
        };
        if states(&row["after"]) != states(&row["before"]) {
            return Err("restored, and not as before".to_owned());
        }
    }
    if is_disturbed(run, node) || verdict == "unverified" {
        return Ok(());
    }
    let Some(after) = run.after.get(node) else {
        return match row["after"].is_null() {
            true => Ok(()),
            false => Err(format!("{node} does not answer")),
        };
    };
    let now = after[&name];
    if !row["after"].is_null() && (!says(&row["after"], now) || row["weight_after"] != now.weight) {
        return Err(format!("it is {now:?} now"));
    }
    let is_done = matches!(verdict, "done" | "unchanged");
    if is_done && row["after"].is_null() {
        return Err("done, and never read back".to_owned());
    }
    if is_done && !case.is_wanted(now.mask, now.weight) {
        return Err(format!("done, and it is {now:?}"));
    }
    Ok(())
}
