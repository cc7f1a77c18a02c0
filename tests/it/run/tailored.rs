//! Templates and scripts.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::exec;
use crate::lab::{Hash, Lab};

#[test]
fn each_node_has_its_own_command() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let words = [
        "-w",
        "lb[1-2]",
        "-T",
        "--",
        "echo",
        "{node} {rank}/{n} {{}}",
        "$(id)",
    ];
    let ran = lab.hash(words).run();
    assert_eq!(
        ran.stdout, "lb1: lb1 0/2 {} $(id)\nlb2: lb2 1/2 {} $(id)\n",
        "{ran}"
    );
    // Without -T a brace is a brace.
    let ran = lab.hash(["-w", "lb1", "--", "echo {node}"]).run();
    assert_eq!(ran.stdout, "lb1: {node}\n", "{ran}");
}

#[test]
fn a_dry_run_shows_each_command_once() {
    let shown = |words: &[&str]| exec("n[1-3]", &[&["--dry-run"], words].concat()).run();
    let ran = shown(&["-T", "--", "echo {node}"]);
    assert_eq!(
        ran.stdout, "n1: echo n1\nn2: echo n2\nn3: echo n3\n",
        "{ran}"
    );
    let ran = shown(&["-T", "--become", "--", "echo {n}"]);
    assert_eq!(ran.stdout, "n[1-3]: sudo -u root echo 3\n", "{ran}");
}

#[test]
fn mistakes_are_told_before_anything_is_run() {
    for (words, message) in [
        (
            &["-T", "--", "touch here; echo ${HOME}"][..],
            "`{HOME}` (column 19) stands for nothing",
        ),
        (
            &["-T", "--", "touch here }"][..],
            "`}` (column 12) has no partner",
        ),
        (
            &["--script", "/no/such/file", "--", "x"][..],
            "cannot read /no/such/file",
        ),
        (
            &["--become=", "--", "touch here"][..],
            "--become= names no user",
        ),
        (
            &["--script", "-", "--stdin"][..],
            "would both read standard input",
        ),
    ] {
        let ran = exec("n1", words).run();
        assert_eq!(ran.code, Some(64), "{ran}");
        assert!(ran.stderr.contains(message), "{ran}");
        assert!(!ran.home.path().join("here").exists());
    }
    let ran = exec("lb1", &["--script", "x", "ping"]).run();
    assert_eq!(ran.code, Some(64), "{ran}");
}

#[test]
fn a_name_that_is_no_word_cannot_be_filled_in() {
    let hash = Hash::new([
        "-R",
        "exec",
        "--hostfile",
        "nodes",
        "-T",
        "--",
        "echo {node}",
    ]);
    fs::write(hash.home().join("nodes"), "n1\n$(touch${IFS}here)\n").unwrap();
    let ran = hash.run();
    assert_eq!(ran.code, Some(64), "{ran}");
    assert!(!ran.home.path().join("here").exists());
}

/// A file with these bytes in a folder of its own.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script");
    fs::write(&path, text).unwrap();
    (folder, path.to_str().unwrap().to_owned())
}

/// Says what it is called with and where it is, and ends with 7.
const TELLING: &str = r#"#!/bin/sh -u
echo "$#:$1:$2" >&2
stat -c %a "$0"
# the word must not be in any list of arguments
grep -l 'unhe[a]rd-word' /proc/[0-9]*/cmdline 2>/dev/null
echo unheard-word >/dev/null
cat
case $- in *u*) echo as-said ;; esac
touch "$0.was-here" && rm "$0.was-here"
exit 7
"#;

fn left_behind() -> Vec<String> {
    let entries = fs::read_dir("/tmp").unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("hash.")).collect()
}

#[test]
fn a_script_goes_there_runs_and_is_gone() {
    let (_folder, script) = file(TELLING);
    let Some(lab) = Lab::sshd_only(2) else { return };
    let config = lab.ssh_config();
    let words = |way: &[&str]| {
        let rest = ["--script", &script, "--", "a b", "it's $HOME"];
        let words = [&["-w", "lb[1-2]"], way, &rest].concat();
        words.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    for run in 0..3 {
        let hash = match run {
            0 => lab.hash(words(&[])),
            1 => lab.hash(words(&["-R", "ssh", "-F", config.to_str().unwrap()])),
            _ => Hash::new(words(&["-R", "exec"])),
        };
        let folder = tempfile::tempdir().unwrap();
        let hash = hash.env("TMPDIR", folder.path());
        let ran = hash.run();
        assert_eq!(ran.code, Some(1), "{ran}");
        assert_eq!(ran.stdout, "lb[1-2]: 700\nlb[1-2]: as-said\n", "{ran}");
        assert_eq!(
            ran.stderr, "lb[1-2]: 2:a b:it's $HOME\nhash: lb[1-2]: exited with 7\n",
            "{ran}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    // Whatever other tests have there at this time is theirs, and is gone when they are done with it.
    let gone = || {
        left_behind()
            .iter()
            .all(|name| !has_word(Path::new("/tmp").join(name).as_path()))
    };
    assert!(gone());
}

/// Whether a file is our script.
fn has_word(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text == TELLING)
}

#[test]
fn a_script_has_an_input_of_its_own() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    // Longer than a packet and a pipe, so that no piece of it is all of it.
    let long = format!("#!/bin/sh\n: {}\nwc -c\n", "x".repeat(100_000));
    let (_folder, script) = file(&long);
    let input = "y".repeat(300_000);
    for far in [true, false] {
        let hash = if far {
            lab.hash(["-w", "lb1", "--stdin", "--script", &script])
        } else {
            exec("lb1", &["--stdin", "--script", &script])
        };
        let ran = hash.stdin(input.clone()).run();
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), "lb1: 300000\n"),
            "{ran}"
        );
    }
}

#[test]
fn scripts_without_a_first_line_and_templates_in_arguments() {
    let (_folder, script) = file("echo \"$1\"; kill -TERM $$");
    let ran = exec("n[1-2]", &["-T", "--script", &script, "--", "{node} {{"]).run();
    assert_eq!(ran.stdout, "n1: n1 {\nn2: n2 {\n", "{ran}");
    assert!(
        ran.stderr.ends_with("hash: n[1-2]: exited with 143\n"),
        "{ran}"
    );
}

#[test]
fn a_script_that_is_interrupted_is_gone_too() {
    let (_folder, script) = file("#!/bin/sh\necho \"$0\"\nsleep 1000\n");
    for (options, signals) in [
        (&["-w", "n1", "-R", "exec"][..], &[Signal::INT][..]),
        (&["-w", "n1", "-R", "exec"][..], &[Signal::TERM][..]),
    ] {
        let words = [options, &["-L", "-N", "--script", &script]].concat();
        let (mut command, home) = Hash::new(words).into_command();
        let folder = home.path().join("tmp");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        let mut child = command
            .env("TMPDIR", &folder)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut shown = BufReader::new(child.stdout.take().unwrap());
        shown.read_line(&mut line).unwrap();
        assert!(Path::new(line.trim_end()).exists(), "{line}");
        for signal in signals {
            kill_process(Pid::from_child(&child), *signal).unwrap();
        }
        child.wait().unwrap();
        assert!(!Path::new(line.trim_end()).exists(), "{line}");
    }
}
