//! What `status` shows and judges, on load balancers that are not all alike.

use crate::embedded_lab::LabProcess;
use crate::lab::{Hash, Ran, Terminal};

/// Three load balancers; on the second `puppet-i0-svc1` is in maintenance in all backends, on all `ldap-svc2` has weight 0, on
/// the third another server has another weight.
fn fleet() -> LabProcess {
    let lab = LabProcess::start(&["-w", "lb[1-3]"]);
    for (nodes, words) in [
        ("lb2", &["disable", "puppet-i0-svc1"][..]),
        ("lb[1-3]", &["weight", "ldap/ldap-svc2", "0"]),
        (
            "lb3",
            &["weight", "i20_puppet_masters/puppet-i20-svc1", "7"],
        ),
    ] {
        let ran = on(&lab, nodes, words);
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    lab
}

fn on(lab: &LabProcess, nodes: &str, words: &[&str]) -> Ran {
    Hash::new([&["-F", lab.ssh_config(), "-w", nodes], words].concat()).run()
}

#[test]
fn a_server_of_weight_0_is_not_usable_for_anyone() {
    let lab = LabProcess::start(&["-w", "lb[1-2]"]);
    let ask = |words: &[&str]| on(&lab, "lb[1-2]", words);
    assert_eq!(ask(&["status", "--bad"]).code, Some(0));
    assert_eq!(ask(&["weight", "ldap/ldap-svc2", "0"]).code, Some(0));
    let rows = "lb[1-2]: # Format\n\
                lb[1-2]: # backend_name/frontend_name: operational_state/administrative_state\n\
                lb[1-2]:\n\
                lb[1-2]: ldap/ldap-svc2: RUNNING/READY (weight 0)\n";
    for words in [&["status", "--bad"][..], &["status", "ldap-svc2"]] {
        let ran = ask(words);
        assert_eq!((ran.code, &*ran.stdout), (Some(2), rows), "{ran}");
    }
    let ran = ask(&["--json", "status", "ldap/*"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let judged: Vec<_> = document["servers"].as_array().unwrap()[..2]
        .iter()
        .map(|row| (row["usable"].as_bool(), row["reason"].as_str()))
        .collect();
    assert_eq!(
        judged,
        [(Some(true), None), (Some(false), Some("weight 0"))]
    );
    // The guard counts as `status` does.
    let ran = ask(&["disable", "ldap/ldap-svc1"]);
    assert_eq!(ran.code, Some(4), "{ran}");
    assert!(
        ran.stderr
            .contains("no usable server would be left in backend ldap (ldap-svc1)"),
        "{ran}"
    );
}

#[test]
fn many_servers_take_few_lines() {
    let lab = fleet();
    let ask = |words: &[&str]| on(&lab, "lb2", words);
    let ran = ask(&["-N", "status", "--fold", "all_puppet_masters/*", "ldap/*"]);
    let expected = "# Format\n# backend_name/frontend_name: operational_state/administrative_state\n\n\
         all_puppet_masters/puppet-i0-svc1: STOPPED/MAINT\n\
         all_puppet_masters/puppet-i[10,20,24,28]-svc1,puppet-i0-svc2: RUNNING/READY\n\
         ldap/ldap-svc1: RUNNING/READY\n\
         ldap/ldap-svc2: RUNNING/READY (weight 0)\n";
    assert_eq!((ran.code, &*ran.stdout), (Some(2), expected), "{ran}");
    let ran = ask(&["-N", "status", "--summary"]);
    let expected = "all_puppet_masters: 5/6 usable, 1 in maintenance, 0 down\n\
         i0_puppet_masters: 1/2 usable, 1 in maintenance, 0 down\n";
    assert!(ran.stdout.starts_with(expected), "{ran}");
    assert!(
        ran.stdout
            .contains("\nldap: 1/2 usable, 0 in maintenance, 0 down, 1 of weight 0\n"),
        "{ran}"
    );
    assert!(
        ran.stdout
            .ends_with("\nhttp: 2/2 usable, 0 in maintenance, 0 down\n"),
        "{ran}"
    );
    // What is one line for people is rows for programs.
    for form in ["--fold", "--summary"] {
        let ran = ask(&["--json", "status", form]);
        let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(
            document["servers"].as_array().map(Vec::len),
            Some(20),
            "{ran}"
        );
    }
}

#[test]
fn rows_are_chosen_by_state_and_sorted() {
    let lab = fleet();
    let ask = |words: &[&str]| {
        let ran = on(&lab, "lb2", &[&["-N", "status"], words].concat());
        assert_eq!(
            ran.code,
            Some(2),
            "the code looks at all that are selected: {ran}"
        );
        ran.stdout
            .lines()
            .skip(3)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let puppet = ask(&["--state", "MAINT", "all_puppet_masters/*", "ldap/*"]);
    assert_eq!(puppet, ["all_puppet_masters/puppet-i0-svc1: STOPPED/MAINT"]);
    assert_eq!(
        ask(&["--state=unusable", "--sort=weight", "ldap/*"]),
        ["ldap/ldap-svc2: RUNNING/READY (weight 0)"]
    );
    assert!(ask(&["--state=drain,down"]).is_empty());
    let sorted = ask(&["--sort"]);
    assert_eq!(
        sorted[0],
        "all_puppet_masters/puppet-i0-svc1: STOPPED/MAINT"
    );
    assert_eq!(sorted[6], "http/http-svc1: RUNNING/READY");
    assert_eq!(sorted[8], "i0_puppet_masters/puppet-i0-svc1: STOPPED/MAINT");
    assert_eq!(
        sorted[10],
        "i10_puppet_masters/puppet-i0-svc1: STOPPED/MAINT"
    );
    let by_state = ask(&["--sort=state"]);
    let states: Vec<&str> = by_state
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(_, state)| state)
        .collect();
    let maint = states
        .iter()
        .take_while(|state| **state == "STOPPED/MAINT")
        .count();
    assert!(
        maint > 1 && states[maint] == "RUNNING/READY (weight 0)",
        "{states:?}"
    );
    assert!(
        states[maint + 1..]
            .iter()
            .all(|state| *state == "RUNNING/READY"),
        "{states:?}"
    );
    let ran = on(&lab, "lb2", &["status", "--state", "gone"]);
    assert_eq!(ran.code, Some(64), "{ran}");
    assert!(ran.stderr.contains("`gone` is no state"), "{ran}");
}

#[test]
fn where_load_balancers_differ_each_side_is_shown() {
    let lab = fleet();
    let ask = |words: &[&str]| on(&lab, "lb[1-3]", words);
    let ran = ask(&[
        "status",
        "--disagree",
        "all_puppet_masters/*",
        "i20_puppet_masters/*",
        "ldap/*",
    ]);
    let expected = "lb[1,3]: all_puppet_masters/puppet-i0-svc1: RUNNING/READY\n\
         lb2: all_puppet_masters/puppet-i0-svc1: STOPPED/MAINT\n\
         lb[1-2]: i20_puppet_masters/puppet-i20-svc1: RUNNING/READY weight=1\n\
         lb3: i20_puppet_masters/puppet-i20-svc1: RUNNING/READY weight=7\n\
         lb[1,3]: i20_puppet_masters/puppet-i0-svc1: RUNNING/READY\n\
         lb2: i20_puppet_masters/puppet-i0-svc1: STOPPED/MAINT\n";
    assert_eq!((ran.code, &*ran.stdout), (Some(2), expected), "{ran}");
    // All are in service and one weight differs: they are not the same all the same.
    let ran = ask(&["status", "--disagree", "i20_puppet_masters/puppet-i20-svc1"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    let ran = ask(&["status", "--disagree", "http/http-svc2"]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran}");
    // A node that could not be asked is no side, and is told.
    let lonely = on(
        &lab,
        "lb1,nobody.invalid",
        &["status", "--disagree", "http/http-svc2"],
    );
    assert_eq!((lonely.code, &*lonely.stdout), (Some(3), ""), "{lonely}");
    assert!(lonely.stderr.contains("nobody.invalid"), "{lonely}");
    let ran = ask(&[
        "--json",
        "status",
        "--disagree",
        "i20_puppet_masters/*",
        "http/http-svc2",
    ]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let rows: Vec<String> = document["servers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {} {}", row["node"], row["server"], row["weight"]))
        .collect();
    assert_eq!(rows.len(), 6, "{rows:?}");
    assert_eq!(rows[0], r#""lb1" "puppet-i20-svc1" 1"#);
    assert_eq!(document["groups"].as_array().map(Vec::len), Some(3));
    let ran = ask(&[
        "-L",
        "status",
        "--disagree",
        "i20_puppet_masters/puppet-i20-svc1",
    ]);
    let mut lines: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| line.contains("RUNNING"))
        .collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 3, "{ran}");
    assert_eq!(
        lines[2],
        "lb3: i20_puppet_masters/puppet-i20-svc1: RUNNING/READY"
    );
    for (words, message) in [
        (&["status", "--disagree", "--bad"][..], "--bad"),
        (
            &["--diff", "status", "--disagree"],
            "--disagree compares servers",
        ),
        (&["status", "--fold", "--summary"], "--summary"),
    ] {
        let ran = ask(words);
        assert_eq!(ran.code, Some(64), "{ran}");
        assert!(ran.stderr.contains(message), "{ran}");
    }
}

#[test]
fn states_are_coloured_on_a_terminal_and_nowhere_else() {
    let words = [
        "--lab",
        "-w",
        "lb[1-2]",
        "--fault",
        "disagree=lb2",
        "status",
        "ldap/*",
        "i0_*/*",
    ];
    let ran = Hash::new(words).run();
    assert!(!ran.stdout.contains('\x1b'), "{ran}");
    let always = Hash::new([&["--color", "always"], &words[..]].concat()).run();
    assert!(
        always.stdout.contains(": \x1b[32mRUNNING/READY\x1b[0m\n"),
        "{always}"
    );
    assert!(
        always.stdout.contains(": \x1b[33mSTOPPED/MAINT\x1b[0m\n"),
        "{always}"
    );
    let mut terminal = Terminal::hash(Hash::new(words), "xterm");
    terminal.end();
    let shown = String::from_utf8(terminal.bytes()).unwrap();
    assert!(
        shown.contains("ldap/ldap-svc1: \x1b[32mRUNNING/READY\x1b[0m"),
        "{shown:?}"
    );
    let mut terminal = Terminal::hash(Hash::new(words).env("NO_COLOR", "1"), "xterm");
    terminal.end();
    let shown = String::from_utf8(terminal.bytes()).unwrap();
    assert!(!shown.contains("\x1b[32m"), "{shown:?}");
}
