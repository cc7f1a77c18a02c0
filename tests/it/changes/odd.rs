//! Servers and sockets that are not as one thinks.

use std::time::{Duration, Instant};

use super::{THROUGH, column, deaf, expect, on, pass, seen};
use crate::lab::Lab;

#[test]
fn a_server_under_repair_is_not_drained() {
    let Some(lab) = Lab::up(1) else { return };
    lab.cli("lb1", "set server ldap/ldap-svc1 state maint");
    for words in [
        &["drain", "ldap/ldap-svc1"][..],
        &[
            "drain",
            "ldap/ldap-svc1",
            "--wait",
            "5s",
            "--then",
            "disable",
        ],
    ] {
        let ran = on(&lab, "lb1", words).run();
        expect(
            &ran,
            0,
            &["in maintenance already, which is further out, and left so: ldap/ldap-svc1; --force"],
        );
        assert!(
            ran.stdout
                .contains("ldap/ldap-svc1: STOPPED/MAINT, unchanged"),
            "{ran}"
        );
        assert_eq!(seen(&lab, "lb1", "ldap/ldap-svc1").0, 1);
    }
    expect(
        &on(&lab, "lb1", &["drain", "ldap/ldap-svc1", "--force"]).run(),
        0,
        &[],
    );
    assert_eq!(seen(&lab, "lb1", "ldap/ldap-svc1").0, 8);
}

#[test]
fn a_server_of_run_time_gets_its_check_with_enable() {
    let Some(lab) = Lab::up(1) else { return };
    let answer = lab.cli("lb1", "show servers state");
    let row = column(&answer, "http/http-svc1");
    let add = format!(
        "add server http/new {}:{} check inter 200ms",
        row[4], row[18]
    );
    assert!(lab.cli("lb1", &add).contains("New server registered"));
    let ran = on(&lab, "lb1", &["enable", "http/new"]).run();
    expect(
        &ran,
        0,
        &["the health checks of these are off and are turned on: http/new"],
    );
    let row = column(&lab.cli("lb1", "show servers state"), "http/new");
    assert_eq!(
        (&row[5][..], &row[6][..], &row[13][..]),
        ("2", "0", "6"),
        "{ran}"
    );
    // Without the wait nothing proves its health, which is said.
    let add = add.replace("http/new", "http/other");
    lab.cli("lb1", &add);
    let ran = on(&lab, "lb1", &["enable", "http/other", "--no-wait"]).run();
    expect(
        &ran,
        0,
        &["the health checks of these are off, so that nothing proves their health: http/other"],
    );
}

#[test]
fn the_masters_socket_is_named_at_once() {
    let Some(lab) = Lab::up(1) else { return };
    for words in [&["status"][..], &["disable", "ldap/ldap-svc1"]] {
        let begun = Instant::now();
        let ran = on(
            &lab,
            "lb1",
            &[&["--socket", "/run/haproxy/master.sock"], words].concat(),
        )
        .run();
        expect(
            &ran,
            1,
            &["/run/haproxy/master.sock is the socket of HAProxy's master, not a stats socket"],
        );
        assert!(begun.elapsed() < Duration::from_secs(5), "{ran}");
    }
}

#[test]
fn half_of_weight_1_is_weight_0() {
    let Some(lab) = Lab::up(2) else { return };
    let words = ["weight", "ldap/ldap-svc1", "50%"];
    let ran = on(&lab, "lb[1-2]", &words).run();
    expect(
        &ran,
        4,
        &["that is weight 0, which takes a server out, for ldap/ldap-svc1 (of 1)"],
    );
    assert_eq!(seen(&lab, "lb2", "ldap/ldap-svc1"), (0, 1));
    let last = on(&lab, "lb[1-2]", &["weight", "ldap/*", "50%"]).run();
    expect(
        &last,
        4,
        &["no usable server would be left in backend ldap"],
    );
    expect(
        &on(&lab, "lb[1-2]", &[&words[..], &["--force"]].concat()).run(),
        0,
        &[],
    );
    assert_eq!(seen(&lab, "lb2", "ldap/ldap-svc1"), (0, 0));
}

/// What HAProxy refuses changes nothing, so there is nothing to be forgotten or taken back.
#[test]
fn after_a_refusal_no_hint_is_untrue() {
    let Some(lab) = Lab::builder(1).extras().start() else {
        return;
    };
    let ran = on(&lab, "lb1", &["weight", "x_static/http-svc1", "5"]).run();
    expect(&ran, 1, &["Backend is using a static LB algorithm"]);
    assert!(
        ran.stdout
            .contains("x_static/http-svc1: weight 10, not changed"),
        "{ran}"
    );
    for hint in ["take it back", "forgets"] {
        assert!(!ran.stderr.contains(hint), "{ran}");
    }
    // Nothing is sent to what tracks and is ready.
    expect(
        &on(&lab, "lb1", &["disable", "http/http-svc1"]).run(),
        0,
        &[],
    );
    let ran = on(&lab, "lb1", &["enable", "x_track/http-svc1"]).run();
    expect(&ran, 1, &["it follows http/http-svc1"]);
    assert!(!ran.stderr.contains("accepted"), "{ran}");
    for words in [
        &["weight", "x_static/http-svc1", "100%"][..],
        &["enable", "http/http-svc1"],
    ] {
        let said = on(&lab, "lb1", words).run();
        let is_said = said
            .stderr
            .contains("HAProxy forgets this at its next reload");
        assert_eq!(is_said, !said.stdout.contains("unchanged"), "{said}");
    }
}

/// A hint can be pasted as it is: the name of the program, `-F`, the socket.
#[test]
fn the_way_back_is_a_command() {
    let Some(lab) = Lab::up(2) else { return };
    let (lb1, lb2) = (pass(&lab, "lb1"), deaf(&lab, "lb2"));
    let config = lab.ssh_config();
    let reach = ["-F", config.to_str().expect("a path"), "-w", "lb[1-2]"];
    let words = [&reach[..], &THROUGH, &["disable", "ldap/ldap-svc1"]].concat();
    // No ~/.ssh/config leads there.
    let ran = crate::lab::Hash::called("hapsh", &words).run();
    expect(&ran, 1, &["hapsh: to take it back: hapsh -F "]);
    assert_eq!(seen(&lab, "lb1", "ldap/ldap-svc1").0, 1);
    let mut hints = ran
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("hapsh: to take it back: hapsh "));
    let hint: Vec<&str> = hints.next().expect("a hint").split(' ').collect();
    assert!(
        hint.contains(&"--socket") && hint.contains(&"undo"),
        "{ran}"
    );
    drop((lb1, lb2));
    let (_lb1, _lb2) = (pass(&lab, "lb1"), pass(&lab, "lb2"));
    let back = crate::lab::Hash::called("hapsh", &hint)
        .env("XDG_STATE_HOME", ran.home.path().join("state"));
    expect(&back.run(), 0, &[]);
    assert_eq!(seen(&lab, "lb1", "ldap/ldap-svc1"), (0, 1));
}
