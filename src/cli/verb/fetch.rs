//! `fetch`: files and folders of the nodes to a folder here.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueHint};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::config::Worker;
use crate::report::Transfer;
use crate::transport::Command;
use crate::work::copy::Keep;
use crate::work::fetch::{Download, here};
use crate::work::run::Run;

/// Arguments of `fetch`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct FetchArgs {
    /// Files and folders on the nodes
    #[arg(required = true, value_name = "SRC")]
    sources: Vec<String>,
    /// A folder here; what is called NAME there becomes NAME.NODE in it
    #[arg(long, required = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dest: PathBuf,
    /// Keep times, and set-user-ID and the like
    #[arg(short = 'p', long)]
    preserve: bool,
}

const EXAMPLES: &str = "\
Examples:
  hash -w 'lb[1-2]' fetch /etc/haproxy/haproxy.cfg --dest cfg    to cfg/haproxy.cfg.lb1 and cfg/haproxy.cfg.lb2
  hash -w '@web' fetch /var/log/nginx --dest logs -p             folders: logs/nginx.web1, ...";

/// Fetches from all nodes.
pub(crate) fn run(args: &FetchArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    let FetchArgs { sources, dest, .. } = args;
    if !dest.is_dir() {
        let what = if dest.exists() {
            "is not a folder"
        } else {
            "there is no such folder here"
        };
        return Err(CliError::usage(format!("{}: {what}", dest.display())));
    }
    if context.care.dry_run {
        return context.dry_run(&format!(
            "fetch {} -> {}",
            sources.join(" "),
            dest.display()
        ));
    }
    let keep = Keep {
        times: args.preserve,
        follow: false,
    };
    let fleet = context.fleet()?;
    let names = Arc::clone(&fleet.plan.nodes);
    let work = Download::new(names, sources, dest.clone(), keep, true)
        .map_err(|error| CliError::usage(error.to_string()))?;
    let statuses = context.statuses();
    if context.worker()? == Worker::Exec {
        let line = here(sources, dest, keep);
        let command = Command {
            line,
            ..Command::default()
        };
        return context.run(&fleet, &Run { command }, statuses);
    }
    context.transfer = Some(Transfer {
        meter: work.received(),
        total: None,
    });
    context.run(&fleet, &work, statuses)
}
