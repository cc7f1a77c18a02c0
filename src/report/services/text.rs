//! MilkCheck's text (MilkCheck 1.2.4): blocks, status lines, the running line and the summary.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::log::NodeEnd;
use super::times::Times;
use super::{ActionEnd, ServiceReporter, Stopped};
use crate::event::NodeId;
use crate::nodeset::NodeSet;
use crate::report::text::write_visible;
use crate::service::{ActionId, Direction, Graph, Place, ServiceId, Status, Target, labelled};

/// How much is told at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SummaryReport {
    /// Nothing.
    No,
    /// How many actions failed, and which.
    Short,
    /// Also where, with which command, and where all went well.
    Full,
}

/// How a service run is shown.
#[derive(Debug, Clone, Copy)]
pub struct ServiceLook {
    /// 0 to 6.
    pub verbosity: u8,
    /// How much is told at the end.
    pub summary: SummaryReport,
    /// Columns of the terminal.
    pub width: usize,
    /// Whether both streams are terminals: colours and the running line.
    pub live: bool,
    /// Whether the running line is left to somebody else.
    pub bare: bool,
    /// Whether standard output is a terminal, so that control characters of nodes are escaped.
    pub escape: bool,
    /// Whether the full report tells how long each service took.
    pub timed: Option<Direction>,
    /// The time of day for the log.
    pub clock: fn() -> String,
}

/// The widest status line.
const WIDEST: usize = 120;

const RED: u8 = 1;
const GREEN: u8 = 2;
const YELLOW: u8 = 3;
const MAGENTA: u8 = 5;
const CYAN: u8 = 6;

/// Shows a run as MilkCheck does.
pub struct ServiceText<'g, O, E> {
    graph: &'g Graph,
    look: ServiceLook,
    out: O,
    err: E,
    running: BTreeMap<ActionId, Running>,
    /// How many columns the running line covers.
    drawn: usize,
    counted: usize,
    failed: Vec<FailedAction>,
    /// Per node: whether an action ended there, and whether one failed there.
    reached: BTreeSet<NodeId>,
    unlucky: BTreeSet<NodeId>,
    times: Times,
}

struct Running {
    target: Target,
    /// Whether it waits for its first try.
    waits: bool,
    done: BTreeSet<NodeId>,
}

struct FailedAction {
    action: ActionId,
    target: String,
    command: String,
}

impl<O, E> std::fmt::Debug for ServiceText<'_, O, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceText")
            .field("look", &self.look)
            .finish_non_exhaustive()
    }
}

impl<'g, O: Write, E: Write> ServiceText<'g, O, E> {
    /// A report on a run over the graph.
    pub fn new(graph: &'g Graph, look: ServiceLook, out: O, err: E) -> Self {
        Self {
            graph,
            look,
            out,
            err,
            running: BTreeMap::new(),
            drawn: 0,
            counted: 0,
            failed: Vec::new(),
            reached: BTreeSet::new(),
            unlucky: BTreeSet::new(),
            times: Times::default(),
        }
    }

    /// The streams, to write what comes behind the run.
    pub fn into_streams(self) -> (O, E) {
        (self.out, self.err)
    }

