//! A change on all nodes, step by step: read, compare, guard, write, read back, and take back if asked.
//!
//! Nothing is written before all nodes were read and the guard has looked at every one of them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::audit::{Entry, Log};
use crate::event::{Ending, ErrorCode, Event, NodeId, Outcome, Stop, Summary};
use crate::exec::pool::SessionPool;
use crate::exec::{Means, dispatch};
use crate::haproxy::answer::Level;
use crate::haproxy::change::Wanted;
use crate::haproxy::select::Selector;
use crate::haproxy::state::{AdminWord, Server};
use crate::nodeset::NodeSet;
use crate::plan::{NodeName, Plan};
use crate::report::Reporter;
use crate::transport::Transport;
use crate::work::Work;
use crate::work::haproxy::Sockets;
use crate::work::haproxy::change::{Change, Goal, Row, Then, Undo};
use crate::work::haproxy::read::{NodeReading, Read};
use crate::work::haproxy::status::no_match;

/// How often it is said what is waited for.
const PROGRESS: Duration = Duration::from_secs(5);

/// The most nodes whose connections are kept from one step to the next. A larger fleet is connected anew, or it
/// would need a connection for every node at one time, whatever the fanout.
const KEPT: usize = 256;

/// The most groups of nodes that are listed when nodes disagree.
const LISTED: usize = 8;

/// A change as it was asked for.
#[derive(Debug)]
pub struct Order {
    /// What is wanted.
    pub wanted: Wanted,
    /// What to wait for.
    pub goal: Goal,
    /// Of which servers.
    pub selectors: Vec<Selector>,
    /// Through which sockets.
    pub sockets: Sockets,
    /// Whatever the guard says.
    pub force: bool,
    /// On the nodes that can be read, if some cannot.
    pub partial_ok: bool,
    /// Take it back everywhere if it fails somewhere.
    pub rollback: bool,
    /// One node goes first, and the others only if that worked.
    pub canary: bool,
    /// A node without any of the servers has nothing to do.
    pub may_miss: bool,
}

/// With what a change is made.
pub struct Hands<'a> {
    /// The nodes.
    pub plan: &'a Plan,
    /// How they are reached.
    pub transport: &'a dyn Transport,
    /// What signals ask for.
    pub stops: &'a mut mpsc::Receiver<Stop>,
    /// Where it is written down.
    pub log: &'a mut Log,
    /// Says something on standard error.
    pub note: &'a mut dyn FnMut(&str),
}

impl std::fmt::Debug for Hands<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hands")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// What became of a change.
#[derive(Debug)]
pub struct Done {
    /// The rows of each node, as text, by its position.
    pub texts: Vec<String>,
    /// How long each node was worked on.
    pub took: Vec<Duration>,
    /// What became of the nodes.
    pub summary: Summary,
    /// Whether anything was written anywhere.
    pub wrote: bool,
    /// Whether any node has one of the servers.
    pub matched: bool,
}

impl Done {
    /// Tells a reporter, as if it had just happened.
    ///
    /// # Errors
    /// What the writer says.
    pub fn show(&self, reporter: &mut dyn Reporter) -> io::Result<()> {
        for (node, outcome) in &self.summary.outcomes {
            reporter.event(&Event::Started { node: *node })?;
            let text = &self.texts[node.index()];
            if !text.is_empty() {
                reporter.event(&Event::Output {
                    node: *node,
                    stream: crate::event::Stream::Out,
                    data: text.clone().into(),
                })?;
            }
            reporter.event(&Event::Finished {
                node: *node,
                outcome: outcome.clone(),
                took: self.took[node.index()],
            })?;
        }
        reporter.finish(&self.summary)
    }
}

/// Makes a change.
pub async fn change(order: Order, hands: Hands<'_>) -> Done {
    let nodes = hands.plan.nodes.len();
    let mut steps = Steps {
        deadline: hands
            .plan
            .limits
            .deadline
            .map(|limit| Instant::now() + limit),
        pool: SessionPool::default(),
        outcomes: vec![None; nodes],
        took: vec![Duration::ZERO; nodes],
        stop: Stop::No,
        ending: None,
        hands,
    };
    let done = steps.all(order).await;
    steps.pool.close().await;
    done
}

