//! `clush` beside the original, with `-R exec`: equal output, messages and exit code on random command lines and
//! configurations, but for what `tests/differences/clush.md` lists.

use std::fs;
use std::path::Path;

use crate::lab::{Hash, Ran};
use crate::oracle::{Answer, Case, Chance, Oracle, SOURCES, cases};

mod fixed;

const GROUPS: &str = "[Main]\ndefault: roles\n[roles]\nmap: sed -n 's/^$GROUP: *//p' $CFGDIR/roles\n\
    all: echo n[1-12]\nlist: sed 's/:.*//' $CFGDIR/roles\n[racks]\nmapall: cat $CFGDIR/racks\n[bad]\nmap: false\n\
    all: false\nlist: false\n";
const ROLES: &str = "gpu: n[7-8]\nio: n[1-2]\none: n3\nempty: \nbig: n[1-9]\n";
const RACKS: &str = "r1: n[1-4]\nr2: n[5-8]\nlst: n1,n5\n";

/// `clush.conf` files of the cases, by name.
const CONFS: &[(&str, &str)] = &[
    ("plain.conf", "[Main]\nfanout: 3\nmaxrc: yes\n"),
    (
        "quiet.conf",
        "[Main]\nverbosity: 0\nnode_count: no\ncolor: always\n",
    ),
    (
        "modes.conf",
        "[Main]\nconfdir: $CFGDIR/conf.d \"$CFGDIR/no such\"\nverbosity: 2\n[mode:first]\nmaxrc: yes\nfanout: 1\n",
    ),
    (
        "conf.d/a.conf",
        "[mode:env]\ncommand_prefix: env A=b\n[mode:bad]\nfanout: x\n",
    ),
    (
        "conf.d/b.conf",
        "[mode:env]\ncommand_timeout: 30\ncolor: always\nnode_count: no\n",
    ),
    ("wrong.conf", "[Main]\nfanout: 1x\nconnect_timeout: ten\n"),
    ("broken.conf", "[Main]\nfanout\n"),
    ("quote.conf", "[Main]\nconfdir: 'x\n"),
    ("twice.conf", "[Main]\nfanout: 1\nfanout: 2\n"),
];

const NODES: &[&str] = &[
    "n1",
    "n[1-3]",
    "n[1-12]",
    "n[1-2],n01",
    "foo",
    "rack[1-2]n[1-2]",
    "@gpu",
    "@io,n5",
    "@racks:r1",
    "@*",
    "n[1-3]!n2",
    "@none",
    "@both:g[1-2]",
    "@wild:w",
    "@turn:lo",
];

/// The sources that `-s` names; not the one that says all nodes with wildcards: the original loses output of nodes whose
/// names have some.
const SOURCE_NAMES: &[&str] = &[
    "racks", "racks", "roles", "nosuch", "bare", "mute", "sour", "sick", "both", "turn", "many",
];

const COMMANDS: &[&str] = &[
    "echo same",
    "echo %h",
    "echo %n %rank %host",
    "printf 'a\\r\\n\\nb'",
    "test %n = 1 || echo most; exit $((%n %% 3))",
    "echo $((%n / 2)); echo $((%n %% 2)); exit 4",
    "true",
    "exit 7",
    "kill -9 $$",
    "cat",
    "echo %hosts %h",
    "echo $A é; printf '\\303x\\377\\n'",
    "date +%s",
    "echo 100%",
    "echo out; sleep 0.05; echo err >&2",
    "echo only err >&2; exit 1",
    "test $((%n %% 3)) = 0 || echo $((%n / 4))",
    "test $((%n %% 2)) = 0 && echo $((%n / 4)); exit $((%n %% 3))",
];

/// A command line, and whether the order of its lines is left to chance.
#[derive(Debug)]
struct Sample {
    case: Case,
    unordered: bool,
}

/// Whether the options show lines when all is over, in an order of their own.
fn is_gathered(args: &[String]) -> bool {
    args.iter()
        .any(|arg| ["-b", "-B", "-L", "--dshbak", "--diff"].contains(&arg.as_str()))
}

