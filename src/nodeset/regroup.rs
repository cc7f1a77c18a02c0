//! Which groups some nodes are in, and a node set told by groups and what is left over.

use std::cmp::Reverse;
use std::rc::Rc;

use super::{Builder, EvalError, Evaluator, GroupError, Groups, NodeSet, Style, Upcall};

/// A set told by groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Regrouped {
    /// The names of the groups, which have no node in common.
    pub groups: NodeSet,
    /// The nodes in none of them.
    pub rest: NodeSet,
}

/// Tells a set by groups of a source that lie within it: the largest first, of equal ones the first by name,
/// each only if none of its nodes is told yet.
///
/// # Errors
/// When the source cannot be asked, or fails.
pub fn regroup(
    set: &NodeSet,
    source: Option<&str>,
    groups: &dyn Groups,
) -> Result<Regrouped, EvalError> {
    let mut within = groups_of(set, source, groups)?;
    within.retain(|(_, nodes)| !nodes.is_empty() && set.is_superset(nodes));
    within.sort_by(|(a, a_nodes), (b, b_nodes)| {
        let (a_size, b_size) = (a_nodes.count(), b_nodes.count());
        (Reverse(a_size), a).cmp(&(Reverse(b_size), b))
    });
    let (mut names, mut told) = (Builder::new(), Builder::new());
    for (name, nodes) in within {
        if told.is_disjoint(&nodes) {
            told.add_set(&nodes);
            names.add(&name);
        }
    }
    let mut rest = set.clone();
    rest.difference(&told.finish());
    Ok(Regrouped {
        groups: names.finish(),
        rest,
    })
}

