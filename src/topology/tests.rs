//! Trees and mistakes, as ClusterShell sees them (transcripts of its `clush -d --topology`).

use super::*;
use crate::nodeset::NoGroups;

fn read(routes: &str) -> Result<Topology, String> {
    Topology::read("f", routes, "vm", &NoGroups).map_err(|error| error.to_string())
}

fn tree(routes: &str) -> Topology {
    read(&format!("[routes]\n{routes}")).unwrap()
}

fn ways(topology: &Topology, node: &str) -> String {
    topology.ways(node).join(" ")
}

#[test]
fn trees_are_drawn_as_the_original_draws_them() {
    for (routes, gateways, drawn) in [
        (
            "vm: gw[1-2]\ngw[1-2]: t[1-8]\n",
            2,
            "vm\n`- gw[1-2]\n   `- t[1-8]\n",
        ),
        (
            "vm: gw[1-3]\ngw[1-2]: t[1-4]\ngw3: t[5-8]\n",
            3,
            "vm\n|- gw[1-2]\n|  `- t[1-4]\n`- gw3\n   `- t[5-8]\n",
        ),
        (
            "vm: gw1,gw2\ngw1: sub1\nsub1: t[1-4]\ngw2: t[5-8]\n",
            3,
            "vm\n|- gw1\n|  `- sub1\n|     `- t[1-4]\n`- gw2\n   `- t[5-8]\n",
        ),
        (
            "gw1: t[1-4]\nvm: gw[1-2]\ngw2: t[5-8]\n",
            2,
            "vm\n|- gw1\n|  `- t[1-4]\n`- gw2\n   `- t[5-8]\n",
        ),
        (
            "gw[1-2]: t[1-4]\nvm: gw[1-3]\n",
            2,
            "vm\n|- gw[1-2]\n|  `- t[1-4]\n`- gw3\n",
        ),
        (
            "vm: a[1-2],b\na[1-2]: t[1-4]\n",
            2,
            "vm\n|- b\n`- a[1-2]\n   `- t[1-4]\n",
        ),
        (
            "vm: gw[1-2]\ngw1: s[1-2]\ngw2: u[1-2]\ns[1-2]: t[1-4]\nu1: v1,w[1-2],x1\n",
            5,
            "vm\n|- gw1\n|  `- s[1-2]\n|     `- t[1-4]\n`- gw2\n   |- u2\n   `- u1\n      `- v1,w[1-2],x1\n",
        ),
        ("vm,vm2: gw1\ngw1: t1\n", 1, "vm,vm2\n`- gw1\n   `- t1\n"),
        (
            "vm: gw[1-3]\ngw1: t[1-4]\nz: y\n",
            1,
            "vm\n|- gw[2-3]\n`- gw1\n   `- t[1-4]\n",
        ),
        (
            "vm: gw1,gw2\nVM: gw3\ngw1: T1\nGW2: t2\n",
            1,
            "vm\n|- gw2\n`- gw1\n   `- T1\n",
        ),
        ("vm: gw1\ngw1:\n", 0, "vm\n`- gw1\n"),
        (
            // The original counts gw2 twice.
            "vm: gw[1-3]\ngw[1-2]: a[1-2]\ngw[2-3]: t[1-4]\n",
            3,
            "vm\n|- gw[1-2]\n|  `- a[1-2]\n`- gw[2-3]\n   `- t[1-4]\n",
        ),
    ] {
        let topology = tree(routes);
        assert_eq!(topology.to_string(), drawn, "{routes}");
        assert_eq!(topology.gateways().len(), gateways, "{routes}");
    }
}

