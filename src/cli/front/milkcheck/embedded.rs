//! The embedded procedure beside what service files define, and what `hash service` has beyond MilkCheck.

use std::collections::{BTreeSet, HashSet};
use std::io::Write as _;

use super::options::Options as Words;
use super::{Error, Front, PROCEDURE, procedure};
use crate::cli::front::mistakes::nearest;
use crate::config::services;
use crate::service::definition::{Definitions, Variable};
use crate::service::{Graph, ServiceId, Walk};

impl Front<'_> {
    /// Puts the embedded procedure beside what the files define; their variables win.
    pub(super) fn add_procedure(
        &mut self,
        definitions: &mut Definitions,
        options: &mut Words,
    ) -> Result<(), Error> {
        let is_known = |word: &str| definitions.services.iter().any(|known| known.name == *word);
        let parts = procedure::take_parts(PROCEDURE, &mut options.words, is_known);
        self.is_embedded = true;
        let yaml = self.procedure(options.lab, &parts)?.ok_or_else(|| {
            let message =
                "the configuration has no [haproxy.instances] for the procedure `haproxy`";
            Error::Message(message.to_owned())
        })?;
        let mut names = |name: &str| Ok(vec![name.to_owned()]);
        let embedded =
            services::parse("embedded haproxy procedure", &yaml, &mut names)?.definitions;
        definitions.services.extend(embedded.services);
        for variable in embedded.variables {
            let is_known = |known: &Variable| known.name == variable.name;
            if !definitions.variables.iter().any(is_known) {
                definitions.variables.push(variable);
            }
        }
        Ok(())
    }

    /// The YAML of the embedded procedure; `None` if the configuration has no instances.
    pub(super) fn procedure(&self, lab: bool, parts: &[String]) -> Result<Option<String>, Error> {
        let configured = &self.asked.site.values()?.haproxy.instances;
        let of_lab = procedure::lab();
        let instances: Vec<_> = if !configured.is_empty() {
            configured
                .iter()
                .map(|(name, one)| (name.as_str(), one))
                .collect()
        } else if lab {
            of_lab.iter().map(|(name, one)| (*name, one)).collect()
        } else {
            return Ok(None);
        };
        let is_known = |part: &&String| instances.iter().any(|(name, _)| name == part);
        if let Some(unknown) = parts.iter().find(|part| !is_known(part)) {
            let known: Vec<&str> = instances.iter().map(|(name, _)| *name).collect();
            return Err(Error::Message(format!(
                "the configuration has no instance `{unknown}` for {PROCEDURE}.{unknown}; it has {}",
                known.join(", ")
            )));
        }
        let is_meant = |name: &str| parts.is_empty() || parts.iter().any(|part| part == name);
        let meant = instances.into_iter().filter(|(name, _)| is_meant(name));
        Ok(Some(procedure::yaml(meant)))
    }

    pub(super) fn print_procedure(&mut self) -> Result<u8, Error> {
        let yaml = match self.procedure(false, &[])? {
            Some(yaml) => yaml,
            None => procedure::yaml([("puppet", &procedure::example())]),
        };
        self.console.out.write_all(yaml.as_bytes())?;
        Ok(0)
    }

    /// Refuses an action that no service of the run has. MilkCheck itself says nothing and ends well.
    pub(super) fn know_action(
        &self,
        graph: &Graph,
        walk: &Walk<'_>,
        action: &str,
    ) -> Result<(), Error> {
        if self.called != "service" {
            return Ok(());
        }
        let services: HashSet<ServiceId> = walk.participants().collect();
        let actions = graph.actions().iter();
        let actions = actions.filter(|known| services.contains(&known.service));
        let known: BTreeSet<&str> = actions.map(|known| &*known.name).collect();
        // Without any service at all there is nothing that could have it.
        if known.is_empty() || known.contains(action) {
            return Ok(());
        }
        let known: Vec<&str> = known.into_iter().collect();
        let meant = match nearest(action, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("they have {}", known.join(", ")),
        };
        let wrong = format!("no service of this run has an action `{action}`; {meant}");
        Err(Error::Message(wrong))
    }
}
