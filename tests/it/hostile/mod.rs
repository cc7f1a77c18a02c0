//! Every fault that a node can have, each beside two good nodes: real sshd with real HAProxy.
//!
//! The table is in `cases`. For each row there is one outcome a node, the good ones are right, the run ends in time, its
//! memory is bounded, its exit code is the documented one, and no control character reaches a terminal. The manual page
//! `hapsh-faults(7)` is made from the same table (`page`).

mod cases;
mod page;
mod prompts;
mod server;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{Hash, Lab, Terminal};
use cases::{Case, Verb};
use server::Fleet;

/// The most memory that any fault may cost, in KiB.
const MEMORY: u64 = 64 * 1024;

/// Longer than any limit in the runs and what comes after it; a node that is waited for would need more.
const TIME: Duration = Duration::from_secs(50);

/// So many rows are tried at one time.
const AT_ONCE: usize = 6;

/// Good nodes, and those that go wrong.
struct Stage {
    lab: Lab,
    fleet: Fleet,
}

impl Stage {
    fn up(cases: &[Case]) -> Option<Self> {
        let builder = Lab::builder(2).sudo("lb1", "").sudo("lb2", "");
        let lab = builder.start()?;
        let nodes = cases.iter().map(|case| case.node.clone()).collect();
        let fleet = Fleet::start(nodes, Some(&lab));
        Some(Self { lab, fleet })
    }

    /// The node's run with its good neighbours, and the name under which its outcome comes.
    fn hash(&self, case: &Case, more: &[&str]) -> (Hash, String) {
        let config = self.fleet.config().display().to_string();
        let bad = &case.node.name;
        let node = match case.verb {
            Verb::Through => format!("t{bad}"),
            Verb::Run | Verb::Copy | Verb::Fetch | Verb::Status | Verb::Become => bad.clone(),
        };
        let nodes = format!("{node},lb[1-2]");
        let routes = self.lab.dir().join(format!("{bad}.topology"));
        let topology = routes.display().to_string();
        let dest = format!("/run/haproxy/home/{bad}");
        let verb: Vec<&str> = match case.verb {
            Verb::Run => vec!["--", "echo ok"],
            Verb::Become => vec!["--become", "--", "echo ok"],
            Verb::Through => {
                let host = rustix::system::uname()
                    .nodename()
                    .to_string_lossy()
                    .into_owned();
                let host = host.split('.').next().unwrap_or_default().to_owned();
                fs::write(&routes, format!("[routes]\n{host}: {bad}\n{bad}: t{bad}\n"))
                    .expect("routes");
                vec!["--topology", &topology, "--", "echo ok"]
            }
            Verb::Copy => vec!["copy", "file", "--dest", &dest],
            Verb::Fetch => vec!["fetch", "/etc/hostname", "--dest", "."],
            Verb::Status => vec!["status", "puppet-i0-svc1"],
        };
        // Much has to come before a fetch is too much, on a busy machine too.
        let limit = match (case.verb, case.outcome) {
            (Verb::Fetch, outcome) if outcome != Err("E_TIMEOUT_COMMAND") => "40",
            _ => "4",
        };
        let words = ["-F", &config, "-w", &nodes, "-t", "2", "-u", limit];
        // A question to HAProxy has a limit of its own.
        let words = match case.verb {
            Verb::Status => &words[..6],
            Verb::Run | Verb::Copy | Verb::Fetch | Verb::Become | Verb::Through => &words,
        };
        let hash = Hash::new([words, more, &verb].concat());
        let hash = hash.config("auth_timeout = \"2s\"\n");
        fs::write(hash.home().join("file"), vec![7; 5_000_000]).expect("file");
        (hash, node)
    }
}

