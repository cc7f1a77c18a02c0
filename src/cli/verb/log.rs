//! `log`: the changes that were written down.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::SystemTime;

use clap::Args;
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::VerbArgs;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::ledger::history::{History, OnNode, Past, Verdict};
use crate::cli::ledger::{self, Line};
use crate::cli::resolve::{Invocation, nodes, show, sockets};
use crate::cli::task::{Here, Request};
use crate::exec::change::{LedgerContent, LedgerRow};
use crate::haproxy::select::Selector;
use crate::nodeset::{self, GroupError, Groups, NodeSet};
use crate::report::text::write_visible;

/// The most rows of one change that are shown where none was asked for by its id.
const SHOWN: usize = 20;

/// Arguments of `log`.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// Only these changes, with all of their rows
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Only what was done on these nodes
    #[arg(long, value_name = "NODES")]
    pub node: Vec<String>,
    /// Only these servers, as [BACKEND/]SERVER with node-set brackets, * and ?
    #[arg(long, value_name = "SEL")]
    pub server: Vec<String>,
    /// Only what was begun since then: a date and time (UTC), or so long ago, such as 2h
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<SystemTime>,
    /// Only changes with this end on some node
    #[arg(long, value_name = "VERDICT")]
    pub verdict: Vec<Verdict>,
}

/// A time of day, or how long ago it was.
fn since(text: &str) -> Result<SystemTime, String> {
    let wrong = || {
        format!(
            "`{text}` is no time; write a date such as 2026-01-31, a time behind it, or how long ago: 30m, 2h, 7days"
        )
    };
    let text = text.trim();
    if let Ok(ago) = humantime::parse_duration(text) {
        return SystemTime::now().checked_sub(ago).ok_or_else(wrong);
    }
    let whole = match text.len() {
        10 => format!("{text} 00:00:00"),
        16 => format!("{text}:00"),
        _ => text.to_owned(),
    };
    humantime::parse_rfc3339_weak(&whole).map_err(|_| wrong())
}

impl VerbArgs for LogArgs {
    fn request(self) -> Result<Request, CliError> {
        sockets::selectors(&self.server)?;
        Ok(Request::Here(Box::new(self)))
    }
}

/// What of the log is wanted.
struct Filter<'a> {
    args: &'a LogArgs,
    servers: Vec<Selector>,
    user: Option<&'a str>,
}

impl Filter<'_> {
    /// What the line alone can tell.
    fn line(&self, line: &Line) -> bool {
        let ids = &self.args.ids;
        (ids.is_empty() || ids.contains(&line.id)) && self.user.is_none_or(|user| user == line.user)
    }

    /// Leaves of a change what is wanted; nothing may be left.
    fn change(&self, change: &mut Past, nodes: Option<&NodeSet>) -> Result<bool, CliError> {
        if let (Some(since), Ok(begun)) =
            (self.args.since, humantime::parse_rfc3339_weak(&change.time))
            && begun < since
        {
            return Ok(false);
        }
        if let Some(nodes) = nodes {
            change.nodes.retain(|node, _| nodes.contains(node));
        }
        if !self.servers.is_empty() {
            for on in change.nodes.values_mut() {
                on.keep_servers(&self.servers)
                    .map_err(|error| CliError::usage(error.to_string()))?;
            }
            change.nodes.retain(|_, on| !on.rows().is_empty());
        }
        let wanted = &self.args.verdict;
        let has_one = change.nodes.values().any(|on| {
            let rows = on.rows().iter().map(|row| on.verdict_of(row));
            rows.chain([on.verdict()])
                .any(|verdict| wanted.contains(&verdict))
        });
        Ok(!change.nodes.is_empty() && (wanted.is_empty() || has_one))
    }
}

