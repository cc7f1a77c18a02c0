//! The original tools, for tests that compare: an installed ClusterShell 1.10.1.
//!
//! `HASH_ORACLE` names the folder of its programs, else `PATH` is searched. Its interpreter starts once for
//! many cases, each of which runs in a child of it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::lab;

/// Sources of groups of every kind but the usual one: no list, a list that prints nothing or fails, with and without nodes
/// that know their groups, both ways to map, wildcards in what all nodes are.
pub(crate) const SOURCES: &str = include_str!("nodeset_oracle/sources.conf");

/// What one run is given.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) args: Vec<String>,
    pub(crate) stdin: Vec<u8>,
}

/// What one run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) code: i64,
}

/// An installed tool.
#[derive(Debug)]
pub(crate) struct Oracle {
    tool: String,
    python: PathBuf,
}

/// Runs each case in a child, so that none sees what another left behind.
const DRIVER: &str = r"
import base64, importlib, io, json, os, sys
tool, cases, answers = sys.argv[1:4]
main = importlib.import_module('ClusterShell.CLI.' + tool.capitalize()).main
with open(cases) as cases, open(answers, 'w') as answers:
    for case in cases:
        case = json.loads(case)
        files = [os.memfd_create(name) for name in ('in', 'out', 'err')]
        os.write(files[0], base64.b64decode(case['stdin']))
        os.lseek(files[0], 0, os.SEEK_SET)
        # What the parent has yet to write is not for a child that ends in its own way.
        answers.flush()
        child = os.fork()
        if child == 0:
            for number, file in enumerate(files):
                os.dup2(file, number)
            code = 1
            try:
                sys.argv = [tool] + case['args']
                sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding='utf-8', errors=sys.stdin.errors)
                main()
                code = 0
            except SystemExit as end:
                code = 0 if end.code is None else end.code if isinstance(end.code, int) else 1
            except BaseException as error:
                if sys.excepthook is sys.__excepthook__:
                    sys.stderr.write(repr(error))
                else:
                    try:
                        sys.excepthook(*sys.exc_info())
                    except SystemExit as end:
                        code = end.code if isinstance(end.code, int) else 1
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        answer = {'code': os.waitstatus_to_exitcode(status)}
        for name, file in zip(('stdout', 'stderr'), files[1:]):
            os.lseek(file, 0, os.SEEK_SET)
            answer[name] = base64.b64encode(open(file, 'rb', closefd=False).read()).decode()
        for file in files:
            os.close(file)
        answers.write(json.dumps(answer) + '\n')
";

impl Oracle {
    /// The tool of that name; `None`, with a word on stderr, if it is not installed.
    pub(crate) fn find(tool: &str) -> Option<Self> {
        let found = match std::env::var_os("HASH_ORACLE") {
            Some(folder) => Some(Path::new(&folder).join(tool)),
            None => lab::find_program(tool, "HASH_NO_SUCH_VARIABLE"),
        };
        let python = found
            .and_then(|program| fs::read(program).ok())
            .and_then(|script| {
                let script = String::from_utf8(script).ok()?;
                let line = script.lines().next()?.strip_prefix("#!")?;
                Some(PathBuf::from(line.split_whitespace().next()?))
            });
        let Some(python) = python else {
            lab::skip(&format!(
                "there is no {tool} of ClusterShell (HASH_ORACLE or PATH)"
            ));
            return None;
        };
        let oracle = Self {
            tool: tool.to_owned(),
            python,
        };
        let version = oracle.ask(
            &[Case {
                args: vec!["--version".into()],
                stdin: Vec::new(),
            }],
            &std::env::temp_dir(),
        );
        let version = String::from_utf8_lossy(&version[0].stdout).into_owned();
        if version.trim() != format!("{tool} 1.10.1") {
            lab::skip(&format!(
                "{tool} is not that of ClusterShell 1.10.1: {version}"
            ));
            return None;
        }
        Some(oracle)
    }

    /// Runs the tool itself, with this standard input, in a folder with nothing of this user's.
    pub(crate) fn run(&self, words: &[&str], home: &Path, stdin: Stdio) -> Output {
        let program = format!(
            "import sys; sys.argv[0] = {0:?}; from ClusterShell.CLI.{1} import main; main()",
            self.tool,
            self.module(),
        );
        let output = Command::new(&self.python)
            .args(["-c", &program])
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("LANG", "C.UTF-8")
            .current_dir(home)
            .stdin(stdin)
            .output();
        output.expect("start the original")
    }

    /// The name of the tool's module.
    fn module(&self) -> String {
        self.tool[..1].to_uppercase() + &self.tool[1..]
    }

    /// What the tool answers to each case, in a folder with nothing of this user's.
    pub(crate) fn ask(&self, cases: &[Case], home: &Path) -> Vec<Answer> {
        let dir = tempfile::tempdir().expect("a folder");
        let (input, output) = (dir.path().join("cases"), dir.path().join("answers"));
        let lines: String = cases
            .iter()
            .map(|case| {
                let stdin = BASE64.encode(&case.stdin);
                format!("{}\n", json!({"args": case.args, "stdin": stdin}))
            })
            .collect();
        fs::write(&input, lines).expect("write the cases");
        let status = Command::new(&self.python)
            .args(["-c", DRIVER])
            .args([
                OsStr::new(&self.tool),
                input.as_os_str(),
                output.as_os_str(),
            ])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("LANG", "C.UTF-8")
            .current_dir(home)
            .stdin(Stdio::null())
            .status();
        assert!(
            status.expect("start the oracle").success(),
            "the oracle's driver failed"
        );
        let answers = fs::read_to_string(&output).expect("read the answers");
        answers.lines().map(answer).collect()
    }
}

fn answer(line: &str) -> Answer {
    let answer: Value = serde_json::from_str(line).expect("an answer");
    let bytes = |name: &str| {
        let text = answer[name].as_str().expect("a stream");
        BASE64.decode(text.as_bytes()).expect("base64")
    };
    Answer {
        stdout: bytes("stdout"),
        stderr: bytes("stderr"),
        code: answer["code"].as_i64().expect("an exit code"),
    }
}

/// A small source of chance with a seed, the same everywhere (splitmix64).
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Seeded with `HASH_ORACLE_SEED`, else with 1, so that two runs judge the same cases; says which.
    pub(crate) fn new(what: &str) -> Self {
        let set = std::env::var("HASH_ORACLE_SEED").ok();
        let seed = set.and_then(|text| text.parse().ok()).unwrap_or(1);
        let _ = writeln!(std::io::stderr(), "{what}: HASH_ORACLE_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// How many cases: `HASH_ORACLE_CASES`, else the given number.
pub(crate) fn cases(usual: usize) -> usize {
    let set = std::env::var("HASH_ORACLE_CASES").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(usual)
}
