//! What other programs answer: HAProxy, gateways, commands on nodes, `sudo` there, the user's agent.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::keys::agent::client::AgentClient;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::block_on;
use crate::event::{Event, Summary};
use crate::exec::{Executor, dispatch};
use crate::gateway::{self, Ask, Hello, Reach};
use crate::gather::{Gather, diff};
use crate::haproxy::reading::Reading;
use crate::haproxy::{answer, sessions, stat};
use crate::lines::LineSplitter;
use crate::nodeset::NoGroups;
use crate::plan::{Limits, NodeName, Plan};
use crate::prompt::{Answer, Echo, Prompter};
use crate::report::Reporter;
use crate::topology::Topology;
use crate::trace::Trace;
use crate::transport::Via;
use crate::transport::gateway::{
    Gateways, Messages, Notice, OpenGateways, Outbox, Parent, Routed, serve,
};
use crate::transport::launch::Launcher;
use crate::transport::sim::{Script, Sim};
use crate::transport::sudo::{AsUser, Sudo};
use crate::transport::{Command, Transport};
use crate::work::run::Run;

/// Longer than every limit of ours.
const AGES: Duration = Duration::from_secs(1000);

/// An answer of HAProxy: an error or a value.
pub(super) fn haproxy(bytes: &[u8]) {
    let _ = (
        answer::servers(bytes),
        stat::rows(bytes),
        answer::info(bytes),
    );
    let _ = (
        answer::level(bytes),
        answer::weight(bytes),
        answer::backends(bytes),
    );
    let _ = (
        answer::workers(bytes),
        answer::accepted(bytes),
        Reading::parse(bytes),
    );
    let _ = (sessions::rows(bytes), stat::rows_of_several(bytes));
    let _ = (answer::is_from_master(bytes), answer::parts::<3>(bytes));
}

/// What shows nothing.
struct Unseen;