/// One of these words.
fn one<'a>(chance: &mut Chance, of: &[&'a str]) -> &'a str {
    of[chance.below(of.len())]
}

fn sample(chance: &mut Chance, dir: &Path) -> Sample {
    let file = |name: &str| dir.join(name).display().to_string();
    let mut args: Vec<String> = vec!["--groupsconf".into(), file("groups.conf")];
    args.extend(["-R".into(), "exec".into()]);
    let mut give = |words: &[&str]| args.extend(words.iter().map(|&word| word.to_owned()));
    match chance.below(8) {
        0 => give(&["-a"]),
        1 => give(&[
            "-g",
            one(
                chance,
                &[
                    "gpu",
                    "io,one",
                    "racks:r[1-2]",
                    "*",
                    "none",
                    "empty",
                    "gpu,io!gpu",
                    "@racks",
                ],
            ),
        ]),
        _ => give(&["-w", one(chance, NODES)]),
    }
    for _ in 0..chance.below(5) {
        match chance.below(25) {
            0 | 1 => give(&["-b"]),
            2 => give(&["-B"]),
            3 | 4 => give(&["-L"]),
            5 => give(&["--diff"]),
            6 => give(&["-N"]),
            7 => give(&["-r"]),
            24 => give(&["-rbs", one(chance, SOURCE_NAMES)]),
            8 => give(&["-S"]),
            9 => give(&[one(chance, &["-q", "-v", "--quiet", "--verbose"])]),
            10 => give(&[
                "--color",
                one(chance, &["always", "never", "auto", "", "red"]),
            ]),
            11 => give(&["--axis", one(chance, &["1", "2", "-1", "1-2", "x"])]),
            12 => give(&["-x", one(chance, &["n1", "n[1-9]", "@gpu", "-", "n["])]),
            13 => give(&["-X", one(chance, &["gpu", "racks:r1", "bad:x", ""])]),
            14 => give(&["-s", one(chance, SOURCE_NAMES)]),
            15 => give(&["-f", one(chance, &["0", "1", "2", "0x2", "two"])]),
            16 => give(&["-u", one(chance, &["30", "0", "-1", "1e2", "soon"])]),
            17 => give(&["-t", one(chance, &["5", "x"])]),
            18 => {
                let settings = [
                    "fanout=2",
                    "fanout=x",
                    "color=maybe",
                    "color=always",
                    "node_count=no",
                    "node_count=2",
                    "maxrc=yes",
                    "verbosity=0",
                    "verbosity=2",
                    "verbosity=many",
                    "command_prefix=env A=c",
                    "command_prefix='x",
                    "nonsense=1",
                    "nonsense",
                    "fd_max=few",
                    "command_timeout=never",
                    "history_size=x",
                ];
                give(&["-O", one(chance, &settings)]);
            }
            19 => give(&["-m", one(chance, &["env", "first", "bad", "nope"])]),
            20 => give(&["-n"]),
            21 => give(&["-G"]),
            22 => give(&[one(
                chance,
                &[
                    "--dsh",
                    "--co",
                    "-Z",
                    "--pick=0",
                    "--pick=99",
                    "--remote=no",
                    "-Epoll",
                    "-p",
                ],
            )]),
            _ => {
                let hosts = file("hosts");
                give(&["--hostfile", one(chance, &[hosts.as_str(), "nosuchfile"])]);
            }
        }
    }
    let mut conf = None;
    if chance.once_in(2) {
        let (name, _) = chance.pick(CONFS);
        conf = Some(file(name));
    }
    let conf = conf.unwrap_or_else(|| file("modes.conf"));
    args.splice(0..0, ["--conf".into(), conf]);
    if chance.once_in(20) {
        args.push("--".into());
    }
    // A prefix alone would show an environment, which is not the same.
    let prefixed = args.iter().any(|arg| arg.contains("env"));
    if prefixed || !chance.once_in(30) {
        args.push(one(chance, COMMANDS).into());
    }
    let stdin = chance.pick(&[&b""[..], b"in\n", b"no end"]).to_vec();
    let echoes = args
        .iter()
        .any(|arg| arg.starts_with("-v") || arg == "--verbose" || arg.contains("modes"));
    Sample {
        unordered: !is_gathered(&args) || echoes,
        case: Case { args, stdin },
    }
}

