//! Real processes: what they say, how they end, and that none is left behind.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};

use super::*;
use crate::event::NodeId;

/// A worker's line whose other ends the test holds.
fn line() -> (NodeIo, mpsc::Receiver<Event>, watch::Sender<Stop>) {
    let (events, inbox) = mpsc::channel(1);
    let (stop, stopped) = watch::channel(Stop::No);
    (NodeIo::new(NodeId(0), events, stopped), inbox, stop)
}

fn fleet() -> Local {
    let nodes: Vec<NodeName> = ["n1", "n2", "n3"].map(Into::into).to_vec();
    Local::new(&nodes, "n[1-3]".to_owned())
}

/// What a node said on its two streams, and how it ended.
async fn exec(local: &Local, node: &str, command: Command) -> (String, String, Outcome) {
    let limits = Limits::default();
    let name: NodeName = node.into();
    let mut session = local.connect(&name, &limits).await.unwrap();
    let (mut io, mut inbox, _stop) = line();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let running = async {
        let outcome = session.exec(&command, &mut io).await;
        drop(io);
        outcome
    };
    let reading = async {
        while let Some(event) = inbox.recv().await {
            let Event::Output { stream, data, .. } = event else {
                panic!("{event:?}");
            };
            let side = if stream == Stream::Out {
                &mut out
            } else {
                &mut err
            };
            side.extend_from_slice(&data);
        }
    };
    let (outcome, ()) = tokio::join!(running, reading);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(out), text(err), outcome)
}

fn command(line: &str) -> Command {
    Command {
        line: line.to_owned(),
        ..Command::default()
    }
}

#[tokio::test]
async fn output_and_status_come_back() {
    let local = fleet();
    let (out, err, outcome) = exec(&local, "n2", command("echo %h %n; echo no >&2; exit 3")).await;
    assert_eq!((out.as_str(), err.as_str()), ("n2 1\n", "no\n"));
    assert_eq!(outcome, Outcome::Exited { status: 3 });
    let (_, _, outcome) = exec(&local, "n1", command("kill -9 $$")).await;
    assert_eq!(outcome.status(), 137);
    let (_, _, outcome) = exec(&local, "n1", command("echo %z")).await;
    let expected = "'z' is not a valid pattern, use '%%' to escape '%'";
    assert_eq!(outcome, Outcome::failed(ErrorCode::ExecRefused, expected));
}

#[tokio::test]
async fn input_is_fed_and_closed_or_empty() {
    let local = fleet();
    let big = Bytes::from(vec![b'x'; 300_000]);
    let fed = Command {
        stdin: Some(big.clone().into()),
        ..command("cat")
    };
    let (out, _, outcome) = exec(&local, "n1", fed).await;
    assert!(out.as_bytes() == big, "{} bytes came back", out.len());
    assert_eq!(outcome, Outcome::OK);
    let (out, _, _) = exec(&local, "n1", command("cat; echo end")).await;
    assert_eq!(out, "end\n");
    let unread = Command {
        stdin: Some(big.into()),
        ..command("exec true")
    };
    assert_eq!(exec(&local, "n1", unread).await.2, Outcome::OK);
}

#[tokio::test]
async fn nothing_is_lost_behind_the_end_of_the_leader() {
    let line = "(head -c 3000000 /dev/zero | tr '\\0' x; echo late >&2) & echo first";
    let (out, err, outcome) = exec(&fleet(), "n1", command(line)).await;
    assert_eq!((out.len(), err.as_str()), (3_000_006, "late\n"));
    assert_eq!(outcome, Outcome::OK);
}

#[tokio::test]
async fn a_command_for_all_runs_once_and_counts_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log").display().to_string();
    let line = format!("echo ran %h %n >> {log}; echo %hosts; exit 4");
    let local = fleet();
    let runs = ["n1", "n2", "n3"].map(|node| exec(&local, node, command(&line)));
    for (out, _, outcome) in futures_util::future::join_all(runs).await {
        assert_eq!(out, "n[1-3]\n");
        assert_eq!(outcome, Outcome::Exited { status: 4 });
    }
    assert_eq!(std::fs::read_to_string(log).unwrap(), "ran n[1-3] 0\n");
}

