//! Real sshd in trouble, and a client that may open few files: every node gets its documented outcome, and nothing is
//! left behind.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use rustix::process::Pid;
use serde_json::Value;

use crate::embedded_lab::LabProcess;
use crate::lab::process::children;
use crate::lab::{Hash, Lab, Ran, find_program, skip};

/// The results of a run with `--json`, in the order of the nodes.
fn results(ran: &Ran) -> Vec<Value> {
    let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran}"));
    document["results"].as_array().expect("results").clone()
}

/// An ssh_config in which `n1` to `nN` are all the same node of the lab.
fn many_names(lab: &Lab, node: &str, dir: &tempfile::TempDir) -> String {
    let (address, port) = lab.address(node);
    let text = format!(
        "Host n*\nHostName {address}\nHostKeyAlias [{address}]:{port}\nPort {port}\nIdentityFile {}\nIdentitiesOnly yes\n\
         IdentityAgent none\nUserKnownHostsFile {}\nGlobalKnownHostsFile /dev/null\nBatchMode yes\n",
        lab.key().display(),
        lab.known_hosts().display()
    );
    let file = dir.path().join("config");
    fs::write(&file, text).expect("ssh_config");
    file.display().to_string()
}

#[test]
fn a_server_that_sheds_load_is_asked_again_and_named_if_that_does_not_help() {
    let Some(lab) = Lab::builder(1)
        .without_haproxy()
        .sshd("lb1", "MaxStartups 3")
        .start()
    else {
        return;
    };
    let dir = tempfile::tempdir().expect("folder");
    let config = many_names(&lab, "lb1", &dir);
    let ran = Hash::new([
        "-F", &config, "-w", "n[1-40]", "-t", "60", "--json", "--", "echo in",
    ])
    .run();
    let results = results(&ran);
    assert_eq!(results.len(), 40, "{ran}");
    for result in &results {
        match result["code"].as_str() {
            None => assert_eq!(result["status"], 0, "{result}"),
            Some(code) => {
                assert_eq!(code, "E_MAXSTARTUPS", "{result}");
                let message = result["message"].as_str().expect("message");
                assert!(message.contains("MaxStartups"), "{message}");
                assert!(message.contains("tried 4 times"), "{message}");
            }
        }
    }
    assert!(results.iter().any(|result| result["status"] == 0), "{ran}");
    // Asked often enough, everybody gets in.
    let ran = Hash::new([
        "-F", &config, "-w", "n[1-40]", "-t", "60", "--retry", "9", "--", "echo in",
    ])
    .run();
    assert_eq!(ran.stdout, "n[1-40]: in\n", "{ran}");
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn a_server_that_restarts_loses_what_ran_and_serves_what_comes() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let go = lab.dir().join("go");
    let script = format!(
        "echo begun; while [ ! -e {} ]; do sleep 0.05; done; echo over",
        go.display()
    );
    let (mut command, _home) = lab
        .hash(["-w", "lb[1-2]", "-L", "--", &script])
        .into_command();
    let mut child = command.stdin(Stdio::null()).spawn().expect("hash");
    let mut out = BufReader::new(child.stdout.take().expect("pipe"));
    for _ in 0..2 {
        let mut line = String::new();
        out.read_line(&mut line).expect("line");
        assert!(line.ends_with(": begun\n"), "{line}");
    }
    lab.stop("lb1/sshd");
    lab.start_process("lb1/sshd");
    fs::write(&go, "").expect("go");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    let output = child.wait_with_output().expect("end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(rest, "lb2: over\n", "{said}");
    assert!(said.contains("hash: lb1: connection lost"), "{said}");
    assert!(said.contains("may still be running"), "{said}");
    assert_eq!(output.status.code(), Some(3), "{said}");
    let ran = lab.hash(["-w", "lb[1-2]", "--", "echo back"]).run();
    assert_eq!(ran.stdout, "lb[1-2]: back\n", "{ran}");
}

#[test]
fn a_client_that_may_open_few_files_serves_all_with_a_smaller_fanout() {
    if find_program("prlimit", "").is_none() {
        return skip("prlimit is not installed");
    }
    let lab = LabProcess::start(&["-w", "n[1-300]"]);
    let words = [
        "-F",
        lab.ssh_config(),
        "-w",
        "n[1-300]",
        "-f",
        "1000",
        "--",
        "echo in",
    ];
    let (client, home) = Hash::new(words).into_command();
    let output = Command::new("prlimit")
        .arg("--nofile=256:256")
        .arg(client.get_program())
        .args(client.get_args())
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .expect("prlimit");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "n[1-300]: in\n",
        "{said}"
    );
    assert!(
        said.contains(
            "warning: fanout 1000 needs more open files than the limit of 256 allows; using 192"
        ),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(0), "{said}");
}

/// One node is silent for too long, one refuses; while the third still works, the client holds nothing of the others.
#[test]
fn nodes_that_are_over_leave_neither_sockets_nor_children() {
    let Some(lab) = Lab::sshd_only(3) else { return };
    lab.stop("lb3/sshd");
    for (worker, own_connections, own_children) in [("native", 1, 0), ("ssh", 0, 1)] {
        let go = lab.dir().join(format!("go-{worker}"));
        let script = format!(
            "test $(hostname) = lb1 && sleep 1000; while [ ! -e {} ]; do echo on; sleep 0.05; done",
            go.display()
        );
        let config = lab.ssh_config().display().to_string();
        let way = ["-R", worker, "-F", &config];
        let words = ["-w", "lb[1-3]", "--idle", "1s", "--jsonl", "--", &script];
        let (mut command, _home) = Hash::new([&way[..], &words].concat()).into_command();
        let mut child = command.stdin(Stdio::null()).spawn().expect("hash");
        let pid = Pid::from_child(&child);
        let mut out = BufReader::new(child.stdout.take().expect("pipe")).lines();
        let mut ends = Vec::new();
        while ends.len() < 2 {
            let line = out.next().expect("line").expect("text");
            let event: Value = serde_json::from_str(&line).expect("JSON");
            if event["event"] == "finished" {
                ends.push(format!("{} {}", event["node"], event["code"]));
            }
        }
        ends.sort();
        let refused = r#""lb3" "E_REFUSED""#;
        assert_eq!(ends, [r#""lb1" "E_TIMEOUT_IDLE""#, refused], "{worker}");
        // Events are read all the while, so that the client never waits for us.
        let reader = std::thread::spawn(move || out.count());
        crate::lab::process::until("the end of what is over", None, || {
            connections(pid) == own_connections && children(pid).len() == own_children
        });
        fs::write(&go, "").expect("go");
        assert_eq!(child.wait().expect("end").code(), Some(3), "{worker}");
        reader.join().expect("reader");
    }
}

/// How many sockets over the network a process holds; none if it has ended.
fn connections(pid: Pid) -> usize {
    let folder = format!("/proc/{}", pid.as_raw_nonzero());
    let tables = ["tcp", "tcp6"]
        .map(|table| fs::read_to_string(format!("{folder}/net/{table}")).unwrap_or_default());
    let inodes: Vec<&str> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(|line| line.split_whitespace().nth(9))
        .collect();
    fs::read_dir(format!("{folder}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| {
            let link = link
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?
                .to_owned();
            inodes.contains(&&*link).then_some(())
        })
        .count()
}
