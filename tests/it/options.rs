//! Every option that can stand in front of a verb, with every verb: it works, or is refused with the reason.
//!
//! The list of options comes from the command line itself, so a new one has to find its place in the table here.

use std::collections::BTreeSet;

use hapsh::cli::front::hash;

use crate::lab::Hash;

/// What a verb is run with, dry where that is possible, and the classes of options that it refuses.
const VERBS: &[(&str, &[&str], &[&str])] = &[
    ("status", &[], &["command", "input", "masters"]),
    ("enable", &["web1"], &["command", "input", "limits"]),
    ("disable", &["web1"], &["command", "input", "limits"]),
    ("drain", &["web1"], &["command", "input", "limits"]),
    ("weight", &["web1", "10"], &["command", "input", "limits"]),
    ("undo", &[], &["command", "input", "limits"]),
    (
        "log",
        &[],
        &[
            "nodes", "reach", "limits", "sockets", "masters", "shown", "files", "care", "input",
            "become", "command", "lab",
        ],
    ),
    (
        "map",
        &["set", "/m", "k", "v"],
        &["command", "input", "limits", "masters"],
    ),
    (
        "acl",
        &["show", "/a", "k"],
        &["command", "input", "limits", "masters"],
    ),
    ("info", &[], &["command", "input", "masters"]),
    ("stat", &[], &["command", "input", "masters"]),
    ("sess", &[], &["command", "input", "masters"]),
    ("raw", &["show info"], &["command", "input", "masters"]),
    ("run", &["--", "true"], &["sockets", "masters"]),
    (
        "copy",
        &["args"],
        &["command", "input", "sockets", "masters"],
    ),
    (
        "fetch",
        &["/x", "--dest", "."],
        &["command", "input", "sockets", "masters"],
    ),
    (
        "shell",
        &[],
        &["command", "input", "sockets", "masters", "files"],
    ),
    ("ping", &[], &["command", "input", "sockets", "masters"]),
    (
        "lab",
        &[],
        &[
            "command", "input", "become", "sockets", "masters", "files", "reach", "login",
            "limits", "shown",
        ],
    ),
    ("config", &[], ALL),
    ("journal", &[], ALL),
    ("shell-init", &["bash"], ALL),
    ("links", &["list"], ALL),
    ("completions", &["bash"], ALL),
    ("nodeset", &["-f", "a1"], ALL),
    ("cluset", &["-f", "a1"], ALL),
    ("clush", &["--version"], ALL),
    ("clubak", &["--version"], ALL),
    ("milkcheck", &["--version"], ALL),
    (
        "service",
        &["--version"],
        &[
            "command", "input", "become", "sockets", "masters", "files", "limits", "shown", "json",
        ],
    ),
];

/// Verbs that take no option in front.
const ALL: &[&str] = &[
    "nodes", "reach", "login", "limits", "sockets", "masters", "shown", "json", "files", "care",
    "input", "become", "command", "lab",
];

