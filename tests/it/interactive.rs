//! The person at the terminal: keys while something runs, questions, and that the terminal is left as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::embedded_lab::LabProcess;
use crate::lab::{Hash, Lab, Terminal, find_program, skip, until};

/// `hash` on three nodes that are only names, on a terminal.
fn local(options: &[&str], command: &str) -> Terminal {
    let words = [&["-R", "exec", "-w", "n[1-3]"], options, &["--", command]].concat();
    Terminal::hash(Hash::new(words), "xterm")
}

#[test]
fn enter_tells_what_is_at_work_and_what_waits() {
    let mut terminal = local(&["-f", "2", "-L"], "echo begun; sleep 1000");
    terminal.until(": begun");
    terminal.until(": begun");
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

/// `hash shell` on nodes that are only names.
fn shell(nodes: &str, kind: &str) -> Terminal {
    let mut terminal = Terminal::hash(Hash::new(["-R", "exec", "-w", nodes, "shell"]), kind);
    terminal.until("> ");
    terminal
}

/// Enters a command, and presses Enter until these nodes and no others are at work.
fn begin(terminal: &mut Terminal, command: &str, nodes: &str) {
    terminal.keys(&format!("{command}\r"));
    terminal.until(command);
    terminal.until("\n");
    loop {
        terminal.keys("\r");
        terminal.until("at work ");
        if terminal.until("\r\n").ends_with(&format!(": {nodes}")) {
            return;
        }
    }
}

#[test]
fn a_session_goes_as_typed() {
    let mut terminal = shell("N[1-3]", "dumb");
    for (line, prompt, shown) in [
        ("echo hi", "N[1-3] (3)> ", "N[1-3]: hi\n"),
        ("", "N[1-3] (3)> ", ""),
        ("-N3", "N[1-2] (2)> ", ""),
        ("+n7", "N[1-2],n7 (3)> ", ""),
        ("echo %n", "N[1-2],n7 (3)> ", "N1: 0\nN2: 1\nn7: 2\n"),
        ("@N[8-9]", "N[8-9] (2)> ", ""),
        ("=", "N[8-9] (2)> ", "hash: each line with its own node\n"),
        ("=", "N[8-9] (2)> ", "hash: equal output once\n"),
        ("!echo $HASH_NODES", "N[8-9] (2)> ", "N[8-9]\n"),
        ("test %h = N8", "N[8-9] (2)> ", "hash: N9: exited with 1\n"),
        (
            "?",
            "N[8-9] (2)> ",
            "N[8-9] (2 nodes)\n.ok: N8 (1)\n.failed: N9 (1)\n",
        ),
        ("@.failed", "N9> ", ""),
        ("-x1", "N9> ", "hash: none of x1 was among the nodes\n"),
        (
            "-N9",
            "(no nodes)> ",
            "hash: there are no nodes left; nothing will be run\n",
        ),
        (
            "echo no",
            "(no nodes)> ",
            "hash: there are no nodes; nothing was run; name some with @SET or +SET\n",
        ),
        (
            "+n[1",
            "(no nodes)> ",
            "hash: bad node set `n[1`: missing bracket: \"n[1\" (column 2)\n",
        ),
        (
            ":what",
            "(no nodes)> ",
            "hash: there is no `:what`; `help` shows what there is\n",
        ),
        ("+n1", "n1> ", ""),
        ("+n2,n3", "n[1-3] (3)> ", ""),
        (
            ":diff",
            "n[1-3] (3)> ",
            "hash: what most nodes say, and how the others differ\n",
        ),
        (
            "test %h = n2 && echo odd || echo even",
            "n[1-3] (3)> ",
            "n[1,3]: even\n--- n[1,3]\n+++ n2\n@@ -1 +1 @@\n-even\n+odd\n",
        ),
        (":diff", "n[1-3] (3)> ", "hash: all that nodes say\n"),
        ("@n1", "n1> ", ""),
        (":timeout 200ms", "n1> ", "hash: a command may take 200ms\n"),
        ("sleep 1000", "n1> ", "hash: n1: timed out after 0.2s\n"),
        (
            ":fanout 8",
            "n1> ",
            "hash: at most 8 nodes at work at one time\n",
        ),
    ] {
        assert_eq!(terminal.enter(line, prompt), shown, "{line}");
    }
    terminal.keys("quit\r");
    assert_eq!(terminal.end().0, Some(0));
    assert!(terminal.is_as_before());
}

#[test]
fn an_interrupt_stops_the_command_and_not_the_session() {
    for kind in ["xterm", "dumb"] {
        let mut terminal = shell("n[1-3]", kind);
        begin(
            &mut terminal,
            "echo got; touch %h.begun; test %h = n1 || exec sleep 1000",
            "n[2-3]",
        );
        let begun = |node| terminal.home().join(format!("{node}.begun")).exists();
        until("nodes at work", None, || begun("n2") && begun("n3"));
        terminal.keys("\x03");
        let shown = terminal.until("> ");
        assert!(shown.contains("n1: got\n"), "{shown}");
        assert!(shown.contains("n[2-3]: got\n"), "{shown}");
        assert!(shown.contains("still running: n[2-3]"), "{shown}");
        assert!(shown.contains("hash: n[2-3]: "), "{shown}");
        // At the prompt it takes back what was typed.
        terminal.keys("no such command");
        terminal.until("no such command");
        terminal.keys("\x03");
        terminal.until("n[1-3] (3)> ");
        assert_eq!(terminal.enter("echo on", "> "), "n[1-3]: on\nn[1-3] (3)");
        terminal.keys("\x04");
        assert_eq!(terminal.end(), (Some(0), "\n".to_owned()), "{kind}");
        assert!(terminal.is_as_before());
    }
}

#[test]
fn lines_typed_ahead_are_for_the_next_prompt() {
    let mut terminal = shell("n1", "xterm");
    terminal.keys("echo begun; read -t 2 x < /dev/zero; sleep 0.5\r");
    terminal.until("waiting for n1");
    terminal.keys("echo first\recho second\r");
    terminal.until("n1: first");
    terminal.until("n1: second");
    terminal.until("> ");
    terminal.keys("quit\r");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn words_are_completed_and_lines_remembered() {
    let hash = Hash::new(["-R", "exec", "-w", "n[1-2]", "shell"]);
    let groups = hash.home().join("config/clustershell/groups.d");
    fs::create_dir_all(&groups).unwrap();
    fs::write(
        groups.join("cluster.yaml"),
        "roles:\n  web: 'web[1-2]'\n  all: 'web[1-2],x9'\n",
    )
    .unwrap();
    fs::write(
        groups.with_file_name("groups.conf"),
        format!("[Main]\ndefault: roles\nautodir: {}\n", groups.display()),
    )
    .unwrap();
    let mut terminal = Terminal::hash(hash, "xterm");
    terminal.until("> ");
    assert!(!terminal.is_as_before(), "keys come one by one");
    terminal.keys("+@w\t");
    terminal.until("+@web");
    terminal.keys("\r");
    terminal.until("n[1-2],web[1-2] (4)> ");
    terminal.keys("-x9,we\t\t");
    terminal.until("web1");
    terminal.until("web2");
    terminal.keys("1\r");
    terminal.until("n[1-2],web2 (3)> ");
    assert_eq!(
        terminal.enter(" echo secret", "> "),
        "n[1-2],web2: secret\nn[1-2],web2 (3)"
    );
    terminal.enter("echo known", "> ");
    // Up: the last line that is remembered.
    terminal.keys("\x1b[A");
    terminal.until("echo known");
    terminal.keys("\r");
    terminal.until("\n");
    let again = terminal.until("(3)> ");
    assert!(again.contains("n[1-2],web2: known\n"), "{again}");
    terminal.keys("quit\r");
    assert_eq!(terminal.end().0, Some(0));
    assert!(terminal.is_as_before());
    let history = terminal.home().join("state/hash/shell_history");
    let lines = fs::read_to_string(&history).unwrap();
    assert_eq!(lines, "+@web\n-x9,web1\necho known\necho known\nquit\n");
    let mode = fs::metadata(&history).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_signal_at_the_prompt_gives_the_terminal_back() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut terminal = shell("n1", "xterm");
        assert!(!terminal.is_as_before());
        terminal.signal(signal);
        assert_eq!(terminal.end().0, Some(code));
        assert!(terminal.is_as_before());
    }
}

#[test]
fn a_session_can_be_put_aside() {
    let Some(bash) = find_program("bash", "") else {
        return skip("bash is not installed");
    };
    let hash = env!("CARGO_BIN_EXE_hash");
    let home = tempfile::tempdir().unwrap();
    let mut outer = Command::new(bash);
    outer
        .args(["--norc", "--noprofile", "-i"])
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path())
        .env("PS1", "outer$ ")
        .env("TERM", "xterm");
    let mut terminal = Terminal::start(&mut outer);
    terminal.until("outer$ ");
    terminal.keys(&format!("{hash} -R exec -w n1 shell\r"));
    terminal.until("n1> ");
    terminal.keys("\x1a");
    terminal.until("outer$ ");
    terminal.keys("echo out''side\r");
    terminal.until("outside");
    terminal.until("outer$ ");
    terminal.keys("fg\r");
    terminal.until("shell\r\n");
    terminal.keys("echo in''side; sleep 1000\r");
    terminal.until("waiting for n1");
    terminal.keys("\x1a");
    terminal.until("outer$ ");
    terminal.keys("fg\r");
    terminal.until("waiting for n1");
    terminal.keys("\x03");
    terminal.until("inside");
    terminal.until("n1> ");
    terminal.keys("\x04");
    terminal.until("outer$ ");
    terminal.keys("exit\r");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn lines_of_a_script_are_run_until_one_cannot_be() {
    let run = |options: &[&str], lines: &str| {
        let words = [&["-R", "exec", "-w", "n[1-2]"], options, &["shell"]].concat();
        Hash::new(words).stdin(lines).run()
    };
    let ran = run(
        &[],
        "echo one\n!read x; echo \"here: $x\"\nfor here\n-n2\n\necho two",
    );
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(ran.stdout, "n[1-2]: one\nhere: for here\nn1: two\n");
    assert_eq!(ran.stderr, "");
    let ran = run(&[], "exit 7\necho on\nquit\necho off\n");
    assert_eq!((ran.code, &*ran.stdout), (Some(1), "n[1-2]: on\n"), "{ran}");
    let ran = run(&["-S"], "exit 7\nexit 2\n");
    assert_eq!(ran.code, Some(7), "{ran}");
    let ran = run(&[], "echo on\n@n[1\necho off\n");
    assert_eq!(
        (ran.code, &*ran.stdout),
        (Some(64), "n[1-2]: on\n"),
        "{ran}"
    );
    assert!(!ran.home.path().join("state/hash/shell_history").exists());
    for words in [["--stdin", "-w", "n1"], ["-q", "-w", "-"]] {
        let ran = Hash::new(words.iter().chain(&["shell"])).run();
        assert_eq!(ran.code, Some(64), "{ran}");
    }
}

#[test]
fn connections_stay_open_and_lost_ones_come_back() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let logins = |node: &str| {
        let log = fs::read_to_string(lab.log(&format!("{node}/sshd"))).unwrap();
        log.matches("Accepted publickey").count()
    };
    let mut terminal = Terminal::hash(lab.hash(["-w", "lb[1-2]", "shell"]), "dumb");
    terminal.until("> ");
    for _ in 0..3 {
        assert_eq!(
            terminal.enter("hostname", "lb[1-2] (2)> "),
            "lb1: lb1\nlb2: lb2\n"
        );
    }
    assert_eq!((logins("lb1"), logins("lb2")), (1, 1));
    assert_eq!(terminal.enter("-lb1", "lb2> "), "");
    assert_eq!(terminal.enter("+lb1", "lb[1-2] (2)> "), "");
    lab.stop("lb1/sshd");
    lab.start_process("lb1/sshd");
    assert_eq!(
        terminal.enter("hostname", "lb[1-2] (2)> "),
        "lb1: lb1\nlb2: lb2\n"
    );
    assert_eq!((logins("lb1"), logins("lb2")), (2, 1));
    let here = tempfile::tempdir().unwrap();
    let command = format!(
        "echo begun; : >{}/$(hostname); sleep 1000",
        here.path().display()
    );
    terminal.keys(&format!("{command}\r"));
    let begun = |node: &str| here.path().join(node).exists();
    until("nodes at work", None, || begun("lb1") && begun("lb2"));
    terminal.keys("\x03");
    let shown = terminal.until("lb[1-2] (2)> ");
    assert!(shown.contains("lb[1-2]: begun\n"), "{shown}");
    assert_eq!(terminal.enter("echo on", "lb[1-2] (2)> "), "lb[1-2]: on\n");
    terminal.keys("quit\r");
    assert_eq!(terminal.end().0, Some(0));
}

