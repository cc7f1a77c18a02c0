//! Each line as it comes, labelled with its node.

use std::io::{self, Write};

use super::answers;
use super::format::{Audience, Format, Switch};
use super::notes::Notes;
use super::out::Out;
use super::reporter::Reporter;
use crate::event::{Event, NodeId, Stop, Stream, Summary};
use crate::lines::Streams;

pub(super) const LINES: Format = Format {
    name: "lines",
    about: "each line as it comes, with its own node",
    switch: Some(Switch {
        long: "lines",
        short: Some('L'),
        about: "One line as it comes, each with its own node",
    }),
    audience: Audience::PeopleAtOnce,
    make: |parts| {
        let (labels, merge_err) = (parts.look.labels, parts.look.merge_err);
        let (out, notes) = parts.streams();
        Box::new(Lines {
            out,
            notes,
            labels,
            merge_err,
            partial: Streams::default(),
        })
    },
};

/// Writes `node: line`; standard error of the nodes goes to ours.
#[derive(Debug)]
pub struct Lines<W, E> {
    pub(super) out: Out<W>,
    pub(super) notes: Notes<E>,
    pub(super) labels: bool,
    pub(super) merge_err: bool,
    pub(super) partial: Streams,
}

impl<W: Write, E: Write> Lines<W, E> {
    fn take(&mut self, node: NodeId, stream: Stream, data: Option<&[u8]>) -> io::Result<()> {
        let name = self.notes.names[node.index()].clone();
        let label = self.labels.then_some(&*name);
        let (out, err, merge) = (&mut self.out, &mut self.notes.err, self.merge_err);
        self.partial.take(node, stream, data, |line| {
            if stream == Stream::Out || merge {
                out.line(label, line)
            } else {
                err.line(label, line)
            }
        })
    }
}

impl<W: Write, E: Write> Reporter for Lines<W, E> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { .. } => Ok(()),
            Event::Output { node, stream, data } => {
                self.take(*node, *stream, Some(data))?;
                // Whoever reads us sees a line when it was said.
                self.out.writer.flush()
            }
            Event::Answer { node, answer } => {
                self.out.states |= answers::has_states(answer);
                match answers::output(*node, answer) {
                    Some(output) => self.event(&output),
                    None => Ok(()),
                }
            }
            Event::Finished { node, outcome, .. } => {
                self.take(*node, Stream::Out, None)?;
                self.take(*node, Stream::Err, None)?;
                self.out.writer.flush()?;
                self.notes.finished(*node, outcome)
            }
        }
    }

    fn stopping(&mut self, level: Stop, pending: &[NodeId]) -> io::Result<()> {
        self.notes.stopping(level, pending)
    }

    fn asked(&mut self, running: &[NodeId], waiting: &[NodeId]) -> io::Result<()> {
        self.notes.asked(running, waiting)
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.out.writer.flush()?;
        self.notes.ending(summary)
    }
}
