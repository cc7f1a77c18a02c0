//! One srun from its start to its end, and what it means for each of its nodes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write as _;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use rustix::process::Signal;
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::label::{Labels, Said};
use super::{ByName, Slurm, cannot_start, fail};
use crate::event::{ErrorCode, Failure, NodeId, Outcome, Stop, Stream};
use crate::nodeset::{self, NoGroups, NodeSet};
use crate::transport::child::{Group, Pipes, feed};
use crate::transport::input::{self, Input};
use crate::transport::launch::{FleetIo, Launch};
use crate::transport::{Command, until};

/// What a task is: it says where it is, runs the command, and says how that ended. Each mark is one write behind a
/// newline of its own, so that the command's bytes can be told from it.
const WRAPPER: &str = r#"echo "$1 begin $SLURMD_NODENAME"; echo "$1 begin" >&2; sh -c "$2"; s=$?; printf '\n%s end %s\n' "$1" "$s"; printf '\n%s end\n' "$1" >&2; exit "$s""#;

/// A line of a task that is this old has its newline: the wrapper's comes together with its mark.
const SILENCE: Duration = Duration::from_millis(200);

/// How long srun may take to end its tasks.
const GRACE: Duration = Duration::from_secs(5);

/// So much is read at one time.
const CHUNK: usize = 32 * 1024;

/// So many of the last words of srun itself are kept for the message.
const WORDS: usize = 64;

/// What takes the variables of these names out of the environment keeps srun's output in the form that is read here.
const UNWANTED: [&str; 5] = [
    "SLURM_UNBUFFEREDIO",
    "SLURM_STDINMODE",
    "SLURM_STDOUTMODE",
    "SLURM_STDERRMODE",
    "SLURM_KILL_BAD_EXIT",
];

/// One srun at work.
pub(super) struct Step<'a> {
    slurm: &'a Slurm,
    launch: Launch<'a>,
    io: FleetIo,
    nodes: Vec<Node>,
    by_name: ByName<'a>,
    /// Which node each task is on: an index into `nodes`.
    tasks: Vec<Option<usize>>,
    left: usize,
    limits: BinaryHeap<Reverse<(Instant, usize, Limit)>>,
    words: Vec<String>,
    stopped: bool,
}

/// What is known of a node of the step.
#[derive(Debug, Clone, Copy)]
struct Node {
    id: NodeId,
    begun: Option<Instant>,
    heard: Instant,
    /// How the command ended, as soon as that is known.
    status: Option<u8>,
    /// How many of its two streams are still open.
    streams: u8,
    over: bool,
}

/// Which limit passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Limit {
    Command,
    Idle,
}

impl<'a> Step<'a> {
    pub(super) fn new(
        slurm: &'a Slurm,
        launch: Launch<'a>,
        nodes: Vec<NodeId>,
        io: FleetIo,
    ) -> Self {
        let now = Instant::now();
        let by_name = (0u32..)
            .zip(&nodes)
            .map(|(at, node)| (&**launch.plan.name(*node), NodeId(at)))
            .collect();
        let nodes: Vec<Node> = nodes
            .into_iter()
            .map(|id| Node {
                id,
                begun: None,
                heard: now,
                status: None,
                streams: 2,
                over: false,
            })
            .collect();
        Self {
            slurm,
            launch,
            io,
            by_name,
            tasks: vec![None; nodes.len()],
            left: nodes.len(),
            nodes,
            limits: BinaryHeap::new(),
            words: Vec::new(),
            stopped: false,
        }
    }

    /// Runs the command on all nodes of the step.
    pub(super) async fn run(mut self, command: &Command) {
        let mark = format!("hash-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let list = match self.node_list() {
            Ok(list) => list,
            Err(error) => {
                let text = format!("cannot write the list of nodes for srun: {error}");
                return self
                    .fail_all(&Failure::new(ErrorCode::ExecRefused, text))
                    .await;
            }
        };
        let process = self.process(command, &mark, &list);
        let started = Group::start(process, command.stdin.is_some());
        match started {
            Ok((group, pipes)) => self.attend(group, pipes, command, &mark).await,
            Err(error) => {
                self.fail_all(&cannot_start(&self.slurm.srun, &error)).await;
            }
        }
    }

    /// The names of the nodes in a file: ten thousand of them are too much for one argument.
    fn node_list(&self) -> std::io::Result<NamedTempFile> {
        let mut file = NamedTempFile::new()?;
        for node in &self.nodes {
            writeln!(file, "{}", self.launch.plan.name(node.id))?;
        }
        file.flush()?;
        Ok(file)
    }

