//! Nodes behind gateways: real sshd between the root and its gateways, this program on them.

mod hostile;
mod sessions;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Hash, Lab};

/// The short name of this host, which is the root of every tree here.
fn host() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// A tree over the nodes of a lab.
struct Tree {
    lab: Lab,
}

impl Tree {
    /// So many gateways, `lb1` and so on; none of them has the program yet.
    fn up(gateways: u8) -> Option<Self> {
        Lab::sshd_only(gateways).map(|lab| Self { lab })
    }

    /// The same with HAProxy on each.
    fn with_haproxy(gateways: u8) -> Option<Self> {
        Lab::up(gateways).map(|lab| Self { lab })
    }

    /// The home of who logs in on a gateway.
    fn home(&self, gateway: &str) -> PathBuf {
        self.lab.dir().join(gateway).join("home")
    }

    /// Where the program is looked for there.
    fn place(&self, gateway: &str) -> PathBuf {
        let version = env!("CARGO_PKG_VERSION");
        self.home(gateway)
            .join(format!(".cache/hash/{version}/hapsh"))
    }

    /// Puts the program on the gateways, each with a way to the other nodes of the lab.
    fn equip(self, gateways: &[&str]) -> Self {
        for gateway in gateways {
            let place = self.place(gateway);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            symlink(env!("CARGO_BIN_EXE_hash"), &place).unwrap();
            self.link(gateway);
        }
        self
    }

    /// A way from a gateway to the other nodes of the lab.
    fn link(&self, gateway: &str) {
        let ssh = self.home(gateway).join(".ssh");
        fs::create_dir_all(&ssh).unwrap();
        fs::copy(self.lab.ssh_config(), ssh.join("config")).unwrap();
    }

    /// A shell script as the program of a gateway, in which `$REAL` is the real one.
    fn script(&self, gateway: &str, script: &str) {
        let place = self.place(gateway);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&place);
        let real = env!("CARGO_BIN_EXE_hash");
        fs::write(&place, format!("#!/bin/sh\nREAL={real}\n{script}\n")).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// `hash` with a topology; `ROOT` in the routes is this host.
    fn hash(&self, routes: &str, words: &[&str]) -> Hash {
        let file = self.lab.dir().join("topology.conf");
        let routes = routes.replace("ROOT", &host());
        fs::write(&file, format!("[routes]\n{routes}")).unwrap();
        let file = file.display().to_string();
        let words = ["--topology", &file]
            .into_iter()
            .chain(words.iter().copied());
        self.lab.hash(words)
    }
}

const FLAT: &str = "ROOT: lb[1-2]\nlb[1-2]: t[1-400]\n";

#[test]
fn two_hundred_nodes_behind_two_gateways() {
    let Some(tree) = Tree::up(2) else { return };
    let tree = tree.equip(&["lb1", "lb2"]);
    let ran = tree
        .hash(FLAT, &["-R", "exec", "-w", "t[1-200]", "--", "echo hello"])
        .run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "t[1-200]: hello\n"),
        "{ran}"
    );
    assert_eq!(ran.stderr, "");
}

#[test]
fn real_sshd_at_every_hop_with_input_statuses_and_direct_nodes() {
    let Some(tree) = Tree::up(4) else { return };
    let tree = tree.equip(&["lb1", "lb2"]);
    let routes = "ROOT: lb1\nlb1: lb2\nlb2: lb3\n";
    let command = "cat; echo $HAPROXY_NODE; echo oops >&2; printf 'a\\377b'; exit 3";
    let ran = tree
        .hash(routes, &["--stdin", "-L", "-w", "lb[1-4]", "--", command])
        .stdin("fed\n")
        .run();
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    lines.sort_unstable();
    let mut expected = Vec::new();
    for n in 1..=4 {
        expected.extend([
            format!("lb{n}: fed"),
            format!("lb{n}: lb{n}"),
            format!("lb{n}: a\u{fffd}b"),
        ]);
    }
    expected.sort_unstable();
    assert_eq!(lines, expected, "{ran}");
    assert_eq!(ran.code, Some(1));
    let oops = ran
        .stderr
        .lines()
        .filter(|line| line.ends_with("oops"))
        .count();
    assert_eq!(oops, 4, "{ran}");
}

