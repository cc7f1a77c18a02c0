//! Node sets as a whole: what ClusterShell prints, and properties against a plain set of names.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn set(text: &str) -> NodeSet {
    eval(&parse(text).unwrap(), &NoGroups).unwrap()
}

fn names(set: &NodeSet) -> BTreeSet<String> {
    set.iter().collect()
}

/// The input and the folded text of ClusterShell 1.10.1.
const FOLDS: &[(&str, &str)] = &[
    ("n1,n2,n3", "n[1-3]"),
    ("n1,n01,n001,n2,n02", "n[1-2,01-02,001]"),
    ("n5[1-3],n0[1-3]", "n[01-03,51-53]"),
    ("n1[1-3]5x", "n[115,125,135]x"),
    ("[1-3]x,5,6,7", "[5-7],[1-3]x"),
    (" n[1, 3 , 5 - 7] ", "n[1,3,5-7]"),
    ("n[1-3] , m[1-2]", "m[1-2],n[1-3]"),
    ("n1 n2", "n1 n2"),
    (
        "localhost,node1,a.b.c,10.0.0.1,10.0.0.2,user@n1",
        "10.0.0.[1-2],a.b.c,localhost,node1,user@n1",
    ),
    (
        "2001:db8::1,2001:db8::2,2001:db8::a",
        "2001:db8::[1-2],2001:db8::a",
    ),
    ("N1,n1,node,node1,node1x", "N1,n1,node,node1,node1x"),
    ("%s1,%1,%%,%", "%,%%,%1,%s1"),
    ("", ""),
    ("n[1-5]!n3", "n[1-2,4-5]"),
    ("n[1-5]!n3,n3", "n[1-5]"),
    ("n[1-5]^n[3-9]", "n[1-2,6-9]"),
    ("n[1-5],m[1-3]&n[2-3]", "n[2-3]"),
    ("node[1-4,6]^node[3-6]!node6,foo", "foo,node[1-2,5]"),
    ("a[1-3]b[1-3]!a2b[1-2]", "a[1,3]b[1-3],a2b3"),
    ("a[1-2]b[1-2]^a[2-3]b[2-3]", "a1b[1-2],a2b[1,3],a3b[2-3]"),
    ("da1c1,da1c2,da2c1,da2c2", "da[1-2]c[1-2]"),
    ("da1c1,da2c2", "da1c1,da2c2"),
    ("a10b1,a2b2,a1b5", "a1b5,a10b1,a2b2"),
    ("da[1-2]c[1-2],da3c1", "da[1-2]c[1-2],da3c1"),
    ("da[1-3]c[1-3]!da2c2", "da[1,3]c[1-3],da2c[1,3]"),
    ("a[1-2]b[1-2],a[2-3]b[2-3]", "a2b[1-3],a1b[1-2],a3b[2-3]"),
    ("a[1-4]b1,a[3-6]b2", "a[1-3]b1,a[3,5-6]b2,a4b[1-2]"),
    (
        "a[1-2]b1c1,a1b[2-3]c1,a1b1c[4-6]",
        "a1b1c[1,4-6],a1b[2-3]c1,a2b1c1",
    ),
    ("a[01-02]b[1-2],a[1-2]b[1-2]", "a[1-2,01-02]b[1-2]"),
    ("n1-ib0,n2-ib0,n1-ib1", "n1-ib[0-1],n2-ib0"),
    // ClusterShell has none of these: an address in brackets, as `ssh` and URIs have it, is text.
    ("[::1],root@[fe80::1%eth0]", "[::1],root@[fe80::1%eth0]"),
    ("ssh://u@[::1]:22,ssh://u@[::1]:23", "ssh://u@[::1]:[22-23]"),
    ("[::2],[::1]!ssh://[::1]:22", "[::1],[::2]"),
    (
        "ssh://root@web[1-3]:22!ssh://root@web2:22",
        "ssh://root@web[1,3]:22",
    ),
    ("root@web[1-2],root@web3", "root@web[1-3]"),
    ("lb1..2", "lb[1-2]"),
    ("lb01..12", "lb[01-12]"),
    ("10.0.0.1..20", "10.0.0.[1-20]"),
    ("rack1..4n1..8,x", "rack[1-4]n[1-8],x"),
];

