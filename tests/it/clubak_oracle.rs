//! `clubak` beside the original on random input: equal output and exit status, but for what
//! `tests/differences/clubak.md` lists.

use std::fs;

use crate::lab::Hash;
use crate::oracle::{Answer, Case, Chance, Oracle, SOURCES, cases};

const GROUPS: &str = "[Main]\ndefault: roles\n[roles]\nmap: sed -n 's/^$GROUP: *//p' $CFGDIR/roles\n\
    all: echo n[1-12]\nlist: sed 's/:.*//' $CFGDIR/roles\n[racks]\nmapall: cat $CFGDIR/racks\n";
const ROLES: &str = "gpu: n[7-8]\nio: n[1-2]\none: n3\nempty: \nbig: n[1-9]\n";
const RACKS: &str = "r1: n[1-4]\nr2: n[5-8]\nlst: n1,n5\n";

/// Whether keys are read as node sets in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Sets,
    Plain,
}

/// A case, and what is known about it.
#[derive(Debug)]
struct Sample {
    case: Case,
    keys: Keys,
    /// The order of plain keys in a label is left to chance by the original.
    unordered: bool,
}

/// The sources that `-s` names.
const GROUP_SOURCES: &[&str] = &[
    "racks", "racks", "roles", "bare", "mute", "sour", "sick", "both", "wild", "turn", "many",
];

const NODES: &[&str] = &[
    "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9", "n10", "n11", "n12", "foo", "a-b", "n01",
    "n007", "rack1n1", "rack1n2", "rack2n1", "rack2n2", "5", "é1", "n1-ib0", "10.0.0.1",
];
const SETS: &[&str] = &[
    "n[1-3]",
    "n1,n2",
    " n4 ",
    "n[1-12]!n5",
    "@gpu",
    "@racks:r1",
    "@empty",
    "n*",
    "n[2-9/3]",
    "rack[1-2]n[1-2]",
    "\tn6",
    "n[1-3]&n[2-5]",
    "n[07-09]",
    "n1^n[1-2]",
];
/// Those of [`SETS`] that are none of [`NODES`] where keys are taken as they stand.
const PLAIN_SETS: &[&str] = &[
    "n[1-3]",
    "n1,n2",
    "n[1-12]!n5",
    "@gpu",
    "@racks:r1",
    "@empty",
    "n*",
    "n[2-9/3]",
    "rack[1-2]n[1-2]",
    "n[1-3]&n[2-5]",
    "n[07-09]",
    "n1^n[1-2]",
];
const BROKEN: &[&str] = &["n[1", "n1]", "n1,,n2", "n[5-1]", "n[a]", "!n1"];
const TEXTS: &[&str] = &[
    " aaa",
    " bbb",
    " ccc",
    "",
    " ",
    " déjà vu",
    " x: y",
    "\t",
    " aaa ",
    "  two",
    " \u{1}\u{7f}",
    " a\rb",
    " €",
];
const BAD_BYTES: &[&[u8]] = &[b" \xff", b" \xe2\x82", b"\xc3(", b" \xf0\x9f\x98 x"];