    fn process(
        &self,
        command: &Command,
        mark: &str,
        list: &NamedTempFile,
    ) -> tokio::process::Command {
        let count = self.nodes.len();
        let mut process = tokio::process::Command::new(&self.slurm.srun);
        for name in UNWANTED {
            process.env_remove(name);
        }
        process
            .args(&self.slurm.options)
            .args([
                "--label",
                "--ntasks-per-node=1",
                "--kill-on-bad-exit=0",
                "--wait=0",
            ])
            .arg(format!("--ntasks={count}"))
            .arg(format!("--nodes={count}-{count}"))
            .arg(format!("--nodelist={}", list.path().display()));
        if let Some(limit) = self.launch.plan.limits.connect {
            process.arg(format!("--immediate={}", limit.as_secs().max(1)));
        }
        if command.stdin.is_none() {
            process.arg("--input=none");
        }
        process.args(["sh", "-c", WRAPPER, "sh", mark, &command.line]);
        process
    }

    async fn attend(mut self, mut group: Group, pipes: Pipes, command: &Command, mark: &str) {
        let (input, mut output, mut errors) = pipes;
        let mut feeding = pin!(feed(input, command.stdin.as_ref().map(Input::reader)));
        let count = self.nodes.len();
        let (mut outs, mut errs) = (Labels::new(mark, count), Labels::new(mark, count));
        let (mut out, mut err) = (BytesMut::new(), BytesMut::new());
        let (mut out_open, mut err_open, mut fed) = (true, true, false);
        let mut heard = Instant::now();
        let mut kill_at = None;
        let mut said = Vec::new();
        while (out_open || err_open) && self.left > 0 {
            out.reserve(CHUNK);
            err.reserve(CHUNK);
            let silence = (outs.owes() || errs.owes()).then(|| heard + SILENCE);
            let limit = self.limits.peek().map(|Reverse((at, _, _))| *at);
            tokio::select! {
                biased;
                () = self.io.stopped(Stop::Terminate), if !self.stopped => {
                    self.stopped = true;
                    group.signal(Signal::TERM);
                    kill_at = Some(Instant::now() + GRACE);
                }
                () = until(kill_at) => break,
                () = until(limit) => self.limit_passed().await,
                read = output.read_buf(&mut out), if out_open => {
                    heard = Instant::now();
                    match read {
                        Ok(count) if count > 0 => outs.push(&out.split(), &mut said),
                        _ => {
                            out_open = false;
                            outs.finish(&mut said);
                        }
                    }
                    self.take(Stream::Out, &mut said).await;
                }
                read = errors.read_buf(&mut err), if err_open => {
                    heard = Instant::now();
                    match read {
                        Ok(count) if count > 0 => errs.push(&err.split(), &mut said),
                        _ => {
                            err_open = false;
                            errs.finish(&mut said);
                        }
                    }
                    self.take(Stream::Err, &mut said).await;
                }
                () = until(silence) => {
                    outs.pause(&mut said);
                    self.take(Stream::Out, &mut said).await;
                    errs.pause(&mut said);
                    self.take(Stream::Err, &mut said).await;
                }
                done = &mut feeding, if !fed => {
                    fed = true;
                    if let Err(error) = done {
                        group.end().await;
                        let outcome = input::unreadable(&error);
                        return self.finish_all(&outcome).await;
                    }
                }
            }
        }
        if self.left > 0 && !self.stopped {
            // Both of its streams have ended, so it is ending too.
            let _ = tokio::time::timeout(GRACE, group.wait()).await;
        }
        if self.left == 0 {
            group.signal(Signal::TERM);
            let _ = tokio::time::timeout(GRACE, group.wait()).await;
        }
        group.end().await;
        self.explain().await;
    }

    /// What one of srun's streams has said.
    async fn take(&mut self, stream: Stream, said: &mut Vec<Said>) {
        for said in said.drain(..) {
            match said {
                Said::Begun { task, node } => self.begun(task, &node).await,
                Said::Output { task, data } => {
                    let Some(at) = self.node(task) else { continue };
                    let node = &mut self.nodes[at];
                    node.heard = Instant::now();
                    if !node.over {
                        self.io.output(node.id, stream, data).await;
                    }
                }
                Said::Ended { task, status } => {
                    let Some(at) = self.node(task) else { continue };
                    let node = &mut self.nodes[at];
                    node.status = node.status.or(status);
                    node.streams = node.streams.saturating_sub(1);
                    if let (0, Some(status)) = (node.streams, node.status) {
                        self.over(at, Outcome::Exited { status }).await;
                    }
                }
                Said::Srun(word) => {
                    self.words.push(word);
                    let excess = self.words.len().saturating_sub(WORDS);
                    self.words.drain(..excess);
                }
            }
        }
    }

