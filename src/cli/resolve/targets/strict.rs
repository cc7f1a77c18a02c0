//! Groups that must be known.

use crate::nodeset::{GroupError, Groups, Upcall};

/// Groups of which an unknown one is an error.
pub(in crate::cli) struct Strict<G>(pub(in crate::cli) G);

impl<G: Groups> Groups for Strict<G> {
    fn map(&self, source: Option<&str>, group: &str) -> Result<String, GroupError> {
        let nodes = self.0.map(source, group)?;
        let known = || {
            let names = self.0.list(source);
            names.map(|names| names.iter().any(|name| name == group))
        };
        if nodes.trim().is_empty() && !known().unwrap_or(true) {
            let prefix = source.map_or_else(String::new, |source| format!("{source}:"));
            let text = format!("unknown group `@{prefix}{group}`");
            return Err(GroupError::Other(text));
        }
        Ok(nodes)
    }

    fn all(&self, source: Option<&str>) -> Result<Option<String>, GroupError> {
        self.0.all(source)
    }

    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError> {
        self.0.list(source)
    }

    fn reverse(&self, source: Option<&str>, node: &str) -> Result<Option<Vec<String>>, GroupError> {
        self.0.reverse(source, node)
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        self.0.sources()
    }

    fn prepare(&self, source: Option<&str>, upcall: Upcall, subjects: &[String]) {
        self.0.prepare(source, upcall, subjects);
    }
}