/// A run of which every node's end is known.
fn judge(stage: &Stage, case: &Case) {
    let (hash, node) = stage.hash(case, &["--jsonl"]);
    let begun = Instant::now();
    let (ran, memory) = hash.watched(|line| !line.contains("\"event\":\"line\""));
    let took = begun.elapsed();
    assert_eq!(ran.code, Some(case.exit), "{ran}");
    assert!(took < TIME, "{took:?}: {ran}");
    assert!(memory > 0 && memory < MEMORY, "{memory} KiB: {ran}");
    let events = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let ends: Vec<Value> = events
        .filter(|event| event["event"] == "finished")
        .collect();
    assert_eq!(ends.len(), 3, "{ran}");
    let end = |name: &str| {
        let mut found = ends.iter().filter(|end| end["node"] == name);
        let end = found
            .next()
            .unwrap_or_else(|| panic!("no end of {name}: {ran}"));
        assert!(found.next().is_none(), "two ends of {name}: {ran}");
        end
    };
    for good in ["lb1", "lb2"] {
        assert_eq!(
            (&end(good)["code"], &end(good)["status"]),
            (&Value::Null, &0.into()),
            "{ran}"
        );
    }
    let end = end(&node);
    match case.outcome {
        Ok(status) => {
            assert_eq!(
                (&end["code"], &end["status"]),
                (&Value::Null, &status.into()),
                "{ran}"
            );
        }
        Err(code) => assert_eq!(end["code"], code, "{ran}"),
    }
    let message = end["message"].as_str().unwrap_or_default();
    assert!(
        message.contains(case.says) || ran.stderr.contains(case.says),
        "{}: {ran}",
        case.says
    );
    assert!(!message.contains(char::is_control), "{ran}");
    match case.verb {
        Verb::Copy => {
            for good in ["lb1", "lb2"] {
                let file = stage
                    .lab
                    .dir()
                    .join(good)
                    .join("home")
                    .join(&case.node.name);
                assert!(fs::read(file).expect("copy") == vec![7; 5_000_000], "{ran}");
            }
        }
        Verb::Fetch => is_fetched(ran.home.path(), &node, case),
        Verb::Run | Verb::Status | Verb::Become | Verb::Through => {}
    }
}

/// What is fetched of the good nodes is there, and nothing of the other.
fn is_fetched(home: &Path, node: &str, case: &Case) {
    let there = |name: &str| home.join(format!("hostname.{name}")).exists();
    assert_eq!(
        (there("lb1"), there("lb2"), there(node)),
        (true, true, false),
        "{case:?}"
    );
    let left = fs::read_dir(home).expect("home").flatten();
    let left: Vec<_> = left
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().starts_with(".hapsh-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The same on a terminal, which is shown nothing but text.
fn look(stage: &Stage, case: &Case) {
    let (hash, _) = stage.hash(case, &[]);
    let mut terminal = Terminal::hash(hash, "dumb");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(case.exit), "{shown}");
    let raw = String::from_utf8(terminal.bytes()).expect("text");
    let text = raw.replace("\u{1}end\u{1}", "");
    let bad = |c: &char| {
        (c.is_control() && !matches!(c, '\r' | '\n' | '\t'))
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert_eq!(text.chars().find(bad), None, "{text:?}");
    // Nobody speaks in another one's name.
    assert!(
        !text.lines().any(|line| line.starts_with("lb1: hacked")),
        "{text:?}"
    );
}

#[test]
fn a_node_that_goes_wrong_costs_its_own_outcome_and_nothing_else() {
    let cases = cases::all();
    let Some(stage) = Stage::up(&cases) else {
        return;
    };
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tried = catch_unwind(AssertUnwindSafe(|| {
                        judge(&stage, case);
                        if !case.off_terminal {
                            look(&stage, case);
                        }
                    }));
                    if tried.is_err() {
                        let name = format!("{}: {}", case.part, case.fault);
                        failed.lock().expect("failed").push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("failed");
    assert!(
        failed.is_empty(),
        "{} of {}: {failed:#?}",
        failed.len(),
        cases.len()
    );
}
