//! What is left on a node of a command that was cut short, beside what `ssh` without a terminal leaves there.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::lab::{Hash, Lab, find_program, skip, until};

/// A command that says who it is and then takes its time in silence.
const LONG: &str = "echo $$; exec sleep 1000";

/// A client with such a command on a node.
struct Begun {
    client: Child,
    /// The command.
    pid: Pid,
}

impl Begun {
    fn new(mut client: Command) -> Self {
        let client = client
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut client = client.spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(client.stdout.as_mut().unwrap());
        out.read_line(&mut line).unwrap();
        let number = line.trim().trim_start_matches("lb1: ");
        let Ok(number) = number.parse() else {
            panic!("{line:?}: {:?}", client.wait_with_output());
        };
        let pid = Pid::from_raw(number).unwrap();
        Self { client, pid }
    }

    /// Waits for the client's end; whether the command is there afterwards, and what the client said.
    fn end(mut self) -> (bool, String) {
        self.client.wait().unwrap();
        let mut said = String::new();
        let mut err = self.client.stderr.take().unwrap();
        err.read_to_string(&mut said).unwrap();
        // Its end, if it comes, is on its way; a command that goes on does so for long.
        let mut looks = 0;
        until("a second", None, || {
            looks += 1;
            looks > 100 || !is_there(self.pid)
        });
        let is_left = is_there(self.pid);
        if is_left {
            kill_process(self.pid, Signal::KILL).unwrap();
        }
        (is_left, said)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.client), signal).unwrap();
    }
}

/// Whether a process goes on; one that only waits to be noticed does not.
fn is_there(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    test_kill_process(pid).is_ok() && status.is_ok_and(|status| !status.contains("State:\tZ"))
}

/// A node, and whether its server may signal what belongs to its login: sshd refuses that for root, in silence.
fn nodes() -> Option<[(Lab, bool); 2]> {
    let ordinary = Lab::builder(1).without_haproxy();
    let ordinary = ordinary.sudo("lb1", "").unprivileged("lb1").start()?;
    Some([(Lab::sshd_only(1)?, false), (ordinary, true)])
}

#[test]
fn ssh_without_a_terminal_leaves_every_command_behind() {
    if find_program("ssh", "").is_none() {
        return skip("ssh is not installed");
    }
    let Some(nodes) = nodes() else { return };
    for (lab, _) in &nodes {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(lab.ssh_config()).args(["lb1", LONG]);
        let run = Begun::new(ssh);
        // `ssh` would leave SIGINT ignored where the tests were begun so, in the background of a script.
        run.signal(Signal::TERM);
        assert!(run.end().0);
    }
}

#[test]
fn a_command_is_asked_to_end_and_what_may_be_left_is_said() {
    let Some(nodes) = nodes() else { return };
    for (lab, signals) in &nodes {
        for (options, is_sure) in [(&[][..], *signals), (&["--pty"], true)] {
            let begin = |more: &[&str]| {
                let words = [&["-w", "lb1", "-L"], more, &["run"], options, &["--", LONG]].concat();
                let (client, home) = lab.hash(words).into_command();
                (Begun::new(client), home)
            };
            let (run, _home) = begin(&[]);
            run.signal(Signal::INT);
            let (is_left, said) = run.end();
            assert_eq!(is_left, !is_sure, "{options:?} {said}");
            assert_eq!(said.contains("may still be running"), is_left, "{said}");

            let (run, _home) = begin(&["-u", "1"]);
            let (is_left, said) = run.end();
            assert_eq!(is_left, !is_sure, "{options:?} {said}");
            let end = match (is_left, *signals) {
                (true, _) => "timed out after 1s; the command may still be running",
                (false, true) => "timed out after 1s; the command was asked to end and has ended",
                // The end of its terminal ended it.
                (false, false) => "timed out after 1s\n",
            };
            assert!(said.contains(end), "{options:?} {said}");
        }
    }
}

#[test]
fn a_command_with_a_terminal_prints_the_same_lines() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    let command = "echo out; echo err >&2; test -t 1 && echo terminal";
    let ran = lab.hash(["-w", "lb1", "--pty", "--", command]).run();
    let expected = "lb1: out\nlb1: err\nlb1: terminal\n";
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), expected),
        "{ran}"
    );
}

#[test]
fn a_terminal_is_refused_where_it_would_do_harm() {
    for (words, said) in [
        (
            &["-R", "exec", "run", "--pty", "--", "true"][..],
            "gives commands no terminal",
        ),
        (
            &["--become", "run", "--pty", "--", "true"],
            "--pty does not go with --become",
        ),
        (
            &["--stdin", "--pty", "--", "cat"],
            "--pty goes with neither --stdin nor --script",
        ),
    ] {
        let ran = Hash::new([&["-w", "n1"], words].concat()).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(64), ""), "{ran}");
        assert!(ran.stderr.contains(said), "{ran}");
    }
}
