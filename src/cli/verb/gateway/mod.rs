//! `gateway`: this program as another's gateway. It is told on standard input what to do, and tells on standard output
//! what becomes of it (`crate::gateway` has the words). The engine is the same as everywhere.

mod run;
mod sessions;
mod turns;

use std::io;
use std::path::Path;
use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::request::{self, Options};
use crate::cli::resolve::{Invocation, reach};
use crate::cli::runtime::Runtime;
use crate::cli::task::{Here, Request};
use crate::cli::verb::VerbArgs;
use crate::gateway::{self, Ask, Hello, Reach, SshClient};
use crate::nodeset::NodeSet;
use crate::report::gateway::Voice;
use crate::topology::{Route, Topology};
use crate::trace::Trace;
use crate::transport::Transport;
use crate::transport::gateway::{Gateways, Messages, OpenGateways, Parent, Program};

/// More nodes are not taken for one gateway.
const MOST: usize = 1_000_000;

/// Arguments of `gateway`.
#[derive(Debug, Args)]
pub struct GatewayArgs {}

impl VerbArgs for GatewayArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(Request::Here(Box::new(self)))
    }
}

impl Here for GatewayArgs {
    /// Serves one caller.
    fn perform(
        self: Box<Self>,
        asked: Invocation<'_>,
        console: &mut Console,
    ) -> Result<u8, CliError> {
        let out = console.out.get_ref().file().map_err(lost)?;
        let voice = Voice::new(out.try_clone().map_err(lost)?);
        voice.say(&[Hello::ours()]).map_err(lost)?;
        let here = (asked, &*console);
        Runtime::start()?.block_on(async |signals| {
            let mut asks = Messages::new(tokio::io::stdin());
            let first = asks.next().await.map_err(bad)?;
            let said = (asks, &mut signals.stops);
            match first {
                Some(Ask::Run(run)) => run::serve(*run, here, voice, said).await,
                Some(Ask::Sessions(setup)) => sessions::serve(*setup, here, out, said).await,
                Some(
                    Ask::Begin { .. } | Ask::Input { .. } | Ask::InputEnd { .. } | Ask::Stop { .. },
                ) => Err(bad("the first does not say what is wanted".to_owned())),
                None => Ok(0),
            }
        })?
    }
}

fn lost(error: io::Error) -> CliError {
    CliError::system(format!("cannot write to who called: {error}"))
}

fn bad(text: String) -> CliError {
    CliError::usage(format!("bad message: {text}"))
}

fn nodes(text: &str) -> Result<NodeSet, CliError> {
    gateway::nodes(text, MOST).map_err(bad)
}

/// The way to nodes over SSH.
fn ssh(
    reach: &Reach,
    (asked, console): (Invocation<'_>, &Console),
) -> Result<Arc<dyn Transport>, CliError> {
    let options = Options {
        reach: request::Reach {
            worker: Some(match reach.worker {
                SshClient::Native => "native".to_owned(),
                SshClient::Ssh => "ssh".to_owned(),
            }),
            user: reach.user.clone(),
            ssh_option: reach.options.clone(),
            via: reach.via.clone(),
            ..request::Reach::default()
        },
        ..Options::default()
    };
    let asked = Invocation {
        options: &options,
        ..asked
    };
    let hosts = reach::Fleet {
        nodes: &[],
        folded: "",
        lab: None,
        trace: &Trace::default(),
    };
    let reached = reach::reach(reach::way(asked)?, asked, hosts, console)?;
    Ok(reached.transport.into())
}

/// The gateways further down; `None` if there are none.
fn below(
    (root, routes): (&str, &[(String, String)]),
    (reach, install): (Reach, bool),
    transport: Arc<dyn Transport>,
    parent: Arc<dyn Parent>,
) -> Result<Option<Gateways>, CliError> {
    if routes.is_empty() {
        return Ok(None);
    }
    let routes = routes.iter().map(|(from, to)| {
        Ok(Route {
            from: nodes(from)?,
            to: nodes(to)?,
        })
    });
    let routes = routes.collect::<Result<_, CliError>>()?;
    let topology = Topology::new(root, routes)
        .map_err(|error| CliError::usage(format!("bad topology: {error}")))?;
    let install = install.then(|| Program::open(Path::new("/proc/self/exe")));
    let install = install
        .transpose()
        .map_err(|error| CliError::system(format!("cannot read this program: {error}")))?;
    Ok(Some(Gateways {
        topology,
        transport,
        reach,
        install,
        lost: None,
        parent,
        open: OpenGateways::default(),
    }))
}

/// Takes any run that it is asked for as far as nothing is contacted.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(run: &crate::gateway::Run) {
    run::fuzz(run);
}
