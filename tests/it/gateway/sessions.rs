//! All that takes more than one command, through two levels of gateways: real sshd at each hop, real HAProxy behind.
//!
//! `lb1` is next to us, `lb2` behind it, and `lb3` and `lb4` behind that. Nobody but the gateway in front has a way to a node.

use std::fs;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::{Tree, wait_for};
use crate::lab::{Hash, Lab, Ran};

const DEEP: &str = "ROOT: lb1\nlb1: lb2\nlb2: lb[3-4]\n";

/// The tree of these tests; `None` skips.
fn deep() -> Option<Tree> {
    let tree = Tree::with_haproxy(4)?.equip(&["lb1", "lb2"]);
    hide(&tree.home("lb1").join(".ssh/config"), "lb3 lb4");
    Some(tree)
}

/// Takes the direct way to some nodes away.
fn hide(config: &std::path::Path, nodes: &str) {
    let text = fs::read_to_string(config).unwrap();
    fs::write(
        config,
        format!("Host {nodes}\n    ProxyCommand false\n\n{text}"),
    )
    .unwrap();
}

/// `hash` on the nodes at the end of the tree.
fn hash(tree: &Tree, words: &[&str]) -> Hash {
    let words = ["-w", "lb[3-4]"].iter().chain(words);
    let words: Vec<&str> = words.copied().collect();
    let hash = tree.hash(DEEP, &words);
    hide(&hash.home().join(".ssh/config"), "lb2 lb3 lb4");
    hash
}

#[track_caller]
fn expect(ran: &Ran, code: i32) {
    assert_eq!(ran.code, Some(code), "{ran}");
}

#[test]
fn servers_are_seen_and_changed_with_proof() {
    let Some(tree) = deep() else { return };
    let direct = tree.lab.hash(["-w", "lb[3-4]", "status"]).run();
    let ran = hash(&tree, &["status"]).run();
    expect(&ran, 0);
    assert_eq!(ran.stdout, direct.stdout);
    assert!(
        ran.stdout
            .contains("lb[3-4]: ldap/ldap-svc1: RUNNING/READY\n"),
        "{ran}"
    );

    let ran = hash(&tree, &["disable", "ldap/ldap-svc1", "--reason", "test"]).run();
    expect(&ran, 0);
    for node in ["lb3", "lb4"] {
        let state = tree.lab.cli(node, "show servers state ldap");
        let row = state.lines().find(|row| row.contains("ldap-svc1")).unwrap();
        let columns: Vec<&str> = row.split(' ').collect();
        assert_eq!(columns[6], "1", "{node} is in maintenance: {row}");
    }
    let ran = hash(&tree, &["status", "--bad"]).run();
    expect(&ran, 2);
    assert!(
        ran.stdout
            .contains("lb[3-4]: ldap/ldap-svc1: STOPPED/MAINT\n"),
        "{ran}"
    );
    // The guard looks through the gateways, too.
    let ran = hash(&tree, &["disable", "ldap/ldap-svc2"]).run();
    expect(&ran, 4);
    let ran = hash(&tree, &["enable", "ldap/ldap-svc1"]).run();
    expect(&ran, 0);
    expect(&hash(&tree, &["status", "--bad"]).run(), 0);
    // Whatever is wrong there comes back with the node's own code.
    let words = ["--socket", "/run/haproxy/none.sock", "--json", "status"];
    let ran = hash(&tree, &words).run();
    expect(&ran, 1);
    assert!(
        ran.stdout.contains("E_SOCKET") && ran.stdout.contains("missing"),
        "{ran}"
    );
    // A socket that the server does not forward to is reached as it is directly.
    let ran = hash(&tree, &["--via", "socat", "status", "http/http-svc1"]).run();
    expect(&ran, 0);
}

