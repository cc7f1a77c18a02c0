//! Reads what there is to run: `milkcheck.conf`, the service files, and the embedded procedure.

use std::path::PathBuf;

use super::error::Error;
use super::lookups::SystemLookups;
use super::options::Options;
use super::{Front, PROCEDURE, procedure};
use crate::cli::resolve::nodes::listable;
use crate::config::Environment;
use crate::config::milkcheck::{self, MilkcheckConf};
use crate::config::services::{self, Loaded};
use crate::nodeset::NodeSet;
use crate::plan::NodeName;
use crate::service::definition::Definition;
use crate::service::expand::NodeFilter;
use crate::service::resolve::Purpose;
use crate::service::{Graph, resolve};

impl Front<'_> {
    /// The main configuration file's values.
    pub(super) fn configuration(&mut self) -> Result<MilkcheckConf, Error> {
        let path = self
            .environment()
            .get("MILKCHECK_CONF")
            .map_or_else(|| PathBuf::from(milkcheck::DEFAULT_PATH), PathBuf::from);
        match milkcheck::load(&path).map_err(Error::Message)? {
            Some(conf) => Ok(conf),
            None => {
                if self.verbosity >= 2 {
                    let message = format!("Configuration file {} not found", path.display());
                    self.log("WARNING", &message);
                }
                Ok(MilkcheckConf::default())
            }
        }
    }

    /// Reads the service files and makes their graph.
    pub(super) fn load(
        &mut self,
        conf: &MilkcheckConf,
        options: &mut Options,
        purpose: Purpose,
        lookups: &mut SystemLookups<'_>,
    ) -> Result<Graph, Error> {
        let directory = options.config_dir.as_ref().unwrap_or(&conf.config_dir);
        let is_of_procedure =
            |word: &String| word == PROCEDURE || procedure::part(PROCEDURE, word).is_some();
        let names_procedure = options.words.iter().any(is_of_procedure);
        let mut loaded = if directory.is_dir() {
            services::load(directory, &mut |name| lookups.names(name))?
        } else if names_procedure {
            Loaded::default()
        } else {
            let message = format!("Invalid directory '{}'", directory.display());
            return Err(Error::Message(message));
        };
        let is_defined = |service: &Definition| service.name == PROCEDURE;
        if names_procedure && !loaded.definitions.services.iter().any(is_defined) {
            self.add_procedure(&mut loaded.definitions, options)?;
        }
        for warning in &loaded.warnings {
            if self.is_chatty() || warning.is_loss && self.verbosity >= 1 {
                let message = format!("{}: {}", warning.origin, warning.message);
                self.log("WARNING", &message);
            }
        }
        let filter = node_filter(options, self.environment())?;
        let defines = &options.defines;
        let graph = resolve(&loaded.definitions, purpose, defines, &filter, lookups)?;
        Ok(graph)
    }
}

fn node_filter(options: &Options, environment: &Environment) -> Result<NodeFilter, Error> {
    for nodes in [&options.only, &options.without].into_iter().flatten() {
        listable(nodes, environment).map_err(Error::Message)?;
    }
    let names = |set: &NodeSet| set.iter().map(NodeName::from).collect::<Vec<_>>();
    let shown = |set: &Option<NodeSet>| set.as_ref().map(ToString::to_string).unwrap_or_default();
    Ok(NodeFilter {
        only: options.only.as_ref().map(names),
        without: match (&options.only, &options.without) {
            (None, Some(without)) => names(without),
            _ => Vec::new(),
        },
        shown_only: shown(&options.only),
        shown_without: shown(&options.without),
    })
}