    fn color(&self, text: &str, color: u8) -> String {
        if self.look.live {
            format!("\x1b[0;3{color}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn fold(&self, nodes: impl IntoIterator<Item = NodeId>) -> String {
        let names = self.graph.nodes();
        let set: NodeSet = nodes
            .into_iter()
            .map(|node| &*names[node.index()])
            .collect();
        set.to_string()
    }

    fn folded(&self, target: &Target) -> String {
        match target {
            Target::Local => "localhost".to_owned(),
            Target::Nodes(nodes) => self.fold(nodes.iter().copied()),
        }
    }

    /// The command as it is shown, and given to the shell.
    fn command(&self, action: ActionId, target: &Target) -> String {
        self.graph.action(action).task.text(&self.folded(target))
    }

    fn names(&self, action: ActionId) -> (&'g str, &'g str) {
        let action = self.graph.action(action);
        (&action.name, &self.graph.service(action.service).full_name)
    }

    /// Writes a block over the running line.
    fn block(&mut self, block: &str) -> io::Result<()> {
        let covered = self.drawn;
        self.drawn = 0;
        let (first, rest) = block.split_once('\n').unwrap_or((block, ""));
        self.out.write_all(first.as_bytes())?;
        let shown = visible_length(first);
        if covered > shown {
            write!(self.out, "{:1$}", "", covered - shown)?;
        }
        self.out.write_all(b"\n")?;
        self.out.write_all(rest.as_bytes())?;
        self.draw()
    }

    /// Draws the running line.
    fn draw(&mut self) -> io::Result<()> {
        if !self.look.live || self.look.bare {
            return Ok(());
        }
        // The line goes to the other stream: what is before it must be out first.
        self.out.flush()?;
        let names: NodeSet = self
            .running
            .keys()
            .map(|id| &*self.graph.service(self.graph.action(*id).service).name)
            .collect();
        let mut line = if names.is_empty() {
            String::new()
        } else {
            format!("[{names}]")
        };
        if line.chars().count() > self.look.width {
            line = line
                .chars()
                .take(self.look.width.saturating_sub(4))
                .chain("...]".chars())
                .collect();
        }
        let length = line.chars().count();
        if length == 0 && self.drawn == 0 {
            return Ok(());
        }
        let wipe = self.drawn.saturating_sub(length);
        write!(self.err, "{line}{:wipe$}\r", "")?;
        self.err.flush()?;
        self.drawn = length;
        Ok(())
    }

    fn draw_on_change(&mut self) -> io::Result<()> {
        if self.look.verbosity > 0 {
            self.draw()
        } else {
            Ok(())
        }
    }

    fn status_line(&self, service: ServiceId, status: Status) -> String {
        let width = self.look.width.min(WIDEST);
        let room = width.saturating_sub(13);
        let mut label = self.graph.service(service).label();
        if label.chars().count() > room {
            label = label
                .chars()
                .take(width.saturating_sub(16))
                .chain("...".chars())
                .collect();
        }
        let (text, color) = match status {
            Status::Done => ("    OK   ", GREEN),
            Status::Warning => (" WARNING ", YELLOW),
            Status::Skipped => (" SKIPPED ", YELLOW),
            Status::Timeout => (" TIMEOUT ", RED),
            Status::Error => ("  ERROR  ", RED),
            Status::DepError => ("DEP_ERROR", RED),
            Status::Missing => (" MISSING ", YELLOW),
            Status::Locked => (" LOCKED  ", YELLOW),
        };
        let field = format!("[{}]", self.color(text, color));
        format!("{label:room$}{field:>13}\n")
    }

    fn start_block(&self, action: ActionId, target: &Target) -> String {
        let (name, service) = self.names(action);
        let (name, on) = (self.color(name, MAGENTA), self.color("on", MAGENTA));
        let command = self.color(&self.command(action, target), CYAN);
        let nodes = self.folded(target);
        format!("{name} {service} {on} {nodes}\n > {command}\n")
    }

    /// What the nodes of an action said and how they ended.
    fn result_block(&self, end: &ActionEnd, failed_only: bool) -> io::Result<String> {
        let (name, service) = self.names(end.action);
        let name = if self.look.live {
            self.color(&format!("{name} "), MAGENTA)
        } else {
            name.to_owned()
        };
        let mut block = format!("{name} {service} ran in {:.2} s\n", end.took.as_secs_f64());
        let log = &end.log;
        let nodes = Names::of(self.graph, end);
        let is_shown = |rank: &u32| !failed_only || log.end_of(*rank) != Some(NodeEnd::Code(0));
        for (ranks, output) in log.outputs() {
            let ranks: Vec<u32> = ranks.into_iter().filter(is_shown).collect();
            if ranks.is_empty() {
                continue;
            }
            let label = self.color(&nodes.fold(&ranks), CYAN);
            let bytes = output.to_vec()?;
            let text = String::from_utf8_lossy(&bytes);
            let mut text = text.strip_suffix('\n').unwrap_or(&text);
            if nodes.is_local() {
                text = text.strip_suffix('\n').unwrap_or(text);
            }
            for line in text.split('\n') {
                let line = line.strip_suffix('\r').unwrap_or(line);
                block.push_str(&format!(" > {label}: {}\n", self.visible(line)?));
            }
        }
        for (ending, ranks) in log.by_end() {
            let label = self.color(&nodes.fold(&ranks), CYAN);
            match ending {
                NodeEnd::Code(0) if failed_only => {}
                NodeEnd::Code(code) => {
                    let color = if code == 0 { GREEN } else { RED };
                    let code = self.color(&code.to_string(), color);
                    block.push_str(&format!(" > {label} exited with {code}\n"));
                }
                NodeEnd::TimedOut => {
                    let word = self.color("timeout", RED);
                    block.push_str(&format!(" > {label} has {word}\n"));
                }
            }
        }
        Ok(block)
    }

    fn visible(&self, line: &str) -> io::Result<String> {
        if !self.look.escape {
            return Ok(line.to_owned());
        }
        let mut shown = Vec::new();
        write_visible(&mut shown, line.as_bytes())?;
        Ok(String::from_utf8_lossy(&shown).into_owned())
    }

    /// Keeps what the summary needs.
    fn count(&mut self, end: &ActionEnd) {
        self.counted += 1;
        let names = Names::of(self.graph, end);
        if let Target::Nodes(nodes) = &end.target {
            self.reached.extend(nodes.iter().copied());
        }
        let failed: Vec<u32> = end.log.failed().collect();
        self.unlucky.extend(names.ids(&failed));
        if end.status.is_failure() {
            let target = if names.is_local() {
                "localhost".to_owned()
            } else {
                names.fold(&failed)
            };
            let command = self.command(end.action, &end.target);
            self.failed.push(FailedAction {
                action: end.action,
                target,
                command,
            });
        }
    }

    fn summary(&self) -> String {
        let (count, failures) = (self.counted, self.failed.len());
        let noun = if count > 1 { "actions" } else { "action" };
        let color = if failures == 0 { GREEN } else { RED };
        let mut text = format!(
            "\n {} - {} {noun} ({} failed)\n",
            self.color("SUMMARY", MAGENTA),
            self.color(&count.to_string(), CYAN),
            self.color(&failures.to_string(), color),
        );
        let is_full = self.look.summary == SummaryReport::Full;
        for failed in &self.failed {
            let name = self.graph.action_name(failed.action);
            let desc = self.graph.action(failed.action).desc.as_deref();
            let name = labelled(&name, desc);
            text.push_str(&format!("{}\n", self.color(&format!(" + {name}"), RED)));
            if is_full {
                let (target, command) =
                    (self.color("Target", YELLOW), self.color("Command", YELLOW));
                text.push_str(&format!("    {target}: {}\n", failed.target));
                text.push_str(&format!("    {command}: {}\n", failed.command));
            }
        }
        let lucky: Vec<NodeId> = self.reached.difference(&self.unlucky).copied().collect();
        if is_full && !lucky.is_empty() {
            let success = self.color("Success on all services", GREEN);
            text.push_str(&format!(" + {success}\n    {}\n", self.fold(lucky)));
        }
        if is_full && self.look.timed.is_some() {
            text.push_str(&self.times.text(self.graph));
        }
        text
    }

    /// One line of the list of what is going on, cut to the width of the terminal.
    fn in_progress(&self, action: ActionId, running: &Running) -> String {
        let width = self.look.width;
        let mut name = self.graph.action_name(action);
        let left: Vec<NodeId> = match &running.target {
            Target::Local => Vec::new(),
            Target::Nodes(nodes) => nodes
                .iter()
                .copied()
                .filter(|node| !running.done.contains(node))
                .collect(),
        };
        let is_here = self.graph.action(action).place == Place::Here;
        let nodes = if is_here {
            "localhost".to_owned()
        } else {
            self.fold(left.iter().copied())
        };
        let count = if is_here || left.len() < 2 {
            String::new()
        } else {
            format!(" ({})", left.len())
        };
        let delay = if running.waits {
            format!(" (delayed for {}s)", self.graph.action(action).delay.shown)
        } else {
            String::new()
        };
        if format!(" > {name} on ").chars().count() > width.saturating_sub(24) {
            name = cut(&name, width.saturating_sub(24));
        }
        let fixed = format!(" > {name}{delay} on {count}").chars().count();
        let nodes = if fixed + nodes.chars().count() > width {
            cut(&nodes, width.saturating_sub(fixed + 3))
        } else {
            nodes
        };
        format!(" > {name}{delay} on {nodes}{count}\n")
    }
}

impl<O: Write, E: Write> ServiceReporter for ServiceText<'_, O, E> {
    fn delayed(&mut self, action: ActionId, target: &Target) -> io::Result<()> {
        self.running.entry(action).or_insert_with(|| Running {
            target: target.clone(),
            waits: true,
            done: BTreeSet::new(),
        });
        if self.look.verbosity < 3 {
            return self.draw_on_change();
        }
        let (name, service) = self.names(action);
        let (name, will) = (
            self.color(name, MAGENTA),
            self.color("will fire in", MAGENTA),
        );
        let delay = &self.graph.action(action).delay.shown;
        self.block(&format!("{name} {service} {will} {delay} s\n"))
    }

    fn started(&mut self, action: ActionId, target: &Target) -> io::Result<()> {
        let running = Running {
            target: target.clone(),
            waits: false,
            done: BTreeSet::new(),
        };
        self.running.insert(action, running);
        if self.look.verbosity < 2 {
            return self.draw_on_change();
        }
        let block = self.start_block(action, target);
        self.block(&block)
    }

    fn node_ended(&mut self, action: ActionId, node: NodeId) -> io::Result<()> {
        if let Some(running) = self.running.get_mut(&action) {
            running.done.insert(node);
        }
        Ok(())
    }

    fn ended(&mut self, end: ActionEnd) -> io::Result<()> {
        self.running.remove(&end.action);
        self.times
            .add(self.graph.action(end.action).service, end.took);
        self.count(&end);
        let is_trouble = matches!(end.status, Status::Error | Status::Timeout);
        let shown_from = if is_trouble { 1 } else { 3 };
        if self.look.verbosity < shown_from {
            return self.draw_on_change();
        }
        let block = self.result_block(&end, self.look.verbosity < 2)?;
        self.block(&block)
    }

    fn spared(&mut self, action: ActionId, status: Status) -> io::Result<()> {
        if status != Status::Skipped {
            self.counted += 1;
            if let Target::Nodes(nodes) = &self.graph.action(action).target {
                self.reached.extend(nodes.iter().copied());
            }
        }
        Ok(())
    }

    fn settled(&mut self, service: ServiceId, status: Status, quiet: bool) -> io::Result<()> {
        if let Some(direction) = self.look.timed {
            self.times.settle(self.graph, direction, service);
        }
        let shown_from = match status {
            Status::Missing | Status::Locked => return Ok(()),
            Status::Skipped => 3,
            Status::Done | Status::Warning | Status::Timeout | Status::Error | Status::DepError => {
                0
            }
        };
        if quiet || self.look.verbosity < shown_from {
            return Ok(());
        }
        let line = self.status_line(service, status);
        self.block(&line)
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn asked(&mut self) -> io::Result<()> {
        let lines: String = self
            .running
            .iter()
            .map(|(action, running)| self.in_progress(*action, running))
            .collect();
        let title = self.color("Actions in progress", MAGENTA);
        self.block(&format!("\n{title}\n{lines}\n"))
    }

    fn interrupted(&mut self, running: &[Stopped], never: &[ServiceId]) -> io::Result<()> {
        self.out.flush()?;
        if self.look.verbosity == 0 {
            return Ok(());
        }
        let time = (self.look.clock)();
        writeln!(self.err, "[{time}] ERROR    - Keyboard Interrupt")?;
        for stopped in running {
            let nodes = if stopped.nodes.is_empty() {
                "localhost".to_owned()
            } else {
                self.fold(stopped.nodes.iter().copied())
            };
            let (name, service) = self.names(stopped.action);
            writeln!(self.err, "  was running: {name} {service} on {nodes}")?;
        }
        if !never.is_empty() {
            let names: Vec<&str> = never
                .iter()
                .map(|id| &*self.graph.service(*id).full_name)
                .collect();
            writeln!(self.err, "  never started: {}", names.join(", "))?;
        }
        self.err.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.look.summary > SummaryReport::No {
            let summary = self.summary();
            self.out.write_all(summary.as_bytes())?;
        }
        self.out.flush()
    }
}

/// The names behind the ranks of a log.
pub(super) enum Names<'a> {
    /// One local process.
    Local,
    /// One per node.
    Nodes(&'a Graph, &'a [NodeId]),
    /// One process for all of these.
    All(&'a Graph, &'a [NodeId]),
}

impl<'a> Names<'a> {
    pub(super) fn of(graph: &'a Graph, end: &'a ActionEnd) -> Self {
        match (&end.target, graph.action(end.action).place) {
            (Target::Local, _) | (Target::Nodes(_), Place::Here) => Self::Local,
            (Target::Nodes(nodes), _) if graph.action(end.action).is_collective() => {
                Self::All(graph, nodes)
            }
            (Target::Nodes(nodes), _) => Self::Nodes(graph, nodes),
        }
    }

