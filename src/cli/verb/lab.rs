//! `lab`: the embedded fleet, until Ctrl-C.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::ValueHint;
use serde::Serialize;

use super::VerbArgs;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::resolve::lab::start;
use crate::cli::resolve::{Invocation, nodes, show};
use crate::cli::runtime::Runtime;
use crate::cli::task::{Here, Request};
use crate::plan::NodeName;
use crate::report::Audience;

/// Arguments of `lab`.
#[derive(Debug, Args)]
#[command(after_help = "\
The nodes are those of -w, else lb[1-2]. Their stats sockets: /run/haproxy/admin.sock, operator.sock and
user.sock beside it, and tcp:127.0.0.1:9999.
Faults: hang, drop, slow, refuse, flood, disagree, haproxy-down, auth-fail, changed-hostkey, maxstartups.

Examples:
  hash lab                                      two load balancers, until Ctrl-C
  hash lab -w 'n[1-200]' --fault hang=n[1-10] --fault refuse=n11
  ssh -F /tmp/hash-lab-…/ssh_config lb1 uptime  from another terminal")]
pub struct LabArgs {
    /// Write what --json prints to this file once every node listens
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    ready_file: Option<PathBuf>,
}

/// What there is to know about a running lab.
#[derive(Debug, Serialize)]
struct Ready<'a> {
    schema: &'static str,
    pid: i32,
    nodes: String,
    count: usize,
    port: u16,
    user: &'static str,
    ssh_config: &'a Path,
    known_hosts: &'a Path,
    identity: &'a Path,
}

impl VerbArgs for LabArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(Request::Here(Box::new(self)))
    }
}

impl Here for LabArgs {
    /// Stands the lab up, says how to reach it, and keeps it until a signal comes.
    fn perform(
        self: Box<Self>,
        asked: Invocation<'_>,
        console: &mut Console,
    ) -> Result<u8, CliError> {
        let mut options = asked.options.clone();
        options.targets.lab = true;
        let asked = Invocation {
            options: &options,
            ..asked
        };
        let nodes = nodes::of(asked, console)?;
        let format = show::format(asked)?;
        if asked.options.care.dry_run.is_some() {
            // What cannot be written is told when the console is closed.
            let _ = writeln!(console.out, "{nodes}: stand up {} nodes", nodes.len());
            console.complain(format_args!(
                "{}: dry run: nothing was started",
                asked.called
            ));
            return Ok(0);
        }
        let shown = Runtime::start()?.block_on(async |signals| {
            let lab = start(&nodes, &options.targets.faults)?;
            let (ssh_config, known_hosts, identity) =
                (lab.ssh_config(), lab.known_hosts(), lab.identity());
            let ready = Ready {
                schema: "hash-lab/1",
                pid: rustix::process::getpid().as_raw_nonzero().get(),
                nodes: nodes.to_string(),
                count: nodes.len(),
                port: lab.port(),
                user: crate::lab::USER,
                ssh_config: &ssh_config,
                known_hosts: &known_hosts,
                identity: &identity,
            };
            if let Some(file) = &self.ready_file {
                announce(file, &ready)?;
            }
            let out = &mut console.out;
            let written = if format.audience == Audience::Programs {
                json(out, &ready)
            } else {
                describe(out, &ready, lab.nodes(), asked.called)
            }
            .and_then(|()| out.flush());
            // Without a word of where it is, the lab is of use to no one.
            if written.is_ok() {
                signals.stops.recv().await;
            }
            Ok::<_, CliError>(())
        })?;
        shown?;
        Ok(0)
    }
}

fn describe(
    out: &mut impl Write,
    ready: &Ready<'_>,
    nodes: &[NodeName],
    called: &str,
) -> io::Result<()> {
    let (config, first) = (ready.ssh_config.display(), &nodes[0]);
    let plural = if ready.count == 1 { "node" } else { "nodes" };
    writeln!(
        out,
        "{}: {} {plural} until Ctrl-C",
        ready.nodes, ready.count
    )?;
    writeln!(out, "  ssh -F {config} {first} uptime")?;
    writeln!(out, "  {called} -F {config} -w '{}' status", ready.nodes)
}

fn json(out: &mut impl Write, ready: &Ready<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, ready)?;
    writeln!(out)
}

/// Writes the file under another name first, so that a reader never sees half of it.
fn announce(file: &Path, ready: &Ready<'_>) -> Result<(), CliError> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let write = || {
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        json(&mut new, ready)?;
        new.persist(file)?;
        Ok(())
    };
    write().map_err(|error: io::Error| {
        CliError::system(format!("cannot write {}: {error}", file.display()))
    })
}
