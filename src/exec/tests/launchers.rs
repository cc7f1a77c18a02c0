//! What launchers may and may not do.

use super::*;

/// Takes the nodes whose names begin with `g`. It does well but for three: `g-mute` begins and is not heard of again,
/// `g-forgotten` is never spoken of, and `g-twice` goes on after its end.
#[derive(Debug)]
struct Scripted {
    lasts: Duration,
}

impl Launcher for Scripted {
    fn takes(&self, node: &str) -> bool {
        node.starts_with('g')
    }

    fn launch<'a>(&'a self, launch: Launch<'a>, io: FleetIo) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for node in launch.nodes {
                let name = launch.plan.name(*node);
                if &**name == "g-forgotten" {
                    continue;
                }
                io.started(*node).await;
                let line = (launch.command)(*node).line.clone();
                io.output(*node, Stream::Out, line.into()).await;
                if &**name == "g-mute" {
                    continue;
                }
                for _ in 0..if &**name == "g-twice" { 2 } else { 1 } {
                    io.finished(*node, Outcome::OK, SECOND).await;
                }
            }
            tokio::time::sleep(self.lasts).await;
        })
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_launcher_takes_gets_one_outcome_each_whatever_it_says() {
    let sim = Sim::new().every(Script::output("direct"));
    let names = ["a", "g1", "g-mute", "b", "g-forgotten", "g-twice"];
    let plan = plan(&names, 1, Limits::default());
    let work = Run {
        command: Command {
            line: "x".into(),
            ..Command::default()
        },
    };
    let launcher = Scripted { lasts: SECOND };
    let executor = Executor {
        launcher: Some(&launcher),
        ..Executor::new(&sim, &work)
    };
    let (_sender, mut stops) = mpsc::channel(1);
    let mut recorder = Recorder::default();
    let summary = dispatch(&plan, executor, &mut stops, &mut recorder).await;
    assert_eq!(summary.outcomes.len(), names.len());
    let of = |name: &str| {
        let at = names.iter().position(|one| *one == name).unwrap();
        &recorder.finished[&NodeId(at as u32)]
    };
    for well in ["a", "b", "g1", "g-twice"] {
        assert_eq!(*of(well), Outcome::OK, "{well}");
    }
    for lost in ["g-mute", "g-forgotten"] {
        assert_eq!(code(of(lost)), Some(ErrorCode::Lost), "{lost}");
    }
    assert_eq!(recorder.said[&NodeId(1)], b"x");
    assert_eq!(recorder.said[&NodeId(0)], b"direct");
    assert_eq!(sim.connections(), 2, "only what it does not take");
}

#[tokio::test(start_paused = true)]
async fn a_launcher_is_ended_with_the_run() {
    let sim = Sim::new();
    let plan = plan(&["g1", "g-mute"], 1, Limits::default());
    let work = Run {
        command: Command::default(),
    };
    let launcher = Scripted {
        lasts: 3600 * SECOND,
    };
    let executor = Executor {
        launcher: Some(&launcher),
        ..Executor::new(&sim, &work)
    };
    let (sender, mut stops) = mpsc::channel(1);
    sender.send(Stop::Terminate).await.unwrap();
    let mut recorder = Recorder::default();
    let begun = tokio::time::Instant::now();
    let summary = dispatch(&plan, executor, &mut stops, &mut recorder).await;
    assert!(begun.elapsed() < 10 * SECOND);
    assert_eq!(summary.outcomes.len(), 2);
    assert_eq!(
        code(&recorder.finished[&NodeId(1)]),
        Some(ErrorCode::Stopped)
    );
}
