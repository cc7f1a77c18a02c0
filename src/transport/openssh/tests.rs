//! The words of the process and what its end means, with a script in the place of `ssh`; the real one is in `tests/it`.

use super::*;
use crate::event::{Event, NodeId, Stop};
use tokio::sync::{mpsc, watch};

#[test]
fn the_words_are_those_of_clush() {
    let ssh = OpenSsh {
        program: ["env", "ssh", "-4"].map(str::to_owned).to_vec(),
        options: vec!["-p".to_owned(), "22".to_owned()],
        user: LoginUser {
            asked: Some("me".to_owned()),
            usual: None,
        },
        via: Via::Auto,
        trace: Trace::default(),
    };
    let limits = Limits {
        connect: Some(Duration::from_millis(2700)),
        ..Limits::default()
    };
    assert_eq!(
        ssh.argv("n1", &limits, false, "echo a").join(" "),
        "env ssh -4 -p 22 -oForwardAgent=no -oForwardX11=no -l me -oConnectTimeout=2 -oBatchMode=yes n1 echo a"
    );
    let plain = OpenSsh::default().argv("-x", &Limits::default(), true, "y");
    assert_eq!(
        plain.join(" "),
        "ssh -oForwardAgent=no -oForwardX11=no -oBatchMode=yes -tt -- -x y"
    );
}

#[test]
fn users_of_nodes_beat_the_usual_one_and_addresses_lose_their_brackets() {
    let ssh = |asked: Option<&str>| OpenSsh {
        user: LoginUser {
            asked: asked.map(str::to_owned),
            usual: Some("usual".to_owned()),
        },
        ..OpenSsh::default()
    };
    let words = |asked, node| {
        let words = ssh(asked).argv(node, &Limits::default(), false, "y");
        let words = words.join(" ");
        let words = words.strip_prefix("ssh -oForwardAgent=no -oForwardX11=no ");
        words.unwrap().replace("-oBatchMode=yes ", "")
    };
    for (asked, node, expected) in [
        (None, "n1", "-l usual n1 y"),
        (None, "root@n1", "root@n1 y"),
        (Some("me"), "root@n1", "-l me root@n1 y"),
        (None, "ssh://r@n1:2222", "ssh://r@n1:2222 y"),
        (None, "ssh://r@[::1]:2222", "-oPort=2222 r@::1 y"),
        (None, "[::1]", "-l usual ::1 y"),
    ] {
        assert_eq!(words(asked, node), expected);
    }
}

/// How a run ends when `ssh` is this script.
async fn end(script: &str) -> Outcome {
    let ssh = OpenSsh {
        program: ["sh", "-c", script].map(str::to_owned).to_vec(),
        ..OpenSsh::default()
    };
    let name: NodeName = "n1".into();
    let limits = Limits::default();
    let mut session = ssh.connect(&name, &limits).await.unwrap();
    let (events, mut inbox) = mpsc::channel::<Event>(8);
    let (_stop, stopped) = watch::channel(Stop::No);
    let mut io = NodeIo::new(NodeId(0), events, stopped);
    let command = Command::default();
    let running = async {
        let outcome = session.exec(&command, &mut io).await;
        drop(io);
        outcome
    };
    let draining = async { while inbox.recv().await.is_some() {} };
    tokio::join!(running, draining).0
}

#[tokio::test]
async fn failures_of_ssh_are_told_from_those_of_the_command() {
    for (said, code) in [
        (
            "ssh: Could not resolve hostname n1: Name or service not known",
            ErrorCode::Resolve,
        ),
        (
            "ssh: connect to host n1 port 22: Connection refused",
            ErrorCode::Refused,
        ),
        (
            "ssh: connect to host n1 port 22: No route to host",
            ErrorCode::Connect,
        ),
        (
            "ssh: connect to host n1 port 22: Connection timed out",
            ErrorCode::TimeoutConnect,
        ),
        (
            "Connection timed out during banner exchange\nConnection to n1 port 22 timed out",
            ErrorCode::HandshakeTimeout,
        ),
        (
            "kex_exchange_identification: Connection closed by remote host",
            ErrorCode::Closed,
        ),
        (
            "kex_exchange_identification: read: Connection reset by peer\nConnection reset by 127.0.0.1 port 22",
            ErrorCode::Closed,
        ),
        (
            "kex_exchange_identification: banner line contains invalid characters",
            ErrorCode::NotSsh,
        ),
        (
            "No ED25519 host key is known for n1\nHost key verification failed.",
            ErrorCode::HostKey,
        ),
        (
            "Unable to negotiate with n1 port 22: no matching cipher found. Their offer: x",
            ErrorCode::Algorithm,
        ),
        (
            "me@n1: Permission denied (publickey,password).",
            ErrorCode::Auth,
        ),
        ("Timeout, server n1 not responding.", ErrorCode::Lost),
        ("Connection to n1 closed by remote host.", ErrorCode::Lost),
        ("exec request failed on channel 0", ErrorCode::ExecRefused),
    ] {
        let outcome = end(&format!("echo '{said}' >&2; exit 255")).await;
        let Outcome::Failed(failure) = outcome else {
            panic!("{said}: {outcome:?}");
        };
        assert_eq!(failure.code, code, "{said}");
        // Nothing of it names the node, or equal failures of many nodes would be as many lines.
        assert!(!failure.message.contains("n1"), "{failure}");
    }
    let own = end("echo my own words >&2; exit 255").await;
    assert_eq!(own, Outcome::Exited { status: 255 });
    let other = end("echo 'Permission denied (x)' >&2; exit 3").await;
    assert_eq!(other, Outcome::Exited { status: 3 });
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let ssh = OpenSsh {
        program: vec!["/nowhere/ssh".to_owned()],
        ..OpenSsh::default()
    };
    let name: NodeName = "n1".into();
    let limits = Limits::default();
    let mut session = ssh.connect(&name, &limits).await.unwrap();
    let opened = session.open(&Endpoint::Unix("/x".to_owned())).await;
    let failure = opened.err().unwrap();
    assert_eq!(failure.code, ErrorCode::ExecRefused);
    assert!(
        failure.message.starts_with("cannot start `/nowhere/ssh`: "),
        "{failure}"
    );
}
