//! What `nodeset` says about groups: lists, sources, regrouping.

use std::io::Write;

use crate::nodeset::{
    Builder, EvalError, GroupError, Groups, NodeSet, Upcall, group_names, group_nodes,
};

use super::{Failure, Run};

/// The groups that have some of the nodes, each with its nodes.
fn groups_of(
    groups: &dyn Groups,
    source: Option<&str>,
    nodes: &NodeSet,
) -> Result<Vec<(String, NodeSet)>, Failure> {
    let names = match group_names(source, groups) {
        // Without a list the groups can still be had node by node.
        Err(GroupError::NoUpcall {
            upcall,
            source: name,
        }) => {
            let Some(names) = groups_by_node(groups, source, nodes)? else {
                return Err(GroupError::NoUpcall {
                    upcall,
                    source: name,
                }
                .into());
            };
            names
        }
        Err(error) => return Err(error.into()),
        Ok(names) if names.count() >= nodes.count() => match groups_by_node(groups, source, nodes)?
        {
            Some(fewer) => fewer,
            None => names,
        },
        Ok(names) => names,
    };
    let mut names: Vec<String> = names.iter().collect();
    names.sort_unstable();
    groups.prepare(source, Upcall::Map, &names);
    let mut found = Vec::new();
    for name in names {
        let of_group = group_nodes(source, Some(&name), groups)?;
        let mut common = of_group.clone();
        common.intersection(nodes);
        if !common.is_empty() {
            found.push((name, of_group));
        }
    }
    Ok(found)
}

/// The names of the groups of each node, if the source can tell them.
fn groups_by_node(
    groups: &dyn Groups,
    source: Option<&str>,
    nodes: &NodeSet,
) -> Result<Option<NodeSet>, Failure> {
    let mut names = Builder::new();
    let mut nodes = nodes.iter().peekable();
    let Some(first) = nodes.peek() else {
        return Ok(None);
    };
    if groups.reverse(source, first)?.is_none() {
        return Ok(None);
    }
    let nodes: Vec<String> = nodes.collect();
    groups.prepare(source, Upcall::Reverse, &nodes);
    for node in &nodes {
        for name in groups.reverse(source, node)?.unwrap_or_default() {
            names.add(&name);
        }
    }
    Ok(Some(names.finish()))
}

impl Run<'_> {
    /// What stands before a group's name: its source, if one was asked for.
    fn prefix(&self, source: Option<&str>) -> String {
        match source {
            Some(source) if !self.options.bare_groups => format!("@{source}:"),
            _ => "@".into(),
        }
    }

    /// `-l`: the groups of one source; with nodes, those that have some of them.
    pub(super) fn list(&mut self, nodes: Option<&NodeSet>) -> Result<(), Failure> {
        let prefix = self.prefix(self.options.source.as_deref());
        self.list_source(None, &prefix, nodes)
    }

    /// `-L`: the groups of all sources.
    pub(super) fn list_all(&mut self, nodes: Option<&NodeSet>) -> Result<(), Failure> {
        for (place, source) in self.groups.sources()?.iter().enumerate() {
            let prefix = self.prefix((place > 0).then_some(source.as_str()));
            match self.list_source(Some(source), &prefix, nodes) {
                Err(Failure::NoList(_)) => {
                    let source = if place > 0 { source } else { "None" };
                    self.console.complain(format_args!(
                        "Warning: No list upcall defined for group source {source}"
                    ));
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn list_source(
        &mut self,
        source: Option<&str>,
        prefix: &str,
        nodes: Option<&NodeSet>,
    ) -> Result<(), Failure> {
        let detail = self.options.detail;
        let Some(nodes) = nodes else {
            let names = group_names(source, self.groups)?;
            if detail > 1 {
                let names: Vec<String> = names.iter().collect();
                self.groups.prepare(source, Upcall::Map, &names);
            }
            for name in &names {
                if detail < 2 {
                    writeln!(self.console.out, "{prefix}{name}")?;
                    continue;
                }
                let of_group = group_nodes(source, Some(&name), self.groups)?;
                let folded = self.fold(&of_group);
                if detail == 2 {
                    writeln!(self.console.out, "{prefix}{name} {folded}")?;
                } else {
                    writeln!(
                        self.console.out,
                        "{prefix}{name} {folded} {}",
                        of_group.count()
                    )?;
                }
            }
            return Ok(());
        };
        for (name, of_group) in groups_of(self.groups, source, nodes)? {
            let mut common = of_group.clone();
            common.intersection(nodes);
            let folded = self.fold(&common);
            let (some, all) = (common.count(), of_group.count());
            match detail {
                1 => writeln!(self.console.out, "{prefix}{name}")?,
                2 => writeln!(self.console.out, "{prefix}{name} {folded}")?,
                _ => writeln!(self.console.out, "{prefix}{name} {folded} {some}/{all}")?,
            }
        }
        Ok(())
    }

    /// `--groupsources`.
    pub(super) fn group_sources(&mut self) -> Result<(), Failure> {
        for (place, source) in self.groups.sources()?.iter().enumerate() {
            let tag = if place == 0 && !self.options.quiet {
                " (default)"
            } else {
                ""
            };
            writeln!(self.console.out, "{source}{tag}")?;
        }
        Ok(())
    }

    /// `--completion`: sources and groups, and the names of nodes.
    pub(super) fn completion(&mut self, nodes: &NodeSet) -> Result<(), Failure> {
        if self.options.source.is_none() {
            for source in self.groups.sources()? {
                writeln!(self.console.out, "@{source}:")?;
            }
        }
        self.options.detail = 1;
        self.list(None)?;
        if nodes.is_empty() {
            return Ok(());
        }
        self.expand(nodes, " ")
    }

    /// `-r`: the set with groups in place of nodes where a group is wholly in it; large groups first.
    pub(super) fn regroup(&self, nodes: &NodeSet) -> Result<String, Failure> {
        let mut groups = groups_of(self.groups, None, nodes)?;
        groups.retain(|(_, of_group)| nodes.is_superset(of_group));
        groups.sort_by(|(a_name, a), (b_name, b)| {
            b.count().cmp(&a.count()).then_with(|| a_name.cmp(b_name))
        });
        let prefix = self.prefix(self.options.source.as_deref());
        let mut rest = nodes.clone();
        let mut names = Builder::new();
        for (name, of_group) in groups {
            if rest.is_superset(&of_group) {
                rest.difference(&of_group);
                names.add(&format!("{prefix}{name}"));
            }
        }
        let parts = [names.finish(), rest].map(|set| self.fold(&set));
        let parts: Vec<&str> = parts
            .iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        Ok(parts.join(","))
    }
}

impl From<GroupError> for Failure {
    fn from(error: GroupError) -> Self {
        if matches!(
            error,
            GroupError::NoUpcall {
                upcall: Upcall::List,
                ..
            }
        ) {
            return Self::NoList(error.to_string());
        }
        EvalError::from(error).into()
    }
}