/// Lines without progress, which depends on time, in an order that does not depend on it.
fn lines(bytes: &[u8], unordered: bool) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let whole = |line: &str| line.rsplit('\r').next().unwrap_or_default().to_owned();
    let mut lines: Vec<String> = text.split_inclusive('\n').map(whole).collect();
    if unordered {
        lines.sort();
    }
    lines
}

fn is_same(sample: &Sample, theirs: &Answer, ours: &Ran) -> bool {
    // Exit codes are told in the order in which they first came.
    lines(&ours.bytes, sample.unordered) == lines(&theirs.stdout, sample.unordered)
        && lines(ours.stderr.as_bytes(), true) == lines(&theirs.stderr, true)
        && ours.code.map(i64::from) == Some(theirs.code)
}

fn told(args: &[String], theirs: &Answer, ours: &Ran) -> String {
    format!(
        "clush {args:?}\noriginal: exit code {}\n{}--- stderr\n{}\nours: {ours}",
        theirs.code,
        String::from_utf8_lossy(&theirs.stdout),
        String::from_utf8_lossy(&theirs.stderr),
    )
}

/// A folder with the configuration of the cases.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("conf.d")).expect("a folder");
    let groups = format!("{GROUPS}{SOURCES}");
    let files = [
        ("groups.conf", groups.as_str()),
        ("roles", ROLES),
        ("racks", RACKS),
        ("hosts", "n1,n2 @one\n\tn[10-11]\n# n3\n"),
    ];
    for (name, text) in files.iter().chain(CONFS) {
        fs::write(dir.path().join(name), text).expect("write the configuration");
    }
    dir
}

fn ours(case: &Case, home: &Path) -> Ran {
    Hash::called("clush", &case.args)
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join(".config"))
        .stdin(case.stdin.clone())
        .run()
}

#[test]
fn random_command_lines_do_what_the_original_does() {
    let Some(oracle) = Oracle::find("clush") else {
        return;
    };
    let dir = folder();
    let mut chance = Chance::new("clush");
    let samples: Vec<Sample> = (0..cases(250))
        .map(|_| sample(&mut chance, dir.path()))
        .collect();
    let asked: Vec<Case> = samples.iter().map(|sample| sample.case.clone()).collect();
    let answers = oracle.ask(&asked, dir.path());
    assert_eq!(answers.len(), samples.len());
    let mut wrong = Vec::new();
    for (sample, theirs) in samples.iter().zip(&answers) {
        let ran = ours(&sample.case, dir.path());
        if !is_same(sample, theirs, &ran) {
            wrong.push(told(&sample.case.args, theirs, &ran));
        }
    }
    let shown: Vec<&str> = wrong.iter().take(6).map(String::as_str).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        samples.len(),
        shown.join("\n=====\n")
    );
}

