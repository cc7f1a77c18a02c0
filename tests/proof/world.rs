//! The load balancers, and one run on them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::case::{Case, Disk, NODES};
use super::fault::{Happened, Script, Seen, What};
use super::mutant::Mutant;
use crate::lab::{Control, Lab};

/// A run may take so long, whatever happens.
const LIMIT: Duration = Duration::from_secs(150);

/// What HAProxy says of its servers: mask, weight, whether it runs, and sessions, by name.
pub(crate) type Table = BTreeMap<String, Row>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) operational: u32,
    pub(crate) mask: u32,
    pub(crate) weight: u32,
}

pub(crate) struct World {
    lab: Lab,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) words: Vec<String>,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The lines of the audit log, and of what was moved away.
    pub(crate) ledger: Vec<String>,
    pub(crate) before: BTreeMap<&'static str, Table>,
    /// Without those that are gone.
    pub(crate) after: BTreeMap<&'static str, Table>,
    pub(crate) seen: Vec<Seen>,
    /// What came of taking it back: the exit code, what was said, and what the load balancers are like then.
    pub(crate) undo: Option<Undone>,
    /// Whether the client still had its session when the program ended, and on which server.
    pub(crate) client: Option<(&'static str, String, bool)>,
    pub(crate) took: Duration,
}

/// What came of taking a change back.
#[derive(Debug)]
pub(crate) struct Undone {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
    pub(crate) after: BTreeMap<&'static str, Table>,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ hash {}", self.words.join(" "))?;
        writeln!(
            f,
            "exit code {:?} after {:?}; client {:?}",
            self.code, self.took, self.client
        )?;
        let first = self.seen.first().map(|seen| seen.at);
        for seen in &self.seen {
            let at = first.map_or(Duration::ZERO, |first| seen.at - first);
            let (at, node) = (at.as_secs_f64(), seen.node);
            writeln!(f, "  {at:>8.3} {node} {}", seen.what)?;
        }
        writeln!(f, "--- stderr\n{}--- stdout\n{}", self.stderr, self.stdout)?;
        writeln!(f, "--- audit log\n{}", self.ledger.join("\n"))?;
        if let Some(undo) = &self.undo {
            writeln!(f, "--- taken back with {:?}\n{}", undo.code, undo.said)?;
        }
        for node in NODES {
            let Some(after) = self.after.get(node) else {
                writeln!(f, "{node} does not answer")?;
                continue;
            };
            let before = self.before[node].iter();
            for (name, row) in before.filter(|(name, row)| after.get(*name) != Some(row)) {
                writeln!(f, "{node}: {name}: {row:?} -> {:?}", after.get(name))?;
            }
        }
        Ok(())
    }
}

impl World {
    pub(crate) fn start() -> Option<Self> {
        Some(Self { lab: Lab::up(3)? })
    }

    /// One run, by a program that lies if one is given.
    pub(crate) fn run(&mut self, case: &Case, mutant: Option<Mutant>) -> Run {
        self.reset();
        for (node, order) in &case.before {
            self.lab.cli(node, order);
        }
        let client = case.client.and_then(|(node, time)| self.client(node, time));
        let before = NODES.map(|node| (node, table(&self.lab.control(node)).expect("all answer")));
        let script = Script::default();
        let controls = NODES.map(|node| (node, self.lab.control(node)));
        let proxies: Vec<_> = controls
            .iter()
            .map(|(node, control)| {
                let faults = case.faults.iter().filter(|fault| fault.node == *node);
                let hook = script.hook(node, control.clone(), faults.cloned().collect());
                self.lab.proxy(node, hook)
            })
            .collect();
        let mut words = vec!["--socket".to_owned(), proxies[0].socket().to_owned()];
        words.extend(case.words());
        let (mut run, home) = self.program((words, case), &script, mutant);
        run.before = before.into();
        run.client = client.map(|client| client.end());
        drop(proxies);
        for (node, control) in &controls {
            control.thaw();
            if let Some(table) = table(control) {
                run.after.insert(node, table);
            }
        }
        let is_begun = |seen: &Seen| matches!(seen.what, Happened::Began(What::BeginReload));
        if run.seen.iter().any(is_begun) {
            // It is to be over before the next run.
            std::thread::sleep(Duration::from_secs(1));
        }
        if let Some(mutant) = mutant {
            mutant.lie(case, &mut run);
        } else if case.undo && case.disk == Disk::Good {
            run.undo = Some(self.undo(home.path()));
        }
        run
    }

    /// Takes the change back, with nothing in between.
    fn undo(&self, home: &Path) -> Undone {
        // What was begun and not over is over then.
        std::thread::sleep(Duration::from_millis(300));
        let proxies: Vec<_> = NODES
            .map(|node| self.lab.proxy(node, |_, _, _| crate::lab::Act::Pass))
            .into();
        let undo = self.lab.hash(["undo", "--force", "--no-wait"]);
        let ran = undo.env("XDG_STATE_HOME", home.join("state")).run();
        drop(proxies);
        let tables = NODES.map(|node| Some((node, table(&self.lab.control(node))?)));
        Undone {
            code: ran.code,
            said: format!("{}{}", ran.stderr, ran.stdout),
            after: tables.into_iter().flatten().collect(),
        }
    }

