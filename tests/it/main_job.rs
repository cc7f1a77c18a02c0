//! The main job on real HAProxy behind real sshd: see, disable, drain and enable servers on all load balancers.

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Hash, Lab, Origin, Ran};

const HEADER: [&str; 3] = [
    "# Format",
    "# backend_name/frontend_name: operational_state/administrative_state",
    "",
];

/// Every server of the lab, in HAProxy's order.
const SERVERS: [&str; 20] = [
    "all_puppet_masters/puppet-i0-svc1",
    "all_puppet_masters/puppet-i0-svc2",
    "all_puppet_masters/puppet-i10-svc1",
    "all_puppet_masters/puppet-i20-svc1",
    "all_puppet_masters/puppet-i24-svc1",
    "all_puppet_masters/puppet-i28-svc1",
    "i0_puppet_masters/puppet-i0-svc1",
    "i0_puppet_masters/puppet-i0-svc2",
    "i10_puppet_masters/puppet-i10-svc1",
    "i10_puppet_masters/puppet-i0-svc1",
    "i20_puppet_masters/puppet-i20-svc1",
    "i20_puppet_masters/puppet-i0-svc1",
    "i24_puppet_masters/puppet-i24-svc1",
    "i24_puppet_masters/puppet-i0-svc1",
    "i28_puppet_masters/puppet-i28-svc1",
    "i28_puppet_masters/puppet-i0-svc1",
    "ldap/ldap-svc1",
    "ldap/ldap-svc2",
    "http/http-svc1",
    "http/http-svc2",
];

/// The servers called puppet-i0-svc1.
fn puppet() -> impl Iterator<Item = &'static str> {
    SERVERS
        .into_iter()
        .filter(|name| name.ends_with("/puppet-i0-svc1"))
}

/// Header and rows under one label, with one state.
fn listing<'a>(label: &str, servers: impl IntoIterator<Item = &'a str>, state: &str) -> String {
    let mut text = String::new();
    for line in HEADER {
        text.push_str(format!("{label}: {line}").trim_end());
        text.push('\n');
    }
    for server in servers {
        text.push_str(&format!("{label}: {server}: {state}\n"));
    }
    text
}

fn on_both<'a>(lab: &Lab, words: impl IntoIterator<Item = &'a str>) -> Hash {
    lab.hash(["-w", "lb[1-2]"].into_iter().chain(words))
}

#[track_caller]
fn expect(ran: &Ran, code: i32, said: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran}");
    for text in said {
        assert!(ran.stderr.contains(text), "no `{text}` in\n{ran}");
    }
}

/// The states of a server as HAProxy itself tells them: operational and administrative number.
fn state(lab: &Lab, haproxy: &str, server: &str) -> (String, String) {
    let (backend, server) = server.split_once('/').expect("BACKEND/SERVER");
    let answer = lab.cli(haproxy, "show servers state");
    let row = answer
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|row| row.len() > 6 && row[1] == backend && row[3] == server)
        .expect("a row");
    (row[5].to_owned(), row[6].to_owned())
}

fn is_ready(lab: &Lab, haproxy: &str, server: &str) -> bool {
    state(lab, haproxy, server).1 == "0"
}