#[test]
fn folds_as_clustershell_does() {
    for (text, folded) in FOLDS {
        assert_eq!(set(text).to_string(), *folded, "{text}");
        assert_eq!(set(text), set(text).iter().collect(), "{text}");
    }
}

#[test]
fn names_come_in_order() {
    for (text, listed) in [
        ("b2,a10,a9,c", "a9 a10 b2 c"),
        ("n10,n9,n010,n09", "n9 n09 n10 n010"),
        ("n[-2-3]", "n-2 n-1 n0 n1 n2 n3"),
        ("da[1-2]c[0-1]", "da1c0 da1c1 da2c0 da2c1"),
        ("x1y1,x2y2,x1y2", "x1y1 x1y2 x2y2"),
        ("n%s[1-2],n%%", "n%% n%s1 n%s2"),
    ] {
        let names: Vec<_> = set(text).iter().collect();
        assert_eq!(names.join(" "), listed);
    }
}

#[test]
fn axes_and_steps() {
    let fold = |text: &str, axes: Axes| {
        set(text).fold(&Style {
            axes,
            ..Style::default()
        })
    };
    assert_eq!(
        fold("a[1-3]b[1-2]", Axes::These(vec![0])),
        "a[1-3]b1,a[1-3]b2"
    );
    assert_eq!(
        fold("a[1-3]b[1-2]", Axes::FromEnd(1)),
        "a1b[1-2],a2b[1-2],a3b[1-2]"
    );
    assert_eq!(
        fold("a[1-3]b[1-2]", Axes::These(vec![2])),
        "a1b1,a2b1,a3b1,a1b2,a2b2,a3b2"
    );
    assert_eq!(fold("n[1-3]", Axes::These(vec![1])), "n1,n2,n3");
    let style = Style {
        autostep: Autostep::From(3),
        ..Style::default()
    };
    assert_eq!(set("a[1-5/2]b[1-5/2]").fold(&style), "a[1-5/2]b[1-5/2]");
}

