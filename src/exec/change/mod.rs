//! A change on all nodes, step by step: read, compare, guard, write, read back, and take back if asked.
//!
//! Nothing is written before all nodes were read and the guard has looked at every one of them. What is done on one
//! node is `work::haproxy`'s; what is said to the operator is the front's ([`Note`]), and so is where changes are
//! written down ([`Ledger`]).

mod compare;
mod guard;
mod ledger;
mod note;
mod rollback;
mod run;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::answer::{Answer, ChangeRow, ChangeVerdict};
use crate::event::{Ending, ErrorCode, Event, NodeId, Outcome, Stop, Summary};
use crate::exec::pool::SessionPool;
use crate::haproxy::change::{Verdict, Wanted};
use crate::haproxy::select::Selector;
use crate::nodeset::NodeSet;
use crate::plan::{NodeName, Plan};
use crate::report::Reporter;
use crate::transport::Transport;
use crate::work::haproxy::Sockets;
use crate::work::haproxy::change::{Change, Goal, Row};
use crate::work::haproxy::read::{NodeReading, Read};
use crate::work::haproxy::status::no_match;

use compare::read_only;
pub use ledger::{Entry, Ledger};
pub use note::Note;
use run::Phase;

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
    /// How the operator says so, for the guard's refusal.
    pub force_hint: &'static str,
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
pub struct Resources<'a> {
    /// The nodes.
    pub plan: &'a Plan,
    /// How they are reached.
    pub transport: &'a dyn Transport,
    /// What signals ask for.
    pub stops: &'a mut mpsc::Receiver<Stop>,
    /// Where it is written down.
    pub ledger: &'a mut dyn Ledger,
    /// Tells the operator.
    pub note: &'a mut dyn FnMut(Note),
}

impl std::fmt::Debug for Resources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resources")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// What became of a change.
#[derive(Debug)]
pub struct Done {
    /// The rows of each node, by its position.
    pub rows: Vec<Vec<ChangeRow>>,
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
            let rows = &self.rows[node.index()];
            if !rows.is_empty() {
                reporter.event(&Event::Answer {
                    node: *node,
                    answer: Arc::new(Answer::Changes(rows.clone())),
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
pub async fn change(order: Order, with: Resources<'_>) -> Done {
    let nodes = with.plan.nodes.len();
    let mut steps = Steps {
        deadline: with
            .plan
            .limits
            .deadline
            .map(|limit| Instant::now() + limit),
        pool: SessionPool::default(),
        outcomes: vec![None; nodes],
        took: vec![Duration::ZERO; nodes],
        stop: Stop::No,
        ending: None,
        with,
    };
    let done = steps.all(order).await;
    steps.pool.close().await;
    done
}

/// A change at work.
struct Steps<'a> {
    with: Resources<'a>,
    deadline: Option<Instant>,
    pool: SessionPool,
    outcomes: Vec<Option<Outcome>>,
    took: Vec<Duration>,
    stop: Stop,
    ending: Option<Ending>,
}

impl Steps<'_> {
    async fn all(&mut self, order: Order) -> Done {
        let names = Arc::clone(&self.with.plan.nodes);
        let Order {
            wanted,
            goal,
            selectors,
            sockets,
            ..
        } = order;
        let read = Read::new(Arc::clone(&names), sockets, selectors);
        let selected = self.with.plan.selected.clone();
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
            let cause = format!("nothing was changed, because of {}", set(&names, &broken));
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
        let refused = self.guard(
            wanted,
            &readings,
            &able,
            (!order.force).then_some(order.force_hint),
        );
        if refused {
            let broken = self.failed(&able);
            let cause = format!("nothing was changed, because of {}", set(&names, &broken));
            return self.give_up(&selected, &cause, matched);
        }

        let change = Change::new(wanted, goal, readings);
        let needed = able.iter().any(|node| self.needs_writing(&change, *node));
        if needed && let Err(error) = self.with.ledger.open() {
            if self.with.ledger.is_required() {
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
            (self.with.note)(Note::Ledger {
                error,
                before: true,
            });
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
            done.rows[node.index()] = change
                .rows(*node)
                .iter()
                .filter(|_| self.outcomes[node.index()].is_some())
                .filter_map(|row| {
                    let back = restored.get(node) == Some(&true);
                    change_row(&change, *node, row, back)
                })
                .collect();
        }
        done
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
            rows: vec![Vec::new(); self.outcomes.len()],
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
}

/// What to think of a row, when its node was taken back or not.
fn verdict(row: &Row, restored: bool) -> ChangeVerdict {
    let touched = !row.sent.is_empty();
    match &row.after {
        _ if restored && touched => ChangeVerdict::Restored,
        None => ChangeVerdict::Unverified,
        Some(_) if !row.is_done() => ChangeVerdict::Failed,
        Some(_) if touched => ChangeVerdict::Done,
        Some(_) => ChangeVerdict::Unchanged,
    }
}

/// A row for the report; `None` for one that was not begun.
fn change_row(change: &Change, node: NodeId, row: &Row, restored: bool) -> Option<ChangeRow> {
    if row.after.is_none() && row.sent.is_empty() {
        return None;
    }
    let refused = row.refused.as_ref().map(ToString::to_string);
    let message = refused.or_else(|| match &row.verdict {
        Some(Verdict::Wrong(what) | Verdict::Settling(what)) => Some(what.clone()),
        Some(Verdict::Done) | None => None,
    });
    Some(ChangeRow {
        instance: change.label(node, row).map(Arc::from),
        wanted: change.wanted,
        before: row.before.clone(),
        after: row.after.clone(),
        verdict: verdict(row, restored),
        message,
        at: None,
    })
}

/// The set of some nodes.
fn set(names: &[NodeName], nodes: &[NodeId]) -> NodeSet {
    nodes.iter().map(|node| &*names[node.index()]).collect()
}
