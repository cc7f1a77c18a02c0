//! `undo`: takes back what a change left, as the audit log has it.

use std::time::Duration;

use clap::Args;
use indexmap::IndexMap;

use super::VerbArgs;
use super::change::{ChangeFlags, HEALTH, Making, make};
use crate::cli::again::again;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::ledger::history::{History, OnNode, Past};
use crate::cli::ledger::{self, About};
use crate::cli::resolve::{Invocation, Job, nodes, sockets};
use crate::cli::task::{Effect, Request, Task};
use crate::config::parse_limit;
use crate::exec::change::{LedgerRow, Left, What};
use crate::haproxy::change::Wanted;
use crate::haproxy::command::Weight;
use crate::haproxy::name::ServerName;
use crate::haproxy::state::AdminWord;
use crate::nodeset::NodeSet;
use crate::report::text::Count;
use crate::transport::Endpoint;
use crate::work::haproxy::change::Goal;
use crate::work::haproxy::{Instance, Sockets};

/// Arguments of `undo`.
#[derive(Debug, Args)]
pub struct UndoArgs {
    /// Which change, as `log` shows it [the last one of this user]
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// Wait so long for full health of what is put back into service [30s]
    #[arg(long, value_name = "TIME", value_parser = parse_limit, conflicts_with = "no_wait")]
    pub wait: Option<Duration>,
    /// Do not wait for health
    #[arg(long)]
    pub no_wait: bool,
    /// Options of every change
    #[command(flatten)]
    pub flags: ChangeFlags,
}

impl VerbArgs for UndoArgs {
    fn request(self) -> Result<Request, CliError> {
        let goal = match self.no_wait {
            true => Goal::Set,
            false => Goal::Healthy(self.wait.unwrap_or(HEALTH)),
        };
        Ok(Request::Nodes(Box::new(Undo {
            asked_for: self.id,
            goal,
            flags: self.flags,
            id: String::new(),
            left: Vec::new(),
            instances: Vec::new(),
        })))
    }
}

/// Takes a change back.
struct Undo {
    asked_for: Option<String>,
    goal: Goal,
    flags: ChangeFlags,
    /// The change, once it is found.
    id: String,
    /// What it left.
    left: Vec<Left>,
    /// The HAProxy it was made on.
    instances: Vec<Instance>,
}

