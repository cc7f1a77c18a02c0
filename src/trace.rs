//! What is told of the way to nodes, for the person who asks with `-v`: transports tell, a report shows.

use std::fmt;
use std::sync::Arc;

/// How much of the way is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Nothing.
    #[default]
    Nothing,
    /// How a node was reached in the end: `-v`.
    Brief,
    /// Every step: `-vv`.
    Full,
}

/// Takes what is told.
pub trait Listener: Send + Sync {
    /// One line about the way to a node. Words of the node in it are printable already.
    fn tell(&self, node: &str, text: String);
}

/// The line to a listener, if there is one; clones are the same line.
#[derive(Clone, Default)]
pub struct Trace {
    listener: Option<Arc<dyn Listener>>,
    depth: Depth,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

impl Trace {
    /// A line to a listener who wants to know so much.
    #[must_use]
    pub fn new(listener: Arc<dyn Listener>, depth: Depth) -> Self {
        Self {
            listener: Some(listener),
            depth,
        }
    }

    /// Tells how a node was reached in the end.
    pub fn brief(&self, node: &str, text: impl FnOnce() -> String) {
        self.tell(Depth::Brief, node, text);
    }

    /// Tells a step on the way.
    pub fn full(&self, node: &str, text: impl FnOnce() -> String) {
        self.tell(Depth::Full, node, text);
    }

    /// Whether every step is asked for, where finding out costs something.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.depth >= Depth::Full
    }

    fn tell(&self, depth: Depth, node: &str, text: impl FnOnce() -> String) {
        if let Some(listener) = &self.listener
            && self.depth >= depth
        {
            listener.tell(node, text());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Listener for Kept {
        fn tell(&self, node: &str, text: String) {
            self.0.lock().unwrap().push(format!("{node}: {text}"));
        }
    }

    #[test]
    fn no_more_is_told_than_asked_for() {
        for (depth, expected) in [
            (Depth::Nothing, &[][..]),
            (Depth::Brief, &["n: in"]),
            (Depth::Full, &["n: step", "n: in"]),
        ] {
            let kept = Arc::new(Kept::default());
            let trace = Trace::new(Arc::clone(&kept) as Arc<dyn Listener>, depth);
            trace.full("n", || "step".into());
            trace.brief("n", || "in".into());
            assert_eq!(*kept.0.lock().unwrap(), expected);
        }
        Trace::default().brief("n", || unreachable!("nobody listens"));
    }
}
