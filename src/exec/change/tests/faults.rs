//! Changes in the midst of which something goes wrong, or somebody asks to stop.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_balancer_that_cannot_be_reached_lets_nothing_begin() {
    let pair = Pair::new();
    pair.with("lb2", |one, _| one.reachable = false);
    let ran = run(&pair, order(MAINT, Goal::Set, &["http/http-svc1"])).await;
    assert_eq!(
        (ran.code(0), ran.code(1)),
        (Some(ErrorCode::NotBegun), Some(ErrorCode::Refused))
    );
    assert!(pair.writes("lb1").is_empty() && ran.ledger.entries.is_empty());
    let mut partial = order(MAINT, Goal::Set, &["http/http-svc1"]);
    partial.partial_ok = true;
    let ran = run(&pair, partial).await;
    assert_eq!((ran.code(0), ran.code(1)), (None, Some(ErrorCode::Refused)));
    assert_eq!(pair.words("lb1", "http/http-svc1"), "STOPPED/MAINT");
}

#[tokio::test(start_paused = true)]
async fn a_socket_of_low_level_is_named() {
    let pair = Pair::new();
    pair.with("lb1", |one, _| one.level = Level::User);
    let ran = run(&pair, order(MAINT, Goal::Set, &["http/http-svc1"])).await;
    assert_eq!(
        (ran.code(0), ran.code(1)),
        (Some(ErrorCode::Permission), Some(ErrorCode::NotBegun))
    );
    assert_eq!(
        ran.message(0),
        "the socket /run/haproxy/admin.sock is read-only (level user); a change needs one of level admin"
    );
}

#[tokio::test(start_paused = true)]
async fn a_selector_without_a_match_is_an_error_of_the_node() {
    let pair = Pair::new();
    let ran = run(
        &pair,
        order(MAINT, Goal::Set, &["http/http-svc1", "nobody"]),
    )
    .await;
    assert_eq!(
        (ran.code(0), ran.code(1)),
        (Some(ErrorCode::Select), Some(ErrorCode::Select))
    );
    assert_eq!(ran.message(0), "no server here matches `nobody`");
    let mut may_miss = order(MAINT, Goal::Set, &["nobody"]);
    may_miss.may_miss = true;
    let ran = run(&pair, may_miss).await;
    assert_eq!((ran.code(0), ran.done.matched), (None, false));
}

/// A reload between the write and the reading back: the new worker has forgotten it, so it is written again.
#[tokio::test(start_paused = true)]
async fn a_reload_in_between_is_noticed() {
    let pair = Pair::new();
    // The first line is the reading, the second the write.
    pair.with("lb1", |one, _| one.reload_after = Some(1));
    let ran = run(&pair, order(MAINT, Goal::Set, &["http/http-svc1"])).await;
    assert_eq!(
        (ran.code(0), ran.code(1)),
        (None, None),
        "{}",
        ran.message(0)
    );
    assert_eq!(pair.words("lb1", "http/http-svc1"), "STOPPED/MAINT");
    assert_eq!(pair.writes("lb1").len(), 2);
    let nodes = nodes("lb1");
    assert_eq!(ran.notes, [Note::Reloaded { nodes }]);
}

/// Accepted is not done: only what is read back counts. The first node goes first, so the second is spared.
#[tokio::test(start_paused = true)]
async fn an_accepted_change_that_did_nothing_is_a_failure() {
    let pair = Pair::new();
    pair.with("lb1", |one, _| one.deaf_to = Some("state maint"));
    let ran = run(&pair, order(MAINT, Goal::Set, &["http/http-svc1"])).await;
    assert_eq!(
        (ran.code(0), ran.code(1)),
        (Some(ErrorCode::Verify), Some(ErrorCode::NotBegun))
    );
    assert_eq!(
        ran.message(1),
        "not begun, because lb1 went first and failed"
    );
    assert!(pair.writes("lb2").is_empty());
}

