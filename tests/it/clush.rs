//! `clush` as a process: every way to show output, against real sshd and with `-R exec`.

use std::fs;
use std::io::{BufReader, Read};
use std::process::Stdio;

use crate::lab::{Hash, Lab, Ran, Terminal};

/// `clush` on nodes that are only names, with nothing configured.
fn exec(words: &[&str]) -> Hash {
    Hash::called("clush", [&["-R", "exec"], words].concat())
}

/// The same on a terminal, by its first word: nothing else is kept of how a program there is called.
fn on_terminal(words: &[&str]) -> Terminal {
    Terminal::hash(
        Hash::new([&["clush", "-R", "exec"], words].concat()),
        "xterm",
    )
}

/// `clush` on the nodes of a lab.
fn remote(lab: &Lab, words: &[&str]) -> Hash {
    let config = format!("-F {}", lab.ssh_config().display());
    Hash::called("clush", [&["-o", &config], words].concat())
}

/// Lines in an order that does not depend on who came first.
fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.sort_unstable();
    lines.concat()
}

/// What is left when the line of progress, which depends on time, is taken out.
fn without_progress(text: &str) -> String {
    let line = |line: &str| line.rsplit('\r').next().unwrap_or_default().to_owned();
    text.split_inclusive('\n').map(line).collect()
}

#[track_caller]
fn assert_ran(ran: &Ran, stdout: &str, stderr: &str, code: i32) {
    assert_eq!(
        (
            ran.stdout.as_str(),
            without_progress(&ran.stderr).as_str(),
            ran.code.unwrap_or(-1)
        ),
        (stdout, stderr, code),
        "{ran}"
    );
}

/// What each node of the lab does: success, failure, an end by a signal, and too long. None ends its last line.
const ALL_SORTS: &str = "case $HAPROXY_NODE in lb1|lb2) printf 'same\\r\\nend';; lb3) printf 'no\\xff\\0'; exit 3;; \
     lb4) echo x; kill -9 $$;; lb5) echo late; exec sleep 30;; esac";

/// The messages about them, in the order of nodes.
const ENDS: [&str; 4] = [
    "clush: lb3: exited with exit code 3\n",
    "clush: lb4: exited with exit code 137\n",
    "clush: lb6: exited with exit code 255\n",
    "clush: lb5: command timeout\n",
];

/// Runs [`ALL_SORTS`] on five nodes and one that is not there, in one way to show it.
fn all_sorts(lab: &Lab, options: &[&str]) -> Ran {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = closed.local_addr().expect("its number").port();
    drop(closed);
    let config = lab.dir().join("with_lb6");
    let more = format!("Host lb6\nHostName 127.0.0.1\nPort {port}\n");
    let known = fs::read_to_string(lab.ssh_config()).expect("ssh_config");
    fs::write(&config, more + &known).expect("ssh_config");
    let config = format!("-F {}", config.display());
    let words = [
        &["-o", &config, "-w", "lb[1-6]", "-u", "3"],
        options,
        &[ALL_SORTS],
    ]
    .concat();
    Hash::called("clush", words).run()
}

/// The messages that are not of the node that cannot be reached, in the order of their text.
fn messages(ran: &Ran) -> String {
    let stderr = without_progress(&ran.stderr);
    let reason = stderr.lines().find(|line| line.starts_with("lb6: "));
    let reason = reason.unwrap_or_else(|| panic!("no reason: {ran}"));
    assert!(reason.contains("refused"), "{ran}");
    sorted(&stderr.replace(&format!("{reason}\n"), ""))
}

