//! The way to nodes, told on standard error around another reporter (`-v`, `-vv`): equal lines of many nodes are one.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use tokio::time::Instant;

use super::Reporter;
use super::look::Look;
use super::out::{LABEL, Out};
use crate::event::{Event, NodeId, Stop, Summary};
use crate::nodeset::NodeSet;
use crate::prompt::TerminalLock;
use crate::trace::Listener;

/// How long lines wait for their likes of other nodes.
const GATHER: Duration = Duration::from_millis(200);

/// More lines than this of one run are counted only.
const MOST: usize = 10_000;

/// What was told and is not shown yet; transports hold one end, a [`Way`] the other.
#[derive(Default)]
pub struct Told(Mutex<State>);

#[derive(Default)]
struct State {
    /// The nodes by what was told of them, in the order in which it was first told.
    waiting: IndexMap<String, Vec<String>>,
    /// What was told before, so that a node that is asked ten questions does not tell the same ten times.
    known: HashSet<u64>,
    left_out: usize,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

impl Told {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Told {
    fn tell(&self, node: &str, text: String) {
        let mut hasher = DefaultHasher::new();
        (node, &text).hash(&mut hasher);
        let mut state = self.state();
        if state.known.len() >= MOST {
            state.left_out += 1;
        } else if state.known.insert(hasher.finish()) {
            state.waiting.entry(text).or_default().push(node.to_owned());
        }
    }
}

/// Shows what was told, around a reporter.
pub struct Way<'a, E> {
    inner: &'a mut dyn Reporter,
    told: Option<Arc<Told>>,
    program: String,
    terminal_lock: TerminalLock,
    err: Out<E>,
    /// When what is waiting was first seen.
    since: Option<Instant>,
}

impl<E> fmt::Debug for Way<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").finish_non_exhaustive()
    }
}

impl<'a, E: Write> Way<'a, E> {
    /// Around a reporter that shows the rest in the same look; without anything told it only hands on.
    pub fn new(inner: &'a mut dyn Reporter, told: Option<Arc<Told>>, look: &Look, err: E) -> Self {
        Self {
            inner,
            told,
            program: look.program.clone(),
            terminal_lock: look.terminal_lock.clone(),
            err: Out {
                writer: err,
                color: look.color_err,
                // Names of users and files are no text of ours, wherever it goes.
                escape: true,
                states: false,
            },
            since: None,
        }
    }

    /// Shows what has waited for long enough, or all.
    fn show(&mut self, all: bool) -> io::Result<()> {
        let Some(told) = &self.told else {
            return Ok(());
        };
        let waiting = {
            let mut state = told.state();
            if state.waiting.is_empty() || self.terminal_lock.is_taken() && !all {
                return Ok(());
            }
            let since = *self.since.get_or_insert_with(Instant::now);
            if !all && since.elapsed() < GATHER {
                return Ok(());
            }
            std::mem::take(&mut state.waiting)
        };
        self.since = None;
        if self.terminal_lock.wipe() {
            self.err.writer.write_all(b"\r\x1b[J")?;
        }
        for (text, nodes) in waiting {
            let nodes: NodeSet = nodes.iter().map(String::as_str).collect();
            write!(self.err.writer, "{}: ", self.program)?;
            self.err.styled(LABEL, &nodes.to_string())?;
            self.err.writer.write_all(b": ")?;
            self.err.text(text.as_bytes())?;
            self.err.writer.write_all(b"\n")?;
        }
        Ok(())
    }
}

impl<E: Write> Reporter for Way<'_, E> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.show(false)?;
        self.inner.event(event)
    }

    fn stopping(&mut self, level: Stop, pending: &[NodeId]) -> io::Result<()> {
        self.show(true)?;
        self.inner.stopping(level, pending)
    }

    fn asked(&mut self, running: &[NodeId], waiting: &[NodeId]) -> io::Result<()> {
        self.show(true)?;
        self.inner.asked(running, waiting)
    }

    fn redraw_every(&self) -> Option<Duration> {
        let every = self.inner.redraw_every();
        match self.told {
            Some(_) => Some(every.map_or(GATHER, |every| every.min(GATHER))),
            None => every,
        }
    }

    fn redraw(&mut self) -> io::Result<()> {
        self.show(false)?;
        self.inner.redraw()
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.show(true)?;
        let left_out = |told: &Arc<Told>| std::mem::take(&mut told.state().left_out);
        let left_out = self.told.as_ref().map_or(0, left_out);
        if left_out > 0 {
            let program = &self.program;
            writeln!(
                self.err.writer,
                "{program}: {left_out} more lines of -v were left out; name fewer nodes to see all of them"
            )?;
        }
        self.inner.finish(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::usual;

    struct Silent;

    impl Reporter for Silent {
        fn event(&mut self, _: &Event) -> io::Result<()> {
            Ok(())
        }

        fn finish(&mut self, _: &Summary) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is shown of what was told, in one go.
    fn shown(told: &Arc<Told>) -> String {
        let mut err = Vec::new();
        let mut silent = Silent;
        let look = Look::plain("hash", usual());
        let mut way = Way::new(&mut silent, Some(Arc::clone(told)), &look, &mut err);
        way.finish(&Summary::default()).unwrap();
        String::from_utf8(err).unwrap()
    }

    #[test]
    fn equal_lines_are_one_and_told_once() {
        let told = Arc::new(Told::default());
        for node in ["n2", "n1", "n3"] {
            told.tell(node, "user root".into());
            told.tell(node, format!("address of {node}"));
        }
        told.tell("n1", "user root".into());
        let expected = "hash: n[1-3]: user root\nhash: n2: address of n2\nhash: n1: address of n1\n\
                        hash: n3: address of n3\n";
        assert_eq!(shown(&told), expected);
        told.tell("n1", "user root".into());
        assert_eq!(shown(&told), "");
    }

    #[test]
    fn nothing_moves_the_cursor() {
        let told = Arc::new(Told::default());
        told.tell("n1", "key \x1b[2J".into());
        assert_eq!(shown(&told), "hash: n1: key \\x1b[2J\n");
    }

    #[test]
    fn lines_without_end_are_counted() {
        let told = Arc::new(Told::default());
        for line in 0..MOST + 7 {
            told.tell("n1", line.to_string());
        }
        let shown = shown(&told);
        assert_eq!(shown.lines().count(), MOST + 1);
        assert!(
            shown.ends_with(
                "7 more lines of -v were left out; name fewer nodes to see all of them\n"
            )
        );
    }

    #[tokio::test(start_paused = true)]
    async fn lines_wait_for_their_likes_and_no_longer() {
        let told = Arc::new(Told::default());
        let mut err = Vec::new();
        let mut silent = Silent;
        let look = Look::plain("hash", usual());
        let mut way = Way::new(&mut silent, Some(Arc::clone(&told)), &look, &mut err);
        told.tell("n1", "in".into());
        way.redraw().unwrap();
        told.tell("n2", "in".into());
        tokio::time::advance(GATHER).await;
        way.redraw().unwrap();
        told.tell("n3", "in".into());
        way.redraw().unwrap();
        assert_eq!(String::from_utf8(err).unwrap(), "hash: n[1-2]: in\n");
    }
}
