//! Actions that check first.

use super::*;

/// A service whose `start` checks `probe` and `status`, and `probe` checks `status`.
fn with_checks() -> Builder {
    let mut builder = Builder::default();
    builder.nodes(3);
    let svc = builder.add(None, "svc", Body::Actions(Vec::new()));
    let [start, probe, status, restart] =
        ["start", "probe", "status", "restart"].map(|name| builder.action(svc, name, on(&[0, 1])));
    builder.actions[start.index()].checks = vec![probe, status];
    builder.actions[probe.index()].checks = vec![status];
    builder.actions[restart.index()].checks = vec![status];
    let after = builder.service(None, "after", &[("start", on(&[0, 1, 2]))]);
    builder.link(after, Word::Require, svc);
    builder
}

#[test]
fn an_action_is_spared_when_its_checks_succeed() {
    let graph = with_checks().graph();
    let (told, _) = run(&graph, &forward("start"), &[]);
    assert_eq!(told.names(), ["svc.status", "after.start"]);
    let spared = ["svc.probe", "svc.start"].map(|name| (name.to_owned(), Status::Done));
    assert_eq!(told.spared, spared);
    assert_eq!(told.all["svc"], Status::Done);
}

#[test]
fn an_action_runs_when_one_check_fails_and_only_it_decides() {
    let graph = with_checks().graph();
    let (told, _) = run(&graph, &forward("start"), &[("svc.status", &[1])]);
    assert_eq!(
        told.names(),
        ["svc.status", "svc.probe", "svc.start", "after.start"]
    );
    assert_eq!(told.all["svc"], Status::Done);
    assert_eq!(
        told.ran[3].1,
        on(&[0, 1, 2]),
        "a node that failed in the check alone stays"
    );
}

#[test]
fn status_alone_never_starts_anything() {
    let graph = with_checks().graph();
    let (told, verdict) = run(&graph, &forward("status"), &[("svc.status", &[1])]);
    assert_eq!(told.names(), ["svc.status"]);
    assert_eq!(verdict, Status::DepError);
}

#[test]
fn a_warning_in_a_check_is_success_and_a_skipped_check_skips() {
    let mut builder = with_checks();
    builder.actions[2].thresholds.errors = 1;
    let (told, _) = run(&builder.graph(), &forward("start"), &[("svc.status", &[1])]);
    assert_eq!(told.names(), ["svc.status", "after.start"]);
    builder.actions[2].target = on(&[]);
    let (told, _) = run(&builder.graph(), &forward("start"), &[]);
    assert_eq!(told.names(), ["after.start"]);
    assert_eq!(told.all["svc"], Status::Skipped);
}
