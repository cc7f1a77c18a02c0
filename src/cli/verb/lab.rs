//! `lab`: the embedded fleet, for as long as nobody presses Ctrl-C; and what `--lab` needs of it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use clap::builder::ValueHint;
use serde::Serialize;

use crate::cli::context::{Context, Engine};
use crate::cli::error::CliError;
use crate::config::Output;
use crate::lab::{Fault, Lab, LabError, LabOptions};
use crate::nodeset::{self, NoGroups, NodeSet};
use crate::plan::NodeName;

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
    /// What is wrong with some nodes, such as hang=lb3; may be given several times
    #[arg(long = "fault", value_name = "FAULT=NODES")]
    faults: Vec<FaultOn>,
    /// Write what --json prints to this file once every node listens
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    ready_file: Option<PathBuf>,
}

/// A fault and the nodes that have it.
#[derive(Debug, Clone)]
struct FaultOn {
    fault: Fault,
    nodes: NodeSet,
}

impl FromStr for FaultOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (fault, nodes) = text
            .split_once('=')
            .ok_or_else(|| "expected FAULT=NODES, such as hang=lb3".to_owned())?;
        let fault: Fault = fault.parse().map_err(|error| format!("{error}"))?;
        let nodes = nodeset::parse(nodes).map_err(|error| error.to_string())?;
        let nodes = nodeset::eval(&nodes, &NoGroups).map_err(|error| error.to_string())?;
        Ok(Self { fault, nodes })
    }
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

/// Stands the lab up, says how to reach it, and keeps it until a signal comes.
pub(crate) fn run(args: &LabArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    context.targets.lab = true;
    let nodes = context.nodes()?;
    let output = context.output()?;
    if context.care.dry_run {
        // What cannot be written is told when the console is closed.
        let _ = writeln!(
            context.console.out,
            "{nodes}: stand up {} nodes",
            nodes.len()
        );
        context.console.complain("dry run: nothing was started");
        return Ok(0);
    }
    let engine = Engine::start()?;
    let shown = engine.block_on(async |signals| {
        let lab = start(&nodes, &args.faults)?;
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
        if let Some(file) = &args.ready_file {
            announce(file, &ready)?;
        }
        let out = &mut context.console.out;
        let written = match output {
            Output::Text => describe(out, &ready, lab.nodes(), context.called),
            Output::Json | Output::Jsonl => json(out, &ready),
        }
        .and_then(|()| out.flush());
        // Nobody who cannot read where the lab is can use it.
        if written.is_ok() {
            signals.stops.recv().await;
        }
        Ok::<_, CliError>(())
    })?;
    shown?;
    Ok(0)
}

/// A lab of these nodes.
fn start(nodes: &NodeSet, faults: &[FaultOn]) -> Result<Lab, CliError> {
    let names = |nodes: &NodeSet| nodes.iter().map(NodeName::from).collect::<Vec<_>>();
    let faults = faults
        .iter()
        .flat_map(|on| names(&on.nodes).into_iter().map(|node| (on.fault, node)));
    Lab::start(LabOptions {
        nodes: names(nodes),
        faults: faults.collect(),
    })
    .map_err(|error| match error {
        LabError::Empty
        | LabError::TooMany(_)
        | LabError::Twice(_)
        | LabError::NoSuchNode { .. } => CliError::usage(error.to_string()),
        LabError::Descriptors { .. }
        | LabError::Listen { .. }
        | LabError::Keys(_)
        | LabError::System(_) => CliError::system(error.to_string()),
    })
}

/// The lab behind `--lab`: stands it up for these nodes and has the transports read its ssh_config and
/// nothing of the user's. It serves for as long as it is kept.
pub(in crate::cli) fn for_run(nodes: &NodeSet, context: &mut Context<'_>) -> Result<Lab, CliError> {
    if context.reach.ssh_config.is_some() {
        return Err(CliError::usage(
            "--lab and -F do not go together: the lab brings its own ssh_config",
        ));
    }
    let lab = start(nodes, &[])?;
    context.reach.ssh_config = Some(lab.ssh_config().display().to_string());
    Ok(lab)
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

/// Writes the file under another name first: whoever finds it finds all of it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_a_word_and_a_node_set() {
        let on: FaultOn = "changed-hostkey=lb[3-4]".parse().unwrap();
        assert_eq!(on.fault, Fault::ChangedHostKey);
        assert_eq!(on.nodes.to_string(), "lb[3-4]");
        for (text, message) in [
            ("hang", "expected FAULT=NODES"),
            ("hung=lb1", "unknown fault `hung`"),
            ("hang=lb[1", "missing bracket"),
        ] {
            let error = text.parse::<FaultOn>().unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
