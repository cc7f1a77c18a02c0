//! Where groups come from: the questions that a node set expression asks, and why one has no answer.

use std::fmt;

/// Where groups come from. A source of `None` is the default source.
///
/// Definitions are node set expressions, several of them separated by white space; [`eval`](super::eval) resolves
/// the groups they name.
pub trait Groups {
    /// The definition of a group; empty if the source answers with nothing.
    ///
    /// # Errors
    /// When there is no such source, or it fails.
    fn map(&self, source: Option<&str>, group: &str) -> Result<String, GroupError>;

    /// The definition of all nodes; `None` if the source has none, then it is the union of its groups.
    ///
    /// # Errors
    /// When there is no such source, or it fails.
    fn all(&self, source: Option<&str>) -> Result<Option<String>, GroupError>;

    /// The names of all groups.
    ///
    /// # Errors
    /// When there is no such source, it cannot list its groups, or it fails.
    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError>;

    /// The groups that have the node; `None` if the source cannot tell without a look at every group.
    ///
    /// # Errors
    /// When there is no such source, or it fails.
    fn reverse(&self, source: Option<&str>, node: &str) -> Result<Option<Vec<String>>, GroupError>;

    /// The names of the sources, the default first.
    ///
    /// # Errors
    /// When the configuration of the sources cannot be used.
    fn sources(&self) -> Result<Vec<String>, GroupError>;

    /// These questions will be asked one by one: a source may ask them all at once now.
    fn prepare(&self, source: Option<&str>, upcall: Upcall, subjects: &[String]) {
        let _ = (source, upcall, subjects);
    }
}

impl<G: Groups + ?Sized> Groups for &G {
    fn map(&self, source: Option<&str>, group: &str) -> Result<String, GroupError> {
        (**self).map(source, group)
    }

    fn all(&self, source: Option<&str>) -> Result<Option<String>, GroupError> {
        (**self).all(source)
    }

    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError> {
        (**self).list(source)
    }

    fn reverse(&self, source: Option<&str>, node: &str) -> Result<Option<Vec<String>>, GroupError> {
        (**self).reverse(source, node)
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        (**self).sources()
    }

    fn prepare(&self, source: Option<&str>, upcall: Upcall, subjects: &[String]) {
        (**self).prepare(source, upcall, subjects);
    }
}

/// No source at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoGroups;

impl NoGroups {
    fn error<T>(source: Option<&str>) -> Result<T, GroupError> {
        Err(GroupError::UnknownSource(
            source.unwrap_or("<default>").into(),
        ))
    }
}

impl Groups for NoGroups {
    fn map(&self, source: Option<&str>, _: &str) -> Result<String, GroupError> {
        Self::error(source)
    }

    fn all(&self, source: Option<&str>) -> Result<Option<String>, GroupError> {
        Self::error(source)
    }

    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError> {
        Self::error(source)
    }

    fn reverse(&self, source: Option<&str>, _: &str) -> Result<Option<Vec<String>>, GroupError> {
        Self::error(source)
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        Ok(Vec::new())
    }
}

/// What a source can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upcall {
    /// The nodes of a group.
    Map,
    /// All nodes.
    All,
    /// All groups.
    List,
    /// The groups of a node.
    Reverse,
}

impl fmt::Display for Upcall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Map => "map",
            Self::All => "all",
            Self::List => "list",
            Self::Reverse => "reverse",
        })
    }
}

/// Why groups could not be had. Displays as ClusterShell words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupError {
    /// No source of that name, `<default>` if there is none at all.
    UnknownSource(String),
    /// The source does not define what it was asked for.
    NoUpcall {
        /// What it was asked for.
        upcall: Upcall,
        /// Its name.
        source: String,
    },
    /// The source was asked and failed.
    Failed {
        /// What it was asked for.
        upcall: Upcall,
        /// Its command, or what went wrong.
        command: String,
    },
    /// A group name with a character that means something in node sets.
    IllegalCharacter(String),
    /// The configuration of the sources is not valid.
    Config(String),
    /// A file that is not in the dialect it should be in: the whole message.
    File(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSource(source) => write!(f, "Unknown group source: \"{source}\""),
            Self::NoUpcall { upcall, source } => {
                write!(
                    f,
                    "No {upcall} upcall defined for group source \"{source}\""
                )
            }
            Self::Failed { upcall, command } => match upcall {
                Upcall::Map => f.write_str(command),
                Upcall::All => write!(f, "External error: Failed to get all nodes: {command}"),
                Upcall::List => write!(f, "Group error: {command}"),
                Upcall::Reverse => {
                    write!(f, "External error: Group source query failed: {command}")
                }
            },
            Self::IllegalCharacter(character) => {
                write!(f, "Illegal group character: \"{character}\"")
            }
            Self::Config(message) => write!(f, "Group resolver error: {message}"),
            Self::File(message) => f.write_str(message),
            Self::Other(message) => write!(f, "External error: {message}"),
        }
    }
}

impl std::error::Error for GroupError {}