    fn node(&self, task: u32) -> Option<usize> {
        self.tasks.get(task as usize).copied().flatten()
    }

    async fn begun(&mut self, task: u32, name: &str) {
        let Some(at) = self.by_name.get(name).map(|at| at.index()) else {
            return;
        };
        let Some(slot @ None) = self.tasks.get_mut(task as usize) else {
            return;
        };
        *slot = Some(at);
        let now = Instant::now();
        let limits = &self.launch.plan.limits;
        let passing = [(limits.command, Limit::Command), (limits.idle, Limit::Idle)];
        for (limit, which) in passing {
            self.limits
                .extend(limit.map(|limit| Reverse((now + limit, at, which))));
        }
        let node = &mut self.nodes[at];
        node.begun = Some(now);
        node.heard = now;
        let id = node.id;
        self.io.started(id).await;
    }

    /// The next limit has passed: of a node that was heard of in the meantime it has not.
    async fn limit_passed(&mut self) {
        let Some(Reverse((_, at, which))) = self.limits.pop() else {
            return;
        };
        let node = self.nodes[at];
        let limits = &self.launch.plan.limits;
        let (limit, code, what) = match which {
            Limit::Command => (limits.command, ErrorCode::TimeoutCommand, "timed out after"),
            Limit::Idle => (limits.idle, ErrorCode::TimeoutIdle, "silent for"),
        };
        let Some(limit) = limit.filter(|_| !node.over) else {
            return;
        };
        if which == Limit::Idle && node.heard + limit > Instant::now() {
            self.limits.push(Reverse((node.heard + limit, at, which)));
            return;
        }
        let text = format!(
            "{what} {}s; the command may still be running",
            limit.as_secs_f64()
        );
        self.over(at, Outcome::failed(code, text)).await;
    }

    async fn over(&mut self, at: usize, outcome: Outcome) {
        let node = &mut self.nodes[at];
        if std::mem::replace(&mut node.over, true) {
            return;
        }
        self.left -= 1;
        let took = node.begun.map(|begun| begun.elapsed()).unwrap_or_default();
        let id = node.id;
        self.io.finished(id, outcome, took).await;
    }

    /// srun has ended: what it said last is why nodes are left.
    async fn explain(&mut self) {
        let complaints: Vec<(NodeSet, &str)> = self
            .words
            .iter()
            .filter_map(|word| complaint(word))
            .collect();
        let words = |prefix| {
            self.words
                .iter()
                .rev()
                .find_map(move |word| word.strip_prefix(prefix))
        };
        let last = words("srun: error: ").or_else(|| words("srun: "));
        let last = last.unwrap_or("srun ended without a word").to_owned();
        let mut outcomes = Vec::new();
        for (at, node) in self.nodes.iter().enumerate().filter(|(_, node)| !node.over) {
            let name = self.launch.plan.name(node.id);
            let own = complaints
                .iter()
                .find(|(nodes, _)| nodes.contains(name))
                .map_or(&*last, |(_, what)| what);
            let outcome = match (self.stopped, node.begun) {
                (true, Some(_)) => Outcome::failed(ErrorCode::Stopped, "stopped"),
                (true, None) => {
                    Outcome::failed(ErrorCode::Stopped, "stopped; nothing was run for this node")
                }
                (false, Some(_)) => {
                    Outcome::failed(ErrorCode::Lost, format!("Slurm ended the task: {own}"))
                }
                (false, None) => {
                    Outcome::failed(ErrorCode::Connect, format!("Slurm did not begin: {own}"))
                }
            };
            outcomes.push((at, outcome));
        }
        for (at, outcome) in outcomes {
            self.over(at, outcome).await;
        }
    }

    async fn fail_all(&mut self, failure: &Failure) {
        for node in &self.nodes {
            fail(&self.io, node.id, failure.clone()).await;
        }
    }

    async fn finish_all(&mut self, outcome: &Outcome) {
        for at in 0..self.nodes.len() {
            self.over(at, outcome.clone()).await;
        }
    }
}

/// What srun says about nodes: `srun: error: n[1-2]: tasks 0-1: Killed`.
pub(super) fn complaint(word: &str) -> Option<(NodeSet, &str)> {
    let rest = word.strip_prefix("srun: error: ")?;
    let (nodes, rest) = rest.split_once(": task")?;
    let (_, what) = rest.split_once(": ")?;
    Some((nodeset::eval_words(nodes, &NoGroups).ok()?, what))
}
