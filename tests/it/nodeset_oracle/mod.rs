//! `nodeset` beside the original: random command lines, equal output and exit status.
//!
//! The original is ClusterShell 1.10.1, in the folder `HASH_ORACLE` or on the path. `HASH_ORACLE_CASES` says how many
//! cases are run, `HASH_ORACLE_SEED` chooses others. What differs on purpose is in `tests/differences/nodeset.md`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

mod cases;

use crate::oracle::SOURCES;
use cases::{Dice, case};

const VERSION: &str = "1.10.1";
const DIFFERENCES: &str = include_str!("../../differences/nodeset.md");

const GROUPS_CONF: &str = include_str!("groups.conf");
const GROUPS: &str = include_str!("groups.yaml");

/// A command line and its standard input.
#[derive(Debug, Clone, PartialEq)]
struct Case {
    argv: Vec<String>,
    stdin: String,
}

/// What came of it.
#[derive(Debug, PartialEq)]
struct Answer {
    out: String,
    err: String,
    code: i32,
}

/// The original, in a process that takes one case after the other.
struct Oracle {
    child: Child,
    cases: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    /// Finds and starts it; says so if it is not there.
    fn start(home: &Path) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::var_os("HASH_ORACLE").map(PathBuf::from);
        let mut folders = folders.into_iter().chain(std::env::split_paths(&path));
        let Some(python) = folders.find_map(|folder| interpreter(&folder.join("nodeset"))) else {
            crate::lab::skip(&format!(
                "no ClusterShell {VERSION} in HASH_ORACLE or on the path"
            ));
            return None;
        };
        let mut child = isolated(Command::new(python), home)
            .args(["-c", include_str!("original.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the original");
        Some(Self {
            cases: child.stdin.take().expect("piped"),
            answers: BufReader::new(child.stdout.take().expect("piped")),
            child,
        })
    }

    fn ask(&mut self, case: &Case) -> Answer {
        let line = json!({"argv": case.argv, "stdin": case.stdin});
        writeln!(self.cases, "{line}").expect("the original reads");
        let mut answer = String::new();
        self.answers
            .read_line(&mut answer)
            .expect("the original answers");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        Answer {
            out: text("out"),
            err: text("err"),
            code: i32::try_from(answer["code"].as_i64().unwrap_or(-1)).unwrap_or(-1),
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Python that runs this script, if it is the original in the right version.
fn interpreter(script: &Path) -> Option<PathBuf> {
    let text = std::fs::read(script).ok()?;
    let line = text.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("#!")?;
    let python = line
        .split_whitespace()
        .next()
        .filter(|path| path.contains("python"))?;
    let version = Command::new(script).arg("--version").output().ok()?;
    let version = String::from_utf8(version.stdout).ok()?;
    (version.trim() == format!("nodeset {VERSION}")).then(|| python.into())
}

/// A command that sees no configuration but that of the test.
fn isolated(mut command: Command, home: &Path) -> Command {
    command
        .current_dir(home)
        .env("HOME", home)
        .env_remove("XDG_CONFIG_HOME")
        .env("CLUSTERSHELL_CFGDIR", home)
        .env("LC_ALL", "C.UTF-8");
    command
}

fn ours(case: &Case, home: &Path) -> Answer {
    let mut child = isolated(Command::new(env!("CARGO_BIN_EXE_hash")), home)
        .arg0("nodeset")
        .args(&case.argv)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start nodeset");
    // It may not care for its input.
    let _ = child
        .stdin
        .take()
        .expect("piped")
        .write_all(case.stdin.as_bytes());
    let output = child.wait_with_output().expect("nodeset ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Answer {
        out: text(output.stdout),
        err: text(output.stderr),
        code: output.status.code().unwrap_or(-1),
    }
}

/// A folder with the configuration of groups.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let write =
        |name: &str, text: &str| std::fs::write(home.path().join(name), text).expect("write");
    std::fs::create_dir(home.path().join("groups.d")).expect("a folder");
    write("groups.conf", &format!("{GROUPS_CONF}\n{SOURCES}"));
    write("groups.d/test.yaml", GROUPS);
    home
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn random_command_lines_give_what_the_original_gives() {
    let home = home();
    let Some(mut oracle) = Oracle::start(home.path()) else {
        return;
    };
    // The same cases each time, so that two runs judge the same; other seeds look further.
    let seed = number("HASH_ORACLE_SEED").unwrap_or(1);
    let cases = number("HASH_ORACLE_CASES").unwrap_or(1000);
    eprintln!("HASH_ORACLE_SEED={seed} HASH_ORACLE_CASES={cases}");
    let mut dice = Dice::new(seed);
    let mut failures = Vec::new();
    let mut crashes = 0;
    for _ in 0..cases {
        let case = case(&mut dice, home.path());
        let (theirs, ours) = (oracle.ask(&case), ours(&case, home.path()));
        // Where the original ends in a traceback of its own there is nothing to compare with.
        if theirs.err.lines().any(|line| line.starts_with("crash: ")) && ours.code != 101 {
            crashes += 1;
            continue;
        }
        if (&theirs.out, theirs.code) != (&ours.out, ours.code) {
            failures.push(format!("{case:?}\n  theirs {theirs:?}\n  ours   {ours:?}"));
        }
        if failures.len() == 20 {
            break;
        }
    }
    assert!(
        crashes * 20 <= cases,
        "the original crashed in {crashes} of {cases} cases"
    );
    assert!(
        failures.is_empty(),
        "HASH_ORACLE_SEED={seed} HASH_ORACLE_CASES={cases}\n{}",
        failures.join("\n")
    );
}

#[test]
fn the_differences_are_those_listed() {
    let home = home();
    let mut oracle = Oracle::start(home.path());
    let rows = DIFFERENCES
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [command, theirs, our, _reason] = cells.as_slice() else {
            panic!("{row} does not have four cells");
        };
        let (input, command) = match command.trim_matches('`').split_once("' ; nodeset") {
            Some((input, command)) => (input.trim_start_matches("printf '"), command),
            None => ("", command.trim_matches('`').trim_start_matches("nodeset")),
        };
        let argv = std::iter::once("--groupsconf=./groups.conf").chain(command.split_whitespace());
        let case = Case {
            argv: argv
                .map(|word| word.trim_matches('\'').to_owned())
                .collect(),
            stdin: input.replace("\\n", "\n"),
        };
        let shown = |answer: &Answer| match answer.code {
            0 => format!("`{}`", answer.out.trim_end().replace('\n', " ")),
            code => format!("exit {code}"),
        };
        if let Some(oracle) = &mut oracle {
            assert_eq!(shown(&oracle.ask(&case)), *theirs, "theirs: {row}");
        }
        assert_eq!(shown(&ours(&case, home.path())), *our, "ours: {row}");
        count += 1;
    }
    assert!(count > 5, "the table has rows");
}
