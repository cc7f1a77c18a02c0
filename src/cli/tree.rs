//! Gateways as the command line sees them: which topology holds, and what is said about gateways.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use super::error::CliError;
use super::groups::resolver;
use crate::config::Environment;
use crate::gateway::Reach;
use crate::topology::{Topology, TopologyError};
use crate::transport::Transport;
use crate::transport::gateway::{Above, Gateways, Notice, OpenGateways, Program};

/// The `topology.conf` that ClusterShell's tools would use: that of the last of their folders that has one.
pub(super) fn found(folders: &[PathBuf]) -> Option<PathBuf> {
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
pub(super) fn read(file: &Path, environment: &Environment) -> Result<Topology, TopologyError> {
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
pub(super) fn program() -> Result<Program, CliError> {
    std::env::current_exe()
        .and_then(|path| Program::open(&path))
        .map_err(|error| CliError::system(format!("cannot read this program itself: {error}")))
}

/// The launcher over the gateways of a tree, which it reaches by the transport.
pub(super) fn gateways(
    topology: Topology,
    transport: Arc<dyn Transport>,
    reach: Reach,
    spoken: Arc<Spoken>,
) -> Gateways {
    Gateways {
        topology,
        transport,
        reach,
        install: None,
        lost: None,
        above: spoken,
        open: OpenGateways::default(),
    }
}

/// In whose words gateways are spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wording {
    Hash,
    /// As `clush` has it.
    Clush,
}

/// Tells the user of gateways, on standard error.
#[derive(Debug)]
pub(super) struct Spoken {
    called: String,
    err: File,
    wording: Wording,
    stranded: watch::Sender<Option<String>>,
}

impl Spoken {
    /// Speaks as the program was called.
    pub(super) fn new(called: &str, err: &File, wording: Wording) -> Result<Self, CliError> {
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
    pub(super) async fn stranded(&self) -> String {
        let mut stranded = self.stranded.subscribe();
        let found = stranded.wait_for(Option::is_some).await;
        match found.ok().and_then(|node| node.clone()) {
            Some(node) => node,
            None => std::future::pending().await,
        }
    }
}

impl Above for Spoken {
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
