//! What is said meanwhile and of failures: progress, reasons, the words of the milkcheck front.

use super::{client, expect, on, seen};
use crate::lab::{Hash, Lab, Ran, Terminal};

/// The wait shows what is left on each balancer and how long still, on a terminal at once and else once.
#[test]
fn a_wait_shows_what_is_left() {
    let Some(lab) = Lab::up(2) else { return };
    let (stream, server) = client(&lab, "lb1");
    let drain = ["drain", &server, "--wait", "8s"];
    let ran = on(&lab, "lb[1-2]", &drain).run();
    let told = format!("waiting: lb1: {server} has 1 session; ");
    expect(&ran, 1, &[&told]);
    assert_eq!(ran.stderr.matches("waiting: ").count(), 1, "{ran}");
    let mut terminal = Terminal::hash(
        on(&lab, "lb[1-2]", &["drain", &server, "--wait", "40s"]),
        "xterm",
    );
    terminal.until(&format!("lb1: {server} has 1 session; "));
    terminal.until("left");
    drop(stream);
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn the_words_of_what_reaches_a_socket_are_told() {
    let Some(lab) = Lab::up(1) else { return };
    for (via, words) in [
        (
            "command:socat - UNIX-CONNECT:/nonexistent/x",
            "No such file or directory",
        ),
        (
            "command:sh -c \"echo sudo: unknown user nosuch >&2; exit 1\" %s",
            "sudo: unknown user nosuch",
        ),
        ("command:nosuchprogram %s", "nosuchprogram"),
    ] {
        for verb in [&["status"][..], &["disable", "ldap/ldap-svc1"]] {
            let ran = on(&lab, "lb1", &[&["--via", via], verb].concat()).run();
            expect(&ran, 1, &[words]);
            assert!(!ran.stderr.contains("overloaded"), "{ran}");
        }
    }
    assert_eq!(seen(&lab, "lb1", "ldap/ldap-svc1").0, 0);
}

#[test]
fn the_words_of_sudo_are_told() {
    let sudoers = "nobody ALL=(ALL) NOPASSWD: ALL";
    let Some(lab) = Lab::builder(1)
        .unprivileged("lb1")
        .sudo("lb1", sudoers)
        .start()
    else {
        return;
    };
    for verb in [&["status"][..], &["disable", "ldap/ldap-svc1"]] {
        let ran = on(&lab, "lb1", &[&["--become=nosuch"], verb].concat()).run();
        assert_ne!(ran.code, Some(0), "{ran}");
        assert!(
            ran.stderr.contains("unknown user") && ran.stderr.contains("nosuch"),
            "{ran}"
        );
        assert!(!ran.stderr.contains("overloaded"), "{ran}");
    }
}

const INSTANCES: &str = "\
[haproxy.instances.ldap]\nnodes = 'lb[1-2]'\nsocket = '/run/haproxy/ldap.sock'\n\
[haproxy.instances.puppet]\nnodes = 'lb[1-2]'\nsocket = '/run/haproxy/puppet.sock'\n";

fn service(lab: &Lab, words: &[&str]) -> Ran {
    lab.hash(["service"].iter().chain(words))
        .config(INSTANCES)
        .run()
}

#[test]
fn parts_of_the_procedure_can_be_named() {
    let Some(lab) = Lab::builder(2).instances().start() else {
        return;
    };
    let server = ["-D", "server=puppet-i0-svc1"];
    let ran = service(
        &lab,
        &[&["haproxy.puppet"], &server[..], &["disable"]].concat(),
    );
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(
        seen(&lab, "lb2/puppet", "i0_puppet_masters/puppet-i0-svc1").0,
        1
    );
    assert!(!ran.stdout.contains("ldap"), "{ran}");
    let ran = service(&lab, &["haproxy.puppet", "status"]);
    assert_eq!(ran.code, Some(6), "{ran}");
    assert_eq!(service(&lab, &["haproxy.ldap", "status"]).code, Some(0));
    let ran = service(
        &lab,
        &[&["haproxy.puppet"], &server[..], &["enable"]].concat(),
    );
    assert_eq!(ran.code, Some(0), "{ran}");
    let unknown = service(&lab, &["haproxy.http", "status"]);
    expect(&unknown, 9, &["no instance `http`", "it has ldap, puppet"]);
}

#[test]
fn the_guard_of_the_procedure_names_a_way_that_there_is() {
    let Some(lab) = Lab::builder(2).instances().start() else {
        return;
    };
    let ran = service(
        &lab,
        &["haproxy.ldap", "-D", "server=ldap-svc[1-2]", "disable"],
    );
    assert_eq!(ran.code, Some(6), "{ran}");
    let all = format!("{}{}", ran.stdout, ran.stderr);
    let told = "hapsh -w 'lb[1-2]' disable 'ldap-svc[1-2]' --force does it all the same";
    assert!(all.contains(told), "{ran}");
    assert_eq!(seen(&lab, "lb1/ldap", "ldap/ldap-svc1").0, 0);
}

/// MilkCheck says nothing to a misspelt action, and so does the drop-in; `hash service` does not take it.
#[test]
fn an_action_that_no_service_has_is_a_mistake() {
    let dir = tempfile::tempdir().expect("a folder");
    let yaml = "services:\n  web:\n    actions:\n      status:\n        cmd: 'true'\n";
    std::fs::write(dir.path().join("web.yaml"), yaml).expect("a service file");
    let folder = dir.path().to_str().expect("a path");
    let ran = Hash::new(["service", "-c", folder, "web", "stat"]).run();
    expect(
        &ran,
        9,
        &["no service of this run has an action `stat`; they have status"],
    );
    let ran = Hash::new(["service", "-c", folder, "web", "statsu"]).run();
    expect(&ran, 9, &["did you mean `status`?"]);
    let ran = Hash::new(["service", "-c", folder, "web", "status"]).run();
    expect(&ran, 0, &[]);
    let ran = Hash::called("milkcheck", ["-c", folder, "web", "stat"]).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran}");
}
