//! A file for each node and stream, with the node's own bytes, beside whatever else shows the run.
//!
//! How a file is opened is told by who makes the reporter; a file is open as long as its node is at work.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::answers;
use super::reporter::Reporter;
use crate::event::{Event, NodeId, Stop, Stream, Summary};
use crate::plan::NodeName;

/// Opens the file of a node, by its name.
pub type Open<'a> = Box<dyn Fn(&str) -> io::Result<Box<dyn Write>> + 'a>;

/// The files of a run.
pub struct Files<'a> {
    names: Arc<[NodeName]>,
    out: Option<Open<'a>>,
    err: Option<Open<'a>>,
    open: HashMap<(NodeId, Stream), Box<dyn Write>>,
}

impl fmt::Debug for Files<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

impl<'a> Files<'a> {
    /// Files for standard output, standard error, or both.
    #[must_use]
    pub fn new(names: Arc<[NodeName]>, out: Option<Open<'a>>, err: Option<Open<'a>>) -> Self {
        Self {
            names,
            out,
            err,
            open: HashMap::new(),
        }
    }

    /// A reporter that writes the files and lets `inner` show the run.
    pub fn around<'r>(&'r mut self, inner: &'r mut dyn Reporter) -> Both<'r, 'a> {
        Both { files: self, inner }
    }

    fn take(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { node } => {
                let name = &self.names[node.index()];
                for (stream, open) in [(Stream::Out, &self.out), (Stream::Err, &self.err)] {
                    if let Some(open) = open {
                        self.open.insert((*node, stream), open(name)?);
                    }
                }
                Ok(())
            }
            Event::Output { node, stream, data } => match self.open.get_mut(&(*node, *stream)) {
                Some(file) => file.write_all(data),
                None => Ok(()),
            },
            Event::Answer { node, answer } => match answers::output(*node, answer) {
                Some(output) => self.take(&output),
                None => Ok(()),
            },
            Event::Finished { node, .. } => {
                for stream in [Stream::Out, Stream::Err] {
                    if let Some(mut file) = self.open.remove(&(*node, stream)) {
                        file.flush()?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// The files, and what else shows the run.
pub struct Both<'r, 'a> {
    files: &'r mut Files<'a>,
    inner: &'r mut dyn Reporter,
}

impl fmt::Debug for Both<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

impl Reporter for Both<'_, '_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.files.take(event)?;
        self.inner.event(event)
    }

    fn stopping(&mut self, level: Stop, pending: &[NodeId]) -> io::Result<()> {
        self.inner.stopping(level, pending)
    }

    fn asked(&mut self, running: &[NodeId], waiting: &[NodeId]) -> io::Result<()> {
        self.inner.asked(running, waiting)
    }

    fn waiting(&mut self, what: Option<&str>) -> bool {
        self.inner.waiting(what)
    }

    fn redraw_every(&self) -> Option<Duration> {
        self.inner.redraw_every()
    }

    fn redraw(&mut self) -> io::Result<()> {
        self.inner.redraw()
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.inner.finish(summary)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use super::*;
    use crate::event::Outcome;

    /// Files in memory.
    #[derive(Default)]
    struct Disk(Rc<RefCell<BTreeMap<String, Vec<u8>>>>);

    struct OneFile(Rc<RefCell<BTreeMap<String, Vec<u8>>>>, String);

    impl Write for OneFile {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            let mut files = self.0.borrow_mut();
            files.get_mut(&self.1).unwrap().extend_from_slice(data);
            Ok(data.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Counts what it is told.
    #[derive(Default)]
    struct Counter(usize);

    impl Reporter for Counter {
        fn event(&mut self, _: &Event) -> io::Result<()> {
            self.0 += 1;
            Ok(())
        }
        fn finish(&mut self, _: &Summary) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_stream_has_its_file_and_somebody_else_hears_all() {
        let disk = Disk::default();
        let open = |prefix: &'static str| -> Option<Open<'static>> {
            let files = Rc::clone(&disk.0);
            Some(Box::new(move |name: &str| {
                let name = format!("{prefix}/{name}");
                files.borrow_mut().insert(name.clone(), Vec::new());
                Ok(Box::new(OneFile(Rc::clone(&files), name)) as Box<dyn Write>)
            }))
        };
        let names: Arc<[NodeName]> = ["a", "b"].map(NodeName::from).into();
        let mut files = Files::new(names, open("out"), open("err"));
        let mut counter = Counter::default();
        let mut both = files.around(&mut counter);
        let node = NodeId(1);
        let said = |stream, data: &'static [u8]| Event::Output {
            node,
            stream,
            data: data.into(),
        };
        let ended = Event::Finished {
            node,
            outcome: Outcome::OK,
            took: Duration::ZERO,
        };
        for event in [
            Event::Started { node },
            said(Stream::Out, b"\xff\r"),
            said(Stream::Err, b"no"),
            said(Stream::Out, b"\nx"),
            ended,
        ] {
            both.event(&event).unwrap();
        }
        assert_eq!(counter.0, 5);
        let expected = [("err/b", &b"no"[..]), ("out/b", b"\xff\r\nx")];
        let expected = expected.map(|(name, data)| (name.to_owned(), data.to_vec()));
        assert_eq!(*disk.0.borrow(), BTreeMap::from(expected));
        assert!(files.open.is_empty());
    }
}
