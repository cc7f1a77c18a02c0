//! The audit log on real disks and with many writers; `log`, `undo` and `--dry-run`.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{THROUGH, counting, expect, is_write, ledger, on, pass, seen};
use crate::lab::{Lab, Ran};

fn undo(lab: &Lab, of: &Ran, words: &[&str]) -> Ran {
    let state = of.home.path().join("state");
    lab.hash(["undo"].iter().chain(words))
        .env("XDG_STATE_HOME", state)
        .run()
}

#[test]
fn a_change_is_taken_back_where_it_still_stands() {
    let Some(lab) = Lab::up(2) else { return };
    let ran = on(
        &lab,
        "lb[1-2]",
        &["disable", "ldap/ldap-svc1", "http/http-svc1"],
    )
    .run();
    expect(&ran, 0, &[]);
    lab.cli("lb2", "set server ldap/ldap-svc1 state drain");
    let dry = undo(&lab, &ran, &["--dry-run"]);
    expect(
        &dry,
        1,
        &[
            "dry run: nothing was changed",
            "lb2: no longer as the change left it",
        ],
    );
    assert!(
        dry.stdout
            .contains("lb1: ldap/ldap-svc1: STOPPED/MAINT, would become READY"),
        "{dry}"
    );
    assert_eq!(seen(&lab, "lb1", "ldap/ldap-svc1").0, 1);
    let back = undo(&lab, &ran, &["--reason", "a mistake"]);
    expect(
        &back,
        1,
        &["lb2: no longer as the change left it, and left alone: ldap/ldap-svc1 is RUNNING/DRAIN"],
    );
    for (node, server, mask) in [
        ("lb1", "ldap/ldap-svc1", 0),
        ("lb1", "http/http-svc1", 0),
        ("lb2", "http/http-svc1", 0),
        ("lb2", "ldap/ldap-svc1", 8),
    ] {
        assert_eq!(seen(&lab, node, server).0, mask, "{node} {server}");
    }
    // Once is enough.
    expect(&undo(&lab, &ran, &[]), 4, &["takes one back itself"]);
    let id = ledger(ran.home.path())[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let again = undo(&lab, &ran, &[&id, "-w", "lb1"]);
    expect(&again, 0, &[]);
    assert!(
        again
            .stdout
            .contains("lb1: ldap/ldap-svc1: RUNNING/READY, unchanged"),
        "{again}"
    );
    expect(
        &undo(&lab, &ran, &["nosuch"]),
        64,
        &["the audit log has no change nosuch"],
    );
    expect(
        &undo(&lab, &ran, &[&id, "-w", "lb9"]),
        64,
        &["was made on lb[1-2], and on none of lb9"],
    );
    let log = lab
        .hash(["log", "--json", &id])
        .env("XDG_STATE_HOME", ran.home.path().join("state"));
    let log: serde_json::Value = serde_json::from_str(&log.run().stdout).expect("JSON");
    let rows = log["log"].as_array().expect("rows");
    assert_eq!(rows.len(), 4, "{log}");
    assert!(
        rows.iter()
            .all(|row| row["verdict"] == "done" && row["after"] == "STOPPED/MAINT"),
        "{log}"
    );
}

/// What takes something out again asks the guard, whatever the verb is called.
#[test]
fn taking_back_asks_the_guard() {
    let Some(lab) = Lab::up(2) else { return };
    lab.cli("lb1", "set server ldap/ldap-svc1 state maint");
    lab.cli("lb2", "set server ldap/ldap-svc1 state maint");
    let ran = on(&lab, "lb[1-2]", &["enable", "ldap/ldap-svc1"]).run();
    expect(&ran, 0, &[]);
    lab.cli("lb2", "set server ldap/ldap-svc2 state maint");
    expect(
        &undo(&lab, &ran, &[]),
        4,
        &["lb2: refused: no usable server would be left in backend ldap"],
    );
    assert_eq!(
        seen(&lab, "lb1", "ldap/ldap-svc1").0,
        0,
        "nothing was written anywhere"
    );
    expect(&undo(&lab, &ran, &["--force"]), 0, &[]);
    assert_eq!(seen(&lab, "lb2", "ldap/ldap-svc1").0, 1);
    let weighed = on(&lab, "lb1", &["weight", "http/http-svc1", "7"]).run();
    expect(&weighed, 0, &[]);
    expect(&undo(&lab, &weighed, &[]), 0, &[]);
    assert_eq!(seen(&lab, "lb1", "http/http-svc1"), (0, 1));
}

#[test]
fn a_dry_run_reads_and_writes_nothing() {
    let Some(lab) = Lab::up(2) else { return };
    let (_lb1, writes) = counting(&lab, "lb1", is_write);
    let _lb2 = pass(&lab, "lb2");
    let dry = |words: &[&str]| {
        on(
            &lab,
            "lb[1-2]",
            &[&THROUGH, &["--dry-run"][..], words].concat(),
        )
        .run()
    };
    let ran = dry(&["disable", "ldap/ldap-svc1"]);
    expect(&ran, 0, &["dry run: nothing was changed"]);
    assert_eq!(
        ran.stdout,
        "lb[1-2]: ldap/ldap-svc1: RUNNING/READY, would become MAINT\n"
    );
    let refused = dry(&["drain", "ldap/*"]);
    expect(
        &refused,
        4,
        &["refused: no usable server would be left in backend ldap"],
    );
    assert!(
        refused
            .stdout
            .contains("ldap/ldap-svc2: RUNNING/READY, would become DRAIN"),
        "{refused}"
    );
    expect(&dry(&["disable", "nosuch"]), 1, &["nosuch"]);
    assert_eq!(writes.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert!(ledger(ran.home.path()).is_empty());
    let offline = on(
        &lab,
        "lb[8-9]",
        &["--dry-run=offline", "disable", "ldap/ldap-svc1"],
    )
    .run();
    expect(&offline, 0, &["dry run: nothing was contacted"]);
}

/// A disk with room for the intent and not for the result.
#[test]
fn a_full_disk_leaves_whole_lines() {
    let Some(lab) = Lab::up(2) else { return };
    let reason = "x".repeat(3000);
    let run = |size: &str, toml: &str| {
        let hash = on(
            &lab,
            "lb[1-2]",
            &["disable", "ldap/ldap-svc1", "--reason", &reason],
        );
        let (command, home) = hash.config(toml).into_command();
        let kept = home.path().join("kept");
        let script = "mount -t tmpfs -o size=$1 none \"$2\" && shift 2 && { \"$@\"; code=$?; } ; \
                      cp \"$XDG_STATE_HOME/hash/audit.jsonl\" \"$HOME/kept\"; exit $code";
        let mut full = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            full.args(["--user", "--map-root-user"]);
        }
        full.args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
            size,
        ]);
        full.arg(home.path().join("state"))
            .arg(command.get_program())
            .args(command.get_args());
        full.env_clear()
            .current_dir(home.path())
            .stdin(Stdio::null());
        full.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let output = full.output().expect("unshare");
        let text = std::fs::read_to_string(kept).unwrap_or_default();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
            text,
        )
    };
    let whole = |text: &str| {
        let lines = text.lines().map(serde_json::from_str::<serde_json::Value>);
        let lines: Result<Vec<_>, _> = lines.collect();
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        lines.expect("whole lines")
    };
    // The intent takes two pages, the result two more.
    let (code, stderr, text) = run("12k", "");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("cannot write the audit log") && stderr.contains("No space left"),
        "{stderr}"
    );
    let lines = whole(&text);
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines.iter().all(|line| line["kind"] == "intent"), "{text}");
    assert_eq!(seen(&lab, "lb2", "ldap/ldap-svc1").0, 1);
    lab.cli("lb1", "set server ldap/ldap-svc1 state ready");
    lab.cli("lb2", "set server ldap/ldap-svc1 state ready");
    // There is no room for the intent, and no change without one.
    let (code, stderr, text) = run("4k", "audit = \"required\"\n");
    assert_eq!(code, Some(4), "{stderr}");
    assert!(stderr.contains("no change is made without it"), "{stderr}");
    assert!(whole(&text).is_empty(), "{text}");
    for node in ["lb1", "lb2"] {
        assert_eq!(seen(&lab, node, "ldap/ldap-svc1").0, 0, "{node}");
    }
    // Where it is not required, there is one warning, and the change is made.
    let (code, stderr, _) = run("4k", "");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("; the change goes on without"), "{stderr}");
    assert_eq!(seen(&lab, "lb1", "ldap/ldap-svc1").0, 1);
}

