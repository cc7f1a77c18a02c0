//! `run`, and `-- COMMAND`: a command on the nodes.

use clap::Args;
use indexmap::IndexMap;

use super::VerbArgs;
use crate::cli::error::CliError;
use crate::cli::input::read;
use crate::cli::order::{CommandLine, Order};
use crate::cli::quote::quote;
use crate::cli::resolve::{Invocation, Job};
use crate::cli::rollout::Rollout;
use crate::cli::task::{Effect, Need, Request, Task};
use crate::event::NodeId;
use crate::nodeset::NodeSet;
use crate::plan::NodeName;

/// Arguments of `run`.
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub(in crate::cli) order: Order,
    #[command(flatten)]
    pub(in crate::cli) rollout: Rollout,
    /// The command: one word is text for the remote shell, several are quoted one by one
    #[arg(
        last = true,
        value_name = "COMMAND",
        required_unless_present = "script"
    )]
    pub(in crate::cli) command: Vec<String>,
}

impl VerbArgs for RunArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(Request::Nodes(Box::new(Run {
            args: self,
            line: None,
            reads: false,
            before: String::new(),
        })))
    }
}

/// Runs the command on all nodes.
struct Run {
    args: RunArgs,
    /// What is run, once its options were checked and its script read.
    line: Option<CommandLine>,
    /// Whether it is given something to read.
    reads: bool,
    /// What stands in front of it when another user runs it.
    before: String,
}

impl Run {
    fn line(&self) -> Result<&CommandLine, CliError> {
        let missing = || CliError::usage("no command");
        self.line.as_ref().ok_or_else(missing)
    }
}

impl Task for Run {
    fn what(&self) -> String {
        let line = self.line.as_ref().map(ToString::to_string);
        format!("{}{}", self.before, line.unwrap_or_default())
    }

    fn effect(&self) -> Effect {
        Effect::Acts
    }

    fn needs(&self) -> Need {
        if self.line.as_ref().is_some_and(CommandLine::has_terminal) {
            return Need::Terminal;
        }
        match self.reads {
            true => Need::Input,
            false => Need::Command,
        }
    }

    fn check(&mut self, asked: Invocation<'_>) -> Result<(), CliError> {
        if asked.options.care.stdin && asked.options.targets.reads_stdin() {
            let text = "--stdin gives standard input to the command; name nodes otherwise";
            return Err(CliError::usage(text));
        }
        // The options may stand in front of the verb, too.
        let args = std::mem::take(&mut self.args);
        self.args = RunArgs {
            order: args.order.or(asked.options.order.clone()),
            rollout: args.rollout.or(asked.options.rollout.clone()),
            ..args
        };
        let line = self
            .args
            .order
            .line(&self.args.command, asked.options.care.stdin)?;
        self.reads = asked.options.care.stdin || line.is_script();
        if line.has_terminal() && asked.options.reach.as_user.is_some() {
            return Err(CliError::usage(
                "--pty does not go with --become: sudo would ask for its password on that terminal",
            ));
        }
        self.line = Some(line);
        let user = asked.options.reach.as_user.as_deref();
        self.before = user.map_or_else(String::new, |user| format!("sudo -u {} ", quote(user)));
        Ok(())
    }

    fn plan(&self, nodes: &NodeSet) -> Result<Vec<(NodeSet, String)>, CliError> {
        let line = self.line()?;
        let names: Vec<NodeName> = nodes.iter().map(NodeName::from).collect();
        let mut commands: IndexMap<String, NodeSet> = IndexMap::new();
        for (node, name) in (0..).map(NodeId).zip(&names) {
            let command = format!("{}{}", self.before, line.on(&names, node)?);
            commands.entry(command).or_default().insert(name);
        }
        Ok(commands
            .into_iter()
            .map(|(command, nodes)| (nodes, command))
            .collect())
    }

    fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError> {
        let what = self.what();
        let line = self.line.ok_or_else(|| CliError::usage("no command"))?;
        let stdin = if job.asked.options.care.stdin {
            Some(read("-".as_ref())?.into())
        } else {
            None
        };
        let rollout = &self.args.rollout;
        job.plan.tolerance = rollout.tolerance(job.plan.nodes.len());
        let work = line.work(&job.plan.nodes, stdin)?;
        job.roll_out(&*work, rollout, &what)
    }
}