/// Each folder adds to the one before, key by key, and `confdir` is that of the last file.
#[test]
fn folders_of_the_configuration_are_merged() {
    let Some(oracle) = Oracle::find("clush") else {
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("its folder")).expect("folders");
        fs::write(path, text).expect("a file");
    };
    write(
        ".local/etc/clustershell/clush.conf",
        "[Main]\ncommand_prefix: env A=old\nssh_user: x\n[mode:old]\nmaxrc: yes\n[mode:m]\ncommand_prefix: env A=m\n",
    );
    write(
        ".config/clustershell/clush.conf",
        "[Main]\ncommand_prefix: env A=new\nconfdir: $CFGDIR/more\n[mode:m]\nmaxrc: yes\n",
    );
    write(
        ".config/clustershell/more/2.conf",
        "[mode:late]\ncommand_prefix: env A=late\n",
    );
    write(".local/etc/clustershell/more/1.conf", "[mode:never]\n");
    write(
        ".config/clustershell/defaults.conf",
        "[task.default]\ndistant_workername: exec\n[task.info]\nfanout: 2\n",
    );
    let command = ["-bw", "n[1-2]", "sh -c 'echo $A; exit 3'"];
    for options in [
        &[][..],
        &["-m", "old"],
        &["-m", "m"],
        &["-m", "late"],
        &["-m", "never"],
    ] {
        let words = [options, &command].concat();
        let case = Case {
            args: words.iter().map(|&word| word.to_owned()).collect(),
            stdin: Vec::new(),
        };
        let theirs = &oracle.ask(std::slice::from_ref(&case), dir.path())[0];
        let ran = ours(&case, dir.path());
        let sample = Sample {
            case,
            unordered: false,
        };
        assert!(
            is_same(&sample, theirs, &ran),
            "{}",
            told(&sample.case.args, theirs, &ran)
        );
    }
}

/// What is told about time limits, and what becomes of output.
#[test]
fn time_limits_are_told_alike() {
    let Some(oracle) = Oracle::find("clush") else {
        return;
    };
    let dir = folder();
    let script = "echo begun; test %n = 1 && exit 3; test %n = 2 || exec sleep 20; sleep 0.2";
    let conf = dir.path().join("none").display().to_string();
    let ways: &[&[&str]] = &[
        &[],
        &["-S"],
        &["-qS"],
        &["-b"],
        &["-qSb"],
        &["-L"],
        &["-bL"],
        &["-B"],
        &["--diff"],
    ];
    let asked: Vec<Case> = ways
        .iter()
        .map(|way| {
            let words = [
                &["--conf", &conf, "-R", "exec", "-w", "n[1-4]", "-u", "1"],
                *way,
                &[script],
            ]
            .concat();
            Case {
                args: words.iter().map(|&word| word.to_owned()).collect(),
                stdin: Vec::new(),
            }
        })
        .collect();
    for (case, theirs) in asked.iter().zip(oracle.ask(&asked, dir.path())) {
        let sample = Sample {
            case: case.clone(),
            unordered: !is_gathered(&case.args),
        };
        let ran = ours(case, dir.path());
        assert!(
            is_same(&sample, &theirs, &ran),
            "{}",
            told(&case.args, &theirs, &ran)
        );
    }
}

/// Each case of `tests/differences/clush.md` with a star: the original does the one, we the other.
#[test]
fn listed_differences_are_still_there() {
    let Some(oracle) = Oracle::find("clush") else {
        return;
    };
    let dir = folder();
    let conf = dir.path().join("none").display().to_string();
    for (args, ours_out, ours_code) in [
        (&["-w", "n1", "printf 'a\\rb\\n'"][..], "n1: a\rb\n", 0),
        (&["-w", "../x", "--outdir", "out", "echo a"], "", 1),
        (&["-f", "-1", "-w", "n1", "echo a"], "", 1),
        (&["-O", "maxrc=x", "-w", "n1", "echo a"], "", 1),
    ] {
        let words = [&["--conf", &conf, "-R", "exec"], args].concat();
        let case = Case {
            args: words.iter().map(|&word| word.to_owned()).collect(),
            stdin: Vec::new(),
        };
        let theirs = &oracle.ask(std::slice::from_ref(&case), dir.path())[0];
        let ran = ours(&case, dir.path());
        assert_eq!(
            (ran.stdout.as_str(), ran.code),
            (ours_out, Some(ours_code)),
            "{ran}"
        );
        let same = theirs.stdout == ran.bytes && theirs.code == i64::from(ours_code);
        assert!(
            !same,
            "no difference any more: {}",
            told(&case.args, theirs, &ran)
        );
    }
}
