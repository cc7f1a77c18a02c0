//! `nodeset` beside the original: random command lines, equal output and exit status.
//!
//! The original is ClusterShell 1.10.1, in the folder `HASH_ORACLE` or on the path. `HASH_ORACLE_CASES` says how many
//! cases are run, `HASH_ORACLE_SEED` chooses others. What differs on purpose is in `tests/differences/nodeset.md`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

const VERSION: &str = "1.10.1";
const DIFFERENCES: &str = include_str!("../differences/nodeset.md");

const GROUPS_CONF: &str = "[Main]\ndefault: roles\nautodir: $CFGDIR/groups.d\n\
    [up]\nmap: test $GROUP = web && echo 'web[1-4]' || true\nall: echo 'web[1-4],db[1-2]'\nlist: echo web db\n";
const GROUPS: &str = "roles:\n  adm: 'n0'\n  io: '@racks:r1,n2'\n  compute: 'n[3-8]'\n  gpu: 'n[7-8]'\n  empty:\n  \
    all: 'n[0-8]'\n  grid: 'a[1-3]b[1-3]'\nracks:\n  r1: 'n[0-1]'\n  r2: 'n[2-4]'\n  r3: 'n[5-8]'\n  r10: 'n8 n9'\n  \
    lst:\n  - 'n[0-1]'\n  - 'n5'\n";

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
            .args(["-c", include_str!("nodeset_oracle.py")])
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
    write("groups.conf", GROUPS_CONF);
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
    let mut dice = Dice(seed);
    let mut failures = Vec::new();
    let mut crashes = 0;
    for _ in 0..cases {
        let case = case(&mut dice, home.path());
        let (theirs, ours) = (oracle.ask(&case), ours(&case, home.path()));
        // Where the original ends in a traceback of its own there is nothing to compare with.
        if theirs.err.starts_with("crash: ") && ours.code != 101 {
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

/// Random numbers that come again with the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap_or(0)
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.roll(choices.len())]
    }
}

/// An index, most often small, sometimes padded.
fn index(dice: &mut Dice) -> String {
    let limit = [4, 12, 30, 120, 1200][dice.roll(5)];
    let number = dice.roll(limit);
    match dice.roll(6) {
        0 => format!("{number:02}"),
        1 if dice.one_in(2) => format!("{number:03}"),
        _ => number.to_string(),
    }
}

fn range(dice: &mut Dice, negative: bool) -> String {
    let (low, more) = (dice.roll(14), dice.roll(9));
    let high = low + more;
    match dice.roll(9) {
        0 => format!("{low:02}-{high:02}"),
        1 => format!("{low:03}-{high:03}"),
        2 => format!("{low}-{}/{}", high + 4, dice.roll(4) + 1),
        3 | 4 => index(dice),
        5 => format!("{}-{}", low + 95, high + 97),
        6 if negative => format!("-{}-{more}", dice.roll(5) + 1),
        _ => format!("{low}-{high}"),
    }
}

fn rangeset(dice: &mut Dice) -> String {
    let ranges: Vec<String> = (0..=dice.roll(3)).map(|_| range(dice, false)).collect();
    ranges.join(",")
}

/// A name in which each `%` is an index or a range set.
fn pattern(dice: &mut Dice, shapes: &[&str]) -> String {
    let mut out = String::new();
    for char in dice.pick(shapes).chars() {
        match char {
            '%' if dice.one_in(2) => out.push_str(&index(dice)),
            '%' => out.push_str(&format!("[{}]", rangeset(dice))),
            char => out.push(char),
        }
    }
    out
}

const SHAPES: &[&str] = &[
    "n%", "n%", "n%", "m%", "n%x", "%", "node", "a%b%", "a%b%", "a%b%", "x%y%z%", "n%-ib%", "é%",
    "s p%",
];
const GRIDS: &[&str] = &["a%b%", "a%b%", "x%y%z%"];
const SPECIAL: &[&str] = &[
    "@adm",
    "@io",
    "@compute",
    "@racks:r1",
    "@racks:r[1-3]",
    "@racks:lst",
    "@*",
    "@racks:*",
    "@up:web",
    "@nogroup",
    "@@",
    "@@racks",
    "n*",
    "n?",
    "*",
    "n[1-3]*",
    "*[3-8]",
    "a*b?",
    "zz*",
    "@grid",
    "@empty",
    "@",
    "@roles:gpu",
];
const WRONG: &[&str] = &[
    "n[1-010]",
    "n[5-1]",
    "n[1-5/0]",
    "n[1/2]",
    "n[1-5/a]",
    "n[]",
    "n[1,]",
    "n[a]",
    "n[-01]",
    "n[1-5/2]5",
    "n[1",
    "n1]",
    "n[1]]",
    "n[[1]]",
    "n[1-2][3-4]",
    "n1,,n2",
    "n1,",
    ",",
    "!n1",
    "n1!!n2",
    "@nosrc:x",
    "@@nosrc",
    "n]1[",
    "@adm[",
    "n1,&n2",
    "n[1]5[2]",
    "n[1-2],x,y]",
    "n[ ]",
    "n[1--3]",
    "n[::1]",
    "n[1-2000000000]",
];

fn expression(dice: &mut Dice) -> String {
    let shapes = if dice.one_in(3) { GRIDS } else { SHAPES };
    let mut out = String::new();
    for place in 0..=dice.roll(4) {
        if place > 0 {
            out.push_str(dice.pick(&[",", ",", ",", ",", "!", "!", "&", "^", " , ", "! "]));
        }
        match dice.roll(40) {
            0..5 => out.push_str(dice.pick(SPECIAL)),
            5 => out.push_str(&format!("n[{}]", range(dice, true))),
            6 => out.push_str(&format!("n[1-{}]{}", dice.roll(12) + 1, dice.roll(30))),
            7 => out.push_str(&format!("n{}[1-{}]", dice.roll(30), dice.roll(8) + 2)),
            8 if dice.one_in(4) => out.push_str(dice.pick(WRONG)),
            _ => out.push_str(&pattern(dice, shapes)),
        }
    }
    out
}

