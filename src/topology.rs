//! Which gateway serves which nodes: the routes of a `topology.conf`, checked, and the tree they make below us.
//!
//! Read as ClusterShell reads it, and wrong in its words. Reading files and reaching gateways is left to others.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::destination;
use crate::ini::Ini;
use crate::nodeset::{EvalError, Groups, NodeSet, eval_words};
use crate::plan::NodeName;

/// Which gateways relay for which nodes, as seen from one node, the root.
#[derive(Debug, Clone)]
pub struct Topology {
    root: NodeName,
    routes: Vec<Route>,
    /// The routes' destinations as a tree is drawn: in the order in which sources took shape.
    groups: Vec<NodeSet>,
    /// For each route, the gateways next to the root that lead to its destination.
    ways: Vec<Vec<NodeName>>,
    gateways: NodeSet,
}

/// Nodes that reach other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The nodes that relay.
    pub from: NodeSet,
    /// The nodes that they reach.
    pub to: NodeSet,
}

/// Why there is no tree. Displays as ClusterShell words it.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// No such file, no section in it, or nothing that could be read.
    #[error("Invalid configuration file: {0}")]
    File(String),
    /// No route at all.
    #[error("No route found in topology definition!")]
    NoRoute,
    /// No route begins at the root.
    #[error("\"{0}\" is not a valid root node!")]
    Root(String),
    /// A route to its own source.
    #[error("Source and destination nodesets overlap")]
    Overlap,
    /// A route that leads back.
    #[error("Loop detected! Cannot add route {from} -> {to}", from = .0.from, to = .0.to)]
    Loop(Box<Route>),
    /// A destination that would have two sources.
    #[error("Convergent path detected! Cannot add route {from} -> {to}", from = .0.from, to = .0.to)]
    Convergent(Box<Route>),
    /// A side of a route is no node set.
    #[error(transparent)]
    Nodes(#[from] EvalError),
}

impl Topology {
    /// Reads a `topology.conf`. `file` is its name in messages, `root` the short name of this host.
    ///
    /// # Errors
    /// What is wrong with the file, the first thing only.
    pub fn read(
        file: &str,
        text: &str,
        root: &str,
        groups: &dyn Groups,
    ) -> Result<Self, TopologyError> {
        let invalid = || TopologyError::File(file.to_owned());
        let mut ini = Ini::keeping_case();
        ini.merge(file, text).map_err(|_| invalid())?;
        let known = |name: &&str| ini.sections().any(|section| section == *name);
        let section = ["routes", "Main"].into_iter().find(known);
        let section = section.ok_or_else(invalid)?;
        let mut routes = Vec::new();
        for (from, to) in ini.entries(section) {
            let route = Route {
                from: eval_words(from, groups)?,
                to: eval_words(to, groups)?,
            };
            if !route.from.is_empty() && !route.to.is_empty() {
                routes.push(route);
            }
        }
        Self::new(root, routes)
    }

    /// The tree of these routes.
    ///
    /// # Errors
    /// Why they make none.
    pub fn new(root: &str, routes: Vec<Route>) -> Result<Self, TopologyError> {
        if routes.is_empty() {
            return Err(TopologyError::NoRoute);
        }
        let mut topology = Self {
            root: root.into(),
            routes: Vec::new(),
            groups: Vec::new(),
            ways: Vec::new(),
            gateways: NodeSet::new(),
        };
        for route in routes {
            topology.add(route)?;
        }
        if !topology
            .routes
            .iter()
            .any(|route| route.from.contains(root))
        {
            return Err(TopologyError::Root(root.to_owned()));
        }
        topology.find_ways();
        Ok(topology)
    }

    fn add(&mut self, route: Route) -> Result<(), TopologyError> {
        if meet(&route.from, &route.to) {
            return Err(TopologyError::Overlap);
        }
        let leads_back = |routes: &Self| meet(&routes.reached_from(&route.to), &route.from);
        let within = |inner: &NodeSet, outer: &NodeSet| outer != inner && outer.is_superset(inner);
        let converges = |known: &Route| {
            (known.from != route.from && meet(&known.to, &route.to))
                || within(&known.to, &route.from)
                || within(&route.to, &known.from)
        };
        // A loop by only some of the nodes is found last, as the original words it.
        let is_source = |known: &Route| known.from.is_superset(&route.to);
        if self.routes.iter().any(is_source) && leads_back(self) {
            return Err(TopologyError::Loop(Box::new(route)));
        }
        if self.routes.iter().any(converges) {
            return Err(TopologyError::Convergent(Box::new(route)));
        }
        if leads_back(self) {
            return Err(TopologyError::Loop(Box::new(route)));
        }
        // A source that was part of a destination is drawn by itself, behind what remains of it.
        if !self.routes.iter().any(|known| known.from == route.from) {
            let routes = &self.routes;
            let is_source = |group: &NodeSet| routes.iter().any(|known| known.from == *group);
            for group in self.groups.iter_mut().filter(|group| !is_source(group)) {
                group.difference(&route.from);
            }
            self.groups.push(route.from.clone());
        }
        let mut rest = route.to.clone();
        for known in &self.routes {
            rest.difference(&known.from);
        }
        self.groups.push(rest);
        self.groups.retain(|group| !group.is_empty());
        match self
            .routes
            .iter_mut()
            .find(|known| known.from == route.from)
        {
            Some(known) => known.to.union(&route.to),
            None => self.routes.push(route),
        }
        Ok(())
    }

