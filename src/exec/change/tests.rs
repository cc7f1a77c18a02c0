//! Whole changes on load balancers of the lab, without SSH: the same answers, the same failures.

mod faults;

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::event::Event;
use crate::event::Failure;
use crate::haproxy::answer::{self, Level};
use crate::haproxy::command::Weight;
use crate::haproxy::name::ServerName;
use crate::haproxy::state::AdminWord;
use crate::lab::haproxy::{Condition, Haproxy, ORIGINS, Setup};
use crate::plan::Limits;
use crate::report::answers;
use crate::transport::{BoxFuture, Command, Duplex, Endpoint, NodeIo, Session};
use crate::work::haproxy::change::Then;

const MAINT: Wanted = Wanted::State(AdminWord::Maint);
const READY: Wanted = Wanted::State(AdminWord::Ready);
const DRAIN: Wanted = Wanted::State(AdminWord::Drain);

/// One load balancer.
struct Balancer {
    haproxy: Haproxy,
    level: Level,
    reachable: bool,
    /// After so many lines from now it is reloaded.
    reload_after: Option<usize>,
    /// It accepts this and does nothing.
    deaf_to: Option<&'static str>,
    /// Told of the first write: somebody presses Ctrl-C then.
    interrupt: Option<mpsc::Sender<Stop>>,
    heard: Vec<String>,
}

/// Two load balancers on tokio's clock.
#[derive(Clone)]
struct Pair {
    balancers: Arc<Mutex<BTreeMap<String, Balancer>>>,
    begun: Instant,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pair")
    }
}

impl Pair {
    fn new() -> Self {
        let balancer = |pid: u32| Balancer {
            haproxy: Haproxy::new(
                Setup {
                    node: "lb".to_owned(),
                    description: "a test".to_owned(),
                    pid,
                    addresses: ORIGINS
                        .iter()
                        .map(|_| ([127, 0, 0, 1], 80).into())
                        .collect(),
                    started: 0,
                },
                Duration::ZERO,
            ),
            level: Level::Admin,
            reachable: true,
            reload_after: None,
            deaf_to: None,
            interrupt: None,
            heard: Vec::new(),
        };
        let balancers = [("lb1", 100), ("lb2", 200)]
            .into_iter()
            .map(|(name, pid)| (name.to_owned(), balancer(pid)))
            .collect();
        Self {
            balancers: Arc::new(Mutex::new(balancers)),
            begun: Instant::now(),
        }
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Balancer, Duration) -> T) -> T {
        act(
            self.balancers.lock().unwrap().get_mut(name).unwrap(),
            self.begun.elapsed(),
        )
    }

    fn origin(&self, origin: &str, condition: Condition) {
        for name in ["lb1", "lb2"] {
            self.with(name, |one, now| {
                one.haproxy.set_condition(origin, condition, now)
            });
        }
    }

    /// The state of a server, as a bystander sees it.
    fn words(&self, name: &str, server: &str) -> String {
        let answer = self.with(name, |one, now| {
            one.haproxy.answer(b"show servers state", Level::User, now)
        });
        let servers = answer::servers(&answer).unwrap();
        servers
            .iter()
            .find(|known| known.name.as_str() == server)
            .unwrap()
            .words()
    }

    /// The writes a load balancer heard.
    fn writes(&self, name: &str) -> Vec<String> {
        self.with(name, |one, _| {
            let writes = one
                .heard
                .iter()
                .filter(|line| line.starts_with("set ") || line.starts_with("shutdown "));
            writes.cloned().collect()
        })
    }

    fn answer(&self, name: &str, line: &str) -> Vec<u8> {
        self.with(name, |one, now| {
            one.heard.push(line.to_owned());
            if line.starts_with("set ")
                && let Some(interrupt) = one.interrupt.take()
            {
                interrupt.try_send(Stop::Terminate).unwrap();
            }
            if one.deaf_to.is_some_and(|deaf| line.contains(deaf)) {
                return b"\n".to_vec();
            }
            let answer = one.haproxy.answer(line.as_bytes(), one.level, now);
            one.reload_after = match one.reload_after {
                Some(0) => {
                    let pid = one.haproxy.pid() + 1;
                    one.haproxy.reload(pid, now);
                    None
                }
                left => left.map(|left| left - 1),
            };
            answer
        })
    }
}