#[test]
fn what_the_root_receives_grows_with_distinct_output_and_not_with_nodes() {
    let Some(tree) = Tree::up(2) else { return };
    let tree = tree.equip(&["lb1", "lb2"]);
    let wire = |gateway: &str| tree.home(gateway).join("wire");
    for gateway in ["lb1", "lb2"] {
        // All that it says to the root also goes to a file.
        let file = wire(gateway).display().to_string();
        tree.script(gateway, &format!("\"$REAL\" \"$@\" | tee '{file}'"));
    }
    let received = |nodes: &str, command: &str| {
        let ran = tree
            .hash(FLAT, &["-R", "exec", "-w", nodes, "--json", "--", command])
            .run();
        assert_eq!(ran.code, Some(0), "{ran}");
        let bytes = ["lb1", "lb2"].map(|gateway| fs::metadata(wire(gateway)).unwrap().len());
        (bytes.iter().sum::<u64>(), ran.stdout.len())
    };
    // 20,000 bytes that are the same everywhere, then with the node's name in every line.
    let same = "seq -f 'line %%05.0f' 2000";
    let distinct = "seq -f '%h %%05.0f' 2000";
    let (few, _) = received("t[1-20]", same);
    let (many, _) = received("t[1-200]", same);
    let (own, _) = received("t[1-20]", distinct);
    // Each of the two gateways says it once; the rest is sets of nodes.
    assert!(few > 44_000 && few < 60_000, "{few} bytes for 20 nodes");
    assert!(
        many < few + 12_000,
        "{few} bytes for 20 nodes, {many} for 200"
    );
    assert!(
        own > 8 * few,
        "{few} bytes for equal output of 20 nodes, {own} for distinct"
    );
}

/// Waits until a command on a leaf has left its mark.
fn wait_for(what: &str, mut test: impl FnMut() -> bool) {
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !test() {
        assert!(std::time::Instant::now() < limit, "{what} did not happen");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_gateway_killed_half_way_and_a_slow_one() {
    let Some(tree) = Tree::up(2) else { return };
    let tree = tree.equip(&["lb1", "lb2"]);
    let marks = tree.lab.dir().join("marks");
    let pid = tree.lab.dir().join("pid");
    let gate = tree.lab.dir().join("gate");
    fs::create_dir(&marks).unwrap();
    tree.script(
        "lb1",
        &format!("echo $$ > '{}'; exec \"$REAL\" \"$@\"", pid.display()),
    );
    // The other lets itself be waited for, but not beyond the limit of connecting.
    tree.script("lb2", "sleep 2; exec \"$REAL\" \"$@\"");
    // Each node leaves a mark with what runs it; all wait until the gate opens, those of lb1 in vain.
    let command = format!(
        "echo x >> '{}/%h'; while [ ! -e '{}' ]; do sleep 0.05; done; echo done",
        marks.display(),
        gate.display()
    );
    let words = [
        "-R", "exec", "-f", "20", "-w", "t[1-200]", "--jsonl", "--", &command,
    ];
    let (mut command, _home) = tree.hash(FLAT, &words).into_command();
    let child = command.spawn().unwrap();
    let count = || fs::read_dir(&marks).unwrap().count();
    wait_for("the first nodes of lb1", || count() >= 20);
    let leader: i32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(leader).unwrap(), Signal::KILL).unwrap();
    fs::write(&gate, "").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut ended: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    let mut lost = 0;
    for line in text.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        if event["event"] == "finished" {
            let node = event["node"].as_str().unwrap().to_owned();
            assert!(
                ended
                    .insert(node.clone(), event["status"].as_u64().unwrap())
                    .is_none(),
                "{node} twice"
            );
            if event["code"] == "E_LOST" {
                lost += 1;
            }
        }
    }
    assert_eq!(ended.len(), 200, "{errors}");
    assert_eq!(
        ended.values().filter(|status| **status == 0).count(),
        200 - lost,
        "{errors}"
    );
    // Those that lb1 had begun are lost, no more and no less; all others ran, by lb2.
    assert_eq!(lost, 20, "{errors}");
    for node in fs::read_dir(&marks).unwrap().flatten() {
        let marks = fs::read_to_string(node.path()).unwrap();
        assert_eq!(marks, "x\n", "{} ran twice", node.path().display());
    }
    assert_eq!(count(), 200, "{errors}");
    assert!(errors.contains("gateway lb1: "), "{errors}");
    assert!(
        errors.contains(": another way is taken, as gateway lb1 failed"),
        "{errors}"
    );
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_gateway_without_the_program_says_how_and_is_given_it() {
    let Some(tree) = Tree::up(2) else { return };
    // sshd's PATH has no hapsh.
    tree.link("lb1");
    let words = ["-R", "exec", "-w", "t1", "--", "echo %h"];
    let routes = "ROOT: lb1\nlb1: t1,lb2\nlb2: t2\n";
    let ran = tree.hash(routes, &words).run();
    assert_eq!(ran.code, Some(3), "{ran}");
    let place = format!("~/.cache/hash/{}/hapsh of lb1", env!("CARGO_PKG_VERSION"));
    assert!(
        ran.stderr
            .contains("hash: gateway lb1: no hapsh there; install it, or put this program at "),
        "{ran}"
    );
    assert!(
        ran.stderr.contains(&place) && ran.stderr.contains("--install-gateway"),
        "{ran}"
    );
    assert!(
        ran.stderr
            .contains("hash: t1: no route: every gateway that leads there has failed"),
        "{ran}"
    );
    assert!(!tree.place("lb1").exists());

    // Two levels: the first puts it on the second.
    let words = [
        "--install-gateway",
        "-R",
        "exec",
        "-w",
        "t[1-2]",
        "--",
        "echo %h",
    ];
    let ran = tree.hash(routes, &words).run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "t1: t1\nt2: t2\n"),
        "{ran}"
    );
    for gateway in ["lb1", "lb2"] {
        let there = fs::metadata(tree.place(gateway)).unwrap();
        let here = fs::metadata(env!("CARGO_BIN_EXE_hash")).unwrap();
        assert_eq!(
            (there.len(), there.permissions().mode() & 0o777),
            (here.len(), 0o755)
        );
        let folder = fs::read_dir(tree.place(gateway).parent().unwrap()).unwrap();
        assert_eq!(folder.count(), 1, "no temporary file is left");
    }

    // With the program there it is not sent again.
    let before = fs::metadata(tree.place("lb1")).unwrap().modified().unwrap();
    let ran = tree.hash(routes, &words).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(
        fs::metadata(tree.place("lb1")).unwrap().modified().unwrap(),
        before
    );
}

