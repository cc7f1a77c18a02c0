//! `schema/hash-1.json` holds for everything that is written for programs: the documents and events of every verb.

mod validator;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use hapsh::cli::front::hash;
use hapsh::event::ErrorCode;
use hapsh::haproxy::usable::Fault;
use serde_json::{Value, json};
use validator::Schema;

use crate::embedded_lab::LabProcess;
use crate::lab::{Hash, Ran};

fn schema() -> Schema {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/hash-1.json");
    Schema::parse(&fs::read_to_string(path).expect("schema/hash-1.json"))
}

/// What a verb is run with on the embedded lab, and the exit code: options of hash, the words behind the verb.
type Case = (&'static [&'static str], &'static [&'static str], i32);

/// Every verb that writes JSON, with runs that make it say all that it can say.
const VERBS: &[(&str, &[Case])] = &[
    (
        "status",
        &[
            (&[], &[], 0),
            (&[], &["--long", "ldap/*"], 0),
            (&[], &["--bad"], 0),
            (&["--fault", "disagree=lb2"], &["--fold"], 2),
            (&["--fault", "disagree=lb2"], &["--disagree"], 2),
            (
                &["--fault", "disagree=lb2"],
                &["--summary", "--sort=state"],
                2,
            ),
            (&[], &["nobody"], 1),
            (&["--fault", "haproxy-down=lb2"], &[], 1),
            (&["--fault", "refuse=lb2"], &[], 3),
            (&["--fault", "auth-fail=lb1"], &[], 3),
            (&["--fault", "changed-hostkey=lb1"], &[], 3),
            (&["--fault", "hang=lb1", "--deadline", "300ms"], &[], 124),
        ],
    ),
    (
        "enable",
        &[
            (&[], &["ldap-svc1", "--no-wait"], 0),
            (
                &["--fault", "disagree=lb2"],
                &["puppet-i0-svc1", "--no-wait"],
                0,
            ),
        ],
    ),
    (
        "disable",
        &[
            (&[], &["puppet-i0-svc1", "--reason", "test"], 0),
            (&[], &["ldap/*"], 4),
            (&[], &["nobody"], 1),
            (&["--fault", "refuse=lb2"], &["ldap-svc1"], 3),
            (
                &["--fault", "refuse=lb2"],
                &["ldap-svc1", "--partial-ok"],
                3,
            ),
        ],
    ),
    (
        "drain",
        &[
            (&[], &["ldap-svc1"], 0),
            (&[], &["ldap-svc1", "--wait", "5s"], 0),
        ],
    ),
    (
        "weight",
        &[
            (&[], &["ldap-svc1", "50%", "--force"], 0),
            (&[], &["ldap-svc1", "0"], 0),
        ],
    ),
    (
        "info",
        &[(&[], &[], 0), (&["--fault", "haproxy-down=lb1"], &[], 1)],
    ),
    ("stat", &[(&[], &[], 0)]),
    ("sess", &[(&[], &[], 0)]),
    (
        "raw",
        &[(&[], &["show info"], 0), (&[], &["show nonsense"], 1)],
    ),
    (
        "run",
        &[
            (&[], &["--", "hostname; echo oh >&2"], 0),
            (&[], &["--", "exit 3"], 1),
            (&[], &["--", "kill -TERM $$"], 1),
            (&["--stdin"], &["--", "cat"], 0),
            (&["-u", "200ms"], &["--", "sleep 60"], 3),
            (&["--fault", "drop=lb1"], &["--", "true"], 3),
            (&["--batch", "1", "--max-fail", "0"], &["--", "false"], 4),
        ],
    ),
    (
        "copy",
        &[
            (&[], &["args", "--dest", "/tmp"], 1),
            (&["--fault", "refuse=lb2"], &["args", "--dest", "/tmp"], 3),
        ],
    ),
    (
        "fetch",
        &[
            (&[], &["/etc/hostname", "--dest", "got"], 1),
            (&[], &["/nowhere", "--dest", "got"], 1),
        ],
    ),
    (
        "map",
        &[(&[], &["show"], 1), (&[], &["show", "/etc/none.map"], 1)],
    ),
    ("acl", &[(&[], &["show"], 1)]),
    (
        "ping",
        &[(&[], &[], 0), (&["--fault", "refuse=lb1"], &[], 3)],
    ),
    ("shell", &[(&[], &[], 1)]),
];

