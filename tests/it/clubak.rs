//! `clubak` as a process: large input, long lines, events, and what happens when nobody reads.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::lab::{Hash, Terminal};

fn clubak(args: &[&str], stdin: impl Into<Vec<u8>>) -> crate::lab::Ran {
    Hash::called("clubak", args).stdin(stdin).run()
}

#[test]
fn events_of_our_own_are_regrouped() {
    let event = |node: &str, line: &str| {
        format!(
            "{{\"event\":\"line\",\"line\":\"{line}\",\"node\":\"{node}\",\"stream\":\"stdout\",\"time\":\"x\",\"v\":1}}\n"
        )
    };
    let mut input = "{\"event\":\"started\",\"node\":\"lb1\",\"v\":1}\n".to_owned();
    for node in ["lb1", "lb2", "lb3"] {
        input += &event(node, "up 3 days");
        input += &event(node, if node == "lb3" { "load 9" } else { "load 0" });
    }
    input += "{\"event\":\"line\",\"line_b64\":\"/w==\",\"node\":\"lb3\",\"v\":1}\n";
    input += "{\"event\":\"summary\",\"v\":1}\n";
    let ran = clubak(&["-bL"], input);
    assert_eq!(
        ran.stdout,
        "lb[1-2]: up 3 days\nlb[1-2]: load 0\nlb3: up 3 days\nlb3: load 9\nlb3: \u{fffd}\n",
        "{ran}"
    );
    let ran = clubak(&["-b"], "{\"event\":\"started\",\"v\":1}\nn1: text\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert_eq!(ran.stderr, "clubak: not an event: \"n1: text\"\n");
}

#[test]
fn output_of_pdsh_and_of_clush_is_the_same_to_it() {
    let ran = clubak(&["-b"], "web1: a\nweb2: a\nweb3: b\n");
    assert_eq!(
        ran.stdout,
        "---------------\nweb[1-2] (2)\n---------------\n a\n---------------\nweb3\n---------------\n b\n"
    );
}

#[test]
fn a_million_lines_and_a_line_of_a_hundred_megabytes() {
    let mut input = Vec::new();
    for line in 0..1_000 {
        for node in 0..1_000 {
            writeln!(input, "n{node}: line {line}").expect("write into memory");
        }
    }
    let ran = clubak(&["-b"], input);
    assert_eq!(
        (ran.code, ran.bytes.len()),
        (Some(0), expected_len()),
        "{}",
        ran.stderr
    );

    let mut input = b"n1: ".to_vec();
    let long = 100_000_000;
    input.resize(input.len() + long, b'x');
    input.extend_from_slice(b"\r\r\nn2: short\n");
    let ran = clubak(&["-N"], input);
    assert_eq!((ran.code, ran.bytes.len()), (Some(0), 1 + long + 1 + 7));
}

/// The header block of a thousand nodes, and the thousand lines.
fn expected_len() -> usize {
    let lines: usize = (0..1_000)
        .map(|line: i32| format!(" line {line}\n").len())
        .sum();
    "---------------\nn[0-999] (1000)\n---------------\n".len() + lines
}

#[test]
fn a_full_disk_is_said_and_a_reader_that_left_is_not() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let (mut command, _home) = Hash::called("clubak", ["-b"]).into_command();
    let mut child = command
        .stdout(Stdio::from(full.expect("open /dev/full")))
        .spawn()
        .expect("start clubak");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"n1: x\n").expect("write");
    drop(stdin);
    let output = child.wait_with_output().expect("wait");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        output.stderr,
        b"ERROR: [Errno 28] No space left on device\n"
    );

    let (mut command, _home) = Hash::called("clubak", ["-L"]).into_command();
    let mut child = command.spawn().expect("start clubak");
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut stdin = child.stdin.take().expect("a pipe");
    for line in 0..100_000 {
        writeln!(stdin, "n1: {line}").expect("write");
    }
    drop(stdin);
    stdout.read_exact(&mut [0; 10]).expect("read a little");
    drop(stdout);
    let output = child.wait_with_output().expect("wait");
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(1), b"".as_slice())
    );
}

#[test]
fn what_nodes_print_runs_no_command() {
    let groups = tempfile::tempdir().expect("a folder");
    let conf = groups.path().join("groups.conf");
    std::fs::write(&conf, "[x]\nmap: echo $GROUP\n").expect("write");
    let conf = format!("--groupsconf={}", conf.display());
    let mark = groups.path().join("hacked");
    let ran = clubak(
        &["-bL", &conf],
        format!("@$(touch {}): x\n", mark.display()),
    );
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(!mark.exists());
}

#[test]
fn a_closed_input_is_empty_and_a_folder_is_an_error() {
    let (mut command, _home) = Hash::called("clubak", ["-b"]).into_command();
    let folder = std::fs::File::open("/tmp").expect("open a folder");
    let output = command
        .stdin(Stdio::from(folder))
        .output()
        .expect("run clubak");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stderr, b"ERROR: [Errno 21] Is a directory\n");
    assert_eq!(clubak(&["-b"], "").bytes, b"");
}

#[test]
fn keys_and_echoes_are_only_shown_on_a_terminal() {
    for options in [&[][..], &["-b"], &["-bL"], &["-T"], &["-v"], &["--diff"]] {
        let words = [&["clubak", "--color=never"], options].concat();
        let (command, home) = Hash::new(words).into_command();
        let line = r#"printf 'a\033=\007b: one\nc\033=\007d: two\n' | "$0" "$@""#;
        let mut shell = Command::new("sh");
        shell
            .args(["-c", line])
            .arg(command.get_program())
            .args(command.get_args())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path());
        let mut terminal = Terminal::start(&mut shell);
        let (code, shown) = terminal.end();
        assert_eq!(code, Some(0), "{shown}");
        let bytes = terminal.bytes();
        assert!(!bytes.contains(&0x1b) && !bytes.contains(&7), "{shown:?}");
        assert!(shown.contains(r"a\x1b=\x07b"), "{shown}");
    }
}
