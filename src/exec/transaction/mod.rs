//! A content of HAProxy's memory replaced on all nodes as one transaction: look, guard, stage everywhere, write ahead,
//! commit one node, prove it, commit the others, look again at all, and take back what is not whole.
//!
//! Until the first commit nothing is changed anywhere, and a stop or a failure ends it so. From then on it is brought to
//! its end whatever is asked: a pair that serves two contents is worse than a late end, and the connection of a commit
//! must not be closed before its answer. What is done on one node is `work::haproxy::transaction`'s.

mod patterns;
mod record;
mod run;
#[cfg(test)]
mod tests;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::answer::{Answer, ChangeVerdict, ContentRow};
use crate::event::{Ending, ErrorCode, Event, NodeId, Outcome, Stop, Summary};
use crate::exec::change::{Entry, EntryKind, Ledger};
use crate::exec::pool::SessionPool;
use crate::nodeset::NodeSet;
use crate::plan::Plan;
use crate::report::Reporter;
use crate::transport::Transport;
use crate::work::haproxy::transaction::{
    Committed, NodeFile, Object, Phase, Seen, Site, State, Transaction,
};

/// What the engine must know of a content beside how it is replaced.
pub trait Subject: Object {
    /// A content in a few words, of which equal ones have the same.
    fn words(&self, content: &Self::Content) -> String;

    /// How the new content differs from the old one, line by line.
    fn difference(&self, old: &Self::Content, new: &Self::Content) -> Difference;

    /// Why this should not be done; `--force` does it all the same.
    fn doubts(&self, seen: &Seen<Self::Content>, target: &Self::Content) -> Vec<String>;

    /// What stays behind where something was staged and not committed.
    fn leftover(&self, staged: &Self::Staged) -> Option<String>;
}

/// How two contents differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// The lines, with `- ` and `+ ` in front.
    pub rows: Vec<String>,
    /// How much of it there is, in words.
    pub summary: String,
}

/// How it is to be done.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// Whatever the guard says.
    pub force: bool,
    /// On the nodes that can be read, if some cannot.
    pub partial_ok: bool,
    /// Look and compare; change nothing.
    pub dry_run: bool,
    /// How the operator lifts the guard.
    pub force_hint: String,
}

/// With what it is done.
pub struct Resources<'a> {
    /// The nodes.
    pub plan: &'a Plan,
    /// How they are reached.
    pub transport: &'a dyn Transport,
    /// What signals ask for.
    pub stops: &'a mut mpsc::Receiver<Stop>,
    /// Where it is written down.
    pub ledger: &'a mut dyn Ledger,
    /// Shows what becomes of the nodes.
    pub reporter: &'a mut dyn Reporter,
    /// Tells the operator what there is to know besides, a line each.
    pub note: &'a mut dyn FnMut(String),
}

impl std::fmt::Debug for Resources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resources")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Done {
    /// What became of the nodes.
    pub summary: Summary,
    /// Whether some node serves something else than before because of it, or may.
    pub made: bool,
}

/// Replaces a content on all nodes.
pub async fn replace<'a, O: Subject>(
    transaction: &'a Transaction<O>,
    manner: Manner,
    with: Resources<'a>,
) -> Done {
    let nodes = with.plan.nodes.len();
    let deadline = with.plan.limits.deadline;
    let mut steps = Steps {
        transaction,
        manner,
        deadline: deadline.map(|limit| Instant::now() + limit),
        with,
        pool: SessionPool::default(),
        outcomes: vec![None; nodes],
        begun: vec![false; nodes],
        stop: Stop::No,
        ending: None,
    };
    let all = steps.with.plan.selected.clone();
    steps.all(&all).await;
    let done = steps.end(&all);
    steps.pool.close().await;
    done
}

/// A replacement at work.
struct Steps<'a, O: Subject> {
    transaction: &'a Transaction<O>,
    manner: Manner,
    with: Resources<'a>,
    deadline: Option<Instant>,
    pool: SessionPool,
    outcomes: Vec<Option<Outcome>>,
    begun: Vec<bool>,
    stop: Stop,
    ending: Option<Ending>,
}

