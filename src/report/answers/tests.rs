//! How answers look, and that every report shows them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::answer::ChangeVerdict;
use crate::event::{Outcome, Summary};
use crate::haproxy::change::Wanted;
use crate::haproxy::name::ServerName;
use crate::haproxy::state::{AdminState, AdminWord};
use crate::haproxy::{answer, stat};
use crate::plan::NodeName;
use crate::report::Look;
use crate::report::{self, tests::look};

fn said(instance: Option<&str>, text: &'static str) -> Said {
    Said {
        instance: instance.map(Into::into),
        text: text.into(),
    }
}

fn server(operational: u32, admin: u32, weight: u32) -> Server {
    Server {
        name: ServerName::parse("b/s").unwrap(),
        operational: operational.into(),
        admin: AdminState(admin),
        weight,
        initial_weight: 10,
        backend_id: None,
        id: None,
        check: Default::default(),
        agent: Default::default(),
        check_passed: None,
        is_published: true,
        address: None,
    }
}

#[test]
fn servers_as_the_procedure_prints_them() {
    let servers = answer::servers(include_bytes!(
        "../../../tests/recorded/haproxy/servers-state.txt"
    ))
    .unwrap();
    let counters = stat::rows(include_bytes!("../../../tests/recorded/haproxy/stat.txt")).unwrap();
    let row = |name: &str, instance: Option<&str>, with_counters| {
        let at = servers.iter().position(|s| s.name.as_str() == name);
        ServerRow {
            instance: instance.map(Into::into),
            server: servers[at.unwrap()].clone(),
            counters: Some(counters[at.unwrap()].clone()).filter(|_| with_counters),
        }
    };
    let shown = |rows, form| {
        let asked = Vec::new();
        text(&Answer::Servers(Servers { rows, asked, form }))
    };
    let short = [
        row("i0_puppet_masters/puppet-i0-svc1", None, false),
        row("ldap/ldap-svc1", Some("ldap"), true),
    ];
    assert_eq!(
        shown(short.into(), Form::Plain),
        "# Format\n\
         # backend_name/frontend_name: operational_state/administrative_state\n\
         \n\
         i0_puppet_masters/puppet-i0-svc1: STOPPED/MAINT\n\
         ldap: ldap/ldap-svc1: RUNNING/READY\n"
    );
    let long = ["ldap/ldap-svc2", "x_track/http-svc2"].map(|name| row(name, None, true));
    assert_eq!(
        shown(long.into(), Form::Long),
        "# Format\n\
         # backend_name/frontend_name: operational_state/administrative_state\n\
         \n\
         ldap/ldap-svc2: RUNNING/READY (weight 0) weight=0/1 sessions=0 queue=0 status=\"UP\" check=L4OK\n\
         x_track/http-svc2: STOPPED/MAINT (inherited) weight=1 sessions=0 queue=0 \
         status=\"MAINT (via http/http-svc2)\" track=http/http-svc2\n"
    );
}

#[test]
fn a_change_shows_what_was_and_what_is() {
    use ChangeVerdict::{Done, Failed, Planned, Restored, Unchanged, Unverified};
    let line = |wanted, before: &Server, after: Option<&Server>, verdict| {
        text(&Answer::Changes(vec![ChangeRow {
            instance: (verdict == Unchanged).then(|| "ldap".into()),
            wanted,
            before: before.clone(),
            after: after.cloned(),
            verdict,
            message: None,
            at: None,
        }]))
    };
    let (maint, weight) = (
        Wanted::State(AdminWord::Maint),
        Wanted::Weight("0".parse().unwrap()),
    );
    let (before, after, light) = (server(2, 8, 10), server(0, 1, 10), server(2, 0, 0));
    for (wanted, after, verdict, expected) in [
        (
            maint,
            Some(&after),
            Done,
            "b/s: RUNNING/DRAIN -> STOPPED/MAINT\n",
        ),
        (
            maint,
            Some(&after),
            Unchanged,
            "ldap: b/s: STOPPED/MAINT, unchanged\n",
        ),
        (
            maint,
            Some(&before),
            Planned,
            "b/s: RUNNING/DRAIN, would become MAINT\n",
        ),
        (
            maint,
            Some(&before),
            Failed,
            "b/s: RUNNING/DRAIN, not changed\n",
        ),
        (
            maint,
            Some(&before),
            Restored,
            "b/s: RUNNING/DRAIN, taken back\n",
        ),
        (
            maint,
            Some(&after),
            Unverified,
            "b/s: RUNNING/DRAIN -> STOPPED/MAINT, not known at the end\n",
        ),
        (weight, Some(&light), Done, "b/s: weight 10 -> weight 0\n"),
        (
            weight,
            Some(&before),
            Planned,
            "b/s: weight 10, would become weight 0\n",
        ),
        (
            weight,
            None,
            Unverified,
            "b/s: weight 10 -> not read back\n",
        ),
    ] {
        assert_eq!(line(wanted, &before, after, verdict), expected);
    }
}

