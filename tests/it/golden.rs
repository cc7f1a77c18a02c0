//! Golden cases: a folder of `tests/golden` each, run and compared byte for byte.
//!
//! A case has `args` (an argument a line; the first line is the name that is called) and what must come of it: `stdout`,
//! `stderr` and `code`. It may have `stdin`, `config.toml` and other files, which lie in the folder where the program
//! runs; with `-R exec` a script among them can play the nodes. Times are replaced by `TIME`.
//! `SNAPSHOTS=overwrite cargo test --test it golden` writes what must come anew: read the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use snapbox::{Assert, Data};

use crate::lab::Hash;

/// What a case expects; everything else in its folder is put where the program runs.
const EXPECTED: [&str; 3] = ["stdout", "stderr", "code"];

fn run(case: &Path) -> [(&'static str, String); 3] {
    let read = |name: &str| fs::read_to_string(case.join(name)).ok();
    let args = read("args").unwrap_or_else(|| panic!("{} has no args", case.display()));
    let mut words = args.lines();
    let name = words.next().expect("the first line of args is the name");
    let mut hash = Hash::called(name, words).stdin(read("stdin").unwrap_or_default());
    if let Some(toml) = read("config.toml") {
        hash = hash.config(&toml);
    }
    for file in fs::read_dir(case).expect("case").flatten() {
        if !EXPECTED.contains(&file.file_name().to_string_lossy().as_ref()) {
            fs::copy(file.path(), hash.home().join(file.file_name())).expect("copy");
        }
    }
    let home = hash.home().display().to_string();
    let ran = hash.run();
    let code = ran
        .code
        .map_or("signal".to_owned(), |code| code.to_string());
    let tidy = |text: &str| without_times(&text.replace(&home, "HOME"));
    [
        ("stdout", tidy(&ran.stdout)),
        ("stderr", tidy(&ran.stderr)),
        ("code", format!("{code}\n")),
    ]
}

/// Replaces the values of JSON's `time` and `seconds`.
fn without_times(text: &str) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some(at) = ["\"time\":", "\"seconds\":"]
        .iter()
        .filter_map(|key| Some(rest.find(key)? + key.len()))
        .min()
    {
        let (before, value) = rest.split_at(at);
        done += before;
        done += "TIME";
        let end = value.find([',', '}']).unwrap_or(value.len());
        rest = &value[end..];
    }
    done + rest
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<_> = fs::read_dir(folder)
        .expect("tests/golden")
        .map(|case| case.expect("case").path())
        .collect();
    cases.sort();
    cases
}

#[test]
fn every_case_comes_out_as_written() {
    let assert = Assert::new().action_env("SNAPSHOTS");
    let cases = cases();
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for case in cases {
        for (name, actual) in run(&case) {
            let expected = Data::read_from(&case.join(name), None).raw();
            if let Err(difference) = assert.try_eq(Some(&case.display()), actual.into(), expected) {
                wrong.push(difference.to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn times_are_taken_out() {
    let text = r#"{"time":"2026-01-01T00:00:00Z","x":1,"seconds":0.5} {"seconds":2}"#;
    let expected = r#"{"time":TIME,"x":1,"seconds":TIME} {"seconds":TIME}"#;
    assert_eq!(without_times(text), expected);
}
