//! `shell`: a prompt for commands on a fleet, over connections that stay open between them.

mod session;
mod sets;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
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

/// Runs what is typed until there is no more.
pub(crate) fn run(_args: &ShellArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    if context.care.dry_run {
        return context.dry_run("open a prompt for commands on the nodes");
    }
    let from_stdin = context.targets.nodes.iter().any(|text| text == "-")
        || context
            .targets
            .hostfile
            .iter()
            .any(|file| file.as_os_str() == "-");
    if context.care.stdin || from_stdin {
        return Err(CliError::usage(
            "standard input gives `shell` its commands; name nodes and inputs otherwise",
        ));
    }
    let fleet = context.fleet()?;
    Session::run(fleet, context)
}
