//! The promises of `dispatch`, on scripted nodes and tokio's paused clock.

mod launchers;

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::pool::SessionPool;
use super::{Executor, dispatch};
use crate::answer::{Answer, Said};
use crate::event::{Ending, ErrorCode, Event, NodeId, Outcome, Stop, Stream, Summary};
use crate::plan::{Limits, NodeName, Plan};
use crate::report::Reporter;
use crate::transport::sim::{Script, Sim};
use crate::transport::{BoxFuture, Command, FleetIo, Launch, Launcher, Transport};
use crate::work::run::Run;

const SECOND: Duration = Duration::from_secs(1);

/// Keeps all events, and checks the promises while they come.
#[derive(Default)]
struct Recorder {
    said: HashMap<NodeId, Vec<u8>>,
    finished: HashMap<NodeId, Outcome>,
    pending_at_stop: Vec<NodeId>,
    answers: Vec<(NodeId, Arc<Answer>)>,
    fail_after: Option<usize>,
}

impl Reporter for Recorder {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { node } => {
                assert!(!self.finished.contains_key(node), "started after its end")
            }
            Event::Output { node, data, .. } => {
                assert!(!self.finished.contains_key(node), "output after its end");
                self.said.entry(*node).or_default().extend_from_slice(data);
                if let Some(left) = &mut self.fail_after {
                    if *left == 0 {
                        return Err(io::ErrorKind::BrokenPipe.into());
                    }
                    *left -= 1;
                }
            }
            Event::Answer { node, answer } => {
                assert!(!self.finished.contains_key(node), "answer after its end");
                self.answers.push((*node, answer.clone()));
            }
            Event::Finished { node, outcome, .. } => {
                assert!(
                    self.finished.insert(*node, outcome.clone()).is_none(),
                    "finished twice"
                );
            }
        }
        Ok(())
    }

    fn stopping(&mut self, _level: Stop, pending: &[NodeId]) -> io::Result<()> {
        self.pending_at_stop = pending.to_vec();
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }
}

fn plan(names: &[&str], fanout: usize, limits: Limits) -> Plan {
    let names: Arc<[NodeName]> = names.iter().map(|name| NodeName::from(*name)).collect();
    Plan::all(names, NonZeroUsize::new(fanout).unwrap(), limits)
}

/// Runs a command and asks to stop at the given times.
async fn run(
    plan: &Plan,
    sim: &dyn Transport,
    stops: &[(Duration, Stop)],
    recorder: &mut Recorder,
) -> Summary {
    let work = Run {
        command: Command {
            line: "x".into(),
            ..Command::default()
        },
    };
    let (sender, mut receiver) = mpsc::channel(8);
    let stops = stops.to_vec();
    let asking = async move {
        for (after, level) in stops {
            tokio::time::sleep(after).await;
            let _ = sender.send(level).await;
        }
        std::future::pending::<()>().await
    };
    let executor = Executor::new(sim, &work);
    tokio::select! {
        summary = dispatch(plan, executor, &mut receiver, recorder) => summary,
        () = asking => unreachable!("asking never ends"),
    }
}

fn code(outcome: &Outcome) -> Option<ErrorCode> {
    match outcome {
        Outcome::Failed(failure) => Some(failure.code),
        Outcome::Exited { .. } | Outcome::Killed { .. } => None,
    }
}

#[tokio::test(start_paused = true)]
async fn every_limit_ends_in_its_own_outcome() {
    let sim = Sim::new()
        .node("ok", Script::output("hello\n"))
        .node("seven", Script::new().exit(7))
        .node("killed", Script::new().killed("KILL"))
        .node(
            "refused",
            Script::unreachable(ErrorCode::Refused, "connection refused"),
        )
        .node("silent", Script::silent())
        .node("hung", Script::new().out("x").hang())
        .node("slow", Script::new().wait(9 * SECOND))
        .node("quiet", Script::new().wait(6 * SECOND).out("late"))
        .node("lost", Script::new().lost());
    let limits = Limits {
        connect: Some(3 * SECOND),
        idle: Some(5 * SECOND),
        command: Some(8 * SECOND),
        ..Limits::default()
    };
    let names = [
        "ok", "seven", "killed", "refused", "silent", "hung", "slow", "quiet", "lost",
    ];
    let plan = plan(&names, 64, limits);
    let mut recorder = Recorder::default();
    let summary = run(&plan, &sim, &[], &mut recorder).await;
    assert_eq!(summary.outcomes.len(), names.len());
    assert!(summary.ending.is_none());
    let of = |name: &str| {
        let node =
            NodeId(u32::try_from(names.iter().position(|known| *known == name).unwrap()).unwrap());
        recorder.finished[&node].clone()
    };
    assert_eq!(of("ok"), Outcome::OK);
    assert_eq!(of("seven"), Outcome::Exited { status: 7 });
    assert_eq!(of("killed").status(), 137);
    assert_eq!(code(&of("refused")), Some(ErrorCode::Refused));
    assert_eq!(code(&of("silent")), Some(ErrorCode::TimeoutConnect));
    assert_eq!(code(&of("hung")), Some(ErrorCode::TimeoutIdle));
    assert_eq!(code(&of("quiet")), Some(ErrorCode::TimeoutIdle));
    assert_eq!(code(&of("slow")), Some(ErrorCode::TimeoutIdle));
    assert_eq!(code(&of("lost")), Some(ErrorCode::Lost));
    assert_eq!(sim.open(), 0);
}

