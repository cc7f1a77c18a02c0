//! Gateways that are scripted: what they say, line by line, and what becomes of their nodes. The clock is paused, so
//! that waiting costs nothing.

mod lies;
mod limits;
mod sessions;
mod site;

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::*;
use crate::event::{Event, Failure, Stream};
use crate::gateway::{Hello, Tell, VERSION};
use crate::plan::{Limits, Plan};
use crate::transport::input::{Input, Source};
use crate::transport::{Command, Duplex, Endpoint, NodeIo, Session};

/// What a gateway of a test does, step by step.
#[derive(Debug, Clone)]
enum Step {
    /// Says bytes.
    Say(Vec<u8>),
    /// Waits until it has been told something with this in it.
    Await(&'static str),
    /// Says nothing for so long.
    Pause(Duration),
    /// Ends.
    End(Outcome),
    /// Cannot be connected to.
    Refuse,
}

fn hello() -> Step {
    say(&Hello::ours())
}

fn say(message: &impl serde::Serialize) -> Step {
    let mut line = serde_json::to_vec(message).unwrap();
    line.push(b'\n');
    Step::Say(line)
}

fn ready(nodes: &str) -> Step {
    say(&Tell::Ready {
        nodes: nodes.into(),
    })
}

fn finished(nodes: &str) -> Step {
    say(&Tell::Finished {
        nodes: nodes.into(),
        outcome: Outcome::OK,
    })
}

/// A gateway that does all it is asked for these nodes.
fn obedient(nodes: &str) -> Vec<Step> {
    vec![
        hello(),
        Step::Await(r#""ask":"run""#),
        ready(nodes),
        Step::Await(r#""ask":"begin""#),
        finished(nodes),
        say(&Tell::End),
    ]
}

/// What each gateway does, once for each time it is connected to.
#[derive(Debug)]
struct Scripted(Mutex<Vec<(String, Vec<Step>)>>);

impl Transport for Scripted {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        _limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        let mut talks = self.0.lock().unwrap();
        let next = talks.iter().position(|(name, _)| **name == **node);
        let (_, steps) = talks.remove(next.unwrap_or_else(|| panic!("{node} once more")));
        drop(talks);
        Box::pin(async move {
            match steps.first() {
                Some(Step::Refuse) => Err(Failure::new(ErrorCode::Refused, "connection refused")),
                _ => Ok(Box::new(Talk(steps)) as Box<dyn Session>),
            }
        })
    }
}

struct Talk(Vec<Step>);

impl Session for Talk {
    fn exec<'a>(&'a mut self, command: &'a Command, io: &'a mut NodeIo) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let mut told = command.stdin.as_ref().unwrap().reader();
            let mut heard = String::new();
            for step in &self.0 {
                match step {
                    Step::Say(bytes) => {
                        // Cut in the middle, as a network would.
                        let (one, other) = bytes.split_at(bytes.len() / 2);
                        for part in [one, other].map(Bytes::copy_from_slice) {
                            io.output(Stream::Out, part).await;
                        }
                    }
                    Step::Await(text) => {
                        while !heard.contains(text) {
                            let data = told.next().await.unwrap();
                            assert!(!data.is_empty(), "{text} never came: {heard}");
                            heard.push_str(&String::from_utf8_lossy(&data));
                        }
                    }
                    Step::Pause(pause) => sleep(*pause).await,
                    Step::End(outcome) => return outcome.clone(),
                    Step::Refuse => unreachable!(),
                }
            }
            // As the program does, it stays until its input ends.
            while !told.next().await.unwrap().is_empty() {}
            Outcome::OK
        })
    }

    fn open<'a>(
        &'a mut self,
        _endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        unreachable!()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

#[derive(Debug, Default)]
struct Noted(Mutex<Vec<String>>);

impl Parent for Noted {
    fn notice(&self, notice: Notice<'_>) {
        let text = match notice {
            Notice::Failed { gateway, message } => format!("{gateway}: {message}"),
            Notice::Rerouting { gateway, nodes } => format!("{nodes} not by {gateway}"),
            Notice::NoRoute { node } => format!("no route to {node}"),
        };
        self.0.lock().unwrap().push(text);
    }
}

/// What became of a run.
#[derive(Debug)]
struct Ran {
    /// `started`, `out TEXT`, and the outcome of each node.
    events: BTreeMap<String, Vec<String>>,
    notices: Vec<String>,
    took: Duration,
}