#[test]
fn gateways_that_are_not_what_they_should_be() {
    let Some(tree) = Tree::up(2) else { return };
    let tree = tree.equip(&["lb1", "lb2"]);
    let words = ["-R", "exec", "-w", "t[1-4]", "--", "echo ok"];
    for (script, said) in [
        (
            r#"echo '{"hash":"gateway","v":99,"version":"7.0"}'; cat"#,
            "hapsh 7.0 there speaks version 99",
        ),
        ("echo oops >&2; exit 5", "hapsh ended there with 5: oops"),
        (
            r#"echo '{"hash":"gateway","v":2,"version":"0"}'; echo '{"event":"ready","nodes":"x"}'; cat"#,
            "it speaks of x",
        ),
        ("head -c 3000000 /dev/zero; cat", "a line of more than"),
    ] {
        tree.script("lb1", script);
        let ran = tree.hash(FLAT, &words).run();
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), "t[1-4]: ok\n"),
            "{ran}"
        );
        assert!(
            ran.stderr.contains(&format!("hash: gateway lb1: {said}")),
            "{ran}"
        );
        assert!(
            ran.stderr.contains("hash: t[1,3]: another way is taken"),
            "{ran}"
        );
    }
}

#[test]
fn mistakes_in_a_topology_end_before_anything_is_contacted() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    let run = |words: &[&str]| {
        let words = words.iter().chain(&["-w", "t1", "--", "true"]);
        let ran = Hash::new(words).run();
        (ran.code, ran.stderr)
    };
    fs::write(&path, "[routes]\nnot-this-host: gw1\ngw1: t1\n").unwrap();
    let said = format!("hash: topology: \"{}\" is not a valid root node!\n", host());
    assert_eq!(run(&["--topology", &path]), (Some(78), said));
    let said = "hash: topology: Invalid configuration file: /nonexistent\n";
    assert_eq!(
        run(&["--topology", "/nonexistent"]),
        (Some(78), said.to_owned())
    );
    let (code, said) = run(&["--install-gateway", "-R", "exec"]);
    assert_eq!(code, Some(64));
    assert!(
        said.contains("--install-gateway without a topology"),
        "{said}"
    );
}