#[test]
fn parts() {
    let texts = |sets: &mut dyn Iterator<Item = NodeSet>| {
        sets.map(|set| set.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        texts(&mut set("n[1-5]").split(3)),
        ["n[1-2]", "n[3-4]", "n5"]
    );
    assert_eq!(texts(&mut set("n[1-2]").split(9)), ["n1", "n2"]);
    assert_eq!(texts(&mut set("n[1-2]").split(0)), [""; 0]);
    assert_eq!(
        texts(&mut set("n[1-5,7-9,12],m1,x1y1").contiguous(Autostep::Off)),
        ["m1", "n[1-5]", "n[7-9]", "n12", "x1y1"]
    );
    assert_eq!(
        texts(&mut set("a[1-2,4]b[1-2,5]").contiguous(Autostep::Off)),
        ["a[1-2]b[1-2]", "a[1-2]b5", "a4b[1-2]", "a4b5"]
    );
    let slice = |text: &str, positions: &str| {
        set(text)
            .slice(&RangeSet::parse(positions).unwrap())
            .to_string()
    };
    assert_eq!(slice("n[1-5]", "0-10/2"), "n[1,3,5]");
    assert_eq!(slice("n[1-5],a1,b1", "0,3"), "a1,n2");
    for (positions, nodes) in [
        ("-1", ""),
        ("-2", "n4"),
        ("-5--2", "n[1-4]"),
        ("-3--1", ""),
        ("-2-1", ""),
        ("-5-1", "n[1-2]"),
        ("-6-3", "n[1-4]"),
        ("-2,1", "n[2,4]"),
        ("-6", ""),
        ("-3-10/2", "n[2-4]"),
        ("-10-100", "n[1-5]"),
    ] {
        assert_eq!(slice("n[1-5]", positions), nodes, "{positions}");
    }
    assert_eq!(set("a[1-3]b[1-2]").position("a2b1"), Some(2));
    assert_eq!(set("n[1-5]").position("n9"), None);
}

#[test]
fn a_billion_nodes_are_one_range() {
    let all = set("n[0-999999999]");
    assert_eq!(all.len(), 1_000_000_000);
    assert_eq!(all.iter().next().unwrap(), "n0");
    let mut square = set("a[0-999999999]b[0-999999999],a5b[7-1000000005]");
    square.difference(&set("a[1-999999998]b5"));
    assert_eq!(square.count(), 1_000_000_000_000_000_006 - 999_999_998);
    assert!(square.contains("a5b1000000005") && !square.contains("a7b5"));
    assert_eq!(
        square.to_string(),
        "a[1-4,6-999999998]b[0-4,6-999999999],a[0,999999999]b[0-999999999],a5b[0-4,6-1000000005]"
    );
    assert_eq!(set(&square.to_string()), square);
}

/// Groups for tests: two sources, of which `roles` is the default.
struct Fixture;

impl Groups for Fixture {
    fn map(&self, source: Option<&str>, group: &str) -> Result<String, GroupError> {
        Ok(match (source.unwrap_or("roles"), group) {
            ("roles", "adm") => "n0",
            ("roles", "io") => "@racks:r1 n2",
            ("roles", "compute") => "n[3-8]",
            ("roles", "a") => "@b",
            ("roles", "b") => "n1,@a",
            ("racks", "r1") => "n[0-1]",
            ("racks", "r2") => "n[2-4]",
            ("racks", "r3") => "n[5-8]",
            ("racks", "old") => "@r[1,3]",
            ("wild", "x") => "m*",
            ("wild", "y") => "@racks:r1,m?,zz*",
            ("roles" | "racks" | "wild", _) => "",
            (other, _) => return Err(GroupError::UnknownSource(other.into())),
        }
        .into())
    }

    fn all(&self, source: Option<&str>) -> Result<Option<String>, GroupError> {
        Ok(match source {
            None => Some("n[0-6] n[7-8]".into()),
            Some("wild") => Some("n* n1 m[2-3]x? m4".into()),
            Some(_) => None,
        })
    }

    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError> {
        let groups: &[&str] = if source == Some("racks") {
            &["r1", "r2", "r3", "old"]
        } else {
            &["adm", "io", "compute"]
        };
        Ok(groups.iter().map(ToString::to_string).collect())
    }

    fn reverse(&self, _: Option<&str>, _: &str) -> Result<Option<Vec<String>>, GroupError> {
        Ok(None)
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        Ok(vec!["roles".into(), "racks".into()])
    }
}

#[test]
fn groups_are_resolved() {
    let value = |text: &str| eval(&parse(text).unwrap(), &Fixture).map(|set| set.to_string());
    for (text, folded) in [
        ("@io", "n[0-2]"),
        ("@racks:old", "n[0-1,5-8]"),
        ("@racks:r[1,3]!@compute", "n[0-1]"),
        ("@racks:r1,@r2", "n[0-1]"),
        ("@*", "n[0-8]"),
        ("@racks:*&n[0-2]", "n[0-2]"),
        ("@@", "adm,compute,io"),
        ("@@racks!r1", "old,r[2-3]"),
        ("@nogroup", ""),
        ("@", ""),
        ("@:adm", "n0"),
        ("n*!n[2-4]", "n[0-1,5-8]"),
        ("n?!*[3-8]", "n[0-2]"),
        ("n[2-3]*", "n[2-3]"),
        ("zz*", ""),
        ("@racks:r*", ""),
        // In a definition wildcards are compared with all of its source, where they are text.
        ("@wild:*", "m4,m[2-3]x?,n1,n*"),
        ("@wild:x", "m4,m[2-3]x?"),
        ("@wild:y", "m4,n[0-1]"),
        ("@wild:x!m*", "m4,m[2-3]x?"),
    ] {
        assert_eq!(value(text).unwrap(), folded, "{text}");
    }
    for (text, message) in [
        ("@nosrc:x", "Unknown group source: \"nosrc\""),
        ("@a", "Parse error: groups name each other: @a -> @b -> @a"),
    ] {
        assert_eq!(value(text).unwrap_err().to_string(), message);
    }
}

/// An operation in place.
type Operation = fn(&mut NodeSet, &NodeSet);

/// Names that fold together in interesting ways, often enough.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "n[0-9]{1,2}",
        "n0?[0-9]",
        "a[1-4]b[1-4]",
        "a[1-3]b[1-3]c[1-3]",
        "r0?[1-3]n(9|10|11|09)",
        "[a-c%]",
    ]
}

