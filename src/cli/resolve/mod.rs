//! From what was typed to what will happen: files, groups and the configuration are read here, once, and a mistake of
//! the user ends here, before anything is contacted. Knows no front-end and no verb.

pub mod gateways;
pub(in crate::cli) mod globs;
pub mod groups;
pub mod lab;
pub mod limits;
pub(in crate::cli) mod lists;
pub(in crate::cli) mod nodes;
pub mod reach;
pub mod show;
pub mod sockets;
pub(in crate::cli) mod targets;

use std::sync::Arc;

use super::console::Console;
use super::error::CliError;
use super::request::Options;
use super::site::Site;
use crate::lab::Lab;
use crate::nodeset::NodeSet;
use crate::plan::{Limits, NodeName, Plan};
use crate::report::Look;
use crate::report::way::Told;
use crate::trace::{Depth, Listener, Trace};
use crate::transport::sudo::Sudo;
use crate::transport::ways::{Reached, Way};

/// How the program was invoked: its name, its options and the machine it runs on.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// The name the program was called by, for messages.
    pub called: &'a str,
    /// What was typed.
    pub options: &'a Options,
    /// What holds on this machine.
    pub site: &'a Site,
    /// The whole command line of `hash`, for verbs that speak of it.
    pub grammar: fn() -> clap::Command,
}

/// Everything a run needs: nodes with fanout and limits, the way to them, and how it is shown.
#[derive(Debug)]
pub struct Job<'a> {
    /// What was asked for.
    pub asked: Invocation<'a>,
    /// Where to write.
    pub console: &'a mut Console,
    /// The nodes, folded.
    pub nodes: NodeSet,
    /// All of them, with fanout and limits.
    pub plan: Plan,
    /// By which way they are reached.
    pub way: &'static Way,
    /// That way, made for these nodes.
    pub reached: Reached,
    /// How the run is shown.
    pub look: Look,
    /// What was told of the way to the nodes and is not shown yet.
    pub(super) told: Option<Arc<Told>>,
    trace: Trace,
    /// The nodes themselves, with `--lab`; they serve for as long as this is kept.
    lab: Option<Lab>,
    /// Whom to be there instead of the user of the login.
    sudo: Option<Arc<Sudo>>,
}

impl<'a> Job<'a> {
    /// The job on these nodes.
    ///
    /// # Errors
    /// Whatever the user got wrong; nothing has been contacted then.
    pub fn resolve(
        asked: Invocation<'a>,
        nodes: NodeSet,
        console: &'a mut Console,
    ) -> Result<Self, CliError> {
        let look = show::look(asked, console)?;
        let depth = show::depth(asked);
        let told = (depth > Depth::Nothing).then(Arc::<Told>::default);
        let trace = told.as_ref().map_or_else(Trace::default, |told| {
            Trace::new(Arc::clone(told) as Arc<dyn Listener>, depth)
        });
        let names: Arc<[NodeName]> = nodes.iter().map(NodeName::from).collect();
        let fanout = limits::fanout(asked, console)?;
        let plan = Plan::all(names, fanout, limits::limits(asked)?);
        let way = reach::way(asked)?;
        let lab = lab::of(asked, &nodes)?;
        let fleet = reach::Fleet {
            nodes: &plan.nodes,
            folded: &nodes.to_string(),
            lab: lab.as_ref(),
            trace: &trace,
        };
        let reached = reach::reach(way, asked, fleet, console)?;
        let reached = gateways::around(reached, way, asked, fleet, console)?;
        let sudo = reach::sudo(asked, console, &trace)?;
        let reached = reach::as_user(reached, sudo.as_ref(), &plan.nodes)?;
        Ok(Self {
            asked,
            console,
            nodes,
            plan,
            way,
            reached,
            look,
            told,
            trace,
            lab,
            sudo,
        })
    }

    /// The same job on other nodes. What the way knows of keys and hops is kept.
    ///
    /// # Errors
    /// A configuration that cannot be used.
    pub fn go_to(&mut self, nodes: NodeSet) -> Result<(), CliError> {
        let names: Arc<[NodeName]> = nodes.iter().map(NodeName::from).collect();
        if self.way.can.here {
            let fleet = reach::Fleet {
                nodes: &names,
                folded: &nodes.to_string(),
                lab: self.lab.as_ref(),
                trace: &self.trace,
            };
            let reached = reach::reach(self.way, self.asked, fleet, self.console)?;
            let reached = gateways::around(reached, self.way, self.asked, fleet, self.console)?;
            let reached = reach::as_user(reached, self.sudo.as_ref(), &names)?;
            self.reached.transport = reached.transport;
        }
        self.plan = Plan::all(names, self.plan.fanout, self.plan.limits);
        self.nodes = nodes;
        Ok(())
    }
}

/// Refuses what a job with these options would refuse, without one: for who only says what would be done.
///
/// # Errors
/// Whatever the user got wrong.
pub(super) fn check(asked: Invocation<'_>) -> Result<(), CliError> {
    let way = reach::way(asked)?;
    limits::limits(asked)?;
    lab::check(asked)?;
    reach::check(way, asked)?;
    gateways::check(way, asked)
}

/// Access to nodes for a run that makes its own plan.
#[derive(Debug)]
pub struct NodeAccess {
    /// How they are reached.
    pub reached: Reached,
    /// The time limits.
    pub limits: Limits,
    /// The nodes themselves, with `--lab`; they serve for as long as this is kept.
    _lab: Option<Lab>,
}

impl NodeAccess {
    /// The way to these nodes, none of which need to be there.
    ///
    /// # Errors
    /// A configuration that cannot be used, or a lab that cannot be stood up.
    pub fn resolve(
        asked: Invocation<'_>,
        nodes: &NodeSet,
        console: &Console,
    ) -> Result<Self, CliError> {
        let limits = limits::limits(asked)?;
        let lab = if nodes.is_empty() {
            None
        } else {
            lab::of(asked, nodes)?
        };
        let names: Vec<NodeName> = nodes.iter().map(NodeName::from).collect();
        let fleet = reach::Fleet {
            nodes: &names,
            folded: &nodes.to_string(),
            lab: lab.as_ref(),
            trace: &Trace::default(),
        };
        let way = reach::way(asked)?;
        let reached = reach::reach(way, asked, fleet, console)?;
        let reached = gateways::around(reached, way, asked, fleet, console)?;
        Ok(Self {
            reached,
            limits,
            _lab: lab,
        })
    }
}
