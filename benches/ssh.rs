//! What a node costs the client: connect, log in, one command, gathered; the servers are a lab in another process.
//!
//! `cargo bench --bench ssh [-- NODES]` prints CPU time (user and system, of this process alone) and wall time per
//! node, one row per client, all in one run, so that rows can be compared on a loaded machine. The yardstick is
//! `async-ssh2-tokio`, another client over (an older) russh. Both check the host key and read their keys.
//! The last rows tell what connections cost that are only held.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark that cannot run should stop; it measures wall time and prints"
)]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_ssh2_tokio::{AuthMethod, Client, ServerCheckMethod};
use futures_util::StreamExt;
use hapsh::event::Outcome;
use hapsh::exec::{Executor, dispatch};
use hapsh::lab::{Lab, LabOptions, USER};
use hapsh::plan::{Limits, NodeName, Plan};
use hapsh::prompt::Nobody;
use hapsh::report::{self, Look, Scratch};
use hapsh::transport::Via;
use hapsh::transport::ssh::user_config::{ConfigFile, Facts, Options};
use hapsh::transport::ssh::{Native, Settings};
use hapsh::transport::{self, LoginUser, Transport};
use hapsh::work::run::Run;
use tokio::sync::mpsc;

/// What every client has each node do.
const LINE: &str = "echo the same line on every node";

/// How many nodes are at work at one time.
const FANOUT: usize = 64;

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    match args.as_slice() {
        [serve, nodes] if serve == "serve" => serve_lab(nodes.parse().unwrap()),
        [nodes] => measure(nodes.parse().unwrap()),
        _ => measure(1000),
    }
}

fn names(nodes: usize) -> Vec<NodeName> {
    (1..=nodes)
        .map(|n| NodeName::from(format!("n{n}")))
        .collect()
}

/// The other process: a lab until our input ends.
fn serve_lab(nodes: usize) {
    let lab = Lab::start(LabOptions {
        nodes: names(nodes),
        faults: Vec::new(),
    })
    .unwrap();
    println!("{}\n{}", lab.folder().display(), lab.port());
    for index in 0..nodes {
        println!("{}", lab.address(index));
    }
    let _ = io::stdin().read_to_end(&mut Vec::new());
}

/// The lab as seen from here.
struct Fleet {
    names: Arc<[NodeName]>,
    addresses: Vec<SocketAddr>,
    folder: PathBuf,
    child: Child,
}

