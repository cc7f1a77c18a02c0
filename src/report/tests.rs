//! What each form writes, byte for byte.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{Look, by_name, json, new};
use crate::event::{ErrorCode, Event, Failure, NodeId, Outcome, Stop, Stream, Summary};
use crate::gather::Gather;
use crate::plan::NodeName;

pub(super) fn look(format: &str) -> Look {
    Look::plain("hash", by_name(format).unwrap())
}

/// What a run of four nodes says: two alike, one with other bytes and a complaint, one unreachable.
fn events() -> (Vec<Event>, Summary) {
    let output = |node, stream, data: &'static [u8]| Event::Output {
        node: NodeId(node),
        stream,
        data: Bytes::from_static(data),
    };
    let finished = |node, outcome: &Outcome| Event::Finished {
        node: NodeId(node),
        outcome: outcome.clone(),
        took: Duration::from_millis(1250),
    };
    let outcomes = [
        Outcome::OK,
        Outcome::OK,
        Outcome::Exited { status: 3 },
        Outcome::Failed(
            Failure::new(ErrorCode::Refused, "connection refused").detail("10.0.0.4:22"),
        ),
    ];
    let events = vec![
        Event::Started { node: NodeId(0) },
        output(0, Stream::Out, b"one\n\nth"),
        output(1, Stream::Out, b"one\n"),
        output(2, Stream::Out, b"one\n\nthree"),
        output(2, Stream::Err, b"oh\n"),
        output(1, Stream::Out, b"\nthree\n"),
        finished(1, &outcomes[1]),
        output(0, Stream::Out, b"ree\n"),
        finished(0, &outcomes[0]),
        finished(2, &outcomes[2]),
        finished(3, &outcomes[3]),
    ];
    let order = [1, 0, 2, 3];
    let summary = Summary {
        outcomes: order
            .iter()
            .map(|n| (NodeId(*n), outcomes[*n as usize].clone()))
            .collect(),
        stop: Stop::No,
        ending: None,
    };
    (events, summary)
}

fn names() -> Arc<[NodeName]> {
    ["lb1", "lb2", "lb3", "lb4"].map(NodeName::from).into()
}

