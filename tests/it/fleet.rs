//! A fleet of which a fifth is broken: everybody gets one outcome, in time, and in little memory.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::embedded_lab::LabProcess;
use crate::lab::Hash;

/// `--connect-timeout` and `--command-timeout` of the run; floods end by the second.
const CONNECT: Duration = Duration::from_secs(10);
const COMMAND: &str = "9";

/// How much longer than the connect limit the run may take.
const SPARE: Duration = Duration::from_secs(3);

/// The most memory for the client, in KiB.
const MEMORY: u64 = 100 * 1024;

#[test]
fn a_broken_fifth_does_not_hold_up_the_rest() {
    let faults = [
        ("hang", "n[1-10]", "E_HANDSHAKE_TIMEOUT"),
        ("refuse", "n[11-20]", "E_REFUSED"),
        ("drop", "n[21-30]", "E_PROTOCOL"),
        ("flood", "n[31-40]", "E_TIMEOUT_COMMAND"),
    ];
    let options: Vec<String> = faults
        .iter()
        .flat_map(|(fault, nodes, _)| ["--fault".to_owned(), format!("{fault}={nodes}")])
        .collect();
    let mut words = vec!["-w", "n[1-200]"];
    words.extend(options.iter().map(String::as_str));
    let lab = LabProcess::start(&words);

    let limit = CONNECT.as_secs().to_string();
    let (mut command, _home) = Hash::new([
        "-F",
        lab.ssh_config(),
        "-w",
        "n[1-200]",
        "-t",
        &limit,
        "-u",
        COMMAND,
        "-f",
        "200",
        "--jsonl",
        "--",
        "hostname",
    ])
    .into_command();
    let begun = Instant::now();
    let mut client = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", client.id());
    let mut outcomes: HashMap<String, String> = HashMap::new();
    let mut memory = 0;
    let mut summary = None;
    // Line by line, as the output of the floods is nothing to keep.
    for line in BufReader::new(client.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.contains(r#""event":"finished""#) {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            let node = event["node"].as_str().unwrap().to_owned();
            let outcome = event["code"]
                .as_str()
                .map_or_else(|| event["status"].to_string(), str::to_owned);
            let before = outcomes.insert(node, outcome);
            assert_eq!(before, None, "a second outcome: {line}");
            memory = memory.max(peak(&status));
        } else if line.contains(r#""event":"summary""#) {
            summary = Some(serde_json::from_str::<serde_json::Value>(&line).unwrap());
        }
    }
    let code = client.wait().unwrap().code();
    let took = begun.elapsed();

    assert_eq!(outcomes.len(), 200);
    for number in 1..=200 {
        let outcome = outcomes[&format!("n{number}")].as_str();
        let expected = faults
            .get((number - 1) / 10)
            .map_or("0", |(_, _, expected)| *expected);
        assert_eq!(outcome, expected, "n{number}");
    }
    let summary = summary.unwrap();
    assert_eq!(
        (&summary["ok"], &summary["failed"]),
        (&160.into(), &40.into())
    );
    assert_eq!(code, Some(3));
    assert!(took < CONNECT + SPARE, "took {took:?}");
    assert!(memory > 0 && memory < MEMORY, "{memory} KiB");
}

/// The most memory the process ever had, in KiB; 0 once it has ended.
fn peak(status: &str) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|value| value.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or_default()
}
