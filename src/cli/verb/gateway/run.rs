//! A run: one command for many nodes, and what they say merged on its way.

use std::borrow::Cow;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use tokio::io::Stdin;
use tokio::sync::mpsc;

use super::turns::{InTurn, Turns};
use super::{MOST, bad, below, nodes, ssh};
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::resolve::Invocation;
use crate::config;
use crate::event::{Meter, NodeId, Outcome, Stop};
use crate::exec::{Executor, dispatch};
use crate::gateway::{self, Ask, Run};
use crate::nodeset::NodeSet;
use crate::plan::{Limits, NodeName, Plan, Tolerance};
use crate::report::gateway::{Upward, Voice};
use crate::transport::gateway::{Gateways, Messages};
use crate::transport::input::{Input, Spool};
use crate::transport::launch::Launcher;
use crate::transport::local::Local;
use crate::transport::{BoxFuture, Command, NodeIo, Session, Transport};
use crate::work::Work;

/// Serves one run.
pub(super) async fn serve(
    run: Run,
    here: (Invocation<'_>, &Console),
    voice: Voice,
    (mut asks, signals): (Messages<Stdin>, &mut mpsc::Receiver<Stop>),
) -> Result<u8, CliError> {
    let share = Share::new(&run, here.0.site.scratch().folder())?;
    let plan = plan(&run, &share.names)?;
    let turns = Arc::new(Turns::new(voice.clone()));
    let (leaves, gateways) = executor(&run, &share, &turns, here)?;
    let transport = InTurn::new(&*leaves, &turns);
    let executor = Executor {
        launcher: gateways.as_ref().map(|gateways| gateways as &dyn Launcher),
        ..Executor::new(&transport, &share)
    };
    let mut upward = Upward::new(voice, Arc::clone(&share.names));
    let (stop, mut stops) = mpsc::channel(8);
    let listening = async {
        loop {
            let level = tokio::select! {
                Some(level) = signals.recv() => level,
                ask = asks.next::<Ask>() => match ask {
                    Ok(Some(Ask::Begin { nodes })) => {
                        match gateway::nodes(&nodes, share.names.len()) {
                            Ok(nodes) => turns.grant(&nodes),
                            Err(text) => break bad(text),
                        }
                        continue;
                    }
                    Ok(Some(Ask::Input { input, data })) => {
                        share.feed(input, &data.0);
                        continue;
                    }
                    Ok(Some(Ask::InputEnd { input, broken })) => {
                        share.close(input, broken.then_some(io::ErrorKind::Other));
                        continue;
                    }
                    Ok(Some(Ask::Stop { level })) => level,
                    Ok(Some(Ask::Run(_) | Ask::Sessions(_))) => {
                        break bad("one run is all it does".to_owned());
                    }
                    Err(text) => break bad(text),
                    // The caller has gone, so the outcome is no longer wanted.
                    Ok(None) => {
                        turns.close();
                        let _ = stop.send(Stop::Terminate).await;
                        std::future::pending().await
                    }
                },
            };
            if level > Stop::No {
                turns.close();
            }
            let _ = stop.send(level).await;
        }
    };
    tokio::select! {
        _ = dispatch(&plan, executor, &mut stops, &mut upward) => Ok(0),
        error = listening => Err(error),
    }
}

/// The way to the leaves, and to gateways further down.
fn executor(
    run: &Run,
    share: &Share,
    turns: &Arc<Turns>,
    here: (Invocation<'_>, &Console),
) -> Result<(Arc<dyn Transport>, Option<Gateways>), CliError> {
    let ssh = ssh(&run.reach, here)?;
    let leaves: Arc<dyn Transport> = if run.reach.local {
        let all: NodeSet = share.names.iter().map(|name| &**name).collect();
        Arc::new(Local::new(&share.names, all.to_string()))
    } else {
        Arc::clone(&ssh)
    };
    let reach = (run.reach.clone(), run.install);
    let gateways = below((&run.root, &run.routes), reach, ssh, Arc::clone(turns) as _)?;
    Ok((leaves, gateways))
}

fn plan(run: &Run, names: &Arc<[NodeName]>) -> Result<Plan, CliError> {
    let limit = |seconds: Option<f64>| {
        let limit = seconds.map(|seconds| config::parse_limit(&seconds.to_string()));
        limit.transpose().map_err(CliError::usage)
    };
    let limits = Limits {
        connect: limit(run.connect)?,
        authenticate: limit(run.authenticate)?,
        idle: limit(run.idle)?,
        command: limit(run.command)?,
        // The whole run is the root's to end.
        deadline: None,
    };
    let files = crate::transport::raise_file_limit().saturating_sub(64);
    let fanout = NonZeroUsize::new(run.fanout.min(files)).unwrap_or(NonZeroUsize::MIN);
    let mut plan = Plan::all(Arc::clone(names), fanout, limits);
    plan.tolerance = Tolerance {
        retries: run.retries,
        ..Tolerance::default()
    };
    Ok(plan)
}

/// The nodes with their commands, and what these read.
#[derive(Debug)]
struct Share {
    names: Arc<[NodeName]>,
    commands: Vec<Command>,
    /// Which command each node runs.
    of: Vec<usize>,
    inputs: Vec<Arc<Spool>>,
}

impl Share {
    fn new(run: &Run, scratch: &Path) -> Result<Self, CliError> {
        if run.inputs as usize > run.jobs.len() {
            return Err(bad("more inputs than jobs".to_owned()));
        }
        let inputs: Vec<_> = (0..run.inputs)
            .map(|_| Arc::new(Spool::new(scratch.into())))
            .collect();
        let (mut names, mut of) = (Vec::new(), Vec::new());
        let mut commands = Vec::new();
        for job in &run.jobs {
            let stdin = job.input.map(|input| {
                let spool = inputs.get(input as usize).cloned();
                let spool = spool.ok_or_else(|| bad("a job with an unknown input".to_owned()))?;
                Ok::<_, CliError>(Input::new(spool, Meter::default()))
            });
            for name in nodes(&job.nodes)?.iter() {
                names.push(NodeName::from(name));
                of.push(commands.len());
            }
            if names.len() > MOST {
                return Err(bad(format!("more than {MOST} nodes")));
            }
            commands.push(Command {
                line: job.line.clone(),
                stdin: stdin.transpose()?,
                pty: job.pty,
            });
        }
        Ok(Self {
            names: names.into(),
            commands,
            of,
            inputs,
        })
    }

    fn feed(&self, input: u32, bytes: &[u8]) {
        if let Some(spool) = self.inputs.get(input as usize)
            && let Err(error) = spool.push(bytes)
        {
            spool.close(Some(error.kind()));
        }
    }

    fn close(&self, input: u32, error: Option<io::ErrorKind>) {
        if let Some(spool) = self.inputs.get(input as usize) {
            spool.close(error);
        }
    }

    fn command_of(&self, node: NodeId) -> &Command {
        &self.commands[self.of[node.index()]]
    }
}

impl Work for Share {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        session.exec(self.command_of(node), io)
    }

    fn command(&self, node: NodeId) -> Option<Cow<'_, Command>> {
        Some(Cow::Borrowed(self.command_of(node)))
    }
}

/// Takes any run as far as nothing is contacted: its nodes and commands, and its plan.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(run: &Run) {
    let Ok(share) = Share::new(run, Path::new("/nowhere")) else {
        return;
    };
    assert!(share.names.len() == share.of.len() && share.names.len() <= MOST);
    if let Ok(plan) = plan(run, &share.names) {
        assert_eq!(plan.nodes.len(), share.names.len());
    }
}
