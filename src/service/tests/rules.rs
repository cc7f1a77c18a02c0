//! One rule at a time.

use super::*;

#[test]
fn a_chain_stops_where_something_required_failed() {
    let mut builder = Builder::default();
    let [a, b, c] = ["a", "b", "c"].map(|name| builder.start(name));
    builder.link(b, Word::Require, a);
    builder.link(c, Word::Require, b);
    let (told, verdict) = run(&builder.graph(), &forward("start"), &[("a.start", &[])]);
    let expected = [
        ("a", Status::Error),
        ("b", Status::DepError),
        ("c", Status::DepError),
    ];
    assert_eq!(lines(&told), expected);
    assert_eq!(verdict, Status::DepError);
}

#[test]
fn a_service_without_the_action_is_a_hole_in_the_chain() {
    let mut builder = Builder::default();
    let a = builder.start("a");
    let b = builder.service(None, "b", &[("other", Target::Local)]);
    let c = builder.start("c");
    builder.link(b, Word::Require, a);
    builder.link(c, Word::Require, b);
    let (told, verdict) = run(&builder.graph(), &forward("start"), &[("a.start", &[])]);
    assert_eq!(lines(&told), [("a", Status::Error), ("c", Status::Done)]);
    assert_eq!(verdict, Status::Done);
}

#[test]
fn failed_nodes_add_up_along_strong_links_and_stop_at_weak_ones() {
    // spec section 8: power, net, os, soft, anyway
    let mut builder = Builder::default();
    builder.nodes(10);
    let all: Vec<u32> = (0..10).collect();
    let on_all = on(&all);
    let [power, net, os, soft, anyway] = ["power", "net", "os", "soft", "anyway"]
        .map(|name| builder.service(None, name, &[("boot", on_all.clone())]));
    builder.link(net, Word::Filter, power);
    builder.link(os, Word::Filter, net);
    builder.link(soft, Word::Require, os);
    builder.link(anyway, Word::Weak, soft);
    builder.actions[2].thresholds.errors = 1;
    let failing: [(&str, &[u32]); 3] = [
        ("power.boot", &[1, 2]),
        ("net.boot", &[5]),
        ("os.boot", &[9]),
    ];
    let (told, verdict) = run(&builder.graph(), &forward("boot"), &failing);
    let expected = [
        ("power.boot", on_all.clone()),
        ("net.boot", on(&[0, 3, 4, 5, 6, 7, 8, 9])),
        ("os.boot", on(&[0, 3, 4, 6, 7, 8, 9])),
        ("soft.boot", on(&[0, 3, 4, 6, 7, 8])),
        ("anyway.boot", on_all),
    ];
    let expected = expected.map(|(name, target)| (name.to_owned(), target));
    assert_eq!(told.ran, expected);
    assert_eq!(
        lines(&told)[2..],
        [
            ("os", Status::Warning),
            ("soft", Status::Done),
            ("anyway", Status::Done)
        ]
    );
    assert_eq!(verdict, Status::Warning);
}

#[test]
fn nothing_left_to_run_on_is_skipped_even_behind_a_failure() {
    let mut builder = Builder::default();
    builder.nodes(2);
    let ping = builder.service(None, "ping", &[("start", on(&[0, 1]))]);
    let mount = builder.service(None, "mount", &[("start", on(&[0, 1]))]);
    let tail = builder.start("tail");
    let emptied = builder.service(None, "emptied", &[("start", on(&[]))]);
    builder.link(mount, Word::Filter, ping);
    builder.link(tail, Word::Require, mount);
    builder.link(emptied, Word::Require, ping);
    let (told, _) = run(
        &builder.graph(),
        &forward("start"),
        &[("ping.start", &[0, 1])],
    );
    assert_eq!(told.all["mount"], Status::Skipped);
    assert_eq!(told.all["tail"], Status::Done);
    assert_eq!(told.all["emptied"], Status::Skipped);
}

