//! Reloads, frozen workers, other operators and signals between any two steps.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{
    Going, THROUGH, client, column, counting, deaf, expect, is_reading, is_write, ledger, on, once,
    pass, rows, seen,
};
use crate::lab::{Act, Lab, Moment, until};

const MAINT: (u32, u32) = (1, 1);
const READY: (u32, u32) = (0, 1);

/// A client holds lb2; lb1 reached maintenance long ago and is reloaded before the end.
#[test]
fn what_a_reload_forgot_before_the_end_is_made_again() {
    let Some(lab) = Lab::up(2) else { return };
    let (stream, server) = client(&lab, "lb2");
    let drain = ["drain", &server, "--wait", "40s", "--then", "disable"];
    let going = Going::start(on(&lab, "lb[1-2]", &drain));
    until("lb1 is in maintenance", None, || {
        seen(&lab, "lb1", &server) == MAINT
    });
    lab.reload("lb1");
    assert_eq!(seen(&lab, "lb1", &server), READY, "forgotten");
    drop(stream);
    let (output, _home) = going.end();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(
        stderr.contains("lb1: HAProxy was reloaded in between"),
        "{stderr}"
    );
    for node in ["lb1", "lb2"] {
        assert_eq!(seen(&lab, node, &server), MAINT, "{node}");
    }
}

/// The same for a weight, with the reload over and with the reload under way while the old worker still answers.
#[test]
fn a_weight_is_proved_at_the_end_too() {
    let Some(lab) = Lab::up(2) else { return };
    for (weight, is_waited_for) in [("5", true), ("7", false)] {
        let first = lab.control("lb1");
        let _lb1 = pass(&lab, "lb1");
        let _lb2 = once(
            &lab,
            "lb2",
            |moment, text| moment == Moment::Answered && is_write(text),
            move || {
                match is_waited_for {
                    true => first.reload(),
                    false => first.begin_reload(),
                }
                Act::Pass
            },
        );
        let words = [
            &THROUGH[..],
            &["-f", "1", "weight", "ldap/ldap-svc1", weight],
        ]
        .concat();
        let ran = on(&lab, "lb[1-2]", &words).run();
        expect(&ran, 0, &[]);
        until("the reload is over", None, || {
            lab.control("lb1").is_settled()
        });
        for node in ["lb1", "lb2"] {
            let seen = seen(&lab, node, "ldap/ldap-svc1");
            assert_eq!(
                seen,
                (0, weight.parse().expect("a number")),
                "{node}\n{ran}"
            );
        }
    }
}

#[test]
fn sessions_of_old_workers_are_waited_for() {
    let Some(lab) = Lab::up(1) else { return };
    let (stream, server) = client(&lab, "lb1");
    lab.reload("lb1");
    let drain = ["drain", &server, "--wait", "2s", "--then", "disable"];
    let ran = on(&lab, "lb1", &drain).run();
    expect(
        &ran,
        1,
        &[
            "1 session with old workers",
            "is RUNNING/DRAIN",
            "old workers still serve",
        ],
    );
    assert_eq!(seen(&lab, "lb1", &server).0, 8, "not in maintenance");
    // A master that is named must be there; one of the file is looked for and missed.
    let wrong = ["--master", "/run/haproxy/none.sock"];
    expect(
        &on(&lab, "lb1", &[&wrong[..], &drain].concat()).run(),
        1,
        &["no socket /run/haproxy/none.sock"],
    );
    let right = ["--master", "/run/haproxy/master.sock"];
    expect(
        &on(&lab, "lb1", &[&right[..], &drain].concat()).run(),
        1,
        &["with old workers"],
    );
    let unknown = on(&lab, "lb1", &["drain", &server, "--wait", "2s"]);
    let unknown = unknown
        .config("[haproxy]\nmaster = ['/run/haproxy/none.sock']\n")
        .run();
    expect(
        &unknown,
        0,
        &["sessions of old workers are not known", "--master"],
    );
    drop(stream);
    let ran = on(
        &lab,
        "lb1",
        &["drain", &server, "--wait", "15s", "--then", "disable"],
    )
    .run();
    expect(&ran, 0, &[]);
    assert_eq!(seen(&lab, "lb1", &server), MAINT);
}