impl Here for LogArgs {
    /// Prints the changes, the last one last.
    fn perform(
        self: Box<Self>,
        asked: Invocation<'_>,
        console: &mut Console,
    ) -> Result<u8, CliError> {
        let site = asked.site;
        let format = show::format(asked)?;
        let Some(path) = ledger::path(site.values()?, &site.environment) else {
            return Err(CliError::system(
                "neither XDG_STATE_HOME nor HOME says where the audit log is",
            ));
        };
        let filter = Filter {
            args: &self,
            servers: sockets::selectors(&self.server)?,
            user: asked.options.reach.user.as_deref(),
        };
        let history = History::read(&path, |line| filter.line(line));
        let mut history = history.map_err(|error| {
            CliError::system(format!(
                "cannot read the audit log {}: {error}",
                path.display()
            ))
        })?;
        for missing in &history.missing {
            console.complain(format_args!("{}: warning: {missing}", asked.called));
        }
        let nodes = self.nodes(asked, &history)?;
        let mut changes = Vec::new();
        for mut change in history.changes.drain(..) {
            if filter.change(&mut change, nodes.as_ref())? {
                changes.push(change);
            }
        }
        let is_terminal = console.out_is_terminal;
        // What cannot be written is told when the console is closed.
        let _ = match format.name {
            "json" => document(&mut console.out, &changes),
            "jsonl" => events(&mut console.out, &changes),
            _ => text(
                &mut console.out,
                &changes,
                (is_terminal, !self.ids.is_empty()),
            ),
        };
        let unknown = self.ids.iter().find(|id| {
            let mut known = changes.iter();
            !known.any(|change| change.id == **id)
        });
        match unknown {
            Some(id) => Err(CliError::system(format!(
                "the audit log has no change {id} of that kind"
            ))),
            None => Ok(0),
        }
    }
}

impl LogArgs {
    /// The nodes that are wanted, of those that the log knows.
    fn nodes(&self, asked: Invocation<'_>, history: &History) -> Result<Option<NodeSet>, CliError> {
        if self.node.is_empty() {
            return Ok(None);
        }
        let groups = nodes::groups(&asked.site.environment);
        let changes = history.changes.iter();
        let known: BTreeSet<&str> = changes
            .flat_map(|change| change.nodes.keys().map(String::as_str))
            .collect();
        let known = Known {
            nodes: known.iter().collect::<NodeSet>().to_string(),
            groups: &groups,
        };
        let mut all = NodeSet::new();
        for text in &self.node {
            let wrong = |error: String| CliError::usage(format!("--node {text}: {error}"));
            let expression = nodeset::parse(text).map_err(|error| wrong(error.to_string()))?;
            let nodes = nodeset::eval(&expression, &known);
            all.extend(nodes.map_err(|error| wrong(error.to_string()))?.iter());
        }
        Ok(Some(all))
    }
}

/// The nodes of the log as all that there are, so that wildcards meet them.
struct Known<'a> {
    nodes: String,
    groups: &'a dyn Groups,
}

impl Groups for Known<'_> {
    fn map(&self, source: Option<&str>, group: &str) -> Result<String, GroupError> {
        self.groups.map(source, group)
    }

    fn all(&self, _source: Option<&str>) -> Result<Option<String>, GroupError> {
        Ok(Some(self.nodes.clone()))
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        self.groups.sources()
    }

    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError> {
        self.groups.list(source)
    }

    fn reverse(&self, source: Option<&str>, node: &str) -> Result<Option<Vec<String>>, GroupError> {
        self.groups.reverse(source, node)
    }
}

/// A row as data; the same fields as a row of `changes`, and those of its change.
fn row(change: &Past, (node, on): (&str, &OnNode), row: &LedgerRow) -> Value {
    let (backend, server) = row.server.split_once('/').unwrap_or(("", &row.server));
    json!({
        "time": change.time,
        "id": change.id,
        "user": change.user,
        "verb": change.verb,
        "reason": change.reason,
        "undoes": change.undoes,
        "lab": change.lab,
        "node": node,
        "socket": row.socket,
        "instance": row.instance,
        "backend": backend,
        "server": server,
        "before": row.before,
        "after": row.after,
        "weight_before": row.weight_before,
        "weight_after": row.weight_after,
        "commands": row.commands,
        "verdict": on.verdict_of(row).as_str(),
        "message": row.message.as_deref().or(on.message()),
    })
}

fn rows(change: &Past) -> impl Iterator<Item = Value> {
    let nodes = change.nodes.iter();
    nodes.flat_map(move |(node, on)| {
        on.rows()
            .iter()
            .map(move |known| row(change, (node, on), known))
    })
}

fn document(out: &mut impl Write, changes: &[Past]) -> io::Result<()> {
    let rows: Vec<Value> = changes.iter().flat_map(rows).collect();
    serde_json::to_writer(&mut *out, &json!({ "schema": "hash/1", "log": rows }))?;
    writeln!(out)
}

fn events(out: &mut impl Write, changes: &[Past]) -> io::Result<()> {
    for row in changes.iter().flat_map(rows) {
        let mut line = json!({ "v": 1, "event": "log" });
        if let (Value::Object(line), Value::Object(row)) = (&mut line, row) {
            line.extend(row);
        }
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)?;
    }
    Ok(())
}

