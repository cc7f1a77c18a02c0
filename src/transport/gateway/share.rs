//! One gateway and its share of the nodes, from connecting to the last outcome.
//!
//! What it says is believed of its own nodes only, and only what can become of them: a command ends on no node before it
//! was begun there, and no later than our own limits allow, whatever the gateway says or does not say.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::notices::Notices;
use super::overdue::Limits;
use super::talk::Talk;
use super::{Gateways, Notice, SILENCE, jobs};
use crate::event::{ErrorCode, NodeId, Outcome, Stop, Stream};
use crate::gateway::merge::{Place, fold};
use crate::gateway::replay::Replay;
use crate::gateway::{self, Ask, Tell};
use crate::plan::NodeName;
use crate::transport::BoxFuture;
use crate::transport::launch::{FleetIo, Launch};
use crate::transport::ssh::errors::printable;

/// How often it is looked whether a node is overdue.
const LOOK: Duration = Duration::from_secs(1);

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
    /// By name: the nodes that have no outcome yet.
    open: HashMap<NodeName, Open>,
    /// Nodes that got their outcome from us, as the gateway did not give them one in time.
    given_up: HashSet<NodeName>,
    limits: Limits,
    /// When it last said something about a node.
    moved: Instant,
    replay: Replay,
    places: HashMap<(NodeId, Stream), Place>,
    notices: Notices,
    /// Nodes whose turn it is, on their way to the permission to begin.
    turns: FuturesUnordered<BoxFuture<'a, Turn>>,
}

/// A node without an outcome.
#[derive(Debug, Clone, Copy)]
struct Open {
    node: NodeId,
    state: State,
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    /// The gateway has asked whether it may begin.
    Asked,
    Begun {
        since: Instant,
        /// When it last said something.
        heard: Instant,
    },
}

type Turn = (Vec<(NodeName, NodeId)>, bool);

impl<'a> Share<'a> {
    pub(super) fn new(
        gateways: &'a Gateways,
        launch: Launch<'a>,
        io: FleetIo,
        gateway: NodeName,
        nodes: Vec<NodeId>,
    ) -> Self {
        let state = State::Waiting;
        let by_name = |node: &NodeId| {
            let node = *node;
            (launch.plan.name(node).clone(), Open { node, state })
        };
        Self {
            gateways,
            launch,
            io,
            open: nodes.iter().map(by_name).collect(),
            given_up: HashSet::new(),
            limits: Limits::new(gateways, launch.plan, &gateway),
            moved: Instant::now(),
            notices: Notices::new(gateways, &gateway),
            gateway,
            nodes,
            replay: Replay::default(),
            places: HashMap::new(),
            turns: FuturesUnordered::new(),
        }
    }