/// Each option with words that make sense, and its class.
const OPTIONS: &[(&[&str], &str)] = &[
    (&["--nodes", "lb1"], "nodes"),
    (&["--exclude", "lb2"], "nodes"),
    (&["--group", "web"], "nodes"),
    (&["--exclude-group", "web"], "nodes"),
    (&["--all"], "nodes"),
    (&["--hostfile", "hosts"], "nodes"),
    (&["--failed-of", "last"], "nodes"),
    (&["--pick", "1"], "nodes"),
    (&["--expect", "1"], "nodes"),
    (&["--lab"], "nodes"),
    (&["--fault", "hang=lb1"], "lab"),
    (&["--fanout", "3"], "reach"),
    (&["--connect-timeout", "3"], "reach"),
    (&["--command-timeout", "3"], "limits"),
    (&["--idle", "3"], "limits"),
    (&["--deadline", "30"], "reach"),
    (&["--user", "me"], "login"),
    (&["--ssh-option", "Port=22"], "reach"),
    (&["--ssh-config", "none"], "reach"),
    (&["--worker", "native"], "reach"),
    (&["--topology", "topology"], "reach"),
    (&["--install-gateway"], "reach"),
    (&["--socket", "/run/x"], "sockets"),
    (&["--via", "socat"], "sockets"),
    (&["--master", "/run/m"], "masters"),
    (&["--blocks"], "shown"),
    (&["--blocks-all"], "shown"),
    (&["--lines"], "shown"),
    (&["--diff"], "shown"),
    (&["--normalize"], "shown"),
    (&["--outdir", "out"], "files"),
    (&["--errdir", "err"], "files"),
    (&["--no-label"], "shown"),
    (&["--quiet"], "shown"),
    (&["--verbose"], "shown"),
    (&["--max-status"], "shown"),
    (&["--output", "json"], "json"),
    (&["--json"], "json"),
    (&["--jsonl"], "json"),
    (&["--color", "never"], "shown"),
    (&["--dry-run=offline"], "care"),
    (&["--yes"], "care"),
    (&["--stdin"], "input"),
    (&["--template"], "command"),
    (&["--script", "script"], "command"),
    (&["--pty"], "command"),
    (&["--become"], "become"),
    (&["--batch", "1"], "command"),
    (&["--batch-sleep", "1", "--batch", "1"], "command"),
    (&["--gate", "true", "--batch", "1"], "command"),
    (&["--max-fail", "1"], "command"),
    (&["--max-unreachable", "1"], "command"),
    (&["--retry", "1"], "command"),
];

#[test]
fn every_option_and_verb_are_in_the_table() {
    let grammar = hash::command();
    let known = |id: &str| {
        OPTIONS
            .iter()
            .any(|(words, _)| words[0].split('=').next() == Some(&format!("--{id}")))
    };
    let missing: Vec<&str> = grammar
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .filter(|long| *long != "help" && !known(long))
        .collect();
    assert_eq!(missing, [""; 0]);
    let listed: BTreeSet<&str> = VERBS.iter().map(|(name, ..)| *name).collect();
    let verbs = grammar.get_subcommands().filter(|verb| !verb.is_hide_set());
    let verbs: BTreeSet<&str> = verbs.map(clap::Command::get_name).collect();
    assert_eq!(listed, verbs);
}

