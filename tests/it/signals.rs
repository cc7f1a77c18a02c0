//! Signals: who is asked to end, what is said, which exit code it is, and that nothing is left behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::embedded_lab::LabProcess;
use crate::lab::{Hash, find_program, skip};

/// A command that says when it has begun and then takes its time.
const LONG: &str = "echo begun; sleep 1000";

/// The same, deaf to whoever asks it to end.
const DEAF: &str = "trap '' INT TERM; echo begun; sleep 1000";

/// How long a node that was asked may take; a run that is told twice does not wait for that.
const GRACE: Duration = Duration::from_secs(2);

/// A client that runs a command on three nodes and has begun on all of them.
struct Begun {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    _home: TempDir,
    _lab: LabProcess,
}

impl Begun {
    fn new(options: &[&str], command: &str) -> Self {
        let lab = LabProcess::start(&["-w", "lb[1-3]"]);
        let words = ["-F", lab.ssh_config(), "-w", "lb[1-3]", "-L"];
        let words = [&words, options, &["--", command]].concat();
        let (mut client, home) = Hash::new(words).into_command();
        let mut child = client.stdin(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut nodes: Vec<String> = (0..3).map(|_| next_line(&mut stdout)).collect();
        nodes.sort();
        assert_eq!(nodes, ["lb1: begun\n", "lb2: begun\n", "lb3: begun\n"]);
        Self {
            stderr: BufReader::new(child.stderr.take().unwrap()),
            child,
            stdout,
            _home: home,
            _lab: lab,
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit code, and the rest of both outputs.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).unwrap();
        self.stderr.read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }
}

fn next_line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line
}

const STILL_RUNNING: &str = "hash: stopping; still running: lb[1-3] (again to stop at once)\n";

#[test]
fn one_interrupt_asks_and_names_who_is_asked() {
    let run = Begun::new(&[], LONG);
    run.signal(Signal::INT);
    let (code, out, err) = run.end();
    assert_eq!((code, out.as_str()), (Some(130), ""), "{err}");
    assert!(err.starts_with(STILL_RUNNING), "{err}");
}

#[test]
fn two_interrupts_do_not_ask() {
    let mut run = Begun::new(&[], DEAF);
    run.signal(Signal::INT);
    assert_eq!(next_line(&mut run.stderr), STILL_RUNNING);
    let begun = Instant::now();
    run.signal(Signal::INT);
    let (code, out, err) = run.end();
    assert!(begun.elapsed() < GRACE, "waited for {:?}", begun.elapsed());
    assert_eq!((code, out.as_str()), (Some(130), ""), "{err}");
    assert!(err.contains("may still be running"), "{err}");
}

#[test]
fn who_does_not_end_when_asked_is_left_after_a_while() {
    let run = Begun::new(&[], DEAF);
    run.signal(Signal::INT);
    let (code, _, err) = run.end();
    assert_eq!(code, Some(130), "{err}");
    for node in ["lb1", "lb2", "lb3"] {
        let note = format!("{node}: stopped; the command may still be running");
        assert!(err.contains(&note), "{err}");
    }
}

#[test]
fn the_exit_code_names_the_signal() {
    for (signal, expected) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let run = Begun::new(&[], LONG);
        run.signal(signal);
        let (code, out, err) = run.end();
        assert_eq!((code, out.as_str()), (Some(expected), ""), "{err}");
    }
}

#[test]
fn json_is_whole_after_an_interrupt() {
    let lab = LabProcess::start(&["-w", "lb[1-3]"]);
    let words = [
        "-F",
        lab.ssh_config(),
        "-w",
        "lb[1-3]",
        "--jsonl",
        "--",
        LONG,
    ];
    let (mut client, _home) = Hash::new(words).into_command();
    let mut child = client.stdin(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut finished = 0;
    let mut last = serde_json::Value::Null;
    let mut begun = 0;
    loop {
        let line = next_line(&mut stdout);
        if line.is_empty() {
            break;
        }
        last = serde_json::from_str(&line).unwrap();
        finished += usize::from(last["event"] == "finished");
        begun += usize::from(last["event"] == "line");
        if last["event"] == "line" && begun == 3 {
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        }
    }
    assert_eq!((begun, finished), (3, 3));
    assert_eq!(last["event"], "summary");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_deadline_loses_no_output() {
    let lab = LabProcess::start(&["-w", "lb[1-3]"]);
    let words = [
        "-F",
        lab.ssh_config(),
        "-w",
        "lb[1-3]",
        "--deadline",
        "3",
        "--",
        LONG,
    ];
    let ran = Hash::new(words).run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(124), "lb[1-3]: begun\n"),
        "{ran}"
    );
    assert!(ran.stderr.starts_with(STILL_RUNNING), "{ran}");
}

#[test]
fn ctrl_c_on_a_terminal_does_the_same() {
    if find_program("script", "SCRIPT").is_none() {
        return skip("script is not installed");
    }
    let lab = LabProcess::start(&["-w", "lb[1-3]"]);
    let (client, _home) =
        Hash::new(["-F", lab.ssh_config(), "-w", "lb[1-3]", "-L", "--", LONG]).into_command();
    let quoted =
        |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
    let line: Vec<String> = std::iter::once(client.get_program())
        .chain(client.get_args())
        .map(quoted)
        .collect();
    let mut terminal = Command::new("script")
        .args(["-qec", &line.join(" "), "/dev/null"])
        .env("HOME", _home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = BufReader::new(terminal.stdout.take().unwrap());
    let mut begun = 0;
    while begun < 3 {
        let line = next_line(&mut shown);
        assert_ne!(line, "", "the run ended early");
        begun += usize::from(line.contains(": begun"));
    }
    let mut keyboard = terminal.stdin.take().unwrap();
    keyboard.write_all(b"\x03").unwrap();
    let mut rest = String::new();
    shown.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("stopping; still running: lb[1-3]"), "{rest}");
    assert_eq!(terminal.wait().unwrap().code(), Some(130), "{rest}");
}