    /// Serves the nodes. Those that have no outcome behind it were not begun because of a stop.
    pub(super) async fn serve(mut self) -> Result<(), Lost> {
        let named = self
            .open
            .iter()
            .map(|(name, open)| (open.node, name.clone()));
        let open = &self.gateways.open;
        open.begin(&self.gateway, named);
        let served = self.converse().await;
        for node in &self.nodes {
            open.end(&self.gateway, *node);
        }
        let Err(message) = served else {
            return Ok(());
        };
        // Much of it is in the gateway's own words.
        let message = printable(message.as_bytes(), 400);
        let mut not_begun = Vec::new();
        for node in &self.nodes {
            let open = self.open.get(self.launch.plan.name(*node));
            match open.map(|open| open.state) {
                Some(State::Begun { since, .. }) => {
                    let text = format!(
                        "lost with gateway {} ({message}); the command may still be running",
                        self.gateway
                    );
                    let usual = || Outcome::failed(ErrorCode::Lost, text);
                    let outcome = self.gateways.lost.clone().unwrap_or_else(usual);
                    self.io.finished(*node, outcome, since.elapsed()).await;
                }
                Some(State::Waiting | State::Asked) => not_begun.push(*node),
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
        let opening = Talk::open(self.gateways, &self.gateway, &self.launch.plan.limits);
        let mut talk = tokio::select! {
            biased;
            () = self.io.stopped(Stop::Drain) => return Ok(()),
            opened = opening => opened?,
        };
        let said = self.listen(&mut talk).await;
        if said.is_ok() {
            talk.close().await;
        }
        said
    }

    /// Tells the program what to run, and listens to it until all is said.
    async fn listen(&mut self, talk: &mut Talk) -> Result<(), String> {
        let out = Arc::clone(&talk.out);
        let (run, inputs) = jobs::run(self.gateways, &self.launch, &self.gateway, &self.nodes);
        out.push(&Ask::Run(Box::new(run)));
        let mut feeds: FuturesUnordered<_> = (0..)
            .zip(&inputs)
            .map(|(number, input)| jobs::feed(number, input, &out))
            .collect();
        let mut level = Stop::No;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.moved = Instant::now();
        let mut quiet_until = Instant::now() + SILENCE;
        loop {
            tokio::select! {
                biased;
                () = self.io.stopped(next_level(level)), if level < Stop::Kill => {
                    level = *self.io.stop.borrow();
                    out.push(&Ask::Stop { level });
                    continue;
                }
                _ = looks.tick() => {
                    self.look().await?;
                    if self.open.is_empty() && !self.given_up.is_empty() {
                        return Ok(());
                    }
                    continue;
                }
                Some((nodes, granted)) = self.turns.next(), if !self.turns.is_empty() => {
                    if granted && level == Stop::No {
                        let ask = self.begin(&nodes).await;
                        out.push(&ask);
                    }
                    continue;
                }
                Some(()) = feeds.next(), if !feeds.is_empty() => continue,
                more = talk.more() => more?,
                () = sleep_until(quiet_until) => {
                    return Err(format!("silent for {}s", SILENCE.as_secs()));
                }
            }
            while let Some(tell) = talk.message()? {
                if self.hear(tell).await? {
                    return Ok(());
                }
            }
            // Only our waiting counts, not the time that it takes to show what came.
            quiet_until = Instant::now() + SILENCE;
        }
    }

    /// Takes in a message; says whether it was the last.
    async fn hear(&mut self, tell: Tell) -> Result<bool, String> {
        if !matches!(tell, Tell::Alive) {
            self.moved = Instant::now();
        }
        match tell {
            Tell::Ready { nodes } => self.ready(&nodes)?,
            Tell::Stretch(stretch) => self.replay.add(stretch)?,
            Tell::Forget { below } => self.replay.forget(below)?,
            Tell::Output { nodes, stream, at } => self.output(&nodes, stream, at).await?,
            Tell::Finished { nodes, outcome } => self.finished(&nodes, outcome).await?,
            Tell::Failed { gateway, message } => {
                let message = self.gateways.labelled(&message, &self.gateway);
                let gateway = self.notices.failed(&gateway)?;
                self.gateways.parent.notice(Notice::Failed {
                    gateway: &gateway,
                    message: &message,
                });
            }
            Tell::Rerouting { gateway, nodes } => {
                self.known(&nodes)?;
                let gateway = self.notices.rerouting(&gateway)?;
                self.gateways.parent.notice(Notice::Rerouting {
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

    /// It is the turn of some nodes.
    fn ready(&mut self, nodes: &str) -> Result<(), String> {
        let turn = self.known(nodes)?;
        for (name, _) in &turn {
            match self.open.get_mut(name) {
                Some(open) if open.state == State::Waiting => open.state = State::Asked,
                _ => return Err(format!("it would begin {name} twice")),
            }
        }
        let parent = &self.gateways.parent;
        self.turns.push(Box::pin(async move {
            let names: Vec<NodeName> = turn.iter().map(|(name, _)| name.clone()).collect();
            let granted = parent.may_begin(&names).await;
            (turn, granted)
        }));
        Ok(())
    }

    async fn output(&mut self, nodes: &str, stream: Stream, at: Place) -> Result<(), String> {
        let mut last: Option<(Place, Vec<Bytes>)> = None;
        for (name, node) in self.known(nodes)? {
            let Some(Open {
                state: State::Begun { heard, .. },
                ..
            }) = self.open.get_mut(&name)
            else {
                return Err(format!("output of {name}, which was not begun"));
            };
            *heard = Instant::now();
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
        Ok(())
    }

    async fn finished(&mut self, nodes: &str, outcome: Outcome) -> Result<(), String> {
        let outcome = match outcome {
            Outcome::Failed(failure) => {
                if !gateway::is_of_run(failure.code) {
                    return Err(format!("no command ends with {}", failure.code));
                }
                Outcome::Failed(self.gateways.believed(failure, &self.gateway))
            }
            Outcome::Killed { signal } => Outcome::Killed {
                signal: printable(signal.as_bytes(), 20),
            },
            exited @ Outcome::Exited { .. } => exited,
        };
        for (name, node) in self.known(nodes)? {
            let since = match self.open.get(&name).map(|open| open.state) {
                Some(State::Begun { since, .. }) => Some(since),
                // Only why it was not begun can be said of it.
                _ if matches!(outcome, Outcome::Failed(_)) => None,
                _ => return Err(format!("the end of {name}, which was not begun")),
            };
            self.close(&name, node, outcome.clone(), since).await;
        }
        Ok(())
    }

    async fn close(
        &mut self,
        name: &NodeName,
        node: NodeId,
        outcome: Outcome,
        since: Option<Instant>,
    ) {
        self.open.remove(name);
        for stream in [Stream::Out, Stream::Err] {
            self.places.remove(&(node, stream));
        }
        self.gateways.open.end(&self.gateway, node);
        let took = since.map(|since| since.elapsed()).unwrap_or_default();
        self.io.finished(node, outcome, took).await;
    }

    /// Looks which nodes are overdue: they get their outcome from us.
    async fn look(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let (mut overdue, mut waits) = (Vec::new(), true);
        for (name, open) in &self.open {
            waits &= open.state == State::Waiting;
            if let State::Begun { since, heard } = open.state
                && let Some(failure) = self.limits.passed(since, heard, now)
            {
                overdue.push((name.clone(), open.node, since, failure));
            }
        }
        if waits && !self.open.is_empty() && now > self.moved + self.limits.setup {
            return Err(format!(
                "it says that it is alive and has begun nothing for {}s",
                self.limits.setup.as_secs()
            ));
        }
        for (name, node, since, mut failure) in overdue {
            let rest = format!("; gateway {} did not say so", self.gateway);
            failure.message.push_str(&rest);
            self.close(&name, node, Outcome::Failed(failure), Some(since))
                .await;
            self.given_up.insert(name);
            self.moved = now;
        }
        Ok(())
    }

    /// The nodes of a set, all of which must be of this share and have no outcome yet. Those that were given up are
    /// passed over.
    fn known(&self, nodes: &str) -> Result<Vec<(NodeName, NodeId)>, String> {
        let set = gateway::nodes(nodes, self.open.len() + self.given_up.len())?;
        if set.is_empty() {
            return Err("it speaks of no node".to_owned());
        }
        let mut known = Vec::with_capacity(set.len());
        for name in set.iter() {
            match self.open.get_key_value(name.as_str()) {
                Some((name, open)) => known.push((name.clone(), open.node)),
                None if self.given_up.contains(name.as_str()) => {}
                None => return Err(format!("it speaks of {name}, which is not its own")),
            }
        }
        Ok(known)
    }

    /// Lets work on nodes begin. From here on it counts as begun.
    async fn begin(&mut self, nodes: &[(NodeName, NodeId)]) -> Ask {
        let since = Instant::now();
        let mut begun = Vec::with_capacity(nodes.len());
        for (name, node) in nodes {
            // In between it may have said that it will not.
            if let Some(open) = self.open.get_mut(name) {
                let heard = since;
                open.state = State::Begun { since, heard };
                begun.push(*node);
                self.io.started(*node).await;
            }
        }
        Ask::Begin {
            nodes: fold(&self.launch.plan.nodes, &begun),
        }
    }
}

fn next_level(level: Stop) -> Stop {
    match level {
        Stop::No => Stop::Drain,
        Stop::Drain => Stop::Terminate,
        Stop::Terminate | Stop::Kill => Stop::Kill,
    }
}
