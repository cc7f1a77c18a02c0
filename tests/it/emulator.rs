//! The lab's HAProxy beside the real one: the same bytes for every command that hash sends.
//!
//! Left out of the comparison are only the values that tell the time, count what went before, or name the
//! process; each is in a list below.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use hapsh::haproxy::answer::Level;
use hapsh::lab::haproxy::{Condition, Haproxy, ORIGINS, Setup};

use crate::lab::{Lab, Origin, skip};

/// Columns of `show servers state` that tell the time.
const STATE_TIMES: &[&str] = &["srv_time_since_last_change"];
/// Columns of `show stat` that tell the time, or count the checks' own connections.
const STAT_TIMES: &[&str] = &[
    "lastchg",
    "downtime",
    "check_duration",
    "h1_open_connections",
    "h1_open_streams",
    "h1_total_connections",
    "h1_total_streams",
    "h1_bytes_in",
    "h1_bytes_out",
];
/// Keys of `show info` that tell the time, count, or depend on the machine and the frontends' sockets.
const INFO_TIMES: &[&str] = &[
    "Pid",
    "Uptime",
    "Uptime_sec",
    "Ulimit-n",
    "Maxsock",
    "CumConns",
    "CumReq",
    "ConnRate",
    "MaxConnRate",
    "SessRate",
    "MaxSessRate",
    "Tasks",
    "Run_queue",
    "Idle_pct",
    "Jobs",
    "Listeners",
    "TotalBytesOut",
    "BytesOutRate",
    "PoolAlloc_MB",
    "PoolUsed_MB",
    "PoolAlloc_bytes",
    "PoolUsed_bytes",
    "Start_time_sec",
];

/// How long the two may take to agree: checks run on their own clocks.
const PATIENCE: Duration = Duration::from_secs(10);

/// Replaces the values of the named columns by `~`; the header is the line that names them.
fn mask_table(text: &str, separator: char, columns: &[&str]) -> String {
    let mut places = Vec::new();
    let mut out = String::new();
    for line in text.lines() {
        let mut fields: Vec<&str> = line.split(separator).collect();
        if line.starts_with("# ") {
            let header: Vec<&str> = line.trim_start_matches("# ").split(separator).collect();
            places = (0..header.len())
                .filter(|place| columns.contains(&header[*place]))
                .collect();
        } else if fields.len() > 1 {
            for place in &places {
                if !fields[*place].is_empty() {
                    fields[*place] = "~";
                }
            }
        }
        out.push_str(&fields.join(&separator.to_string()));
        out.push('\n');
    }
    out
}

/// The answers to a line, each masked as its command asks for.
fn mask(line: &str, text: &str) -> String {
    let commands: Vec<&str> = line.split(';').map(str::trim).collect();
    let mut rest = text;
    let mut out = String::new();
    for (number, command) in commands.iter().enumerate() {
        // A setter's answer is one empty line, a question's ends with one.
        let end = match rest.find("\n\n") {
            _ if number + 1 == commands.len() => rest.len(),
            _ if command.starts_with("set ") => 1,
            Some(at) => at + 2,
            None => rest.len(),
        };
        let (one, more) = rest.split_at(end);
        out.push_str(&mask_one(command, one));
        rest = more;
    }
    out
}

fn mask_one(command: &str, text: &str) -> String {
    match command {
        state if state.starts_with("show servers state") => mask_table(text, ' ', STATE_TIMES),
        last if last.starts_with("show stat") => mask_table(text, ',', STAT_TIMES),
        "show info" => text
            .split_inclusive('\n')
            .map(|line| match line.split_once(": ") {
                Some((key, _)) if INFO_TIMES.contains(&key) => format!("{key}: ~\n"),
                _ => line.to_owned(),
            })
            .collect(),
        // Addresses, times and descriptors of the one session that asks.
        "show sess" => {
            let mut out = String::new();
            for word in text.split_inclusive(' ') {
                let volatile = [
                    "0x", "src=", "ts=", "epoch=", "age=", "calls=", "rate=", "cpu=", "lat=", "rq",
                    "rp", "scf", "scb", "rx", "exp",
                ];
                let start = volatile.iter().find(|start| word.starts_with(**start));
                out.push_str(start.copied().unwrap_or(word));
            }
            out
        }
        "show proc" | "show proc;quit" => text
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split_ascii_whitespace().collect();
                match words.as_slice() {
                    // The process id and the age; the width of the columns stays.
                    [_, "master" | "worker", ..] => format!("{}{}\n", &line[16..48], &line[64..]),
                    _ => format!("{line}\n"),
                }
            })
            .collect(),
        _ => text.to_owned(),
    }
}

