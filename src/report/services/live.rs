//! The services at work as a tree on the terminal, below what MilkCheck's text leaves behind.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use tokio::time::Instant;

use super::{ActionEnd, ServiceReporter, ServiceText, Stopped};
use crate::event::NodeId;
use crate::prompt::TerminalLock;
use crate::report::display::{Progress, Screen};
use crate::service::{ActionId, Graph, ServiceId, Status, Target};

/// A run that is over sooner shows no tree.
const SILENT_FOR: Duration = Duration::from_millis(400);

/// The most lines the tree has.
const LINES: usize = 20;

/// Shows what runs while [`ServiceText`] shows what has happened.
pub struct ServiceLive<'g, O, E> {
    graph: &'g Graph,
    inner: ServiceText<'g, O, E>,
    progress: Progress,
    running: BTreeMap<(ServiceId, ActionId), Work>,
    settled: usize,
    begun: Instant,
    shown: bool,
}

/// An action at work.
struct Work {
    nodes: usize,
    done: usize,
    waits: bool,
}

impl<O, E> std::fmt::Debug for ServiceLive<'_, O, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceLive")
            .field("settled", &self.settled)
            .finish_non_exhaustive()
    }
}

impl<'g, O: Write, E: Write> ServiceLive<'g, O, E> {
    /// A tree below the text.
    pub fn new(
        graph: &'g Graph,
        inner: ServiceText<'g, O, E>,
        (screen, terminal_lock): (Screen, TerminalLock),
    ) -> Self {
        Self {
            graph,
            inner,
            progress: Progress::new(screen, terminal_lock),
            running: BTreeMap::new(),
            settled: 0,
            begun: Instant::now(),
            shown: false,
        }
    }

    /// Takes the tree off the screen while the text is written.
    fn aside(
        &mut self,
        write: impl FnOnce(&mut ServiceText<'g, O, E>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.progress.off();
        write(&mut self.inner)?;
        self.inner.idle()
    }

    fn draw(&mut self) {
        self.shown |= self.begun.elapsed() >= SILENT_FOR;
        if self.shown {
            let tree = self.tree();
            self.progress.draw(&tree);
        }
    }

    /// The running actions below their services and groups.
    fn tree(&self) -> String {
        let mut text = String::new();
        let mut shown: HashSet<ServiceId> = HashSet::new();
        for ((service, action), work) in &self.running {
            let mut path = Vec::new();
            let mut level = Some(*service);
            while let Some(id) = level {
                path.push(id);
                level = self.graph.service(id).parent;
            }
            for (depth, id) in path.iter().rev().enumerate() {
                if shown.insert(*id) {
                    let _ = writeln!(
                        text,
                        "{:1$}{2}",
                        "",
                        depth * 2,
                        self.graph.service(*id).name
                    );
                }
            }
            let name = &self.graph.action(*action).name;
            let indent = path.len() * 2;
            let progress = match work {
                Work { waits: true, .. } => " waits".to_owned(),
                Work { nodes: 0 | 1, .. } => String::new(),
                Work { nodes, done, .. } => format!(" {done}/{nodes}"),
            };
            let _ = writeln!(text, "{:indent$}{name}{progress}", "");
        }
        let lines = text.lines().count();
        if lines > LINES {
            let kept: Vec<&str> = text.lines().take(LINES - 1).collect();
            text = format!("{}\n… {} more lines\n", kept.join("\n"), lines + 1 - LINES);
        }
        let _ = write!(
            text,
            "{} running, {} settled",
            self.running.len(),
            self.settled
        );
        text
    }

    fn begin(&mut self, action: ActionId, target: &Target, waits: bool) {
        let service = self.graph.action(action).service;
        let nodes = match target {
            Target::Local => 0,
            Target::Nodes(nodes) => nodes.len(),
        };
        let work = Work {
            nodes,
            done: 0,
            waits,
        };
        self.running.insert((service, action), work);
    }
}

impl<O: Write, E: Write> ServiceReporter for ServiceLive<'_, O, E> {
    fn delayed(&mut self, action: ActionId, target: &Target) -> io::Result<()> {
        self.begin(action, target, true);
        self.aside(|text| text.delayed(action, target))?;
        self.draw();
        Ok(())
    }

    fn started(&mut self, action: ActionId, target: &Target) -> io::Result<()> {
        self.begin(action, target, false);
        self.aside(|text| text.started(action, target))?;
        self.draw();
        Ok(())
    }

    fn node_ended(&mut self, action: ActionId, node: NodeId) -> io::Result<()> {
        let service = self.graph.action(action).service;
        if let Some(work) = self.running.get_mut(&(service, action)) {
            work.done += 1;
        }
        self.draw();
        self.inner.node_ended(action, node)
    }

    fn ended(&mut self, end: ActionEnd) -> io::Result<()> {
        let service = self.graph.action(end.action).service;
        self.running.remove(&(service, end.action));
        self.aside(|text| text.ended(end))?;
        self.draw();
        Ok(())
    }

    fn spared(&mut self, action: ActionId, status: Status) -> io::Result<()> {
        self.inner.spared(action, status)
    }

    fn settled(&mut self, service: ServiceId, status: Status, quiet: bool) -> io::Result<()> {
        self.settled += 1;
        self.aside(|text| text.settled(service, status, quiet))?;
        self.draw();
        Ok(())
    }

    fn idle(&mut self) -> io::Result<()> {
        self.inner.idle()
    }

    fn redraw_every(&self) -> Option<Duration> {
        // Once shown, the tree changes with events.
        Some(SILENT_FOR)
    }

    fn redraw(&mut self) {
        if !self.shown {
            self.draw();
        }
    }

    fn asked(&mut self) -> io::Result<()> {
        self.aside(ServiceText::asked)
    }

    fn interrupted(&mut self, running: &[Stopped], never: &[ServiceId]) -> io::Result<()> {
        self.progress.end();
        self.inner.interrupted(running, never)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.progress.end();
        self.inner.finish()
    }
}