/// The groups of a source that have some of the nodes, by name, each with all its nodes.
///
/// The source is asked for the groups of each node where it can tell them and has no list, or none that is shorter than
/// the nodes; what it says then is not looked over. A source that can tell neither has no groups.
///
/// # Errors
/// When there is no such source, or it fails to tell the groups of a node or the nodes of a group.
pub fn groups_of(
    set: &NodeSet,
    source: Option<&str>,
    groups: &dyn Groups,
) -> Result<Vec<(String, Rc<NodeSet>)>, EvalError> {
    let listed = match groups.list(source) {
        Ok(names) => names,
        Err(
            GroupError::NoUpcall { .. }
            | GroupError::Failed {
                upcall: Upcall::List,
                ..
            },
        ) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let is_short = !listed.is_empty() && (listed.len() as u128) < set.count();
    let (mut names, are_listed) = match is_short {
        true => (listed, true),
        false => match by_node(set, source, groups)? {
            Some(names) => (names, false),
            None => (listed, true),
        },
    };
    names.sort_unstable();
    names.dedup();
    groups.prepare(source, Upcall::Map, &names);
    let mut evaluator = Evaluator::new(groups);
    let mut found = Vec::new();
    for name in names {
        let nodes = evaluator.group_nodes(source, Some(&name));
        let nodes = nodes.map_err(|error| {
            let EvalError::Map { command, .. } = error else {
                return error;
            };
            EvalError::from(GroupError::Other(format!(
                "Unable to map a group previously listed\n\tFailed command: {command}"
            )))
        })?;
        if !are_listed || !nodes.is_disjoint(set) {
            found.push((name, nodes));
        }
    }
    Ok(found)
}

/// The names of the groups of each node, if the source can tell them.
fn by_node(
    set: &NodeSet,
    source: Option<&str>,
    groups: &dyn Groups,
) -> Result<Option<Vec<String>>, GroupError> {
    let nodes: Vec<String> = match set.iter().next() {
        // Whether it can tell shows at the first node; there may be a million more.
        Some(first) if groups.reverse(source, &first)?.is_some() => set.iter().collect(),
        Some(_) | None => return Ok(None),
    };
    groups.prepare(source, Upcall::Reverse, &nodes);
    let mut names = Vec::new();
    for node in &nodes {
        names.extend(groups.reverse(source, node)?.unwrap_or_default());
    }
    Ok(Some(names))
}

impl Regrouped {
    /// The groups as `@name`, or `@source:name`, then the rest, folded.
    #[must_use]
    pub fn fold(&self, source: Option<&str>, style: &Style) -> String {
        let prefix = source.map_or_else(|| "@".to_owned(), |source| format!("@{source}:"));
        let names = self.groups.iter().map(|name| format!("{prefix}{name}"));
        let groups = names.collect::<NodeSet>().to_string();
        match (groups.is_empty(), self.rest.is_empty()) {
            (_, true) => groups,
            (true, false) => self.rest.fold(style),
            (false, false) => groups + "," + &self.rest.fold(style),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups in the program, with or without an answer to `reverse`.
    struct Known {
        groups: &'static [(&'static str, &'static str)],
        reverse: bool,
        list: bool,
    }

    impl Groups for Known {
        fn map(&self, _: Option<&str>, group: &str) -> Result<String, GroupError> {
            let found = self.groups.iter().find(|(name, _)| *name == group);
            Ok(found.map(|(_, nodes)| *nodes).unwrap_or_default().into())
        }
        fn all(&self, _: Option<&str>) -> Result<Option<String>, GroupError> {
            Ok(None)
        }
        fn list(&self, _: Option<&str>) -> Result<Vec<String>, GroupError> {
            if !self.list {
                return Err(GroupError::NoUpcall {
                    upcall: Upcall::List,
                    source: "x".into(),
                });
            }
            Ok(self.groups.iter().map(|(name, _)| (*name).into()).collect())
        }
        fn reverse(&self, _: Option<&str>, node: &str) -> Result<Option<Vec<String>>, GroupError> {
            let has = |nodes: &str| {
                let set: NodeSet = nodes.split(',').collect();
                set.contains(node)
            };
            let names = self.groups.iter().filter(|(_, nodes)| has(nodes));
            let names = names.map(|(name, _)| (*name).into()).collect();
            Ok(self.reverse.then_some(names))
        }
        fn sources(&self) -> Result<Vec<String>, GroupError> {
            Ok(Vec::new())
        }
    }

    const RACKS: &[(&str, &str)] = &[
        ("lst", "n0,n1,n5"),
        ("none", ""),
        ("old", "n0,n1,n5,n6,n7,n8"),
        ("r1", "n0,n1"),
        ("s1t1", "y1"),
        ("s1t2", "y2"),
        ("s2t1", "y3"),
        ("r2", "n2,n3,n4"),
        ("r3", "n5,n6,n7,n8"),
    ];

    #[test]
    fn the_largest_groups_come_first_and_never_twice() {
        for (reverse, list) in [(false, true), (true, true), (true, false)] {
            let groups = Known {
                groups: RACKS,
                reverse,
                list,
            };
            let told = |nodes: &[&str], source| {
                let set: NodeSet = nodes.iter().collect();
                let told = regroup(&set, None, &groups).unwrap();
                told.fold(source, &Style::default())
            };
            let all = ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8"];
            assert_eq!(told(&all, Some("racks")), "@racks:old,@racks:r2");
            assert_eq!(
                told(&["n0", "n1", "n2", "n3", "n4", "x1"], None),
                "@r[1-2],x1"
            );
            assert_eq!(told(&["y1", "y2", "y3"], Some("s")), "@s:s1t[1-2],@s:s2t1");
            assert_eq!(told(&["n1"], None), "n1");
            assert_eq!(told(&[], None), "");
        }
    }

    #[test]
    fn a_source_that_can_tell_nothing_has_no_groups() {
        let groups = Known {
            groups: RACKS,
            reverse: false,
            list: false,
        };
        let set: NodeSet = ["n1"].iter().collect();
        let told = regroup(&set, None, &groups).unwrap();
        assert_eq!(told.fold(None, &Style::default()), "n1");
    }

    #[test]
    fn many_groups_are_told_in_a_time_that_grows_as_they_do() {
        use crate::nodeset::steps;

        /// A source with a list of groups of three nodes each, with room between them.
        struct Many(usize);
        impl Groups for Many {
            fn map(&self, _: Option<&str>, group: &str) -> Result<String, GroupError> {
                let number: usize = group[1..].parse().unwrap();
                Ok(format!("n[{}-{}]", number * 10, number * 10 + 2))
            }
            fn all(&self, _: Option<&str>) -> Result<Option<String>, GroupError> {
                Ok(None)
            }
            fn list(&self, _: Option<&str>) -> Result<Vec<String>, GroupError> {
                Ok((0..self.0).map(|number| format!("g{number}")).collect())
            }
            fn reverse(&self, _: Option<&str>, _: &str) -> Result<Option<Vec<String>>, GroupError> {
                Ok(None)
            }
            fn sources(&self) -> Result<Vec<String>, GroupError> {
                Ok(Vec::new())
            }
        }
        let steps = |count: usize| {
            let groups = Many(count);
            let all = crate::nodeset::group_nodes(None, None, &groups).unwrap();
            steps::of(|| {
                let told = regroup(&all, None, &groups).unwrap();
                assert_eq!(told.groups.len(), count);
                assert!(told.rest.is_empty());
            })
        };
        let (few, many) = (steps(200), steps(2000));
        assert!(few > 200 && many < 15 * few, "{few} {many}");
    }
}