impl Transport for Pair {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        _limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        Box::pin(async move {
            if self.with(node, |one, _| one.reachable) {
                Ok(Box::new(Here {
                    pair: self.clone(),
                    name: node.to_string(),
                }) as Box<dyn Session>)
            } else {
                Err(Failure::new(ErrorCode::Refused, "connection refused"))
            }
        })
    }
}

struct Here {
    pair: Pair,
    name: String,
}

impl Session for Here {
    fn exec<'a>(
        &'a mut self,
        _command: &'a Command,
        _io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async { Outcome::failed(ErrorCode::ExecRefused, "no commands here") })
    }

    fn open<'a>(
        &'a mut self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        let known = endpoint.to_string() == "/run/haproxy/admin.sock";
        let stream = Stream {
            pair: self.pair.clone(),
            name: self.name.clone(),
            line: Vec::new(),
            answer: None,
        };
        Box::pin(async move {
            if known {
                Ok(Box::new(stream) as Box<dyn Duplex>)
            } else {
                Err(Failure::new(ErrorCode::Socket, "no such file"))
            }
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

/// A connection to the stats socket: answers the first line and closes.
struct Stream {
    pair: Pair,
    name: String,
    line: Vec<u8>,
    answer: Option<io::Cursor<Vec<u8>>>,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.answer {
            Some(answer) => {
                ready!(Pin::new(answer).poll_read(context, buffer))?;
                Poll::Ready(Ok(()))
            }
            None => Poll::Pending,
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.line.extend_from_slice(data);
        if let Some(line) = self.line.strip_suffix(b"\n") {
            let line = String::from_utf8(line.to_vec()).unwrap();
            let answer = self.pair.answer(&self.name, &line);
            self.answer = Some(io::Cursor::new(answer));
        }
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn order(wanted: Wanted, goal: Goal, selectors: &[&str]) -> Order {
    let selectors = selectors.iter();
    let selectors = selectors.map(|text| Selector::parse(text).unwrap());
    Order {
        what: What::Alike(wanted, selectors.collect()),
        goal,
        sockets: Sockets::FirstOf(vec![
            Endpoint::Unix("/run/other.sock".to_owned()),
            Endpoint::Unix("/run/haproxy/admin.sock".to_owned()),
        ]),
        masters: Masters::default(),
        force: false,
        force_hint: "say so".to_owned(),
        partial_ok: false,
        rollback: false,
        canary: wanted == MAINT,
        may_miss: false,
        dry_run: false,
    }
}

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Told {
    events: Vec<Event>,
}

impl Reporter for Told {
    fn event(&mut self, event: &Event) -> std::io::Result<()> {
        self.events.push(event.clone());
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a change came to, with what was said and written down.
struct Ran {
    done: Done,
    told: Told,
    notes: Vec<Note>,
    ledger: Kept,
}

impl Ran {
    fn outcome(&self, node: u32) -> &Outcome {
        &self
            .done
            .summary
            .outcomes
            .iter()
            .find(|(id, _)| *id == NodeId(node))
            .unwrap()
            .1
    }

    fn code(&self, node: u32) -> Option<ErrorCode> {
        match self.outcome(node) {
            Outcome::Failed(failure) => Some(failure.code),
            Outcome::Exited { .. } | Outcome::Killed { .. } => None,
        }
    }

    /// The rows of a node as they are shown.
    fn text(&self, node: u32) -> String {
        let mut text = String::new();
        for event in &self.told.events {
            let Event::Answer { node: of, answer } = event else {
                continue;
            };
            if let Some(Event::Output { data, .. }) = answers::output(*of, answer)
                && *of == NodeId(node)
            {
                text.push_str(std::str::from_utf8(&data).unwrap());
            }
        }
        text
    }

    /// The verdicts that were written down for a node.
    fn verdicts(&self, node: &str) -> Vec<&str> {
        let entries = self.ledger.entries.iter();
        let entries = entries.filter(|entry| entry.node == node && entry.kind == EntryKind::Result);
        let rows = entries.flat_map(|entry| &entry.rows);
        rows.map(|row| row.verdict.as_deref().unwrap()).collect()
    }

    fn message(&self, node: u32) -> &str {
        match self.outcome(node) {
            Outcome::Failed(failure) => &failure.message,
            Outcome::Exited { .. } | Outcome::Killed { .. } => "",
        }
    }
}

/// A ledger in memory.
#[derive(Debug, Default)]
struct Kept {
    required: bool,
    full: bool,
    entries: Vec<Entry>,
}

impl Ledger for Kept {
    fn is_required(&self) -> bool {
        self.required
    }

    fn id(&self) -> Option<&str> {
        Some("k3f9qx")
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), String> {
        if self.full {
            return Err("no space left".to_owned());
        }
        self.entries.extend_from_slice(entries);
        Ok(())
    }
}

async fn run(pair: &Pair, order: Order) -> Ran {
    let (_sender, stops) = mpsc::channel(8);
    run_with(pair, order, stops, Kept::default()).await
}

async fn run_with(
    pair: &Pair,
    order: Order,
    mut stops: mpsc::Receiver<Stop>,
    mut ledger: Kept,
) -> Ran {
    let names: Arc<[NodeName]> = ["lb1", "lb2"].map(NodeName::from).into();
    let plan = Plan::all(names, NonZeroUsize::new(64).unwrap(), Limits::default());
    let (mut notes, mut told) = (Vec::new(), Told::default());
    let resources = Resources {
        plan: &plan,
        transport: pair,
        stops: &mut stops,
        ledger: &mut ledger,
        reporter: &mut told,
        note: &mut |note| notes.push(note),
    };
    let done = change(order, resources).await;
    Ran {
        done,
        told,
        notes,
        ledger,
    }
}

fn way_back(on: &str) -> Note {
    Note::WayBack {
        nodes: nodes(on),
        id: Some("k3f9qx".to_owned()),
        verbs: Vec::new(),
    }
}

fn nodes(text: &str) -> NodeSet {
    crate::nodeset::eval(
        &crate::nodeset::parse(text).unwrap(),
        &crate::nodeset::NoGroups,
    )
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_server_is_taken_out_everywhere_and_put_back() {
    let pair = Pair::new();
    let out = run(&pair, order(MAINT, Goal::Set, &["puppet-i0-svc1"])).await;
    assert_eq!(
        (out.outcome(0), out.outcome(1)),
        (&Outcome::OK, &Outcome::OK)
    );
    assert_eq!(out.text(0), out.text(1));
    assert_eq!(
        out.text(0).lines().next(),
        Some("all_puppet_masters/puppet-i0-svc1: RUNNING/READY -> STOPPED/MAINT")
    );
    assert_eq!(out.text(0).lines().count(), 6);
    assert_eq!(
        pair.words("lb2", "i28_puppet_masters/puppet-i0-svc1"),
        "STOPPED/MAINT"
    );
    assert!(out.done.made && out.notes.is_empty(), "{:?}", out.notes);
    let kinds: Vec<(EntryKind, &str)> = out
        .ledger
        .entries
        .iter()
        .map(|entry| (entry.kind, entry.node.as_str()))
        .collect();
    let (intent, result) = (EntryKind::Intent, EntryKind::Result);
    assert_eq!(
        kinds,
        [
            (intent, "lb1"),
            (intent, "lb2"),
            (result, "lb1"),
            (result, "lb2")
        ]
    );
    assert_eq!(out.verdicts("lb2"), ["done"; 6]);
    let row = LedgerRow {
        socket: "/run/haproxy/admin.sock".to_owned(),
        server: "all_puppet_masters/puppet-i0-svc1".to_owned(),
        wanted: vec!["maint".to_owned()],
        before: "RUNNING/READY".to_owned(),
        set_before: "ready".to_owned(),
        weight_before: 1,
        ..LedgerRow::default()
    };
    assert_eq!(out.ledger.entries[0].rows[0], row);
    let row = LedgerRow {
        commands: vec!["set server all_puppet_masters/puppet-i0-svc1 state maint".to_owned()],
        after: Some("STOPPED/MAINT".to_owned()),
        set_after: Some("maint".to_owned()),
        weight_after: Some(1),
        verdict: Some("done".to_owned()),
        ..row
    };
    assert_eq!(out.ledger.entries[2].rows[0], row);
    let again = run(&pair, order(MAINT, Goal::Set, &["puppet-i0-svc1"])).await;
    assert!(
        again
            .text(0)
            .starts_with("all_puppet_masters/puppet-i0-svc1: STOPPED/MAINT, unchanged\n")
    );
    assert!(!again.done.made && pair.writes("lb1").len() == 6);
    // A reload may forget it at any time, and then it is written: the ledger knows of that beforehand.
    assert_eq!(again.verdicts("lb1"), ["unchanged"; 6]);
    let back = run(
        &pair,
        order(
            READY,
            Goal::Healthy(Duration::from_secs(30)),
            &["puppet-i0-svc1"],
        ),
    )
    .await;
    assert_eq!(
        (back.outcome(0), back.outcome(1)),
        (&Outcome::OK, &Outcome::OK)
    );
    assert!(back.text(1).ends_with("STOPPED/MAINT -> RUNNING/READY\n"));
}

#[tokio::test(start_paused = true)]
async fn the_last_usable_server_stays() {
    let pair = Pair::new();
    assert_eq!(
        run(&pair, order(MAINT, Goal::Set, &["ldap/ldap-svc1"]))
            .await
            .code(0),
        None
    );
    for wanted in [
        MAINT,
        DRAIN,
        Wanted::Weight(Weight::Absolute(0)),
        Wanted::Weight(Weight::Percent(50)),
    ] {
        let refused = run(&pair, order(wanted, Goal::Set, &["ldap/ldap-svc2"])).await;
        assert_eq!(
            (refused.code(0), refused.code(1)),
            (Some(ErrorCode::Guard), Some(ErrorCode::Guard))
        );
        assert!(
            refused.message(0).contains("backend ldap (ldap-svc2)"),
            "{}",
            refused.message(0)
        );
        assert_eq!(pair.words("lb1", "ldap/ldap-svc2"), "RUNNING/READY");
    }
    let mut forced = order(MAINT, Goal::Set, &["ldap/ldap-svc2"]);
    forced.force = true;
    let done = run(&pair, forced).await;
    assert_eq!(done.code(0), None);
    let emptied = Note::Emptied {
        node: "lb1".to_owned(),
        backends: vec!["backend ldap (ldap-svc2)".to_owned()],
    };
    assert_eq!(done.notes[0], emptied);
}

/// The guard on one node holds for all of them.
#[tokio::test(start_paused = true)]
async fn one_balancer_at_its_last_server_stops_the_change_everywhere() {
    let pair = Pair::new();
    pair.answer("lb2", "set server http/http-svc2 state maint");
    let refused = run(&pair, order(MAINT, Goal::Set, &["http/http-svc1"])).await;
    assert_eq!(
        (refused.code(0), refused.code(1)),
        (Some(ErrorCode::NotBegun), Some(ErrorCode::Guard))
    );
    assert_eq!(refused.message(0), "nothing was changed, because of lb2");
    assert!(pair.writes("lb1").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dead_server_is_not_reported_as_enabled() {
    let pair = Pair::new();
    run(&pair, order(MAINT, Goal::Set, &["http/http-svc1"])).await;
    pair.origin("http-svc1", Condition::Refused);
    let limit = Goal::Healthy(Duration::from_secs(30));
    let ran = run(&pair, order(READY, limit, &["http/http-svc1"])).await;
    assert_eq!(
        (ran.code(0), ran.code(1)),
        (Some(ErrorCode::Wait), Some(ErrorCode::Wait))
    );
    assert_eq!(
        ran.message(0),
        "READY, but no full health after 30s: http/http-svc1 is DOWN"
    );
    assert_eq!(
        ran.text(0),
        "http/http-svc1: STOPPED/MAINT -> STOPPED/READY\n"
    );
    assert!(ran.notes.contains(&way_back("lb[1-2]")), "{:?}", ran.notes);
    assert_eq!(ran.verdicts("lb1"), ["failed"]);
}
