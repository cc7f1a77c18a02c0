//! `raw`: HAProxy has no exit status, so what it says is judged.

use super::{expect, on, seen};
use crate::lab::Lab;

#[test]
fn what_haproxy_refused_is_a_failure() {
    let Some(lab) = Lab::up(2) else { return };
    for (command, words) in [
        (
            "set server nosuch/x state maint",
            "HAProxy refused: No such backend.",
        ),
        (
            "set server ldap/x state maint",
            "HAProxy refused: No such server.",
        ),
        ("set server ldap/ldap-svc1 weight x", "HAProxy refused: "),
        (
            "show info;set server nosuch/x state maint",
            "HAProxy refused: No such backend.",
        ),
        ("shutdown session 0x1", "HAProxy refused: No such session"),
    ] {
        let ran = on(&lab, "lb[1-2]", &["--yes", "raw", command]).run();
        expect(&ran, 1, &[words]);
    }
    for command in ["show servers state nosuch", "get weight ldap/nosuch"] {
        expect(
            &on(&lab, "lb1", &["raw", command]).run(),
            1,
            &["HAProxy refused: "],
        );
    }
    let several = on(
        &lab,
        "lb1",
        &["--yes", "raw", "show info;set server nosuch/x state maint"],
    )
    .run();
    assert!(
        several.stdout.contains("lb1: Name: HAProxy"),
        "what else it says is shown: {several}"
    );
}

#[test]
fn what_haproxy_did_is_none() {
    let Some(lab) = Lab::up(1) else { return };
    for command in [
        "set server ldap/ldap-svc1 state maint",
        "set server ldap/ldap-svc1 state ready;set server ldap/ldap-svc2 weight 3",
        "set server ldap/ldap-svc1 addr 127.0.0.1 port 9",
        "disable frontend fe_ldap",
        "clear counters",
    ] {
        expect(&on(&lab, "lb1", &["--yes", "raw", command]).run(), 0, &[]);
    }
    assert_eq!(seen(&lab, "lb1", "ldap/ldap-svc2"), (0, 3));
    expect(
        &on(&lab, "lb1", &["raw", "show info;show version"]).run(),
        0,
        &[],
    );
}