fn sample(chance: &mut Chance, groupsconf: &str) -> Sample {
    let mut args: Vec<String> = Vec::new();
    let trace = chance.once_in(6);
    let mut regroup = false;
    let mut gather = false;
    let mut diff = false;
    for _ in 0..chance.below(5) {
        match chance.below(14) {
            0..=2 => {
                gather = true;
                args.push((*chance.pick(&["-b", "-c", "-B", "--dshbak"])).into());
            }
            3..=4 => {
                args.push("-L".into());
            }
            5 => args.push("-N".into()),
            6 => {
                args.push((*chance.pick(&["-q", "--quiet", "-v", "-d", "-G", "--verbose"])).into())
            }
            7 => {
                regroup = true;
                args.push("-r".into());
            }
            8 => args.extend(["-s".into(), (*chance.pick(GROUP_SOURCES)).into()]),
            9 => args.push(format!(
                "--axis={}",
                chance.pick(&["1", "2", "-1", "1-2", "0", "", "x"])
            )),
            10 => args.push(format!(
                "--color={}",
                chance.pick(&["always", "never", "auto", "", "red"])
            )),
            11 => {
                diff = true;
                args.push("--diff".into());
            }
            12 => {
                args.push((*chance.pick(&["-F", "--outdir=x", "--bogus", "--dif", "word"])).into())
            }
            _ => args.push("-bL".into()),
        }
    }
    diff |= args.iter().any(|arg| arg == "--dif");
    if diff {
        // The original reads everything before it refuses -L, and with -F takes whole outputs for lines.
        args.retain(|arg| !["-L", "-bL", "-F"].contains(&arg.as_str()));
    }
    gather |= args.iter().any(|arg| arg == "-bL") || regroup || diff;
    let separator = if chance.once_in(6) {
        let separator = *chance.pick(&["->", "::", "é", " "]);
        args.splice(0..0, ["-S".into(), separator.into()]);
        separator
    } else {
        ":"
    };
    // Keys that are no sets make the original fail with -r and -T; those that are some may be taken as they stand.
    let plain_allowed = !regroup && !trace;
    let mut keys = Keys::Sets;
    if !regroup && chance.once_in(6) {
        keys = Keys::Plain;
        args.splice(0..0, ["--interpret-keys=never".into()]);
    } else if chance.once_in(8) {
        args.splice(
            0..0,
            [format!(
                "--interpret-keys={}",
                chance.pick(&["auto", "always"])
            )],
        );
    }
    if trace {
        args.splice(0..0, ["-T".into()]);
    }
    args.splice(0..0, [format!("--groupsconf={groupsconf}")]);

    let always = args.iter().any(|arg| arg == "--interpret-keys=always");
    let mut stdin = Vec::new();
    let texts = 1 + chance.below(TEXTS.len());
    let count = if chance.once_in(12) {
        0
    } else {
        1 + chance.below(30)
    };
    for _ in 0..count {
        if chance.once_in(300) {
            stdin.extend_from_slice(chance.pick::<&[u8]>(&[
                b"no separator in here\n".as_slice(),
                b"\n",
                b" : x\n",
                b"\r\n",
            ]));
            continue;
        }
        let key = match chance.below(40) {
            0 if plain_allowed || always => {
                keys = if always { keys } else { Keys::Plain };
                *chance.pick(BROKEN)
            }
            1..=9 => *chance.pick(SETS),
            10..=24 => NODES[chance.below(4)],
            _ => *chance.pick(NODES),
        };
        stdin.extend_from_slice(key.as_bytes());
        stdin.extend_from_slice(separator.as_bytes());
        // With --diff the original leaves out bytes that are not UTF-8.
        if !diff && chance.once_in(25) {
            stdin.extend_from_slice(chance.pick::<&[u8]>(BAD_BYTES));
        } else {
            stdin.extend_from_slice(TEXTS[chance.below(texts)].as_bytes());
        }
        stdin.extend_from_slice(chance.pick::<&[u8]>(&[
            b"\n".as_slice(),
            b"\n",
            b"\n",
            b"\n",
            b"\r\n",
        ]));
    }
    if trace && count > 0 {
        // No node's lines are the beginning of another's: there the original shows what some did not say.
        for node in NODES {
            stdin.extend_from_slice(format!("{node}{separator}the end\n").as_bytes());
        }
        let more: &[&str] = match keys {
            Keys::Sets => &["n07", "n08", "n09"],
            Keys::Plain => PLAIN_SETS,
        };
        for node in more {
            stdin.extend_from_slice(format!("{node}{separator}the end\n").as_bytes());
        }
    }
    if chance.once_in(5) && stdin.ends_with(b"\n") {
        stdin.pop();
    }
    Sample {
        case: Case { args, stdin },
        keys,
        unordered: keys == Keys::Plain && gather && !trace,
    }
}

