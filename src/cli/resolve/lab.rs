//! The embedded lab that nodes are in with `--lab`.

use std::str::FromStr;

use super::{Invocation, reach};
use crate::cli::error::CliError;
use crate::destination::host;
use crate::lab::{Fault, Lab, LabError, LabOptions};
use crate::nodeset::{self, NoGroups, NodeSet};
use crate::plan::NodeName;

/// A fault and the nodes that have it.
#[derive(Debug, Clone)]
pub struct FaultOn {
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

/// A lab of these nodes.
///
/// # Errors
/// Nodes or faults that cannot be, or a system that gives no room for them.
pub fn start(nodes: &NodeSet, faults: &[FaultOn]) -> Result<Lab, CliError> {
    // One host for `lb1` and `root@lb1`.
    let names = |nodes: &NodeSet| {
        let hosts = nodes.iter().map(|node| host(&node).to_owned());
        let hosts: NodeSet = hosts.collect();
        hosts.iter().map(NodeName::from).collect::<Vec<_>>()
    };
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

/// The lab of `--lab`, which brings an ssh_config of its own, so that nothing of the user's is read.
///
/// # Errors
/// Options that do not go together, or a lab that cannot be stood up.
pub fn of(asked: Invocation<'_>, nodes: &NodeSet) -> Result<Option<Lab>, CliError> {
    check(asked)?;
    let targets = &asked.options.targets;
    targets
        .lab
        .then(|| start(nodes, &targets.faults))
        .transpose()
}

/// Refuses what does not go with the lab, or goes with nothing else.
///
/// # Errors
/// Options that do not go together.
pub fn check(asked: Invocation<'_>) -> Result<(), CliError> {
    let targets = &asked.options.targets;
    if !targets.lab {
        return match targets.faults.is_empty() {
            true => Ok(()),
            false => Err(CliError::usage("--fault goes with --lab only")),
        };
    }
    if asked.options.reach.ssh_config.is_some() {
        let text = "--lab and -F do not go together: the lab brings its own ssh_config";
        return Err(CliError::usage(text));
    }
    let way = reach::way(asked)?;
    if !way.can.ssh {
        // It would go to real nodes of these names.
        let text = format!(
            "--lab and -R {} do not go together: only SSH leads to the nodes of the lab",
            way.name
        );
        return Err(CliError::usage(text).hint("use -R native or -R ssh"));
    }
    Ok(())
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