/// lb2 says yes and does nothing, so lb1 gets back what it had; nothing shows the state of before that.
#[test]
fn after_a_rollback_the_last_state_is_shown_everywhere() {
    let Some(lab) = Lab::up(2) else { return };
    let (_lb1, _lb2) = (pass(&lab, "lb1"), deaf(&lab, "lb2"));
    let disable = ["disable", "ldap/ldap-svc1", "--rollback"];
    let ran = on(
        &lab,
        "lb[1-2]",
        &[&THROUGH[..], &["--json"], &disable].concat(),
    )
    .run();
    expect(&ran, 1, &[]);
    let told = rows(&ran.stdout);
    assert_eq!(told.len(), 2, "{ran}");
    for row in &told {
        assert_eq!(row["after"], "RUNNING/READY", "{ran}");
    }
    assert_eq!(told[0]["verdict"], "restored", "{ran}");
    let lines = ledger(ran.home.path());
    let result = lines
        .iter()
        .find(|line| line["kind"] == "result" && line["node"] == "lb1");
    let row = &result.expect("a result")["rows"][0];
    assert_eq!(
        (&row["after"], &row["verdict"]),
        (&"RUNNING/READY".into(), &"restored".into())
    );
    assert_eq!(seen(&lab, "lb1", "ldap/ldap-svc1"), READY);
    let ran = on(&lab, "lb[1-2]", &[&THROUGH[..], &disable].concat()).run();
    expect(
        &ran,
        1,
        &[
            "lb1: taken back, because it failed elsewhere",
            "accepted the change and did not make it",
        ],
    );
    assert!(
        ran.stdout
            .contains("lb1: ldap/ldap-svc1: RUNNING/READY, taken back"),
        "{ran}"
    );
    assert!(!ran.stdout.contains("MAINT"), "{ran}");
}

/// A worker is frozen for longer than an answer may take: the order waits in it, and is done later.
#[test]
fn an_order_that_was_not_answered_does_not_win_over_the_way_back() {
    let Some(lab) = Lab::up(3) else { return };
    let frozen = lab.control("lb2");
    let _lb1 = pass(&lab, "lb1");
    let _lb2 = once(
        &lab,
        "lb2",
        |moment, text| moment == Moment::Asked && is_write(text),
        move || {
            frozen.freeze(Duration::from_secs(11));
            Act::Pass
        },
    );
    let _lb3 = deaf(&lab, "lb3");
    let words = [&THROUGH[..], &["disable", "ldap/ldap-svc1", "--rollback"]].concat();
    let ran = on(&lab, "lb[1-3]", &words).run();
    assert!(matches!(ran.code, Some(1 | 3)), "{ran}");
    for node in ["lb1", "lb2", "lb3"] {
        assert_eq!(seen(&lab, node, "ldap/ldap-svc1"), READY, "{node}\n{ran}");
    }
    assert!(!ran.stderr.contains("COULD NOT BE TAKEN BACK"), "{ran}");
    assert!(
        ran.stdout
            .contains("lb[1-2]: ldap/ldap-svc1: RUNNING/READY, taken back"),
        "{ran}"
    );
}

/// `kill -9` in the middle: the audit log says what may have been begun, and `undo` takes it back.
#[test]
fn a_run_that_was_killed_can_be_taken_back() {
    let Some(lab) = Lab::up(2) else { return };
    let victim = std::sync::Arc::new(std::sync::Mutex::new(None::<Pid>));
    let killed = std::sync::Arc::clone(&victim);
    let _lb1 = pass(&lab, "lb1");
    let _lb2 = once(
        &lab,
        "lb2",
        |moment, text| moment == Moment::Answered && is_write(text),
        move || {
            let victim = killed.lock().expect("a pid").expect("started");
            kill_process(victim, Signal::KILL).expect("kill hash");
            Act::Pass
        },
    );
    let going = {
        let mut pid = victim.lock().expect("a pid");
        let going = Going::start(on(
            &lab,
            "lb[1-2]",
            &[&THROUGH[..], &["drain", "ldap/ldap-svc1"]].concat(),
        ));
        *pid = Some(Pid::from_child(&going.child));
        going
    };
    let (output, home) = going.end();
    assert_eq!(output.status.code(), None);
    assert_eq!(seen(&lab, "lb2", "ldap/ldap-svc1").0, 8);
    let lines = ledger(home.path());
    assert_eq!(lines.len(), 2);
    assert!(
        lines.iter().all(|line| line["kind"] == "intent"),
        "{lines:?}"
    );
    let state = home.path().join("state");
    let log = lab
        .hash(["log", "--verdict", "unfinished"])
        .env("XDG_STATE_HOME", &state)
        .run();
    expect(&log, 0, &[]);
    let told = "lb[1-2]: ldap/ldap-svc1: RUNNING/READY, to become drain, not known what came of it";
    assert!(log.stdout.contains(told), "{log}");
    let undo = lab.hash(["undo"]).env("XDG_STATE_HOME", &state);
    let socket = undo.run();
    expect(&socket, 0, &[]);
    for node in ["lb1", "lb2"] {
        assert_eq!(seen(&lab, node, "ldap/ldap-svc1"), READY, "{socket}");
    }
}

