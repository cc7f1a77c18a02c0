//! `gateway`: this program as another's gateway. It is told on standard input what to run, and tells on standard output
//! what becomes of it (`crate::gateway` has the words). The engine is the same as everywhere.

mod turns;

use std::borrow::Cow;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::request::{Options, Reach};
use crate::cli::resolve::{Asked, reach};
use crate::cli::runtime::Runtime;
use crate::cli::task::{Here, Request};
use crate::cli::verb::VerbArgs;
use crate::config;
use crate::event::{Meter, NodeId, Outcome, Stop};
use crate::exec::{Means, dispatch};
use crate::gateway::{self, Ask, Hello, LONGEST_ASK, Lines, Run, Worker};
use crate::nodeset::{NoGroups, NodeSet, eval_words};
use crate::plan::{Limits, NodeName, Plan, Tolerance};
use crate::report::gateway::{Upward, Voice};
use crate::topology::{Route, Topology};
use crate::transport::gateway::{Gateways, OpenGateways, Program};
use crate::transport::input::{Input, Spool};
use crate::transport::local::Local;
use crate::transport::{BoxFuture, Command, NodeIo, Session, Transport};
use crate::work::Work;
use turns::{InTurn, Turns};

/// Arguments of `gateway`.
#[derive(Debug, Args)]
pub struct GatewayArgs {}

impl VerbArgs for GatewayArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(Request::Here(Box::new(self)))
    }
}

impl Here for GatewayArgs {
    /// Serves one run.
    fn perform(self: Box<Self>, asked: Asked<'_>, console: &mut Console) -> Result<u8, CliError> {
        let out = console.out.get_ref().try_clone();
        let voice = Voice::new(out.map_err(lost)?);
        voice.say(&[Hello::ours()]).map_err(lost)?;
        Runtime::start()?.block_on(async |signals| {
            let mut asks = Asks::new();
            let Some(first) = asks.next().await? else {
                return Ok(0);
            };
            let Ask::Run(run) = first else {
                return Err(CliError::usage("the first message is not what to run"));
            };
            let here = (asked, &*console);
            serve(*run, here, voice, (asks, &mut signals.stops)).await
        })?
    }
}

fn lost(error: io::Error) -> CliError {
    CliError::system(format!("cannot write to who called: {error}"))
}

async fn serve(
    run: Run,
    here: (Asked<'_>, &Console),
    voice: Voice,
    (mut asks, signals): (Asks, &mut mpsc::Receiver<Stop>),
) -> Result<u8, CliError> {
    let share = Share::new(&run, &here.0.site.scratch())?;
    let plan = plan(&run, &share.names)?;
    let turns = Arc::new(Turns::new(voice.clone()));
    let (leaves, gateways) = means(&run, &share, &turns, here)?;
    let transport = InTurn::new(&*leaves, &turns);
    let means = Means {
        launcher: Some(&gateways),
        ..Means::new(&transport, &share)
    };
    let mut upward = Upward::new(voice, Arc::clone(&share.names));
    let (stop, mut stops) = mpsc::channel(8);
    let listening = async {
        loop {
            let level = tokio::select! {
                Some(level) = signals.recv() => level,
                ask = asks.next() => match ask {
                    Ok(Some(Ask::Begin { nodes })) => {
                        match gateway::nodes(&nodes, share.names.len()) {
                            Ok(nodes) => turns.grant(&nodes),
                            Err(text) => break CliError::usage(text),
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
                    Ok(Some(Ask::Run(_))) => break CliError::usage("one run is all it does"),
                    Err(error) => break error,
                    // Whoever called has gone: nobody wants to know any more.
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
        _ = dispatch(&plan, means, &mut stops, &mut upward) => Ok(0),
        error = listening => Err(error),
    }
}

/// The way to the leaves, and to gateways further down.
fn means(
    run: &Run,
    share: &Share,
    turns: &Arc<Turns>,
    (asked, console): (Asked<'_>, &Console),
) -> Result<(Arc<dyn Transport>, Gateways), CliError> {
    let options = Options {
        reach: Reach {
            worker: Some(match run.reach.worker {
                Worker::Native => "native".to_owned(),
                Worker::Ssh => "ssh".to_owned(),
            }),
            user: run.reach.user.clone(),
            ssh_option: run.reach.options.clone(),
            ..Reach::default()
        },
        ..Options::default()
    };
    let asked = Asked {
        options: &options,
        ..asked
    };
    let fleet = reach::Fleet {
        nodes: &share.names,
        folded: "",
        lab: None,
    };
    let ssh = reach::reach(reach::way(asked)?, asked, fleet, console)?;
    let ssh: Arc<dyn Transport> = ssh.transport.into();
    let leaves: Arc<dyn Transport> = if run.reach.local {
        let all: NodeSet = share.names.iter().map(|name| &**name).collect();
        Arc::new(Local::new(&share.names, all.to_string()))
    } else {
        Arc::clone(&ssh)
    };
    let routes = run.routes.iter().map(|(from, to)| {
        Ok(Route {
            from: nodes(from)?,
            to: nodes(to)?,
        })
    });
    let routes = routes.collect::<Result<_, CliError>>()?;
    let bad = |error| CliError::usage(format!("bad topology: {error}"));
    let topology = Topology::new(&run.root, routes).map_err(bad)?;
    let install = run
        .install
        .then(|| Program::open(Path::new("/proc/self/exe")));
    let install = install.transpose();
    let gateways = Gateways {
        topology,
        transport: ssh,
        reach: run.reach.clone(),
        install: install
            .map_err(|error| CliError::system(format!("cannot read this program: {error}")))?,
        lost: None,
        above: Arc::clone(turns) as _,
        open: OpenGateways::default(),
    };
    Ok((leaves, gateways))
}

fn nodes(text: &str) -> Result<NodeSet, CliError> {
    eval_words(text, &NoGroups).map_err(|error| CliError::usage(error.to_string()))
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
        let inputs: Vec<_> = (0..run.inputs)
            .map(|_| Arc::new(Spool::new(scratch.into())))
            .collect();
        let (mut names, mut of) = (Vec::new(), Vec::new());
        let mut commands = Vec::new();
        for job in &run.jobs {
            let stdin = job.input.map(|input| {
                let spool = inputs.get(input as usize).cloned();
                let spool = spool.ok_or_else(|| CliError::usage("a job with an unknown input"))?;
                Ok::<_, CliError>(Input::new(spool, Meter::default()))
            });
            for name in nodes(&job.nodes)?.iter() {
                names.push(NodeName::from(name));
                of.push(commands.len());
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

/// What is said on standard input.
struct Asks {
    stdin: tokio::io::Stdin,
    chunk: bytes::BytesMut,
    lines: Lines,
}

impl Asks {
    fn new() -> Self {
        Self {
            stdin: tokio::io::stdin(),
            chunk: bytes::BytesMut::new(),
            lines: Lines::new(LONGEST_ASK),
        }
    }

    /// The next message; `None` at the end. May be dropped while it waits.
    async fn next(&mut self) -> Result<Option<Ask>, CliError> {
        let bad = |text: String| CliError::usage(format!("bad message: {text}"));
        loop {
            if let Some(line) = self.lines.take().map_err(bad)? {
                let ask = serde_json::from_slice(line);
                return ask.map(Some).map_err(|error| bad(error.to_string()));
            }
            self.chunk.reserve(64 * 1024);
            let read = self.stdin.read_buf(&mut self.chunk).await;
            if read.map_or(true, |count| count == 0) {
                return Ok(None);
            }
            self.lines.push(&self.chunk.split());
        }
    }
}
