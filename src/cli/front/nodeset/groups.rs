//! What `nodeset` says about groups: lists, sources, regrouping.

use std::io::Write;

use crate::nodeset::{
    EvalError, Evaluator, GroupError, Groups, NodeSet, Upcall, group_names, groups_of, regroup,
};

use super::{Failure, Run};

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
            let mut evaluator = Evaluator::new(self.groups);
            if detail > 1 {
                let names: Vec<String> = names.iter().collect();
                self.groups.prepare(source, Upcall::Map, &names);
            }
            for name in &names {
                if detail < 2 {
                    writeln!(self.console.out, "{prefix}{name}")?;
                    continue;
                }
                let of_group = evaluator.group_nodes(source, Some(&name))?;
                // Steps are for the nodes that were given; the original writes none here.
                let folded = of_group.to_string();
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
        for (name, of_group) in groups_of(nodes, source, self.groups)? {
            let mut common = NodeSet::clone(&of_group);
            common.intersection(nodes);
            let folded = common.fold(&self.style);
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

    /// `--completion`: the sources, and the groups of the default one.
    pub(super) fn completion(&mut self) -> Result<(), Failure> {
        if self.options.source.is_none() {
            for source in self.groups.sources()? {
                writeln!(self.console.out, "@{source}:")?;
            }
        }
        self.options.detail = 1;
        self.list(None)
    }

    /// `-r`: the set with groups in place of nodes where a group is wholly in it; large groups first.
    pub(super) fn regroup(&self, nodes: &NodeSet) -> Result<String, Failure> {
        let source = self.options.source.as_deref();
        let source = source.filter(|_| !self.options.bare_groups);
        Ok(regroup(nodes, None, self.groups)?.fold(source, &self.style))
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