/// A change at work.
struct Steps<'a> {
    hands: Hands<'a>,
    deadline: Option<Instant>,
    pool: SessionPool,
    outcomes: Vec<Option<Outcome>>,
    took: Vec<Duration>,
    stop: Stop,
    ending: Option<Ending>,
}

impl Steps<'_> {
    async fn all(&mut self, order: Order) -> Done {
        let names = Arc::clone(&self.hands.plan.nodes);
        let Order {
            wanted,
            goal,
            selectors,
            sockets,
            ..
        } = order;
        let read = Read::new(Arc::clone(&names), sockets, selectors);
        let selected = self.hands.plan.selected.clone();
        self.run(&selected, &read, Phase::Reading).await;
        let missing = |known: &NodeReading| no_match(&read.selectors, &known.unmatched);
        let mut readings: Vec<Option<NodeReading>> = read.readings();
        let matched = readings
            .iter()
            .flatten()
            .any(|known| known.found.iter().any(|one| !one.chosen.is_empty()));
        for node in &selected {
            let Some(known) = &readings[node.index()] else {
                continue;
            };
            if !known.unmatched.is_empty() && !order.may_miss {
                self.outcomes[node.index()] = Some(Outcome::Failed(missing(known)));
            } else if let Some(denied) = read_only(known) {
                self.outcomes[node.index()] = Some(denied);
            }
        }
        self.warn(&readings);
        let broken = self.failed(&selected);
        let stopped = self.ending.is_some();
        if stopped || (!broken.is_empty() && !order.partial_ok) {
            let cause = format!("nothing was changed, because of {}", fold(&names, &broken));
            return self.give_up(&selected, &cause, matched);
        }
        for node in &broken {
            readings[node.index()] = None;
        }
        let able: Vec<NodeId> = selected
            .iter()
            .copied()
            .filter(|node| readings[node.index()].is_some())
            .collect();
        self.compare(&readings, &able);
        let refused = self.guard(wanted, &readings, &able, order.force);
        if refused {
            let broken = self.failed(&able);
            let cause = format!("nothing was changed, because of {}", fold(&names, &broken));
            return self.give_up(&selected, &cause, matched);
        }

        let change = Change::new(wanted, goal, readings);
        let needed = able.iter().any(|node| self.needs_writing(&change, *node));
        if needed && let Err(error) = self.hands.log.open() {
            if self.hands.log.is_required() {
                for node in &able {
                    self.outcomes[node.index()] = Some(Outcome::failed(
                        ErrorCode::Guard,
                        format!(
                            "refused: {error}, and the configuration says that no change is made without it"
                        ),
                    ));
                }
                return self.give_up(&selected, "nothing was changed", matched);
            }
            (self.hands.note)(&format!("warning: {error}; the change goes on without"));
        }
        self.write(&change, &able, order.canary).await;
        let mut restored = BTreeMap::new();
        let failed = self.failed(&able);
        let wrote = able
            .iter()
            .any(|node| change.rows(*node).iter().any(|row| !row.sent.is_empty()));
        if !failed.is_empty() && wrote {
            if order.rollback && self.stop < Stop::Kill {
                restored = self.roll_back(&change, &able).await;
            } else {
                self.say_the_way_back(&change, &able);
            }
        }
        self.write_down(&change, &able, &restored);
        let mut done = self.done(&selected, matched);
        done.wrote = wrote;
        for node in &able {
            done.texts[node.index()] = change
                .rows(*node)
                .iter()
                .filter(|_| self.outcomes[node.index()].is_some())
                .map(|row| text(&change, *node, row))
                .collect();
        }
        done
    }

    /// Runs one work on some of the nodes and keeps what became of them.
    async fn run(&mut self, nodes: &[NodeId], work: &dyn Work, phase: Phase<'_>) {
        let mut plan = self.hands.plan.clone();
        plan.selected = nodes.to_vec();
        // Each question has its own limit, and a wait is as long as was asked for.
        plan.limits.command = None;
        plan.limits.idle = None;
        plan.limits.deadline = match phase {
            // Half a change is worse than a late end.
            Phase::Restoring => None,
            Phase::Reading | Phase::Writing(_) => self
                .deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now())),
        };
        let means = Means {
            pool: (plan.nodes.len() <= KEPT).then_some(&self.pool),
            ..Means::new(self.hands.transport, work)
        };
        let mut collect = Collect {
            took: &mut self.took,
            waiting: match phase {
                Phase::Reading | Phase::Restoring => None,
                Phase::Writing(change) => Some(change),
            },
            names: &self.hands.plan.nodes,
            note: &mut *self.hands.note,
        };
        let summary = match phase {
            Phase::Reading => dispatch(&plan, means, &mut *self.hands.stops, &mut collect).await,
            // What was begun is finished: the first Ctrl-C only keeps further nodes from being begun.
            Phase::Writing(_) | Phase::Restoring => {
                let (sender, mut softened) = mpsc::channel(8);
                let run = dispatch(&plan, means, &mut softened, &mut collect);
                tokio::pin!(run);
                let mut asked = Stop::No;
                let summary = loop {
                    tokio::select! {
                        biased;
                        Some(level) = self.hands.stops.recv() => {
                            let level = if level == Stop::Terminate { Stop::Drain } else { level };
                            asked = asked.max(level);
                            // The run is over if nobody listens.
                            let _ = sender.send(level).await;
                        }
                        summary = &mut run => break summary,
                    }
                };
                // The run may have ended before it heard of it: what comes next hears of it then.
                if asked > Stop::No {
                    self.stop = self.stop.max(asked);
                    self.ending.get_or_insert(Ending::Stopped);
                }
                summary
            }
        };
        for (node, outcome) in summary.outcomes {
            self.outcomes[node.index()] = Some(outcome);
        }
        self.stop = self.stop.max(summary.stop);
        if self.ending.is_none() {
            self.ending = summary.ending;
        }
    }

    /// The nodes that did not end well so far.
    fn failed(&self, nodes: &[NodeId]) -> Vec<NodeId> {
        let failed = |node: &&NodeId| {
            self.outcomes[node.index()]
                .as_ref()
                .is_some_and(|outcome| *outcome != Outcome::OK)
        };
        nodes.iter().filter(failed).copied().collect()
    }

    /// Ends before anything was written: who did not fail was not begun.
    fn give_up(&mut self, selected: &[NodeId], cause: &str, matched: bool) -> Done {
        for node in selected {
            let outcome = &mut self.outcomes[node.index()];
            if outcome
                .as_ref()
                .is_none_or(|outcome| *outcome == Outcome::OK)
            {
                *outcome = Some(Outcome::failed(ErrorCode::NotBegun, cause));
            }
        }
        self.done(selected, matched)
    }

    fn done(&mut self, selected: &[NodeId], matched: bool) -> Done {
        let outcomes = selected
            .iter()
            .map(|node| {
                (
                    *node,
                    self.outcomes[node.index()].clone().unwrap_or(Outcome::OK),
                )
            })
            .collect();
        Done {
            texts: vec![String::new(); self.outcomes.len()],
            took: std::mem::take(&mut self.took),
            summary: Summary {
                outcomes,
                stop: self.stop,
                ending: self.ending.take(),
            },
            wrote: false,
            matched,
        }
    }

    /// What is odd about the nodes, once for all of them.
    fn warn(&mut self, readings: &[Option<NodeReading>]) {
        let names = Arc::clone(&self.hands.plan.nodes);
        let those = |odd: &dyn Fn(&NodeReading) -> bool| {
            let nodes: Vec<NodeId> = (0..)
                .map(NodeId)
                .zip(readings)
                .filter(|(_, known)| known.as_ref().is_some_and(odd))
                .map(|(node, _)| node)
                .collect();
            (!nodes.is_empty()).then(|| fold(&names, &nodes))
        };
        let several = those(&|known| known.found.iter().any(|one| one.reading.info.processes > 1));
        let old = those(&|known| known.old_workers > 0);
        let stopping = those(&|known| known.found.iter().any(|one| one.reading.info.stopping));
        if let Some(nodes) = several {
            (self.hands.note)(&format!(
                "warning: {nodes}: HAProxy runs in several processes (nbproc), and only one of them answers"
            ));
        }
        if let Some(nodes) = old {
            (self.hands.note)(&format!(
                "warning: {nodes}: old workers still serve connections from before a reload; the change does not reach them"
            ));
        }
        if let Some(nodes) = stopping {
            (self.hands.note)(&format!(
                "warning: {nodes}: the worker that answers is about to end"
            ));
        }
    }

    /// Says so when the nodes do not have the same servers in the same state.
    fn compare(&mut self, readings: &[Option<NodeReading>], able: &[NodeId]) {
        let mut views: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
        for node in able {
            let view = readings[node.index()]
                .iter()
                .flat_map(|known| &known.found)
                .flat_map(|one| {
                    let label = one
                        .label
                        .as_deref()
                        .map_or_else(String::new, |label| format!("{label}: "));
                    one.chosen.iter().map(move |place| {
                        let server = &one.reading.servers[*place];
                        format!(
                            "{label}{}: {}, weight {}\n",
                            server.name,
                            server.words(),
                            server.weight
                        )
                    })
                });
            views.entry(view.collect()).or_default().push(*node);
        }
        if views.len() < 2 {
            return;
        }
        (self.hands.note)("warning: the nodes do not agree on these servers before the change:");
        let names = &self.hands.plan.nodes;
        for (view, nodes) in views.iter().take(LISTED) {
            let nodes = fold(names, nodes);
            for line in view.lines() {
                (self.hands.note)(&format!("{nodes}: {line}"));
            }
            if view.is_empty() {
                (self.hands.note)(&format!("{nodes}: none of them"));
            }
        }
        if views.len() > LISTED {
            (self.hands.note)(&format!("and {} more kinds of nodes", views.len() - LISTED));
        }
    }

    /// Asks the guard about every node. Whether it refuses.
    fn guard(
        &mut self,
        wanted: Wanted,
        readings: &[Option<NodeReading>],
        able: &[NodeId],
        force: bool,
    ) -> bool {
        let mut refused = false;
        for node in able {
            let found = readings[node.index()].iter().flat_map(|known| &known.found);
            let emptied: Vec<String> = found
                .flat_map(|one| {
                    wanted
                        .guard(&one.reading, &one.chosen)
                        .into_iter()
                        .map(move |emptied| {
                            let label = one
                                .label
                                .as_deref()
                                .map_or_else(String::new, |label| format!("{label}: "));
                            format!(
                                "{label}backend {} ({})",
                                emptied.backend,
                                emptied.servers.join(", ")
                            )
                        })
                })
                .collect();
            if emptied.is_empty() {
                continue;
            }
            let what = emptied.join(", ");
            if force {
                let name = &self.hands.plan.nodes[node.index()];
                (self.hands.note)(&format!(
                    "warning: {name}: no usable server will be left in {what}"
                ));
            } else {
                refused = true;
                self.outcomes[node.index()] = Some(Outcome::failed(
                    ErrorCode::Guard,
                    format!(
                        "refused: no usable server would be left in {what}; --force does it all the same"
                    ),
                ));
            }
        }
        refused
    }

    fn needs_writing(&self, change: &Change, node: NodeId) -> bool {
        change
            .rows(node)
            .iter()
            .any(|row| !change.wanted.is_set(&row.before))
            || matches!(change.goal, Goal::Idle(_, Then::Disable | Then::Kill))
    }

    /// Writes on all nodes, on one of them first if so ordered.
    async fn write(&mut self, change: &Change, able: &[NodeId], canary: bool) {
        for node in able {
            self.outcomes[node.index()] = None;
        }
        let mut rest = able.to_vec();
        let first = able
            .iter()
            .position(|node| self.needs_writing(change, *node));
        if let (true, Some(first)) = (canary && able.len() > 1, first) {
            let first = rest.remove(first);
            self.run(&[first], change, Phase::Writing(change)).await;
            if !self.failed(&[first]).is_empty() {
                let cause = format!(
                    "not begun, because {} went first and failed",
                    self.hands.plan.nodes[first.index()]
                );
                for node in rest {
                    self.outcomes[node.index()] =
                        Some(Outcome::failed(ErrorCode::NotBegun, cause.clone()));
                }
                return;
            }
            if self.stop >= Stop::Kill {
                rest.clear();
            } else if self.stop > Stop::No {
                // The balancers in hand are not left disagreeing; a fleet is not begun any more.
                rest.truncate(self.hands.plan.fanout.get().saturating_sub(1).max(1));
            }
        }
        self.run(&rest, change, Phase::Writing(change)).await;
        for node in able {
            let outcome = &mut self.outcomes[node.index()];
            if outcome.is_none() {
                *outcome = Some(Outcome::failed(
                    ErrorCode::Stopped,
                    "stopped before it was begun",
                ));
            }
        }
        let reloaded = change.reloaded();
        if !reloaded.is_empty() {
            let nodes = fold(&self.hands.plan.nodes, &reloaded);
            (self.hands.note)(&format!(
                "warning: {nodes}: HAProxy was reloaded in between; the change was made again"
            ));
        }
    }

    /// Gives all nodes back what they had. Which were.
    async fn roll_back(&mut self, change: &Change, able: &[NodeId]) -> BTreeMap<NodeId, bool> {
        let touched: Vec<NodeId> = able
            .iter()
            .copied()
            .filter(|node| change.rows(*node).iter().any(|row| !row.sent.is_empty()))
            .collect();
        let before: Vec<Option<Outcome>> = self.outcomes.clone();
        self.run(&touched, &Undo { change }, Phase::Restoring).await;
        let mut restored = BTreeMap::new();
        for node in &touched {
            let place = node.index();
            let back = self.outcomes[place] == Some(Outcome::OK);
            restored.insert(*node, back);
            let why = match &self.outcomes[place] {
                Some(Outcome::Failed(failure)) => failure.message.clone(),
                _ => String::new(),
            };
            self.outcomes[place] = Some(match (before[place].clone(), back) {
                (Some(Outcome::Failed(mut failure)), true) => {
                    failure.message.push_str("; taken back");
                    Outcome::Failed(failure)
                }
                (Some(Outcome::Failed(mut failure)), false) => {
                    failure.message.push_str("; COULD NOT BE TAKEN BACK: ");
                    failure.message.push_str(&why);
                    Outcome::Failed(failure)
                }
                (_, true) => {
                    Outcome::failed(ErrorCode::Verify, "taken back, because it failed elsewhere")
                }
                (_, false) => Outcome::failed(
                    ErrorCode::Verify,
                    format!("it failed elsewhere, and COULD NOT BE TAKEN BACK here: {why}"),
                ),
            });
        }
        restored
    }

    /// The commands that would take it back, for the operator to decide.
    fn say_the_way_back(&mut self, change: &Change, able: &[NodeId]) {
        let mut ways: BTreeMap<Vec<String>, Vec<NodeId>> = BTreeMap::new();
        for node in able {
            let mut verbs: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for row in change.rows(*node).iter().filter(|row| !row.sent.is_empty()) {
                let (verb, behind) = way_back(change.wanted, &row.before);
                let servers = verbs.entry(format!("{verb} {{}}{behind}")).or_default();
                servers.push(row.before.name.to_string());
            }
            let way = verbs
                .into_iter()
                .map(|(verb, servers)| verb.replace("{}", &servers.join(" ")))
                .collect::<Vec<_>>();
            if !way.is_empty() {
                ways.entry(way).or_default().push(*node);
            }
        }
        for (way, nodes) in ways {
            let nodes = fold(&self.hands.plan.nodes, &nodes);
            for command in way {
                (self.hands.note)(&format!("to take it back: hapsh -w '{nodes}' {command}"));
            }
        }
    }

    fn write_down(&mut self, change: &Change, able: &[NodeId], restored: &BTreeMap<NodeId, bool>) {
        let mut entries = Vec::new();
        for node in able {
            for row in change.rows(*node) {
                let touched = !row.sent.is_empty();
                let begun = touched || row.verdict.is_some();
                let Some(found) = change.found(*node, row.instance).filter(|_| begun) else {
                    continue;
                };
                entries.push(Entry {
                    node: self.hands.plan.nodes[node.index()].to_string(),
                    socket: found.endpoint.to_string(),
                    server: row.before.name.to_string(),
                    commands: row.sent.iter().map(ToString::to_string).collect(),
                    before: row.before.words(),
                    after: row.after.as_ref().map(Server::words),
                    weight_before: row.before.weight,
                    weight_after: row.after.as_ref().map(|after| after.weight),
                    verdict: match (restored.get(node), &row.after) {
                        (Some(true), _) if touched => "restored",
                        (_, None) => "unverified",
                        _ if !row.is_done() => "failed",
                        _ if touched => "done",
                        _ => "unchanged",
                    },
                });
            }
        }
        if entries.iter().any(|entry| !entry.commands.is_empty())
            && let Err(error) = self.hands.log.write(&entries)
        {
            (self.hands.note)(&format!("warning: {error}"));
        }
    }
}