/// One reading for each node and round, however many rows there are; and no list is longer than a screen.
#[test]
fn many_rows_cost_one_reading_and_few_lines() {
    let Some(lab) = Lab::builder(2).wide(20, 10).start() else {
        return;
    };
    let (_lb1, readings) = counting(&lab, "lb1", is_reading);
    let _lb2 = deaf(&lab, "lb2");
    let orders: Vec<String> = (0..20)
        .map(|number| format!("set server wide{number}/s3 state drain"))
        .collect();
    lab.cli("lb2", &orders.join(";"));
    let words = [&THROUGH[..], &["disable", "wide*/s[0-8]", "--rollback"]].concat();
    let ran = on(&lab, "lb[1-2]", &words).run();
    expect(
        &ran,
        1,
        &["the nodes do not agree", "and on 10 more servers"],
    );
    assert!(ran.stderr.lines().count() <= 40, "{ran}");
    let count = readings.load(std::sync::atomic::Ordering::SeqCst);
    assert!(count <= 8, "{count} readings for 180 rows");
    let answer = lab.cli("lb1", "show servers state");
    for number in 0..20 {
        assert_eq!(
            column(&answer, &format!("wide{number}/s4"))[6],
            "0",
            "{ran}"
        );
    }
}

/// An agent that speaks for the server sets the weight back.
#[test]
fn what_an_agent_undoes_is_found() {
    let Some(lab) = Lab::up(1) else { return };
    let agent = std::net::TcpListener::bind("127.0.0.1:0").expect("an agent");
    let port = agent.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for asked in agent.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut { asked }, b"up ready 100%\n");
        }
    });
    let add = format!(
        "add server http/agent 127.0.0.1:{port} weight 10 agent-check agent-port {port} agent-inter 300ms"
    );
    for command in [
        &add[..],
        "enable agent http/agent",
        "set server http/agent state ready",
    ] {
        lab.cli("lb1", command);
    }
    let ran = on(&lab, "lb1", &["weight", "http/agent", "7"]).run();
    expect(
        &ran,
        1,
        &[
            "agents speak for servers of this change",
            "weight 10: its agent check, or another operator, set it so",
        ],
    );
    assert!(
        ran.stdout.contains("http/agent: weight 10, not changed"),
        "{ran}"
    );
}

/// The deadline and SIGTERM during the wait: a node in drain is not called done.
#[test]
fn a_wait_that_is_cut_short_says_what_is() {
    let Some(lab) = Lab::up(2) else { return };
    let (_stream, server) = client(&lab, "lb2");
    let drain = ["drain", &server, "--wait", "50s", "--then", "disable"];
    let is_open = |home: &std::path::Path| {
        let lines = ledger(home);
        let lb2 = lines
            .iter()
            .find(|line| line["kind"] == "result" && line["node"] == "lb2");
        let lb2 = lb2.expect("a result");
        lb2["verdict"] == "failed" && lb2["rows"][0]["after"] == "RUNNING/DRAIN"
    };
    let ran = on(
        &lab,
        "lb[1-2]",
        &[&["--deadline", "4s"][..], &drain].concat(),
    )
    .run();
    expect(&ran, 124, &[&format!("{server} is RUNNING/DRAIN")]);
    assert!(is_open(ran.home.path()), "{ran}");
    assert!(!ran.stderr.contains("was made and read back"), "{ran}");
    for node in ["lb1", "lb2"] {
        lab.cli(node, &format!("set server {server} state ready"));
    }
    let going = Going::start(on(&lab, "lb[1-2]", &drain));
    until("lb1 is in maintenance", None, || {
        seen(&lab, "lb1", &server) == MAINT
    });
    kill_process(Pid::from_child(&going.child), Signal::TERM).expect("terminate hash");
    let (output, home) = going.end();
    assert_eq!(output.status.code(), Some(143));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is RUNNING/DRAIN"));
    assert!(is_open(home.path()));
}

/// Another operator sets something else before the read-back.
#[test]
fn another_operator_is_named() {
    let Some(lab) = Lab::up(1) else { return };
    let other = lab.control("lb1");
    let _lb1 = once(
        &lab,
        "lb1",
        |moment, text| moment == Moment::Answered && is_write(text),
        move || {
            other.cli("set server ldap/ldap-svc1 weight 9");
            Act::Pass
        },
    );
    let words = [&THROUGH[..], &["weight", "ldap/ldap-svc1", "5"]].concat();
    let ran = on(&lab, "lb1", &words).run();
    expect(
        &ran,
        1,
        &["ldap/ldap-svc1 is weight 9: another operator set it so meanwhile"],
    );
}

/// Two nodes whose long answers stand still do not keep a third from its own.
#[test]
fn answers_that_stand_still_hold_nobody_up() {
    let Some(lab) = Lab::builder(3).wide(100, 20).start() else {
        return;
    };
    let stalling = |node| lab.proxy(node, |_, _, _| Act::Stall(300_000, Duration::from_secs(14)));
    let (_lb2, _lb3) = (stalling("lb2"), stalling("lb3"));
    let _lb1 = lab.proxy("lb1", |moment, _, _| {
        // Long enough for the others to have their turn.
        if moment == Moment::Asked {
            std::thread::sleep(Duration::from_secs(2));
        }
        Act::Pass
    });
    let ran = on(
        &lab,
        "lb[1-3]",
        &[&THROUGH[..], &["-N", "-L", "stat"]].concat(),
    )
    .run();
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("lb2: ") && ran.stderr.contains("lb3: ") && !ran.stderr.contains("lb1"),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.contains("wide99,s19,"), "lb1 has answered");
}
