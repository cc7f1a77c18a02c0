//! `milkcheck` on the cases of `tests/milkcheck`: `recorded` from MilkCheck 1.2.4, `ours` from its rules.
//!
//! A case is a folder with `cmd` (one line for the shell, run in a copy of the folder), `stdout`, `exit`, and
//! `stderr` where it matters. Durations read `ran in T s` and log times `[TIME]`. With `MILKCHECK_RECORD=1` the
//! expected files are written from what the program says; read them before you keep them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

struct Result {
    stdout: String,
    stderr: String,
    exit: String,
}

#[test]
fn recorded_cases() {
    run_all("recorded");
}

#[test]
fn cases_of_our_own() {
    run_all("ours");
}

fn run_all(set: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/milkcheck")
        .join(set);
    let bin = tempfile::tempdir().unwrap();
    for name in ["milkcheck", "hapsh"] {
        symlink(env!("CARGO_BIN_EXE_hash"), bin.path().join(name)).unwrap();
    }
    let mut cases: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    let wrong = Mutex::new(Vec::new());
    let todo = Mutex::new(cases.iter());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(case) = todo.lock().unwrap().next() else {
                        return;
                    };
                    if let Err(difference) = check(case, bin.path()) {
                        wrong.lock().unwrap().push(difference);
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(case: &Path, bin: &Path) -> std::result::Result<(), String> {
    let result = execute(case, bin);
    let parts = [
        ("exit", format!("{}\n", result.exit)),
        ("stdout", result.stdout),
        ("stderr", result.stderr.clone()),
    ];
    let mut difference = String::new();
    for (name, got) in parts {
        let file = case.join(name);
        if name == "stderr" && !file.exists() {
            continue;
        }
        if std::env::var_os("MILKCHECK_RECORD").is_some() {
            fs::write(&file, got).unwrap();
            continue;
        }
        let wanted = fs::read_to_string(&file).unwrap_or_default();
        if wanted.trim_end() != got.trim_end() || name != "exit" && wanted != got {
            difference += &format!("--- {name}: expected\n{wanted}--- got\n{got}");
        }
    }
    if difference.is_empty() {
        return Ok(());
    }
    let name = case.file_name().unwrap().to_string_lossy();
    Err(format!(
        "==== {name}\n{difference}--- stderr was\n{}",
        result.stderr
    ))
}

fn execute(case: &Path, bin: &Path) -> Result {
    let scratch = tempfile::tempdir().unwrap();
    copy(case, scratch.path());
    for made in ["stdout", "stderr", "exit"] {
        let _ = fs::remove_file(scratch.path().join(made));
    }
    let command = fs::read_to_string(case.join("cmd")).unwrap();
    let path = std::env::join_paths(
        std::iter::once(bin.to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    // A session of its own, so that no terminal is in reach.
    let output = Command::new("setsid")
        .args(["--wait", "/bin/sh", "-c", command.trim()])
        .current_dir(scratch.path())
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", scratch.path())
        .env_remove("COLUMNS")
        .env_remove("LINES")
        .env_remove("MILKCHECK_CONF")
        .env_remove("XDG_STATE_HOME")
        .env_remove("XDG_CONFIG_HOME")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Result {
        stdout: normalised(&String::from_utf8_lossy(&output.stdout)),
        stderr: normalised(&String::from_utf8_lossy(&output.stderr)),
        exit: output
            .status
            .code()
            .map_or("signal".into(), |code| code.to_string()),
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// `ran in 1.23 s` becomes `ran in T s`, `[12:34:56]` becomes `[TIME]`.
fn normalised(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['[', 'r']) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        let skipped = clock(rest)
            .map(|length| ("[TIME]", length))
            .or_else(|| duration(rest).map(|length| ("ran in T s", length)));
        match skipped {
            Some((word, length)) => {
                shown.push_str(word);
                rest = &rest[length..];
            }
            None => {
                shown.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    shown + rest
}

fn clock(text: &str) -> Option<usize> {
    let inner = text.get(1..9)?;
    let shape: String = inner
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    (text.starts_with('[') && shape == "00:00:00" && text[9..].starts_with(']')).then_some(10)
}

fn duration(text: &str) -> Option<usize> {
    let number = text.strip_prefix("ran in ")?;
    let length = number.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    (length > 0 && number[length..].starts_with(" s")).then_some("ran in ".len() + length + 2)
}

#[test]
fn times_are_normalised() {
    assert_eq!(
        normalised("[12:34:56] ERROR [a] start ran in 0.04 s\n> ran"),
        "[TIME] ERROR [a] start ran in T s\n> ran"
    );
}