    fn is_local(&self) -> bool {
        matches!(self, Self::Local)
    }

    fn ids(&self, ranks: &[u32]) -> Vec<NodeId> {
        match self {
            Self::Local => Vec::new(),
            Self::Nodes(_, nodes) => ranks.iter().map(|rank| nodes[*rank as usize]).collect(),
            Self::All(_, nodes) if ranks.is_empty() => nodes[..0].to_vec(),
            Self::All(_, nodes) => nodes.to_vec(),
        }
    }

    pub(super) fn fold(&self, ranks: &[u32]) -> String {
        match self {
            Self::Local => "localhost".to_owned(),
            Self::Nodes(graph, _) | Self::All(graph, _) => {
                let names = graph.nodes();
                let set: NodeSet = self
                    .ids(ranks)
                    .into_iter()
                    .map(|id| &*names[id.index()])
                    .collect();
                set.to_string()
            }
        }
    }
}

/// The first characters of a text and three dots.
fn cut(text: &str, length: usize) -> String {
    text.chars().take(length).chain("...".chars()).collect()
}

/// How many columns a line takes, colours left out.
fn visible_length(line: &str) -> usize {
    let mut length = 0;
    let mut rest = line.chars();
    while let Some(next) = rest.next() {
        if next == '\x1b' {
            rest.by_ref().find(|c| c.is_ascii_alphabetic());
        } else {
            length += 1;
        }
    }
    length
}
