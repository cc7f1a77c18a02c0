//! `copy`: local files and folders to the nodes.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use crate::cli::confirm::confirm;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::config::Worker;
use crate::report::Transfer;
use crate::transport::Command;
use crate::work::copy::{Keep, Pack, Upload, amount, here};
use crate::work::run::Run;

/// Arguments of `copy`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CopyArgs {
    /// Local files and folders
    #[arg(required = true, value_name = "SRC", value_hint = ValueHint::AnyPath)]
    sources: Vec<PathBuf>,
    /// Where they go on the nodes: into it if it is a folder there, else to that name [the folder of SRC here]
    #[arg(long, value_name = "PATH")]
    dest: Option<String>,
    /// Keep times, and set-user-ID and the like
    #[arg(short = 'p', long)]
    preserve: bool,
    /// Follow symbolic links inside folders instead of copying them as links
    #[arg(long)]
    follow: bool,
}

const EXAMPLES: &str = "\
Examples:
  hash -w 'lb[1-2]' copy haproxy.cfg --dest /etc/haproxy     to /etc/haproxy/haproxy.cfg
  hash -w 'lb[1-2]' copy /etc/hosts                          to the same place there
  hash -w '@web' copy site/ robots.txt --dest /srv/www -p    a folder and a file, times kept

Files appear under their name when they are whole and checked, never in part. Needed on the nodes: sh; for folders
and several files tar too. Nodes that give SFTP only are served by that.";

/// Copies to all nodes.
pub(crate) fn run(args: &CopyArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    let keep = Keep {
        times: args.preserve,
        follow: args.follow,
    };
    let dest = match &args.dest {
        Some(dest) => dest.clone(),
        None => own_folder(&args.sources)?,
    };
    let is_here = context.worker()? == Worker::Exec;
    if context.care.dry_run && is_here {
        return context.dry_run(&here(&args.sources, &dest, keep));
    }
    let statuses = context.statuses();
    if is_here {
        let fleet = context.fleet()?;
        let line = here(&args.sources, &dest, keep);
        confirm(context, &fleet, &line)?;
        let command = Command {
            line,
            ..Command::default()
        };
        return context.run(&fleet, &Run { command }, statuses);
    }
    let pack =
        Pack::new(&args.sources, keep).map_err(|error| CliError::usage(error.to_string()))?;
    let said = format!("{} -> {dest}", amount(pack.files(), pack.bytes()));
    if context.care.dry_run {
        return context.dry_run(&format!("copy {said}"));
    }
    let fleet = context.fleet()?;
    confirm(context, &fleet, &format!("copy {said}"))?;
    let nodes = fleet.plan.nodes.len();
    let total = pack.length() * nodes as u64;
    let wave = fleet.plan.fanout.get().min(nodes);
    let work = Upload::new(pack, &dest, wave, Some(said));
    context.transfer = Some(Transfer {
        meter: work.sent(),
        total: Some(total),
    });
    context.run(&fleet, &work, statuses)
}

/// The folder that all sources are in, as an absolute path.
fn own_folder(sources: &[PathBuf]) -> Result<String, CliError> {
    let folder = |source: &PathBuf| {
        let full = std::path::absolute(source)
            .map_err(|error| CliError::usage(format!("{}: {error}", source.display())))?;
        let folder = full.parent().unwrap_or(Path::new("/"));
        folder
            .to_str()
            .map(str::to_owned)
            .ok_or_else(|| CliError::usage(format!("{}: is no text; say --dest", folder.display())))
    };
    let mut folders = sources.iter().map(folder);
    let first = folders.next().unwrap_or_else(|| Ok("/".to_owned()))?;
    for other in folders {
        if other? != first {
            let text = "the sources are in several folders";
            return Err(CliError::usage(text).hint("say where they go: --dest PATH"));
        }
    }
    Ok(first)
}
