//! The journal and `--failed-of last`; batches, gates, thresholds and retries.

use std::fs;
use std::path::Path;

use super::exec;
use crate::lab::{Hash, Lab, Ran};

/// Runs with a state folder that outlives one run.
fn remembering(state: &Path, hash: Hash) -> Ran {
    hash.env("XDG_STATE_HOME", state).run()
}

#[test]
fn what_was_not_done_is_run_again() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path();
    let run = |nodes: &str, words: &[&str]| remembering(state, exec(nodes, words));
    let again = |words: &[&str]| {
        let words = [&["-R", "exec", "--failed-of", "last"], words].concat();
        remembering(state, Hash::new(words))
    };
    let ran = again(&["--", "true"]);
    assert_eq!(ran.code, Some(64), "{ran}");
    assert!(ran.stderr.contains("no run is remembered"), "{ran}");

    let ran = run("n[1-6]", &["--", "exit $((%n > 1))"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    // Narrowed by other targets, and it is the last run from then on.
    let ran = again(&[
        "-w",
        "n[1-4]",
        "-x",
        "n4",
        "--",
        "echo %h; exit $((%n > 0))",
    ]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "n3: n3\n"),
        "{ran}"
    );
    let ran = again(&["--", "true"]);
    assert_eq!(ran.code, Some(64), "{ran}");
    assert!(
        ran.stderr.contains("nothing failed in the last run"),
        "{ran}"
    );
    // A run that never began is none.
    run("n[1-2]", &["--", "false"]);
    assert_eq!(run("n[1-9]", &["--dry-run", "--", "true"]).code, Some(0));
    assert_eq!(
        run("n[1-9]", &["--expect", "3", "--", "true"]).code,
        Some(4)
    );
    let ran = again(&["-w", "n9", "--", "true"]);
    assert_eq!(ran.code, Some(64), "{ran}");
    assert!(ran.stderr.contains("on these nodes"), "{ran}");
    let ran = again(&["--", "echo again"]);
    assert_eq!(ran.stdout, "n[1-2]: again\n", "{ran}");

    let ran = remembering(state, Hash::new(["journal"]));
    assert_eq!(ran.stdout.lines().count(), 4, "{ran}");
    let last = ran.stdout.lines().last().unwrap();
    assert!(last.ends_with(" exit 0 ok n[1-2] -- echo again"), "{last}");
}

#[test]
fn nodes_that_were_not_begun_are_still_to_be_done() {
    let state = tempfile::tempdir().unwrap();
    for (options, command, code, expected) in [
        (
            &["-f", "1", "--deadline", "1"][..],
            "sleep 100",
            124,
            "n[1-4]",
        ),
        (
            &["--batch", "1", "--max-fail", "0"][..],
            "exit $((%n == 1))",
            4,
            "n[2-4]",
        ),
        (
            &["--batch", "2", "--gate", "false"][..],
            "true",
            4,
            "n[3-4]",
        ),
    ] {
        let words = [options, &["--", command]].concat();
        let ran = remembering(state.path(), exec("n[1-4]", &words));
        assert_eq!(ran.code, Some(code), "{ran}");
        let words = ["-R", "exec", "--failed-of", "last", "--dry-run", "--", "x"];
        let ran = remembering(state.path(), Hash::new(words));
        assert_eq!(ran.stdout, format!("{expected}: x\n"), "{ran}");
    }
}

#[test]
fn a_practice_run_says_nothing_about_real_nodes() {
    let state = tempfile::tempdir().unwrap();
    let ran = remembering(state.path(), exec("n[1-2]", &["--", "false"]));
    assert_eq!(ran.code, Some(1), "{ran}");
    let lab = Hash::new(["--lab", "-w", "lb[1-3]", "--", "exit 3"]);
    assert_eq!(remembering(state.path(), lab).code, Some(1));
    let real = Hash::new(["--failed-of", "last", "--dry-run", "--", "x"]);
    assert_eq!(remembering(state.path(), real).stdout, "n[1-2]: x\n");
    let lab = Hash::new(["--lab", "--failed-of", "last", "--", "hostname"]);
    let ran = remembering(state.path(), lab);
    assert_eq!(ran.stdout, "lb1: lb1\nlb2: lb2\nlb3: lb3\n", "{ran}");
}

#[test]
fn the_journal_has_no_input_and_its_loss_is_a_warning() {
    let ran = exec("n1", &["--stdin", "--", "cat"])
        .stdin("a secret")
        .run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "n1: a secret\n"));
    let runs = ran.home.path().join("state/hash/runs");
    let files: Vec<_> = fs::read_dir(runs).unwrap().flatten().collect();
    assert_eq!(files.len(), 1);
    let text = fs::read_to_string(files[0].path()).unwrap();
    assert!(text.contains(r#""command":"cat""#), "{text}");
    assert!(!text.contains("secret"), "{text}");

    let ran = exec("n1", &["--", "echo done"])
        .env("XDG_STATE_HOME", "/dev/null/nowhere")
        .run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "n1: done\n"));
    assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
    assert!(
        ran.stderr
            .starts_with("hash: warning: cannot write the journal of runs in /dev/null/nowhere"),
        "{ran}"
    );
}

#[test]
fn batches_come_one_after_another_and_the_gate_counts() {
    let ran = exec(
        "n[1-7]",
        &[
            "--batch",
            "1,2",
            "--gate",
            "echo $HASH_DONE $HASH_FAILED $HASH_UNREACHED >>gate",
            "--",
            "echo %h >>order; exit $((%n == 2))",
        ],
    )
    .run();
    assert_eq!(ran.code, Some(1), "{ran}");
    let read = |name: &str| fs::read_to_string(ran.home.path().join(name)).unwrap();
    assert_eq!(read("gate"), "1 0 0\n3 1 0\n5 1 0\n");
    let order = read("order");
    let mut order: Vec<&str> = order.lines().collect();
    order[1..3].sort_unstable();
    order[3..5].sort_unstable();
    order[5..7].sort_unstable();
    assert_eq!(order, ["n1", "n2", "n3", "n4", "n5", "n6", "n7"]);
}

#[test]
fn what_was_begun_is_never_repeated() {
    let ran = exec("n1", &["--retry", "3", "--", "echo x >>count; exit 255"]).run();
    assert_eq!(ran.code, Some(1), "{ran}");
    let count = fs::read_to_string(ran.home.path().join("count")).unwrap();
    assert_eq!(count, "x\n");
}

#[test]
fn nodes_that_are_not_there_end_a_run_over_ssh() {
    let Some(lab) = Lab::sshd_only(4) else { return };
    lab.stop("lb2/sshd");
    let ran = lab
        .hash([
            "-w",
            "lb[1-4]",
            "-f",
            "1",
            "--max-unreachable",
            "0",
            "--",
            "hostname",
        ])
        .run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(4), "lb1: lb1\n"),
        "{ran}"
    );
    assert!(
        ran.stderr
            .contains("lb[3-4]: 1 of the nodes could not be reached: stopped before it was begun"),
        "{ran}"
    );
    // One more try comes a second later, when it is there again.
    let (mut command, _home) = lab
        .hash(["-w", "lb[1-2]", "--retry", "8", "--", "hostname"])
        .into_command();
    let running = command.spawn().unwrap();
    lab.start_process("lb2/sshd");
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"lb1: lb1\nlb2: lb2\n", "{output:?}");
    assert_eq!(output.status.code(), Some(0));
}