#[tokio::test(start_paused = true)]
async fn half_a_change_is_taken_back_when_asked() {
    for rollback in [false, true] {
        let pair = Pair::new();
        pair.with("lb2", |one, _| one.deaf_to = Some("state maint"));
        let mut both = order(MAINT, Goal::Set, &["http/http-svc1"]);
        both.rollback = rollback;
        let ran = run(&pair, both).await;
        assert_eq!(ran.code(1), Some(ErrorCode::Verify));
        if rollback {
            assert_eq!(ran.message(0), "taken back, because it failed elsewhere");
            assert_eq!(pair.words("lb1", "http/http-svc1"), "RUNNING/READY");
            assert_eq!(ran.verdicts("lb1"), ["restored"]);
        } else {
            assert_eq!(ran.code(0), None);
            assert_eq!(pair.words("lb1", "http/http-svc1"), "STOPPED/MAINT");
            assert_eq!(ran.notes, [way_back("lb1")]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn balancers_that_disagree_are_told_and_made_equal() {
    let pair = Pair::new();
    pair.answer("lb2", "set server http/http-svc1 state maint");
    let ran = run(&pair, order(MAINT, Goal::Set, &["http/http-svc1"])).await;
    assert_eq!((ran.code(0), ran.code(1)), (None, None));
    let row = |node: &str, row: &str| (nodes(node), row.to_owned());
    let disagree = Note::Disagree {
        rows: vec![
            row("lb1", "http/http-svc1: RUNNING/READY, weight 1"),
            row("lb2", "http/http-svc1: STOPPED/MAINT, weight 1"),
        ],
        more: 0,
    };
    assert_eq!(ran.notes, [disagree]);
    assert!(ran.text(1).ends_with("unchanged\n"));
}

/// Not every node has every instance: what one of them has alone is no disagreement.
#[tokio::test(start_paused = true)]
async fn instances_of_some_nodes_are_no_disagreement() {
    let pair = Pair::new();
    let instance = |label: &str, node: &str| crate::work::haproxy::Instance {
        label: label.to_owned(),
        endpoint: Endpoint::Unix("/run/haproxy/admin.sock".to_owned()),
        backends: Vec::new(),
        nodes: Some(nodes(node)),
    };
    let mut order = order(MAINT, Goal::Set, &["ldap/ldap-svc1"]);
    order.sockets = Sockets::Each(vec![instance("a", "lb1"), instance("b", "lb2")]);
    let ran = run(&pair, order).await;
    assert_eq!(
        (ran.outcome(0), ran.outcome(1)),
        (&Outcome::OK, &Outcome::OK)
    );
    assert_eq!(ran.notes, []);
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_the_last_session() {
    let ldap = ServerName::parse("ldap/ldap-svc1").unwrap();
    let limit = Duration::from_secs(60);
    for (then, word) in [
        (Then::Stay, "RUNNING/DRAIN"),
        (Then::Disable, "STOPPED/MAINT"),
        (Then::Kill, "STOPPED/MAINT"),
    ] {
        let pair = Pair::new();
        let run = run(
            &pair,
            order(DRAIN, Goal::Idle(limit, then), &["ldap/ldap-svc1"]),
        )
        .await;
        assert_eq!(
            (run.code(0), run.code(1)),
            (None, None),
            "{}",
            run.message(0)
        );
        assert_eq!(pair.words("lb1", "ldap/ldap-svc1"), word);
    }
    for (then, code, word) in [
        (Then::Stay, Some(ErrorCode::Wait), "RUNNING/DRAIN"),
        (Then::Disable, Some(ErrorCode::Wait), "RUNNING/DRAIN"),
        (Then::Kill, None, "STOPPED/MAINT"),
    ] {
        let pair = Pair::new();
        pair.with("lb1", |one, _| one.haproxy.set_sessions(&ldap, 3));
        let ran = run(
            &pair,
            order(DRAIN, Goal::Idle(limit, then), &["ldap/ldap-svc1"]),
        )
        .await;
        assert_eq!((ran.code(0), ran.code(1)), (code, None));
        assert_eq!(pair.words("lb1", "ldap/ldap-svc1"), word);
        if code.is_some() {
            assert_eq!(
                ran.message(0),
                "ldap/ldap-svc1 has 3 sessions after 1m; ldap/ldap-svc1 is RUNNING/DRAIN"
            );
        }
        let is_waiting = |note: &&Note| matches!(note, Note::Waiting { .. });
        let waiting: Vec<&Note> = ran.notes.iter().filter(is_waiting).collect();
        let expected = Note::Waiting {
            what: "lb1: ldap/ldap-svc1 has 3 sessions; 55s left".to_owned(),
        };
        assert_eq!(waiting, [&expected], "once a change");
    }
}

/// A DOWN server counts as drained when nobody is on it.
#[tokio::test(start_paused = true)]
async fn a_dead_server_drains_too() {
    let pair = Pair::new();
    pair.origin("ldap-svc1", Condition::Refused);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let goal = Goal::Idle(Duration::from_secs(60), Then::Stay);
    let ran = run(&pair, order(DRAIN, goal, &["ldap/ldap-svc1"])).await;
    assert_eq!((ran.code(0), ran.code(1)), (None, None));
    assert_eq!(pair.words("lb1", "ldap/ldap-svc1"), "STOPPED/DRAIN");
}

/// The first Ctrl-C finishes the pair in hand; a wait ends, and what was made stays made.
#[tokio::test(start_paused = true)]
async fn ctrl_c_leaves_no_half_pair() {
    let pair = Pair::new();
    let ldap = ServerName::parse("ldap/ldap-svc1").unwrap();
    for name in ["lb1", "lb2"] {
        pair.with(name, |one, _| one.haproxy.set_sessions(&ldap, 3));
    }
    let (sender, stops) = mpsc::channel(8);
    let goal = Goal::Idle(Duration::from_secs(600), Then::Stay);
    let interrupt = async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        sender.send(Stop::Terminate).await.unwrap();
        std::future::pending::<()>().await;
    };
    let ran = tokio::select! {
        ran = run_with(&pair, order(DRAIN, goal, &["ldap/ldap-svc1"]), stops, Kept::default()) => ran,
        () = interrupt => unreachable!(),
    };
    assert_eq!(
        (ran.code(0), ran.code(1)),
        (Some(ErrorCode::Stopped), Some(ErrorCode::Stopped))
    );
    assert_eq!(
        ran.message(0),
        "stopped while waiting: ldap/ldap-svc1 has 3 sessions; ldap/ldap-svc1 is RUNNING/DRAIN"
    );
    assert_eq!(pair.words("lb2", "ldap/ldap-svc1"), "RUNNING/DRAIN");
    assert_eq!(ran.verdicts("lb1"), ["done"]);
}

/// Ctrl-C at the first write of the first node: the other half of the pair is made as well.
#[tokio::test(start_paused = true)]
async fn ctrl_c_finishes_the_pair_in_hand() {
    let pair = Pair::new();
    let (sender, stops) = mpsc::channel(8);
    pair.with("lb1", |one, _| one.interrupt = Some(sender.clone()));
    let ran = run_with(
        &pair,
        order(MAINT, Goal::Set, &["puppet-i0-svc1"]),
        stops,
        Kept::default(),
    )
    .await;
    assert_eq!((ran.code(0), ran.code(1)), (None, None));
    assert_eq!((pair.writes("lb1").len(), pair.writes("lb2").len()), (6, 6));
    assert!(matches!(
        ran.done.summary.ending,
        Some(crate::event::Ending::Stopped)
    ));
}

#[tokio::test(start_paused = true)]
async fn no_ledger_no_change_where_it_is_required() {
    let pair = Pair::new();
    for (required, code) in [(true, Some(ErrorCode::Guard)), (false, None)] {
        let (_sender, stops) = mpsc::channel(8);
        let full = Kept {
            required,
            full: true,
            ..Kept::default()
        };
        let order = order(MAINT, Goal::Set, &["http/http-svc1"]);
        let ran = run_with(&pair, order, stops, full).await;
        assert_eq!(ran.code(0), code, "{}", ran.message(0));
        assert_eq!(pair.writes("lb1").is_empty(), code.is_some());
        assert_eq!(ran.notes.is_empty(), code.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn weights_are_set_and_read_back() {
    let pair = Pair::new();
    let ran = run(
        &pair,
        order(Wanted::Weight(Weight::Percent(700)), Goal::Set, &["ldap/*"]),
    )
    .await;
    assert_eq!((ran.code(0), ran.code(1)), (None, None));
    assert_eq!(
        ran.text(0),
        "ldap/ldap-svc1: weight 1 -> weight 7\nldap/ldap-svc2: weight 1 -> weight 7\n"
    );
    assert_eq!(
        pair.writes("lb1"),
        [
            "set server ldap/ldap-svc1 weight 700%",
            "set server ldap/ldap-svc2 weight 700%"
        ]
    );
}