/// Verbs that have another form of their own, tested below, or none at all: `options` holds them to refusing `--json`.
const OTHERS: [&str; 14] = [
    "lab",
    "log",
    "undo",
    "service",
    "milkcheck",
    "config",
    "journal",
    "shell-init",
    "links",
    "completions",
    "nodeset",
    "cluset",
    "clush",
    "clubak",
];

fn run(form: &str, verb: &str, (options, words, _): Case) -> Ran {
    let front = ["--lab", "-w", "lb[1-2]", form];
    let hash = Hash::new([&front, options, &[verb], words].concat());
    fs::write(hash.home().join("args"), "content\n").unwrap();
    fs::create_dir(hash.home().join("got")).unwrap();
    match verb {
        "shell" => hash.stdin("echo one\nfalse\n"),
        _ => hash.stdin(b"a\xff\nb".as_slice()),
    }
    .run()
}

fn validate(schema: &Schema, definition: &str, value: &Value, about: &dyn std::fmt::Display) {
    let wrong = schema.wrong(definition, value);
    assert!(wrong.is_empty(), "{}\n{about}", wrong.join("\n"));
}

#[test]
fn every_verb_is_in_the_table() {
    let grammar = hash::command();
    let verbs = grammar.get_subcommands().filter(|verb| !verb.is_hide_set());
    let verbs: BTreeSet<&str> = verbs.map(clap::Command::get_name).collect();
    let listed = VERBS.iter().map(|(name, _)| *name).chain(OTHERS);
    assert_eq!(verbs, listed.collect());
}

#[test]
fn documents_of_every_verb_are_valid() {
    let schema = schema();
    let mut tables = BTreeSet::new();
    for (verb, cases) in VERBS {
        for case in *cases {
            let ran = run("--json", verb, *case);
            assert_eq!(ran.code, Some(case.2), "{verb} {case:?}: {ran}");
            let documents = serde_json::Deserializer::from_str(&ran.stdout).into_iter::<Value>();
            let documents: Vec<Value> = documents.map(|one| one.expect("JSON")).collect();
            let expected = match *verb {
                "shell" => 2,
                _ => 1,
            };
            assert!(documents.len() == expected, "{verb} {case:?}: {ran}");
            for document in documents {
                validate(
                    &schema,
                    "document",
                    &document,
                    &format!("{verb} {case:?}: {ran}"),
                );
                tables.extend(document.as_object().unwrap().keys().cloned());
            }
        }
    }
    let known = [
        "entries", "maps", "changes", "groups", "info", "results", "schema", "servers", "sessions",
        "stat", "summary",
    ];
    assert_eq!(tables, known.map(str::to_owned).into());
}

#[test]
fn events_of_every_verb_are_valid() {
    let schema = schema();
    let mut kinds = BTreeSet::new();
    for (verb, cases) in VERBS {
        for case in *cases {
            let ran = run("--jsonl", verb, *case);
            assert_eq!(ran.code, Some(case.2), "{verb} {case:?}: {ran}");
            for line in ran.stdout.lines() {
                let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{ran}"));
                validate(&schema, "event", &event, &format!("{verb} {case:?}: {ran}"));
                kinds.insert(event["event"].as_str().unwrap().to_owned());
            }
        }
    }
    let known = [
        "change", "finished", "group", "info", "line", "server", "session", "started", "stat",
        "summary",
    ];
    assert_eq!(kinds, known.map(str::to_owned).into());
}

#[test]
fn events_of_services_are_valid() {
    let schema = schema();
    let yaml = "services:\n  one:\n    actions:\n      start:\n        cmd: printf '\\377'\n  two:\n    \
        require: [one]\n    actions:\n      start:\n        cmd: echo no; exit 3\n  three:\n    \
        require: [two]\n    actions:\n      start:\n        cmd: 'true'\n";
    let mut kinds = BTreeSet::new();
    for words in [&["three", "start"][..], &["one", "start"]] {
        let hash = Hash::new([&["milkcheck", "--json", "-c", "services"], words].concat());
        fs::create_dir(hash.home().join("services")).unwrap();
        fs::write(hash.home().join("services/all.yaml"), yaml).unwrap();
        let ran = hash.run();
        assert!(!ran.stdout.is_empty(), "{ran}");
        for line in ran.stdout.lines() {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{ran}"));
            validate(&schema, "event", &event, &ran);
            kinds.insert(event["event"].as_str().unwrap().to_owned());
        }
    }
    let known = ["finished", "service", "started", "summary"];
    assert_eq!(kinds, known.map(str::to_owned).into());
}

