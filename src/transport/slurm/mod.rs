//! Slurm's own launcher (`-R slurm`): one `srun` for the node set, with one labelled task per node.
//!
//! Slurm's tree of daemons reaches the nodes; nothing of ours runs there. Nodes that Slurm would not run anything on are
//! told apart before, with its reason. A task is the command in a wrapper of `sh`, which says on which node it is and
//! how it ended, so that every node has its own exit status.

mod label;
mod states;
mod step;

use std::collections::HashMap;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use indexmap::IndexMap;

use super::launch::{FleetIo, Launch, Launcher};
use super::ssh::errors::printable;
use super::{BoxFuture, Command};
use crate::event::{ErrorCode, Failure, NodeId, Outcome, Stop};
use step::Step;

/// How long Slurm may take to say what it knows of its nodes when there is no limit on connecting.
const SINFO: Duration = Duration::from_secs(30);

/// The launcher over `srun`.
#[derive(Debug, Clone)]
pub struct Slurm {
    /// The program that launches, such as `srun`.
    pub srun: String,
    /// The program that knows the nodes' states, such as `sinfo`.
    pub sinfo: String,
    /// More words for `srun`, such as `--partition=long`.
    pub options: Vec<String>,
}

impl Default for Slurm {
    fn default() -> Self {
        Self {
            srun: "srun".to_owned(),
            sinfo: "sinfo".to_owned(),
            options: Vec::new(),
        }
    }
}

impl Slurm {
    /// The nodes that Slurm would use; the others get their outcome.
    async fn usable(&self, launch: &Launch<'_>, io: &FleetIo) -> Result<Vec<NodeId>, Failure> {
        let asking = tokio::process::Command::new(&self.sinfo)
            .args(states::QUESTION)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let limit = launch.plan.limits.connect.unwrap_or(SINFO);
        let answer = match tokio::time::timeout(limit, asking).await {
            Ok(answer) => answer.map_err(|error| cannot_start(&self.sinfo, &error))?,
            Err(_) => {
                return Err(Failure::new(
                    ErrorCode::TimeoutConnect,
                    format!(
                        "{} did not answer within {}s",
                        self.sinfo,
                        limit.as_secs_f64()
                    ),
                ));
            }
        };
        if !answer.status.success() {
            let said = printable(&answer.stderr, 200);
            return Err(Failure::new(
                ErrorCode::Connect,
                format!("Slurm does not answer: {said}"),
            ));
        }
        let answer = String::from_utf8_lossy(&answer.stdout);
        let known = states::parse(&answer);
        let mut usable = Vec::new();
        for node in launch.nodes {
            match known.get(&**launch.plan.name(*node)) {
                Some(None) => usable.push(*node),
                Some(Some(failure)) => fail(io, *node, failure.clone()).await,
                None => fail(io, *node, states::unknown()).await,
            }
        }
        Ok(usable)
    }
}

impl Launcher for Slurm {
    fn takes(&self, _node: &str) -> bool {
        true
    }

    fn launch<'a>(&'a self, launch: Launch<'a>, mut io: FleetIo) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut telling = io.clone();
            let usable = tokio::select! {
                biased;
                () = io.stopped(Stop::Drain) => return,
                usable = self.usable(&launch, &telling) => usable,
            };
            let usable = match usable {
                Ok(usable) => usable,
                Err(failure) => {
                    for node in launch.nodes {
                        fail(&telling, *node, failure.clone()).await;
                    }
                    return;
                }
            };
            // Nodes whose command is the same share one srun; a template makes each its own.
            let mut steps: IndexMap<String, (Command, Vec<NodeId>)> = IndexMap::new();
            for node in usable {
                let command = (launch.command)(node);
                let (_, nodes) = steps
                    .entry(command.line.clone())
                    .or_insert_with(|| (command.into_owned(), Vec::new()));
                nodes.push(node);
            }
            let running = stream::iter(steps.into_values())
                .map(|(command, nodes)| {
                    let io = io.clone();
                    async move {
                        // Once stopping is asked for, no further step is begun.
                        if *io.stop.borrow() == Stop::No {
                            Step::new(self, launch, nodes, io).run(&command).await;
                        }
                    }
                })
                .buffer_unordered(launch.plan.fanout.get());
            let all = running.collect::<()>();
            tokio::select! {
                biased;
                () = telling.stopped(Stop::Kill) => {}
                () = all => {}
            }
        })
    }
}

async fn fail(io: &FleetIo, node: NodeId, failure: Failure) {
    io.finished(node, Outcome::Failed(failure), Duration::ZERO)
        .await;
}

fn cannot_start(program: &str, error: &io::Error) -> Failure {
    Failure::new(
        ErrorCode::ExecRefused,
        format!("cannot start `{program}`: {error}; is Slurm installed here?"),
    )
}

/// The nodes by name, as Slurm speaks of them.
type ByName<'a> = HashMap<&'a str, NodeId>;

/// Reads any bytes as the streams of srun and as the answers of sinfo.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    for tasks in [3, 12] {
        let mut labels = label::Labels::new("0123", tasks);
        let mut said = Vec::new();
        let (first, rest) = data.split_at(data.len() / 2);
        labels.push(first, &mut said);
        if labels.owes() {
            labels.pause(&mut said);
        }
        labels.push(rest, &mut said);
        labels.finish(&mut said);
        for said in said {
            match said {
                label::Said::Begun { task, .. }
                | label::Said::Output { task, .. }
                | label::Said::Ended { task, .. } => assert!((task as usize) < tasks, "{task}"),
                label::Said::Srun(line) => {
                    let _ = step::complaint(&line);
                }
            }
        }
    }
    let _ = states::parse(&String::from_utf8_lossy(data));
}
