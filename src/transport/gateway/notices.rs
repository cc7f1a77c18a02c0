//! What one gateway may say of those below it.

use std::collections::HashSet;

use super::Gateways;
use crate::nodeset::NodeSet;
use crate::plan::NodeName;

/// What may be told of gateways further down: of each once that it failed, and once that its nodes go another way.
#[derive(Debug)]
pub(super) struct Notices {
    below: Vec<NodeSet>,
    failed: HashSet<String>,
    rerouted: HashSet<String>,
}

impl Notices {
    pub(super) fn new(gateways: &Gateways, gateway: &NodeName) -> Self {
        Self {
            below: gateways.topology.gateways_below(gateway),
            failed: HashSet::new(),
            rerouted: HashSet::new(),
        }
    }

    /// A gateway is said to have failed.
    ///
    /// # Errors
    /// When it is not below this one, or was said to have failed before.
    pub(super) fn failed(&mut self, gateway: &str) -> Result<String, String> {
        let is_below = self.below.iter().any(|level| level.contains(gateway));
        match is_below && self.failed.insert(gateway.to_owned()) {
            true => Ok(gateway.to_owned()),
            false => Err(format!("it speaks of {gateway}, which is not below it")),
        }
    }

    /// Nodes of a gateway that failed are said to go another way.
    ///
    /// # Errors
    /// When it did not fail, or that was said before.
    pub(super) fn rerouting(&mut self, gateway: &str) -> Result<String, String> {
        match self.failed.contains(gateway) && self.rerouted.insert(gateway.to_owned()) {
            true => Ok(gateway.to_owned()),
            false => Err(format!("it speaks of {gateway}, which did not fail")),
        }
    }
}