/// `clush` on nodes that are only names: ours, or the original in that folder.
fn clush(original: Option<&Path>, options: &[&str]) -> Terminal {
    let words = [&["-R", "exec"], options].concat();
    let Some(folder) = original else {
        let words = [&["clush"], &words[..]].concat();
        return Terminal::hash(Hash::new(words), "dumb");
    };
    let home = tempfile::tempdir().unwrap();
    let mut program = Command::new(folder.join("clush"));
    program
        .args(words)
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path())
        .env("TERM", "dumb");
    let mut terminal = Terminal::start(&mut program);
    terminal.lives_at(home);
    terminal
}

/// What both do at the prompt.
fn typed_into_clush(original: Option<&Path>) {
    let mut terminal = clush(original, &["-w", "n1"]);
    assert_eq!(
        terminal.until("clush> "),
        "Enter 'quit' to leave this interactive mode\nWorking with nodes: n1\n"
    );
    for (line, shown) in [
        ("echo hi", "n1: hi\n"),
        ("", ""),
        (" echo blank", "n1: blank\n"),
        ("exit 3", "clush: n1: exited with exit code 3\n"),
        ("?", "Working with nodes: n1\n"),
        ("?anything", "Working with nodes: n1\n"),
        ("+n2 ", "Working with nodes: n[1-2]\n"),
        ("- n1", "Working with nodes: n2\n"),
        ("+", "Working with nodes: n2\n"),
        (
            "+n[1",
            "clush: nodeset parse error (ignoring)\nWorking with nodes: n2\n",
        ),
        ("@n[8-9]", "Working with nodes: n[8-9]\n"),
        ("=", "Switching to gathered output format\n"),
        (
            "echo g; exit 2",
            "---------------\nn[8-9] (2)\n---------------\ng\nclush: n[8-9] (2): exited with exit code 2\n",
        ),
        ("!echo here", "LOCAL: here\n"),
        ("!exit 4", "clush: LOCAL: exited with exit code 4\n"),
        ("=", "Switching to standard output format\n"),
        ("@n1", "Working with nodes: n1\n"),
    ] {
        assert_eq!(terminal.enter(line, "clush> "), shown, "{line}");
    }
    terminal.keys("QuiT\r");
    assert_eq!(terminal.end().0, Some(0));
    assert!(terminal.is_as_before());

    let mut terminal = clush(original, &["-w", "n1"]);
    terminal.until("clush> ");
    terminal.keys("echo begun; sleep 1000\r");
    terminal.until("n1: begun\r\n");
    terminal.keys("\r");
    terminal.until("clush: interrupt (^C to abort task)\r\nclush: in progress(1): n1\r\n");
    // The original now and then loses a signal.
    if original.is_none() {
        terminal.keys("\x03");
        terminal.until("Keyboard interrupt.");
        assert_eq!(terminal.end().0, Some(130));
        let mut terminal = clush(original, &["-w", "n1"]);
        terminal.until("clush> ");
        terminal.keys("\x03");
        terminal.until("Keyboard interrupt.");
        assert_eq!(terminal.end().0, Some(130));
        assert!(terminal.is_as_before());
    }

    // The code of the last command, whatever came before. The original gives the same ones, but on a fast machine it often
    // shows no further prompt with -S and waits for ever, so it is not asked.
    let cases: &[_] = match original {
        None => &[("exit 2", 2), ("true", 0), ("!exit 9", 9)],
        Some(_) => &[],
    };
    for &(last, code) in cases {
        let mut terminal = clush(original, &["-S", "-w", "n1"]);
        terminal.until("clush> ");
        terminal.enter("exit 3", "clush> ");
        terminal.enter(last, "clush> ");
        terminal.keys("\x04");
        assert_eq!(terminal.end().0, Some(code), "{last}");
    }

    let mut terminal = clush(original, &["-n", "-w", "n1"]);
    terminal.until("clush: error: illegal option `--nostdin' in that case");
    assert_eq!(terminal.end().0, Some(2));
    let mut terminal = clush(original, &["-q", "-w", "n1"]);
    assert_eq!(terminal.until("clush> "), "Working with nodes: n1\n");
}