#[test]
fn check_runs_status_forward_and_the_action_itself_backward() {
    let mut builder = Builder::default();
    let actions: Vec<_> = ["start", "stop", "status"]
        .map(|name| (name, Target::Local))
        .into();
    let [net, db, web] = ["net", "db", "web"].map(|name| builder.service(None, name, &actions));
    builder.link(db, Word::Require, net);
    builder.link(web, Word::Check, db);
    let graph = builder.graph();
    let (told, _) = run(&graph, &forward("start"), &[]);
    assert_eq!(told.names(), ["net.status", "db.status", "web.start"]);
    let request = Request {
        services: vec![db],
        ..Request::all("stop", Direction::Reverse)
    };
    let (told, _) = run(&graph, &request, &[]);
    assert_eq!(told.names(), ["web.stop", "db.stop"]);
}

#[test]
fn locked_services_are_cut_out_and_do_not_pull() {
    let mut builder = Builder::default();
    let [a, b, c] = ["a", "b", "c"].map(|name| builder.start(name));
    builder.link(b, Word::Require, a);
    builder.link(c, Word::Require, b);
    let graph = builder.graph();
    for (locked, ran) in [
        (vec![a], vec!["b.start", "c.start"]),
        (vec![b], vec!["c.start"]),
        (vec![a, b], vec!["c.start"]),
    ] {
        let request = Request {
            locked,
            ..forward("start")
        };
        assert_eq!(run(&graph, &request, &[]).0.names(), ran);
    }
    let request = Request {
        services: vec![b],
        no_dependencies: true,
        ..forward("start")
    };
    assert_eq!(run(&graph, &request, &[]).0.names(), ["b.start"]);
}

#[test]
fn tags_skip_but_still_pull() {
    let mut builder = Builder::default();
    let [a, b] = ["a", "b"].map(|name| builder.start(name));
    builder.services[a.index()].tags = Arc::new(["red".into()]);
    builder.link(b, Word::Require, a);
    let request = Request {
        tags: vec!["red".into()],
        ..forward("start")
    };
    let (told, _) = run(&builder.graph(), &request, &[]);
    assert_eq!(told.names(), ["a.start"]);
    assert_eq!(told.all["b"], Status::Skipped);
}

#[test]
fn loops_are_named_and_only_hurt_who_reaches_them() {
    let mut builder = Builder::default();
    let [a, b, c, free] = ["a", "b", "c", "free"].map(|name| builder.start(name));
    builder.link(a, Word::Require, b);
    builder.link(b, Word::Weak, a);
    builder.link(c, Word::Require, a);
    let graph = builder.graph();
    let expected = "Dependency loop: a -> b -> a";
    assert_eq!(graph.check().unwrap_err().message, expected);
    let all = Walk::new(&graph, &forward("start")).unwrap_err();
    assert_eq!(all.message, expected);
    let only = |id| Request {
        services: vec![id],
        ..forward("start")
    };
    assert_eq!(Walk::new(&graph, &only(c)).unwrap_err().message, expected);
    assert_eq!(run(&graph, &only(free), &[]).0.names(), ["free.start"]);
}

#[test]
fn a_member_that_needs_its_own_group_is_a_loop() {
    let mut builder = Builder::default();
    let group = builder.group(None, "g");
    let x = builder.service(Some(group), "x", &[]);
    builder.link(x, Word::Require, group);
    let message = builder.graph().check().unwrap_err().message;
    assert_eq!(message, "Dependency loop: g -> g.x -> g");
    let mut builder = Builder::default();
    let a = builder.start("a");
    builder.link(a, Word::Require, a);
    let message = builder.graph().check().unwrap_err().message;
    assert_eq!(message, "Dependency loop: a -> a");
}

#[test]
fn ten_thousand_in_a_row_and_a_hundred_thousand_arrows() {
    for direction in [Direction::Forward, Direction::Reverse] {
        let mut builder = Builder::default();
        let ids: Vec<_> = (0..10_000)
            .map(|at| builder.start(&format!("s{at}")))
            .collect();
        for (at, id) in ids.iter().enumerate().skip(1) {
            for back in 1..=10.min(at) {
                builder.link(*id, Word::Filter, ids[at - back]);
            }
        }
        let graph = builder.graph();
        let mut walk = Walk::new(&graph, &Request::all("start", direction)).unwrap();
        let told = drive(&mut walk, &graph, |_| None, |_| 0);
        assert_eq!(told.ran.len(), 10_000);
        let first = if direction == Direction::Forward {
            "s0.start"
        } else {
            "s9999.start"
        };
        assert_eq!(told.ran[0].0, first);
    }
}
