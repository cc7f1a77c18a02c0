//! Our limits hold whatever a gateway says or does not say.

use super::*;

#[tokio::test(start_paused = true)]
async fn silence_fails_and_a_heartbeat_does_not() {
    let ran = half_begun(&[Step::Pause(SILENCE * 2)]).await;
    assert_eq!(ran.notices[0], "gw1: silent for 30s");
    assert_eq!(ran.took.as_secs(), SILENCE.as_secs());

    let mut slow = vec![
        hello(),
        Step::Await("run"),
        ready("t[1,3]"),
        Step::Await("begin"),
    ];
    for _ in 0..20 {
        slow.extend([Step::Pause(crate::gateway::HEARTBEAT), say(&Tell::Alive)]);
    }
    slow.extend([finished("t[1,3]"), say(&Tell::End)]);
    let ran = plain(&[("gw1", slow), ("gw2", obedient("t[2,4]"))]).await;
    assert_eq!((ran.of("t1").as_str(), ran.took.as_secs()), (DONE, 100));
}

/// A gateway that says for so many seconds that it is alive, once its nodes were begun.
fn only_alive(nodes: &str, seconds: u64) -> Vec<Step> {
    let mut steps = vec![
        hello(),
        Step::Await("run"),
        ready(nodes),
        Step::Await("begin"),
    ];
    for _ in 0..seconds {
        steps.extend([Step::Pause(Duration::from_secs(1)), say(&Tell::Alive)]);
    }
    steps
}

#[tokio::test(start_paused = true)]
async fn our_limits_hold_whatever_a_gateway_does_not_say() {
    let limits = Limits {
        connect: Some(Duration::from_secs(10)),
        authenticate: Some(Duration::from_secs(30)),
        ..Limits::default()
    };
    let command = Limits {
        command: Some(Duration::from_secs(7)),
        ..limits
    };
    let idle = Limits {
        idle: Some(Duration::from_secs(3)),
        ..limits
    };
    for (limits, said, seconds) in [
        (command, "TimeoutCommand, message: \"timed out after 7s", 52),
        (idle, "TimeoutIdle, message: \"silent for 3s", 48),
    ] {
        let (_stop, seen) = watch::channel(Stop::No);
        // What it says of them later is not heard any more.
        let mut late = only_alive("t[1,3]", 200);
        late.push(finished("t[1,3]"));
        let scripts = [("gw1", late), ("gw2", obedient("t[2,4]"))];
        let ran = run_within(limits, &scripts, None, seen).await;
        for node in ["t1", "t3"] {
            let end = ran.of(node);
            assert!(end.contains(said), "{end}");
            assert!(end.contains("; gateway gw1 did not say so"), "{end}");
        }
        assert_eq!((ran.of("t2").as_str(), ran.notices.len()), (DONE, 0));
        let took = ran.took.as_secs();
        assert!((seconds..seconds + 3).contains(&took), "{took}");
    }
    // Of two nodes one is overdue. That the gateway speaks of it once more is no reason to lose the other.
    let (_stop, seen) = watch::channel(Stop::No);
    let mut slow = only_alive("t1", 70);
    slow.extend([
        ready("t3"),
        Step::Await("t3"),
        finished("t[1,3]"),
        say(&Tell::End),
    ]);
    let scripts = [("gw1", slow), ("gw2", obedient("t[2,4]"))];
    let ran = run_within(command, &scripts, None, seen).await;
    assert!(ran.of("t1").contains("TimeoutCommand"), "{ran:?}");
    assert_eq!((ran.of("t3").as_str(), ran.notices.len()), (DONE, 0));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_begins_nothing_is_not_waited_for() {
    let mut idle = vec![hello(), Step::Await("run")];
    for _ in 0..50 {
        idle.extend([Step::Pause(Duration::from_secs(1)), say(&Tell::Alive)]);
    }
    let ran = plain(&[
        ("gw1", idle),
        ("gw2", obedient("t[2,4]")),
        ("gw2", obedient("t[1,3]")),
    ])
    .await;
    assert_eq!(
        ran.notices[0],
        "gw1: it says that it is alive and has begun nothing for 30s"
    );
    assert_eq!((ran.of("t1").as_str(), ran.took.as_secs()), (DONE, 31));
}

#[tokio::test(start_paused = true)]
async fn what_a_gateway_grants_too_much_is_not_kept() {
    // Each of its questions is answered once, however often it asks.
    let mut steps = vec![hello(), Step::Await("run"), ready("t[1,3]")];
    steps.extend((0..3).map(|_| ready("t1")));
    let ran = plain(&[
        ("gw1", steps),
        ("gw2", obedient("t[2,4]")),
        ("gw2", obedient("t[1,3]")),
    ])
    .await;
    assert_eq!(ran.notices[0], "gw1: it would begin t1 twice");
}
