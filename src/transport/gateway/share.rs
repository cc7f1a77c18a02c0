//! One gateway and its share of the nodes, from connecting to the last outcome.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::asks::{Asks, Outgoing};
use super::program::{self, MISSING, VERSION};
use super::{Gateways, Notice, SILENCE, jobs};
use crate::event::{ErrorCode, Event, Meter, NodeId, Outcome, Stop, Stream};
use crate::gateway::merge::{Place, fold};
use crate::gateway::replay::Replay;
use crate::gateway::{self, Ask, Hello, LONGEST_TELL, Lines, Tell};
use crate::plan::NodeName;
use crate::transport::child::keep_tail;
use crate::transport::input::Input;
use crate::transport::launch::{FleetIo, Launch};
use crate::transport::ssh::errors::printable;
use crate::transport::{BoxFuture, Command, NodeIo, Session};

/// So much may be printed by a login script in front of the greeting.
const CHATTER: usize = 16 * 1024;

/// How long it may take to put the program there.
const INSTALL: Duration = Duration::from_mins(5);

/// How long a goodbye may take.
const GRACE: Duration = Duration::from_millis(500);

/// A gateway that failed.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) gateway: NodeName,
    pub(super) message: String,
    /// Nodes of it on which nothing was begun.
    pub(super) not_begun: Vec<NodeId>,
}

/// A gateway's share of the nodes.
pub(super) struct Share<'a> {
    gateways: &'a Gateways,
    launch: Launch<'a>,
    io: FleetIo,
    gateway: NodeName,
    nodes: Vec<NodeId>,
    /// By name: the nodes that have no outcome yet, and since when they are at work.
    open: HashMap<NodeName, (NodeId, Option<Instant>)>,
    replay: Replay,
    places: HashMap<(NodeId, Stream), Place>,
    asks: Arc<Asks>,
    /// Nodes whose turn it is, on their way to the permission to begin.
    turns: FuturesUnordered<BoxFuture<'a, Turn>>,
}

type Turn = (Vec<(NodeName, NodeId)>, bool);

/// How a talk with a gateway ended when it did not fail.
enum End {
    Done,
    /// A stop was asked for before anything was begun.
    Stopped,
    /// The program is not there; the system and machine are these.
    Missing(String, Option<Box<dyn Session>>),
}

impl<'a> Share<'a> {
    pub(super) fn new(
        gateways: &'a Gateways,
        launch: Launch<'a>,
        io: FleetIo,
        gateway: NodeName,
        nodes: Vec<NodeId>,
    ) -> Self {
        let by_name = |node: &NodeId| (launch.plan.name(*node).clone(), (*node, None));
        let open = nodes.iter().map(by_name).collect();
        Self {
            gateways,
            launch,
            io,
            gateway,
            nodes,
            open,
            replay: Replay::default(),
            places: HashMap::new(),
            asks: Arc::default(),
            turns: FuturesUnordered::new(),
        }
    }

    /// Serves the nodes. Those that have no outcome behind it were not begun because of a stop.
    pub(super) async fn serve(mut self) -> Result<(), Lost> {
        let named = self
            .open
            .iter()
            .map(|(name, (node, _))| (*node, name.clone()));
        let open = &self.gateways.open;
        open.begin(&self.gateway, named);
        let served = self.converse().await;
        for node in &self.nodes {
            open.end(&self.gateway, *node);
        }
        let Err(message) = served else {
            return Ok(());
        };
        let mut not_begun = Vec::new();
        for node in &self.nodes {
            match self.open.get(self.launch.plan.name(*node)) {
                Some((_, Some(begun))) => {
                    let text = format!(
                        "lost with gateway {} ({message}); the command may still be running",
                        self.gateway
                    );
                    let usual = || Outcome::failed(ErrorCode::Lost, text);
                    let outcome = self.gateways.lost.clone().unwrap_or_else(usual);
                    self.io.finished(*node, outcome, begun.elapsed()).await;
                }
                Some((_, None)) => not_begun.push(*node),
                None => {}
            }
        }
        Err(Lost {
            gateway: self.gateway,
            message,
            not_begun,
        })
    }

