//! The person at the terminal: keys while something runs, questions, and that the terminal is left as it was.

use std::process::Command;

use crate::embedded_lab::LabProcess;
use crate::lab::{Hash, Terminal, find_program, skip};

/// `hash` on three nodes that are only names, on a terminal.
fn local(options: &[&str], command: &str) -> Terminal {
    let words = [&["-R", "exec", "-w", "n[1-3]"], options, &["--", command]].concat();
    Terminal::hash(Hash::new(words), "xterm")
}

#[test]
fn enter_tells_what_is_at_work_and_what_waits() {
    let mut terminal = local(&["-f", "2", "-L"], "echo begun; sleep 1000");
    terminal.until("n1: begun");
    terminal.until("n2: begun");
    terminal.keys("\r");
    terminal.until("hash: at work (2): n[1-2]; waiting (1): n3");
    terminal.keys("\x03");
    terminal.until("hash: stopping; still running: n[1-2]");
    let (code, _) = terminal.end();
    assert_eq!(code, Some(130));
    assert!(terminal.is_as_before());
}

#[test]
fn what_is_typed_for_the_next_program_stays_there() {
    let mut terminal = local(&["-L"], "echo begun; sleep 1000");
    terminal.until("n1: begun");
    terminal.keys("typed ahead\r");
    terminal.until("typed ahead");
    terminal.keys("\r");
    terminal.keys("\x03");
    let (code, rest) = terminal.end();
    assert_eq!(code, Some(130));
    assert!(!rest.contains("at work"), "{rest}");
}

#[test]
fn a_question_keeps_its_enter() {
    if find_program("ssh-keygen", "").is_none() {
        return skip("ssh-keygen is not installed");
    }
    let lab = LabProcess::start(&["-w", "lb[1-2]"]);
    let locked = Command::new("ssh-keygen")
        .args(["-q", "-p", "-N", "sesame", "-f", lab.identity()])
        .status();
    assert!(locked.unwrap().success());
    let words = ["-F", lab.ssh_config(), "-w", "lb[1-2]", "--", "echo in"];
    let mut terminal = Terminal::hash(Hash::new(words), "xterm");
    terminal.until("Passphrase for");
    terminal.until(": ");
    assert!(!terminal.is_as_before(), "a secret is not shown");
    terminal.keys("\r");
    terminal.until(": ");
    terminal.keys("sesame\r");
    let (code, rest) = terminal.end();
    assert_eq!((code, rest.trim()), (Some(0), "lb[1-2]: in"));
    assert!(terminal.is_as_before());
}
