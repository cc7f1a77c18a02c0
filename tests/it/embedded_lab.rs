//! The lab serves clients that were not made for it: OpenSSH's `ssh` and `async-ssh2-tokio`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use async_ssh2_tokio::client::{AuthMethod, Client, ServerCheckMethod};
use hapsh::lab::{Fault, Lab, LabOptions, USER};
use hapsh::plan::NodeName;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::lab::Hash;

/// A lab in a process of its own: `hash lab`. Asked to end when it is dropped.
#[derive(Debug)]
pub(crate) struct LabProcess {
    child: Child,
    _home: TempDir,
    /// What it said when all nodes listened.
    pub(crate) ready: serde_json::Value,
}

impl LabProcess {
    pub(crate) fn start(words: &[&str]) -> Self {
        let words = [&["lab", "--json"], words].concat();
        let (mut command, home) = Hash::new(words).into_command();
        let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).expect("the lab says where it is");
        Self {
            child,
            _home: home,
            ready,
        }
    }

    pub(crate) fn ssh_config(&self) -> &str {
        self.ready["ssh_config"].as_str().unwrap()
    }

    /// The file of the key that is let in.
    pub(crate) fn identity(&self) -> &str {
        self.ready["identity"].as_str().unwrap()
    }

    /// Asks it to end and says how it did.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let pid = Pid::from_child(&self.child);
        // It may have ended already.
        let _ = kill_process(pid, Signal::INT);
        self.child.wait().unwrap().code()
    }
}

impl Drop for LabProcess {
    fn drop(&mut self) {
        self.end();
    }
}

fn names(count: usize) -> Vec<NodeName> {
    (1..=count).map(|n| format!("lb{n}").into()).collect()
}

fn start(count: usize, faults: &[(Fault, &str)]) -> Lab {
    Lab::start(LabOptions {
        nodes: names(count),
        faults: faults
            .iter()
            .map(|(fault, node)| (*fault, (*node).into()))
            .collect(),
    })
    .unwrap()
}

/// Runs the real client to its end with this input.
fn ssh(lab: &Lab, words: &[&str], stdin: &str) -> Output {
    let mut child = Command::new("ssh")
        .arg("-F")
        .arg(lab.ssh_config())
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // A client that fails early does not read.
    let _ = input.write_all(stdin.as_bytes());
    drop(input);
    child.wait_with_output().unwrap()
}

fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Whether the real client is there; says so loudly when not.
fn have_ssh() -> bool {
    let found = crate::lab::find_program("ssh", "SSH").is_some();
    if !found {
        crate::lab::skip("ssh is not installed");
    }
    found
}

#[test]
fn ssh_gets_answers_and_statuses() {
    if !have_ssh() {
        return;
    }
    let lab = start(2, &[]);
    let run = |words: &[&str], stdin| texts(&ssh(&lab, words, stdin));
    let ok = |out: &str| (Some(0), out.to_owned(), String::new());
    assert_eq!(run(&["lb1", "hostname"], ""), ok("lb1\n"));
    assert_eq!(run(&["lb2", "uname -n; exit 0"], ""), ok("lb2\n"));
    assert_eq!(run(&["lb1", "cat"], "one\ntwo"), ok("one\ntwo"));
    assert_eq!(
        run(&["lb1", "echo out; echo err >&2; exit 7"], ""),
        (Some(7), "out\n".to_owned(), "err\n".to_owned())
    );
    let (status, out, err) = run(&["lb1", "frobnicate"], "");
    assert_eq!((status, out.as_str()), (Some(127), ""));
    assert!(
        err.starts_with("lab: frobnicate: command not found; this node knows cat,"),
        "{err}"
    );
    // OpenSSH shows a death by signal as 255.
    assert_eq!(run(&["lb1", "kill -TERM $$"], "").0, Some(255));
    let (status, out, err) = run(&["lb1"], "");
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(err.contains("there is no shell on this node"), "{err}");
}