#[test]
fn nodes_are_pinged_where_only_their_gateway_leads() {
    let Some(tree) = deep() else { return };
    let ran = tree.hash(DEEP, &["-w", "lb[1-4]", "ping"]).run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "lb[1-4]: ok\n"),
        "{ran}"
    );
    let ran = hash(&tree, &["ping"]).run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "lb[3-4]: ok\n"),
        "{ran}"
    );
    tree.lab.stop("lb4/sshd");
    let ran = hash(&tree, &["--json", "ping"]).run();
    expect(&ran, 3);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let down = &document["results"][1];
    assert_eq!(
        (&down["node"], &down["code"]),
        (&"lb4".into(), &"E_REFUSED".into()),
        "{ran}"
    );
    let message = down["message"].as_str().unwrap();
    assert!(message.ends_with(" (through gateway lb1)"), "{message}");
}

#[test]
fn files_come_and_go() {
    let Some(tree) = deep() else { return };
    let bytes: Vec<u8> = (0..3_000_000u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let source = tree.lab.dir().join("source.bin");
    fs::write(&source, &bytes).unwrap();
    let source = source.display().to_string();
    let ran = hash(
        &tree,
        &["copy", &source, "--dest", "/run/haproxy/copied.bin"],
    )
    .run();
    expect(&ran, 0);
    for node in ["lb3", "lb4"] {
        assert!(fs::read(tree.lab.run_dir(node).join("copied.bin")).unwrap() == bytes);
    }
    let fetch = hash(&tree, &["fetch", "/run/haproxy/copied.bin", "--dest", "."]);
    let ran = fetch.run();
    expect(&ran, 0);
    for node in ["lb3", "lb4"] {
        let fetched = ran.home.path().join(format!("copied.bin.{node}"));
        assert!(fs::read(fetched).unwrap() == bytes);
    }
    // Homes and patterns are those of the nodes.
    let ran = hash(&tree, &["copy", &source, "--dest", "~/of-home.bin"]).run();
    expect(&ran, 0);
    let ran = hash(
        &tree,
        &["fetch", "~/of-*", "/run/haproxy/cop?ed.*", "--dest", "."],
    )
    .run();
    expect(&ran, 0);
    for node in ["lb3", "lb4"] {
        assert!(fs::read(tree.home(node).join("of-home.bin")).unwrap() == bytes);
        for name in ["of-home.bin", "copied.bin"] {
            let fetched = ran.home.path().join(format!("{name}.{node}"));
            assert!(fs::read(fetched).unwrap() == bytes, "{ran}");
        }
    }
    let ran = hash(&tree, &["fetch", "~no-such-user/x", "--dest", "."]).run();
    expect(&ran, 1);
    assert!(ran.stderr.contains("no such user"), "{ran}");
    let folder = tree.lab.run_dir("lb3").join("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a"), "a").unwrap();
    let ran = hash(&tree, &["fetch", "/run/haproxy/folder", "--dest", "."]).run();
    // Only one of them has it.
    expect(&ran, 1);
    assert_eq!(
        fs::read(ran.home.path().join("folder.lb3/a")).unwrap(),
        b"a"
    );
    assert!(
        ran.stderr
            .contains("lb4: /run/haproxy/folder: No such file or directory"),
        "{ran}"
    );
}

#[test]
fn a_shell_keeps_its_sessions_open() {
    let Some(tree) = deep() else { return };
    // Whoever logs in leaves a line.
    let logins = tree.lab.dir().join("logins");
    let rc = tree.home("lb3").join(".ssh");
    fs::create_dir_all(&rc).unwrap();
    fs::write(rc.join("rc"), format!("echo x >> '{}'\n", logins.display())).unwrap();
    let script = "echo $HAPROXY_NODE\nexit 3\necho again\n=\necho $HAPROXY_NODE\n";
    let ran = hash(&tree, &["shell"]).stdin(script).run();
    expect(&ran, 1);
    assert!(
        ran.stdout
            .starts_with("lb3: lb3\nlb4: lb4\nlb[3-4]: again\n"),
        "{ran}"
    );
    assert!(ran.stderr.contains("lb[3-4]: exited with 3"), "{ran}");
    let connections = fs::read_to_string(tree.lab.log("lb3/sshd")).unwrap();
    let count = connections.matches("Accepted publickey").count();
    assert_eq!(count, 1, "{connections}");
}