#[test]
fn words_of_several_instances_are_marked() {
    let one = Answer::Info(vec![said(None, "Name: x\nPid: 1\n")]);
    assert_eq!(text(&one), "Name: x\nPid: 1\n");
    let two = Answer::Raw(vec![said(Some("a"), "1\n"), said(Some("b"), "2\n3\n")]);
    assert_eq!(text(&two), "a: 1\nb: 2\nb: 3\n");
    assert_eq!(
        output(NodeId(0), &Answer::Raw(vec![said(Some("a"), "")])),
        None
    );
}

/// `lb1` and `lb2` have their one server up, on `lb3` it is in maintenance.
fn shown(look: &Look) -> String {
    let names: Arc<[NodeName]> = ["lb1", "lb2", "lb3"].map(NodeName::from).into();
    let mut out = Vec::new();
    let scratch = report::Scratch::new(std::env::temp_dir(), u64::MAX);
    let mut reporter = report::new(look, names, &mut out, std::io::sink(), &scratch);
    let mut summary = Summary::default();
    for node in [1, 0, 2].map(NodeId) {
        reporter.event(&Event::Started { node }).unwrap();
        let (operational, admin) = if node.0 == 2 { (0, 1) } else { (2, 0) };
        let rows = vec![ServerRow {
            instance: None,
            server: Server {
                id: Some(1),
                address: Some("10.0.0.1:80".into()),
                ..server(operational, admin, 10)
            },
            counters: None,
        }];
        let answer = Arc::new(Answer::Servers(Servers {
            rows,
            asked: vec![None],
            form: Form::Plain,
        }));
        reporter.event(&Event::Answer { node, answer }).unwrap();
        let outcome = Outcome::OK;
        summary.outcomes.push((node, outcome.clone()));
        let took = Duration::ZERO;
        let finished = Event::Finished {
            node,
            outcome,
            took,
        };
        reporter.event(&finished).unwrap();
    }
    reporter.finish(&summary).unwrap();
    drop(reporter);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_report_of_text_shows_an_answer_as_its_text() {
    let gathered = shown(&look("text"));
    let last: Vec<&str> = gathered.lines().filter(|line| line.contains('/')).collect();
    assert_eq!(last[1], "lb[1-2]: b/s: RUNNING/READY");
    assert_eq!(last[3], "lb3: b/s: STOPPED/MAINT");
    assert!(gathered.contains("lb[1-2]: # Format\n"));
    let lines = shown(&look("lines"));
    let of_lb2 = "lb2: # Format\n\
                  lb2: # backend_name/frontend_name: operational_state/administrative_state\n\
                  lb2:\nlb2: b/s: RUNNING/READY\n";
    assert!(lines.starts_with(of_lb2), "{lines}");
    assert!(shown(&look("blocks")).contains("\nlb[1-2] (2)\n"));
}

#[test]
fn json_has_rows_instead_of_text() {
    let document: Value = serde_json::from_str(&shown(&look("json"))).unwrap();
    let servers = document["servers"].as_array().unwrap();
    let nodes: Vec<&str> = servers
        .iter()
        .filter_map(|row| row["node"].as_str())
        .collect();
    assert_eq!(nodes, ["lb1", "lb2", "lb3"]);
    let expected = json!({
        "node": "lb3", "instance": null, "backend": "b", "server": "s", "id": 1, "operational": "STOPPED",
        "administrative": "MAINT", "usable": false, "reason": "forced", "weight": 10, "initial_weight": 10, "address": "10.0.0.1:80",
        "sessions": null, "queue": null, "status": null, "check": null, "tracks": null,
    });
    assert_eq!(servers[2], expected);
    // Equality is that of the rows.
    let groups = document["groups"].as_array().unwrap();
    let nodes: Vec<&str> = groups
        .iter()
        .filter_map(|group| group["nodes"].as_str())
        .collect();
    assert_eq!(nodes, ["lb[1-2]", "lb3"]);
    assert_eq!(groups[0]["stdout"], "");
}

#[test]
fn each_row_is_an_event_as_it_comes() {
    let text = shown(&look("jsonl"));
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = events
        .iter()
        .take(4)
        .filter_map(|event| event["event"].as_str())
        .collect();
    assert_eq!(kinds, ["started", "server", "finished", "started"]);
    assert_eq!(events[1]["node"], "lb2");
    assert_eq!(events[1]["operational"], "RUNNING");
}
