//! Sessions through gateways that are silent or lie.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::super::Routed;
use super::sessions::{connect, line};
use super::site::ROUTES;
use super::{Noted, Scripted, Step, hello, say};
use crate::event::{ErrorCode, Outcome, Stream};
use crate::gateway::session::{COST, Reply, WINDOW};
use crate::gateway::{Data, Reach};
use crate::nodeset::NoGroups;
use crate::topology::Topology;
use crate::transport::Command;
use crate::transport::gateway::{Gateways, OpenGateways};
use crate::transport::sim::Sim;

#[tokio::test(start_paused = true)]
async fn without_any_gateway_there_is_no_way_until_one_is_back() {
    let topology = Topology::read("f", ROUTES, "vm", &NoGroups).unwrap();
    let refuse = |name: &str| (name.to_owned(), vec![Step::Refuse]);
    let back = vec![
        hello(),
        Step::Await("connect"),
        say(&Reply::Connected { session: 1 }),
    ];
    let noted = Arc::new(Noted::default());
    let gateways = Gateways {
        topology,
        transport: Arc::new(Scripted(Mutex::new(vec![
            refuse("gw1"),
            refuse("gw2"),
            ("gw1".to_owned(), back),
        ]))),
        reach: Reach::default(),
        install: None,
        lost: None,
        parent: Arc::clone(&noted) as _,
        open: OpenGateways::default(),
    };
    let transport = Routed::new(gateways, Arc::new(Sim::new()), "");
    for _ in 0..2 {
        let failure = connect(&transport, "t1").await.err().unwrap();
        assert_eq!(failure.code, ErrorCode::Connect);
        assert_eq!(failure.message, super::super::NO_ROUTE);
    }
    let notices = [
        "gw1: connection refused",
        "gw2: connection refused",
        "no route to t1",
        "no route to t1",
    ];
    assert_eq!(*noted.0.lock().unwrap(), notices);
    sleep(Duration::from_secs(10)).await;
    assert!(connect(&transport, "t1").await.is_ok());
}

/// A root with one gateway that does what the script says.
fn scripted(steps: Vec<Step>) -> (Routed, Arc<Noted>) {
    let topology = Topology::read("f", "[routes]\nvm: gw1\ngw1: t[1-99]\n", "vm", &NoGroups);
    let noted = Arc::new(Noted::default());
    let gateways = Gateways {
        topology: topology.unwrap(),
        transport: Arc::new(Scripted(Mutex::new(vec![("gw1".to_owned(), steps)]))),
        reach: Reach::default(),
        install: None,
        lost: None,
        parent: Arc::clone(&noted) as _,
        open: OpenGateways::default(),
    };
    (Routed::new(gateways, Arc::new(Sim::new()), ""), noted)
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_never_answers_is_waited_for_as_long_as_a_node_may_take() {
    let mut steps = vec![hello()];
    for _ in 0..100 {
        steps.extend([Step::Pause(Duration::from_secs(5)), say(&Reply::Alive)]);
    }
    let (transport, _) = scripted(steps);
    let begun = Instant::now();
    let failure = connect(&transport, "t1").await.err().unwrap();
    assert_eq!(failure.code, ErrorCode::TimeoutConnect);
    assert_eq!(
        failure.message,
        "gateway gw1 did not say within 45s whether it is reached"
    );
    assert_eq!(begun.elapsed().as_secs(), 45);

    let (transport, noted) = scripted(vec![hello(), Step::Pause(Duration::from_secs(100))]);
    let failure = connect(&transport, "t1").await.err().unwrap();
    assert_eq!(failure.message, super::super::NO_ROUTE);
    assert_eq!(noted.0.lock().unwrap()[0], "gw1: silent for 30s");
}

/// What a gateway may not say, once it runs a command over stream 2; and what is said of it.
fn lies() -> Vec<(Vec<Step>, &'static str)> {
    let output = |bytes: &[u8]| Reply::Data {
        stream: 2,
        of: Stream::Out,
        data: Data(Bytes::copy_from_slice(bytes)),
    };
    let flood: Vec<Step> = (0..)
        .map(|_| say(&output(&[b'x'; 30_000])))
        .take(WINDOW / 30_000 + 1)
        .collect();
    let small: Vec<Step> = (0..)
        .map(|_| say(&output(b"x")))
        .take(WINDOW / COST)
        .collect();
    let failed = |code| {
        say(&Reply::Ended {
            stream: 2,
            outcome: Outcome::failed(code, "all is well"),
        })
    };
    vec![
        (
            vec![say(&Reply::Eof { stream: 3 })],
            "it speaks of number 3, which was never given",
        ),
        (
            vec![say(&Reply::Connected { session: 0 })],
            "it speaks of number 0",
        ),
        (vec![say(&output(b""))], "it sends nothing over stream 2"),
        (flood, "it sends more than it may over stream 2"),
        (small, "it sends more than it may over stream 2"),
        (
            vec![say(&Reply::Room {
                stream: 2,
                bytes: 1,
            })],
            "it has too much room for stream 2",
        ),
        (
            vec![failed(ErrorCode::Guard)],
            "nothing there ends with E_GUARD",
        ),
        (
            vec![failed(ErrorCode::Verify)],
            "nothing there ends with E_VERIFY",
        ),
        (
            vec![say(&Reply::Failed {
                gateway: "gw7".into(),
                message: String::new(),
            })],
            "it speaks of gw7, which is not below it",
        ),
        (
            vec![Step::Say(b"{\"event\":\"\x1b[2J\"}\n".to_vec())],
            "what it says makes no sense",
        ),
        (
            vec![Step::Say(vec![b'x'; 1 << 21])],
            "a line of more than 1048576 bytes",
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_lies_is_lost_with_its_own_sessions() {
    for (lies, said) in lies() {
        let mut steps = vec![
            hello(),
            Step::Await("connect"),
            say(&Reply::Connected { session: 1 }),
            Step::Await("exec"),
        ];
        steps.extend(lies);
        let (transport, _) = scripted(steps);
        let mut session = connect(&transport, "t1").await.unwrap();
        let (mut io, events, _stop) = line();
        // Nobody takes what it says, so that its window is all that it has.
        let command = Command::default();
        let running = session.exec(&command, &mut io);
        let draining = async {
            sleep(Duration::from_secs(1)).await;
            drop(events);
            std::future::pending::<()>().await;
        };
        let outcome = tokio::select! {
            outcome = running => outcome,
            () = draining => unreachable!(),
        };
        let Outcome::Failed(failure) = outcome else {
            panic!("{said}: {outcome:?}")
        };
        assert_eq!(failure.code, ErrorCode::Lost);
        assert!(failure.message.contains(said), "{said}: {failure}");
        assert!(!failure.message.contains('\x1b'), "{failure}");
        assert!(!session.answers(Duration::ZERO).await);
    }
}