/// One paragraph a change: what it was, and below what became of which server where.
fn text(
    out: &mut impl Write,
    changes: &[Past],
    (is_terminal, in_full): (bool, bool),
) -> io::Result<()> {
    for change in changes {
        let mut head = format!(
            "{} {} {} {}: {}",
            second(&change.time),
            change.id,
            change.user,
            change.verb,
            change.verdict().as_str()
        );
        if let Some(id) = &change.undoes {
            head.push_str(&format!(", takes {id} back"));
        }
        if change.lab {
            head.push_str(", in the lab");
        }
        if let Some(reason) = &change.reason {
            head.push_str(&format!("; {reason}"));
        }
        let mut lines: IndexMap<String, Vec<&str>> = IndexMap::new();
        for (node, on) in &change.nodes {
            let touched = on.rows().iter().map(|row| told(on, row));
            let failed = on.message().map(str::to_owned);
            let replaced = on.contents().iter().map(|content| replaced(on, content));
            for line in touched.chain(replaced).chain(failed) {
                lines.entry(line).or_default().push(node);
            }
        }
        let most = if in_full { usize::MAX } else { SHOWN };
        let more = lines.len().saturating_sub(most);
        let shown = lines
            .iter()
            .take(most)
            .map(|(line, nodes)| format!("  {}: {line}", nodes.iter().collect::<NodeSet>()));
        let more = (more > 0).then(|| format!("  and {more} more lines"));
        for line in std::iter::once(head).chain(shown).chain(more) {
            // A node may have said what a terminal must not see, and a reason may have been copied from anywhere.
            let line = line.replace('\n', " ");
            match is_terminal {
                true => write_visible(out, line.as_bytes())?,
                false => out.write_all(line.as_bytes())?,
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

/// A time without what is less than a second.
fn second(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

/// What became of a map, an ACL or a certificate, in words.
fn replaced(on: &OnNode, content: &LedgerContent) -> String {
    let instance = content.instance.as_ref();
    let instance = instance.map_or_else(String::new, |instance| format!("{instance}: "));
    let LedgerContent {
        kind,
        name,
        before,
        wanted,
        ..
    } = content;
    let start = format!("{instance}{kind} {name}: {before}");
    match (on.verdict(), &content.after) {
        (Verdict::Done, Some(after)) => format!("{start} -> {after}"),
        (Verdict::Unfinished, _) => {
            format!("{start}, to become {wanted}, not known what came of it")
        }
        (verdict, Some(after)) => format!("{start} -> {after}, {}", verdict.as_str()),
        (verdict, None) => format!("{start}, {}", verdict.as_str()),
    }
}

/// What became of a server, in words.
fn told(on: &OnNode, row: &LedgerRow) -> String {
    let is_weight = row
        .wanted
        .iter()
        .any(|wanted| wanted.starts_with("weight "));
    let (before, after) = match is_weight {
        true => (
            format!("weight {}", row.weight_before),
            row.weight_after.map(|weight| format!("weight {weight}")),
        ),
        false => (row.before.clone(), row.after.clone()),
    };
    let verdict = on.verdict_of(row);
    let instance = row.instance.as_ref();
    let instance = instance.map_or_else(String::new, |instance| format!("{instance}: "));
    let start = format!("{instance}{}: {before}", row.server);
    match (verdict, after) {
        (Verdict::Done, Some(after)) => format!("{start} -> {after}"),
        (Verdict::Unfinished, _) => {
            format!(
                "{start}, to become {}, not known what came of it",
                row.wanted.join(", then ")
            )
        }
        (Verdict::NotBegun | Verdict::Unchanged, _) => format!("{start}, {}", verdict.as_str()),
        (_, Some(after)) => format!("{start} -> {after}, {}", verdict.as_str()),
        (_, None) => format!("{start} -> not read back, {}", verdict.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_dates_or_how_long_ago() {
        let at = |text: &str| humantime::format_rfc3339_seconds(since(text).unwrap()).to_string();
        assert_eq!(at("2026-01-31"), "2026-01-31T00:00:00Z");
        assert_eq!(at("2026-01-31 07:05"), "2026-01-31T07:05:00Z");
        assert_eq!(at("2026-01-31T07:05:09Z"), "2026-01-31T07:05:09Z");
        let ago = SystemTime::now()
            .duration_since(since("2h").unwrap())
            .unwrap();
        assert!(ago.abs_diff(Duration::from_secs(7200)) < Duration::from_secs(5));
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-01-31 25:00",
            "5",
            "99999999999999y",
        ] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}