    async fn converse(&mut self) -> Result<(), String> {
        let gateway = self.gateway.clone();
        let limits = &self.launch.plan.limits;
        let connecting = self.gateways.transport.connect(&gateway, limits);
        let session = tokio::select! {
            biased;
            () = self.io.stopped(Stop::Drain) => return Ok(()),
            connected = connecting => connected.map_err(|failure| failure.message)?,
        };
        let (system, session) = match self.talk(session).await? {
            End::Done | End::Stopped => return Ok(()),
            End::Missing(system, session) => (system, session),
        };
        let Some(program) = &self.gateways.install else {
            return Err(program::advice(&gateway));
        };
        let mut session = session.ok_or("lost while looking for hapsh there")?;
        tokio::select! {
            biased;
            () = self.io.stopped(Stop::Drain) => return Ok(()),
            installed = timeout(INSTALL, program.install(&mut *session, &system)) => {
                installed.map_err(|_| format!("hapsh did not arrive within {}s", INSTALL.as_secs()))??;
            }
        }
        self.asks = Arc::default();
        match self.talk(session).await? {
            End::Done | End::Stopped => Ok(()),
            End::Missing(..) => Err("hapsh was put there and is not found".to_owned()),
        }
    }

    /// Runs the program there and listens to it until all is said.
    async fn talk(&mut self, mut session: Box<dyn Session>) -> Result<End, String> {
        let (events, mut inbox) = mpsc::channel(8);
        let (_stop, stop) = watch::channel(Stop::No);
        let mut node_io = NodeIo::new(NodeId(0), events, stop);
        let asks = Arc::clone(&self.asks);
        let outgoing = Outgoing(Arc::clone(&asks));
        let command = Command {
            line: program::command_line(),
            stdin: Some(Input::new(Arc::new(outgoing), Meter::default())),
            pty: false,
        };
        let mut running = Box::pin(async move {
            let outcome = session.exec(&command, &mut node_io).await;
            (outcome, session)
        });
        let mut ended = None;
        let (mut lines, mut said) = (Lines::new(LONGEST_TELL), Vec::new());
        let (mut greeted, mut chatter) = (false, 0);
        let mut level = Stop::No;
        let mut feeds = FuturesUnordered::new();
        let setup_limit = self.launch.plan.limits.connect.unwrap_or(SILENCE);
        let mut quiet_until = Instant::now() + setup_limit;
        let end = 'talk: loop {
            let data: Bytes = tokio::select! {
                biased;
                () = self.io.stopped(next_level(level)), if level < Stop::Kill => {
                    level = *self.io.stop.borrow();
                    if !greeted {
                        break Told::Stopped;
                    }
                    asks.push(&Ask::Stop { level });
                    continue;
                }
                Some((nodes, granted)) = self.turns.next(), if !self.turns.is_empty() => {
                    if granted && level == Stop::No {
                        self.begin(&nodes).await;
                    }
                    continue;
                }
                Some(()) = feeds.next(), if !feeds.is_empty() => continue,
                event = inbox.recv() => match event {
                    Some(Event::Output { stream: Stream::Out, data, .. }) => data,
                    Some(Event::Output { data, .. }) => {
                        keep_tail(&mut said, &data);
                        continue;
                    }
                    Some(Event::Answer { .. } | Event::Started { .. } | Event::Finished { .. }) => continue,
                    // The program has ended, and so have its words.
                    None => return Err(why_ended(ended.map(|(outcome, _)| outcome), &said)),
                },
                done = &mut running, if ended.is_none() => {
                    ended = Some(done);
                    continue;
                }
                () = sleep_until(quiet_until) => return Err(match greeted {
                    true => format!("silent for {}s", SILENCE.as_secs()),
                    false => format!("no greeting within {}s", setup_limit.as_secs_f64()),
                }),
            };
            lines.push(&data);
            while let Some(line) = lines.take()? {
                if greeted {
                    let tell = serde_json::from_slice(line).map_err(|error| {
                        let text = printable(line, 60);
                        format!("what it says makes no sense: `{text}` ({error})")
                    })?;
                    if self.hear(tell).await? {
                        break 'talk Told::All;
                    }
                    continue;
                }
                match greeting(line)? {
                    Greeting::Chatter => {
                        chatter += line.len() + 1;
                        if chatter > CHATTER {
                            return Err("no greeting among what it says".to_owned());
                        }
                    }
                    Greeting::Missing(system) => break 'talk Told::Missing(system),
                    Greeting::Hello => {
                        greeted = true;
                        let (run, inputs) =
                            jobs::run(self.gateways, &self.launch, &self.gateway, &self.nodes);
                        asks.push(&Ask::Run(Box::new(run)));
                        for (input, number) in inputs.into_iter().zip(0..) {
                            let asks = Arc::clone(&asks);
                            feeds.push(async move { jobs::feed(number, &input, &asks).await });
                        }
                    }
                }
            }
            // Only our waiting counts, not the time that it takes to show what came.
            let limit = if greeted { SILENCE } else { setup_limit };
            quiet_until = Instant::now() + limit;
        };
        // Nobody listens any more: what it still says does not keep it from ending.
        asks.close();
        drop(inbox);
        let session = match ended {
            Some((_, session)) => Some(session),
            None => timeout(GRACE, running)
                .await
                .ok()
                .map(|(_, session)| session),
        };
        Ok(match (end, session) {
            (Told::Missing(system), session) => End::Missing(system, session),
            (Told::All, Some(session)) => {
                let _ = timeout(GRACE, session.close()).await;
                End::Done
            }
            (Told::All, None) => End::Done,
            (Told::Stopped, _) => End::Stopped,
        })
    }

    /// Takes in a message; says whether it was the last.
    async fn hear(&mut self, tell: Tell) -> Result<bool, String> {
        match tell {
            Tell::Ready { nodes } => {
                let mut turn = Vec::new();
                for (name, node, begun) in self.known(&nodes)? {
                    if begun.is_some() {
                        return Err(format!("it would begin {name} twice"));
                    }
                    turn.push((name, node));
                }
                let above = &self.gateways.above;
                self.turns.push(Box::pin(async move {
                    let names: Vec<NodeName> = turn.iter().map(|(name, _)| name.clone()).collect();
                    let granted = above.may_begin(&names).await;
                    (turn, granted)
                }));
            }
            Tell::Stretch(stretch) => self.replay.add(stretch)?,
            Tell::Forget { below } => self.replay.forget(below)?,
            Tell::Output { nodes, stream, at } => {
                let mut last: Option<(Place, Vec<Bytes>)> = None;
                for (name, node, begun) in self.known(&nodes)? {
                    if begun.is_none() {
                        return Err(format!("output of {name}, which was not begun"));
                    }
                    let place = self.places.entry((node, stream)).or_default();
                    let from = std::mem::replace(place, at);
                    let parts = match last.take_if(|(known, _)| *known == from) {
                        Some((_, parts)) => parts,
                        None => self.replay.between(from, at)?,
                    };
                    for part in &parts {
                        self.io.output(node, stream, part.clone()).await;
                    }
                    last = Some((from, parts));
                }
            }
            Tell::Finished { nodes, outcome } => {
                for (name, node, begun) in self.known(&nodes)? {
                    let took = begun.map(|begun| begun.elapsed()).unwrap_or_default();
                    self.open.remove(&name);
                    self.gateways.open.end(&self.gateway, node);
                    self.io.finished(node, outcome.clone(), took).await;
                }
            }
            Tell::Failed { gateway, message } => {
                let (gateway, message) = (
                    printable(gateway.as_bytes(), 80),
                    printable(message.as_bytes(), 300),
                );
                self.gateways.above.notice(Notice::Failed {
                    gateway: &gateway,
                    message: &message,
                });
            }
            Tell::Rerouting { gateway, nodes } => {
                self.known(&nodes)?;
                let gateway = printable(gateway.as_bytes(), 80);
                self.gateways.above.notice(Notice::Rerouting {
                    gateway: &gateway,
                    nodes: &nodes,
                });
            }
            Tell::Alive => {}
            Tell::End if self.open.is_empty() => return Ok(true),
            Tell::End => {
                return Err(format!(
                    "it ended without a word on {} nodes",
                    self.open.len()
                ));
            }
        }
        Ok(false)
    }

    /// The nodes of a set, all of which must be of this share and have no outcome yet.
    fn known(&self, nodes: &str) -> Result<Vec<(NodeName, NodeId, Option<Instant>)>, String> {
        let set = gateway::nodes(nodes, self.open.len())?;
        set.iter()
            .map(|name| {
                let (name, (node, begun)) = self
                    .open
                    .get_key_value(name.as_str())
                    .ok_or_else(|| format!("it speaks of {name}, which is not its own"))?;
                Ok((name.clone(), *node, *begun))
            })
            .collect()
    }

    /// Lets work on nodes begin. From here on it counts as begun.
    async fn begin(&mut self, nodes: &[(NodeName, NodeId)]) {
        let now = Instant::now();
        for (name, node) in nodes {
            if let Some((_, begun)) = self.open.get_mut(name) {
                *begun = Some(now);
            }
            self.io.started(*node).await;
        }
        let ids: Vec<NodeId> = nodes.iter().map(|(_, node)| *node).collect();
        let nodes = fold(&self.launch.plan.nodes, &ids);
        self.asks.push(&Ask::Begin { nodes });
    }
}