/// Eight at once, while the log is rotated: every line is whole, and `log` has all of them.
#[test]
fn eight_writers_and_a_rotation() {
    let Some(lab) = Lab::up(2) else { return };
    let home = tempfile::tempdir().expect("a folder");
    let state = home.path().join("state");
    let servers = [
        "puppet-i0-svc1",
        "puppet-i0-svc2",
        "puppet-i10-svc1",
        "puppet-i20-svc1",
    ];
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (lab, state) = (&lab, &state);
            scope.spawn(move || {
                let server = format!("all_puppet_masters/{}", servers[writer % 4]);
                let node = if writer < 4 { "lb1" } else { "lb2" };
                for weight in ["3", "4"] {
                    let hash = on(lab, node, &["weight", &server, weight]);
                    expect(&hash.env("XDG_STATE_HOME", state).run(), 0, &[]);
                }
            });
        }
        for number in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(500));
            let log = state.join("hash/audit.jsonl");
            let _ = std::fs::rename(&log, log.with_extension(format!("jsonl.{number}")));
        }
    });
    let log = lab
        .hash(["log", "--json"])
        .env("XDG_STATE_HOME", &state)
        .run();
    expect(&log, 0, &[]);
    assert_eq!(log.stderr, "", "no line is broken");
    let log: serde_json::Value = serde_json::from_str(&log.stdout).expect("JSON");
    let rows = log["log"].as_array().expect("rows");
    assert_eq!(rows.len(), 16, "{log}");
    assert!(rows.iter().all(|row| row["verdict"] == "done"), "{log}");
    assert!(
        Path::new(&state.join("hash"))
            .read_dir()
            .expect("a folder")
            .count()
            > 1
    );
}