    fn program(
        &self,
        (words, case): (Vec<String>, &Case),
        script: &Script,
        mutant: Option<Mutant>,
    ) -> (Run, tempfile::TempDir) {
        let typed = mutant.map_or_else(|| words.clone(), |mutant| mutant.words(&words));
        let mut hash = self.lab.hash(&typed);
        if let Some((name, value)) = mutant.and_then(Mutant::environment) {
            hash = hash.env(name, value);
        }
        if case.disk == Disk::FullAndRequired {
            hash = hash.config("audit = 'required'\n");
        }
        let log = hash.home().join("state/hash/audit.jsonl");
        if case.disk != Disk::Good {
            fs::create_dir_all(log.parent().expect("a folder")).expect("the folder of the log");
            std::os::unix::fs::symlink("/dev/full", &log).expect("a full disk");
        }
        *script.log.lock().expect("the log") = log.clone();
        let (mut command, home) = hash.into_command();
        let begun = Instant::now();
        let (child, pid) = {
            let mut program = script.program.lock().expect("the program");
            let child = command.stdin(Stdio::null()).spawn().expect("start hash");
            let pid = Pid::from_child(&child);
            *program = Some(pid);
            (child, pid)
        };
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || send.send(child.wait_with_output()));
        let output = receive.recv_timeout(LIMIT).unwrap_or_else(|_| {
            let _ = kill_process(pid, Signal::KILL);
            let output = receive.recv().expect("the end of hash");
            panic!(
                "HASH_PROOF_SEED={}: still running after {LIMIT:?}: {output:?}",
                case.seed
            );
        });
        let output = output.expect("wait for hash");
        *script.program.lock().expect("the program") = None;
        let mut ledger = Vec::new();
        for file in [log.with_extension("jsonl.1"), log] {
            if file.is_file() {
                let text = fs::read_to_string(file).expect("the audit log");
                ledger.extend(text.split_terminator('\n').map(str::to_owned));
            }
        }
        let run = Run {
            words,
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            ledger,
            before: BTreeMap::new(),
            after: BTreeMap::new(),
            seen: script.seen.lock().expect("events").clone(),
            client: None,
            undo: None,
            took: begun.elapsed(),
        };
        (run, home)
    }

    /// Makes everything as it was in the beginning.
    fn reset(&mut self) {
        for node in NODES {
            let control = self.lab.control(node);
            control.thaw();
            if table(&control).is_none() {
                self.lab.stop(&format!("{node}/haproxy"));
                self.lab.start_process(&format!("{node}/haproxy"));
            }
        }
        for node in NODES {
            let control = self.lab.control(node);
            // A reload that was begun may not be over.
            crate::lab::until("HAProxy is settled", None, || control.is_settled());
            let known = table(&control).expect("it answers");
            let odd = known
                .iter()
                .filter(|(_, row)| row.mask & !4 != 0 || row.weight != 1);
            for (name, _) in odd {
                control.cli(&format!("set server {name} weight 1"));
                control.cli(&format!("set server {name} state ready"));
            }
        }
        for node in NODES {
            let control = self.lab.control(node);
            crate::lab::until("all servers run", None, || {
                let known = table(&control);
                known.is_some_and(|known| known.values().all(|row| row.operational == 2))
            });
        }
    }

    /// A client that holds a session for so long, if a server takes it.
    fn client(&self, node: &'static str, time: Duration) -> Option<Client> {
        let stream = TcpStream::connect(self.lab.frontend(node, "fe_ldap")).ok()?;
        let control = self.lab.control(node);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            let stat = control.cli("show stat ldap 4 -1");
            let mut rows = stat.lines().map(|line| line.split(',').collect::<Vec<_>>());
            let row =
                rows.find(|row| row.len() > 4 && row[1].starts_with("ldap-svc") && row[4] != "0");
            if let Some(row) = row {
                let (on, until) = (format!("ldap/{}", row[1]), Instant::now() + time);
                return Some(
                    Client {
                        stream,
                        node,
                        on,
                        until,
                    }
                    .kept(),
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

/// A client and when it leaves.
struct Client {
    stream: TcpStream,
    node: &'static str,
    on: String,
    until: Instant,
}

impl Client {
    /// Leaves in time, on a thread of its own.
    fn kept(self) -> Self {
        let stream = self.stream.try_clone().expect("the client");
        let left = self.until.saturating_duration_since(Instant::now());
        std::thread::spawn(move || {
            std::thread::sleep(left);
            let _ = stream.shutdown(std::net::Shutdown::Both);
        });
        self
    }

    /// Whether it still had its session, a moment before now.
    fn end(self) -> (&'static str, String, bool) {
        let is_in_time = self.until > Instant::now() + Duration::from_millis(50);
        let mut stream = self.stream;
        let _ = stream.set_nonblocking(true);
        let mut byte = [0];
        let is_open = matches!(stream.read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        let _ = stream.shutdown(std::net::Shutdown::Both);
        (self.node, self.on, is_in_time && is_open)
    }
}

/// What HAProxy itself says, read by nobody else's code.
pub(crate) fn table(control: &Control) -> Option<Table> {
    let answer = control.try_cli("show servers state")?;
    let rows = answer
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let rows = rows.filter(|row| row.len() > 16 && row[0] != "#");
    let row = |row: Vec<&str>| {
        let number = |at: usize| row[at].parse().ok();
        let known = Row {
            operational: number(5)?,
            mask: number(6)?,
            weight: number(7)?,
        };
        Some((format!("{}/{}", row[1], row[3]), known))
    };
    Some(rows.filter_map(row).collect())
}