#[test]
fn what_was_written_down_and_taken_back_is_valid() {
    let schema = schema();
    let lab = LabProcess::start(&["-w", "lb[1-2]"]);
    let state = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| {
        let hash = Hash::new([&["-F", lab.ssh_config()], words].concat());
        let ran = hash.env("XDG_STATE_HOME", state.path()).run();
        assert_eq!(ran.code, Some(0), "{ran}");
        ran
    };
    run(&["-w", "lb[1-2]", "disable", "ldap-svc1", "--reason", "test"]);
    let ran = Hash::new(["--json", "log"])
        .env("XDG_STATE_HOME", state.path())
        .run();
    let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran}"));
    validate(&schema, "log_document", &document, &ran);
    assert_eq!(document["log"].as_array().map(Vec::len), Some(2), "{ran}");
    let ran = Hash::new(["--jsonl", "log"])
        .env("XDG_STATE_HOME", state.path())
        .run();
    for line in ran.stdout.lines() {
        validate(&schema, "event", &serde_json::from_str(line).unwrap(), &ran);
    }
    let ran = run(&["-w", "lb[1-2]", "--json", "undo"]);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran}"));
    validate(&schema, "document", &document, &ran);
    assert_eq!(
        document["changes"].as_array().map(Vec::len),
        Some(2),
        "{ran}"
    );
}

#[test]
fn the_lab_says_where_it_is_as_the_schema_has_it() {
    let lab = LabProcess::start(&["-w", "n[1-2]"]);
    validate(&schema(), "lab", &lab.ready, &lab.ready);
}

/// A schema that takes anything would prove nothing.
#[test]
fn what_is_not_in_the_schema_is_refused() {
    let schema = schema();
    let document = json!({
        "schema": "hash/1", "results": [{ "node": "a", "status": 0, "seconds": 0.5 }],
        "groups": [{ "nodes": "a", "count": 1, "status": 0, "stdout": "" }],
        "summary": { "nodes": 1, "ok": 1, "nonzero": 0, "killed": 0, "failed": 0, "errors": {}, "ended": "complete" },
    });
    validate(&schema, "document", &document, &"");
    type Change = fn(&mut Value);
    let changes: &[(Change, &str)] = &[
        (|it| it["new"] = 1.into(), ": `new` is not in the schema"),
        (|it| it["schema"] = "hash/2".into(), "/schema: "),
        (
            |it| it["results"][0]["node"] = 1.into(),
            "/results/0/node: ",
        ),
        (
            |it| it["results"][0]["node"] = "".into(),
            "/results/0/node: ",
        ),
        (
            |it| it["results"][0]["status"] = 256.into(),
            "/results/0/status: ",
        ),
        (
            |it| it["results"][0]["status"] = 0.5.into(),
            "/results/0/status: ",
        ),
        (
            |it| it["results"][0]["seconds"] = (-1).into(),
            "/results/0/seconds: ",
        ),
        (
            |it| it["results"][0]["code"] = "E_NEW".into(),
            "/results/0/code: ",
        ),
        (
            |it| it["groups"][0]["stdout_b64"] = "AA==".into(),
            "/groups/0: ",
        ),
        (
            |it| drop(it["groups"][0].as_object_mut().unwrap().remove("stdout")),
            "/groups/0: ",
        ),
        (
            |it| drop(it["summary"].as_object_mut().unwrap().remove("ok")),
            "/summary: `ok` is missing",
        ),
        (
            |it| it["summary"]["errors"]["E_NEW"] = 1.into(),
            "/summary/errors/E_NEW: ",
        ),
        (|it| it["servers"] = json!([{}]), "/servers/0: "),
    ];
    for (change, expected) in changes {
        let mut changed = document.clone();
        change(&mut changed);
        let wrong = schema.wrong("document", &changed);
        assert!(
            wrong.iter().any(|what| what.starts_with(expected)),
            "{expected}: {wrong:?}"
        );
    }
}

#[test]
fn codes_and_reasons_are_those_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/hash-1.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let words = |pointer: &str| -> BTreeSet<String> {
        let list = schema.pointer(pointer).and_then(Value::as_array).unwrap();
        list.iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let codes = ErrorCode::ALL.iter().map(|code| code.as_str().to_owned());
    assert_eq!(words("/$defs/code/enum"), codes.collect());
    let reasons = ["forced", "inherited", "config", "resolution"]
        .into_iter()
        .chain(Fault::WORDS);
    for server in ["server", "server_event"] {
        let pointer = format!("/$defs/{server}/properties/reason/enum");
        assert_eq!(
            words(&pointer),
            reasons.clone().map(str::to_owned).collect()
        );
    }
}
