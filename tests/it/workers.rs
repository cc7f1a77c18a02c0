//! The workers that are programs of others: pdsh and rsh, both behind the lab's real sshd.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::lab::{Hash, Lab, Ran, find_program, skip};

const SCRIPT: &str = "echo out; echo err >&2; printf 'no newline'; exit 3";

fn pdsh(lab: &Lab, words: &[&str]) -> Ran {
    // As a user of pdsh sets it up.
    let args = format!("-F {} -o BatchMode=yes", lab.ssh_config().display());
    Hash::new([&["-R", "pdsh"], words].concat())
        .env("PDSH_RCMD_TYPE", "ssh")
        .env("PDSH_SSH_ARGS_APPEND", args)
        .run()
}

#[test]
fn one_pdsh_serves_all_nodes() {
    if find_program("pdsh", "").is_none() {
        return skip("pdsh is not installed");
    }
    let Some(lab) = Lab::sshd_only(3) else { return };
    let ran = pdsh(
        &lab,
        &["-w", "lb[1-3]", "--", "echo out; echo err >&2; exit 3"],
    );
    assert_eq!(ran.stdout, "lb[1-3]: out\n", "{ran}");
    assert!(ran.stderr.contains("lb[1-3]: err\n"), "{ran}");
    assert!(
        ran.stderr.contains("hash: lb[1-3]: exited with 3\n"),
        "{ran}"
    );
    assert_eq!(ran.code, Some(1), "{ran}");

    let ran = pdsh(&lab, &["-w", "lb[1-2]", "--", "hostname"]);
    assert_eq!(ran.stdout, "lb1: lb1\nlb2: lb2\n", "{ran}");
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran}");

    let ran = pdsh(&lab, &["-w", "lb1", "--", SCRIPT]);
    assert_eq!(ran.stdout, "lb1: out\nlb1: no newline\n", "{ran}");

    lab.stop("lb2/sshd");
    let ran = pdsh(&lab, &["-w", "lb[1-2]", "-S", "--", "true"]);
    assert!(ran.stderr.contains("Connection refused"), "{ran}");
    assert_eq!(ran.code, Some(255), "{ran}");

    let ran = pdsh(&lab, &["-w", "lb1", "-u", "1s", "--", "sleep 20"]);
    assert!(ran.stderr.contains("lb1: timed out"), "{ran}");
    assert_eq!(ran.code, Some(3), "{ran}");

    // What it cannot is refused before anything is contacted.
    for (lack, words) in [
        (
            "gives commands nothing to read",
            &["--stdin", "--", "cat"][..],
        ),
        ("gives commands nothing to read", &["copy", "/etc/hosts"]),
        (
            "runs commands and shows their lines only",
            &["fetch", "/etc/hosts", "--dest", "."],
        ),
        ("runs commands only", &["status"]),
        ("runs commands only", &["disable", "web1"]),
        ("runs commands only", &["ping"]),
    ] {
        let ran = pdsh(&lab, &[&["-w", "lb1"], words].concat());
        let said = format!("hash: -R pdsh {lack}, which is not enough for: ");
        assert!(ran.stderr.starts_with(&said), "{ran}");
        assert!(ran.stderr.contains("use -R native"), "{ran}");
        assert_eq!(ran.code, Some(64), "{ran}");
    }
}

#[test]
fn what_launchers_of_others_cannot_is_refused_by_name() {
    for worker in ["pdsh", "slurm"] {
        for words in [
            &["status"][..],
            &["disable", "web1"],
            &["enable", "web1"],
            &["drain", "web1"],
            &["info"],
            &["ping"],
            &["fetch", "/etc/hosts", "--dest", "."],
            &["--become", "--", "id"],
        ] {
            let ran = Hash::new([&["-R", worker, "-w", "n1"], words].concat()).run();
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(64), ""), "{ran}");
            let by_name = match words[0] {
                "--become" => "--become needs a way of its own to each node".to_owned(),
                _ => format!("-R {worker} runs commands"),
            };
            assert!(ran.stderr.starts_with(&format!("hash: {by_name}")), "{ran}");
            assert!(ran.stderr.contains("use -R native"), "{ran}");
        }
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(&file, "[routes]\na: b\n").expect("a topology");
        let path = file.path().display().to_string();
        let words = ["--topology", &path, "-R", worker, "-w", "n1", "--", "true"];
        let ran = Hash::new(words).run();
        assert_eq!(ran.code, Some(64), "{ran}");
        let said = format!("--topology does not go with -R {worker}");
        assert!(ran.stderr.contains(&said), "{ran}");
    }
}

/// A folder with an `rsh` that is the lab's ssh.
fn rsh_folder(lab: &Lab, line: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let program = folder.path().join("rsh");
    let config = lab.ssh_config().display().to_string();
    let text = format!("#!/bin/sh\n{}\n", line.replace("@CONFIG@", &config));
    fs::write(&program, text).expect("script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("mode");
    folder
}

fn rsh(folder: &Path, words: &[&str], stdin: &str) -> Ran {
    let path = std::env::var("PATH").expect("PATH");
    Hash::new([&["-R", "rsh"], words].concat())
        .env("PATH", format!("{}:{path}", folder.display()))
        .stdin(stdin)
        .run()
}

#[test]
fn rsh_tells_the_exit_status_in_a_line_that_is_not_shown() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let folder = rsh_folder(&lab, "exec ssh -F @CONFIG@ \"$@\"");
    let ran = rsh(folder.path(), &["-w", "lb[1-2]", "--", SCRIPT], "");
    // The command's exit ends the shell before it can tell: what rsh itself returns is all there is.
    assert!(ran.stdout.contains("lb[1-2]: no newline"), "{ran}");
    assert!(ran.stderr.contains("lb[1-2]: exited with 3"), "{ran}");
    let ran = rsh(folder.path(), &["-w", "lb[1-2]", "--", "echo a; false"], "");
    assert_eq!(ran.stdout, "lb[1-2]: a\n", "{ran}");
    assert_eq!(ran.stderr, "hash: lb[1-2]: exited with 1\n", "{ran}");
    let ran = rsh(folder.path(), &["-w", "lb1", "--stdin", "--", "cat"], "in");
    assert_eq!((&*ran.stdout, ran.code), ("lb1: in\n", Some(0)), "{ran}");
}

#[test]
fn an_rsh_that_says_nothing_of_the_command_is_no_success() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    let folder = rsh_folder(&lab, "echo looks fine; exit 0");
    let ran = rsh(folder.path(), &["-w", "lb1", "--", "true"], "");
    assert!(
        ran.stderr.contains("without the command's exit status"),
        "{ran}"
    );
    assert_eq!(ran.code, Some(3), "{ran}");
    let none = Hash::new(["-R", "rsh", "-w", "lb1", "--", "true"]).env("PATH", "/nowhere");
    let ran = none.run();
    assert!(ran.stderr.contains("cannot start `rsh`"), "{ran}");
    assert_eq!(ran.code, Some(3), "{ran}");
}