/// Whether a process is there and not a zombie.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

async fn until_gone(pid: &str) {
    let gone = async {
        while lives(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), gone)
        .await
        .unwrap_or_else(|_| panic!("{pid} is still there"));
}

/// Starts a command that tells the number of a process which outlives its shell, and gives it to `then`.
async fn with_running(
    line_text: &str,
    then: impl AsyncFnOnce(&watch::Sender<Stop>),
) -> (String, Option<Outcome>) {
    let local = fleet();
    let limits = Limits::default();
    let name: NodeName = "n1".into();
    let mut session = local.connect(&name, &limits).await.unwrap();
    let (mut io, mut inbox, stop) = line();
    let command = command(line_text);
    let mut running = Box::pin(session.exec(&command, &mut io));
    let said = tokio::select! {
        outcome = &mut running => panic!("ended: {outcome:?}"),
        said = inbox.recv() => said,
    };
    let Some(Event::Output { data, .. }) = said else {
        panic!("{said:?}");
    };
    let pid = String::from_utf8(data.to_vec()).unwrap().trim().to_owned();
    assert!(lives(&pid));
    then(&stop).await;
    if *stop.borrow() == Stop::No {
        drop(running);
        return (pid, None);
    }
    let outcome = timeout(Duration::from_secs(10), running).await.unwrap();
    (pid, Some(outcome))
}

#[tokio::test]
async fn dropping_kills_the_whole_group() {
    let (pid, _) = with_running("sleep 300 & echo $!; wait", async |_| {}).await;
    until_gone(&pid).await;
}

#[tokio::test]
async fn asked_to_stop_it_gets_a_chance() {
    let line = "trap 'exit 7' INT TERM; echo $$; while :; do sleep 0.01; done";
    let (pid, outcome) = with_running(line, async |stop| {
        stop.send_replace(Stop::Terminate);
    })
    .await;
    assert_eq!(outcome, Some(Outcome::Exited { status: 7 }));
    until_gone(&pid).await;
    let (_, outcome) = with_running("echo $$; sleep 300", async |stop| {
        stop.send_replace(Stop::Terminate);
    })
    .await;
    assert_eq!(
        outcome,
        Some(Outcome::failed(ErrorCode::Stopped, "stopped"))
    );
}

#[tokio::test]
async fn the_second_time_nobody_asks() {
    let line = "trap '' INT TERM; sleep 300 & echo $!; wait; wait; wait; wait";
    let (pid, outcome) = with_running(line, async |stop| {
        stop.send_replace(Stop::Kill);
    })
    .await;
    assert_eq!(
        outcome,
        Some(Outcome::failed(ErrorCode::Stopped, "stopped"))
    );
    until_gone(&pid).await;
}

#[tokio::test]
async fn deaf_to_signals_it_is_killed_after_the_graces() {
    let line = "trap '' INT TERM; sleep 300 & echo $!; wait; wait; wait; wait";
    let (pid, outcome) = with_running(line, async |stop| {
        stop.send_replace(Stop::Terminate);
    })
    .await;
    assert_eq!(
        outcome,
        Some(Outcome::failed(ErrorCode::Stopped, "stopped"))
    );
    until_gone(&pid).await;
}

#[tokio::test]
async fn sockets_are_those_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let local = fleet();
    let limits = Limits::default();
    let name: NodeName = "n1".into();
    let mut session = local.connect(&name, &limits).await.unwrap();
    let endpoint = Endpoint::Unix(path.display().to_string());
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"hello").await.unwrap();
    };
    let asking = async {
        let mut stream = session
            .open(&endpoint)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said
    };
    let ((), said) = tokio::join!(serving, asking);
    assert_eq!(said, "hello");
    drop(listener);
    let failure = |opened: Result<Box<dyn Duplex>, Failure>| opened.err().unwrap().to_string();
    let nobody = failure(session.open(&endpoint).await);
    assert_eq!(nobody, format!("nobody listens on {endpoint}"));
    let missing = Endpoint::Unix("/nowhere/x".to_owned());
    assert_eq!(
        failure(session.open(&missing).await),
        "no socket /nowhere/x: missing"
    );
}
