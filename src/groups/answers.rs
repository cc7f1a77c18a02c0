//! The resolver as node sets see it.

use super::{Error, Resolver, Upcall};
use crate::nodeset::{self, GroupError, Groups, NoGroups};

impl Groups for Resolver {
    fn map(&self, source: Option<&str>, group: &str) -> Result<String, GroupError> {
        Ok(Self::map(self, source, group)?.to_string())
    }

    fn all(&self, source: Option<&str>) -> Result<Option<String>, GroupError> {
        Ok(Self::all(self, source)?.map(|nodes| nodes.to_string()))
    }

    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError> {
        let mut names = Vec::new();
        for word in Self::list(self, source)? {
            // A pattern stands for several names; what is none is a name as it is.
            match nodeset::parse(&word).map(|expr| nodeset::eval(&expr, &NoGroups)) {
                Ok(Ok(set)) => names.extend(&set),
                Ok(Err(_)) | Err(_) => names.push(word),
            }
        }
        Ok(names)
    }

    fn reverse(&self, source: Option<&str>, node: &str) -> Result<Option<Vec<String>>, GroupError> {
        if self.can(source, Upcall::Reverse)? {
            Ok(Some(Self::reverse(self, source, node)?))
        } else {
            Ok(None)
        }
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        let sources = Self::sources(self)?;
        Ok(sources.into_iter().map(str::to_owned).collect())
    }

    fn prepare(&self, source: Option<&str>, upcall: nodeset::Upcall, subjects: &[String]) {
        let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
        let upcall = match upcall {
            nodeset::Upcall::Map => Upcall::Map,
            nodeset::Upcall::All => Upcall::All,
            nodeset::Upcall::List => Upcall::List,
            nodeset::Upcall::Reverse => Upcall::Reverse,
        };
        self.prefetch(source, upcall, &subjects);
    }
}

impl From<Error> for GroupError {
    fn from(error: Error) -> Self {
        let failed = |upcall, command| Self::Failed { upcall, command };
        match error {
            Error::UnknownSource(source) => Self::UnknownSource(source),
            Error::NoUpcall {
                upcall,
                source_name: source,
            } => Self::NoUpcall {
                upcall: match upcall {
                    Upcall::Map | Upcall::MapAll => nodeset::Upcall::Map,
                    Upcall::All => nodeset::Upcall::All,
                    Upcall::List => nodeset::Upcall::List,
                    Upcall::Reverse => nodeset::Upcall::Reverse,
                },
                source,
            },
            Error::Map(command) => failed(nodeset::Upcall::Map, command),
            Error::List(command) => failed(nodeset::Upcall::List, command),
            Error::All(command) => failed(nodeset::Upcall::All, command),
            Error::Reverse(command) => failed(nodeset::Upcall::Reverse, command),
            Error::NotEnough => Self::Other(
                "Not enough working methods (all or map + list) to get all nodes".to_owned(),
            ),
            Error::IllegalCharacter(c) => Self::IllegalCharacter(c.to_string()),
            Error::Config(message) => Self::Config(message),
            Error::Ini(error) => Self::File(error.to_string()),
            Error::Words(error) => Self::File(error.to_string()),
        }
    }
}
