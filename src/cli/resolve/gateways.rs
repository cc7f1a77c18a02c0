//! Gateways as the command line sees them: which topology holds, and what is said about gateways.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use super::groups::resolver;
use super::{Invocation, reach};
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::config::Environment;
use crate::event::Outcome;
use crate::gateway::{Reach, SshClient};
use crate::topology::{Topology, TopologyError};
use crate::transport::Transport;
pub(in crate::cli) use crate::transport::gateway::OpenGateways;
use crate::transport::gateway::{Gateways, Notice, Parent, Program, Routed};
use crate::transport::ways::{self, Reached, Way};

/// The `topology.conf` that ClusterShell's tools would use: that of the last of their folders that has one.
pub(in crate::cli) fn found(folders: &[PathBuf]) -> Option<PathBuf> {
    let files = folders
        .iter()
        .rev()
        .map(|folder| folder.join("topology.conf"));
    files.into_iter().find(|file| file.is_file())
}

/// The tree of a topology file below this host.
///
/// # Errors
/// What is wrong with it.
pub(in crate::cli) fn read(
    file: &Path,
    environment: &Environment,
) -> Result<Topology, TopologyError> {
    let name = file.to_string_lossy();
    let Ok(text) = std::fs::read(file) else {
        return Err(TopologyError::File(name.into_owned()));
    };
    let groups = resolver(environment);
    Topology::read(&name, &String::from_utf8_lossy(&text), &host(), &groups)
}

/// The short name of this host.
fn host() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// This program, for gateways that lack it.
///
/// # Errors
/// When it cannot be read.
pub(in crate::cli) fn program() -> Result<Program, CliError> {
    std::env::current_exe()
        .and_then(|path| Program::open(&path))
        .map_err(|error| CliError::system(format!("cannot read this program itself: {error}")))
}

/// Puts the gateways of a tree in front of a transport that reaches them. Nodes that are behind none are reached by
/// `direct`; those that were begun on a gateway that is lost have the outcome `lost`.
pub(in crate::cli) fn in_front(
    (topology, reach): (Topology, Reach),
    (ssh, direct): (Arc<dyn Transport>, Arc<dyn Transport>),
    folded: &str,
    (notices, lost): (Arc<ConsoleNotices>, Outcome),
) -> (OpenGateways, Reached) {
    let mut gateways = gateways(topology, ssh, reach, notices);
    gateways.lost = Some(lost);
    let reached = Reached {
        transport: Box::new(Routed::new(gateways.clone(), direct, folded)),
        launcher: Some(Box::new(gateways.clone())),
    };
    (gateways.open, reached)
}

/// The launcher over the gateways of a tree, which it reaches by the transport.
fn gateways(
    topology: Topology,
    transport: Arc<dyn Transport>,
    reach: Reach,
    notices: Arc<ConsoleNotices>,
) -> Gateways {
    Gateways {
        topology,
        transport,
        reach,
        install: None,
        lost: None,
        parent: notices,
        open: OpenGateways::default(),
    }
}

/// Puts the gateways of the tree in force in front of a way.
///
/// # Errors
/// A topology that cannot be used, or a way that does not go with one.
pub(in crate::cli) fn around(
    reached: Reached,
    way: &Way,
    asked: Invocation<'_>,
    fleet: reach::Fleet<'_>,
    console: &Console,
) -> Result<Reached, CliError> {
    let options = &asked.options.reach;
    let Some(topology) = usable(way, asked)? else {
        return Ok(reached);
    };
    let direct: Arc<dyn Transport> = reached.transport.into();
    let transport = if way.can.here {
        let native = ways::by_name("native").unwrap_or(way);
        let hosts = reach::Fleet {
            nodes: &[],
            folded: "",
            lab: fleet.lab,
            trace: fleet.trace,
        };
        reach::reach(native, asked, hosts, console)?
            .transport
            .into()
    } else {
        Arc::clone(&direct)
    };
    let values = asked.site.values()?;
    let below = Reach {
        worker: match way.name {
            "ssh" => SshClient::Ssh,
            _ => SshClient::Native,
        },
        user: options.user.clone().or_else(|| values.user.clone()),
        options: options.ssh_option.clone(),
        via: options.via.clone().or_else(|| values.haproxy.via.clone()),
        local: way.can.here,
    };
    let notices = ConsoleNotices::new(asked.called, &console.err, Wording::Hash)?;
    let mut gateways = gateways(topology, transport, below, Arc::new(notices));
    if options.install_gateway {
        gateways.install = Some(program()?);
    }
    Ok(Reached {
        transport: Box::new(Routed::new(gateways.clone(), direct, fleet.folded)),
        launcher: Some(Box::new(gateways)),
    })
}

