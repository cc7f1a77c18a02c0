//! Standard input and output that are closed, full, or left by their reader.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::embedded_lab::LabProcess;
use crate::lab::Hash;

fn lab() -> LabProcess {
    LabProcess::start(&["-w", "lb[1-2]"])
}

/// `hash … -- COMMAND` on both nodes.
fn hash(lab: &LabProcess, options: &[&str], command: &str) -> Hash {
    let words = ["-F", lab.ssh_config(), "-w", "lb[1-2]"];
    Hash::new([&words, options, &["--", command]].concat())
}

/// Runs it from a shell that closes or redirects something first.
fn from_shell(hash: Hash, redirection: &str) -> std::process::Output {
    let (client, home) = hash.into_command();
    Command::new("sh")
        .arg("-c")
        .arg(format!("exec \"$0\" \"$@\" {redirection}"))
        .arg(client.get_program())
        .args(client.get_args())
        .env("HOME", home.path())
        .output()
        .unwrap()
}

#[test]
fn a_reader_that_leaves_ends_the_run_in_silence() {
    let lab = lab();
    for (form, first) in [(&["-L"][..], ": y\n"), (&["--jsonl"], "\"started\"")] {
        let (mut command, _home) = hash(&lab, form, "yes").into_command();
        let mut child = command.stdin(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        // The reader is gone with this statement, as `head -1` would be.
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains(first), "{form:?}: {line}");
        let mut err = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        assert_eq!(
            (child.wait().unwrap().code(), err.as_str()),
            (Some(141), ""),
            "{form:?}"
        );
    }
}

#[test]
fn a_reader_that_never_read_is_noticed_at_the_end() {
    let lab = lab();
    for form in [&[][..], &["--json"], &["-b"]] {
        let (mut command, _home) = hash(&lab, form, "hostname").into_command();
        let mut child = command.stdin(Stdio::null()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*err), (Some(141), ""), "{form:?}");
    }
}

#[test]
fn a_full_disk_is_said() {
    let lab = lab();
    for form in [&[][..], &["-L"], &["-b"], &["--json"], &["--jsonl"]] {
        let (mut command, _home) = hash(&lab, form, "hostname").into_command();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdin(Stdio::null()).stdout(full).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{form:?}: {err}");
        let message = "hash: cannot write the output: No space left on device";
        assert_eq!(err.matches(message).count(), 1, "{form:?}: {err}");
    }
}

#[test]
fn what_is_closed_is_not_missed() {
    let lab = lab();
    let both = "lb[1-2]: out\n";
    for (redirection, out) in [
        ("<&-", both),
        ("2>&-", both),
        (">&-", ""),
        ("<&- >&- 2>&-", ""),
        ("</dev/null", both),
    ] {
        let output = from_shell(hash(&lab, &[], "echo out; echo err >&2"), redirection);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{redirection}: {err}");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            out,
            "{redirection}"
        );
        assert!(!err.contains("panic"), "{redirection}: {err}");
    }
}

#[test]
fn a_large_output_arrives_whole() {
    let lab = lab();
    let ran = hash(&lab, &["-N"], "seq 200000").run();
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout == expected, "{} bytes", ran.stdout.len());
}

#[test]
fn standard_input_is_left_alone_unless_asked_for() {
    let lab = lab();
    let (client, home) = hash(&lab, &["-N"], "cat").into_command();
    let output = Command::new("sh")
        .arg("-c")
        .arg("printf 'one\\ntwo\\n' | while read -r line; do \"$0\" \"$@\" && echo \"$line\"; done")
        .arg(client.get_program())
        .args(client.get_args())
        .env("HOME", home.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one\ntwo\n");
    let ran = hash(&lab, &["--stdin"], "cat").stdin("for all\n").run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "lb[1-2]: for all\n"),
        "{ran}"
    );
}

#[test]
fn much_input_comes_back_whole() {
    let lab = lab();
    let input = "all of this comes back\n".repeat(200_000);
    let ran = hash(&lab, &["--stdin", "-N"], "cat")
        .stdin(input.as_str())
        .run();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout == input,
        "{} of {} bytes",
        ran.stdout.len(),
        input.len()
    );
}
