//! `--become`: another user on real nodes, by real sudo, for HAProxy's sockets, commands and files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::lab::{Lab, Ran};

/// Whoever logs in to a node may do nothing there, and everything by sudo.
fn lab(count: u8, sudoers: &str) -> Option<Lab> {
    let mut builder = Lab::builder(count);
    for node in 1..=count {
        let node = format!("lb{node}");
        builder = builder.unprivileged(&node).sudo(&node, sudoers);
    }
    builder.start()
}

const ALLOWED: &str = "nobody ALL=(ALL) NOPASSWD: ALL";

#[test]
fn a_socket_of_root_is_opened_by_sudo() {
    let Some(lab) = lab(2, ALLOWED) else { return };
    let plain: Ran = lab
        .hash(["-w", "lb[1-2]", "status", "puppet-i0-svc1"])
        .run();
    assert_eq!(plain.code, Some(1), "{plain}");
    assert!(
        plain.stderr.contains(
            "lb[1-2]: permission denied: nobody may not use /run/haproxy/admin.sock (srw------- root root); \
             what may: --become (sudo on the node), --via command:TEXT"
        ),
        "{plain}"
    );
    let ran = lab
        .hash(["-w", "lb[1-2]", "--become", "status", "puppet-i0-svc1"])
        .run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(
        ran.stdout
            .contains("lb[1-2]: all_puppet_masters/puppet-i0-svc1: RUNNING/READY\n"),
        "{ran}"
    );
    assert_eq!(ran.stderr, "", "{ran}");
    let ran = lab
        .hash(["-w", "lb[1-2]", "--become", "disable", "puppet-i0-svc1"])
        .run();
    assert_eq!(ran.code, Some(0), "{ran}");
    for node in ["lb1", "lb2"] {
        let state = lab.cli(node, "show servers state all_puppet_masters");
        let row = state
            .lines()
            .find(|line| line.contains(" puppet-i0-svc1 "))
            .unwrap();
        assert_eq!(row.split(' ').nth(6), Some("1"), "{row}");
    }
}

