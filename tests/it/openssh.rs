//! `-R ssh` beside real sshd: commands, failures, sockets, and nothing left behind.

use std::path::Path;
use std::time::Duration;

use hapsh::event::{ErrorCode, Event, NodeId, Outcome, Stop, Stream};
use hapsh::plan::{Limits, NodeName};
use hapsh::transport::openssh::OpenSsh;
use hapsh::transport::{Command, Endpoint, NodeIo, Session, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};

use crate::lab::{Lab, find_program, skip};

fn transport(lab: &Lab, more: &[&str]) -> Option<OpenSsh> {
    if find_program("ssh", "").is_none() {
        skip("ssh is not installed");
        return None;
    }
    let config = lab.ssh_config().display().to_string();
    let mut options = vec!["-F".to_owned(), config];
    options.extend(more.iter().map(|&word| word.to_owned()));
    Some(OpenSsh {
        options,
        ..OpenSsh::default()
    })
}

async fn session(ssh: &OpenSsh, node: &str) -> Box<dyn Session> {
    let name: NodeName = node.into();
    let limits = Limits {
        connect: Some(Duration::from_secs(10)),
        ..Limits::default()
    };
    ssh.connect(&name, &limits).await.expect("a session")
}

/// What a command wrote on both streams, and how it ended.
async fn exec(ssh: &OpenSsh, node: &str, command: Command) -> (Vec<u8>, Vec<u8>, Outcome) {
    let mut session = session(ssh, node).await;
    let (events, mut inbox) = mpsc::channel(4);
    let (_stop, stopped) = watch::channel(Stop::No);
    let mut io = NodeIo::new(NodeId(0), events, stopped);
    let running = async {
        let outcome = session.exec(&command, &mut io).await;
        drop(io);
        outcome
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let reading = async {
        while let Some(event) = inbox.recv().await {
            if let Event::Output { stream, data, .. } = event {
                let side = if stream == Stream::Out {
                    &mut out
                } else {
                    &mut err
                };
                side.extend_from_slice(&data);
            }
        }
    };
    let (outcome, ()) = tokio::join!(running, reading);
    (out, err, outcome)
}

fn command(line: &str) -> Command {
    Command {
        line: line.to_owned(),
        ..Command::default()
    }
}

fn code(outcome: &Outcome) -> Option<ErrorCode> {
    match outcome {
        Outcome::Failed(failure) => Some(failure.code),
        Outcome::Exited { .. } | Outcome::Killed { .. } => None,
    }
}

#[tokio::test]
async fn commands_and_failures_are_those_of_the_node() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    let Some(ssh) = transport(&lab, &[]) else {
        return;
    };
    let fed = Command {
        stdin: Some("in".into()),
        ..command("cat; echo ' and out'; echo no >&2; exit 3")
    };
    let (out, err, outcome) = exec(&ssh, "lb1", fed).await;
    assert_eq!(
        (out.as_slice(), err.as_slice()),
        (&b"in and out\n"[..], &b"no\n"[..])
    );
    assert_eq!(outcome, Outcome::Exited { status: 3 });
    let (_, _, outcome) = exec(&ssh, "lb1", command("exit 255")).await;
    assert_eq!(outcome, Outcome::Exited { status: 255 });

    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = closed.local_addr().expect("its number").port();
    drop(closed);
    let to = |words: &[&str]| transport(&lab, words).expect("as before");
    let (_, _, outcome) = exec(&to(&[&format!("-oPort={port}")]), "lb1", command("true")).await;
    assert_eq!(code(&outcome), Some(ErrorCode::Refused), "{outcome:?}");
    let (_, _, outcome) = exec(
        &to(&["-oUserKnownHostsFile=/dev/null"]),
        "lb1",
        command("true"),
    )
    .await;
    assert_eq!(code(&outcome), Some(ErrorCode::HostKey), "{outcome:?}");
    let (_, _, outcome) = exec(
        &to(&["-oPubkeyAuthentication=no", "-oLogLevel=INFO"]),
        "lb1",
        command("true"),
    )
    .await;
    assert_eq!(code(&outcome), Some(ErrorCode::Auth), "{outcome:?}");
    let (_, _, outcome) = exec(
        &to(&["-oCiphers=aes128-cbc", "-oLogLevel=INFO"]),
        "lb1",
        command("true"),
    )
    .await;
    assert_eq!(code(&outcome), Some(ErrorCode::Algorithm), "{outcome:?}");
    let (_, _, outcome) = exec(
        &to(&["-oHostName=no.such.name.invalid"]),
        "lb1",
        command("true"),
    )
    .await;
    assert_eq!(code(&outcome), Some(ErrorCode::Resolve), "{outcome:?}");
}

#[tokio::test]
async fn sockets_are_reached_by_a_helper_on_the_node() {
    let Some(lab) = Lab::up(1) else { return };
    let Some(ssh) = transport(&lab, &[]) else {
        return;
    };
    let mut session = session(&ssh, "lb1").await;
    let endpoint = Endpoint::Unix("/run/haproxy/admin.sock".to_owned());
    let mut stream = session
        .open(&endpoint)
        .await
        .unwrap_or_else(|failure| panic!("{failure}"));
    stream.write_all(b"show info\n").await.expect("a question");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.contains("\nnode: lb1\n"), "{answer}");
    for (path, expected) in [
        ("/nowhere", "no socket /nowhere: missing"),
        ("/etc/passwd", "/etc/passwd is not a socket"),
    ] {
        let opened = session.open(&Endpoint::Unix(path.to_owned())).await;
        assert_eq!(opened.err().expect("a failure").message, expected);
    }
}

#[tokio::test]
async fn no_ssh_is_left_behind() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    let Some(ssh) = transport(&lab, &["-oSetEnv=HASH_LEFT=behind"]) else {
        return;
    };
    let mut session = session(&ssh, "lb1").await;
    let (events, mut inbox) = mpsc::channel(1);
    let (_stop, stopped) = watch::channel(Stop::No);
    let mut io = NodeIo::new(NodeId(0), events, stopped);
    // Our word in its arguments tells this process from all others.
    let word = format!("left-behind-{}", std::process::id());
    let command = command(&format!("echo {word}; sleep 300"));
    let mut running = session.exec(&command, &mut io);
    tokio::select! {
        outcome = &mut running => panic!("ended: {outcome:?}"),
        said = inbox.recv() => assert!(said.is_some()),
    }
    assert!(runs(&word));
    drop(running);
    let gone = async {
        while runs(&word) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .expect("no ssh is left");
}

/// Whether an `ssh` runs with this word among its arguments.
fn runs(word: &str) -> bool {
    let processes = std::fs::read_dir(Path::new("/proc")).expect("/proc");
    processes.flatten().any(|process| {
        let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments);
        arguments.starts_with("ssh\0") && arguments.contains(word)
    })
}