impl Ran {
    fn of(&self, node: &str) -> String {
        self.events
            .get(node)
            .map(|events| events.join(", "))
            .unwrap_or_default()
    }
}

/// Runs a command on t1 to t4 behind gw1 and gw2, which do what the scripts say.
async fn run(
    scripts: &[(&str, Vec<Step>)],
    stdin: Option<Input>,
    stop: watch::Receiver<Stop>,
) -> Ran {
    run_within(Limits::default(), scripts, stdin, stop).await
}

/// The same within limits.
async fn run_within(
    limits: Limits,
    scripts: &[(&str, Vec<Step>)],
    stdin: Option<Input>,
    stop: watch::Receiver<Stop>,
) -> Ran {
    let routes = "[routes]\nvm: gw[1-2]\ngw[1-2]: t[1-4]\n";
    let topology = Topology::read("f", routes, "vm", &crate::nodeset::NoGroups).unwrap();
    let scripts = scripts
        .iter()
        .map(|(name, steps)| ((*name).to_owned(), steps.clone()));
    let parent = Arc::new(Noted::default());
    let gateways = Gateways {
        topology,
        transport: Arc::new(Scripted(Mutex::new(scripts.collect()))),
        reach: Reach::default(),
        install: None,
        lost: None,
        parent: Arc::clone(&parent) as _,
        open: OpenGateways::default(),
    };
    let names: Arc<[NodeName]> = (1..=4).map(|n| format!("t{n}").into()).collect();
    let plan = Plan::all(Arc::clone(&names), NonZeroUsize::MAX, limits);
    let command = Command {
        line: "uptime".into(),
        stdin,
        pty: false,
    };
    let of = |_| std::borrow::Cow::Borrowed(&command);
    let (sender, mut events) = mpsc::channel(1);
    let launch = Launch {
        plan: &plan,
        nodes: &plan.selected,
        command: &of,
    };
    let begun = Instant::now();
    let launching = async {
        gateways.launch(launch, FleetIo::new(sender, stop)).await;
    };
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let watching = async {
        while let Some(event) = events.recv().await {
            let (node, text) = match event {
                Event::Started { node } => (node, "started".to_owned()),
                Event::Output { node, data, .. } => {
                    (node, format!("out {}", String::from_utf8_lossy(&data)))
                }
                Event::Answer { node, .. } => (node, "answered".to_owned()),
                Event::Finished { node, outcome, .. } => (node, format!("{outcome:?}")),
            };
            let events = seen.entry(names[node.index()].to_string()).or_default();
            assert!(
                !events.last().is_some_and(|last| last.contains("ed {")),
                "{events:?} {text}"
            );
            events.push(text);
        }
    };
    tokio::join!(launching, watching);
    assert_eq!(gateways.open.count(), 0);
    let notices = parent.0.lock().unwrap().clone();
    Ran {
        events: seen,
        notices,
        took: begun.elapsed(),
    }
}

async fn plain(scripts: &[(&str, Vec<Step>)]) -> Ran {
    let (_stop, seen) = watch::channel(Stop::No);
    run(scripts, None, seen).await
}

const DONE: &str = "started, Exited { status: 0 }";