    /// All that is reached from these nodes, over any number of routes.
    fn reached_from(&self, nodes: &NodeSet) -> NodeSet {
        let mut reached = NodeSet::new();
        let mut frontier = nodes.clone();
        let mut taken = vec![false; self.routes.len()];
        loop {
            let mut found = NodeSet::new();
            for (route, taken) in self.routes.iter().zip(&mut taken) {
                if !*taken && meet(&route.from, &frontier) {
                    *taken = true;
                    found.union(&route.to);
                }
            }
            if found.is_empty() {
                return reached;
            }
            reached.union(&found);
            frontier = found;
        }
    }

    fn find_ways(&mut self) {
        let root: NodeSet = std::iter::once(&*self.root).collect();
        let mut next = NodeSet::new();
        for route in self.routes.iter().filter(|route| meet(&route.from, &root)) {
            next.union(&route.to);
        }
        let mut ways = vec![NodeSet::new(); self.routes.len()];
        // Each round carries the gateways one route further; without loops there are no more rounds than routes.
        for _ in 0..self.routes.len() {
            let before = ways.clone();
            for (route, way) in self.routes.iter().zip(&mut ways) {
                if meet(&route.from, &root) {
                    continue;
                }
                let mut near = route.from.clone();
                near.intersection(&next);
                way.union(&near);
                for (earlier, leading) in self.routes.iter().zip(&before) {
                    if meet(&earlier.to, &route.from) {
                        way.union(leading);
                    }
                }
            }
            if ways == before {
                break;
            }
        }
        let reached = self.reached_from(&root);
        for route in &self.routes {
            let mut sources = route.from.clone();
            sources.intersection(&reached);
            self.gateways.union(&sources);
        }
        self.ways = ways
            .iter()
            .map(|way| way.iter().map(NodeName::from).collect())
            .collect();
    }

    /// The root's name.
    #[must_use]
    pub fn root(&self) -> &NodeName {
        &self.root
    }

    /// All nodes that relay for others, below the root.
    #[must_use]
    pub fn gateways(&self) -> &NodeSet {
        &self.gateways
    }

    /// The gateways next to the root that lead to a node; none if it is reached directly: it is next to the root
    /// itself, or not in the topology.
    #[must_use]
    pub fn ways(&self, node: &str) -> &[NodeName] {
        let host = destination::host(node);
        let ways = self.routes.iter().zip(&self.ways);
        ways.into_iter()
            .find(|(route, _)| route.to.contains(node) || route.to.contains(host))
            .map_or(&[], |(_, way)| way)
    }

    /// The routes that a gateway needs to know: those from itself, and from whom they lead to.
    #[must_use]
    pub fn below(&self, gateway: &str) -> Vec<Route> {
        let mut sources: NodeSet = std::iter::once(gateway).collect();
        sources.union(&self.reached_from(&sources));
        let routes = self.routes.iter();
        routes
            .filter(|route| meet(&route.from, &sources))
            .cloned()
            .collect()
    }

    /// The gateways that a gateway leads to, level by level.
    #[must_use]
    pub fn gateways_below(&self, gateway: &str) -> Vec<NodeSet> {
        let mut levels = Vec::new();
        let mut sources: NodeSet = std::iter::once(gateway).collect();
        // Without loops there are no more levels than routes.
        for _ in &self.routes {
            let mut below = NodeSet::new();
            for route in &self.routes {
                if meet(&route.from, &sources) {
                    below.union(&route.to);
                }
            }
            below.intersection(&self.gateways);
            if below.is_empty() {
                break;
            }
            levels.push(below.clone());
            sources = below;
        }
        levels
    }

    fn draw(&self, f: &mut fmt::Formatter<'_>, source: &NodeSet, indent: &str) -> fmt::Result {
        let mut reached = NodeSet::new();
        for route in &self.routes {
            if route.from.is_superset(source) {
                reached.union(&route.to);
            }
        }
        let below: Vec<&NodeSet> = self
            .groups
            .iter()
            .filter(|group| reached.is_superset(group))
            .collect();
        for (index, group) in below.iter().enumerate() {
            let last = index + 1 == below.len();
            let (branch, beyond) = if last { ("`- ", "   ") } else { ("|- ", "|  ") };
            writeln!(f, "{indent}{branch}{group}")?;
            self.draw(f, group, &format!("{indent}{beyond}"))?;
        }
        Ok(())
    }
}

/// Draws the tree, a line for each group of nodes.
impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let top = self
            .routes
            .iter()
            .find(|route| route.from.contains(&self.root));
        let Some(Route { from, .. }) = top else {
            return writeln!(f, "{}", self.root);
        };
        writeln!(f, "{from}")?;
        self.draw(f, from, "")
    }
}

fn meet(one: &NodeSet, other: &NodeSet) -> bool {
    let mut common = one.clone();
    common.intersection(other);
    !common.is_empty()
}

/// How many nodes each gateway has been given.
#[derive(Debug, Clone, Default)]
pub struct Loads(HashMap<NodeName, usize>);

impl Loads {
    /// The gateway with the fewest nodes so far, the first of several; `None` when all have failed. Counts the node.
    pub fn pick(&mut self, ways: &[NodeName], failed: &HashSet<NodeName>) -> Option<NodeName> {
        let gateway = ways
            .iter()
            .filter(|gateway| !failed.contains(*gateway))
            .min_by_key(|gateway| self.0.get(*gateway).copied().unwrap_or(0))?;
        *self.0.entry(gateway.clone()).or_default() += 1;
        Some(gateway.clone())
    }
}

#[cfg(test)]
mod tests;
