//! pdsh as a launcher (`-R pdsh`): one process for the node set, its labelled output taken apart again.
//!
//! pdsh says nothing of a node whose command succeeds, so outcomes are known when it has ended. It gives its standard
//! input to no command. Behind a last line without a newline it goes on with the next node's on the same line; nothing
//! here can tell the two apart.

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::child::Group;
use super::launch::{FleetIo, Launch, Launcher};
use super::{BoxFuture, until};
use crate::event::{ErrorCode, NodeId, Outcome, Stop, Stream};
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
            partial: [BytesMut::new(), BytesMut::new()],
            ends: HashMap::new(),
            last: String::new(),
        };
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
                    labels.push(Stream::Out, &out.split(), !out_open, io).await;
                }
                read = errors.read_buf(&mut err), if err_open => {
                    err_open = read.is_ok_and(|count| count > 0);
                    labels.push(Stream::Err, &err.split(), !err_open, io).await;
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
    /// What has come of a line of either stream that is not whole yet.
    partial: [BytesMut; 2],
    ends: HashMap<NodeId, Outcome>,
    /// What pdsh itself said last.
    last: String,
}

impl Labels<'_> {
    async fn push(&mut self, stream: Stream, data: &[u8], over: bool, io: &FleetIo) {
        let slot = usize::from(stream == Stream::Err);
        let mut all = std::mem::take(&mut self.partial[slot]);
        all.extend_from_slice(data);
        while let Some(end) = memchr::memchr(b'\n', &all) {
            let line = all.split_to(end + 1).freeze();
            self.line(stream, line, io).await;
        }
        if over && !all.is_empty() {
            self.line(stream, all.freeze(), io).await;
        } else {
            self.partial[slot] = all;
        }
    }

    async fn line(&mut self, stream: Stream, line: Bytes, io: &FleetIo) {
        let end = memchr::memmem::find(&line, b": ");
        let name = end.and_then(|end| std::str::from_utf8(&line[..end]).ok());
        if let (Some(end), Some(node)) = (end, name.and_then(|name| self.by_name.get(name))) {
            return io.output(*node, stream, line.slice(end + 2..)).await;
        }
        let text = String::from_utf8_lossy(&line);
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

#[cfg(test)]
mod tests {
    use super::*;

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