#[tokio::test(start_paused = true)]
async fn each_node_has_its_outcome() {
    let ran = plain(&[("gw1", obedient("t[1,3]")), ("gw2", obedient("t[2,4]"))]).await;
    for node in ["t1", "t2", "t3", "t4"] {
        assert_eq!(ran.of(node), DONE);
    }
    assert_eq!(ran.notices, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_reached_costs_nothing() {
    let ran = plain(&[
        ("gw1", vec![Step::Refuse]),
        ("gw2", obedient("t[2,4]")),
        ("gw2", obedient("t[1,3]")),
    ])
    .await;
    for node in ["t1", "t2", "t3", "t4"] {
        assert_eq!(ran.of(node), DONE);
    }
    assert_eq!(
        ran.notices,
        ["gw1: connection refused", "t[1,3] not by gw1"]
    );
}

#[tokio::test(start_paused = true)]
async fn without_any_way_it_is_said() {
    let refuse = |gateway| (gateway, vec![Step::Refuse]);
    let ran = plain(&[refuse("gw1"), refuse("gw2"), refuse("gw2")]).await;
    for node in ["t1", "t2", "t3", "t4"] {
        assert!(ran.of(node).contains("no route: every gateway"), "{ran:?}");
        assert_eq!(ran.events[node].len(), 1);
    }
    assert!(
        ran.notices.contains(&"no route to t1".to_owned()),
        "{ran:?}"
    );
}

/// Whatever happens to gw1 when t1 has been begun and t3 has not: t1 is lost and never repeated, t3 goes by gw2.
async fn half_begun(rest: &[Step]) -> Ran {
    let start = [
        hello(),
        Step::Await("run"),
        ready("t1"),
        Step::Await("begin"),
    ];
    let ran = plain(&[
        ("gw1", [&start, rest].concat()),
        ("gw2", obedient("t[2,4]")),
        ("gw2", obedient("t3")),
    ])
    .await;
    for node in ["t2", "t3", "t4"] {
        assert_eq!(ran.of(node), DONE, "{rest:?}");
    }
    let t1 = ran.of("t1");
    assert!(
        t1.contains("Failed(Failure { code: Lost, message: \"lost with gateway gw1 ("),
        "{t1}"
    );
    assert_eq!(ran.notices[1..], ["t3 not by gw1"], "{ran:?}");
    ran
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_is_lost_and_the_rest_goes_another_way() {
    let ended = async |outcome| half_begun(&[Step::End(outcome)]).await;
    let lost = Outcome::failed(ErrorCode::Lost, "connection lost");
    assert_eq!(ended(lost).await.notices[0], "gw1: connection lost");
    let killed = Outcome::Killed {
        signal: "KILL".into(),
    };
    assert_eq!(
        ended(killed).await.notices[0],
        "gw1: hapsh was killed there by SIGKILL"
    );
    assert_eq!(
        ended(Outcome::OK).await.notices[0],
        "gw1: hapsh ended there with 0"
    );
}

#[tokio::test(start_paused = true)]
async fn garbage_fails_its_gateway_only() {
    let output = |nodes: &str, at| {
        say(&Tell::Output {
            nodes: nodes.into(),
            stream: Stream::Out,
            at,
        })
    };
    for (garbage, said) in [
        (
            Step::Say(b"what?\n".to_vec()),
            "what it says makes no sense: `what?`",
        ),
        (
            Step::Say(b"{\"event\":\"new\"}\n".to_vec()),
            "what it says makes no sense",
        ),
        (
            Step::Say(vec![b'x'; 1 << 21]),
            "a line of more than 1048576 bytes",
        ),
        (ready("x9"), "it speaks of x9, which is not its own"),
        (ready("t2"), "it speaks of t2, which is not its own"),
        (ready("t[1-"), "missing bracket"),
        (
            ready("t[1-99999999]"),
            "99999999 nodes where at most 2 may be",
        ),
        (ready("t1"), "it would begin t1 twice"),
        (output("t3", (0, 0)), "output of t3, which was not begun"),
        (output("t1", (7, 1)), "stretch 7 is not known"),
        (say(&Tell::Forget { below: 9 }), "out of order"),
        (say(&Tell::End), "it ended without a word on 2 nodes"),
        (ready(""), "it speaks of no node"),
        (
            ready("a[1-9999]b[1-9999]c[1-9999]"),
            "nodes where at most 2 may be",
        ),
        (finished("t3"), "the end of t3, which was not begun"),
        (
            say(&Tell::Finished {
                nodes: "t1".into(),
                outcome: Outcome::failed(ErrorCode::Verify, "x"),
            }),
            "no command ends with E_VERIFY",
        ),
        (
            say(&Tell::Stretch(crate::gateway::Stretch {
                id: 1,
                after: Some((0, 0)),
                data: crate::gateway::Data(Bytes::new()),
            })),
            "nothing new in stretch 1",
        ),
        (
            say(&Tell::Failed {
                gateway: "gw2".into(),
                message: "x".into(),
            }),
            "it speaks of gw2, which is not below it",
        ),
        (
            say(&Tell::Rerouting {
                gateway: "gw2".into(),
                nodes: "t1".into(),
            }),
            "it speaks of gw2, which did not fail",
        ),
        (ready("\x1bx"), "it speaks of ?"),
    ] {
        let ran = half_begun(std::slice::from_ref(&garbage)).await;
        assert!(ran.notices[0].contains(said), "{said}: {ran:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_gateway_greets_with() {
    for (greeting, said) in [
        (
            vec![Step::Say(vec![b'x'; 1 << 21])],
            "a line of more than 1048576 bytes".to_owned(),
        ),
        (
            vec![Step::Say(b"motd\n".repeat(5000))],
            "no greeting among what it says".to_owned(),
        ),
        (
            vec![Step::Pause(SILENCE)],
            "no greeting within 30s".to_owned(),
        ),
        (
            vec![say(&Hello {
                v: VERSION + 1,
                version: "9.0\x1b".into(),
                ..Hello::ours()
            })],
            format!(
                "hapsh 9.0? there speaks version {} of the messages",
                VERSION + 1
            ),
        ),
        (
            vec![
                Step::Say(b"hash-gateway-missing Linux x86_64\n".to_vec()),
                Step::End(Outcome::OK),
            ],
            "no hapsh there; install it, or put this program at ~/.cache/hash/".to_owned(),
        ),
        (
            vec![Step::End(Outcome::Exited { status: 2 })],
            "hapsh ended there with 2".to_owned(),
        ),
    ] {
        let ran = plain(&[
            ("gw1", greeting),
            ("gw2", obedient("t[2,4]")),
            ("gw2", obedient("t[1,3]")),
        ])
        .await;
        assert!(ran.notices[0].contains(&said), "{said}: {ran:?}");
        assert_eq!(ran.of("t1"), DONE);
    }
    // What a login script prints is passed over.
    let chatty = [
        &[Step::Say(b"Welcome!\n{}\n".to_vec())],
        &obedient("t[1,3]")[..],
    ]
    .concat();
    let ran = plain(&[("gw1", chatty), ("gw2", obedient("t[2,4]"))]).await;
    assert_eq!((ran.of("t1").as_str(), ran.notices.len()), (DONE, 0));
}

/// An input that never ends, and says how much of it was read.
#[derive(Debug, Default)]
struct Endless(std::sync::atomic::AtomicUsize);

impl Source for Endless {
    fn read(&self, _at: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        self.0.fetch_add(1000, std::sync::atomic::Ordering::Relaxed);
        Box::pin(async { Ok(Bytes::from_static(&[b'x'; 1000])) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_takes_no_input_lets_it_wait() {
    let source = Arc::new(Endless::default());
    let input = Input::new(Arc::clone(&source) as _, crate::event::Meter::default());
    let deaf = |nodes: &str| {
        vec![
            hello(),
            Step::Await("run"),
            ready(nodes),
            Step::Await("begin"),
            Step::Pause(Duration::from_secs(20)),
            finished(nodes),
            say(&Tell::End),
        ]
    };
    let (_stop, seen) = watch::channel(Stop::No);
    let ran = run(
        &[("gw1", deaf("t[1,3]")), ("gw2", deaf("t[2,4]"))],
        Some(input),
        seen,
    )
    .await;
    assert_eq!(ran.of("t1"), DONE);
    let read = source.0.load(std::sync::atomic::Ordering::Relaxed);
    assert!(read < 2 * 1024 * 1024, "{read} bytes held for two gateways");
}

#[tokio::test(start_paused = true)]
async fn a_stop_goes_down_and_begins_nothing() {
    let (stop, seen) = watch::channel(Stop::No);
    let script = |nodes: &str| {
        vec![
            hello(),
            Step::Await("run"),
            ready(nodes),
            Step::Await("begin"),
            Step::Await(r#"{"ask":"stop","level":"drain"}"#),
            Step::Await(r#"{"ask":"stop","level":"terminate"}"#),
            finished(nodes),
            say(&Tell::End),
        ]
    };
    let stopping = async {
        sleep(Duration::from_secs(1)).await;
        stop.send_replace(Stop::Drain);
        sleep(Duration::from_secs(1)).await;
        stop.send_replace(Stop::Terminate);
    };
    let scripts = [
        ("gw1", script("t[1,3]")),
        ("gw2", vec![Step::Pause(Duration::from_secs(9))]),
    ];
    let (ran, ()) = tokio::join!(run(&scripts, None, seen), stopping);
    assert_eq!(ran.of("t1"), DONE);
    // The other had not greeted: its nodes are left to the engine, which says that they were stopped.
    assert_eq!((ran.of("t2").as_str(), ran.took.as_secs()), ("", 2));
}