#[test]
fn the_topology_of_clustershell_is_found_unless_a_worker_is_named() {
    let run = |routes: &str, defaults: &str, words: &[&str]| {
        let hash = Hash::new(words);
        let folder = hash.home().join("config/clustershell");
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("topology.conf"),
            routes.replace("ROOT", &host()),
        )
        .unwrap();
        fs::write(folder.join("defaults.conf"), defaults).unwrap();
        let ran = hash.run();
        (ran.code, format!("{}{}", ran.stdout, ran.stderr))
    };
    // The gateway does not exist, so the way that was taken shows.
    let routes = "[routes]\nROOT: gw.invalid\ngw.invalid: t1\n";
    let (code, said) = run(routes, "", &["-w", "t1", "--", "echo hi"]);
    assert!(
        code == Some(3) && said.contains("hash: gateway gw.invalid: "),
        "{said}"
    );
    let by_worker = run(routes, "", &["-R", "exec", "-w", "t1", "--", "echo hi"]);
    assert_eq!(by_worker, (Some(0), "t1: hi\n".to_owned()));
    let off = "[task.default]\nauto_tree: no\n";
    let (code, said) = run(routes, off, &["-w", "t1.invalid", "--", "echo hi"]);
    assert!(code == Some(3) && !said.contains("gateway"), "{said}");
    // A site's file in which this host has no place changes nothing.
    let (_, said) = run(
        "[routes]\nother: gw1\ngw1: t1\n",
        "",
        &["-w", "t1.invalid", "--", "echo hi"],
    );
    assert!(!said.contains("topology"), "{said}");
}

/// Two leaves that sleep for long, behind a gateway; gives back what ran, when all of it does.
fn sleepers(tree: &Tree) -> (std::process::Child, tempfile::TempDir, Vec<Pid>) {
    let pids = tree.lab.dir().join("pids");
    tree.script(
        "lb1",
        &format!("echo $$ >> '{}'; exec \"$REAL\" \"$@\"", pids.display()),
    );
    let command = format!("echo $$ >> '{}'; exec sleep 1000", pids.display());
    let words = ["-R", "exec", "-w", "t[1-2]", "--", &command];
    let (mut command, home) = tree.hash("ROOT: lb1\nlb1: t[1-2]\n", &words).into_command();
    let child = command.spawn().unwrap();
    let read = || fs::read_to_string(&pids).unwrap_or_default();
    wait_for("two sleepers", || read().lines().count() == 3);
    let pids = read()
        .lines()
        .map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap())
        .collect();
    (child, home, pids)
}

fn wait_for_end_of(pids: &[Pid]) {
    for pid in pids {
        wait_for("the end of what ran there", || {
            rustix::process::test_kill_process(*pid).is_err()
        });
    }
}

#[test]
fn an_interrupt_reaches_the_leaves() {
    let Some(tree) = Tree::up(1) else { return };
    let tree = tree.equip(&["lb1"]);
    let (child, _home, pids) = sleepers(&tree);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(
        errors.contains("hash: stopping; still running: t[1-2]"),
        "{errors}"
    );
    assert!(errors.contains("hash: t[1-2]: stopped"), "{errors}");
    wait_for_end_of(&pids);
}

#[test]
fn nothing_is_left_behind_when_the_root_dies() {
    let Some(tree) = Tree::up(1) else { return };
    let tree = tree.equip(&["lb1"]);
    let (mut child, _home, pids) = sleepers(&tree);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for_end_of(&pids);
}

