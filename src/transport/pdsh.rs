//! pdsh as a launcher (`-R pdsh`): one process for the node set, its labelled output taken apart again.
//!
//! pdsh says nothing of a node whose command succeeds, so outcomes are known when it has ended. It gives its standard
//! input to no command. Behind a last line without a newline it goes on with the next node's on the same line; nothing
//! here can tell the two apart.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::child::Group;
use super::launch::{FleetIo, Launch, Launcher};
use super::{BoxFuture, until};
use crate::event::{ErrorCode, NodeId, Outcome, Stop, Stream};
use crate::lines::{Line, LineEnd, LineSplitter};
use crate::nodeset::NodeSet;

/// How long pdsh may take to end its processes.
const GRACE: Duration = Duration::from_secs(5);

/// So much is read at one time.
const CHUNK: usize = 32 * 1024;

/// The launcher over `pdsh`.
#[derive(Debug, Clone)]
pub struct Pdsh {
    /// The program and words that always come first.
    pub program: Vec<String>,
    /// Whom to log in as.
    pub user: Option<String>,
}

impl Default for Pdsh {
    fn default() -> Self {
        Self {
            program: vec!["pdsh".to_owned()],
            user: None,
        }
    }
}

impl Pdsh {
    /// The words of the process, as `clush` has them.
    fn argv(&self, launch: &Launch<'_>, nodes: &[NodeId], line: &str) -> Vec<String> {
        let limits = &launch.plan.limits;
        let mut words = self.program.clone();
        words.extend(["-b".into(), "-f".into(), launch.plan.fanout.to_string()]);
        for (name, limit) in [("-t", limits.connect), ("-u", limits.command)] {
            if let Some(limit) = limit {
                words.extend([name.into(), limit.as_secs().max(1).to_string()]);
            }
        }
        if let Some(user) = &self.user {
            words.extend(["-l".into(), user.clone()]);
        }
        let names = nodes.iter().map(|node| &**launch.plan.name(*node));
        words.extend([
            "-w".into(),
            names.collect::<NodeSet>().to_string(),
            line.into(),
        ]);
        words
    }
}

impl Launcher for Pdsh {
    fn takes(&self, _node: &str) -> bool {
        true
    }

    fn launch<'a>(&'a self, launch: Launch<'a>, mut io: FleetIo) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut lines: HashMap<String, Vec<NodeId>> = HashMap::new();
            for node in launch.nodes {
                let command = (launch.command)(*node);
                if command.stdin.is_some() {
                    let text = "pdsh gives no input to commands; use another worker";
                    let outcome = Outcome::failed(ErrorCode::Input, text);
                    io.finished(*node, outcome, Duration::ZERO).await;
                    continue;
                }
                lines.entry(command.line.clone()).or_default().push(*node);
            }
            for (line, nodes) in lines {
                if *io.stop.borrow() > Stop::No {
                    return;
                }
                self.run(&launch, &nodes, &line, &mut io).await;
            }
        })
    }
}

impl Pdsh {
    async fn run(&self, launch: &Launch<'_>, nodes: &[NodeId], line: &str, io: &mut FleetIo) {
        let mut words = self.argv(launch, nodes, line).into_iter();
        let program = words.next().unwrap_or_default();
        let mut process = tokio::process::Command::new(&program);
        process.args(words);
        let begun = Instant::now();
        let (mut group, (_, mut output, mut errors)) = match Group::start(process, false) {
            Ok(started) => started,
            Err(error) => {
                let text = format!("cannot start `{program}`: {error}; is pdsh installed here?");
                for node in nodes {
                    let outcome = Outcome::failed(ErrorCode::ExecRefused, text.clone());
                    io.finished(*node, outcome, Duration::ZERO).await;
                }
                return;
            }
        };
        for node in nodes {
            io.started(*node).await;
        }
        let by_name = nodes.iter().map(|node| (&**launch.plan.name(*node), *node));
        let mut labels = Labels {
            by_name: by_name.collect(),
            ends: HashMap::new(),
            last: String::new(),
        };
        let mut streams = [Labelled::new(Stream::Out), Labelled::new(Stream::Err)];
        let (mut out, mut err) = (BytesMut::new(), BytesMut::new());
        let (mut out_open, mut err_open) = (true, true);
        let mut stopped = None;
        while out_open || err_open {
            out.reserve(CHUNK);
            err.reserve(CHUNK);
            tokio::select! {
                biased;
                () = io.stopped(Stop::Terminate), if stopped.is_none() => {
                    stopped = Some(Instant::now() + GRACE);
                    group.signal(Signal::TERM);
                }
                () = until(stopped) => break,
                read = output.read_buf(&mut out), if out_open => {
                    out_open = read.is_ok_and(|count| count > 0);
                    for (node, data) in streams[0].push(&out.split(), &mut labels) {
                        io.output(node, Stream::Out, data).await;
                    }
                }
                read = errors.read_buf(&mut err), if err_open => {
                    err_open = read.is_ok_and(|count| count > 0);
                    for (node, data) in streams[1].push(&err.split(), &mut labels) {
                        io.output(node, Stream::Err, data).await;
                    }
                }
            }
        }
        let status = match stopped {
            None => group.wait().await.ok().and_then(|status| status.code()),
            Some(_) => {
                group.end().await;
                None
            }
        };
        for node in nodes {
            let outcome = match (labels.ends.remove(node), stopped, status) {
                (Some(outcome), ..) => outcome,
                (None, Some(_), _) => Outcome::failed(ErrorCode::Stopped, "stopped"),
                (None, None, Some(0)) => Outcome::OK,
                (None, None, _) => {
                    Outcome::failed(ErrorCode::Lost, format!("pdsh failed: {}", labels.last))
                }
            };
            io.finished(*node, outcome, begun.elapsed()).await;
        }
    }
}