#[test]
fn every_way_to_show_every_kind_of_end() {
    let Some(lab) = Lab::sshd_only(5) else { return };
    let ends = sorted(&ENDS.concat());

    let live = all_sorts(&lab, &[]);
    let lines = "lb1: end\nlb1: same\nlb2: end\nlb2: same\nlb3: no\u{fffd}\0\nlb4: x\nlb5: late\n";
    assert_eq!(
        (sorted(&live.stdout).as_str(), live.code),
        (lines, Some(0)),
        "{live}"
    );
    assert_eq!(messages(&live), ends, "{live}");

    let header = |nodes: &str| format!("---------------\n{nodes}\n---------------\n");
    let blocks = [
        header("lb[1-2] (2)").as_str(),
        "same\nend\n",
        &header("lb3"),
        "no\u{fffd}\0\n",
        &header("lb4"),
        "x\n",
    ]
    .concat();
    let gathered = all_sorts(&lab, &["-bS"]);
    assert_eq!(
        (gathered.stdout.as_str(), gathered.code),
        (blocks.as_str(), Some(255)),
        "{gathered}"
    );
    assert_eq!(messages(&gathered), ends, "{gathered}");

    let with_errors = all_sorts(&lab, &["-B"]);
    let (before, reason) = with_errors
        .stdout
        .split_once(&header("lb6"))
        .expect("its block");
    assert_eq!(before, blocks, "{with_errors}");
    assert!(
        reason.contains("refused") && reason.ends_with('\n'),
        "{with_errors}"
    );
    assert_eq!(
        sorted(&without_progress(&with_errors.stderr)),
        ends,
        "{with_errors}"
    );

    let lines = all_sorts(&lab, &["-L"]);
    let expected = "lb1: same\nlb1: end\nlb2: same\nlb2: end\nlb3: no\u{fffd}\0\nlb4: x\n";
    assert_eq!(lines.stdout, expected, "{lines}");
    assert_eq!(messages(&lines), ends, "{lines}");

    let columns = all_sorts(&lab, &["-bL"]);
    let expected = "lb[1-2]: same\nlb3: no\u{fffd}\0\nlb4: x\nlb5: late\nlb[1-2]: end\n";
    assert_eq!(columns.stdout, expected, "{columns}");
    assert_eq!(messages(&columns), ends, "{columns}");

    let diff = all_sorts(&lab, &["--diff"]);
    let expected = "--- lb[1-2] (2)\n+++ lb3\n@@ -1,2 +1 @@\n-same\n-end\n+no\u{fffd}\0\n\
        --- lb[1-2] (2)\n+++ lb4\n@@ -1,2 +1 @@\n-same\n-end\n+x\n\
        --- lb[1-2] (2)\n+++ lb6\n@@ -1,2 +0,0 @@\n-same\n-end\n";
    assert_eq!(diff.stdout, expected, "{diff}");
}

#[test]
fn the_systems_ssh_says_itself_what_is_wrong() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    let ran = remote(&lab, &["-R", "openssh", "-w", "lb1", "echo hi; exit 3"]).run();
    assert_ran(
        &ran,
        "lb1: hi\n",
        "clush: lb1: exited with exit code 3\n",
        0,
    );
    lab.stop("lb1/sshd");
    for worker in ["ssh", "openssh"] {
        let ran = remote(&lab, &["-R", worker, "-S", "-w", "lb1", "true"]).run();
        let said: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!((said.len(), ran.code), (2, Some(255)), "{ran}");
        assert!(
            said[0].starts_with("lb1: ") && said[0].contains("efused"),
            "{ran}"
        );
        assert_eq!(said[1], "clush: lb1: exited with exit code 255", "{ran}");
    }
}

#[test]
fn standard_input_reaches_every_node() {
    let Some(lab) = Lab::sshd_only(3) else { return };
    let many: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    let ran = remote(&lab, &["-bw", "lb[1-3]", "md5sum"])
        .stdin(many.clone())
        .run();
    let here = exec(&["-Nw", "x", "md5sum"]).stdin(many).run();
    let block = format!(
        "---------------\nlb[1-3] (3)\n---------------\n{}",
        here.stdout
    );
    assert_ran(&ran, &block, "", 0);
    // without a command the login shells read it
    let ran = remote(&lab, &["-bw", "lb[1-3]"])
        .stdin("echo in $((6 * 7))\n")
        .run();
    assert_ran(
        &ran,
        "---------------\nlb[1-3] (3)\n---------------\nin 42\n",
        "",
        0,
    );
    let ran = remote(&lab, &["-n", "-bw", "lb[1-3]", "cat; echo none"])
        .stdin("x\n")
        .run();
    assert_ran(
        &ran,
        "---------------\nlb[1-3] (3)\n---------------\nnone\n",
        "",
        0,
    );
}

#[test]
fn files_of_outputs_stay_in_their_folder() {
    let ran = exec(&[
        "-w",
        "n[1-2]",
        "--outdir",
        "out",
        "--errdir",
        "err",
        "printf 'o\\r\\377'; echo e >&2",
    ])
    .run();
    assert_eq!(ran.code, Some(0), "{ran}");
    for node in ["n1", "n2"] {
        let read =
            |folder: &str| fs::read(ran.home.path().join(folder).join(node)).expect("a file");
        assert_eq!(
            (read("out"), read("err")),
            (b"o\r\xff".to_vec(), b"e\n".to_vec())
        );
    }
    let ran = exec(&["-w", "../no-such", "--outdir", "out", "echo no"]).run();
    assert_ran(
        &ran,
        "",
        "ERROR: node `../no-such` is no file name: 'out'\n",
        1,
    );
    assert!(!ran.home.path().join("no-such").exists());
}