impl Task for Undo {
    fn what(&self) -> String {
        format!("undo {}", self.id)
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn reads_ahead(&self) -> bool {
        true
    }

    /// Finds the change in the audit log.
    fn check(&mut self, asked: Invocation<'_>) -> Result<(), CliError> {
        let past = find(self.asked_for.as_deref(), asked)?;
        let named = &asked.options.reach.socket;
        for text in named {
            sockets::endpoint(text)?;
        }
        for (node, on) in &past.nodes {
            for row in on.touched() {
                if !named.is_empty() && !named.contains(&row.socket) {
                    continue;
                }
                let (left, label) = left(node, row).ok_or_else(|| {
                    CliError::system(format!(
                        "the audit log does not say how {} of {node} was before {}",
                        row.server, past.id
                    ))
                })?;
                self.add(left, label);
            }
        }
        let mut contents = past.nodes.values().flat_map(OnNode::contents);
        if let Some(content) = contents.next() {
            return Err(CliError::usage(format!(
                "{} replaced {} {}, whose old content is not in the audit log",
                past.id, content.kind, content.name
            ))
            .hint("give it its old content in the same way"));
        }
        if self.left.is_empty() {
            let wrong = format!(
                "nothing was written by {}, so that there is nothing to take back",
                past.id
            );
            return Err(CliError::usage(wrong));
        }
        self.id = past.id;
        Ok(())
    }

    fn nodes(&mut self, asked: Invocation<'_>, console: &mut Console) -> Result<NodeSet, CliError> {
        let targets = &asked.options.targets;
        let own: NodeSet = self.left.iter().map(|left| &*left.node).collect();
        if !targets.names_nodes() {
            if targets.leaves_out() {
                return Err(CliError::usage("nodes are left out of none that are named")
                    .hint("name those that are meant with -w"));
            }
            return match targets.expect {
                Some(expected) if own.len() != expected => Err(CliError::refused(format!(
                    "expected {}, but {} was made on {own}; nothing was contacted",
                    Count(expected, "node"),
                    self.id
                ))),
                _ => Ok(own),
            };
        }
        let named = nodes::of(asked, console)?;
        let meant: NodeSet = own.iter().filter(|node| named.contains(node)).collect();
        if meant.is_empty() {
            let wrong = format!("{} was made on {own}, and on none of {named}", self.id);
            return Err(CliError::usage(wrong));
        }
        self.left.retain(|left| meant.contains(&left.node));
        Ok(meant)
    }

    fn plan(&self, _nodes: &NodeSet) -> Result<Vec<(NodeSet, String)>, CliError> {
        let mut steps: IndexMap<String, NodeSet> = IndexMap::new();
        for left in &self.left {
            let step = left.before.command(&left.server).to_string();
            steps.entry(step).or_default().extend([&*left.node]);
        }
        Ok(steps
            .into_iter()
            .map(|(step, nodes)| (nodes, step))
            .collect())
    }

    fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError> {
        let out = Wanted::State(AdminWord::Maint);
        let canary = self.left.iter().any(|left| left.before == out);
        let making = Making {
            what: What::Back(self.left),
            goal: self.goal,
            sockets: Sockets::Each(self.instances),
            canary,
            // Who has none of the servers any more is told so, server by server.
            may_miss: true,
        };
        let about = About {
            verb: "undo",
            undoes: Some(self.id),
            ..About::default()
        };
        make(job, making, about, self.flags)
    }
}

impl Undo {
    fn add(&mut self, left: Left, label: String) {
        let mut known = self.instances.iter_mut();
        let same = known.find(|one| one.endpoint == left.socket && one.label == label);
        match same.and_then(|one| one.nodes.as_mut()) {
            Some(nodes) => nodes.extend([&*left.node]),
            None => self.instances.push(Instance {
                label,
                endpoint: left.socket.clone(),
                backends: Vec::new(),
                nodes: Some([&*left.node].into_iter().collect()),
            }),
        }
        self.left.push(left);
    }
}

/// The change with that id, else the last one of this user.
fn find(id: Option<&str>, asked: Invocation<'_>) -> Result<Past, CliError> {
    let site = asked.site;
    let path = ledger::path(site.values()?, &site.environment).ok_or_else(|| {
        CliError::system("neither XDG_STATE_HOME nor HOME says where the audit log is")
    })?;
    let user = ledger::user(&site.environment);
    let lab = asked.options.targets.lab;
    let history = History::read(&path, |line| match id {
        Some(id) => line.id == id,
        // A practice run is no change of real nodes of the same names.
        None => line.user == user && line.lab == lab,
    });
    let mut history = history.map_err(|error| {
        CliError::system(format!(
            "cannot read the audit log {}: {error}",
            path.display()
        ))
    })?;
    let again = again(asked.called, asked.options);
    let missing = match history.missing.as_slice() {
        [] => String::new(),
        texts => format!(" ({})", texts.join("; ")),
    };
    // What wrote nothing is nobody's last change.
    let wrote = |past: &Past| {
        let mut nodes = past.nodes.values();
        // One that replaced a content is named, and not passed over for an older one.
        nodes.any(|on| on.touched().next().is_some() || !on.contents().is_empty())
    };
    history.changes.retain(|past| id.is_some() || wrote(past));
    let past = history.changes.pop();
    match (past, id) {
        (None, Some(id)) => Err(CliError::usage(format!(
            "the audit log has no change {id}{missing}"
        ))),
        (None, None) => Err(CliError::usage(format!(
            "the audit log has no change by {user}{missing}"
        ))),
        (Some(past), Some(_)) if past.lab != lab => Err(CliError::usage(match lab {
            true => format!("{} was made on real nodes, not in the lab", past.id),
            false => format!("{} was made in the lab; add --lab", past.id),
        })),
        (Some(past), None) if past.undoes.is_some() => Err(CliError::refused(format!(
            "the last change by {user} takes one back itself"
        ))
        .hint(format!("to make that one again: {again} undo {}", past.id))),
        (Some(past), _) => Ok(past),
    }
}

/// What a change left of a server, and how its HAProxy is called.
fn left(node: &str, row: &LedgerRow) -> Option<(Left, String)> {
    let left: Vec<Wanted> = row
        .wanted
        .iter()
        .map(|word| wanted(word))
        .collect::<Option<_>>()?;
    let before = match left.first()? {
        Wanted::Weight(_) => {
            Wanted::Weight(Weight::Absolute(u16::try_from(row.weight_before).ok()?))
        }
        Wanted::State(_) | Wanted::AtLeast(_) => wanted(&row.set_before)?,
    };
    let socket: Endpoint = sockets::endpoint(&row.socket).ok()?;
    let base = || row.socket.rsplit('/').next().unwrap_or_default().to_owned();
    let label = row.instance.clone().unwrap_or_else(base);
    let left = Left {
        node: node.into(),
        socket,
        server: ServerName::parse(&row.server).ok()?,
        left,
        before,
    };
    Some((left, label))
}

/// What the log's words for a state mean.
fn wanted(word: &str) -> Option<Wanted> {
    if let Some(weight) = word.strip_prefix("weight ") {
        return Some(Wanted::Weight(weight.parse().ok()?));
    }
    let all = [AdminWord::Ready, AdminWord::Drain, AdminWord::Maint];
    let word = all.into_iter().find(|known| known.keyword() == word)?;
    Some(Wanted::State(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(wanted: &[&str], set_before: &str, weight_before: u32) -> LedgerRow {
        LedgerRow {
            socket: "/run/haproxy/admin.sock".to_owned(),
            server: "b/s".to_owned(),
            wanted: wanted.iter().map(|word| (*word).to_owned()).collect(),
            set_before: set_before.to_owned(),
            weight_before,
            ..LedgerRow::default()
        }
    }

    #[test]
    fn the_log_says_what_was_left_and_what_was_before() {
        let drained = row(&["drain", "maint"], "ready", 1);
        let (left, label) = super::left("lb1", &drained).unwrap();
        assert_eq!(label, "admin.sock");
        assert_eq!(
            left.left,
            [
                Wanted::State(AdminWord::Drain),
                Wanted::State(AdminWord::Maint)
            ]
        );
        assert_eq!(left.before, Wanted::State(AdminWord::Ready));
        let weighed = row(&["weight 50%"], "ready", 7);
        let (left, _) = super::left("lb1", &weighed).unwrap();
        assert_eq!(left.left, [Wanted::Weight(Weight::Percent(50))]);
        assert_eq!(left.before, Wanted::Weight(Weight::Absolute(7)));
        for odd in [
            row(&[], "ready", 1),
            row(&["sleep"], "ready", 1),
            row(&["maint"], "", 1),
            row(&["weight 3"], "ready", 70_000),
        ] {
            assert!(super::left("lb1", &odd).is_none(), "{odd:?}");
        }
    }
}
