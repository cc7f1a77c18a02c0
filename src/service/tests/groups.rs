//! What groups do with their members.

use std::collections::HashSet;

use super::*;

#[test]
fn groups_hold_their_members_back_and_speak_for_them_when_they_cannot_run() {
    let mut builder = Builder::default();
    let net = builder.start("net");
    let group = builder.group(None, "g");
    let x = builder.service(Some(group), "x", &[("start", Target::Local)]);
    let y = builder.service(Some(group), "y", &[("start", Target::Local)]);
    builder.link(y, Word::Weak, x);
    builder.link(group, Word::Require, net);
    let after = builder.start("after");
    builder.link(after, Word::Require, group);
    let graph = builder.graph();
    let (told, _) = run(&graph, &forward("start"), &[]);
    assert_eq!(
        told.names(),
        ["net.start", "g.x.start", "g.y.start", "after.start"]
    );
    let (told, verdict) = run(&graph, &forward("start"), &[("net.start", &[])]);
    let expected = [
        ("net", Status::Error),
        ("g", Status::DepError),
        ("after", Status::DepError),
    ];
    assert_eq!(lines(&told), expected, "the members say nothing");
    assert_eq!(verdict, Status::DepError);
    let (told, verdict) = run(&graph, &forward("start"), &[("g.x.start", &[])]);
    assert_eq!(
        told.all["g"],
        Status::Done,
        "a failure that only weak links follow is hidden"
    );
    assert_eq!(verdict, Status::Done);
}

#[test]
fn one_member_of_a_group_waits_for_what_the_group_waits_for() {
    let mut builder = Builder::default();
    let net = builder.start("net");
    let group = builder.group(None, "g");
    let x = builder.service(Some(group), "x", &[("start", Target::Local)]);
    builder.service(Some(group), "y", &[("start", Target::Local)]);
    builder.link(group, Word::Require, net);
    let site = builder.start("site");
    builder.link(site, Word::Require, x);
    let request = Request {
        services: vec![site],
        ..forward("start")
    };
    let (told, _) = run(&builder.graph(), &request, &[]);
    assert_eq!(told.names(), ["net.start", "g.x.start", "site.start"]);
    assert_eq!(told.all.get("g"), None, "the group itself does not run");
    let (told, _) = run(&builder.graph(), &request, &[("net.start", &[])]);
    let expected = [
        ("net", Status::Error),
        ("g.x", Status::DepError),
        ("site", Status::DepError),
    ];
    assert_eq!(lines(&told), expected);
}

#[test]
fn a_group_whose_leaves_lack_the_action_has_the_worst_of_those_that_ran() {
    let mut builder = Builder::default();
    let group = builder.group(None, "g");
    let x = builder.service(Some(group), "x", &[("start", Target::Local)]);
    let y = builder.service(Some(group), "y", &[]);
    builder.link(y, Word::Require, x);
    let (told, verdict) = run(&builder.graph(), &forward("start"), &[("g.x.start", &[])]);
    let expected = [("g.x", Status::Error), ("g", Status::DepError)];
    assert_eq!(lines(&told), expected);
    assert_eq!(verdict, Status::DepError);
}

#[test]
fn a_group_with_empty_targets_only_is_skipped_as_one() {
    let mut builder = Builder::default();
    let group = builder.group(None, "g");
    builder.service(Some(group), "x", &[("start", on(&[]))]);
    builder.service(Some(group), "y", &[("start", on(&[]))]);
    let graph = builder.graph();
    assert_eq!(
        lines(&run(&graph, &forward("start"), &[]).0),
        [],
        "nothing but empty targets in the whole run"
    );
    builder.start("other");
    let (told, _) = run(&builder.graph(), &forward("start"), &[]);
    assert_eq!(
        lines(&told).into_iter().collect::<HashSet<_>>(),
        HashSet::from([("g", Status::Skipped), ("other", Status::Done)])
    );
}