#[test]
fn ten_thousand_lines_of_each_node() {
    let script = "i=0; while [ $i -lt 10000 ]; do echo line $i; i=$((i + 1)); done";
    let whole: String = (0..10_000).map(|n| format!("line {n}\n")).collect();
    let ran = exec(&["-bw", "n[1-4]", script]).run();
    assert_ran(
        &ran,
        &format!("---------------\nn[1-4] (4)\n---------------\n{whole}"),
        "",
        0,
    );
    let ran = exec(&["-bLw", "n[1-4]", script]).run();
    assert_ran(&ran, &whole.replace("line", "n[1-4]: line"), "", 0);
    let ran = exec(&["-w", "n[1-4]", script]).run();
    let of_two = ran.stdout.lines().filter(|line| line.starts_with("n2: "));
    assert!(of_two.eq(whole.lines().map(|line| format!("n2: {line}"))));
    assert_eq!(ran.stdout.lines().count(), 40_000);
}

/// The most memory a process has used so far, in KiB; nothing once it has ended.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.map_or(0, |number| number.parse().expect("a number"))
}

/// Runs `clush` to its end: how many bytes it wrote, and the most memory it used, in KiB.
fn measured(hash: Hash) -> (usize, u64) {
    let (mut command, _home) = hash.into_command();
    let mut child = command.stdin(Stdio::null()).spawn().expect("clush");
    let mut out = BufReader::new(child.stdout.take().expect("stdout"));
    let mut block = vec![0; 1024 * 1024];
    let (mut total, mut most) = (0, 0);
    loop {
        let read = out.read(&mut block).expect("read");
        if read == 0 {
            break;
        }
        total += read;
        most = most.max(peak(child.id()));
    }
    assert_eq!(child.wait().expect("end").code(), Some(0));
    (total, most)
}

/// So much output; `fold` ends no last line that is not full, but clush does.
fn flood(bytes: usize) -> (String, usize) {
    let script = format!("head -c {bytes} /dev/zero | tr '\\0' x | fold -w 1023");
    (script, bytes + bytes.div_ceil(1023))
}

#[test]
fn a_gigabyte_is_shown_and_gathered_in_little_memory() {
    let (script, expected) = flood(1 << 30);
    for options in ["-N", "-bN"] {
        // As much as a run keeps if nothing else is said, with the ends of lines a little more.
        let hash = exec(&[options, "-w", "n1", &script]).env("HASH_SPOOL_MAX", "2G");
        let (total, most) = measured(hash);
        assert_eq!(total, expected, "{options}");
        assert!((1..120 * 1024).contains(&most), "{options}: {most} KiB");
    }
}

#[test]
fn much_output_of_sshd_is_shown_in_little_memory() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let (script, expected) = flood(1 << 30);
    let (total, most) = measured(remote(&lab, &["-N", "-w", "lb1", &script]));
    assert_eq!(total, expected);
    assert!((1..64 * 1024).contains(&most), "{most} KiB");
    let (script, expected) = flood(128 << 20);
    let (total, most) = measured(remote(&lab, &["-bN", "-w", "lb[1-2]", &script]));
    assert_eq!(total, expected, "it is the same");
    assert!((1..128 * 1024).contains(&most), "{most} KiB");
}

#[test]
fn a_reader_who_goes_away_ends_it_in_silence() {
    let (mut command, _home) = exec(&["-w", "n[1-3]", "yes"]).into_command();
    let mut child = command.stdin(Stdio::null()).spawn().expect("clush");
    let mut out = child.stdout.take().expect("stdout");
    out.read_exact(&mut [0; 4]).expect("a line");
    drop(out);
    let mut said = String::new();
    child
        .stderr
        .take()
        .expect("stderr")
        .read_to_string(&mut said)
        .expect("stderr");
    assert_eq!(
        (child.wait().expect("end").code(), said.as_str()),
        (Some(1), "")
    );
}

#[test]
fn enter_tells_what_is_going_on() {
    let mut terminal = on_terminal(&["-f", "2", "-w", "n[1-3]", "echo begun; sleep 1000"]);
    terminal.until(": begun");
    terminal.until(": begun");
    terminal.keys("\r");
    terminal.until("clush: interrupt (^C to abort task)");
    terminal.until("clush: in progress(2): n[1-2]");
    terminal.until("clush: pending(1): n3");
    terminal.keys("\x03");
    terminal.until("Keyboard interrupt.");
    assert_eq!(terminal.end().0, Some(130));
    assert!(terminal.is_as_before());
}