/// The lines that differ.
fn difference(real: &str, ours: &str) -> String {
    let mut out = format!(
        "{} lines, ours {}\n",
        real.lines().count(),
        ours.lines().count()
    );
    for (real, ours) in real
        .lines()
        .zip(ours.lines())
        .filter(|(real, ours)| real != ours)
    {
        out.push_str(&format!("real {real:?}\nours {ours:?}\n"));
    }
    out
}

struct Pair {
    lab: Lab,
    ours: Haproxy,
    begun: Instant,
}

impl Pair {
    fn real(&self, socket: &str, line: &str) -> String {
        let path = self.lab.run_dir("lb1").join(format!("{socket}.sock"));
        let mut stream = UnixStream::connect(path).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream
            .write_all(format!("{line}\n").as_bytes())
            .expect("ask");
        if socket == "master" {
            // The master waits for more otherwise.
            stream
                .shutdown(std::net::Shutdown::Write)
                .expect("half-close");
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn ours(&mut self, socket: &str, line: &str) -> String {
        let now = self.begun.elapsed();
        let level = match socket {
            "master" => {
                return String::from_utf8(self.ours.answer_as_master(line.as_bytes(), now))
                    .expect("ASCII");
            }
            "admin" => Level::Admin,
            "oper" => Level::Operator,
            _ => Level::User,
        };
        String::from_utf8(self.ours.answer(line.as_bytes(), level, now)).expect("ASCII")
    }

    /// How a server behind both answers checks from now on.
    fn origin(&mut self, name: &str, real: Origin, ours: Condition) {
        self.lab.origin(name, real);
        self.ours.set_condition(name, ours, self.begun.elapsed());
        self.same("admin", "show stat -1 6 -1");
        self.same("admin", "show servers state");
    }

    /// Asks both at once; what checks change may take its time.
    fn same(&mut self, socket: &str, line: &str) {
        let begun = Instant::now();
        loop {
            let real = mask(line, &self.real(socket, line));
            let ours = mask(line, &self.ours(socket, line));
            if real == ours {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{socket}: {line}\n{}",
                difference(&real, &ours)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a change to both: the answers are equal at once.
    fn change(&mut self, line: &str) {
        let (real, ours) = (self.real("admin", line), self.ours("admin", line));
        let (real, ours) = (mask(line, &real), mask(line, &ours));
        assert!(real == ours, "{line}\n{}", difference(&real, &ours));
        self.same("admin", "show servers state");
        self.same("admin", "show stat -1 6 -1");
    }
}

#[test]
fn the_lab_answers_as_haproxy_does() {
    let Some(lab) = Lab::up(1) else { return };
    let version = lab.cli("lb1", "show version");
    if !version.starts_with("2.6.") {
        return skip(&format!(
            "this HAProxy is {}, and the lab plays 2.6",
            version.trim()
        ));
    }
    let state = lab.cli("lb1", "show servers state");
    let address = |origin: &&str| {
        let row = state
            .lines()
            .find(|line| line.split(' ').nth(3) == Some(origin))
            .expect("a row");
        let column = |number: usize| row.split(' ').nth(number).expect("a column");
        SocketAddr::new(
            column(4).parse().expect("an address"),
            column(18).parse().expect("a port"),
        )
    };
    let info = lab.cli("lb1", "show info");
    let description = info
        .lines()
        .find_map(|line| line.strip_prefix("description: "));
    let setup = Setup {
        node: "lb1".to_owned(),
        description: description.expect("a description").to_owned(),
        pid: 1,
        addresses: ORIGINS.iter().map(address).collect(),
        started: 0,
    };
    let mut pair = Pair {
        lab,
        ours: Haproxy::new(setup, Duration::ZERO),
        begun: Instant::now(),
    };

    for socket in ["admin", "oper", "user"] {
        // The lines that hash sends are several commands at once; here are also their parts.
        for line in [
            "show cli level",
            "show info",
            "show servers state",
            "show servers state ldap",
            "show servers state nowhere",
            "show stat -1 6 -1",
            "show stat",
            "show stat http 4 -1",
            "show stat nowhere 4 -1",
            "show backend",
            "get weight http/http-svc1",
            "get weight http/nobody",
            "get weight http",
            "show sess",
            "show info;show servers state;show stat -1 2 -1",
            "show cli level;show info;show servers state;show stat -1 6 -1",
        ] {
            pair.same(socket, line);
        }
    }
    pair.same("master", "show proc");
    pair.same("master", "show proc;quit");
    pair.same("master", "@!99999999 show stat -1 4 -1;quit");
    for socket in ["oper", "user"] {
        for line in [
            "set server http/http-svc1 state maint",
            "set server nowhere/nobody state maint",
            "set server http/http-svc1 weight 0",
            "shutdown sessions server http/http-svc1",
        ] {
            pair.same(socket, line);
        }
    }

    for line in [
        "set server http/http-svc1 state drain",
        "set server http/http-svc1 state drain",
        "set server http/http-svc1 state maint",
        "set server http/http-svc1 state maint",
        // What is shown right after `ready`, before any check: the two in one line.
        "set server http/http-svc1 state ready; show stat http 6 -1",
        "set server i10_puppet_masters/puppet-i10-svc1 state maint",
        "set server i10_puppet_masters/puppet-i0-svc1 state drain",
        "set server i10_puppet_masters/puppet-i0-svc1 state maint",
        "set server i10_puppet_masters/puppet-i0-svc1 state drain; show servers state",
        "set server i10_puppet_masters/puppet-i0-svc1 state ready",
        "set server i10_puppet_masters/puppet-i10-svc1 state ready; show servers state",
        "set server ldap/ldap-svc1 weight 0",
        "set server ldap/ldap-svc2 weight 300",
        "set server ldap/ldap-svc2 weight 50%",
        "set server ldap/ldap-svc2 weight 700%",
        "set server ldap/ldap-svc2 weight 99999%",
        "set server ldap/ldap-svc1 weight 100%",
        "set server ldap/ldap-svc2 weight 1",
        "set server ldap/ldap-svc2 weight -5%",
        "set server ldap/ldap-svc2 weight x",
        "set server ldap/ldap-svc2 weight 5x",
        "set server ldap/ldap-svc2 weight",
        "shutdown sessions server ldap/ldap-svc1",
        "shutdown sessions server ldap/nobody",
        "shutdown sessions server nowhere/nobody",
        "set server nowhere/nobody state maint",
        "set server http/nobody state maint",
        "set server nobody state maint",
        "set server http/http-svc1 state bogus",
        "set server http/http-svc1 state",
        "set server http/http-svc1",
        "set server http/http-svc1 bogus",
        "set server",
    ] {
        pair.change(line);
    }

    // A server dies, is put out and in again, and recovers.
    pair.origin("http-svc1", Origin::Down, Condition::Refused);
    pair.change("set server http/http-svc1 state maint");
    pair.change("set server http/http-svc1 state ready; show servers state");
    pair.change("set server http/http-svc1 state drain");
    pair.change("set server http/http-svc1 state ready");
    pair.origin("http-svc1", Origin::Sick, Condition::Sick);
    pair.origin("http-svc1", Origin::Ok, Condition::Well);
    // TCP checks are content with a connection, whatever the server would say.
    pair.origin("ldap-svc1", Origin::Down, Condition::Refused);
    pair.origin("ldap-svc2", Origin::Down, Condition::Refused);
    pair.origin("ldap-svc1", Origin::Sick, Condition::Sick);
}
