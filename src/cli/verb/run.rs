//! `run`, and `-- COMMAND`: a command on the nodes.

use std::io::Write;
use std::sync::Arc;

use clap::Args;
use indexmap::IndexMap;

use crate::cli::confirm::confirm;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::order::{Job, Order};
use crate::cli::rollout::Rollout;
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

impl RunArgs {
    /// The same with the options that stood in front of the verb.
    pub(in crate::cli) fn over(self, order: Order, rollout: Rollout) -> Self {
        Self {
            order: self.order.or(order),
            rollout: self.rollout.or(rollout),
            ..self
        }
    }
}

/// Runs the command on all nodes.
pub(crate) fn run(args: RunArgs, context: &mut Context<'_>) -> Result<u8, CliError> {
    let RunArgs {
        order,
        rollout,
        command,
    } = args;
    let job = order.job(&command, context.care.stdin)?;
    if context.care.dry_run {
        return dry_run(&job, context);
    }
    let mut fleet = context.fleet()?;
    let what = job.to_string();
    if let (true, Some(launcher)) = (job.is_as_other(), &fleet.launcher)
        && fleet.plan.nodes.iter().any(|node| launcher.takes(node))
    {
        return Err(CliError::usage(
            "--become needs a way of its own to each node, to answer sudo; use -R native, ssh or exec",
        ));
    }
    confirm(context, &fleet, &what)?;
    let stdin = if context.care.stdin {
        Some(Context::read("-".as_ref())?.into())
    } else {
        None
    };
    fleet.plan.tolerance = rollout.tolerance(fleet.plan.nodes.len());
    let person = Arc::new(context.person()?);
    let work = job.work(&fleet.plan.nodes, stdin, person)?;
    context.roll_out(&fleet, &*work, &rollout, &what)
}

/// Says what each node would run, equal commands once.
fn dry_run(job: &Job, context: &mut Context<'_>) -> Result<u8, CliError> {
    let nodes = context.nodes()?;
    let names: Vec<NodeName> = nodes.iter().map(NodeName::from).collect();
    let mut commands: IndexMap<String, NodeSet> = IndexMap::new();
    for (node, name) in (0..).map(NodeId).zip(&names) {
        let command = job.on(&names, node)?;
        commands.entry(command).or_default().insert(name);
    }
    for (command, nodes) in commands {
        // What cannot be written is told when the console is closed.
        let _ = writeln!(context.console.out, "{nodes}: {command}");
    }
    context.console.complain(format_args!(
        "{}: dry run: nothing was contacted",
        context.called
    ));
    Ok(0)
}