/// Gives three answers, with a pause before each.
#[derive(Debug)]
struct Answering(Duration);

impl crate::work::Work for Answering {
    fn serve<'a>(
        &'a self,
        _: NodeId,
        _: &'a mut dyn crate::transport::Session,
        io: &'a mut crate::transport::NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            for text in ["a", "b", "c"] {
                tokio::time::sleep(self.0).await;
                let said = Said {
                    instance: None,
                    text: text.into(),
                };
                io.answer(Answer::Raw(vec![said])).await;
            }
            Outcome::OK
        })
    }
}

#[tokio::test(start_paused = true)]
async fn answers_keep_their_order_end_before_the_outcome_and_break_the_silence() {
    let sim = Sim::new().every(Script::new());
    let limits = Limits {
        idle: Some(5 * SECOND),
        ..Limits::default()
    };
    let plan = plan(&["a", "b"], 2, limits);
    let (_sender, mut stops) = mpsc::channel(1);
    let mut recorder = Recorder::default();
    let work = Answering(4 * SECOND);
    dispatch(&plan, Executor::new(&sim, &work), &mut stops, &mut recorder).await;
    for node in [0, 1].map(NodeId) {
        assert_eq!(recorder.finished[&node], Outcome::OK);
        let own = recorder.answers.iter().filter(|(of, _)| *of == node);
        let texts: Vec<&Answer> = own.map(|(_, answer)| &**answer).collect();
        let expected = ["a", "b", "c"].map(|text| {
            Answer::Raw(vec![Said {
                instance: None,
                text: text.into(),
            }])
        });
        assert_eq!(texts, expected.iter().collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn the_fanout_is_never_exceeded_and_a_hung_node_costs_one_slot() {
    let mut sim = Sim::new().every(Script::new().wait(SECOND).out("x"));
    sim = sim.node("n0", Script::new().hang());
    let names: Vec<String> = (0..50).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let limits = Limits {
        command: Some(30 * SECOND),
        ..Limits::default()
    };
    let plan = plan(&names, 8, limits);
    let mut recorder = Recorder::default();
    let begun = tokio::time::Instant::now();
    run(&plan, &sim, &[], &mut recorder).await;
    assert_eq!(sim.most_open(), 8);
    assert_eq!(begun.elapsed().as_secs(), 30);
    assert_eq!(recorder.said.len(), 49);
}

#[tokio::test(start_paused = true)]
async fn the_first_stop_asks_and_the_second_does_not() {
    let polite = Script::new().hang();
    let sim = Sim::new()
        .node("polite", polite)
        .node("deaf", Script::new().hang().stubborn());
    let plan = plan(&["polite", "deaf", "waiting"], 2, Limits::default());
    let mut recorder = Recorder::default();
    let begun = tokio::time::Instant::now();
    let stops = [(SECOND, Stop::Terminate), (SECOND / 2, Stop::Kill)];
    let summary = run(&plan, &sim, &stops, &mut recorder).await;
    assert!(matches!(summary.ending, Some(Ending::Stopped)));
    assert_eq!(begun.elapsed(), SECOND * 3 / 2);
    assert_eq!(
        recorder.pending_at_stop,
        [NodeId(1)],
        "at the second stop only the deaf one is left"
    );
    assert_eq!(recorder.finished.len(), 3);
    assert!(
        recorder
            .finished
            .values()
            .all(|outcome| *outcome != Outcome::OK)
    );
    assert_eq!(
        code(&recorder.finished[&NodeId(2)]),
        Some(ErrorCode::Stopped)
    );
    assert_eq!(sim.connections(), 2, "nothing new is begun");
    assert_eq!(sim.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deaf_node_is_left_after_the_grace() {
    let sim = Sim::new().node("deaf", Script::new().hang().stubborn());
    let plan = plan(&["deaf"], 2, Limits::default());
    let mut recorder = Recorder::default();
    let begun = tokio::time::Instant::now();
    run(&plan, &sim, &[(SECOND, Stop::Terminate)], &mut recorder).await;
    assert_eq!(begun.elapsed(), SECOND + super::GRACE);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_the_reason_of_all_that_it_cut_off() {
    let sim = Sim::new()
        .every(Script::new().hang())
        .node("ok", Script::new());
    let limits = Limits {
        deadline: Some(10 * SECOND),
        ..Limits::default()
    };
    let plan = plan(&["ok", "a", "b", "c"], 2, limits);
    let mut recorder = Recorder::default();
    let summary = run(&plan, &sim, &[], &mut recorder).await;
    assert!(matches!(summary.ending, Some(Ending::Deadline)));
    assert_eq!(recorder.finished[&NodeId(0)], Outcome::OK);
    assert_eq!(
        code(&recorder.finished[&NodeId(3)]),
        Some(ErrorCode::Deadline)
    );
    assert_eq!(recorder.finished.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_leaves_stops_the_run() {
    let sim = Sim::new().every(Script::new().flood(vec![b'x'; 32 * 1024]));
    let plan = plan(&["a", "b", "c"], 2, Limits::default());
    let mut recorder = Recorder {
        fail_after: Some(100),
        ..Recorder::default()
    };
    let summary = run(&plan, &sim, &[], &mut recorder).await;
    assert!(
        matches!(summary.ending, Some(Ending::OutputLost(error)) if error.kind() == io::ErrorKind::BrokenPipe)
    );
    assert_eq!(summary.outcomes.len(), 3);
    assert_eq!(sim.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pool_keeps_sessions_between_dispatches() {
    let sim = Sim::new()
        .every(Script::output("x"))
        .node("bad", Script::new().lost());
    let plan = plan(&["a", "b", "bad"], 8, Limits::default());
    let pool = SessionPool::default();
    let work = Run {
        command: Command::default(),
    };
    for _ in 0..3 {
        let (_sender, mut stops) = mpsc::channel(1);
        let executor = Executor {
            pool: Some(&pool),
            ..Executor::new(&sim, &work)
        };
        let summary = dispatch(&plan, executor, &mut stops, &mut Recorder::default()).await;
        assert_eq!(summary.outcomes.len(), 3);
    }
    assert_eq!(sim.connections(), 2 + 3, "a lost session is not used again");
    pool.close().await;
    assert_eq!(sim.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn more_failures_than_tolerated_begin_no_further_node() {
    let sim = Sim::new().every(Script::new().wait(SECOND).exit(1));
    let names: Vec<String> = (0..20).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut plan = plan(&names, 4, Limits::default());
    plan.tolerance.failed = Some(2);
    let mut recorder = Recorder::default();
    let summary = run(&plan, &sim, &[], &mut recorder).await;
    assert!(
        matches!(&summary.ending, Some(Ending::Threshold(reason)) if reason == "failures on 3 of the nodes")
    );
    assert_eq!(recorder.finished.len(), 20);
    assert!(sim.connections() <= 8, "those at work end, no other begins");
}

#[tokio::test(start_paused = true)]
async fn one_at_a_time_none_begins_before_it_is_known_how_the_last_ended() {
    let sim = Sim::new().every(Script::unreachable(ErrorCode::Refused, "refused"));
    let mut plan = plan(&["a", "b", "c"], 1, Limits::default());
    plan.tolerance.unreached = Some(0);
    let mut recorder = Recorder::default();
    run(&plan, &sim, &[], &mut recorder).await;
    assert_eq!((sim.connections(), recorder.finished.len()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_failed_connection_is_tried_again_only_when_asked() {
    let sim = Sim::new().every(Script::unreachable(ErrorCode::Refused, "refused"));
    let mut plan = plan(&["a"], 4, Limits::default());
    run(&plan, &sim, &[], &mut Recorder::default()).await;
    assert_eq!(sim.connections(), 1);
    plan.tolerance.retries = 3;
    run(&plan, &sim, &[], &mut Recorder::default()).await;
    assert_eq!(sim.connections(), 1 + 4);
}

/// Opens once.
struct OnceOnly(std::sync::atomic::AtomicUsize);

impl super::batch::Gate for OnceOnly {
    fn pass<'a>(
        &'a self,
        so_far: &'a Summary,
    ) -> crate::transport::BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let asked = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if asked == 0 {
                Ok(())
            } else {
                Err(format!("gate closed after {}", so_far.outcomes.len()))
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn batches_wait_for_the_gate() {
    use super::batch::{Batches, dispatch_batches};
    let sim = Sim::new().every(Script::new().wait(SECOND));
    let names: Vec<String> = (0..10).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let plan = plan(&names, 64, Limits::default());
    let work = Run {
        command: Command::default(),
    };
    let executor = Executor::new(&sim, &work);
    let (_sender, mut stops) = mpsc::channel(1);
    let begun = tokio::time::Instant::now();
    let open = Batches {
        sizes: &[1, 4],
        pause: SECOND * 10,
        gate: None,
    };
    let mut recorder = Recorder::default();
    let summary = dispatch_batches(&plan, open, executor, &mut stops, &mut recorder).await;
    assert_eq!(summary.outcomes.len(), 10);
    assert_eq!(
        begun.elapsed(),
        SECOND * 34,
        "batches of 1, 4, 4 and 1, and three pauses"
    );
    assert_eq!(sim.most_open(), 4);

    let mut short = plan.clone();
    short.limits.deadline = Some(SECOND * 15);
    let begun = tokio::time::Instant::now();
    let mut recorder = Recorder::default();
    let summary = dispatch_batches(&short, open, executor, &mut stops, &mut recorder).await;
    assert!(matches!(summary.ending, Some(Ending::Deadline)));
    assert_eq!(begun.elapsed(), SECOND * 15, "not once more for each batch");
    assert_eq!(recorder.finished.len(), 10);

    let gate = OnceOnly(std::sync::atomic::AtomicUsize::new(0));
    let gated = Batches {
        sizes: &[1, 4],
        pause: Duration::ZERO,
        gate: Some(&gate),
    };
    let mut recorder = Recorder::default();
    let summary = dispatch_batches(&plan, gated, executor, &mut stops, &mut recorder).await;
    assert_eq!(recorder.finished.len(), 10);
    assert_eq!(
        recorder
            .finished
            .values()
            .filter(|outcome| **outcome == Outcome::OK)
            .count(),
        5
    );
    assert!(
        matches!(&summary.ending, Some(Ending::Threshold(reason)) if reason == "gate closed after 5")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the nodes do and whenever somebody asks to stop: one outcome each, nothing left open, and the
    /// bytes in order.
    #[test]
    fn every_node_ends_exactly_once(
        kinds in prop::collection::vec(0..9u8, 1..30),
        fanout in 1..12usize,
        stop_after in prop::option::of(0..4000u64),
        kill_after in prop::option::of(0..3000u64),
        deadline in prop::option::of(1..4u64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let names: Vec<String> = (0..kinds.len()).map(|n| format!("n{n}")).collect();
        let mut sim = Sim::new();
        for (name, kind) in names.iter().zip(&kinds) {
            let script = match kind {
                0 => Script::new().out("a").out("b").out("c"),
                1 => Script::new().wait(SECOND).out("abc").exit(3),
                2 => Script::silent(),
                3 => Script::new().hang(),
                4 => Script::new().hang().stubborn(),
                5 => Script::unreachable(ErrorCode::Refused, "refused"),
                6 => Script::new().flood(Bytes::from_static(b"abcabc")),
                7 => Script::new().connects_after(SECOND).out("abc").killed("TERM"),
                _ => Script::new().out("ab").wait(SECOND * 2).out("c").lost(),
            };
            sim = sim.node(name, script);
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let limits = Limits {
            connect: Some(SECOND * 2),
            command: Some(SECOND * 3),
            deadline: deadline.map(Duration::from_secs),
            ..Limits::default()
        };
        let plan = plan(&names, fanout, limits);
        let mut stops = Vec::new();
        if let Some(after) = stop_after {
            stops.push((Duration::from_millis(after), Stop::Terminate));
        }
        if let Some(after) = kill_after {
            stops.push((Duration::from_millis(after), Stop::Kill));
        }
        let mut recorder = Recorder::default();
        let summary = runtime.block_on(run(&plan, &sim, &stops, &mut recorder));
        prop_assert_eq!(summary.outcomes.len(), names.len());
        prop_assert_eq!(recorder.finished.len(), names.len());
        prop_assert_eq!(sim.open(), 0);
        prop_assert!(sim.most_open() <= fanout);
        for said in recorder.said.values() {
            prop_assert!(said.chunks(3).all(|chunk| b"abc".starts_with(chunk)));
        }
    }
}