#[test]
fn files_that_only_root_may_touch_are_copied_and_fetched() {
    let Some(lab) = lab(2, ALLOWED) else { return };
    // A folder like /etc, on both nodes the same one: the lab's nodes share the rest of the machine.
    let etc = lab.dir().join("etc");
    fs::create_dir(&etc).unwrap();
    fs::set_permissions(&etc, fs::Permissions::from_mode(0o700)).unwrap();
    let bytes: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    let copy = |words: &[&str]| {
        let hash = lab.hash([&["-w", "lb1"], words].concat());
        fs::write(hash.home().join("app.cfg"), &bytes).unwrap();
        hash.run()
    };
    let dest = etc.to_str().unwrap();
    let ran = copy(&["copy", "app.cfg", "--dest", dest]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(!etc.join("app.cfg").exists());
    let ran = copy(&["--become", "copy", "app.cfg", "--dest", dest]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(fs::read(etc.join("app.cfg")).unwrap(), bytes);
    assert_eq!(
        fs::read_dir(&etc).unwrap().count(),
        1,
        "nothing else is left"
    );

    fs::set_permissions(etc.join("app.cfg"), fs::Permissions::from_mode(0o600)).unwrap();
    let source = etc.join("app.cfg").display().to_string();
    let fetch = |words: &[&str]| {
        let words = [words, &["fetch", &source, "--dest", "."]].concat();
        lab.hash(words).run()
    };
    let ran = fetch(&["-w", "lb[1-2]"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let ran = fetch(&["-w", "lb[1-2]", "--become"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    for node in ["lb1", "lb2"] {
        let file = ran.home.path().join(format!("app.cfg.{node}"));
        assert_eq!(fs::read(file).unwrap(), bytes, "{ran}");
    }
}

#[test]
fn every_way_to_the_socket_goes_through_sudo() {
    let Some(lab) = lab(1, ALLOWED) else { return };
    let config = lab.ssh_config();
    let command = "command:socat - UNIX-CONNECT:%s";
    for words in [
        &["--via", "socat"][..],
        &["--via", "nc"],
        &["--via", command],
        &["-R", "ssh", "-F", config.to_str().unwrap()],
    ] {
        let common = ["-w", "lb1", "--become", "raw", "show version"];
        let ran = lab.hash([words, &common].concat()).run();
        assert_eq!(ran.code, Some(0), "{ran}");
        assert!(ran.stdout.starts_with("lb1: 2."), "{ran}");
    }
    let words = ["-w", "lb1", "--become", "--via", "streamlocal", "info"];
    let ran = lab.hash(words).run();
    assert_eq!(ran.code, Some(64), "{ran}");
    // What a command of the user's own complains of is told, with sudo in it or around it.
    for (words, said) in [
        (
            &["--via", "command:sudo -n -u nosuch socat - UNIX:%s"][..],
            "nosuch",
        ),
        (
            &[
                "--become",
                "--via",
                "command:echo no way for %s >&2; exit 3",
            ],
            "ended with 3: no way for /run/haproxy/",
        ),
        (
            &["--become=nosuch"],
            "sudo did not run the command: sudo: unknown user",
        ),
    ] {
        let ran = lab.hash([&["-w", "lb1"], words, &["info"]].concat()).run();
        assert!(matches!(ran.code, Some(1 | 3)), "{ran}");
        assert!(ran.stderr.contains(said), "{ran}");
    }
}

#[test]
fn sudo_says_itself_why_it_does_not() {
    for (sudoers, said) in [
        (
            "",
            "sudo wants a password, and nobody gave one at a terminal",
        ),
        (
            "nobody ALL=(ALL) NOPASSWD: /bin/true",
            "sudo wants a password, and nobody gave one",
        ),
        (
            "Defaults requiretty\nnobody ALL=(ALL) NOPASSWD: ALL",
            "you must have a tty to run sudo",
        ),
    ] {
        let Some(lab) = lab(1, sudoers) else { return };
        for verb in [&["status"][..], &["ping"], &["--", "id"]] {
            let hash = lab.hash([&["-w", "lb1", "--become"], verb].concat());
            let (mut command, _home) = super::run::without_terminal(hash);
            let (code, out, err) = super::run::ended(&mut command);
            assert_eq!((code, out.as_str()), (Some(3), ""), "{err}");
            assert!(err.contains(said), "{err}");
        }
    }
}

#[test]
fn a_password_is_asked_for_once_for_a_change_on_all_nodes() {
    let Some(lab) = lab(2, "Defaults lecture=never\nnobody ALL=(ALL) ALL") else {
        return;
    };
    let question = "password for sudo to root on all nodes: ";
    for (password, code) in [("open-up", 3), ("sesame", 0)] {
        let (_, home) = lab.hash(["x"]).into_command();
        let words = [
            "-w",
            "lb[1-2]",
            "--become",
            "--json",
            "disable",
            "puppet-i0-svc1",
        ];
        let line = super::run::line(&words);
        let typed = format!("{password}\n");
        let talk = [(question, typed.as_str())];
        let Some((exit, shown)) = super::run::at_terminal(&line, home.path(), &talk) else {
            return;
        };
        assert_eq!(exit, Some(code), "{shown}");
        assert_eq!(shown.matches(question).count(), 1, "{shown}");
        assert!(
            !shown.contains(password) && !shown.contains("hash-"),
            "{shown}"
        );
        for node in ["lb1", "lb2"] {
            let state = lab.cli(node, "show servers state all_puppet_masters");
            let row = state
                .lines()
                .find(|line| line.contains(" puppet-i0-svc1 "))
                .unwrap();
            let is_out = row.split(' ').nth(6) == Some("1");
            assert_eq!(is_out, code == 0, "{row}");
        }
        if code == 3 {
            assert!(
                shown.contains("sudo to root does not take the password: Sorry, try again."),
                "{shown}"
            );
            assert!(shown.contains("another node refused it"), "{shown}");
        }
    }
}
