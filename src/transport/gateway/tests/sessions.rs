//! Sessions through gateways that are real but for the network: two levels of them, scripted nodes behind.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::super::{Messages, Outbox, Routed, serve};
use super::Noted;
use super::site::{ROUTES, Site};
use crate::event::{ErrorCode, Event, Failure, Meter, NodeId, Outcome, Stop, Stream};
use crate::gateway::session::{Call, Reply, WINDOW};
use crate::gateway::{Data, SshClient};
use crate::nodeset::NoGroups;
use crate::plan::{Limits, NodeName};
use crate::topology::Topology;
use crate::transport::input::{Input, Source};
use crate::transport::sim::{Script, Sim};
use crate::transport::{BoxFuture, Command, Duplex, Endpoint, NodeIo, Session, Transport};

const LIMITS: Limits = Limits {
    connect: Some(Duration::from_secs(10)),
    authenticate: Some(Duration::from_secs(30)),
    idle: None,
    command: None,
    deadline: None,
};

/// A line to nobody in particular.
pub(super) fn line() -> (NodeIo, mpsc::Receiver<Event>, watch::Sender<Stop>) {
    let (events, received) = mpsc::channel(4);
    let (stop, seen) = watch::channel(Stop::No);
    (NodeIo::new(NodeId(0), events, seen), received, stop)
}

pub(super) async fn connect(transport: &Routed, node: &str) -> Result<Box<dyn Session>, Failure> {
    transport.connect(&node.into(), &LIMITS).await
}