/// What a run is for.
#[derive(Clone, Copy)]
enum Phase<'a> {
    Reading,
    Writing(&'a Change),
    Restoring,
}

/// The failure of a node with a socket that cannot change anything.
fn read_only(known: &NodeReading) -> Option<Outcome> {
    let low = known
        .found
        .iter()
        .find(|one| one.reading.level < Level::Admin && !one.chosen.is_empty())?;
    Some(Outcome::failed(
        ErrorCode::Permission,
        format!(
            "the socket {} is read-only (level {}); a change needs one of level admin",
            low.endpoint, low.reading.level
        ),
    ))
}

/// The verb that gives a server back what it had, and what stands behind the servers.
fn way_back(wanted: Wanted, before: &Server) -> (&'static str, String) {
    match wanted {
        Wanted::Weight(_) => ("weight", format!(" {}", before.weight)),
        Wanted::State(_) => match before.admin.forced() {
            AdminWord::Ready => ("enable", String::new()),
            AdminWord::Drain => ("drain", String::new()),
            AdminWord::Maint => ("disable", String::new()),
        },
    }
}

/// The line of a server in the report.
fn text(change: &Change, node: NodeId, row: &Row) -> String {
    let label = change.label(node, row);
    match &row.after {
        Some(after) => change.wanted.line(label, &row.before, after),
        None if row.sent.is_empty() => String::new(),
        None => {
            let label = label.map_or_else(String::new, |label| format!("{label}: "));
            format!(
                "{label}{}: {} -> not read back\n",
                row.before.name,
                row.before.words()
            )
        }
    }
}

/// The folded set of some nodes.
fn fold(names: &[NodeName], nodes: &[NodeId]) -> String {
    let nodes: NodeSet = nodes.iter().map(|node| &*names[node.index()]).collect();
    nodes.to_string()
}

/// Takes the events of a step; it is shown only when all steps are done.
struct Collect<'a> {
    took: &'a mut [Duration],
    waiting: Option<&'a Change>,
    names: &'a [NodeName],
    note: &'a mut dyn FnMut(&str),
}

impl Reporter for Collect<'_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        if let Event::Finished { node, took, .. } = event {
            self.took[node.index()] += *took;
        }
        Ok(())
    }

    fn redraw_every(&self) -> Option<Duration> {
        self.waiting.map(|_| PROGRESS)
    }

    fn redraw(&mut self) -> io::Result<()> {
        let mut groups: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
        for (node, text) in self.waiting.map(Change::waiting).unwrap_or_default() {
            groups.entry(text).or_default().push(node);
        }
        for (text, nodes) in groups {
            (self.note)(&format!("{}: waiting: {text}", fold(self.names, &nodes)));
        }
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }
}
