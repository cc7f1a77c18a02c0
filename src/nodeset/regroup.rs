//! A node set as groups and what is left over.

use std::cmp::Reverse;

use super::{EvalError, GroupError, Groups, NodeSet, Style, Upcall, group_nodes};

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
    let mut within = Vec::new();
    for name in &candidates(set, source, groups)? {
        let nodes = group_nodes(source, Some(&name), groups)?;
        if !nodes.is_empty() && set.is_superset(&nodes) {
            within.push((Reverse(nodes.count()), name, nodes));
        }
    }
    within.sort_by(|(a_size, a, _), (b_size, b, _)| (a_size, a).cmp(&(b_size, b)));
    let (mut told, mut rest) = (Vec::new(), set.clone());
    for (_, name, nodes) in within {
        if rest.is_superset(&nodes) {
            rest.difference(&nodes);
            told.push(name);
        }
    }
    Ok(Regrouped {
        groups: told.into_iter().collect(),
        rest,
    })
}

/// The names of the groups that may lie within the set. All are listed, unless there are more of them than
/// nodes and the source can tell the groups of a node.
fn candidates(
    set: &NodeSet,
    source: Option<&str>,
    groups: &dyn Groups,
) -> Result<NodeSet, EvalError> {
    let listed = match groups.list(source) {
        Ok(names) => Some(names),
        Err(GroupError::NoUpcall {
            upcall: Upcall::List,
            ..
        }) => None,
        Err(error) => return Err(error.into()),
    };
    match listed {
        Some(names) if (names.len() as u128) < set.count() => {
            return Ok(names.into_iter().collect());
        }
        Some(_) | None => {}
    }
    let mut named = Vec::new();
    for node in set {
        match (groups.reverse(source, &node)?, &listed) {
            (Some(names), _) => named.extend(names),
            (None, Some(names)) => return Ok(names.iter().collect()),
            (None, None) => {
                groups.list(source)?;
            }
        }
    }
    Ok(named.into_iter().collect())
}

impl Regrouped {
    /// The groups as `@name`, or `@source:name`, then the rest, folded.
    #[must_use]
    pub fn fold(&self, source: Option<&str>, style: &Style) -> String {
        let mut parts = Vec::new();
        // One part per pattern: `r[1-2]` may be told at once, `lst` by itself.
        for (pattern, body) in &self.groups.bodies {
            let mut one = NodeSet::new();
            one.bodies.insert(pattern.clone(), body.clone());
            let names = one.fold(&Style::default());
            parts.push(match source {
                Some(source) => format!("@{source}:{names}"),
                None => format!("@{names}"),
            });
        }
        if !self.rest.is_empty() {
            parts.push(self.rest.fold(style));
        }
        parts.join(",")
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
            assert_eq!(told(&["n1"], None), "n1");
            assert_eq!(told(&[], None), "");
        }
    }

    #[test]
    fn a_source_that_can_tell_nothing_is_an_error() {
        let groups = Known {
            groups: RACKS,
            reverse: false,
            list: false,
        };
        let set: NodeSet = ["n1"].iter().collect();
        assert_eq!(
            regroup(&set, None, &groups).unwrap_err().to_string(),
            "No list upcall defined for group source \"x\""
        );
    }
}
