//! What a verb does on nodes, as the road of every run sees it: `run` asks for it in this order, from top to bottom.

use super::console::Console;
use super::error::CliError;
use super::resolve::{Invocation, Job, nodes};
use crate::nodeset::NodeSet;
use crate::transport::ways::Can;

/// How much a task does to the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It looks.
    Looks,
    /// It does what the user says, which may be anything: a large number of nodes is confirmed first.
    Acts,
    /// It changes something: targets that a glob may have shrunk are refused, too.
    Changes,
}

/// What a way to the nodes must be able to do for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// To run a command.
    Command,
    /// To give it something to read.
    Input,
    /// To give it a terminal.
    Terminal,
    /// To hand over what each node gives as it is.
    Bytes,
    /// To have sessions: sockets as the node sees them, and more than one thing at one time.
    Sessions,
    /// To log in to the node.
    Login,
}

impl Need {
    /// What a way lacks, in words; `None` if it lacks nothing.
    pub(crate) fn lacks(self, can: Can) -> Option<&'static str> {
        match self {
            Self::Input if !can.stdin => Some("gives commands nothing to read"),
            Self::Terminal if !can.ssh => Some("gives commands no terminal"),
            Self::Bytes if !can.apart => Some("runs commands and shows their lines only"),
            Self::Sessions | Self::Login if !can.sessions => Some("runs commands only"),
            Self::Login if can.here => Some("runs commands on this machine and goes to no node"),
            Self::Command
            | Self::Input
            | Self::Terminal
            | Self::Bytes
            | Self::Sessions
            | Self::Login => None,
        }
    }
}

/// What a verb does on nodes.
pub(crate) trait Task {
    /// What is done, in words: for `-v`, `--dry-run`, the journal, and the question before much is changed.
    fn what(&self) -> String;

    /// How much it does to the nodes.
    fn effect(&self) -> Effect {
        Effect::Looks
    }

    /// What the way to the nodes must be able to do for it.
    fn needs(&self) -> Need {
        Need::Sessions
    }

    /// The words that select servers: a glob may have expanded to them.
    fn selectors(&self) -> &[String] {
        &[]
    }

    /// Whether a dry run reads the nodes, to tell what would be changed there.
    fn reads_ahead(&self) -> bool {
        false
    }

    /// The nodes that it is about: those of the command line, unless the task itself knows.
    ///
    /// # Errors
    /// A node set that cannot be read, an unknown group, no nodes or too many of them.
    fn nodes(&mut self, asked: Invocation<'_>, console: &mut Console) -> Result<NodeSet, CliError> {
        nodes::of(asked, console)
    }

    /// Looks at everything that can be wrong without the nodes being known.
    ///
    /// # Errors
    /// What the user got wrong.
    fn check(&mut self, _asked: Invocation<'_>) -> Result<(), CliError> {
        Ok(())
    }

    /// What `--dry-run` shows: nodes and what would be done there.
    ///
    /// # Errors
    /// What cannot be done on these nodes.
    fn plan(&self, nodes: &NodeSet) -> Result<Vec<(NodeSet, String)>, CliError> {
        Ok(vec![(nodes.clone(), self.what())])
    }

    /// Does it. Returns the exit code.
    ///
    /// # Errors
    /// When it could not begin; what became of the nodes is in the exit code.
    fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError>;
}

/// What a verb asks for, once its words are read.
pub(crate) enum Request {
    /// Something on nodes.
    Nodes(Box<dyn Task>),
    /// Something here, which contacts no node.
    Here(Box<dyn Here>),
}

/// What a verb does that contacts no node by way of a job.
pub(crate) trait Here {
    /// Does it. Returns the exit code.
    ///
    /// # Errors
    /// Why it cannot be done.
    fn perform(
        self: Box<Self>,
        asked: Invocation<'_>,
        console: &mut Console,
    ) -> Result<u8, CliError>;
}