/// Refuses options about gateways that do not go together.
///
/// # Errors
/// A topology that cannot be used, or a way that does not go with one.
pub(in crate::cli) fn check(way: &Way, asked: Invocation<'_>) -> Result<(), CliError> {
    usable(way, asked).map(drop)
}

/// The tree in force, if the way leads to gateways.
fn usable(way: &Way, asked: Invocation<'_>) -> Result<Option<Topology>, CliError> {
    let options = &asked.options.reach;
    let leads = way.can.ssh || way.can.here;
    if !leads && options.topology.is_some() {
        return Err(CliError::usage(format!(
            "--topology does not go with -R {}, which reaches no gateways",
            way.name
        )));
    }
    let topology = if leads { topology(asked)? } else { None };
    if topology.is_none() && options.install_gateway {
        return Err(CliError::usage(
            "--install-gateway without a topology; name one with --topology",
        ));
    }
    Ok(topology)
}

/// The tree in force: that of the option or the configuration, else the one that ClusterShell's tools would use.
fn topology(asked: Invocation<'_>) -> Result<Option<Topology>, CliError> {
    let options = asked.options;
    let environment = &asked.site.environment;
    let is_named = options.reach.worker.is_some() || options.targets.lab;
    let configured = asked.site.values()?.topology.clone().map(PathBuf::from);
    let named = options
        .reach
        .topology
        .clone()
        .or(configured.filter(|_| !is_named));
    let wrong = |error: TopologyError| CliError::config(format!("topology: {error}"));
    if let Some(file) = named {
        return read(&file, environment).map(Some).map_err(wrong);
    }
    // The worker was named, so nothing is to come in between by itself.
    if is_named || asked.site.defaults()?.auto_tree == Some(false) {
        return Ok(None);
    }
    let Some(file) = found(&asked.site.folders()) else {
        return Ok(None);
    };
    match read(&file, environment) {
        // A file that all hosts of a site have need not have a place for this one.
        Err(TopologyError::Root(_) | TopologyError::NoRoute) => Ok(None),
        read => read.map(Some).map_err(wrong),
    }
}

/// In whose words gateways are spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Wording {
    Hash,
    /// As `clush` has it.
    Clush,
}

/// Writes notices about gateways to standard error.
#[derive(Debug)]
pub(in crate::cli) struct ConsoleNotices {
    called: String,
    err: File,
    wording: Wording,
    stranded: watch::Sender<Option<String>>,
}

impl ConsoleNotices {
    /// Speaks as the program was called.
    pub(in crate::cli) fn new(
        called: &str,
        err: &File,
        wording: Wording,
    ) -> Result<Self, CliError> {
        Ok(Self {
            called: called.to_owned(),
            err: err
                .try_clone()
                .map_err(|error| CliError::system(error.to_string()))?,
            wording,
            stranded: watch::Sender::new(None),
        })
    }

    /// Waits until there is a node without any way left, and names it.
    pub(in crate::cli) async fn stranded(&self) -> String {
        let mut stranded = self.stranded.subscribe();
        let found = stranded.wait_for(Option::is_some).await;
        match found.ok().and_then(|node| node.clone()) {
            Some(node) => node,
            None => std::future::pending().await,
        }
    }
}

impl Parent for ConsoleNotices {
    fn notice(&self, notice: Notice<'_>) {
        let called = &self.called;
        let line = match (notice, self.wording) {
            (Notice::Failed { gateway, message }, Wording::Hash) => {
                format!("{called}: gateway {gateway}: {message}")
            }
            (Notice::Failed { gateway, message }, Wording::Clush) => {
                format!("{gateway}: {message}")
            }
            (Notice::Rerouting { gateway, nodes }, Wording::Hash) => {
                format!("{called}: {nodes}: another way is taken, as gateway {gateway} failed")
            }
            (Notice::Rerouting { gateway, nodes }, Wording::Clush) => format!(
                "{called}: rerouting commands for {nodes} due to the failure of gateway {gateway}"
            ),
            (Notice::NoRoute { node }, _) => {
                self.stranded.send_replace(Some(node.to_owned()));
                return;
            }
        };
        // Nothing can be done if that fails.
        let _ = writeln!(&self.err, "{line}");
    }
}