/// Lines with the names in each of them in order: what is left to chance is gone then.
fn ordered(bytes: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(bytes);
    let names = |line: &str| {
        let line = line
            .replace("\x1b[94m", "")
            .replace("\x1b[0m", "")
            .replace("\x1b[1m", "");
        let (sign, line) = match line.split_at_checked(4) {
            Some((sign @ ("--- " | "+++ "), line)) => (sign.to_owned(), line.to_owned()),
            _ => (String::new(), line),
        };
        let (label, rest) = match line.split_once(": ") {
            Some(parts) => parts,
            None => (line.strip_suffix(':').unwrap_or(&line), ""),
        };
        let (label, number) = label.split_once(" (").unwrap_or((label, ""));
        let mut names: Vec<String> = label.split(',').map(str::to_owned).collect();
        names.sort();
        names.extend([sign, number.to_owned(), rest.to_owned()]);
        names
    };
    text.lines().map(names).collect()
}

#[test]
fn random_input_is_shown_as_the_original_shows_it() {
    let Some(oracle) = Oracle::find("clubak") else {
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let groups = format!("{GROUPS}{SOURCES}");
    for (name, text) in [
        ("groups.conf", groups.as_str()),
        ("roles", ROLES),
        ("racks", RACKS),
    ] {
        fs::write(dir.path().join(name), text).expect("write the groups");
    }
    let groupsconf = dir.path().join("groups.conf").display().to_string();
    let mut chance = Chance::new("clubak");
    let samples: Vec<Sample> = (0..cases(300))
        .map(|_| sample(&mut chance, &groupsconf))
        .collect();
    let asked: Vec<Case> = samples.iter().map(|sample| sample.case.clone()).collect();
    let answers = oracle.ask(&asked, dir.path());
    assert_eq!(answers.len(), samples.len());
    let mut wrong = Vec::new();
    for (sample, expected) in samples.iter().zip(&answers) {
        let ran = Hash::called("clubak", &sample.case.args)
            .stdin(sample.case.stdin.clone())
            .run();
        let same_output = if sample.unordered {
            ordered(&ran.bytes) == ordered(&expected.stdout)
        } else {
            ran.bytes == expected.stdout
        };
        if !same_output || ran.code.map(i64::from) != Some(expected.code) {
            wrong.push(told(sample, expected, &ran.to_string()));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        samples.len(),
        wrong
            .iter()
            .take(5)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n=====\n")
    );
}

fn told(sample: &Sample, expected: &Answer, ran: &str) -> String {
    format!(
        "clubak {:?} ({:?})\n<<< {}\noriginal: exit code {}\n{}--- stderr\n{}\nours: {ran}",
        sample.case.args,
        sample.keys,
        sample.case.stdin.escape_ascii(),
        expected.code,
        String::from_utf8_lossy(&expected.stdout),
        String::from_utf8_lossy(&expected.stderr),
    )
}

/// Each case of `tests/differences/clubak.md` that can be told by its output: the original does the one, we the other.
#[test]
fn listed_differences_are_still_there() {
    let Some(oracle) = Oracle::find("clubak") else {
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let event = r#"{"v":1,"event":"line","node":"n1","stream":"stdout","line":"up"}"#;
    for (args, stdin, ours) in [
        (
            "-T -L --groupsconf=./none",
            "n1: a\nn2: a\nn2: b\n",
            "n[1-2]:\n a\nn2:\n   b\n",
        ),
        ("-T --interpret-keys=never -L", "b[: a\n", "b[:\n a\n"),
        ("-T -L", "n1: a\nb[: a\n", "n1,b[:\n a\n"),
        ("-bL", "lb1..2: x\n", "lb[1-2]:  x\n"),
        ("-bL", event, "n1: up\n"),
        ("-bL", "n[1-2000000000]: a\n", "n[1-2000000000]:  a\n"),
    ] {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let case = Case {
            args: args.clone(),
            stdin: stdin.into(),
        };
        let theirs = &oracle.ask(&[case], dir.path())[0];
        let ran = Hash::called("clubak", &args).stdin(stdin).run();
        assert_eq!((ran.stdout.as_str(), ran.code), (ours, Some(0)), "{ran}");
        assert_ne!(ran.bytes, theirs.stdout, "no difference any more: {stdin}");
    }
}