impl<O: Subject> Steps<'_, O> {
    async fn all(&mut self, all: &[NodeId]) {
        self.run(all, Phase::Look).await;
        let broken = self.failed(all);
        if self.ending.is_some() || (!broken.is_empty() && !self.manner.partial_ok) {
            return self.give_up(all, &broken);
        }
        let able: Vec<NodeId> = all
            .iter()
            .copied()
            .filter(|node| !broken.contains(node))
            .collect();
        self.compare(&able);
        if let Err(error) = self.show_difference(&able) {
            self.ending = Some(Ending::OutputLost(error));
            return self.give_up(all, &able);
        }
        let refused = self.guard(&able);
        if self.manner.dry_run {
            return;
        }
        if !refused.is_empty() {
            return self.give_up(all, &refused);
        }
        let needs = |node: &NodeId| self.transaction.with(*node, |on| on.needs_change());
        let todo: Vec<NodeId> = able
            .iter()
            .copied()
            .filter(|node| needs(node) == Some(true))
            .collect();
        if todo.is_empty() {
            return;
        }
        if !self.write_ahead(&todo) {
            return self.give_up(all, &todo);
        }
        self.stage_and_commit(all, &todo).await;
        self.write_down(&todo);
    }

    async fn stage_and_commit(&mut self, all: &[NodeId], todo: &[NodeId]) {
        self.run(todo, Phase::Stage).await;
        let broken = self.failed(todo);
        if !broken.is_empty() || self.ending.is_some() {
            self.clean(todo).await;
            self.tell_leftovers(todo);
            return self.give_up(all, &broken);
        }
        let (first, others) = todo.split_at(1);
        self.commit(first, first).await;
        if self.failed(first).is_empty() {
            // All are looked at once more: between the first commit and the end lies time.
            self.commit(others, todo).await;
        }
        let broken = self.failed(todo);
        if !broken.is_empty() {
            self.take_back(todo).await;
            self.give_up(todo, &broken);
        }
        self.clean(todo).await;
        self.tell_leftovers(todo);
    }

    /// Commits nodes, and looks at all that serve the new content by now. A commit whose answer was lost may have been
    /// done all the same.
    async fn commit(&mut self, nodes: &[NodeId], all: &[NodeId]) {
        if nodes.is_empty() {
            return;
        }
        self.run(nodes, Phase::Commit).await;
        let failed = self.failed(nodes);
        let is_unknown = |node: &NodeId| {
            let unknown = |on: &mut State<O>| {
                let mut sites = on.sites.iter();
                sites.any(|site| site.committed == Committed::Unknown && site.after.is_none())
            };
            self.transaction.with(*node, unknown) == Some(true)
        };
        let look: Vec<NodeId> = all
            .iter()
            .copied()
            .filter(|node| !failed.contains(node) || is_unknown(node))
            .collect();
        let before: Vec<Option<Outcome>> = self.outcomes.clone();
        self.run(&look, Phase::Prove).await;
        for node in look {
            let is_unread = self.outcomes[node.index()] != Some(Outcome::OK);
            if let (true, Some(was @ Outcome::Failed(_))) = (is_unread, &before[node.index()]) {
                // Why it could not be known is worth more than that it is not.
                self.outcomes[node.index()] = Some(was.clone());
            }
        }
    }

    /// Restores the old content where the new one may be.
    async fn take_back(&mut self, todo: &[NodeId]) {
        let differs = |node: &NodeId| self.transaction.with(*node, |on| on.may_differ());
        let back: Vec<NodeId> = todo
            .iter()
            .copied()
            .filter(|node| differs(node) == Some(true))
            .collect();
        if back.is_empty() {
            return;
        }
        let failed = self.failed(todo);
        let before = self.outcomes.clone();
        self.run(&back, Phase::Undo).await;
        let lost = self.failed(&back);
        let restored = back.iter().filter(|node| !lost.contains(node)).copied();
        let again: Vec<NodeId> = restored.collect();
        let restored = self.set(&again);
        let name = self.transaction.object.name().to_owned();
        if !restored.is_empty() {
            let why = self.set(&failed);
            for node in &again {
                let text = format!("the old content was restored, because of {why}");
                self.outcomes[node.index()] = Some(Outcome::failed(ErrorCode::NotBegun, text));
            }
            (self.with.note)(format!(
                "warning: {restored}: the old content of {name} was restored, because of {why}"
            ));
        }
        if !lost.is_empty() {
            let nodes = self.set(&lost);
            (self.with.note)(format!(
                "warning: {nodes}: the old content of {name} could NOT be restored; the nodes may differ now"
            ));
        }
        for node in &failed {
            self.outcomes[node.index()] = before[node.index()].clone();
        }
    }

    /// Takes away what was staged. What it could not is told, and is no failure of the change.
    async fn clean(&mut self, nodes: &[NodeId]) {
        let before = self.outcomes.clone();
        self.run(nodes, Phase::Clean).await;
        for node in self.failed(nodes) {
            if let Some(Outcome::Failed(failure)) = &self.outcomes[node.index()] {
                let name = self.with.plan.name(node);
                let text = format!("warning: {name}: not cleaned up: {}", failure.message);
                (self.with.note)(text);
            }
        }
        self.outcomes = before;
    }

    fn tell_leftovers(&mut self, nodes: &[NodeId]) {
        let object = &self.transaction.object;
        for node in nodes {
            let left = self.transaction.with(*node, |on| {
                let sites = on
                    .sites
                    .iter()
                    .filter(|site| site.committed == Committed::No);
                let staged = sites.filter_map(|site| object.leftover(site.staged.as_ref()?));
                staged.collect::<Vec<_>>()
            });
            for text in left.unwrap_or_default() {
                let name = self.with.plan.name(*node);
                (self.with.note)(format!("note: {name}: {text}"));
            }
        }
    }

    /// Says that the nodes do not have the same, before it is made the same.
    fn compare(&mut self, able: &[NodeId]) {
        let object = &self.transaction.object;
        let mut kinds: Vec<(String, NodeSet)> = Vec::new();
        for node in able {
            let words = self.transaction.with(*node, |on| {
                let words = on.sites.iter().map(|site| object.words(&site.seen.content));
                words.collect::<Vec<_>>().join(", ")
            });
            let words = words.unwrap_or_default();
            let name: NodeSet = [&**self.with.plan.name(*node)].into_iter().collect();
            match kinds.iter_mut().find(|(known, _)| *known == words) {
                Some((_, nodes)) => nodes.extend(name.iter()),
                None => kinds.push((words, name)),
            }
        }
        if kinds.len() > 1 {
            let name = object.name();
            (self.with.note)(format!(
                "warning: the nodes do not agree on {name} before the change:"
            ));
            for (words, nodes) in kinds {
                (self.with.note)(format!("{nodes}: {words}"));
            }
        }
    }

    /// Shows what would be changed before it is.
    fn show_difference(&mut self, able: &[NodeId]) -> std::io::Result<()> {
        for node in able {
            let rows = self.rows(*node, Moment::Before);
            self.answer(*node, rows)?;
        }
        Ok(())
    }

    /// Asks whether it should be done at all; the nodes on which it should not.
    fn guard(&mut self, able: &[NodeId]) -> Vec<NodeId> {
        let object = &self.transaction.object;
        let mut refused = Vec::new();
        for node in able {
            let doubts = self.transaction.with(*node, |on| {
                let sites = on.sites.iter().filter(|site| !site.is_well());
                let doubts =
                    sites.filter_map(|site| Some(object.doubts(&site.seen, site.target.as_ref()?)));
                doubts.flatten().collect::<Vec<_>>()
            });
            let doubts = doubts.unwrap_or_default();
            if doubts.is_empty() {
                continue;
            }
            if self.manner.force {
                let name = self.with.plan.name(*node);
                (self.with.note)(format!("warning: {name}: {}", doubts.join("; ")));
                continue;
            }
            let text = format!("refused: {}; {}", doubts.join("; "), self.manner.force_hint);
            self.outcomes[node.index()] = Some(Outcome::failed(ErrorCode::Guard, text));
            refused.push(*node);
        }
        refused
    }

    /// The nodes that did not end well so far.
    fn failed(&self, nodes: &[NodeId]) -> Vec<NodeId> {
        let failed = |node: &&NodeId| {
            let outcome = self.outcomes[node.index()].as_ref();
            outcome.is_some_and(|outcome| *outcome != Outcome::OK)
        };
        nodes.iter().filter(failed).copied().collect()
    }

    fn set(&self, nodes: &[NodeId]) -> NodeSet {
        nodes
            .iter()
            .map(|node| &**self.with.plan.name(*node))
            .collect()
    }

    /// What did not fail was not done, because of what did.
    fn give_up(&mut self, nodes: &[NodeId], because: &[NodeId]) {
        let cause = match because.is_empty() {
            true => "nothing was changed".to_owned(),
            false => format!("nothing was changed, because of {}", self.set(because)),
        };
        for node in nodes {
            let outcome = &mut self.outcomes[node.index()];
            let is_well = outcome
                .as_ref()
                .is_none_or(|outcome| *outcome == Outcome::OK);
            let differs = self.transaction.with(*node, |on| on.may_differ()) == Some(true);
            if is_well && !differs {
                *outcome = Some(Outcome::failed(ErrorCode::NotBegun, cause.as_str()));
            }
        }
    }

    /// Tells what became of every node.
    fn end(&mut self, all: &[NodeId]) -> Done {
        let outcome = |node: &NodeId| {
            let outcome = self.outcomes[node.index()].clone();
            (*node, outcome.unwrap_or(Outcome::OK))
        };
        let mut summary = Summary {
            outcomes: all.iter().map(outcome).collect(),
            stop: self.stop,
            ending: self.ending.take(),
        };
        let differs = |node: &NodeId| self.transaction.with(*node, |on| on.may_differ());
        let made = all.iter().any(|node| differs(node) == Some(true));
        if !matches!(summary.ending, Some(Ending::OutputLost(_)))
            && let Err(error) = self.tell_all(&summary)
        {
            summary.ending.get_or_insert(Ending::OutputLost(error));
        }
        Done { summary, made }
    }

    fn tell_all(&mut self, summary: &Summary) -> std::io::Result<()> {
        for (node, outcome) in &summary.outcomes {
            self.begin(*node)?;
            if !self.manner.dry_run {
                let rows = self.rows(*node, Moment::After);
                self.answer(*node, rows)?;
            }
            self.with.reporter.event(&Event::Finished {
                node: *node,
                outcome: outcome.clone(),
                took: std::time::Duration::ZERO,
            })?;
        }
        self.with.reporter.finish(summary)
    }

    fn begin(&mut self, node: NodeId) -> std::io::Result<()> {
        if std::mem::replace(&mut self.begun[node.index()], true) {
            return Ok(());
        }
        self.with.reporter.event(&Event::Started { node })
    }

    fn answer(&mut self, node: NodeId, rows: Vec<ContentRow>) -> std::io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.begin(node)?;
        let answer = std::sync::Arc::new(Answer::Contents(rows));
        self.with.reporter.event(&Event::Answer { node, answer })
    }

    /// The rows of a node: what would be changed, or what was.
    fn rows(&self, node: NodeId, moment: Moment) -> Vec<ContentRow> {
        let failure = match &self.outcomes[node.index()] {
            Some(Outcome::Failed(failure)) => Some(failure.message.clone()),
            Some(Outcome::Exited { .. } | Outcome::Killed { .. }) | None => None,
        };
        let rows = self.transaction.with(node, |on| {
            let needs_change = on.needs_change();
            let file = on.file.as_ref();
            let file_word = file.map(|file| match file.is_proved() {
                true => "written",
                false if !file.needs_change() => "unchanged",
                false => "not written",
            });
            let sites = on.sites.iter();
            let rows = sites.map(|site| {
                let mut row = self.row(site, moment);
                row.file = file_word.filter(|_| moment == Moment::After);
                let is_file_only = site.is_well() && needs_change;
                if let (Moment::After, true) = (moment, is_file_only) {
                    row.verdict = match file.is_some_and(NodeFile::is_proved) {
                        true => ChangeVerdict::Done,
                        false => ChangeVerdict::Failed,
                    };
                }
                row.message = failure.clone();
                row
            });
            // What was not begun has nothing to tell but its outcome.
            let is_told = |row: &ContentRow| match moment {
                Moment::Before => row.verdict == ChangeVerdict::Planned,
                Moment::After => row.after.is_some() || row.verdict != ChangeVerdict::Planned,
            };
            rows.filter(is_told).collect()
        });
        rows.unwrap_or_default()
    }

    fn row(&self, site: &Site<O>, moment: Moment) -> ContentRow {
        let object = &self.transaction.object;
        let target = site.target.as_ref().unwrap_or(&site.seen.content);
        let difference = match moment {
            Moment::Before => object.difference(&site.seen.content, target),
            Moment::After => Difference::default(),
        };
        let verdict = match (site.committed, &site.after) {
            (Committed::Yes, Some(after)) if after == target => ChangeVerdict::Done,
            (Committed::Restored, _) => ChangeVerdict::Restored,
            (Committed::Yes | Committed::Unknown, Some(_)) => ChangeVerdict::Failed,
            (Committed::Yes | Committed::Unknown, None) => ChangeVerdict::Unverified,
            (Committed::No, _) if site.is_well() => ChangeVerdict::Unchanged,
            (Committed::No, _) => ChangeVerdict::Planned,
        };
        ContentRow {
            instance: site.label.clone(),
            kind: object.what(),
            name: object.name().to_owned(),
            before: object.words(&site.seen.content),
            wanted: object.words(target),
            after: match site.is_well() {
                true => Some(object.words(&site.seen.content)),
                false => site.after.as_ref().map(|after| object.words(after)),
            },
            difference: difference.rows,
            summary: difference.summary,
            verdict,
            message: None,
            file: None,
        }
    }
}

/// Of what the rows speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Before anything is changed.
    Before,
    /// At the end.
    After,
}

/// The nodes' intents or results for the ledger.
fn entries<O: Subject>(steps: &Steps<'_, O>, nodes: &[NodeId], kind: EntryKind) -> Vec<Entry> {
    let entry = |node: &NodeId| record::entry(steps, *node, kind);
    nodes.iter().map(entry).collect()
}
