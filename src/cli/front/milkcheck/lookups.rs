//! What the values of service files look up: node sets, groups, and commands in `%( )`.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use crate::cli::resolve::nodes::listable;
use crate::config::Environment;
use crate::nodeset::{self, EvalError, Groups, NodeSet};
use crate::plan::NodeName;
use crate::service::expand::Lookups;

/// The world with its group sources.
pub(super) struct SystemLookups<'a> {
    pub(super) groups: &'a dyn Groups,
    /// How many nodes a run may have.
    pub(super) environment: &'a Environment,
}

impl SystemLookups<'_> {
    /// A node set's value.
    pub(super) fn eval(&self, text: &str) -> Result<NodeSet, EvalError> {
        if text.trim().is_empty() {
            return Ok(NodeSet::new());
        }
        nodeset::eval_text(text, self.groups)
    }

    /// A node set's value, where an unknown group is an empty set; `None` if it is no node set.
    pub(super) fn lenient(&self, text: &str) -> Option<NodeSet> {
        match self.eval(text) {
            Ok(nodes) => Some(nodes),
            Err(EvalError::Group(_) | EvalError::Map { .. }) => Some(NodeSet::new()),
            Err(EvalError::Parse(_) | EvalError::Cycle(_) | EvalError::TooMany { .. }) => None,
        }
    }

    /// A node set's value, if it is not too large to be listed.
    fn listed(&self, text: &str) -> Result<NodeSet, String> {
        let nodes = self.eval(text).map_err(|error| error.to_string())?;
        listable(&nodes, self.environment)?;
        Ok(nodes)
    }

    /// The names a name stands for.
    pub(super) fn names(&self, text: &str) -> Result<Vec<String>, String> {
        Ok(self.listed(text)?.iter().collect())
    }
}

impl Lookups for SystemLookups<'_> {
    fn nodes(&mut self, text: &str) -> Result<Vec<NodeName>, String> {
        Ok(self.listed(text)?.iter().map(NodeName::from).collect())
    }

    fn fold(&mut self, nodes: &[NodeName]) -> String {
        nodes.iter().collect::<NodeSet>().to_string()
    }

    fn shell(&mut self, command: &str) -> Option<String> {
        let output = Command::new("/bin/sh")
            .arg("-c")
            .arg(command)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let has_run = output.status.code().is_some_and(|code| code < 126);
        if !has_run || output.status.signal().is_some() {
            return None;
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Some(text.trim_end_matches('\n').to_owned())
    }
}
