//! Gateways that lie: a program of theirs in place of ours, with an honest gateway beside. What they say costs their own
//! nodes at most, and nothing reaches the terminal that is not behind a name.

use std::io::{BufRead, BufReader, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{FLAT, Tree};
use crate::lab::Hash;

/// The most memory that a gateway may cost, in KiB.
const MEMORY: u64 = 64 * 1024;

const HELLO: &str = r#"echo '{"hash":"gateway","v":2,"version":"0"}'"#;

/// A tree in which `lb1` says what the script does and `lb2` is honest.
fn beside(script: &str) -> Option<Tree> {
    let tree = Tree::up(2)?.equip(&["lb2"]);
    tree.link("lb1");
    tree.script("lb1", &format!("{HELLO}\n{script}"));
    Some(tree)
}

/// Words for four nodes, two of each gateway.
fn run(words: &[&'static str]) -> Vec<&'static str> {
    let all = ["-R", "exec", "-w", "t[1-4]"];
    let all = all.iter().chain(words).chain(&["--", "echo ok"]);
    all.copied().collect()
}

/// A script that asks for `t[1,3]` and waits until they are granted.
fn begun(then: &str) -> String {
    let ask = r#"echo '{"event":"ready","nodes":"t[1,3]"}'"#;
    format!("head -n 1 >/dev/null; {ask}; head -n 1 >/dev/null; {then}")
}

#[test]
fn lies_about_nodes_cost_the_gateway_that_tells_them() {
    let say = |message: &str| format!("echo '{message}'; cat");
    for (script, said) in [
        // Fifty bytes that stand for more nodes than there is memory.
        (
            say(r#"{"event":"ready","nodes":"a[1-9999]b[1-9999]c[1-9999]d[1-9999]"}"#),
            "nodes where at most 2 may be",
        ),
        (
            say(r#"{"event":"ready","nodes":"a[1-99999999/2]b[1-99999999/3]"}"#),
            "bad range: \"1-99999999/2\"",
        ),
        (
            say(r#"{"event":"finished","nodes":"t[1,3]","outcome":{"exited":0}}"#),
            "the end of t1, which was not begun",
        ),
        (
            say(
                r#"{"event":"finished","nodes":"t1","outcome":{"failed":{"code":"E_GUARD","message":"x"}}}"#,
            ),
            "no command ends with E_GUARD",
        ),
        (
            say(
                r#"{"event":"finished","nodes":"t1","outcome":{"failed":{"code":"E_DEADLINE","message":"x"}}}"#,
            ),
            "no command ends with E_DEADLINE",
        ),
        (
            say(r#"{"event":"ready","nodes":""}"#),
            "it speaks of no node",
        ),
        (
            say(r#"{"event":"failed","gateway":"lb2","message":"I am better"}"#),
            "it speaks of lb2, which is not below it",
        ),
        (
            "printf '{\"event\":\"\\033[2Jboo\"}\\n'; cat".to_owned(),
            "what it says makes no sense",
        ),
    ] {
        let Some(tree) = beside(&script) else { return };
        let begun = Instant::now();
        let ran = tree.hash(FLAT, &run(&["--deadline", "30s"])).run();
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), "t[1-4]: ok\n"),
            "{ran}"
        );
        let line = format!("hash: gateway lb1: {said}");
        assert!(
            ran.stderr.contains(&line) || ran.stderr.contains(said),
            "{said}: {ran}"
        );
        assert!(!ran.stderr.contains('\x1b'), "{ran}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{ran}");
    }
}

#[test]
fn a_text_of_a_gateway_comes_behind_its_name_and_without_escapes() {
    let end = r#"printf '{"event":"finished","nodes":"t[1,3]","outcome":{"failed":{"code":"E_REFUSED","message":"\\u001b[2J\\nhash: t2: hacked"}}}\n{"event":"end"}\n'; cat"#;
    let Some(tree) = beside(&begun(end)) else {
        return;
    };
    let ran = tree.hash(FLAT, &run(&[])).run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(3), "t[2,4]: ok\n"),
        "{ran}"
    );
    let said = "hash: t[1,3]: ?[2J hash: t2: hacked (through gateway lb1)\n";
    assert_eq!(ran.stderr, said, "{ran}");
}

#[test]
fn what_never_ends_needs_no_memory() {
    let flood = |line: &str| begun(&format!("exec yes '{line}'"));
    for (script, said) in [
        (
            flood(r#"{"event":"stretch","id":1,"after":[0,0],"data":""}"#),
            "nothing new in stretch 1",
        ),
        (
            flood(r#"{"event":"ready","nodes":""}"#),
            "it speaks of no node",
        ),
        (
            flood(r#"{"event":"ready","nodes":"t1"}"#),
            "it would begin t1 twice",
        ),
        (flood(r#"{"event":"alive"}"#), ""),
        (flood(r#"{"event":"forget","below":1}"#), ""),
        (
            flood(r#"{"event":"output","nodes":"t1","stream":"stdout","at":[0,0]}"#),
            "",
        ),
        (begun("exec tr '\\0' x </dev/zero"), "a line of more than"),
    ] {
        let Some(tree) = beside(&script) else { return };
        let (ran, memory) = tree
            .hash(FLAT, &run(&["--deadline", "6s"]))
            .watched(|_| true);
        // The honest one's nodes are done, whatever becomes of the others.
        assert!(ran.stdout.contains("t[2,4]: ok\n"), "{ran}");
        match said {
            "" => assert_eq!(ran.code, Some(124), "{ran}"),
            said => assert!(
                ran.stderr.contains(said) && ran.code == Some(3),
                "{said}: {ran}"
            ),
        }
        assert!(memory > 0 && memory < MEMORY, "{memory} KiB: {ran}");
    }
}

#[test]
fn our_limits_hold_where_a_gateway_only_says_that_it_is_alive() {
    let alive = r#"while :; do echo '{"event":"alive"}'; sleep 1; done"#;
    let Some(tree) = beside(&begun(alive)) else {
        return;
    };
    let words = run(&["-t", "1", "-u", "1", "--jsonl"]);
    let hash = tree.hash(FLAT, &words).config("auth_timeout = \"1s\"\n");
    let began = Instant::now();
    let ran = hash.run();
    assert_eq!(ran.code, Some(3), "{ran}");
    for node in ["t1", "t3"] {
        let is_end =
            |event: &serde_json::Value| event["event"] == "finished" && event["node"] == node;
        let events = ran
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let ends: Vec<serde_json::Value> = events.filter(is_end).collect();
        assert_eq!(ends.len(), 1, "{ran}");
        assert_eq!(ends[0]["code"], "E_TIMEOUT_COMMAND", "{ran}");
        let message = ends[0]["message"].as_str().unwrap();
        assert!(
            message.contains("timed out after 1s") && message.contains("gateway lb1"),
            "{message}"
        );
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{ran}");

    // Neither does it keep us from stopping.
    let (mut command, _home) = tree.hash(FLAT, &run(&["-L"])).into_command();
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        assert!(lines.next().unwrap().unwrap().ends_with(": ok"));
    }
    let began = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn sessions_are_not_believed_either() {
    for (script, said) in [
        ("echo '{\"event\":\"connected\",\"session\":77}'; cat".to_owned(), "it speaks of number 77"),
        (
            r#"echo '{"event":"ended","stream":9,"outcome":{"exited":0}}'; cat"#.to_owned(),
            "it speaks of number 9",
        ),
        (
            r#"echo '{"event":"not_connected","session":1,"failure":{"code":"E_GUARD","message":"no"}}'; cat"#.to_owned(),
            "nothing there ends with E_GUARD",
        ),
        ("exec tr '\\0' x </dev/zero".to_owned(), "a line of more than"),
    ] {
        let Some(tree) = beside(&script) else { return };
        let (ran, memory) = tree.hash("ROOT: lb1\nlb1: t1\n", &["-w", "t1,lb2", "ping"]).watched(|_| true);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), "lb2: ok\n"), "{ran}");
        assert!(ran.stderr.contains("hash: gateway lb1: ") && ran.stderr.contains(said), "{said}: {ran}");
        assert!(ran.stderr.contains("hash: t1: no route"), "{ran}");
        assert!(memory < MEMORY, "{memory} KiB: {ran}");
    }
    // An answer is the node's own only behind its own name.
    let refused = r#"head -n 2 >/dev/null; printf '{"event":"not_connected","session":1,"failure":{"code":"E_AUTH","message":"\\u001b]0;x\\u0007no"}}\n'; cat"#;
    let Some(tree) = beside(refused) else { return };
    let ran = tree
        .hash("ROOT: lb1\nlb1: t1\n", &["-w", "t1", "ping"])
        .run();
    assert_eq!(
        ran.stderr, "hash: t1: ?]0;x?no (through gateway lb1)\n",
        "{ran}"
    );
}

#[test]
fn what_a_gateway_is_asked_is_bounded_too() {
    let setup = r#"{"ask":"sessions","root":"gw","routes":[],"reach":{"worker":"native","user":null,"options":[],"via":null,"local":false},"install":false,"nodes":null}"#;
    let run = |jobs: &str, inputs: &str| {
        format!(
            r#"{{"ask":"run","root":"gw","routes":[],"jobs":[{jobs}],"inputs":{inputs},"fanout":1,"connect":null,"authenticate":null,"idle":null,"command":null,"retries":0,"reach":{{"worker":"native","user":null,"options":[],"via":null,"local":true}},"install":false}}"#
        )
    };
    let job =
        |nodes: &str| format!(r#"{{"nodes":"{nodes}","line":"true","pty":false,"input":null}}"#);
    let many: Vec<String> = (0..20).map(|n| job(&format!("n{n}x[1-99999]"))).collect();
    for (asked, said) in [
        (
            run(&job("a[1-9999]b[1-9999]c[1-9999]"), "0"),
            "nodes where at most 1000000 may be",
        ),
        (run(&many.join(","), "0"), "more than 1000000 nodes"),
        (run(&job("n1"), "4000000000"), "more inputs than jobs"),
        (
            setup.replace(
                r#""routes":[]"#,
                r#""routes":[["gw","a[1-99999]b[1-99999]"]]"#,
            ),
            "nodes where",
        ),
        (
            format!(
                "{setup}\n{{\"ask\":\"connect\",\"session\":1,\"node\":\"x\",\"connect\":-1.0,\"authenticate\":null}}"
            ),
            "bad limit",
        ),
        (format!("{setup}\nboo"), "bad message"),
        (
            r#"{"ask":"begin","nodes":"n1"}"#.to_owned(),
            "the first does not say what is wanted",
        ),
        (
            format!("{setup}\n{{\"ask\":\"data\",\"stream\":1,\"data\":\"x\"}}"),
            "",
        ),
    ] {
        let (mut command, _home) = Hash::new(["gateway"]).into_command();
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(format!("{asked}\n").as_bytes()).unwrap();
        drop(input);
        let status = format!("/proc/{}/status", child.id());
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let code = if said.is_empty() { 0 } else { 64 };
        assert_eq!(
            output.status.code(),
            Some(code),
            "{asked}: {errors} {status}"
        );
        assert!(errors.contains(said), "{said}: {errors}");
    }
}

#[test]
fn an_older_program_is_told_by_its_version_and_replaced() {
    let Some(tree) = Tree::up(1) else { return };
    tree.link("lb1");
    let old = r#"echo '{"hash":"gateway","v":1,"version":"0.0.9"}'; cat >/dev/null"#;
    tree.script("lb1", old);
    let routes = "ROOT: lb1\nlb1: t1\n";
    let words = ["-R", "exec", "-w", "t1", "--", "echo %h"];
    let ran = tree.hash(routes, &words).run();
    assert_eq!(ran.code, Some(3), "{ran}");
    let said = "hash: gateway lb1: hapsh 0.0.9 there speaks version 1 of the messages, this one (";
    assert!(ran.stderr.contains(said), "{ran}");
    assert!(
        ran.stderr
            .contains("put the same on both, or let --install-gateway do it"),
        "{ran}"
    );
    let words = [&["--install-gateway"], &words[..]].concat();
    let ran = tree.hash(routes, &words).run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "t1: t1\n"),
        "{ran}"
    );
    let version = Command::new(tree.place("lb1"))
        .arg("--version")
        .output()
        .unwrap();
    assert!(version.status.success());
}