fn many() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(name(), 0..40)
}

/// A default source whose nodes are `web1` and `web2`, all in the group `web`.
struct Web;

impl Groups for Web {
    fn map(&self, _: Option<&str>, group: &str) -> Result<String, GroupError> {
        Ok(if group == "web" { "web[1-2]" } else { "" }.to_owned())
    }
    fn all(&self, _: Option<&str>) -> Result<Option<String>, GroupError> {
        Ok(Some("web[1-2]".to_owned()))
    }
    fn list(&self, _: Option<&str>) -> Result<Vec<String>, GroupError> {
        Ok(vec!["web".to_owned()])
    }
    fn reverse(&self, _: Option<&str>, _: &str) -> Result<Option<Vec<String>>, GroupError> {
        Ok(None)
    }
    fn sources(&self) -> Result<Vec<String>, GroupError> {
        Ok(vec!["one".to_owned()])
    }
}

#[test]
fn patterns_that_leave_out_look_at_the_targets() {
    let targets = |text| {
        let found = eval_targets(&parse(text).unwrap(), &Web).unwrap();
        (found.nodes.to_string(), found.idle.join(" "))
    };
    let left = |nodes: &str, idle: &str| (nodes.to_owned(), idle.to_owned());
    assert_eq!(targets("web1,new7!new*"), left("web1", ""));
    assert_eq!(targets("web1,new7&new*"), left("new7", ""));
    assert_eq!(targets("w*,new7"), left("new7,web[1-2]", ""));
    assert_eq!(
        targets("web1!new*!db[1-2]!@one:web!@none"),
        left("", "new* db[1-2] @none")
    );
    // ClusterShell compares with all nodes of the default source.
    let expr = parse("web1,new7!new*").unwrap();
    assert_eq!(eval(&expr, &Web).unwrap().to_string(), "new7,web1");

    let excluded = |text| {
        let found = eval_exclusion(&parse(text).unwrap(), &Web, &set("web[1-3],new7")).unwrap();
        (found.nodes.to_string(), found.idle.join(" "))
    };
    assert_eq!(excluded("new*"), left("new7", ""));
    assert_eq!(excluded("w*!web1"), left("web[2-3]", ""));
    assert_eq!(
        excluded("web[3-9],web9,db*,@none,@*"),
        left("web[1-9]", "web9 db* @none")
    );
    assert_eq!(excluded("db1!web1"), left("db1", "db1!web1"));
}

#[test]
fn names_that_are_looked_at_one_by_one_are_counted_first() {
    for text in ["@g[1-999999999]", "@one:g[1-2000]h[1-2000]"] {
        let error = eval(&parse(text).unwrap(), &Web).unwrap_err();
        assert!(
            matches!(
                error,
                EvalError::TooMany {
                    most: 1_000_000,
                    ..
                }
            ),
            "{error}"
        );
    }
    let many = set("a[1-1000]b[1-1000]c[1-1000]d[1-1000]");
    let error = eval_exclusion(&parse("a*").unwrap(), &NoGroups, &many).unwrap_err();
    assert_eq!(
        error.to_string(),
        "1000000000000 nodes are to be compared with a pattern, and at most 10000000 can be looked at"
    );
}