fn shown(look: &Look) -> (String, String) {
    let (events, summary) = events();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut reporter = new(
        look,
        names(),
        &mut out,
        &mut err,
        &super::Scratch::new(std::env::temp_dir(), u64::MAX),
    );
    for event in &events {
        reporter.event(event).unwrap();
    }
    reporter.finish(&summary).unwrap();
    drop(reporter);
    (
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

#[test]
fn gathered_labels_each_line_with_all_who_said_it() {
    let (out, err) = shown(&look("text"));
    assert_eq!(
        out,
        "lb[1-2]: one\nlb[1-2]:\nlb[1-2]: three\nlb3: one\nlb3:\nlb3: three\n"
    );
    assert_eq!(
        err,
        "lb3: oh\nhash: lb3: exited with 3\nhash: lb4: connection refused\n"
    );
}

#[test]
fn equal_failures_are_one_line_and_what_differs_is_told_to_who_asks() {
    let names: Arc<[NodeName]> = (1..=5).map(|n| format!("n{n}").as_str().into()).collect();
    let outcome = |n: u32| match n {
        3 => Outcome::failed(ErrorCode::Resolve, "cannot resolve"),
        4 => Outcome::OK,
        _ => Outcome::Failed(
            Failure::new(ErrorCode::Refused, "connection refused").detail(format!("10.0.0.{n}:22")),
        ),
    };
    let summary = Summary {
        outcomes: (0..5).map(|n| (NodeId(n), outcome(n))).collect(),
        ..Summary::default()
    };
    let said = |details| {
        let mut err = Vec::new();
        let look = Look {
            details,
            ..look("text")
        };
        let scratch = super::Scratch::new(std::env::temp_dir(), u64::MAX);
        let mut reporter = new(&look, names.clone(), std::io::sink(), &mut err, &scratch);
        reporter.finish(&summary).unwrap();
        drop(reporter);
        String::from_utf8(err).unwrap()
    };
    assert_eq!(
        said(false),
        "hash: n4: cannot resolve\nhash: n[1-3]: connection refused\n"
    );
    assert_eq!(
        said(true),
        "hash: n4: cannot resolve\nhash: n1: connection refused (10.0.0.0:22)\n\
         hash: n2: connection refused (10.0.0.1:22)\nhash: n3: connection refused (10.0.0.2:22)\n"
    );
}

#[test]
fn gathered_without_labels_or_with_complaints_among_the_rest() {
    let (out, _) = shown(&Look {
        labels: false,
        ..look("text")
    });
    assert_eq!(out, "one\n\nthree\none\n\nthree\n");
    let (out, err) = shown(&Look {
        merge_err: true,
        notes: false,
        ..look("text")
    });
    assert_eq!(
        out,
        "lb[1-2]: one\nlb[1-2]:\nlb[1-2]: three\nlb3: one\nlb3:\nlb3: oh\nlb3: three\n"
    );
    assert_eq!(err, "hash: lb4: connection refused\n");
}

#[test]
fn blocks_have_clustershells_headers() {
    let rule = "---------------";
    let (out, _) = shown(&look("blocks"));
    assert_eq!(
        out,
        format!("{rule}\nlb[1-2] (2)\n{rule}\none\n\nthree\n{rule}\nlb3\n{rule}\none\n\nthree\n")
    );
}

#[test]
fn lines_come_as_they_are_said() {
    let (out, err) = shown(&look("lines"));
    assert_eq!(
        out,
        "lb1: one\nlb1:\nlb2: one\nlb3: one\nlb3:\nlb2:\nlb2: three\nlb1: three\nlb3: three\n"
    );
    assert_eq!(
        err,
        "lb3: oh\nhash: lb3: exited with 3\nhash: lb4: connection refused\n"
    );
}

#[test]
fn labels_are_coloured_and_control_characters_escaped_on_a_terminal() {
    let mut out = Vec::new();
    let look = Look {
        color_out: true,
        escape_out: true,
        ..look("text")
    };
    let mut reporter = new(
        &look,
        names(),
        &mut out,
        Vec::new(),
        &super::Scratch::new(std::env::temp_dir(), u64::MAX),
    );
    let data = Bytes::from_static(b"\x1b[2Jx\n");
    reporter
        .event(&Event::Output {
            node: NodeId(0),
            stream: Stream::Out,
            data,
        })
        .unwrap();
    reporter
        .event(&Event::Finished {
            node: NodeId(0),
            outcome: Outcome::OK,
            took: Duration::ZERO,
        })
        .unwrap();
    reporter.finish(&Summary::default()).unwrap();
    drop(reporter);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "\u{1b}[34mlb1\u{1b}[0m: \\x1b[2Jx\n"
    );
}

#[test]
fn the_document_has_results_groups_and_a_summary() {
    let (out, _) = shown(&look("json"));
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["schema"], "hash/1");
    assert_eq!(document["results"][3]["code"], "E_REFUSED");
    assert_eq!(document["results"][0]["seconds"], 1.25);
    assert_eq!(document["groups"][0]["nodes"], "lb[1-2]");
    assert_eq!(document["groups"][0]["count"], 2);
    assert_eq!(document["groups"][0]["stdout"], "one\n\nthree\n");
    assert_eq!(document["groups"][1]["stderr"], "oh\n");
    assert_eq!(document["groups"][1]["stdout"], "one\n\nthree");
    assert_eq!(document["summary"]["errors"]["E_REFUSED"], 1);
    assert_eq!(document["summary"]["ok"], 2);
    assert!(out.ends_with("}\n") && out.starts_with("{\"schema\":\"hash/1\","));
}

#[test]
fn each_event_is_one_line_with_a_version_and_a_time() {
    let mut out = Vec::new();
    let (events, summary) = events();
    let mut reporter = json::Json {
        out: &mut out,
        names: names(),
        kind: json::Kind::Events,
        now: || SystemTime::UNIX_EPOCH,
        said: Gather::default(),
        complained: Gather::default(),
        took: Default::default(),
        partial: Default::default(),
        rows: Default::default(),
        tables: Default::default(),
    };
    use super::Reporter;
    for event in &events {
        reporter.event(event).unwrap();
    }
    let data = Bytes::from_static(b"\xff\n");
    reporter
        .event(&Event::Output {
            node: NodeId(0),
            stream: Stream::Out,
            data,
        })
        .unwrap();
    reporter.finish(&summary).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        r#"{"v":1,"time":"1970-01-01T00:00:00.000Z","event":"started","node":"lb1"}"#
    );
    assert_eq!(
        lines[1],
        r#"{"v":1,"time":"1970-01-01T00:00:00.000Z","event":"line","node":"lb1","stream":"stdout","line":"one"}"#
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains(r#""line_b64":"/w==""#))
    );
    assert!(lines.iter().any(|line| {
        line.contains(r#""event":"finished","node":"lb4","status":255,"code":"E_REFUSED""#)
    }));
    assert!(
        lines[lines.len() - 1]
            .contains(r#""event":"summary","nodes":4,"ok":2,"nonzero":1,"killed":0,"failed":1"#)
    );
}

/// `tally.rs` is a form of output for tests alone: one file and one row of the table.
#[test]
fn a_form_that_is_added_to_the_table_shows_a_run() {
    let (out, _) = shown(&look("tally"));
    assert_eq!(out, "35 bytes of 4 nodes\n");
}
