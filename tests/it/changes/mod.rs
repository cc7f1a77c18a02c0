//! Changes on real HAProxy while something comes in between: what is said is what HAProxy itself says.

mod between;
mod ledger;
mod odd;
mod raw;
mod words;

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::lab::{Act, Hash, Lab, Moment, Proxy, Ran, until};

/// What HAProxy itself says of a server: its administrative mask and its weight.
fn seen(lab: &Lab, haproxy: &str, server: &str) -> (u32, u32) {
    let row = column(&lab.cli(haproxy, "show servers state"), server);
    let number = |at: usize| row[at].parse().expect("a number");
    (number(6), number(7))
}

/// The columns of a server in `show servers state`.
fn column(answer: &str, server: &str) -> Vec<String> {
    let (backend, server) = server.split_once('/').expect("BACKEND/SERVER");
    let rows = answer
        .lines()
        .map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let mut rows = rows.filter(|row| row.len() > 16);
    let row = rows.find(|row| row[1] == backend && row[3] == server);
    row.unwrap_or_else(|| panic!("no {backend}/{server} in {answer}"))
}

#[track_caller]
fn expect(ran: &Ran, code: i32, said: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran}");
    for text in said {
        assert!(ran.stderr.contains(text), "no `{text}` in\n{ran}");
    }
}

fn on<'a>(lab: &Lab, nodes: &'a str, words: &[&'a str]) -> Hash {
    lab.hash(["-w", nodes].iter().chain(words))
}

/// A run that goes on while the test does something else.
struct Going {
    child: Child,
    home: tempfile::TempDir,
}

impl Going {
    fn start(hash: Hash) -> Self {
        let (mut command, home) = hash.into_command();
        let child = command.stdin(Stdio::null()).spawn().expect("start hash");
        Self { child, home }
    }

    fn end(self) -> (Output, tempfile::TempDir) {
        let output = self.child.wait_with_output().expect("wait for hash");
        (output, self.home)
    }
}

/// Opens a connection to ldap through a node and says on which server it came out.
fn client(lab: &Lab, node: &str) -> (TcpStream, String) {
    let stream = TcpStream::connect(lab.frontend(node, "fe_ldap")).expect("a connection");
    let mut on = None;
    until("the connection comes out somewhere", None, || {
        let stat = lab.cli(node, "show stat ldap 4 -1");
        let mut rows = stat.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let row = rows.find(|row| row.len() > 4 && row[1].starts_with("ldap-svc") && row[4] != "0");
        on = row.map(|row| format!("ldap/{}", row[1]));
        on.is_some()
    });
    (stream, on.expect("a server"))
}

/// A proxy in front of a node's HAProxy in which something happens once, at the first question that fits.
fn once(
    lab: &Lab,
    node: &str,
    fits: impl Fn(Moment, &str) -> bool + Send + Sync + 'static,
    act: impl Fn() -> Act + Send + Sync + 'static,
) -> Proxy {
    let is_over = AtomicBool::new(false);
    lab.proxy(node, move |moment, _, text| {
        if fits(moment, text) && !is_over.swap(true, Ordering::SeqCst) {
            return act();
        }
        Act::Pass
    })
}

/// A proxy that says yes to every change and passes none on.
fn deaf(lab: &Lab, node: &str) -> Proxy {
    lab.proxy(node, |moment, _, text| match (moment, is_write(text)) {
        (Moment::Asked, true) => Act::Say("\n"),
        _ => Act::Pass,
    })
}

fn pass(lab: &Lab, node: &str) -> Proxy {
    lab.proxy(node, |_, _, _| Act::Pass)
}

/// A proxy that counts the questions that fit.
fn counting(
    lab: &Lab,
    node: &str,
    fits: fn(&str) -> bool,
) -> (Proxy, Arc<std::sync::atomic::AtomicUsize>) {
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let proxy = lab.proxy(node, move |moment, _, text| {
        if moment == Moment::Asked && fits(text) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        Act::Pass
    });
    (proxy, count)
}

fn is_write(text: &str) -> bool {
    ["set ", "shutdown ", "enable ", "disable "]
        .iter()
        .any(|verb| text.starts_with(verb))
}

fn is_reading(text: &str) -> bool {
    text.starts_with("show cli level")
}

/// The words that lead through the proxies.
const THROUGH: [&str; 2] = ["--socket", "/run/haproxy/proxy.sock"];

/// The lines of an audit log, each whole.
fn ledger(home: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(home.join("state/hash/audit.jsonl")).unwrap_or_default();
    let whole = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    text.lines().map(whole).collect()
}

/// The rows of JSON about changes.
fn rows(stdout: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(stdout).unwrap_or_else(|_| panic!("{stdout}"));
    document["changes"].as_array().expect("changes").clone()
}
