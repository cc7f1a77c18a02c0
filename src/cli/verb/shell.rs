//! `shell`: a prompt for commands on a fleet, over connections that stay open between them.

mod session;
mod sets;

use clap::Args;

use super::VerbArgs;
use crate::cli::error::CliError;
use crate::cli::resolve::{Invocation, Job};
use crate::cli::task::{Need, Request, Task};
use session::Session;

/// Arguments of `shell`: none.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ShellArgs {}

/// What there is to type.
const HELP: &str = "\
At the prompt:
  COMMAND              run it on the nodes of the prompt
  !COMMAND             run it here; the nodes are in HASH_NODES
  ?                    show the nodes, and how the last command ended
  +SET  -SET  @SET     add nodes, leave nodes out, take others; a group is +@web or @@web
  .ok .failed .unreached   in a SET: nodes of the last command (.failed has the unreached among them)
  =                    each line with its own node, as it comes, or equal output once
  :diff                show what most nodes say and how the others differ, or all again
  :timeout 10s         limit of one command on one node; 0 is none
  :fanout 32           at most so many nodes at work at one time
  help                 this text
  quit                 leave; so does Ctrl-D
Ctrl-C stops the command, Enter shows what is at work. A line that begins with a blank is not remembered.
The exit code is 0, with -S the largest exit status there was. If standard input is no terminal, its lines are run one
after another until one of them cannot be done; the exit code is then the highest that the commands by themselves have.";

impl VerbArgs for ShellArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(Request::Nodes(Box::new(Shell)))
    }
}

/// Runs what is typed until there is no more.
struct Shell;

impl Task for Shell {
    fn what(&self) -> String {
        "open a prompt for commands on the nodes".to_owned()
    }

    fn needs(&self) -> Need {
        Need::Command
    }

    fn check(&mut self, asked: Invocation<'_>) -> Result<(), CliError> {
        let targets = &asked.options.targets;
        match targets.reads_stdin() && asked.options.care.dry_run.is_none() {
            true => Err(CliError::usage(
                "standard input gives `shell` its commands; name nodes otherwise",
            )),
            false => Ok(()),
        }
    }

    fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError> {
        Session::run(job)
    }
}