#[test]
fn each_cell_works_or_is_refused_with_the_reason() {
    let mut wrong = Vec::new();
    for (verb, behind, refused) in VERBS {
        for (option, class) in OPTIONS {
            let is_refused = refused.contains(class);
            // Nothing is contacted: the options that stand beside are those that the verb takes.
            let mut words = Vec::new();
            if !refused.contains(&"care") && *verb != "service" {
                words.push("--dry-run=offline");
            }
            if !refused.contains(&"nodes") && *verb != "service" {
                words.extend(["--nodes", "lb1"]);
            }
            words.extend(*option);
            if !is_refused {
                words.extend(needed_by(option[0]));
            }
            words.push(verb);
            words.extend(*behind);
            let words = without_twins(&words);
            let hash = Hash::new(words.clone());
            for (file, text) in [
                ("hosts", "lb1\n"),
                ("script", "true\n"),
                ("args", "x\n"),
                (
                    "topology",
                    &format!("[routes]\n{}: gw1\ngw1: lb1\n", host()),
                ),
                (
                    "groups.conf",
                    "[Main]\ndefault: g\n[g]\nmap: echo lb9\nall: echo lb9\n",
                ),
            ] {
                std::fs::write(hash.home().join(file), text).expect("a file");
            }
            let folder = hash.home().to_owned();
            let ran = hash.env("CLUSTERSHELL_CFGDIR", folder).run();
            let says_so = ran.stderr.contains("means nothing here: ");
            let fits = if is_refused {
                says_so
                    && ran.code == Some(64)
                    && ran
                        .stderr
                        .contains(option[0].split('=').next().expect("a name"))
            } else {
                // There is no run that could be remembered, and no change that could be taken back.
                ran.code == Some(0)
                    || *verb == "undo" && ran.stderr.contains("the audit log has no change")
                    || option[0] == "--failed-of" && ran.stderr.contains("no run is remembered")
            };
            if !fits {
                wrong.push(format!(
                    "{}: {:?} {}",
                    words.join(" "),
                    ran.code,
                    ran.stderr.trim()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What an option does not go without.
fn needed_by(option: &str) -> &'static [&'static str] {
    match option {
        "--fault" => &["--lab"],
        "--install-gateway" => &["--topology", "topology"],
        _ => &[],
    }
}

/// The short name of this host, where the tree of gateways begins.
fn host() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// The words without a second `--dry-run=offline` or `--nodes lb1`.
fn without_twins<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::new();
    for word in words {
        if *word == "--dry-run=offline" && kept.contains(word) {
            continue;
        }
        kept.push(*word);
    }
    kept
}

/// Verbs that look at the lab's load balancers, with what stands behind them.
const LOOKS: &[&[&str]] = &[
    &["status"],
    &["info"],
    &["stat"],
    &["sess"],
    &["raw", "show info"],
    &["ping"],
    &["disable", "http/http-svc1"],
    &["run", "--", "echo x"],
];

fn in_lab(option: &[&str], verb: &[&str]) -> crate::lab::Ran {
    let words = [&["--lab", "-w", "lb[1-2]"], option, verb].concat();
    Hash::new(words).run()
}

#[test]
fn every_verb_says_more_when_asked() {
    for verb in LOOKS {
        let ran = in_lab(&["-v"], verb);
        assert_eq!(ran.code, Some(0), "{verb:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("hash: lb[1-2]: "),
            "{verb:?}: {}",
            ran.stderr
        );
        let ran = in_lab(&["-vv"], verb);
        assert!(
            ran.stderr.contains("reached by SSH in this process"),
            "{verb:?}: {}",
            ran.stderr
        );
    }
}

#[test]
fn every_verb_writes_what_each_node_says_to_files() {
    for verb in LOOKS.iter().filter(|verb| verb[0] != "ping") {
        let words = [&["--lab", "-w", "lb[1-2]", "--outdir", "out"], *verb].concat();
        let hash = Hash::new(words);
        let out = hash.home().join("out");
        let ran = hash.run();
        assert_eq!(ran.code, Some(0), "{verb:?}: {}", ran.stderr);
        for node in ["lb1", "lb2"] {
            let said = std::fs::read_to_string(out.join(node)).unwrap_or_default();
            assert!(
                said.is_empty() == (verb[0] == "sess" && ran.stdout.is_empty()),
                "{verb:?} {node}: {said:?}"
            );
        }
    }
}

#[test]
fn every_verb_has_answers_for_programs() {
    for verb in LOOKS {
        let ran = in_lab(&["--json"], verb);
        let document: serde_json::Value = serde_json::from_str(&ran.stdout).expect("a document");
        assert_eq!(document["schema"], "hash/1", "{verb:?}");
        let ran = in_lab(&["--jsonl"], verb);
        for line in ran.stdout.lines() {
            let event: serde_json::Value = serde_json::from_str(line).expect("an event");
            assert_eq!(event["v"], 1, "{verb:?}: {line}");
        }
        assert!(ran.stdout.lines().count() > 2, "{verb:?}");
    }
}

#[test]
fn every_verb_leaves_labels_out_or_names_each_node() {
    for verb in LOOKS
        .iter()
        .filter(|verb| !["ping", "sess"].contains(&verb[0]))
    {
        let ran = in_lab(&["-N"], verb);
        assert!(
            !ran.stdout.contains("lb[1-2]: "),
            "{verb:?}: {}",
            ran.stdout
        );
        let ran = in_lab(&["-L"], verb);
        assert!(
            ran.stdout.contains("lb1: ") && ran.stdout.contains("lb2: "),
            "{verb:?}: {}",
            ran.stdout
        );
        let ran = in_lab(&["-x", "lb2"], verb);
        assert!(
            ran.stdout.contains("lb1: ") && !ran.stdout.contains("lb2"),
            "{verb:?}: {}",
            ran.stdout
        );
    }
}