impl Fleet {
    fn start(nodes: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["serve", &nodes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let folder = PathBuf::from(lines.next().unwrap().unwrap());
        lines.next();
        let addresses = lines.by_ref().take(nodes);
        let addresses = addresses
            .map(|line| line.unwrap().parse().unwrap())
            .collect();
        Self {
            names: names(nodes).into(),
            addresses,
            folder,
            child,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn native(&self, options: &[&str]) -> Native {
        let facts = Facts {
            user: USER.into(),
            uid: rustix::process::getuid().as_raw(),
            home: self.folder.clone(),
            homes: HashMap::new(),
            host_name: "control".into(),
            env: HashMap::new(),
            user_file: self.at("none"),
            system_file: self.at("none"),
            resolves: |_| true,
        };
        let options = Options {
            file: ConfigFile::Path(self.at("ssh_config")),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        };
        let settings = Settings {
            facts,
            options,
            user: LoginUser::default(),
            via: Via::Auto,
            ssh_way: "-R ssh",
            trace: Default::default(),
        };
        Native::new(settings, Arc::new(Nobody))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// CPU time of this process: of all its threads, none of which ends in between (`/proc/PID/task/TID/schedstat`).
fn cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let nanoseconds = threads.map(|thread| {
        let text = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Resident memory in KiB, from `/proc/self/status`.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn row(name: &str, nodes: usize, work: impl FnOnce()) {
    let (wall, busy) = (Instant::now(), cpu());
    work();
    let (wall, busy) = (wall.elapsed(), cpu() - busy);
    let each = |time: Duration| time.as_secs_f64() * 1000.0 / nodes as f64;
    println!(
        "{name:44} {nodes:>6} nodes {:>8.3} ms CPU each {:>8.3} ms wall each",
        each(busy),
        each(wall)
    );
    let _ = io::stdout().flush();
}

fn measure(nodes: usize) {
    assert!(transport::raise_file_limit() > nodes, "raise `ulimit -n`");
    let fleet = Fleet::start(nodes);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let curve = ["KexAlgorithms=curve25519-sha256"];
    for (name, options) in [
        ("hash, curve25519", &curve[..]),
        ("hash, mlkem768x25519", &[]),
    ] {
        // Native is made anew, so configuration, known_hosts and key are read within the measurement.
        row(name, nodes, || {
            runtime.block_on(ours(&fleet, options, nodes));
        });
    }
    row("async-ssh2-tokio 0.13, mlkem768x25519", nodes, || {
        runtime.block_on(yardstick(&fleet));
    });
    row("hash, one node alone, curve25519", 1, || {
        runtime.block_on(ours(&fleet, &curve, 1));
    });
    runtime.block_on(held(&fleet, &curve));
}

/// A run as `hash -w NODES -- LINE` does it, gathered.
async fn ours(fleet: &Fleet, options: &[&str], nodes: usize) {
    let native = fleet.native(options);
    let work = Run {
        command: transport::Command {
            line: LINE.into(),
            ..transport::Command::default()
        },
    };
    let limits = Limits {
        connect: Some(Duration::from_secs(30)),
        authenticate: Some(Duration::from_secs(30)),
        ..Limits::default()
    };
    let plan = Plan::all(
        fleet.names[..nodes].into(),
        NonZeroUsize::new(FANOUT).unwrap(),
        limits,
    );
    let executor = Executor::new(&native, &work);
    let look = Look::plain("hash", report::usual());
    let names = Arc::clone(&plan.nodes);
    let mut reporter = report::new(
        &look,
        names,
        io::sink(),
        io::sink(),
        &Scratch::new(std::env::temp_dir(), u64::MAX),
    );
    let (_stop, mut stops) = mpsc::channel(1);
    let summary = dispatch(&plan, executor, &mut stops, &mut *reporter).await;
    let fine = summary.outcomes.iter();
    assert_eq!(
        fine.filter(|(_, outcome)| *outcome == Outcome::OK).count(),
        nodes
    );
}

async fn yardstick(fleet: &Fleet) {
    let key = fleet.at("id_ed25519");
    // It is handed the host's key, as it knows no patterns: a line per node, or one for all in a large lab.
    let known = std::fs::read_to_string(fleet.at("known_hosts")).unwrap();
    let known: Vec<&str> = known
        .lines()
        .map(|line| line.split(' ').nth(2).unwrap())
        .collect();
    let runs = futures_util::stream::iter(fleet.addresses.iter().enumerate());
    let runs = runs.map(|(at, address)| {
        let (key, known) = (&key, known[at.min(known.len() - 1)]);
        async move {
            let client = Client::connect(
                *address,
                USER,
                AuthMethod::with_key_file(key, None),
                ServerCheckMethod::with_public_key(known),
            )
            .await
            .unwrap();
            let ran = client.execute(LINE).await.unwrap();
            assert_eq!(ran.exit_status, 0);
            client.disconnect().await.unwrap();
        }
    });
    runs.buffer_unordered(FANOUT).for_each(|()| async {}).await;
}

/// Connects to all and lets go of none.
async fn held(fleet: &Fleet, options: &[&str]) {
    let native = fleet.native(options);
    let limits = Limits::default();
    let mut sessions = Vec::new();
    let mut before = 0;
    for (n, node) in fleet.names.iter().enumerate() {
        sessions.push(native.connect(node, &limits).await.unwrap());
        if n + 1 == FANOUT {
            before = resident();
            println!("{FANOUT} connections held: {} MiB in all", before / 1024);
        }
    }
    if let Some(more) = sessions.len().checked_sub(FANOUT).filter(|more| *more > 0) {
        let each = resident().saturating_sub(before) / more as u64;
        println!("{more} more: {each} KiB each");
    }
}
