//! `copy`: local files and folders to the nodes.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::VerbArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::cli::resolve::{Invocation, Job, reach};
use crate::cli::task::{Effect, Need, Request, Task};
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
    /// Where they go on the nodes (~ and ~USER are homes there): into a folder, else to that name [the folder of SRC here]
    #[arg(long, value_name = "PATH")]
    dest: Option<String>,
    /// Times and permissions as here, set-user-ID and the like too; else what is there keeps its own, and the umask there holds
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

impl VerbArgs for CopyArgs {
    fn request(self) -> Result<Request, CliError> {
        let dest = match &self.dest {
            Some(dest) => dest.clone(),
            None => own_folder(&self.sources)?,
        };
        Ok(Request::Nodes(Box::new(Copy {
            keep: Keep {
                times: self.preserve,
                follow: self.follow,
            },
            sources: self.sources,
            dest,
            load: None,
        })))
    }
}

/// Copies to all nodes.
struct Copy {
    sources: Vec<PathBuf>,
    dest: String,
    keep: Keep,
    load: Option<Load>,
}

/// What is copied, once it was looked at.
enum Load {
    /// By a command here, for each node.
    Here(String),
    /// By us.
    Pack(Pack, String),
}

impl Task for Copy {
    fn what(&self) -> String {
        match &self.load {
            Some(Load::Here(line)) => line.clone(),
            Some(Load::Pack(_, said)) => format!("copy {said}"),
            None => "copy".to_owned(),
        }
    }

    fn effect(&self) -> Effect {
        Effect::Acts
    }

    fn needs(&self) -> Need {
        Need::Input
    }

    fn check(&mut self, asked: Invocation<'_>) -> Result<(), CliError> {
        self.load = Some(if reach::way(asked)?.can.here {
            Load::Here(here(&self.sources, &self.dest, self.keep))
        } else {
            let pack = Pack::new(&self.sources, self.keep)
                .map_err(|error| CliError::usage(error.to_string()))?;
            let said = format!("{} -> {}", amount(pack.files(), pack.bytes()), self.dest);
            Load::Pack(pack, said)
        });
        Ok(())
    }

    fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError> {
        let (pack, said) = match self.load {
            None => return Err(CliError::usage("nothing to copy")),
            Some(Load::Here(line)) => {
                let command = Command {
                    line,
                    ..Command::default()
                };
                return job.run(&Run { command }, Statuses::Command);
            }
            Some(Load::Pack(pack, said)) => (pack, said),
        };
        let nodes = job.plan.nodes.len();
        let total = pack.length() * nodes as u64;
        let wave = job.plan.fanout.get().min(nodes);
        let work = Upload::new(pack, &self.dest, wave, Some(said));
        job.look.transfer = Some(Transfer {
            meter: work.sent(),
            total: Some(total),
        });
        job.run(&work, Statuses::Command)
    }
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