fn until(what: &str, mut test: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !test() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// DESIGN's first part, byte for byte.
#[test]
fn see_disable_see_enable_see() {
    let Some(lab) = Lab::up(2) else { return };
    let well = on_both(&lab, ["status"]).run();
    expect(&well, 0, &[]);
    assert_eq!(well.stdout, listing("lb[1-2]", SERVERS, "RUNNING/READY"));
    assert_eq!(well.stderr, "");

    let nothing = on_both(&lab, ["status", "--bad"]).run();
    expect(&nothing, 0, &[]);
    assert_eq!((nothing.stdout.as_str(), nothing.stderr.as_str()), ("", ""));

    let disabled = on_both(
        &lab,
        ["disable", "puppet-i0-svc1", "--reason", "kernel update"],
    )
    .run();
    expect(&disabled, 0, &["HAProxy forgets this at its next reload"]);
    let rows: String = puppet()
        .map(|server| format!("lb[1-2]: {server}: RUNNING/READY -> STOPPED/MAINT\n"))
        .collect();
    assert_eq!(disabled.stdout, rows);
    let audit = disabled.home.path().join("state/hash/audit.jsonl");
    let text = std::fs::read_to_string(&audit).expect("the audit log");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "per node an intent and a result");
    assert!(lines.iter().all(|line| {
        line.contains(&format!(r#""user":"{}""#, who()))
            && line.contains(r#""reason":"kernel update""#)
            && line.matches(r#""server":"#).count() == 6
    }));
    assert!(lines[0].contains(r#""kind":"intent","node":"lb1""#));
    assert_eq!(lines[3].matches(r#""verdict":"done""#).count(), 7);
    let mode = std::fs::metadata(&audit)
        .expect("the audit log")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let expected = listing("lb[1-2]", puppet(), "STOPPED/MAINT");
    for words in [["status", "--bad"], ["status", "puppet-i0-svc1"]] {
        let bad = on_both(&lab, words).run();
        expect(&bad, 2, &["lb[1-2]: exited with 2"]);
        assert_eq!(bad.stdout, expected);
    }

    let again = on_both(&lab, ["disable", "puppet-i0-svc1"]).run();
    expect(&again, 0, &[]);
    assert!(
        again
            .stdout
            .contains("all_puppet_masters/puppet-i0-svc1: STOPPED/MAINT, unchanged\n")
    );
    assert_eq!(
        again.stderr, "",
        "nothing was written, so nothing can be forgotten"
    );

    let enabled = on_both(&lab, ["enable", "puppet-i0-svc1"]).run();
    expect(&enabled, 0, &[]);
    assert!(
        enabled.stdout.contains(
            "lb[1-2]: i0_puppet_masters/puppet-i0-svc1: STOPPED/MAINT -> RUNNING/READY\n"
        )
    );
    let well = on_both(&lab, ["status"]).run();
    expect(&well, 0, &[]);
    assert_eq!(well.stdout, listing("lb[1-2]", SERVERS, "RUNNING/READY"));
}

#[test]
fn the_last_usable_server_is_kept() {
    let Some(lab) = Lab::up(2) else { return };
    lab.cli("lb2", "set server http/http-svc2 state maint");
    for words in [
        &["disable", "http-svc1"][..],
        &["drain", "http/http-svc1"],
        &["weight", "http/http-svc1", "0"],
        &["weight", "http/http-svc1", "50%"],
    ] {
        let refused = on_both(&lab, words.iter().copied()).run();
        expect(
            &refused,
            4,
            &["lb2: refused: no usable server would be left in backend http (http-svc1)"],
        );
        let lb1 = if words.contains(&"50%") {
            "lb1: refused: that is weight 0, which takes a server out, for http/http-svc1 (of 1)"
        } else {
            "lb1: nothing was changed, because of lb2"
        };
        expect(&refused, 4, &[lb1]);
        assert!(is_ready(&lab, "lb1", "http/http-svc1") && is_ready(&lab, "lb2", "http/http-svc1"));
        assert_eq!(
            lab.cli("lb1", "get weight http/http-svc1"),
            "1 (initial 1)\n\n"
        );
    }
    let forced = on_both(&lab, ["disable", "http-svc1", "--force"]).run();
    expect(
        &forced,
        0,
        &["warning: lb2: no usable server will be left in backend http"],
    );
}

/// Right after `ready` a dead server shows as RUNNING; the checks find it out.
#[test]
fn a_dead_server_is_not_enabled() {
    let Some(lab) = Lab::up(2) else { return };
    expect(&on_both(&lab, ["disable", "http-svc1"]).run(), 0, &[]);
    lab.origin("http-svc1", Origin::Down);
    let ran = on_both(&lab, ["enable", "http-svc1", "--wait", "3s"]).run();
    expect(
        &ran,
        1,
        &[
            "lb[1-2]: READY, but no full health after 3s: http/http-svc1 is DOWN",
            "to take it back: hash undo ",
        ],
    );
    assert_eq!(
        ran.stdout,
        "lb[1-2]: http/http-svc1: STOPPED/MAINT -> STOPPED/READY\n"
    );
    // What is READY already is no more enabled for that.
    expect(
        &on_both(&lab, ["enable", "http-svc1", "--wait", "1s"]).run(),
        1,
        &["is DOWN"],
    );
    let back = on_both(&lab, ["enable", "http-svc1", "--wait", "1s", "--rollback"]).run();
    expect(&back, 1, &["is DOWN"]);
    lab.origin("http-svc1", Origin::Ok);
    expect(&on_both(&lab, ["enable", "http-svc1"]).run(), 0, &[]);
}

#[test]
fn one_balancer_down_lets_nothing_begin() {
    let Some(lab) = Lab::up(2) else { return };
    lab.stop("lb2/sshd");
    let status = on_both(&lab, ["status", "ldap/*"]).run();
    expect(&status, 3, &["lb2: connection refused"]);
    assert_eq!(
        status.stdout,
        listing("lb1", ["ldap/ldap-svc1", "ldap/ldap-svc2"], "RUNNING/READY")
    );
    let ran = on_both(&lab, ["disable", "ldap-svc1"]).run();
    expect(
        &ran,
        3,
        &[
            "lb2: connection refused",
            "lb1: nothing was changed, because of lb2",
        ],
    );
    assert!(is_ready(&lab, "lb1", "ldap/ldap-svc1"));
    let partial = on_both(&lab, ["disable", "ldap-svc1", "--partial-ok"]).run();
    expect(&partial, 3, &["lb2: connection refused"]);
    assert_eq!(
        partial.stdout,
        "lb1: ldap/ldap-svc1: RUNNING/READY -> STOPPED/MAINT\n"
    );
    lab.start_process("lb2/sshd");

    // Its HAProxy down instead.
    lab.stop("lb2/haproxy");
    let ran = on_both(&lab, ["enable", "ldap-svc1"]).run();
    expect(
        &ran,
        1,
        &[
            "lb2: no stats socket of HAProxy at /run/haproxy/admin.sock",
            "lb1: nothing was changed",
        ],
    );
    assert!(!is_ready(&lab, "lb1", "ldap/ldap-svc1"));
}

#[test]
fn sockets_that_do_not_serve_say_why() {
    let builder = Lab::builder(2).no_streamlocal("lb2");
    let Some(lab) = builder.start() else { return };
    let missing = on_both(&lab, ["--socket", "/run/haproxy/none.sock", "status"]).run();
    expect(&missing, 1, &["/run/haproxy/none.sock"]);
    assert_eq!(missing.stdout, "");

    // A socket for looking only.
    let reader = ["--socket", "/run/haproxy/user.sock"];
    let seen = on_both(&lab, reader.into_iter().chain(["status", "ldap/ldap-svc1"])).run();
    expect(&seen, 0, &[]);
    let ran = on_both(
        &lab,
        reader.into_iter().chain(["disable", "ldap/ldap-svc1"]),
    )
    .run();
    expect(
        &ran,
        1,
        &["lb[1-2]: the socket /run/haproxy/user.sock is read-only (level user)"],
    );
    let denied = on_both(&lab, reader.into_iter().chain(["sess"])).run();
    expect(&denied, 1, &["permission denied by HAProxy"]);

    // Forwarding switched off in lb2's sshd: `auto` finds another way, `streamlocal` says what is the matter.
    let seen = on_both(&lab, ["status"]).run();
    expect(&seen, 0, &[]);
    assert_eq!(seen.stdout, listing("lb[1-2]", SERVERS, "RUNNING/READY"));
    let ran = on_both(&lab, ["--via", "streamlocal", "status"]).run();
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stderr.contains("lb2: ") && ran.stderr.contains("/run/haproxy/admin.sock"),
        "{ran}"
    );
    assert_eq!(ran.stdout, listing("lb1", SERVERS, "RUNNING/READY"));

    // The operator's TCP socket.
    let tcp = format!("tcp:{}", lab.tcp_socket("lb1"));
    let seen = lab
        .hash(["-w", "lb1", "--socket", &tcp, "status", "http/*"])
        .run();
    expect(&seen, 0, &[]);
    let ran = lab
        .hash(["-w", "lb1", "--socket", &tcp, "disable", "http-svc1"])
        .run();
    expect(&ran, 1, &["is read-only (level operator)"]);
    assert!(is_ready(&lab, "lb1", "http/http-svc1"));
}

#[test]
fn a_socket_that_lets_nobody_in_is_named() {
    let builder = Lab::builder(2).unprivileged("lb2");
    let Some(lab) = builder.start() else { return };
    let ran = on_both(&lab, ["disable", "ldap-svc1"]).run();
    expect(
        &ran,
        1,
        &[
            "lb2: ",
            "permission denied: nobody may not use /run/haproxy/admin.sock",
            "lb1: nothing was changed",
        ],
    );
    assert!(is_ready(&lab, "lb1", "ldap/ldap-svc1"));
}

#[test]
fn balancers_that_disagree_are_shown_and_made_equal() {
    let Some(lab) = Lab::up(2) else { return };
    lab.cli("lb2", "set server ldap/ldap-svc1 state drain");
    let seen = on_both(&lab, ["status", "ldap/ldap-svc1"]).run();
    expect(&seen, 2, &["lb2: exited with 2"]);
    let both = listing("lb1", ["ldap/ldap-svc1"], "RUNNING/READY")
        + &listing("lb2", ["ldap/ldap-svc1"], "RUNNING/DRAIN");
    assert_eq!(seen.stdout, both);
    let ran = on_both(&lab, ["disable", "ldap/ldap-svc1"]).run();
    expect(
        &ran,
        0,
        &[
            "warning: the nodes do not agree on these servers before the change",
            "lb2: ldap/ldap-svc1: RUNNING/DRAIN, weight 1",
        ],
    );
    assert_eq!(
        state(&lab, "lb2", "ldap/ldap-svc1"),
        ("0".to_owned(), "1".to_owned())
    );

    // A server that only one of them has.
    let ran = on_both(&lab, ["disable", "ldap/ldap-svc2", "nobody"]).run();
    expect(&ran, 1, &["lb[1-2]: no server here matches `nobody`"]);
    assert!(is_ready(&lab, "lb1", "ldap/ldap-svc2"));
}

#[test]
fn bad_words_reach_no_balancer() {
    // No lab: whatever is contacted would fail with another code.
    for words in [
        &["disable", "ldap-svc1;disable frontend fe"][..],
        &["disable", "ldap-svc1\nshow info"],
        &["status", "ldap/ldap svc1"],
        &["enable", "web[1-"],
        &["enable", "@all"],
        &["enable"],
        &["weight", "web1", "257"],
        &["weight", "web1"],
        &["raw", "show info\nset server a/b state maint"],
        &["raw", "set map #1 <<"],
        &["raw", "prompt"],
        &["--socket", "run/admin.sock", "status"],
        &["--socket", "tcp:localhost", "status"],
        &["drain", "web1", "--then", "nothing"],
    ] {
        let ran = Hash::new(["-w", "localhost"].iter().chain(words)).run();
        assert_eq!(ran.code, Some(64), "{words:?}\n{ran}");
        assert_eq!(ran.stdout, "", "{ran}");
    }
    let ran = Hash::new(["-w", "localhost", "raw", "set server a/b state maint"]).run();
    expect(&ran, 4, &["may change something", "--yes"]);
}

#[test]
fn questions_are_answered_in_haproxys_words() {
    let Some(lab) = Lab::up(2) else { return };
    let info = on_both(&lab, ["info"]).run();
    expect(&info, 0, &[]);
    assert!(
        info.stdout.contains("lb1: Name: HAProxy\n")
            || info.stdout.contains("lb[1-2]: Name: HAProxy\n"),
        "{info}"
    );
    let stat = on_both(&lab, ["-N", "stat"]).run();
    expect(&stat, 0, &[]);
    assert!(stat.stdout.starts_with("# pxname,svname,"), "{stat}");
    expect(&on_both(&lab, ["sess"]).run(), 0, &[]);
    let raw = on_both(&lab, ["raw", "show backend"]).run();
    expect(&raw, 0, &[]);
    assert!(
        raw.stdout
            .starts_with("lb[1-2]: # name\nlb[1-2]: all_puppet_masters\n"),
        "{raw}"
    );
    let unknown = on_both(&lab, ["raw", "show nonsense"]).run();
    expect(&unknown, 1, &["this HAProxy has no such command"]);
    let lowered = on_both(
        &lab,
        [
            "raw",
            "--read-only",
            "set server ldap/ldap-svc1 state maint",
        ],
    )
    .run();
    assert!(
        lowered.stdout.contains("Permission denied") || lowered.code == Some(1),
        "{lowered}"
    );
    assert!(is_ready(&lab, "lb1", "ldap/ldap-svc1"));
    let sent = on_both(
        &lab,
        ["--yes", "raw", "set server ldap/ldap-svc1 state maint"],
    )
    .run();
    expect(&sent, 0, &[]);
    assert!(!is_ready(&lab, "lb2", "ldap/ldap-svc1"));
    let json = on_both(&lab, ["--json", "status", "ldap/*"]).run();
    expect(&json, 2, &[]);
    let document: serde_json::Value = serde_json::from_str(&json.stdout).expect("one document");
    assert_eq!(document["schema"], "hash/1");
    assert_eq!(document["groups"][0]["nodes"], "lb[1-2]");
    let servers = document["servers"].as_array().expect("rows");
    let states = servers
        .iter()
        .filter_map(|row| row["administrative"].as_str());
    assert_eq!(states.filter(|word| *word == "MAINT").count(), 2);
    let json = on_both(&lab, ["--json", "enable", "ldap/ldap-svc1"]).run();
    expect(&json, 0, &[]);
    let document: serde_json::Value = serde_json::from_str(&json.stdout).expect("one document");
    let changes = document["changes"].as_array().expect("rows");
    let row = |node| {
        serde_json::json!({
            "node": node, "instance": null, "backend": "ldap", "server": "ldap-svc1",
            "before": "STOPPED/MAINT", "after": "RUNNING/READY", "weight_before": 1, "weight_after": 1,
            "verdict": "done", "message": null,
        })
    };
    assert_eq!(changes[..], [row("lb1"), row("lb2")]);
    assert_eq!(document["groups"][0]["stdout"], "");
}

#[test]
fn several_haproxy_on_a_node_are_told_apart() {
    let Some(lab) = Lab::builder(2).instances().start() else {
        return;
    };
    let sockets = [
        "--socket",
        "/run/haproxy/ldap.sock",
        "--socket",
        "/run/haproxy/http.sock",
    ];
    let seen = on_both(&lab, sockets.into_iter().chain(["status", "*/*-svc1"])).run();
    expect(&seen, 0, &[]);
    let rows = ["ldap.sock: ldap/ldap-svc1", "http.sock: http/http-svc1"];
    assert_eq!(seen.stdout, listing("lb[1-2]", rows, "RUNNING/READY"));

    let config = "[haproxy.instances.ldap]\nsocket = \"/run/haproxy/ldap.sock\"\n\
        [haproxy.instances.puppet]\nnodes = \"lb[1-2]\"\nsocket = \"/run/haproxy/puppet.sock\"\nbackend = \"i0_*\"\n";
    let seen = on_both(&lab, ["status"]).config(config).run();
    expect(&seen, 0, &[]);
    let rows = [
        "ldap: ldap/ldap-svc1",
        "ldap: ldap/ldap-svc2",
        "puppet: i0_puppet_masters/puppet-i0-svc1",
        "puppet: i0_puppet_masters/puppet-i0-svc2",
    ];
    assert_eq!(seen.stdout, listing("lb[1-2]", rows, "RUNNING/READY"));
    let ran = on_both(&lab, ["disable", "puppet-i0-svc1"])
        .config(config)
        .run();
    expect(&ran, 0, &[]);
    let row = "lb[1-2]: puppet: i0_puppet_masters/puppet-i0-svc1: RUNNING/READY -> STOPPED/MAINT\n";
    assert_eq!(ran.stdout, row);
    assert!(
        is_ready(&lab, "lb1/puppet", "all_puppet_masters/puppet-i0-svc1"),
        "not one of its backends"
    );
}

/// Where a frontend of a node listens.
fn frontend(lab: &Lab, node: &str, name: &str) -> String {
    let config = std::fs::read_dir(lab.run_dir(node))
        .expect("the node's folder")
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "cfg"))
        .map(|entry| std::fs::read_to_string(entry.path()).expect("a configuration"))
        .find(|text| text.contains(name))
        .expect("a configuration with the frontend");
    let behind = config
        .split(&format!("frontend {name}\n"))
        .nth(1)
        .expect("the frontend");
    let bind = behind
        .lines()
        .find_map(|line| line.trim().strip_prefix("bind "));
    bind.expect("its address").to_owned()
}

/// The sessions that HAProxy counts on a server.
fn sessions(lab: &Lab, haproxy: &str, backend: &str, server: &str) -> String {
    let answer = lab.cli(haproxy, &format!("show stat {backend} 4 -1"));
    let row = answer
        .lines()
        .find(|line| line.starts_with(&format!("{backend},{server},")));
    row.and_then(|row| row.split(',').nth(4))
        .expect("a row")
        .to_owned()
}

/// Opens a connection to ldap through lb1 and says on which server it came out.
fn client(lab: &Lab) -> (TcpStream, &'static str) {
    let stream = TcpStream::connect(frontend(lab, "lb1", "fe_ldap")).expect("a connection");
    let mut on = "";
    until("the connection comes out somewhere", || {
        on = ["ldap-svc1", "ldap-svc2"]
            .into_iter()
            .find(|server| sessions(lab, "lb1", "ldap", server) != "0")
            .unwrap_or_default();
        !on.is_empty()
    });
    (stream, on)
}

#[test]
fn a_drain_waits_and_then_does_as_told() {
    let Some(lab) = Lab::up(2) else { return };
    let (mut stream, server) = client(&lab);
    let server = format!("ldap/{server}");
    let ran = on_both(&lab, ["drain", &server, "--wait", "2s"]).run();
    expect(
        &ran,
        1,
        &[&format!(
            "lb1: {server} has 1 session after 2s; {server} is RUNNING/DRAIN"
        )],
    );
    assert_eq!(state(&lab, "lb1", &server).1, "8");
    let ran = on_both(&lab, ["drain", &server, "--wait", "1s", "--then", "kill"]).run();
    expect(&ran, 0, &[]);
    assert_eq!(
        state(&lab, "lb1", &server),
        ("0".to_owned(), "1".to_owned())
    );
    // The client was cut off.
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a limit");
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    expect(&on_both(&lab, ["enable", &server]).run(), 0, &[]);
    let ran = on_both(&lab, ["drain", &server, "--then", "disable"]).run();
    expect(&ran, 0, &[]);
    assert_eq!(
        state(&lab, "lb2", &server),
        ("0".to_owned(), "1".to_owned())
    );
}

/// A reload in the middle of a change: the new worker knows nothing of it, so it is made again.
#[test]
fn a_reload_in_the_middle_is_noticed() {
    let Some(lab) = Lab::up(2) else { return };
    let (stream, server) = client(&lab);
    let server = format!("ldap/{server}");
    let (mut command, _home) = on_both(&lab, ["drain", &server, "--wait", "50s"]).into_command();
    let child = command.stdin(Stdio::null()).spawn().expect("start hash");
    until("the drain is written", || {
        state(&lab, "lb1", &server).1 == "8"
    });
    lab.reload("lb1");
    // The session stays with the old worker, so the new one is idle once the drain is written again.
    let output = child.wait_with_output().expect("wait for hash");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(
        stderr.contains("lb1: HAProxy was reloaded in between; the change was made again"),
        "{stderr}"
    );
    assert_eq!(state(&lab, "lb1", &server).1, "8");
    drop(stream);
}

/// Ctrl-C during the wait of a drain: what was made stays, on both, and is said.
#[test]
fn ctrl_c_ends_a_wait_and_no_more() {
    let Some(lab) = Lab::up(2) else { return };
    let (stream, server) = client(&lab);
    let server = format!("ldap/{server}");
    let (mut command, _home) = on_both(&lab, ["drain", &server, "--wait", "50s"]).into_command();
    let child = command.stdin(Stdio::null()).spawn().expect("start hash");
    until("the drain is written on both", || {
        state(&lab, "lb1", &server).1 == "8" && state(&lab, "lb2", &server).1 == "8"
    });
    kill_process(Pid::from_child(&child), Signal::INT).expect("interrupt hash");
    let output = child.wait_with_output().expect("wait for hash");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    let told =
        format!("lb1: stopped while waiting: {server} has 1 session; {server} is RUNNING/DRAIN");
    assert!(stderr.contains(&told), "{stderr}");
    assert_eq!(state(&lab, "lb2", &server).1, "8");
    drop(stream);
}

/// The odd states: tracked servers, soft stop, no address, disabled in the file.
#[test]
fn odd_servers_are_judged_rightly() {
    let Some(lab) = Lab::builder(1).extras().start() else {
        return;
    };
    let on = |words: &[&str]| lab.hash(["-w", "lb1"].iter().chain(words)).run();
    let seen = on(&["status", "x_dns/*", "x_nocheck/*"]);
    expect(&seen, 2, &[]);
    expect(
        &on(&["status", "x_dns/*", "x_nocheck/*", "--ignore-unresolved"]),
        0,
        &[],
    );
    let long = on(&["status", "x_dns/web1", "x_disabled/http-svc2", "--long"]);
    assert!(
        long.stdout
            .contains("x_dns/web1: STOPPED/MAINT (resolution) "),
        "{long}"
    );
    assert!(
        long.stdout
            .contains("x_disabled/http-svc2: STOPPED/MAINT (config) "),
        "{long}"
    );
    // A name without an address cannot be put into service.
    expect(
        &on(&["enable", "x_dns/web1"]),
        1,
        &["its name has no address"],
    );
    expect(&on(&["enable", "x_disabled/http-svc2"]), 0, &[]);
    // Who tracks goes with the tracked: x_track has nobody else once http-svc2 is out.
    expect(&on(&["disable", "http/http-svc1"]), 0, &[]);
    expect(
        &on(&["enable", "x_track/http-svc1"]),
        1,
        &["it follows http/http-svc1"],
    );
    let refused = on(&["disable", "http/http-svc2"]);
    expect(
        &refused,
        4,
        &["backend http (http-svc2)", "backend x_track (http-svc2)"],
    );
    // Static balancing takes no weight but all or nothing.
    let refused = on(&["weight", "x_static/http-svc1", "50%"]);
    expect(&refused, 1, &["static LB algorithm"]);
    // Slow start counts as in service.
    expect(&on(&["disable", "x_soft/soft-svc1"]), 0, &[]);
    expect(&on(&["enable", "x_soft/soft-svc1"]), 0, &[]);
    expect(&on(&["status", "x_soft/soft-svc1"]), 2, &[]);
}

/// The system's name of this user, which the audit log has, whatever `$USER` says.
fn who() -> String {
    let said = std::process::Command::new("id")
        .arg("-un")
        .output()
        .expect("id");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}
