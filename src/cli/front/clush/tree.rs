//! The tree mode: nodes behind gateways, as `topology.conf` or `--topology` has them.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::failure::Failure;
use super::options::Options;
use super::ssh::native_options;
use super::worker::{Given, Reached};
use crate::cli::resolve::gateways::{self as tree, ConsoleNotices, OpenGateways, Wording};
use crate::cli::resolve::reach;
use crate::config::Environment;
use crate::config::clush::Verbosity;
use crate::event::Outcome;
use crate::gateway::{Reach, SshClient};
use crate::groups::Defaults;
use crate::report::clush::Reasons;
use crate::topology::{Topology, TopologyError};
use crate::transport::Transport;

/// What the original shows for nodes that were begun on a gateway that is lost.
const LOST: u8 = 76;

/// The tree in force. A worker that is named turns it off.
pub(super) fn topology(
    options: &Options,
    environment: &Environment,
    defaults: &Defaults,
    folders: &[std::path::PathBuf],
) -> Result<Option<Topology>, Failure> {
    if options.worker.is_some() {
        return Ok(None);
    }
    let file = match &options.topology {
        Some(file) => file.clone(),
        None if defaults.auto_tree == Some(false) => return Ok(None),
        None => match tree::found(folders) {
            Some(file) => file,
            None => return Ok(None),
        },
    };
    read(&file, environment).map(Some)
}

fn read(file: &Path, environment: &Environment) -> Result<Topology, Failure> {
    tree::read(file, environment).map_err(|error| match error {
        TopologyError::Nodes(error) => error.into(),
        error @ (TopologyError::File(_)
        | TopologyError::NoRoute
        | TopologyError::Root(_)
        | TopologyError::Overlap
        | TopologyError::Loop(_)
        | TopologyError::Convergent(_)) => Failure::Named(format!("TREE MODE: {error}")),
    })
}

/// The gateways of a run: which are open, and who hears when there is no way left.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) open: OpenGateways,
    pub(super) notices: Arc<ConsoleNotices>,
}

impl Tree {
    /// Puts gateways in front of what reaches nodes.
    pub(super) fn plant(
        topology: &Topology,
        remote: bool,
        given: &Given<'_>,
        reached: Reached,
    ) -> Result<(Self, Reached), Failure> {
        let Reached { ready, reasons } = reached;
        let words = given.words("ssh_options")?;
        let native = native_options(words.clone());
        let user = native.as_ref().and_then(|native| native.user.clone());
        let below = Reach {
            worker: match reasons {
                Reasons::Ours => SshClient::Native,
                Reasons::Theirs => SshClient::Ssh,
            },
            user: user.or_else(|| given.user()),
            options: native.map_or_else(|| only_options(&words), |native| native.options),
            via: None,
            local: !remote,
        };
        let notices = ConsoleNotices::new(given.called, &given.console.err, Wording::Clush);
        let notices = Arc::new(notices.map_err(|error| Failure::Named(error.to_string()))?);
        let ssh: Arc<dyn Transport> = ready.transport.into();
        let direct = match remote {
            true => Arc::clone(&ssh),
            false => reach::local(given.nodes, given.folded),
        };
        let lost = Outcome::Exited { status: LOST };
        let (open, ready) = tree::in_front(
            (topology.clone(), below),
            (ssh, direct),
            given.folded,
            (Arc::clone(&notices), lost),
        );
        let reached = Reached { ready, reasons };
        Ok((Self { open, notices }, reached))
    }
}

/// The values of `-o` among words of which some mean nothing to us.
fn only_options(words: &[String]) -> Vec<String> {
    let mut words = words.iter();
    let mut options = Vec::new();
    while let Some(word) = words.next() {
        match word.strip_prefix("-o") {
            Some("") => options.extend(words.next().cloned()),
            Some(option) => options.push(option.to_owned()),
            None => {}
        }
    }
    options
}

/// The drawing of the tree.
pub(super) fn draw(topology: &Topology, out: &mut impl std::io::Write) -> std::io::Result<()> {
    const RULER: &str = "---------------";
    write!(out, "{RULER}\n{topology}{RULER}\n")
}

/// Says that there is a tree.
pub(super) fn announce(
    called: &str,
    topology: &Topology,
    verbosity: Verbosity,
    mut err: &std::fs::File,
) {
    if verbosity >= Verbosity::Verbose {
        let count = topology.gateways().len();
        // Nothing can be done if that fails.
        let _ = writeln!(err, "{called}: enabling tree topology ({count} gateways)");
    }
}