/// Many irregular names of more than one dimension.
fn grid(dice: &mut Dice) -> String {
    let (width, height, depth) = (dice.roll(12) + 1, dice.roll(12) + 1, dice.roll(3) + 1);
    let deep = dice.one_in(3);
    let names: Vec<String> = (0..dice.roll(60))
        .map(|_| {
            let (a, b) = (dice.roll(width), dice.roll(height));
            let padding = usize::from(dice.one_in(12)) + 1;
            if deep {
                format!("a{a}b{b:0padding$}c{}", dice.roll(depth))
            } else {
                format!("a{a:0padding$}b{b}")
            }
        })
        .collect();
    names.join(",")
}

fn operand(dice: &mut Dice) -> String {
    if dice.one_in(5) {
        grid(dice)
    } else {
        expression(dice)
    }
}

fn case(dice: &mut Dice, home: &Path) -> Case {
    let mut argv = vec![format!("--groupsconf={}/groups.conf", home.display())];
    let push = |argv: &mut Vec<String>, words: &[&str]| {
        argv.extend(words.iter().map(|word| (*word).to_owned()))
    };
    let ranges = dice.one_in(10);
    let operand = |dice: &mut Dice| {
        if ranges {
            rangeset(dice)
        } else {
            operand(dice)
        }
    };
    let command = dice.pick(if ranges {
        &["-f", "-f", "-e", "-c", "-fR"]
    } else {
        &[
            "-f", "-f", "-f", "-f", "--fold", "-e", "-e", "-c", "--count", "-r", "-l", "-ll",
            "-lll", "-L", "-LL", "-ef", "-q",
        ]
    });
    push(&mut argv, &[command]);
    if ranges {
        push(&mut argv, &["-R"]);
    }
    let lists = command.starts_with("-l") || command.starts_with("-L");
    for _ in 0..dice.roll(3) {
        match dice.roll(26) {
            // Autostep in lists of groups differs on purpose.
            0 | 1 if lists => {}
            0 | 1 => push(
                &mut argv,
                &[
                    "--autostep",
                    dice.pick(&["2", "3", "4", "auto", "50%", "80%", "100%", "0", "x"]),
                ],
            ),
            2 | 3 => push(
                &mut argv,
                &[
                    "--axis",
                    dice.pick(&["1", "2", "1-2", "-1", "-2", "3", "0", "1,3", "x", "-1-2"]),
                ],
            ),
            4 => push(
                &mut argv,
                &[
                    "-S",
                    dice.pick(&[",", "\\n", "", "\\x41", "'", "é", "\\t", " , "]),
                ],
            ),
            5 | 6 => push(
                &mut argv,
                &[
                    "-O",
                    dice.pick(&[
                        "x%s", "%s-ib0", "%s.x", "%s0", "%%%s", "%5s", "%d", "x", "%s%s", "%-7s|",
                        "%", "%s5%%",
                    ]),
                ],
            ),
            7 | 8 => {
                let positions = rangeset(dice);
                push(&mut argv, &["-I", &positions]);
            }
            9 | 10 => push(
                &mut argv,
                &[
                    "--split",
                    dice.pick(&["1", "2", "3", "7", "100", "0", "-2", "x"]),
                ],
            ),
            11 => push(&mut argv, &["--contiguous"]),
            12 => push(
                &mut argv,
                &[dice.pick(&["--pick=0", "--pick=-1", "--pick=100000", "--pick=x"])],
            ),
            13 => push(&mut argv, &["-a"]),
            14 => push(
                &mut argv,
                &["-s", dice.pick(&["racks", "up", "roles", "nosrc"])],
            ),
            // Where it lists all sources the original looks the groups up in the default source then.
            15 if !command.starts_with("-L") => push(&mut argv, &["-G"]),
            16 => push(&mut argv, &["-q"]),
            17..20 => {
                let text = operand(dice);
                push(
                    &mut argv,
                    &[dice.pick(&["-x", "-i", "-X", "--exclude", "--xor"]), &text],
                );
            }
            20 if dice.one_in(3) => push(
                &mut argv,
                &[dice.pick(&[
                    "--s",
                    "--bad",
                    "-Z",
                    "--groupsources",
                    "--completion",
                    "--fold=1",
                ])],
            ),
            21 if dice.one_in(2) => push(
                &mut argv,
                &[
                    "--index",
                    dice.pick(&["n1", "n3", "a1b1", "a2b2", "n[1-2]", "5"]),
                ],
            ),
            _ => {}
        }
    }
    for _ in 0..dice.roll(4) {
        if dice.one_in(4) {
            push(
                &mut argv,
                &[dice.pick(&["-x", "-i", "-X", "--exclude", "--intersection", "--xor"])],
            );
        }
        let word = if dice.one_in(15) {
            "-".into()
        } else {
            operand(dice)
        };
        argv.push(word);
    }
    let mut stdin = String::new();
    for _ in 0..dice.roll(4) {
        let text = operand(dice);
        stdin.push_str(&text.replace(' ', ""));
        stdin.push_str(dice.pick(&[" ", "\n", "\n", " # comment\n", "\t", "\n\n"]));
    }
    // Without the end of its last line the original loses a character.
    stdin.push('\n');
    Case { argv, stdin }
}