/// What was said up to the end of listening.
enum Told {
    All,
    Stopped,
    Missing(String),
}

enum Greeting {
    Hello,
    Missing(String),
    /// What a login script prints.
    Chatter,
}

fn greeting(line: &[u8]) -> Result<Greeting, String> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    if let Some(system) = text.strip_prefix(MISSING) {
        return Ok(Greeting::Missing(system.trim().to_owned()));
    }
    let Ok(hello) = serde_json::from_str::<Hello>(text) else {
        return Ok(Greeting::Chatter);
    };
    if hello.hash != Hello::GATEWAY || hello.v != gateway::VERSION {
        return Err(format!(
            "hapsh {} there speaks version {} of the messages, this one ({VERSION}) version {}; put the same on both",
            printable(hello.version.as_bytes(), 20),
            hello.v,
            gateway::VERSION
        ));
    }
    Ok(Greeting::Hello)
}

/// Why the program there ended before its time.
fn why_ended(outcome: Option<Outcome>, said: &[u8]) -> String {
    let said = said
        .split(|byte| *byte == b'\n')
        .map(|line| printable(line, 200));
    let said = said.rev().find(|line| !line.trim().is_empty());
    let how = match outcome {
        Some(Outcome::Failed(failure)) => return failure.message,
        Some(Outcome::Exited { status }) => format!("hapsh ended there with {status}"),
        Some(Outcome::Killed { signal }) => format!("hapsh was killed there by SIG{signal}"),
        None => "hapsh ended there".to_owned(),
    };
    match said {
        Some(said) => format!("{how}: {said}"),
        None => how,
    }
}

fn next_level(level: Stop) -> Stop {
    match level {
        Stop::No => Stop::Drain,
        Stop::Drain => Stop::Terminate,
        Stop::Terminate | Stop::Kill => Stop::Kill,
    }
}