#[test]
fn clush_is_typed_into_as_the_original_is() {
    typed_into_clush(None);
    match std::env::var_os("HASH_ORACLE") {
        Some(folder) => typed_into_clush(Some(Path::new(&folder))),
        None => skip("no ClusterShell 1.10.1 in HASH_ORACLE"),
    }
}

#[test]
fn clush_keeps_names_and_lines_as_they_are_typed() {
    let options = ["-w", "n1", "-O", "command_prefix=echo before"];
    let mut terminal = clush(None, &options);
    terminal.until("clush> ");
    for (line, shown) in [
        ("+N2", "Working with nodes: N2,n1\n"),
        ("-n1", "Working with nodes: N2\n"),
        ("%h", "N2: before N2\n"),
        (" secret", "N2: before secret\n"),
        ("!", ""),
        (
            "+@no:such",
            "clush: Unknown group source: \"no\"\nWorking with nodes: N2\n",
        ),
        ("@", "Working with nodes: \n"),
        ("rm -rf /", "clush: no node to run on\n"),
    ] {
        let shown = shown.replace(" \n", "\n");
        assert_eq!(terminal.enter(line, "clush> "), shown, "{line}");
    }
    terminal.keys("quit\r");
    assert_eq!(terminal.end().0, Some(0));
    let history = terminal.home().join(".clush_history");
    let lines = fs::read_to_string(&history).unwrap();
    assert_eq!(lines, "+N2\n-n1\n%h\n!\n+@no:such\n@\nrm -rf /\nquit\n");
    let mode = fs::metadata(&history).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
