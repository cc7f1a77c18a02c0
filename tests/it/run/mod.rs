//! `run`, over commands here (`-R exec`), the embedded lab and real sshd.

mod again;
mod answers;
mod sudo;
mod tailored;

use std::path::Path;
use std::process::{Command, Stdio};

use crate::lab::{Hash, find_program, skip};

/// `hash -R exec` on these nodes.
fn exec(nodes: &str, words: &[&str]) -> Hash {
    Hash::new([&["-R", "exec", "-w", nodes], words].concat())
}

/// A terminal at which somebody types: what to wait for, and what to answer to it.
pub(crate) fn at_terminal(
    line: &str,
    home: &Path,
    talk: &[(&str, &str)],
) -> Option<(Option<i32>, String)> {
    use std::io::{Read, Write};
    if find_program("script", "SCRIPT").is_none() {
        skip("script is not installed");
        return None;
    }
    let mut terminal = Command::new("script")
        .args(["-qec", line, "/dev/null"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = terminal.stdout.take().unwrap();
    let mut keyboard = terminal.stdin.take().unwrap();
    let mut all = Vec::new();
    let mut seen = 0;
    for (wait, answer) in talk {
        loop {
            let text = String::from_utf8_lossy(&all[seen..]).into_owned();
            if text.contains(wait) {
                seen = all.len();
                break;
            }
            let mut byte = [0];
            let read = shown.read(&mut byte).unwrap();
            assert_eq!(read, 1, "{wait:?} never came: {text}");
            all.push(byte[0]);
        }
        keyboard.write_all(answer.as_bytes()).unwrap();
    }
    shown.read_to_end(&mut all).unwrap();
    let code = terminal.wait().unwrap().code();
    Some((code, String::from_utf8_lossy(&all).into_owned()))
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The program under test with these words, as a line for a shell.
pub(crate) fn line(words: &[&str]) -> String {
    let words = words.iter().map(|word| quoted(word));
    let program = [env!("CARGO_BIN_EXE_hash"), "--color=never"].map(quoted);
    let program = program.into_iter();
    program.chain(words).collect::<Vec<_>>().join(" ")
}

/// The program under test without a terminal, whoever runs the tests.
pub(crate) fn without_terminal(hash: Hash) -> (Command, tempfile::TempDir) {
    let (inner, home) = hash.into_command();
    let mut command = Command::new("setsid");
    command
        .arg("-w")
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear()
        .envs(
            inner
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    (command, home)
}

/// The exit code and both outputs of a command.
pub(crate) fn ended(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}