#[test]
fn ctrl_c_shows_what_was_gathered() {
    for (options, last) in [
        (&["-b"][..], "Keyboard interrupt (n[1,3] did not complete)."),
        (&["--diff"], "Keyboard interrupt."),
        (&["-bL"], "Keyboard interrupt."),
    ] {
        let script = "echo begun; test %n = 1 || exec sleep 1000";
        let mut terminal = on_terminal(&[options, &["-w", "n[1-3]", script]].concat());
        // What was written before is here when this is.
        let early = terminal.until("clush: 1/3");
        // Enter is answered in turn, so what was written before is here.
        terminal.keys("\r");
        terminal.until("in progress(2): n[1,3]");
        terminal.keys("\x03");
        terminal.until("Warning: Caught keyboard interrupt!");
        let rest = terminal.until(last);
        if options == ["-b"] {
            assert!(
                rest.contains("n[1-3] (3)") && rest.contains("begun"),
                "{rest}"
            );
        } else if options == ["-bL"] {
            assert!(early.contains("n[1-3]: begun"), "{early}");
        }
        assert_eq!(terminal.end().0, Some(130));
    }
}

#[test]
fn a_password_is_asked_for_once_and_sent_to_every_node() {
    let words = [
        "-O",
        "password_prompt=yes",
        "-w",
        "n[1-3]",
        "read p; echo got $p; ps -o args= -C hash",
    ];
    let mut terminal = on_terminal(&words);
    terminal.until("Password: ");
    terminal.keys("sesame\r");
    for _ in 0..3 {
        terminal.until(": got sesame");
    }
    let (code, rest) = terminal.end();
    assert_eq!(code, Some(0));
    assert!(!rest.contains("Password"), "{rest}");
    assert!(terminal.is_as_before());
}

#[test]
fn modes_beat_the_command_line() {
    let hash = exec(&[
        "-v",
        "-m",
        "pre",
        "-O",
        "command_prefix=no",
        "-w",
        "n1",
        "echo $A",
    ]);
    let folder = hash.home().join("config/clustershell");
    fs::create_dir_all(folder.join("clush.conf.d")).expect("folders");
    fs::write(
        folder.join("clush.conf"),
        "[Main]\nconfdir: $CFGDIR/clush.conf.d\n",
    )
    .expect("clush.conf");
    fs::write(
        folder.join("clush.conf.d/a.conf"),
        "[mode:pre]\ncommand_prefix: A=b sh -c 'echo $A'\nmaxrc: yes\n",
    )
    .expect("a.conf");
    let ran = hash.run();
    let said = "[pre] run mode activated\n[pre] command prefix: ['A=b', 'sh', '-c', 'echo $A']\n";
    assert!(ran.stdout.starts_with(said), "{ran}");
}

#[test]
fn files_go_to_the_nodes_and_come_back() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let there = lab.dir().join("there");
    fs::create_dir(&there).expect("a folder");
    let dest = there.display().to_string();
    let words = [
        "-v", "-w", "lb[1-2]", "-c", "one", "tree", "--dest", &dest, "-p",
    ];
    let push = remote(&lab, &words);
    let home = push.home().to_owned();
    fs::write(home.join("one"), "1").expect("a file");
    fs::create_dir_all(home.join("tree/deep")).expect("folders");
    fs::write(home.join("tree/deep/two"), "22").expect("a file");
    let ran = push.run();
    let said = format!("`one' -> lb[1-2]:`{dest}'\n`tree' -> lb[1-2]:`{dest}'\n");
    assert_ran(&ran, &said, "", 0);
    assert_eq!(fs::read(there.join("one")).expect("one"), b"1");
    assert_eq!(fs::read(there.join("tree/deep/two")).expect("two"), b"22");

    let (one, tree) = (format!("{dest}/one"), format!("{dest}/tree"));
    let words = ["-v", "-w", "lb[1-2]", "--rcopy", &one, &tree, "--dest", "."];
    let ran = remote(&lab, &words).run();
    let said = format!("lb[1-2]:`{one}' -> `.'\nlb[1-2]:`{tree}' -> `.'\n");
    assert_ran(&ran, &said, "", 0);
    for node in ["lb1", "lb2"] {
        let read = |name: String| fs::read(ran.home.path().join(name)).expect("a file");
        assert_eq!(read(format!("one.{node}")), b"1");
        assert_eq!(read(format!("tree.{node}/deep/two")), b"22");
    }

    let ran = remote(
        &lab,
        &["-S", "-w", "lb[1-2]", "--rcopy", "/no/such", "--dest", "."],
    )
    .run();
    assert_ne!(ran.code, Some(0), "{ran}");
    for node in ["lb1", "lb2"] {
        assert!(
            ran.stderr
                .contains(&format!("{node}: exited with exit code")),
            "{ran}"
        );
    }
}

#[test]
fn copies_here_have_placeholders() {
    let copy = exec(&["-v", "-w", "n[1-2]", "-c", "one", "--dest", "one-%h"]);
    fs::write(copy.home().join("one"), "1").expect("a file");
    let ran = copy.run();
    assert_ran(&ran, "`one' -> n[1-2]:`one-%h'\n", "", 0);
    assert_eq!(
        fs::read(ran.home.path().join("one-n2")).expect("a copy"),
        b"1"
    );
}