#[test]
fn large_input_and_output_come_through_whole() {
    let Some(tree) = Tree::up(2) else { return };
    let tree = tree.equip(&["lb1", "lb2"]);
    // Ten million bytes in, and as many out of each of six nodes, binary.
    let bytes: Vec<u8> = (0..10_000_000u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let command = "cksum; head -c 10000000 /dev/zero | tr '\\0' x";
    let words = [
        "--stdin", "--json", "-R", "exec", "-w", "t[1-6]", "--", command,
    ];
    let ran = tree.hash(FLAT, &words).stdin(bytes).run();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let document: serde_json::Value = serde_json::from_slice(&ran.bytes).unwrap();
    let groups = document["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1, "every node said the same");
    assert_eq!(groups[0]["nodes"], "t[1-6]");
    let said = groups[0]["stdout"].as_str().unwrap();
    let (sum, rest) = said.split_once('\n').unwrap();
    assert!(sum.ends_with(" 10000000"), "{sum}");
    assert!(rest.len() == 10_000_000 && rest.bytes().all(|byte| byte == b'x'));
}

/// `clush` with a topology, as [`Tree::hash`].
fn clush(tree: &Tree, routes: &str, words: &[&str]) -> (Option<i32>, String, String) {
    let (command, stdin) = match words.split_first() {
        Some((&"<", rest)) => (rest, true),
        _ => (words, false),
    };
    let file = tree.lab.dir().join("clush.conf");
    fs::write(
        &file,
        format!("[routes]\n{}", routes.replace("ROOT", &host())),
    )
    .unwrap();
    let file = file.display().to_string();
    let words = ["--topology", &file]
        .into_iter()
        .chain(command.iter().copied());
    let hash = Hash::called("clush", words);
    let ssh = hash.home().join(".ssh");
    fs::create_dir(&ssh).unwrap();
    fs::copy(tree.lab.ssh_config(), ssh.join("config")).unwrap();
    let ran = hash.stdin(if stdin { "input\n" } else { "" }).run();
    // What is left when the line of progress, which depends on time, is taken out.
    let line = |line: &str| line.rsplit('\r').next().unwrap_or_default().to_owned();
    let err: String = ran.stderr.split_inclusive('\n').map(line).collect();
    let progress = ran.stderr.split('\r').filter(|part| part.contains(" gw "));
    assert!(progress.into_iter().all(|part| part.starts_with("clush: ")));
    (ran.code, ran.stdout, err)
}

#[test]
fn clush_through_gateways_is_as_the_original() {
    let Some(tree) = Tree::up(4) else { return };
    let tree = tree.equip(&["lb1", "lb2"]);
    let root = host();
    let two = "ROOT: lb[1-2]\nlb[1-2]: lb[3-4],t[1-8]\n";
    let done = |out: &str, err: &str| (Some(0), out.to_owned(), err.to_owned());
    let block = |text: &str| format!("---------------\nlb[3-4] (2)\n---------------\n{text}\n");

    assert_eq!(
        clush(&tree, two, &["-w", "lb[3-4]", "-b", "echo hi"]),
        done(&block("hi"), "")
    );
    assert_eq!(
        clush(&tree, two, &["<", "-w", "lb[3-4]", "-b", "cat"]),
        done(&block("input"), "")
    );
    // A gateway itself is reached directly.
    let (_, out, _) = clush(&tree, two, &["-w", "lb[1,3]", "-L", "echo $HAPROXY_NODE"]);
    assert_eq!(out, "lb1: lb1\nlb3: lb3\n");
    let (code, out, err) = clush(&tree, two, &["-v", "-w", "lb3", "true"]);
    assert_eq!(
        (code, out.as_str(), err.lines().next()),
        (
            Some(0),
            "",
            Some("clush: enabling tree topology (2 gateways)")
        )
    );
    assert_eq!(
        clush(
            &tree,
            two,
            &["--remote=no", "-w", "t[1-4]", "-L", "echo %h"]
        ),
        done("t1: t1\nt2: t2\nt3: t3\nt4: t4\n", "")
    );
    assert_eq!(
        clush(&tree, two, &["-w", "lb[3-4]", "-S", "-b", "exit 3"]),
        (
            Some(3),
            String::new(),
            "clush: lb[3-4] (2): exited with exit code 3\n".to_owned()
        )
    );
    let (code, _, err) = clush(&tree, two, &["-w", "lb[3-4]", "-u", "1", "-b", "sleep 9"]);
    assert_eq!(
        (code, err.as_str()),
        (Some(0), "clush: lb[3-4]: command timeout\n")
    );
    let (_, out, _) = clush(&tree, two, &["-d", "-w", "lb3", "true"]);
    let drawn =
        format!("---------------\n{root}\n`- lb[1-2]\n   `- lb[3-4],t[1-8]\n---------------\n");
    assert!(out.contains(&drawn), "{out}");
    // The line of progress tells how many gateways are open.
    let file = tree.lab.dir().join("clush.conf").display().to_string();
    let words = [
        "--topology",
        &file,
        "--remote=no",
        "-b",
        "-w",
        "t[1-2]",
        "sleep 2",
    ];
    let hash = Hash::called("clush", words);
    fs::create_dir(hash.home().join(".ssh")).unwrap();
    fs::copy(tree.lab.ssh_config(), hash.home().join(".ssh/config")).unwrap();
    let ran = hash.run();
    assert!(ran.stderr.contains("clush: 0/2 gw 2\r"), "{ran}");
    assert!(ran.stderr.ends_with("clush: 2/2\r"), "{ran}");
    // Naming a worker turns the tree off.
    assert_eq!(
        clush(&tree, two, &["-R", "exec", "-w", "t1", "echo %h"]),
        done("t1: t1\n", "")
    );
}

#[test]
fn clush_goes_another_way_or_gives_up_as_the_original() {
    let Some(tree) = Tree::up(2) else { return };
    let tree = tree.equip(&["lb1"]);
    let words = ["--remote=no", "-w", "t[1-4]", "-b", "echo hi"];
    let (code, out, err) = clush(
        &tree,
        "ROOT: bad.invalid,lb1\nbad.invalid,lb1: t[1-4]\n",
        &words,
    );
    assert_eq!(
        (code, out.as_str()),
        (
            Some(0),
            "---------------\nt[1-4] (4)\n---------------\nhi\n"
        ),
        "{err}"
    );
    let mut lines = err.lines();
    assert!(lines.next().unwrap().starts_with("bad.invalid: "), "{err}");
    assert_eq!(
        lines.next(),
        Some("clush: rerouting commands for t[1,3] due to the failure of gateway bad.invalid")
    );
    let (code, out, err) = clush(&tree, "ROOT: bad.invalid\nbad.invalid: t[1-4]\n", &words);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let lines: Vec<&str> = err.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "clush: rerouting commands for t[1-4] due to the failure of gateway bad.invalid",
            "clush: TREE MODE: No route available to t1"
        ]
    );
    // What was begun on a gateway that dies has the original's status for it.
    tree.script("lb1", "(sleep 1; kill -9 $$) & exec \"$REAL\" \"$@\"");
    let words = ["--remote=no", "-S", "-w", "t[1-2]", "sleep 1000"];
    let (code, out, err) = clush(&tree, "ROOT: lb1\nlb1: t[1-2]\n", &words);
    assert_eq!((code, out.as_str()), (Some(76), ""), "{err}");
    assert!(err.contains("exited with exit code 76"), "{err}");
}

