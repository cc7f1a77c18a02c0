//! The messages, the lines they come in, and that merging never changes what a node said.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::Data;
use super::merge::{BUDGET, Merger, Place};
use super::replay::Replay;
use super::*;
use crate::event::{ErrorCode, NodeId, Outcome, Stop, Stream};
use crate::plan::NodeName;

fn names(count: u32) -> Vec<NodeName> {
    (0..count).map(|n| format!("n{n}").into()).collect()
}

/// What the nodes said according to messages that went over the wire.
#[derive(Default)]
struct Heard {
    replay: Replay,
    places: BTreeMap<(String, bool), Place>,
    said: BTreeMap<(String, bool), Vec<u8>>,
    ended: BTreeMap<String, Outcome>,
    bytes: usize,
}

impl Heard {
    fn take(&mut self, tells: Vec<Tell>) {
        for tell in tells {
            let line = serde_json::to_string(&tell).unwrap();
            assert!(line.len() < LONGEST_TELL);
            self.bytes += line.len() + 1;
            let read: Tell = serde_json::from_str(&line).unwrap();
            assert_eq!(read, tell);
            match read {
                Tell::Stretch(stretch) => self.replay.add(stretch).unwrap(),
                Tell::Forget { below } => self.replay.forget(below).unwrap(),
                Tell::Output { nodes, stream, at } => {
                    for name in super::nodes(&nodes, 100).unwrap().iter() {
                        assert!(!self.ended.contains_key(&name), "speaks after its end");
                        let key = (name, stream == Stream::Err);
                        let place = self.places.entry(key.clone()).or_default();
                        let parts = self.replay.between(*place, at).unwrap();
                        *place = at;
                        let said = self.said.entry(key).or_default();
                        parts.iter().for_each(|part| said.extend_from_slice(part));
                    }
                }
                Tell::Finished { nodes, outcome } => {
                    for name in super::nodes(&nodes, 100).unwrap().iter() {
                        assert!(self.ended.insert(name, outcome.clone()).is_none());
                    }
                }
                Tell::Ready { .. }
                | Tell::Failed { .. }
                | Tell::Rerouting { .. }
                | Tell::Alive
                | Tell::End => {
                    panic!("{line}")
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn merging_never_changes_what_a_node_said(
        steps in prop::collection::vec((0u32..5, any::<bool>(), 0usize..3, 0usize..9, any::<bool>()), 0..80),
        budget in prop_oneof![Just(1usize), Just(200), Just(BUDGET)],
    ) {
        let names = names(5);
        let mut merger = Merger::new(budget);
        let mut heard = Heard::default();
        let mut said: BTreeMap<(String, bool), Vec<u8>> = BTreeMap::new();
        for (node, is_err, which, length, flush) in steps {
            // Few different bytes, so that nodes meet, part and meet again; some are no text.
            let text = [b"aaaaaaaaa", b"ab\nab\nab\n", b"\xff\xc3\xa9aaaaaa"][which];
            let bytes = &text[..length];
            let stream = if is_err { Stream::Err } else { Stream::Out };
            merger.push(NodeId(node), stream, bytes);
            if length > 0 {
                said.entry((names[node as usize].to_string(), is_err)).or_default().extend_from_slice(bytes);
            }
            if flush {
                heard.take(merger.flush(&names));
            }
        }
        (0..5).for_each(|node| merger.finish(NodeId(node), Outcome::OK));
        heard.take(merger.flush(&names));
        prop_assert_eq!(heard.said, said);
        prop_assert_eq!(heard.ended.len(), 5);
    }

    #[test]
    fn no_line_makes_it_panic(line in "[{}\"a-z:,0-9\\[\\]_]{0,60}") {
        let _ = serde_json::from_str::<Tell>(&line);
        let _ = serde_json::from_str::<Ask>(&line);
        let _ = nodes(&line, 10);
    }

    #[test]
    fn no_stretch_makes_it_panic(
        steps in prop::collection::vec((0u32..6, prop::option::of((0u32..6, 0u32..6)), 0usize..5, (0u32..6, 0u32..9)), 0..20)
    ) {
        let mut replay = Replay::default();
        for (id, after, length, place) in steps {
            let data = Data(vec![b'x'; length].into());
            let _ = replay.add(Stretch { id, after, data });
            let _ = replay.between(place, (id, 3));
            if length == 0 {
                let _ = replay.forget(id);
            }
        }
    }
}

#[test]
fn what_many_say_is_sent_once() {
    let names = names(64);
    let text: Vec<u8> = (0..40_000u32)
        .flat_map(|n| format!("line {n}\n").into_bytes())
        .collect();
    let send = |nodes: u32, chunk: usize| {
        let (mut merger, mut heard) = (Merger::new(BUDGET), Heard::default());
        // Each is a bit further behind than the one before, and tells come in between.
        for part in 0..text.len().div_ceil(chunk) + nodes as usize {
            for node in 0..nodes {
                let start = part.checked_sub(node as usize).map(|part| part * chunk);
                if let Some(start) = start.filter(|start| *start < text.len()) {
                    let end = (start + chunk).min(text.len());
                    merger.push(NodeId(node), Stream::Out, &text[start..end]);
                }
            }
            if merger.is_pressing() {
                heard.take(merger.flush(&names));
            }
        }
        (0..nodes).for_each(|node| merger.finish(NodeId(node), Outcome::OK));
        heard.take(merger.flush(&names));
        assert!(heard.said.values().all(|said| *said == text));
        assert_eq!(heard.said.len(), nodes as usize);
        heard.bytes
    };
    let (one, many) = (send(1, 30_000), send(64, 30_000));
    assert!(
        many < one + one / 10,
        "{one} bytes for one node, {many} for 64"
    );
}

#[test]
fn memory_does_not_grow_with_what_is_printed() {
    let names = names(2);
    let (mut merger, mut heard) = (Merger::new(BUDGET), Heard::default());
    let mut noise = fastrand::Rng::with_seed(1);
    for _ in 0..400 {
        let bytes: Vec<u8> = (0..60_000).map(|_| noise.alphanumeric() as u8).collect();
        merger.push(NodeId(0), Stream::Out, &bytes);
        heard.take(merger.flush(&names));
        heard.said.clear();
        assert!(merger.held() <= BUDGET + 60_000 && heard.replay.held() <= merger.held());
    }
}

#[test]
fn small_pieces_are_put_together() {
    let mut replay = Replay::default();
    for n in 0..100_000u32 {
        let data = Data(vec![n as u8].into());
        let after = (n == 0).then_some((0, 0));
        replay.add(Stretch { id: 1, after, data }).unwrap();
    }
    let parts = replay.between((0, 0), (1, 100_000)).unwrap();
    assert!(parts.len() < 30, "{} pieces", parts.len());
    assert!((0..100_000u32).map(|n| n as u8).eq(parts.concat()));
    let empty = Stretch {
        id: 1,
        after: None,
        data: Data(Vec::new().into()),
    };
    assert!(replay.add(empty).is_err());
}

#[test]
fn messages_are_readable_and_strict() {
    let tell = Tell::Finished {
        nodes: "t[1-2]".into(),
        outcome: Outcome::failed(ErrorCode::Refused, "connection refused"),
    };
    let line = serde_json::to_string(&tell).unwrap();
    assert_eq!(
        line,
        r#"{"event":"finished","nodes":"t[1-2]","outcome":{"failed":{"code":"E_REFUSED","message":"connection refused"}}}"#
    );
    let ask = Ask::Input {
        input: 0,
        data: Data(b"\xff"[..].into()),
    };
    let line = serde_json::to_string(&ask).unwrap();
    assert_eq!(line, r#"{"ask":"input","input":0,"data_b64":"/w=="}"#);
    assert_eq!(serde_json::from_str::<Ask>(&line).unwrap(), ask);
    let ask = Ask::Stop {
        level: Stop::Terminate,
    };
    assert_eq!(
        serde_json::to_string(&ask).unwrap(),
        r#"{"ask":"stop","level":"terminate"}"#
    );
    for bad in [
        r#"{"event":"finished","nodes":"t1","outcome":{"failed":{"code":"E_NEW","message":""}}}"#,
        r#"{"event":"output","nodes":"t1","stream":"stdlog","at":[0,0]}"#,
        r#"{"event":"stretch","id":1,"data_b64":"!"}"#,
        r#"{"event":"what"}"#,
        "[]",
    ] {
        assert!(serde_json::from_str::<Tell>(bad).is_err(), "{bad}");
    }
    assert!(nodes("x[1-1000000000]", 10).is_err());
    assert!(nodes("x[1-", 10).is_err());
}

#[test]
fn lines_are_whole_and_not_too_long() {
    let mut lines = Lines::new(5);
    lines.push(b"ab\ncd");
    assert_eq!(lines.take(), Ok(Some(&b"ab"[..])));
    assert_eq!(lines.take(), Ok(None));
    lines.push(b"e\n\nx");
    assert_eq!(lines.take(), Ok(Some(&b"cde"[..])));
    assert_eq!(lines.take(), Ok(Some(&b""[..])));
    assert_eq!(lines.take(), Ok(None));
    lines.push(b"xxxxxx");
    assert!(lines.take().is_err());
}