#[test]
fn mistakes_are_worded_as_the_original_words_them() {
    for (text, said) in [
        (
            "[routes]\nother: gw1\ngw1: t[1-4]\n",
            "\"vm\" is not a valid root node!",
        ),
        (
            "[routes]\nvm: gw1\ngw1: gw2\ngw2: gw1\n",
            "Loop detected! Cannot add route gw2 -> gw1",
        ),
        (
            "[routes]\nvm: gw[1-3]\ngw1: vm\n",
            "Loop detected! Cannot add route gw1 -> vm",
        ),
        (
            "[routes]\nvm: gw1,gw2\ngw1: t[1-4]\ngw2: t[4-6]\n",
            "Convergent path detected! Cannot add route gw2 -> t[4-6]",
        ),
        (
            "[routes]\nvm: gw[1-2]\ngw[1-3]: t[1-4]\n",
            "Convergent path detected! Cannot add route gw[1-3] -> t[1-4]",
        ),
        (
            "[routes]\ngw[1-2]: t[1-4]\nvm: gw1\n",
            "Convergent path detected! Cannot add route vm -> gw1",
        ),
        (
            "[routes]\nvm: gw[1-3]\ngw1: t[1-4],gw2\n",
            "Convergent path detected! Cannot add route gw1 -> gw2,t[1-4]",
        ),
        (
            "[routes]\nvm: vm,gw1\n",
            "Source and destination nodesets overlap",
        ),
        ("vm: gw1\n", "Invalid configuration file: f"),
        ("", "Invalid configuration file: f"),
        ("[foo]\nvm: gw1\n", "Invalid configuration file: f"),
        (
            "[routes]\nvm: gw1\nvm: gw2\n",
            "Invalid configuration file: f",
        ),
        ("[routes]\n", "No route found in topology definition!"),
        (
            "[routes]\nvm: gw1\ngw1: t[1-\n",
            "Parse error: missing bracket: \"t[1-\"",
        ),
    ] {
        assert_eq!(read(text).unwrap_err(), said, "{text}");
    }
}

#[test]
fn the_old_name_of_the_section_is_known() {
    let old = read("[Main]\nvm: gw1\ngw1: t1\n").unwrap();
    assert_eq!(ways(&old, "t1"), "gw1");
    let both = read("[Main]\nvm: gw1\n[routes]\nvm: gw2\ngw2: t1\n").unwrap();
    assert_eq!(ways(&both, "t1"), "gw2");
    let defaults = read("[DEFAULT]\nvm: gw1\n[routes]\ngw1: t1\n").unwrap();
    assert_eq!(ways(&defaults, "t1"), "gw1");
}

#[test]
fn nodes_next_to_the_root_and_strangers_are_reached_directly() {
    let topology = tree("vm: gw[1-2],d1\ngw[1-2]: s[1-2],u1\ns[1-2]: t[1-4]\nz1: y1\n");
    for (node, leading) in [
        ("t1", "gw1 gw2"),
        ("s1", "gw1 gw2"),
        ("u1", "gw1 gw2"),
        ("gw1", ""),
        ("d1", ""),
        ("y1", ""),
        ("x", ""),
        ("vm", ""),
    ] {
        assert_eq!(ways(&topology, node), leading, "{node}");
    }
    let below = Topology::new("gw1", topology.below("gw1")).unwrap();
    assert_eq!(ways(&below, "t1"), "s1 s2");
    assert_eq!(ways(&below, "u1"), "");
    assert_eq!(
        below.to_string(),
        "gw[1-2]\n|- u1\n`- s[1-2]\n   `- t[1-4]\n"
    );
}

#[test]
fn nodes_are_dealt_out_to_whom_has_fewest() {
    let topology = tree("vm: gw[1-2]\ngw[1-2]: t[1-8]\n");
    let mut loads = Loads::default();
    let mut failed = HashSet::new();
    let dealt: Vec<_> = (1..=4)
        .filter_map(|n| loads.pick(topology.ways(&format!("t{n}")), &failed))
        .collect();
    assert_eq!(dealt.join(" "), "gw1 gw2 gw1 gw2");
    failed.insert("gw1".into());
    assert_eq!(
        loads.pick(topology.ways("t5"), &failed).as_deref(),
        Some("gw2")
    );
    failed.insert("gw2".into());
    assert_eq!(loads.pick(topology.ways("t5"), &failed), None);
}

#[test]
fn gateways_know_those_below_them_and_not_those_beside() {
    let tree = tree("vm: gw[1-2]\ngw[1-2]: a,b,t0\na: low\nb: t1\nlow: t2\n");
    let below = |gateway: &str| {
        let levels = tree.gateways_below(gateway);
        levels.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(below("vm"), ["gw[1-2]", "a,b", "low"]);
    assert_eq!(below("gw1"), ["a,b", "low"]);
    assert_eq!(below("a"), ["low"]);
    assert!(below("low").is_empty() && below("t1").is_empty());
}