#[test]
fn clush_refuses_topologies_as_the_original() {
    let Some(tree) = Tree::up(1) else { return };
    for (routes, said) in [
        (
            "other: gw1\ngw1: t1\n",
            format!("\"{}\" is not a valid root node!", host()),
        ),
        (
            "ROOT: gw1\ngw1: gw2\ngw2: gw1\n",
            "Loop detected! Cannot add route gw2 -> gw1".to_owned(),
        ),
        ("", "No route found in topology definition!".to_owned()),
    ] {
        let (code, out, err) = clush(&tree, routes, &["-w", "t1", "true"]);
        let expected = format!("clush: TREE MODE: {said}\n");
        assert_eq!((code, out.as_str(), err), (Some(1), "", expected));
    }
    let ran = Hash::called("clush", ["--topology", "nofile", "-w", "t1", "true"]).run();
    let said = "clush: TREE MODE: Invalid configuration file: nofile\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), said));
}

#[test]
fn copies_go_through_gateways() {
    let Some(tree) = Tree::up(4) else { return };
    let tree = tree.equip(&["lb1", "lb2"]);
    let source = tree.lab.dir().join("source.bin");
    let bytes: Vec<u8> = (0..300_000u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    fs::write(&source, &bytes).unwrap();
    let routes = "ROOT: lb[1-2]\nlb[1-2]: lb[3-4]\n";
    let source = source.display().to_string();
    // The one folder of which each node has its own.
    let words = [
        "-w",
        "lb[3-4]",
        "copy",
        &source,
        "--dest",
        "/run/haproxy/copied.bin",
    ];
    let ran = tree.hash(routes, &words).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    for node in ["lb3", "lb4"] {
        let copied = tree.lab.run_dir(node).join("copied.bin");
        assert!(fs::read(copied).unwrap() == bytes);
    }
    for node in ["lb1", "lb2"] {
        assert!(!tree.lab.run_dir(node).join("copied.bin").exists());
    }
}