proptest! {
    #[test]
    fn disjoint_sets_have_no_node_in_common(a in many(), b in many(), few in 0usize..4) {
        let (a, b) = (a.iter().take(few).collect::<NodeSet>(), b.iter().collect::<NodeSet>());
        let mut common = a.clone();
        common.intersection(&b);
        prop_assert_eq!(a.is_disjoint(&b), common.is_empty());
        prop_assert_eq!(b.is_disjoint(&a), common.is_empty());
    }

    #[test]
    fn folding_and_parsing_is_the_identity(names in many()) {
        let original: NodeSet = names.iter().collect();
        let back = set(&original.to_string());
        prop_assert_eq!(&back, &original);
        let style = Style { autostep: Autostep::From(3), ..Style::default() };
        prop_assert_eq!(set(&original.fold(&style)), original);
    }

    #[test]
    fn the_algebra_is_that_of_plain_sets(left in many(), right in many(), probe in name()) {
        let (a, b): (NodeSet, NodeSet) = (left.iter().collect(), right.iter().collect());
        let (model_a, model_b): (BTreeSet<String>, BTreeSet<String>) =
            (left.into_iter().collect(), right.into_iter().collect());
        prop_assert_eq!(&names(&a), &model_a);
        prop_assert_eq!(a.len(), model_a.len());
        prop_assert_eq!(a.contains(&probe), model_a.contains(&probe));
        prop_assert_eq!(a == b, model_a == model_b);
        let operations: [(Operation, BTreeSet<String>); 4] = [
            (NodeSet::union, &model_a | &model_b),
            (NodeSet::difference, &model_a - &model_b),
            (NodeSet::intersection, &model_a & &model_b),
            (NodeSet::symmetric_difference, &model_a ^ &model_b),
        ];
        for (operation, model) in operations {
            let mut value = a.clone();
            operation(&mut value, &b);
            prop_assert_eq!(names(&value), model.clone());
            // The form in memory does not depend on the way there, and neither does the text.
            prop_assert_eq!(&value, &model.iter().collect::<NodeSet>());
        }
        let mut inserted = a.clone();
        inserted.insert(&probe);
        prop_assert!(inserted.contains(&probe) && inserted.is_superset(&a));
    }

    #[test]
    fn operations_may_be_made_late(
        list in prop::collection::vec((0usize..5, many()), 0..30),
        probe in many(),
    ) {
        let probe: NodeSet = probe.iter().collect();
        let (mut late, mut value) = (Builder::new(), NodeSet::new());
        for (operation, names) in list {
            let other: NodeSet = names.iter().collect();
            match operation {
                0 => {
                    names.iter().for_each(|name| late.add(name));
                    value.union(&other);
                }
                1 => {
                    late.add_set(&other);
                    value.union(&other);
                }
                2 => {
                    late.difference(&other);
                    value.difference(&other);
                }
                3 => {
                    late.symmetric_difference(&other);
                    value.symmetric_difference(&other);
                }
                _ => {
                    let kept = &other | &probe;
                    late.intersection(&kept);
                    value.intersection(&kept);
                }
            }
            prop_assert_eq!(late.is_disjoint(&probe), value.is_disjoint(&probe));
        }
        prop_assert_eq!(late.value(), &value);
        prop_assert_eq!(late.finish(), value);
    }

    #[test]
    fn parts_make_up_the_whole(list in many(), parts in 1usize..9) {
        let whole: NodeSet = list.iter().collect();
        let in_order: Vec<String> = whole.iter().collect();
        let split: Vec<NodeSet> = whole.split(parts).collect();
        let sizes: Vec<usize> = split.iter().map(NodeSet::len).collect();
        prop_assert!(sizes.is_sorted_by(|a, b| a >= b && a - b <= 1));
        prop_assert_eq!(sizes.iter().sum::<usize>(), whole.len());
        let mut union = NodeSet::new();
        for part in whole.contiguous(Autostep::Off) {
            prop_assert!(!part.is_empty());
            union.union(&part);
        }
        prop_assert_eq!(&union, &whole);
        for (position, name) in in_order.iter().enumerate() {
            prop_assert_eq!(whole.position(name), Some(position as u128));
            let one = whole.slice(&RangeSet::parse(&position.to_string()).unwrap());
            prop_assert_eq!(&one.to_string(), name);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[n0-9,!&^@*?:\\[\\]/ .%-]{0,24}") {
        if let Some(value) = parse(&text).ok().and_then(|expr| eval(&expr, &NoGroups).ok()) {
            prop_assert_eq!(value.iter().take(10_000).count(), value.len().min(10_000));
        }
    }
}

#[test]
fn behind_an_address_in_brackets_stands_a_port_or_nothing() {
    for text in ["[fe80::1]1..8", "[::1]x", "root@[::1]1", "ssh://[::1][1-2]"] {
        assert!(parse(text).is_err(), "{text}");
    }
}