#[test]
fn a_gateway_killed_in_the_middle_loses_its_sessions_and_no_others() {
    let Some(tree) = deep() else { return };
    let pid = tree.lab.dir().join("pid");
    tree.script(
        "lb2",
        &format!("echo $$ > '{}'; exec \"$REAL\" \"$@\"", pid.display()),
    );
    let mark = tree.lab.dir().join("mark");
    let command = format!(
        "echo begun; echo x >> '{}'; exec sleep 1000",
        mark.display()
    );
    let words = ["-w", "lb[1,3-4]", "--jsonl", "shell"];
    let hash = tree.hash(DEEP, &words);
    let (mut command_of, _home) = hash.into_command();
    let mut child = command_of.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = format!("[ $HAPROXY_NODE = lb1 ] && exit; {command}\n");
    std::io::Write::write_all(&mut input, text.as_bytes()).unwrap();
    drop(input);
    let marks = || fs::read_to_string(&mark).unwrap_or_default();
    wait_for("two commands", || marks().lines().count() == 2);
    let leader: i32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(leader).unwrap(), Signal::KILL).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut ended = std::collections::BTreeMap::new();
    for line in text.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        if event["event"] == "finished" {
            let node = event["node"].as_str().unwrap().to_owned();
            assert!(ended.insert(node, event.clone()).is_none(), "{text}");
        }
    }
    assert_eq!(ended["lb1"]["status"], 0, "{text}");
    for node in ["lb3", "lb4"] {
        assert_eq!(ended[node]["code"], "E_LOST", "{text}");
        let message = ended[node]["message"].as_str().unwrap();
        assert!(
            message.starts_with("lost with gateway lb2 (hapsh was killed there"),
            "{message}"
        );
        assert!(
            message.contains("the command may still be running"),
            "{message}"
        );
    }
    assert_eq!(marks(), "x\nx\n", "nothing is run twice");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn another_user_asks_for_its_password_once_for_all_nodes() {
    let sudoers = "Defaults lecture=never\nnobody ALL=(ALL) ALL";
    let builder = ["lb3", "lb4"]
        .iter()
        .fold(Lab::builder(4), |builder, node| {
            builder.unprivileged(node).sudo(node, sudoers)
        });
    let Some(lab) = builder.start() else { return };
    let tree = Tree { lab }.equip(&["lb1", "lb2"]);
    let ran = hash(&tree, &["status", "ldap/ldap-svc1"]).run();
    expect(&ran, 1);
    assert!(
        ran.stderr
            .contains("lb[3-4]: permission denied: nobody may not use"),
        "{ran}"
    );
    let question = "password for sudo to root on all nodes: ";
    for (words, out) in [
        (&["--", "id -un; cat </dev/null"][..], "lb[3-4]: root"),
        (&["disable", "ldap/ldap-svc1"], ""),
        (&["fetch", "/etc/sudoers", "--dest", "."], ""),
    ] {
        let words = [&["--become"], words].concat();
        let (command, home) = hash(&tree, &words).into_command();
        let words: Vec<&str> = command
            .get_args()
            .map(|word| word.to_str().unwrap())
            .collect();
        let line = crate::run::line(&words);
        let talk = [(question, "sesame\n")];
        let Some((code, shown)) = crate::run::at_terminal(&line, home.path(), &talk) else {
            return;
        };
        assert_eq!(code, Some(0), "{shown}");
        assert_eq!(shown.matches(question).count(), 1, "{shown}");
        assert!(shown.contains(out) && !shown.contains("sesame"), "{shown}");
    }
    for node in ["lb3", "lb4"] {
        let state = tree.lab.cli(node, "show servers state ldap");
        let row = state.lines().find(|row| row.contains("ldap-svc1")).unwrap();
        assert_eq!(
            row.split(' ').nth(6),
            Some("1"),
            "{node} is in maintenance: {row}"
        );
    }
}
