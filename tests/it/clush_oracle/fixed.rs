//! Command lines that chance does not come to, and a standard input that cannot be read.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Output, Stdio};

use super::{folder, lines};
use crate::lab::Hash;
use crate::oracle::{Case, Oracle};

/// Command lines that chance does not come to: mistakes, other workers, copies, what follows the command.
const FIXED: &[&[&str]] = &[
    &["true"],
    &["-w", "n1", "-x", "n1"],
    &["-w", "n1", "-w", "-R", "exec", "echo"],
    &["-w", "n1", "-c"],
    &["-w", "n1", "-c", "none", "--rcopy"],
    &["-w", "n1", "-c", "hosts", "nofile", "--dest", "x"],
    &["-w", "n1", "--rcopy", "/srv/f", "--dest", "nodir"],
    &["-w", "n1", "--rcopy", "/srv/f", "--dest", "hosts"],
    &["-w", "n1", "-c", "none", "-R", "nosuch"],
    &["-R", "exec", "-w", "n1", "-c", "hosts", "--dest", "x%y"],
    &["-m", "x"],
    &["-O", "fanout=x", "-m", "x"],
    &[
        "-O", "color=x", "-O", "fanout=x", "-w", "n1", "-R", "nosuch", "true",
    ],
    &["-w", "n1", "--remote=maybe", "true"],
    &["-w", "n1", "-E", "foo", "true"],
    &["-w", "n1", "--grooming", "x", "true"],
    &["-w", "n1", "--pick", "-1", "-R", "exec", "echo"],
    &["-w", "n1", "-O", "ssh_path=/bin/echo", "a  b", "c"],
    &[
        "-w",
        "n1",
        "-O",
        "ssh_path=/bin/echo 'x  y' ~/z",
        "-o",
        "-x \"a  b\" ~/q",
        "-l",
        "me",
        "-t",
        "2.5",
        "a",
    ],
    &["-w", "n1", "-O", "ssh_path=/bin/echo '", "a"],
    &[
        "-w",
        "n1",
        "-O",
        "ssh_path=/bin/echo",
        "-O",
        "connect_timeout=-1",
        "a",
    ],
    &[
        "-w",
        "n1",
        "-O",
        "ssh_path=/bin/echo",
        "-O",
        "ssh_user=u",
        "-O",
        "ssh_options=-4",
        "-o",
        "-6",
        "-l",
        "v",
        "a",
    ],
    &[
        "-w",
        "n1",
        "-R",
        "rsh",
        "-O",
        "rsh_path=sh -c 'shift; sh -c \"$*\"' --",
        "echo hi; (exit 3)",
    ],
    &["-w", "n1", "-R", "pdsh", "true"],
    &["-w", "n1", "-R", "exec", "-O", "fd_max=100", "ulimit -n"],
    &["-w", "hosts", "-R", "exec", "echo a"],
    &["-w", "hosts,n1", "-R", "exec", "-b", "echo a"],
    &["-q", "-w", "hosts", "-R", "exec", "echo a"],
    &["-x", "hosts", "-w", "n1", "-R", "exec", "echo a"],
    &["-w", "n1", "-R", "exec", "--outdir", "hosts", "echo a"],
    &["-w", "n1", "-R", "exec", "--outdir", "made/deep", "echo a"],
    &["-R", "exec", "-w", "n1", "--hostfile", ".", "echo a"],
];

#[test]
fn fixed_command_lines_do_what_the_original_does() {
    let Some(oracle) = Oracle::find("clush") else {
        return;
    };
    let dir = folder();
    let conf = dir.path().join("none").display().to_string();
    let asked: Vec<Case> = FIXED
        .iter()
        .map(|words| Case {
            args: [&["--conf", &conf], *words]
                .concat()
                .iter()
                .map(|&word| word.to_owned())
                .collect(),
            stdin: Vec::new(),
        })
        .collect();
    let mut wrong = Vec::new();
    for (case, theirs) in asked.iter().zip(oracle.ask(&asked, dir.path())) {
        let hash = Hash::called("clush", &case.args).env("HOME", dir.path());
        let (mut command, _home) = hash.into_command();
        let output = command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .output()
            .expect("clush");
        let same = output.stdout == theirs.stdout
            && output.stderr == theirs.stderr
            && output.status.code().map(i64::from) == Some(theirs.code);
        if !same {
            wrong.push(format!(
                "{:?}\noriginal: {theirs:?}\nours: {output:?}",
                case.args
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n=====\n"));
}

/// Inputs of which a read fails, with the number of the error.
fn unreadable() -> [(i32, OwnedFd); 2] {
    let memory = File::open("/proc/self/mem").expect("memory");
    let events = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC);
    [(5, memory.into()), (22, events.expect("events"))]
}

/// The original runs the command, which reads nothing, and tells why with `-v`; so do we.
#[test]
fn a_standard_input_that_cannot_be_read_is_at_its_end() {
    let Some(oracle) = Oracle::find("clush") else {
        return;
    };
    let dir = folder();
    let conf = dir.path().join("none").display().to_string();
    for (number, stdin) in unreadable() {
        for options in [&[][..], &["-v"], &["-b"], &["-S"], &["-q"]] {
            let words = ["--conf", &conf, "-R", "exec", "-w", "n[1-2]"];
            let words = [&words, options, &["cat; echo %h; exit 3"]].concat();
            let stdin = || Stdio::from(stdin.try_clone().expect("another"));
            let theirs = oracle.run(&words, dir.path(), stdin());
            let (mut command, _home) = Hash::called("clush", &words).into_command();
            let ours = command.env("HOME", dir.path()).current_dir(dir.path());
            let ours = ours.stdin(stdin()).output().expect("clush");
            let told = |output: &Output| {
                let code = output.status.code();
                (
                    lines(&output.stdout, true),
                    lines(&output.stderr, true),
                    code,
                )
            };
            assert_eq!(told(&ours), told(&theirs), "{number} {options:?}");
            let is_told =
                String::from_utf8_lossy(&ours.stdout).contains(&format!("stdin: [Errno {number}]"));
            assert_eq!(is_told, options == ["-v"], "{number} {options:?}");
        }
    }
}
