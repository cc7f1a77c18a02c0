//! `-R slurm` on a real Slurm: slurmctld and eight slurmd on loopback.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};

use crate::lab::slurm::Slurm;

/// One Slurm for all of it: to stand it up takes longer than the runs.
#[test]
fn slurms_launcher_runs_commands_on_its_nodes() {
    let Some(slurm) = Slurm::up(8) else { return };
    output_and_exit_codes_are_each_nodes_own(&slurm);
    what_is_written_comes_back_to_the_byte(&slurm);
    input_reaches_every_node(&slurm);
    nodes_that_slurm_would_not_use_are_unreached(&slurm);
    batches_and_thresholds_hold(&slurm);
    limits_end_tasks(&slurm);
    ctrl_c_ends_tasks(&slurm);
    what_srun_refuses_is_told(&slurm);
    let left = slurm.ask("squeue", &["-h"]);
    let running = left.lines().filter(|line| !line.contains(" CG "));
    assert_eq!(running.count(), 0, "nothing is left in Slurm: {left}");
}

fn output_and_exit_codes_are_each_nodes_own(slurm: &Slurm) {
    let script = "echo out; echo err >&2; test $SLURMD_NODENAME = n3 && exit 3; exit 0";
    let ran = slurm.hash(&["-w", "n[1-8]", "--", script]).run();
    assert_eq!(ran.stdout, "n[1-2,4-8]: out\nn3: out\n", "{ran}");
    assert_eq!(
        ran.stderr,
        "n[1-2,4-8]: err\nn3: err\nhash: n3: exited with 3\n"
    );
    assert_eq!(ran.code, Some(1), "{ran}");
    let ran = slurm.hash(&["-S", "-w", "n[2-3]", "--", script]).run();
    assert_eq!(ran.code, Some(3), "{ran}");
    let ran = slurm
        .hash(&["-L", "-w", "n5", "--", "echo $SLURMD_NODENAME"])
        .run();
    assert_eq!(ran.stdout, "n5: n5\n", "{ran}");
    let ran = slurm
        .hash(&["-w", "n1", "--", "sh", "-c", "kill -9 $$"])
        .run();
    assert!(ran.stderr.contains("hash: n1: exited with 137"), "{ran}");
}

fn what_is_written_comes_back_to_the_byte(slurm: &Slurm) {
    let json = |script: &str| {
        let ran = slurm.hash(&["-w", "n[1-2]", "--json", "--", script]).run();
        let document: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
        document["groups"][0].clone()
    };
    assert_eq!(json("printf a")["stdout"], "a");
    assert_eq!(json("printf 'a\\n\\n'")["stdout"], "a\n\n");
    assert_eq!(json("true")["stdout"], "");
    assert_eq!(json("printf '\\377\\n'")["stdout_b64"], "/wo=");
    for length in [1023, 1024, 1025, 5000] {
        let script = format!("head -c {length} /dev/zero | tr '\\0' x; echo; echo end");
        let group = json(&script);
        assert_eq!(group["count"], 2);
        assert_eq!(group["stdout"], format!("{}\nend\n", "x".repeat(length)));
    }
}

fn input_reaches_every_node(slurm: &Slurm) {
    let run = slurm.hash(&["-w", "n[1-3]", "--stdin", "--", "cat; echo; echo done"]);
    let ran = run.stdin("one\ntwo").run();
    assert_eq!(
        ran.stdout, "n[1-3]: one\nn[1-3]: two\nn[1-3]: done\n",
        "{ran}"
    );
    let ran = slurm.hash(&["-w", "n1", "--", "cat; echo empty"]).run();
    assert_eq!(ran.stdout, "n1: empty\n", "{ran}");
}

fn nodes_that_slurm_would_not_use_are_unreached(slurm: &Slurm) {
    let update = |words: &[&str]| slurm.ask("scontrol", &[&["update"], words].concat());
    update(&["nodename=n8", "state=drain", "reason=bad dimm"]);
    update(&["nodename=n7", "state=down", "reason=power cut"]);
    let ran = slurm.hash(&["-w", "n[6-8],nope", "--", "echo up"]).run();
    assert_eq!(ran.stdout, "n6: up\n", "{ran}");
    assert!(
        ran.stderr
            .contains("hash: n8: node is drained in Slurm: bad dimm\n"),
        "{ran}"
    );
    assert!(
        ran.stderr
            .contains("hash: n7: node is down in Slurm: power cut\n"),
        "{ran}"
    );
    assert!(
        ran.stderr
            .contains("hash: nope: Slurm knows no such node (see sinfo -N)\n"),
        "{ran}"
    );
    assert_eq!(ran.code, Some(3), "{ran}");
    update(&["nodename=n[7-8]", "state=resume"]);
}

fn batches_and_thresholds_hold(slurm: &Slurm) {
    let batches = [
        "-w",
        "n[1-6]",
        "--batch",
        "2",
        "--max-fail",
        "0",
        "-L",
        "--",
    ];
    let script = "echo $SLURMD_NODENAME; test $SLURMD_NODENAME != n3";
    let ran = slurm.hash(&[&batches[..], &[script]].concat()).run();
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["n1: n1", "n2: n2", "n3: n3", "n4: n4"], "{ran}");
    assert_eq!(ran.code, Some(4), "{ran}");
}

fn limits_end_tasks(slurm: &Slurm) {
    let mark = slurm.dir().join("late");
    let script = format!(
        "echo begun; test $SLURMD_NODENAME = n1 || {{ sleep 20; touch {}; }}",
        mark.display()
    );
    let ran = slurm
        .hash(&["-w", "n[1-2]", "-u", "1s", "--", &script])
        .run();
    assert!(ran.stdout.contains("begun"), "{ran}");
    assert!(ran.stderr.contains("hash: n2: timed out after 1s"), "{ran}");
    assert!(!ran.stderr.contains("n1: timed"), "{ran}");
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(!mark.exists(), "Slurm has ended the task");
}

fn ctrl_c_ends_tasks(slurm: &Slurm) {
    let run = slurm.hash(&["-w", "n[1-2]", "-L", "--", "echo begun; sleep 50"]);
    let (mut command, _home) = run.into_command();
    let mut child = command.spawn().expect("hash");
    let mut lines = BufReader::new(child.stdout.take().expect("pipe")).lines();
    for _ in 0..2 {
        let line = lines.next().expect("line").expect("text");
        assert!(line.ends_with(": begun"), "{line}");
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("signal");
    let output = child.wait_with_output().expect("end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("hash: stopping; still running: n[1-2]"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(130), "{said}");
}

fn what_srun_refuses_is_told(slurm: &Slurm) {
    let ran = slurm
        .hash(&["-o", "partition=none", "-w", "n1", "--", "true"])
        .run();
    let said = "hash: n1: Slurm did not begin: Unable to allocate resources: Invalid partition name specified\n";
    assert_eq!(ran.stderr, said, "{ran}");
    assert_eq!(ran.code, Some(3), "{ran}");
    let ran = slurm.hash(&["-w", "n1", "ping"]).run();
    let said = "hash: -R slurm runs commands only, which is not enough for: connect and log in";
    assert!(ran.stderr.contains(said), "{ran}");
    assert_eq!(ran.code, Some(64), "{ran}");
    let ran = slurm.hash(&["-l", "bob", "-w", "n1", "--", "true"]).run();
    assert_eq!(ran.code, Some(64), "{ran}");
}