/// Takes pdsh's lines apart.
#[derive(Debug)]
struct Labels<'a> {
    by_name: HashMap<&'a str, NodeId>,
    ends: HashMap<NodeId, Outcome>,
    /// What pdsh itself said last.
    last: String,
}

/// One of pdsh's two streams.
#[derive(Debug)]
struct Labelled {
    stream: Stream,
    lines: LineSplitter,
    /// Whose line it is, as a very long one comes in pieces.
    node: Option<NodeId>,
}

impl Labelled {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            lines: LineSplitter::default(),
            node: None,
        }
    }

    /// Takes bytes, or nothing at the end of the stream, and gives what nodes have said.
    fn push(&mut self, data: &[u8], labels: &mut Labels<'_>) -> Vec<(NodeId, Bytes)> {
        let mut said = Vec::new();
        let (stream, node) = (self.stream, &mut self.node);
        let take = |line: Line<'_>| {
            let mut text = line.text;
            if line.first {
                (*node, text) = match labels.label(text) {
                    Some((node, text)) => (Some(node), text),
                    None => (None, text),
                };
            }
            match *node {
                Some(node) => {
                    let newline: &[u8] = match line.end {
                        LineEnd::Newline => b"\n",
                        LineEnd::More | LineEnd::Nothing => b"",
                    };
                    said.push((node, [text, newline].concat().into()));
                }
                None => labels.own(stream, text),
            }
            Ok::<(), Infallible>(())
        };
        let Ok(()) = if data.is_empty() {
            self.lines.finish(take)
        } else {
            self.lines.push(data, take)
        };
        said
    }
}

impl Labels<'_> {
    /// The node of a line, and what it says.
    fn label<'l>(&self, line: &'l [u8]) -> Option<(NodeId, &'l [u8])> {
        let end = memchr::memmem::find(line, b": ")?;
        let name = std::str::from_utf8(&line[..end]).ok()?;
        Some((*self.by_name.get(name)?, &line[end + 2..]))
    }

    /// Takes a line of pdsh itself.
    fn own(&mut self, stream: Stream, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        match (stream, own_words(text)) {
            (Stream::Err, Some((name, outcome))) if self.by_name.contains_key(name) => {
                self.ends.entry(self.by_name[name]).or_insert(outcome);
            }
            _ => text.clone_into(&mut self.last),
        }
    }
}

/// What pdsh says about a node: `pdsh@here: n1: ssh exited with exit code 3`.
fn own_words(text: &str) -> Option<(&str, Outcome)> {
    let (_, rest) = text.strip_prefix("pdsh@")?.split_once(": ")?;
    let (node, what) = rest.split_once(": ")?;
    if what == "command timeout" {
        let text = "timed out; the command may still be running";
        return Some((node, Outcome::failed(ErrorCode::TimeoutCommand, text)));
    }
    let number = |before: &str| what.split_once(before)?.1.trim().parse::<u8>().ok();
    let status = number(" exited with exit code ")
        .or_else(|| Some(128 + number(" killed by signal ")?.min(127)))?;
    Some((node, Outcome::Exited { status }))
}
/// Reads any bytes as the two streams of pdsh.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let mut labels = Labels {
        by_name: HashMap::from([("n1", NodeId(0)), ("n2", NodeId(1))]),
        ends: HashMap::new(),
        last: String::new(),
    };
    for stream in [Stream::Out, Stream::Err] {
        let mut labelled = Labelled::new(stream);
        let (first, rest) = data.split_at(data.len() / 2);
        let mut size = 0;
        for part in [first, rest, b""] {
            let said = labelled.push(part, &mut labels);
            size += said.iter().map(|(_, data)| data.len()).sum::<usize>();
        }
        assert!(size <= data.len(), "nodes said more than came");
    }
    assert!(labels.ends.len() <= 2, "only nodes end");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::LONGEST;

    #[test]
    fn lines_are_the_nodes_that_are_named_in_front() {
        let mut labels = Labels {
            by_name: HashMap::from([("n1", NodeId(0)), ("n2", NodeId(1))]),
            ends: HashMap::new(),
            last: String::new(),
        };
        let mut errors = Labelled::new(Stream::Err);
        let long = vec![b'x'; 2 * LONGEST];
        let mut said = Vec::new();
        for data in [
            b"n1: a\nn2".as_slice(),
            b": b\npdsh@here: n2: ssh exited with exit code 3\nn1: ",
            &long,
            b"\nn3: c\nn2: d",
            b"",
        ] {
            said.extend(errors.push(data, &mut labels));
        }
        let mut all = [Vec::new(), Vec::new()];
        for (node, data) in said {
            all[node.index()].extend_from_slice(&data);
        }
        assert_eq!(all[0], [b"a\n".as_slice(), &long, b"\n"].concat());
        assert_eq!(all[1], b"b\nd");
        assert_eq!(labels.ends[&NodeId(1)], Outcome::Exited { status: 3 });
        assert_eq!(labels.last, "n3: c");
    }

    #[test]
    fn pdshs_own_words_are_outcomes() {
        let exited = |status| Some(("n1", Outcome::Exited { status }));
        assert_eq!(
            own_words("pdsh@vm: n1: ssh exited with exit code 3"),
            exited(3)
        );
        assert_eq!(own_words("pdsh@vm: n1: sh killed by signal 9"), exited(137));
        let (node, outcome) = own_words("pdsh@vm: n2: command timeout").unwrap();
        assert_eq!((node, outcome.status()), ("n2", 124));
        assert_eq!(own_words("sending signal 15 to n1 [sleep] pid 9"), None);
        assert_eq!(own_words("n1: pdsh@vm: x exited with exit code 3"), None);
    }
}
