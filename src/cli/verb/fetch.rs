//! `fetch`: files and folders of the nodes to a folder here.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueHint};

use super::VerbArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::cli::resolve::Job;
use crate::cli::task::{Need, Request, Task};
use crate::report::Transfer;
use crate::transport::Command;
use crate::work::copy::Keep;
use crate::work::fetch::{Download, here};
use crate::work::run::Run;

/// Arguments of `fetch`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct FetchArgs {
    /// Files and folders on the nodes; ~, ~USER and patterns (quoted: '*.log') are what they are there
    #[arg(required = true, value_name = "SRC")]
    sources: Vec<String>,
    /// A folder here; what is called NAME there becomes NAME.NODE in it
    #[arg(long, required = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dest: PathBuf,
    /// Times and permissions as there, set-user-ID and the like too; else our umask holds
    #[arg(short = 'p', long)]
    preserve: bool,
}

const EXAMPLES: &str = "\
Examples:
  hash -w 'lb[1-2]' fetch /etc/haproxy/haproxy.cfg --dest cfg    to cfg/haproxy.cfg.lb1 and cfg/haproxy.cfg.lb2
  hash -w '@web' fetch /var/log/nginx --dest logs -p             folders: logs/nginx.web1, ...
  hash -w '@web' fetch '~/*.log' --dest logs                     logs/a.log.web1, ... of whoever logs in";

impl VerbArgs for FetchArgs {
    fn request(self) -> Result<Request, CliError> {
        let dest = &self.dest;
        if !dest.is_dir() {
            let what = if dest.exists() {
                "is not a folder"
            } else {
                "there is no such folder here"
            };
            return Err(CliError::usage(format!("{}: {what}", dest.display())));
        }
        Ok(Request::Nodes(Box::new(Fetch(self))))
    }
}

/// Fetches from all nodes.
struct Fetch(FetchArgs);

impl Task for Fetch {
    fn what(&self) -> String {
        let FetchArgs { sources, dest, .. } = &self.0;
        format!("fetch {} -> {}", sources.join(" "), dest.display())
    }

    fn needs(&self) -> Need {
        Need::Bytes
    }

    fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError> {
        let FetchArgs {
            sources,
            dest,
            preserve,
        } = self.0;
        let keep = Keep {
            times: preserve,
            follow: false,
        };
        if job.way.can.here {
            let command = Command {
                line: here(&sources, &dest, keep),
                ..Command::default()
            };
            return job.run(&Run { command }, Statuses::Command);
        }
        let names = Arc::clone(&job.plan.nodes);
        let work = Download::new(names, &sources, dest, keep, true)
            .map_err(|error| CliError::usage(error.to_string()))?;
        job.look.transfer = Some(Transfer {
            meter: work.received(),
            total: None,
        });
        job.run(&work, Statuses::Command)
    }
}