#[test]
fn ssh_gets_a_large_output_whole_and_may_leave_an_endless_one() {
    if !have_ssh() {
        return;
    }
    let lab = start(1, &[(Fault::Flood, "lb1")]);
    let mut child = Command::new("ssh")
        .arg("-F")
        .arg(lab.ssh_config())
        .args(["lb1", "uptime"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = vec![0; 8 << 20];
    std::io::Read::read_exact(&mut stdout, &mut first).unwrap();
    let line = b"this node talks without end\n";
    assert!(first.chunks_exact(line.len()).all(|chunk| chunk == line));
    // OpenSSH itself leaves only when the command does, so it has to be told.
    child.kill().unwrap();
    child.wait().unwrap();

    let lab = start(1, &[]);
    let (status, out, _) = texts(&ssh(&lab, &["lb1", "seq 300000"], ""));
    assert_eq!((status, out.lines().count()), (Some(0), 300_000));
    assert!(out.ends_with("\n300000\n"));
}

#[test]
fn ssh_jumps_from_node_to_node() {
    if !have_ssh() {
        return;
    }
    let lab = start(2, &[]);
    let config = lab.ssh_config();
    let proxy = format!("ProxyCommand=ssh -F {} -W %h:%p lb1", config.display());
    let output = ssh(&lab, &["-o", &proxy, "lb2", "hostname"], "");
    assert_eq!(texts(&output), (Some(0), "lb2\n".to_owned(), String::new()));
}

#[test]
fn ssh_reaches_the_stats_sockets() {
    if !have_ssh() {
        return;
    }
    let lab = start(2, &[(Fault::HaproxyDown, "lb2")]);
    let output = ssh(&lab, &["-W", "127.0.0.1:9999", "lb1"], "show cli level\n");
    assert_eq!(
        texts(&output),
        (Some(0), "admin\n\n".to_owned(), String::new())
    );
    let (status, _, err) = texts(&ssh(
        &lab,
        &["-W", "127.0.0.1:9999", "lb2"],
        "show cli level\n",
    ));
    assert_eq!(status, Some(255));
    assert!(err.contains("open failed"), "{err}");
}

#[test]
fn ssh_meets_every_fault() {
    if !have_ssh() {
        return;
    }
    let faults = [
        (Fault::Refuse, "lb1", "Connection refused"),
        (Fault::AuthFail, "lb2", "Permission denied (publickey)"),
        (
            Fault::ChangedHostKey,
            "lb3",
            "REMOTE HOST IDENTIFICATION HAS CHANGED",
        ),
        (Fault::MaxStartups, "lb4", "Connection"),
        (Fault::Drop, "lb5", "Connection"),
        (Fault::Hang, "lb6", "timed out during banner exchange"),
    ];
    let lab = start(7, &faults.map(|(fault, node, _)| (fault, node)));
    for (fault, node, message) in faults {
        let limit = if fault == Fault::Hang { 1 } else { 60 };
        let limit = format!("ConnectTimeout={limit}");
        let (status, out, err) = texts(&ssh(&lab, &["-o", &limit, node, "hostname"], ""));
        assert_eq!((status, out.as_str()), (Some(255), ""), "{fault}: {err}");
        assert!(err.contains(message), "{fault}: {err}");
    }
    assert_eq!(ssh(&lab, &["lb7", "true"], "").status.code(), Some(0));
}

#[tokio::test]
async fn async_ssh2_tokio_is_served() {
    let lab = start(2, &[]);
    let client = Client::connect(
        std::net::SocketAddr::from(lab.address(1)),
        USER,
        AuthMethod::with_key_file(lab.identity(), None),
        ServerCheckMethod::with_known_hosts_file(&lab.known_hosts().to_string_lossy()),
    )
    .await
    .unwrap();
    let result = client
        .execute("hostname; echo no >&2; exit 3")
        .await
        .unwrap();
    assert_eq!(result.exit_status, 3);
    assert_eq!(
        (result.stdout.as_str(), result.stderr.as_str()),
        ("lb2\n", "no\n")
    );
    client.disconnect().await.unwrap();
}

#[test]
fn its_folder_is_private_and_goes_with_it() {
    let lab = start(1, &[]);
    let folder = lab.folder().to_owned();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&lab.identity()), 0o600);
    assert!(lab.is_running());
    drop(lab);
    assert!(!folder.exists());
}

#[test]
fn ten_thousand_nodes_stand_up() {
    let lab = match Lab::start(LabOptions {
        nodes: names(10_000),
        ..LabOptions::default()
    }) {
        Err(error) if error.to_string().contains("open files") => {
            crate::lab::skip(&error.to_string());
            return;
        }
        lab => lab.unwrap(),
    };
    for index in [0, 9_999] {
        let mut stream = std::net::TcpStream::connect(lab.address(index)).unwrap();
        let mut hello = [0; 8];
        std::io::Read::read_exact(&mut stream, &mut hello).unwrap();
        assert_eq!(&hello, b"SSH-2.0-");
    }
}

#[test]
fn a_lab_that_cannot_be_is_refused() {
    let error = |options| Lab::start(options).unwrap_err().to_string();
    assert_eq!(error(LabOptions::default()), "the lab has no nodes");
    let twice = LabOptions {
        nodes: vec!["a".into(), "a".into()],
        ..LabOptions::default()
    };
    assert_eq!(error(twice), "node a is in the lab twice");
    let stranger = LabOptions {
        nodes: names(1),
        faults: vec![(Fault::Hang, "lb9".into())],
    };
    assert_eq!(
        error(stranger),
        "hang is asked for lb9, which is not in the lab"
    );
}

#[test]
fn hash_lab_serves_until_it_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ready");
    let file = file.to_str().unwrap();
    let mut lab =
        LabProcess::start(&["-w", "n[1-3]", "--fault", "refuse=n3", "--ready-file", file]);
    assert_eq!(lab.ready["schema"], "hash-lab/1");
    assert_eq!(
        (&lab.ready["nodes"], &lab.ready["count"]),
        (&"n[1-3]".into(), &3.into())
    );
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(told, lab.ready);
    if have_ssh() {
        let mut ssh = Command::new("ssh");
        let output = ssh
            .args(["-F", lab.ssh_config(), "n2", "hostname"])
            .output();
        assert_eq!(output.unwrap().stdout, b"n2\n");
    }
    let config = lab.ssh_config().to_owned();
    assert!(Path::new(&config).exists());
    assert_eq!(lab.end(), Some(0));
    assert!(!Path::new(&config).exists());
}

#[test]
fn hash_lab_says_what_it_cannot_do() {
    for (words, message) in [
        (
            ["lab", "--fault", "hang=lb9"],
            "hang is asked for lb9, which is not in the lab",
        ),
        (["lab", "--fault", "hung=lb1"], "unknown fault `hung`"),
        (["lab", "-w", "lb[1"], "bad node set"),
    ] {
        let ran = Hash::new(words).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(64), ""), "{ran}");
        assert!(ran.stderr.contains(message), "{ran}");
    }
}
