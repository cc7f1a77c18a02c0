//! Random changes on real HAProxy with faults on their steps, judged by what HAProxy itself says.
//!
//! Each run is made of a number alone: the words, what the load balancers are like before, and what happens at which
//! question. `HASH_PROOF_SEED=N` begins with run N, `HASH_PROOF_RUNS=N` and `HASH_PROOF_SECONDS=N` say how many and how
//! long (60 seconds if neither is set). `HAPROXY=PATH` takes another HAProxy. What fails is printed with its number.

mod case;
mod fault;
mod judge;
mod judge_ledger;
mod mutant;
mod world;

use std::io::Write;
use std::time::{Duration, Instant};

use case::Case;
use mutant::Mutant;
use world::World;

/// How long it goes on where nothing says so.
const TIME: Duration = Duration::from_secs(60);

/// A mutant is caught within so many runs.
const CAUGHT_WITHIN: u64 = 25;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
    )
}

/// Says something that the test harness does not swallow.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What is reported of a change is true, whatever happens meanwhile.
#[test]
fn what_is_reported_is_true() {
    let Some(mut world) = World::start() else {
        return;
    };
    let by_clock = u64::from(std::process::id()) * 1_000_003 % 1_000_000_000;
    let first = number("HASH_PROOF_SEED").unwrap_or(by_clock);
    let runs = number("HASH_PROOF_RUNS");
    let time = number("HASH_PROOF_SECONDS").map(Duration::from_secs);
    let time = time.or(runs.is_none().then_some(TIME));
    tell(&format!("proof: HASH_PROOF_SEED={first}"));
    let begun = Instant::now();
    let mut failed = Vec::new();
    let mut made = 0;
    for seed in first.. {
        let is_over = time.is_some_and(|time| begun.elapsed() >= time);
        if is_over || runs.is_some_and(|runs| made >= runs) {
            break;
        }
        made += 1;
        let case = Case::of(seed);
        let run = world.run(&case, None);
        let wrong = judge::all(&case, &run);
        if !wrong.is_empty() {
            let told = format!(
                "HASH_PROOF_SEED={seed} HASH_PROOF_RUNS=1\n{}\n{run}",
                wrong.join("\n")
            );
            tell(&told);
            failed.push(told);
        }
    }
    tell(&format!(
        "proof: {made} runs from {first}, {} failed",
        failed.len()
    ));
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    assert!(made > 0, "no run was made");
}

/// The judge sees through programs that lie.
#[test]
fn programs_that_lie_are_caught() {
    let Some(mut world) = World::start() else {
        return;
    };
    for mutant in Mutant::ALL {
        let caught = (1..=CAUGHT_WITHIN).find(|seed| {
            let case = Case::quick(*seed);
            let honest = world.run(&case, None);
            let wrong = judge::all(&case, &honest);
            assert!(wrong.is_empty(), "{}\n{honest}", wrong.join("\n"));
            let run = world.run(&case, Some(mutant));
            !judge::all(&case, &run).is_empty()
        });
        tell(&format!("proof: {mutant:?} is caught by run {caught:?}"));
        assert!(caught.is_some(), "{mutant:?} was not caught");
    }
}
