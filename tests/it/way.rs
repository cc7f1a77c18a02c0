//! `-v` and `-vv`: the way to each node, on real sshd, for every verb that goes there.

use std::fs;

use crate::lab::Lab;

#[test]
fn every_verb_tells_the_way_to_each_node() {
    let Some(lab) = Lab::builder(2).no_streamlocal("lb2").start() else {
        return;
    };
    let key = lab.key().display().to_string();
    let config = ".ssh/config:1 (Host lb1)\n";
    let known = format!("known in {}:1\n", lab.known_hosts().display());
    let (address, port) = lab.address("lb1");
    let connecting = format!("hash: lb1: connecting to {address}:{port}\n");
    let login = format!(" with key {key}\n");
    let socket = [
        "hash: lb1: /run/haproxy/admin.sock by streamlocal\n",
        "hash: lb2: /run/haproxy/admin.sock by socat\n",
    ];
    let asks = |verb: &str| matches!(verb, "status" | "disable" | "info" | "raw");
    for words in [
        &["status", "puppet-i0-svc1"][..],
        &["disable", "puppet-i0-svc1"],
        &["info"],
        &["raw", "show version"],
        &["ping"],
        &["run", "--", "true"],
        &["copy", "file", "--dest", "/dev/null/x"],
        &["fetch", "/etc/hostname", "--dest", "."],
    ] {
        for (flag, is_full) in [("-v", false), ("-vv", true)] {
            let hash = lab.hash([&["-w", "lb[1-2]", flag], words].concat());
            fs::write(hash.home().join("file"), "x").unwrap();
            let ran = hash.run();
            let told = &ran.stderr;
            let brief = told
                .lines()
                .find(|line| line.starts_with("hash: lb[1-2]: logged in as "));
            assert!(
                brief.is_some_and(|line| format!("{line}\n").ends_with(&login)),
                "{words:?} {ran}"
            );
            for line in socket {
                assert_eq!(
                    told.contains(line),
                    asks(words[0]),
                    "{words:?} {line} {ran}"
                );
            }
            for step in [config, &known, &connecting] {
                assert_eq!(told.contains(step), is_full, "{words:?} {step} {ran}");
            }
            assert!(!ran.stdout.contains("logged in"), "{ran}");
        }
    }
    let quiet = lab.hash(["-w", "lb[1-2]", "ping"]).run();
    assert_eq!(quiet.stderr, "", "{quiet}");
}

#[test]
fn what_fails_is_told_with_the_steps_before_it() {
    let Some(lab) = Lab::builder(2).sshd("lb2", "Banner /etc/hostname").start() else {
        return;
    };
    lab.stop("lb1/sshd");
    let ran = lab
        .hash([
            "-w",
            "lb[1-2]",
            "-vv",
            "--json",
            "-o",
            "User=no\u{1b}body",
            "ping",
        ])
        .run();
    assert_eq!(ran.code, Some(3), "{ran}");
    let (address, port) = lab.address("lb1");
    let step = format!("hash: lb1: connecting to {address}:{port}\n");
    assert!(ran.stderr.contains(&step), "{ran}");
    assert!(
        ran.stderr
            .contains("user no\\x1bbody (-o User=no\\x1bbody)"),
        "{ran}"
    );
    assert!(ran.stderr.contains("hash: lb2: banner: "), "{ran}");
    assert!(
        ran.stderr.contains(&format!(
            "hash: lb2: key {} was not taken\n",
            lab.key().display()
        )),
        "{ran}"
    );
    assert!(!ran.stderr.contains('\u{1b}'), "{ran}");
}

#[test]
fn a_ping_by_the_system_s_ssh_logs_in() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let config = lab.ssh_config().display().to_string();
    let words = ["-R", "ssh", "-F", &config, "-w", "lb[1-2]", "ping"];
    let ran = lab.hash(words).run();
    assert_eq!(
        (ran.code, &*ran.stdout, &*ran.stderr),
        (Some(0), "lb[1-2]: ok\n", ""),
        "{ran}"
    );
    lab.stop("lb2/sshd");
    let ran = lab.hash(words).run();
    assert_eq!((ran.code, &*ran.stdout), (Some(3), "lb1: ok\n"), "{ran}");
    assert_eq!(ran.stderr, "hash: lb2: connection refused\n", "{ran}");
    let ran = lab.hash(["-R", "exec", "-w", "lb2", "ping"]).run();
    assert_eq!((ran.code, &*ran.stdout), (Some(64), ""), "{ran}");
    assert!(ran.stderr.contains("goes to no node"), "{ran}");
}

#[test]
fn jumps_and_the_system_s_ssh_are_told_too() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let words = ["-w", "lb2", "-vv", "-o", "ProxyJump=lb1", "ping"];
    let ran = lab.hash(words).run();
    assert!(
        ran.stderr.contains("hash: lb2: connecting through lb1\n"),
        "{ran}"
    );
    assert!(ran.stderr.contains("hash: lb[1-2]: logged in as "), "{ran}");
    let config = lab.ssh_config().display().to_string();
    let ran = lab
        .hash([
            "-R", "ssh", "-F", &config, "-w", "lb2", "-vv", "--", "secret",
        ])
        .run();
    let line = ran
        .stderr
        .lines()
        .find(|line| line.starts_with("hash: lb2: by ssh -F "));
    assert!(line.is_some_and(|line| line.ends_with(" lb2")), "{ran}");
}