/// Runs a command to its end: its outcome, and what it said on both streams.
async fn run(session: &mut dyn Session, stdin: Option<Input>) -> (Outcome, Vec<u8>, Vec<u8>) {
    let (mut io, mut events, _stop) = line();
    let command = Command {
        line: "uptime".into(),
        stdin,
        pty: false,
    };
    let running = async {
        let outcome = session.exec(&command, &mut io).await;
        drop(io);
        outcome
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let hearing = async {
        while let Some(event) = events.recv().await {
            if let Event::Output { stream, data, .. } = event {
                match stream {
                    Stream::Out => out.extend_from_slice(&data),
                    Stream::Err => err.extend_from_slice(&data),
                }
            }
        }
    };
    let (outcome, ()) = tokio::join!(running, hearing);
    (outcome, out, err)
}

fn socket() -> Endpoint {
    Endpoint::Unix("/run/haproxy/admin.sock".into())
}

#[tokio::test]
async fn who_is_reached_by_the_system_s_ssh_is_not_logged_in_to_before_a_command() {
    for (worker, is_logged_in) in [(SshClient::Native, true), (SshClient::Ssh, false)] {
        let site = Site::new(Sim::new().every(Script::new()));
        let topology = Topology::read("f", ROUTES, "vm", &NoGroups).unwrap();
        let mut gateways = site.gateways(topology, Arc::new(Noted::default()));
        gateways.reach.worker = worker;
        let transport = Routed::new(gateways, Arc::clone(&site.leaves) as _, "");
        let session = transport.connect(&"t1".into(), &LIMITS).await.unwrap();
        assert_eq!(session.is_logged_in(), is_logged_in, "{worker:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn commands_say_and_end_as_they_do_directly() {
    let big: Vec<u8> = (0..3_000_000u32).map(|n| (n / 7) as u8).collect();
    let site = Site::new(
        Sim::new()
            .node("t1", Script::output("one\n").err(&b"two\xff"[..]).exit(3))
            .node("t2", Script::new().killed("SEGV"))
            .node("t3", Script::new().echo())
            .node(
                "t4",
                Script::unreachable(ErrorCode::Refused, "connection refused"),
            )
            .node("direct", Script::output("here")),
    );
    let (transport, noted) = site.transport();
    let mut t1 = connect(&transport, "t1").await.unwrap();
    for _ in 0..2 {
        let ran = run(&mut *t1, None).await;
        let expected = (b"one\n".to_vec(), b"two\xff".to_vec());
        assert_eq!(ran, (Outcome::Exited { status: 3 }, expected.0, expected.1));
    }
    let mut t2 = connect(&transport, "t2").await.unwrap();
    let segv = "SEGV".to_owned();
    assert_eq!(
        run(&mut *t2, None).await.0,
        Outcome::Killed { signal: segv }
    );
    // What is larger than any window comes through whole, both ways.
    let mut t3 = connect(&transport, "t3").await.unwrap();
    let (outcome, out, _) = run(&mut *t3, Some(big.clone().into())).await;
    assert!(outcome == Outcome::OK && out == big);
    let refused = connect(&transport, "t4").await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::Refused);
    assert!(
        refused
            .message
            .starts_with("connection refused (through gateway gw"),
        "{refused}"
    );
    assert_eq!(refused.message.matches("through").count(), 1, "{refused}");
    let unknown = connect(&transport, "t5").await.err().unwrap();
    assert_eq!(unknown.code, ErrorCode::Resolve);
    let mut direct = connect(&transport, "direct").await.unwrap();
    assert_eq!(run(&mut *direct, None).await.1, b"here");
    // One connection to each gateway, whatever the nodes are: two next to us, and one from each of these.
    assert_eq!(site.begun.load(Ordering::Relaxed), 4);
    assert_eq!(noted.0.lock().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn sockets_are_asked_and_missing_ones_said() {
    let answer = |line: &str| format!("<{line}>").repeat(100_000).into();
    let site = Site::new(Sim::new().every(Script::new().socket(socket(), answer)));
    let (transport, _) = site.transport();
    let mut session = connect(&transport, "t1").await.unwrap();
    // Two at one time on the same session.
    let mut one = session.open(&socket()).await.unwrap();
    let mut two = session.open(&socket()).await.unwrap();
    for (socket, name) in [(&mut two, "two"), (&mut one, "one")] {
        socket
            .write_all(format!("{name}\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer == format!("<{name}>").repeat(100_000));
    }
    // An end of what we say is one there.
    let mut socket = session.open(&self::socket()).await.unwrap();
    socket.shutdown().await.unwrap();
    assert_eq!(socket.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    let none = Endpoint::Tcp {
        host: "localhost".into(),
        port: 1,
    };
    let failure = session.open(&none).await.err().unwrap();
    assert_eq!(failure.code, ErrorCode::Socket);
    assert!(
        failure
            .message
            .starts_with("tcp:localhost:1: no such socket"),
        "{failure}"
    );
    let failure = session.subsystem("sftp").await.err().unwrap();
    assert_eq!(failure.code, ErrorCode::ExecRefused);
}

#[tokio::test(start_paused = true)]
async fn subsystems_are_started() {
    let (here, there) = duplex(1000);
    let (output, mut said) = duplex(1000);
    let out = Arc::new(Outbox::default());
    let mut calls = Messages::new(there);
    let serving = serve(&Named, &mut calls, output, out);
    let asking = async {
        let mut input = here;
        for call in [
            Call::Connect {
                session: 1,
                node: "t1".into(),
                connect: None,
                authenticate: None,
            },
            Call::Subsystem {
                session: 1,
                stream: 2,
                name: "sftp".into(),
            },
        ] {
            let line = format!("{}\n", serde_json::to_string(&call).unwrap());
            input.write_all(line.as_bytes()).await.unwrap();
        }
        let mut heard = Vec::new();
        while !heard.ends_with(b"\"eof\",\"stream\":2}\n") {
            said.read_buf(&mut heard).await.unwrap();
        }
        String::from_utf8(heard).unwrap()
    };
    let (served, heard) = tokio::join!(serving, asking);
    assert_eq!(served, Ok(()));
    let said = [
        Reply::Connected { session: 1 },
        Reply::Opened { stream: 2 },
        Reply::Data {
            stream: 2,
            of: Stream::Out,
            data: Data("this is sftp".into()),
        },
        Reply::Eof { stream: 2 },
    ];
    let said = said.map(|reply| serde_json::to_string(&reply).unwrap());
    let heard: Vec<&str> = heard
        .lines()
        .filter(|line| !line.contains("alive"))
        .collect();
    assert_eq!(heard, said);
}

/// A node whose subsystems say their name.
#[derive(Debug)]
struct Named;

impl Transport for Named {
    fn connect<'a>(
        &'a self,
        _node: &'a NodeName,
        _limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        Box::pin(async { Ok(Box::new(Named) as Box<dyn Session>) })
    }
}

impl Session for Named {
    fn exec<'a>(&'a mut self, _: &'a Command, _: &'a mut NodeIo) -> BoxFuture<'a, Outcome> {
        Box::pin(std::future::pending())
    }

    fn open<'a>(&'a mut self, _: &'a Endpoint) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        unreachable!()
    }

    fn subsystem<'a>(
        &'a mut self,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        let greeting = io::Cursor::new(format!("this is {name}"));
        let here = tokio::io::join(greeting, tokio::io::sink());
        Box::pin(async { Ok(Box::new(here) as Box<dyn Duplex>) })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

/// An input without an end that counts what is read of it.
#[derive(Debug, Default)]
struct Endless(AtomicUsize);

impl Source for Endless {
    fn read(&self, _at: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        self.0.fetch_add(10_000, Ordering::Relaxed);
        Box::pin(async { Ok(Bytes::from_static(&[b'x'; 10_000])) })
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_slow_holds_up_nobody_and_nothing_piles_up() {
    let site = Site::new(
        Sim::new()
            .node("t1", Script::new().flood(vec![b'y'; 30_000]))
            .node("t2", Script::new().hang())
            .node("t3", Script::output("quick").wait(Duration::from_secs(1)))
            .node(
                "t4",
                Script::new().socket(socket(), |_| vec![b'z'; 10 << 20]),
            ),
    );
    let (transport, _) = site.transport();
    // Nobody takes what t1 says, and t2 takes nothing of what it is told.
    let (mut io, mut events, _stop) = line();
    let mut deaf = connect(&transport, "t1").await.unwrap();
    let command = Command::default();
    let flooding = deaf.exec(&command, &mut io);
    let source = Arc::new(Endless::default());
    let mut fed = connect(&transport, "t2").await.unwrap();
    let feeding = run(
        &mut *fed,
        Some(Input::new(Arc::clone(&source) as _, Meter::default())),
    );
    let mut t4 = connect(&transport, "t4").await.unwrap();
    let mut socket = t4.open(&socket()).await.unwrap();
    socket.write_all(b"show\n").await.unwrap();
    let others = async {
        for _ in 0..5 {
            let mut t3 = connect(&transport, "t3").await.unwrap();
            let ran = timeout(Duration::from_secs(5), run(&mut *t3, None)).await;
            assert_eq!(ran.unwrap().1, b"quick");
        }
        sleep(Duration::from_secs(60)).await;
    };
    tokio::select! {
        _ = flooding => panic!("a flood has no end"),
        _ = feeding => panic!("it hangs"),
        () = others => {}
    }
    let read = source.0.load(Ordering::Relaxed);
    assert!(
        read > WINDOW && read < 6 * WINDOW,
        "{read} bytes were read for three windows"
    );
    let mut flooded = 0;
    while let Ok(Event::Output { data, .. }) = events.try_recv() {
        flooded += data.len();
    }
    assert!(flooded > 0 && flooded < WINDOW, "{flooded}");
    // The answer that nobody has read so far is there, whole.
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer.len(), 10 << 20);
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_ends_on_the_node() {
    let site = Site::new(
        Sim::new().every(
            Script::new()
                .hang()
                .stubborn()
                .socket(socket(), |_| Vec::new()),
        ),
    );
    let (transport, _) = site.transport();
    let wait_for = async |open: usize| {
        while site.leaves.open() != open {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let mut one = connect(&transport, "t1").await.unwrap();
    let two = connect(&transport, "t2").await.unwrap();
    assert_eq!(site.leaves.open(), 2);
    let (mut io, _events, _stop) = line();
    let command = Command::default();
    let hanging = timeout(Duration::from_secs(1), one.exec(&command, &mut io)).await;
    assert!(hanging.is_err());
    two.close().await;
    wait_for(1).await;
    // The session is there as before, and ends when it is dropped; so do its streams.
    let mut socket = one.open(&socket()).await.unwrap();
    drop(one);
    wait_for(0).await;
    let error = socket.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("its session is over"), "{error}");
    // So does one that is being made.
    let silent = Site::new(Sim::new().every(Script::silent()));
    let (transport, _) = silent.transport();
    let connecting = timeout(Duration::from_secs(1), connect(&transport, "t1")).await;
    assert!(connecting.is_err() && silent.leaves.open() == 1);
    while silent.leaves.open() > 0 {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_goes_down_to_the_command() {
    let site = Site::new(
        Sim::new()
            .node("t1", Script::new().hang())
            .node("t2", Script::new().hang().stubborn()),
    );
    let (transport, _) = site.transport();
    for (node, seconds) in [("t1", 0), ("t2", 2)] {
        let mut session = connect(&transport, node).await.unwrap();
        let (mut io, _events, stop) = line();
        stop.send_replace(Stop::Terminate);
        let begun = Instant::now();
        let outcome = session.exec(&Command::default(), &mut io).await;
        match node {
            "t1" => assert_eq!(
                outcome,
                Outcome::Killed {
                    signal: "TERM".into()
                }
            ),
            _ => assert!(
                matches!(&outcome, Outcome::Failed(failure) if failure.code == ErrorCode::Stopped),
                "{outcome:?}"
            ),
        }
        assert_eq!(begun.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_a_gateway_is_the_loss_of_its_sessions() {
    for gateway in ["gw1", "low"] {
        let hangs = Script::output("begun")
            .hang()
            .socket(socket(), |_| Vec::new());
        let site = Site::new(Sim::new().every(hangs));
        let (transport, noted) = site.transport();
        let mut idle = connect(&transport, "t1").await.unwrap();
        let mut socket = idle.open(&socket()).await.unwrap();
        // The second goes to the other gateway, the third to the first again.
        let other = connect(&transport, "t2").await.unwrap();
        let mut busy = connect(&transport, "t3").await.unwrap();
        let killing = async {
            sleep(Duration::from_secs(1)).await;
            site.kill(gateway);
        };
        let ((outcome, out, _), ()) = tokio::join!(run(&mut *busy, None), killing);
        assert_eq!(out, b"begun");
        let Outcome::Failed(failure) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(failure.code, ErrorCode::Lost);
        let said = format!("lost with gateway {gateway} (hapsh was killed there by SIGKILL)");
        assert!(failure.message.starts_with(&said), "{failure}");
        assert!(
            failure.message.contains("the command may still be running"),
            "{failure}"
        );
        // An end of the gateway is none of the stream.
        let error = socket.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("lost with gateway {gateway}")),
            "{error}"
        );
        assert!(socket.write_all(b"x").await.is_err() || gateway == "low");
        assert_eq!(idle.answers(Duration::ZERO).await, gateway == "low");
        let long = Duration::from_secs(100);
        assert!(!idle.answers(long).await);
        assert!(idle.open(&self::socket()).await.is_err());
        let mut other = other;
        // The other one may be behind the same gateway of the second level.
        assert_eq!(other.answers(long).await, gateway == "gw1");
        // New sessions go another way.
        assert!(connect(&transport, "t4").await.is_ok());
        let notices = noted.0.lock().unwrap().clone();
        assert!(notices.len() <= 2, "{notices:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_nodes_at_one_time() {
    let mut sim = Sim::new();
    for n in 1..=99 {
        let script = match n % 3 {
            0 => Script::unreachable(ErrorCode::Auth, "no"),
            1 => Script::output(format!("{n}")).wait(Duration::from_secs(n)),
            _ => Script::new().exit(2),
        };
        sim = sim.node(&format!("t{n}"), script);
    }
    let site = Site::new(sim);
    let (transport, _) = site.transport();
    let begun = Instant::now();
    let transport = &transport;
    let nodes = (1..=99).map(async |n| {
        let node = connect(transport, &format!("t{n}")).await;
        match (n % 3, node) {
            (0, Err(failure)) => assert_eq!(failure.code, ErrorCode::Auth),
            (1, Ok(mut node)) => {
                assert_eq!(run(&mut *node, None).await.1, n.to_string().as_bytes())
            }
            (2, Ok(mut node)) => {
                assert_eq!(run(&mut *node, None).await.0, Outcome::Exited { status: 2 })
            }
            (_, node) => panic!("t{n}: {:?}", node.err()),
        }
    });
    futures_util::future::join_all(nodes).await;
    assert_eq!(begun.elapsed().as_secs(), 97, "one beside the other");
    assert_eq!(site.begun.load(Ordering::Relaxed), 4);
}
