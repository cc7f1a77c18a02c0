//! Group sources as the command line sees them: where they are configured, and which one is the default.

use std::path::{Path, PathBuf};

use crate::config::Environment;
use crate::groups::{Resolver, Settings, search_path};
use crate::nodeset::{EvalError, GroupError, Groups, Upcall};

/// The folders of ClusterShell's configuration, for this user and this program.
pub(in crate::cli) fn folders(environment: &Environment) -> Vec<PathBuf> {
    let program = std::env::current_exe().unwrap_or_default();
    let bin = program.parent().filter(|folder| folder.ends_with("bin"));
    let prefix = bin.and_then(Path::parent);
    search_path(|name| environment.get(name).map(Into::into), prefix)
}

/// ClusterShell's groups, from where its tools look for them. Nothing is read before a group is asked for.
pub(in crate::cli) fn resolver(environment: &Environment) -> Resolver {
    Resolver::new(Settings::search(&folders(environment)))
}

/// Why all nodes cannot be had, as ClusterShell's tools word it for `-a`.
pub(in crate::cli) fn no_all(error: &EvalError) -> String {
    match error {
        EvalError::Group(GroupError::UnknownSource(source)) => {
            format!("External error: Group source error (GroupResolverSourceError: {source})")
        }
        EvalError::Group(_)
        | EvalError::Parse(_)
        | EvalError::Map { .. }
        | EvalError::Cycle(_)
        | EvalError::TooMany { .. } => error.to_string(),
    }
}

/// The configured group sources, one of which may have been made the default by an option.
#[derive(Debug)]
pub(in crate::cli) struct Sources {
    resolver: Resolver,
    default: Option<String>,
}

impl Sources {
    /// The sources of `--groupsconf`, else of the usual folders. Nothing is read yet.
    pub(in crate::cli) fn new(environment: &Environment, file: Option<PathBuf>) -> Self {
        let settings = match file {
            Some(file) => Settings::file(file),
            None => Settings::search(&folders(environment)),
        };
        Self {
            resolver: Resolver::new(settings),
            default: None,
        }
    }

    /// Makes a source the default.
    ///
    /// # Errors
    /// When there is no such source.
    pub(in crate::cli) fn set_default(&mut self, source: &str) -> Result<(), GroupError> {
        let known = Groups::sources(&self.resolver)?;
        if !known.iter().any(|name| name == source) {
            return Err(GroupError::UnknownSource(source.to_owned()));
        }
        self.default = Some(source.to_owned());
        Ok(())
    }

    fn or_default<'a>(&'a self, source: Option<&'a str>) -> Option<&'a str> {
        source.or(self.default.as_deref())
    }
}

impl Groups for Sources {
    fn map(&self, source: Option<&str>, group: &str) -> Result<String, GroupError> {
        Groups::map(&self.resolver, self.or_default(source), group)
    }

    fn all(&self, source: Option<&str>) -> Result<Option<String>, GroupError> {
        Groups::all(&self.resolver, self.or_default(source))
    }

    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError> {
        Groups::list(&self.resolver, self.or_default(source))
    }

    fn reverse(&self, source: Option<&str>, node: &str) -> Result<Option<Vec<String>>, GroupError> {
        Groups::reverse(&self.resolver, self.or_default(source), node)
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        let mut sources = Groups::sources(&self.resolver)?;
        if let Some(place) = sources
            .iter()
            .position(|name| Some(name) == self.default.as_ref())
        {
            sources[..=place].rotate_right(1);
        }
        Ok(sources)
    }

    fn prepare(&self, source: Option<&str>, upcall: Upcall, subjects: &[String]) {
        self.resolver
            .prepare(self.or_default(source), upcall, subjects);
    }
}