impl Reporter for Unseen {
    fn event(&mut self, _event: &Event) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a command on these nodes; each must have one outcome.
async fn run(names: Vec<NodeName>, transport: &dyn Transport, launcher: Option<&dyn Launcher>) {
    let work = Run {
        command: Command {
            line: "uptime".to_owned(),
            ..Command::default()
        },
    };
    let limits = Limits {
        connect: Some(Duration::from_secs(10)),
        authenticate: Some(Duration::from_secs(30)),
        idle: Some(Duration::from_secs(30)),
        command: Some(Duration::from_secs(60)),
        deadline: Some(Duration::from_secs(300)),
    };
    let count = names.len();
    let plan = Plan::all(names.into(), NonZeroUsize::MIN, limits);
    let executor = Executor {
        launcher,
        ..Executor::new(transport, &work)
    };
    let (_stop, mut stops) = mpsc::channel(1);
    let mut unseen = Unseen;
    let running = dispatch(&plan, executor, &mut stops, &mut unseen);
    let summary = timeout(AGES, running).await;
    let outcomes = summary.map(|summary| summary.outcomes.len());
    assert_eq!(outcomes.ok(), Some(count), "each node has one outcome");
}

#[derive(Debug)]
struct Unheard;

impl Parent for Unheard {
    fn notice(&self, _notice: Notice<'_>) {}
}

/// A gateway that says anything behind its greeting, to a run and to somebody who wants sessions.
pub(super) fn gateway_tells(data: &[u8]) {
    let Ok(mut said) = serde_json::to_vec(&Hello::ours()) else {
        return;
    };
    said.push(b'\n');
    said.extend_from_slice(data);
    let _ = block_on(async {
        for by_launcher in [true, false] {
            let (first, rest) = said.split_at(said.len() / 2);
            let script = Script::output(first.to_vec()).out(rest.to_vec()).hang();
            let routes = "[routes]\nroot: gw1\ngw1: t[1-3]\n";
            let Ok(topology) = Topology::read("fuzz", routes, "root", &NoGroups) else {
                return;
            };
            let gateways = Gateways {
                topology,
                transport: Arc::new(Sim::new().node("gw1", script)),
                reach: Reach::default(),
                install: None,
                lost: None,
                parent: Arc::new(Unheard),
                open: OpenGateways::default(),
            };
            let names = vec!["t1".into(), "t2".into(), "t3".into()];
            if by_launcher {
                run(names, &Sim::new(), Some(&gateways)).await;
            } else {
                let routed = Routed::new(gateways, Arc::new(Sim::new()), "");
                run(names, &routed, None).await;
            }
        }
    });
}

/// Anything asked of us as a gateway: a run's messages, and calls for sessions.
pub(super) fn gateway_asked(data: &[u8]) {
    let mut lines = gateway::Lines::new(gateway::LONGEST_TELL);
    lines.push(data);
    while let Ok(Some(line)) = lines.take() {
        if let Ok(Ask::Run(run)) = serde_json::from_slice(line) {
            crate::cli::verb::gateway::fuzz(&run);
        }
    }
    let _ = block_on(async {
        let (mut caller, input) = tokio::io::duplex(1 << 16);
        let leaves = Sim::new().every(Script::output("text\n").echo().wait(AGES));
        let mut calls = Messages::new(input);
        let out = Arc::new(Outbox::default());
        let served = serve(&leaves, &mut calls, tokio::io::sink(), out);
        let asking = async {
            let _ = caller.write_all(data).await;
            sleep(AGES).await;
        };
        tokio::select! {
            _ = served => {}
            () = asking => {}
        }
    });
}

/// Output of nodes: split into lines, gathered, compared. No byte is lost and none is made up.
pub(super) fn output(data: &[u8]) {
    let mut gather = Gather::default();
    let mut said = [Vec::new(), Vec::new(), Vec::new()];
    for (at, part) in data.split(|byte| *byte == 0).enumerate() {
        let key = at % said.len();
        said[key].extend_from_slice(part);
        let _ = gather.push(key as u32, part);
    }
    (0..3).for_each(|key| gather.finish(key, 0));
    for group in gather.groups() {
        for key in group.keys {
            assert_eq!(
                group.output.to_vec().ok().as_ref(),
                Some(&said[key as usize])
            );
        }
    }
    let mut lines: [Vec<Vec<u8>>; 3] = Default::default();
    for (text, lines) in said.iter().zip(&mut lines) {
        let mut splitter = LineSplitter::default();
        let mut keep = |line: crate::lines::Line<'_>| {
            lines.push(line.text.to_vec());
            Ok::<(), ()>(())
        };
        let (start, end) = text.split_at(text.len() / 3);
        let _ = splitter.push(start, &mut keep);
        let _ = splitter.push(end, &mut keep);
        let _ = splitter.finish(&mut keep);
    }
    let [old, new, _] = &lines;
    let old: Vec<&[u8]> = old.iter().map(Vec::as_slice).collect();
    let new: Vec<&[u8]> = new.iter().map(Vec::as_slice).collect();
    assert_eq!(diff::unified(&old, &new).is_empty(), old == new);
}

/// Answers every question.
#[derive(Debug)]
struct Typist;

impl Prompter for Typist {
    fn ask<'a>(&'a self, _prompt: &'a str, _echo: Echo) -> Answer<'a> {
        Box::pin(std::future::ready(Some("sesame".to_owned())))
    }

    fn warn(&self, _message: &str) {}
}

/// A node on which `sudo` says anything.
pub(super) fn sudo(data: &[u8]) {
    let _ = block_on(async {
        let (err, out) = data.split_at(data.len() / 2);
        let (first, rest) = err.split_at(err.len() / 2);
        let script = Script::new()
            .err(first.to_vec())
            .err(rest.to_vec())
            .out(Bytes::copy_from_slice(out))
            .echo();
        let sudo = Sudo::new(
            "root".to_owned(),
            Via::default(),
            "0123".to_owned(),
            (Arc::new(Typist), Trace::default()),
        );
        let inner = Box::new(Sim::new().every(script));
        let transport = AsUser::new(inner, Arc::new(sudo));
        run(vec!["n1".into(), "n2".into()], &transport, None).await;
    });
}

/// An SFTP server that answers anything.
pub(super) fn sftp(data: &[u8]) {
    let _ = block_on(crate::work::copy::fuzz_sftp(data));
}

/// An ssh-agent that answers anything.
pub(super) fn agent(data: &[u8]) {
    let _ = block_on(async {
        let (here, mut there) = tokio::io::duplex(1 << 16);
        let _ = there.write_all(data).await;
        let mut client = AgentClient::connect(here);
        let identities = timeout(AGES, client.request_identities()).await;
        let Ok(Ok(identities)) = identities else {
            return;
        };
        for identity in identities.iter().take(3) {
            let signing = client.sign_request(identity, None, b"data".to_vec());
            let _ = timeout(AGES, signing).await;
        }
    });
}
