//! A HAProxy of the lab: the Runtime API of version 2.6 as a state machine, without a socket.
//!
//! `tests/it/emulator.rs` holds its answers to those of the real program, byte for byte. What differs from run
//! to run with the real one (process id, addresses, times) is a parameter here.

mod answers;
mod layout;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use crate::haproxy::answer::Level;
use crate::haproxy::name::ServerName;
use crate::haproxy::state::AdminWord;

pub use layout::ORIGINS;
pub use server::Condition;

use layout::{Backend, PROXIES, Proxy};

/// What is particular to one HAProxy.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The node's name, as `show info` says it.
    pub node: String,
    /// What it is for, as `show info` says it.
    pub description: String,
    /// The worker's process id.
    pub pid: u32,
    /// Where the servers are, in the order of [`ORIGINS`].
    pub addresses: Vec<SocketAddr>,
    /// When the process was started, in seconds since 1970.
    pub started: u64,
}

/// The state of one HAProxy.
#[derive(Debug, Clone)]
pub struct Haproxy {
    setup: Setup,
    born: Duration,
    reloads: u32,
    conditions: Vec<Condition>,
    backends: Vec<Backend>,
}

/// Longest command line taken (`tune.bufsize`).
const LINE: usize = 16_381;

impl Haproxy {
    /// A HAProxy that has been running for a while: every server has passed its checks.
    #[must_use]
    pub fn new(setup: Setup, now: Duration) -> Self {
        Self {
            setup,
            born: now,
            reloads: 0,
            conditions: vec![Condition::Well; ORIGINS.len()],
            backends: layout::backends(now),
        }
    }

    /// A new worker takes over: whatever was set at run time is forgotten, and every server is supposed up.
    pub fn reload(&mut self, pid: u32, now: Duration) {
        self.setup.pid = pid;
        self.reloads += 1;
        self.born = now;
        self.backends = layout::backends(now);
        for server in self.backends.iter_mut().flat_map(|b| &mut b.servers) {
            server.suppose_up(now);
        }
    }

    /// How the machine behind a server's name answers checks from now on.
    pub fn set_condition(&mut self, origin: &str, condition: Condition, now: Duration) {
        self.advance(now);
        for (name, known) in ORIGINS.iter().zip(&mut self.conditions) {
            if *name == origin {
                *known = condition;
            }
        }
    }

    /// How many sessions a server has from now on, until they are shut down.
    pub fn set_sessions(&mut self, name: &ServerName, sessions: u64) {
        if let Some((backend, server)) = self.find(name.backend(), name.server()) {
            self.backends[backend].servers[server].set_sessions(sessions);
        }
    }

    /// The worker's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.setup.pid
    }

    /// The whole answer to one line, its line end left out. `now` is the time on the clock that the other
    /// times were taken from.
    pub fn answer(&mut self, line: &[u8], level: Level, now: Duration) -> Vec<u8> {
        if line.len() > LINE {
            return Vec::new();
        }
        self.advance(now);
        let line = String::from_utf8_lossy(line);
        let mut level = level;
        let mut answer = String::new();
        for command in commands(&line) {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            answer.push_str(&self.run(&words, &mut level, now));
        }
        answer.into_bytes()
    }

    /// The answer of the master to one line: it knows its workers, and hands on what starts with `@1` or `@!PID`.
    pub fn answer_as_master(&mut self, line: &[u8], now: Duration) -> Vec<u8> {
        let text = String::from_utf8_lossy(line);
        let mut answers = Vec::new();
        for command in text.split(';').map(str::trim) {
            let answer = match command.split_once(' ') {
                _ if command == "quit" => break,
                _ if command == "show proc" => self.show_proc(now).into_bytes(),
                Some((worker, command)) if worker.starts_with('@') => {
                    let current = format!("@!{}", self.pid());
                    if worker == "@1" || worker == current {
                        self.answer(command.as_bytes(), Level::Admin, now)
                    } else {
                        // The real one says no empty line here.
                        format!("Can't find the target PID matching the prefix '{worker}'\n")
                            .into_bytes()
                    }
                }
                Some(_) | None => UNKNOWN.as_bytes().to_vec(),
            };
            answers.extend(answer);
        }
        answers
    }

    fn run(&mut self, words: &[&str], level: &mut Level, now: Duration) -> String {
        match words {
            ["show", "cli", "level", ..] => format!("{level}\n\n"),
            ["show", "info", ..] => self.show_info(now),
            ["show", "version", ..] => format!("{}\n\n", answers::VERSION),
            ["show", "backend", ..] => self.show_backend(),
            ["show", "servers", "state"] => self.show_servers_state(None, now),
            ["show", "servers", "state", backend, ..] => {
                self.show_servers_state(Some(backend), now)
            }
            ["show", "stat", rest @ ..] => self.show_stat(rest, *level, now),
            ["show", "sess", ..] if *level < Level::Operator => DENIED.to_owned(),
            ["show", "sess", ..] => answers::SESSIONS.to_owned(),
            ["get", "weight", name, ..] => self.get_weight(name),
            ["get", "weight"] => NO_SLASH.to_owned(),
            ["user", ..] => lower(level, Level::User),
            ["operator", ..] => lower(level, Level::Operator),
            ["set", "server", ..]
            | ["set", "weight", ..]
            | ["shutdown", "sessions", "server", ..]
            | ["enable" | "disable", "server" | "health", ..]
                if *level < Level::Admin =>
            {
                DENIED.to_owned()
            }
            ["set", "server", name, rest @ ..] => self.set_server(name, rest, now),
            ["set", "weight", name, rest @ ..] => {
                let words: Vec<&str> = std::iter::once("weight")
                    .chain(rest.iter().copied())
                    .collect();
                self.set_server(name, &words, now)
            }
            ["enable", "server", name, ..] => self.set_server(name, &["state", "ready"], now),
            ["disable", "server", name, ..] => self.set_server(name, &["state", "maint"], now),
            ["shutdown", "sessions", "server", name, ..] => match self.locate(name) {
                Ok((backend, server)) => {
                    self.backends[backend].servers[server].set_sessions(0);
                    DONE.to_owned()
                }
                Err(refusal) => refusal.to_owned(),
            },
            ["enable", "health", name, ..] if *level >= Level::Admin => {
                // Its checks are never off.
                self.locate(name)
                    .map_or_else(str::to_owned, |_| DONE.to_owned())
            }
            ["set", "server"] | ["shutdown", "sessions", "server"] => NO_SLASH.to_owned(),
            _ => UNKNOWN.to_owned(),
        }
    }

    fn set_server(&mut self, name: &str, words: &[&str], now: Duration) -> String {
        let (backend, server) = match self.locate(name) {
            Ok(place) => place,
            Err(refusal) => return refusal.to_owned(),
        };
        match words {
            ["state", rest @ ..] => {
                let word = match rest.first() {
                    Some(&"ready") => AdminWord::Ready,
                    Some(&"drain") => AdminWord::Drain,
                    Some(&"maint") => AdminWord::Maint,
                    _ => {
                        return "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n\n"
                            .to_owned();
                    }
                };
                self.backends[backend].servers[server].set_state(word, now);
            }
            ["weight", rest @ ..] => {
                let server = &mut self.backends[backend].servers[server];
                match server::weight(rest.first().copied().unwrap_or_default()) {
                    Ok(weight) => server.weight = weight.of(server::INITIAL_WEIGHT),
                    Err(refusal) => return refusal.to_owned(),
                }
            }
            _ => return USAGE.to_owned(),
        }
        self.backends[backend].settle(now);
        DONE.to_owned()
    }

    fn get_weight(&self, name: &str) -> String {
        match self.locate(name) {
            Ok((backend, server)) => {
                let weight = self.backends[backend].servers[server].weight;
                format!("{weight} (initial {})\n\n", server::INITIAL_WEIGHT)
            }
            Err(refusal) => refusal.to_owned(),
        }
    }

    fn locate(&self, name: &str) -> Result<(usize, usize), &'static str> {
        let (backend, server) = name.split_once('/').ok_or(NO_SLASH)?;
        if !self
            .backends
            .iter()
            .any(|known| known.layout.name == backend)
        {
            return Err("No such backend.\n\n");
        }
        self.find(backend, server).ok_or("No such server.\n\n")
    }

    fn find(&self, backend: &str, server: &str) -> Option<(usize, usize)> {
        let backend = self
            .backends
            .iter()
            .position(|known| known.layout.name == backend)?;
        let server = self.backends[backend]
            .servers
            .iter()
            .position(|known| known.name() == server)?;
        Some((backend, server))
    }

    /// Does the checks that were due since the last look.
    fn advance(&mut self, now: Duration) {
        for backend in &mut self.backends {
            // In the order of time, so that a backend goes down when its last server does.
            while let Some(server) = backend
                .servers
                .iter_mut()
                .min_by_key(|server| server.next_check)
                && server.next_check <= now
            {
                let at = server.next_check;
                server.check(self.conditions[server.origin()], backend.layout.mode, now);
                backend.settle(at);
            }
        }
    }

    fn proxies(&self) -> impl Iterator<Item = (&'static Proxy, Option<&Backend>)> {
        PROXIES.iter().map(|proxy| {
            let backend = self
                .backends
                .iter()
                .find(|backend| backend.layout.id == proxy.id);
            (proxy, backend)
        })
    }
}

/// Success.
const DONE: &str = "\n";
const DENIED: &str = "Permission denied\n\n";
const NO_SLASH: &str = "Require 'backend/server'.\n\n";
const USAGE: &str = "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | \
    check-addr | check-port | fqdn | health | ssl | state | weight\n\n";
/// The real one lists the commands that begin alike; we do not.
const UNKNOWN: &str = "Unknown command, but maybe one of the following ones is a better match:\n\
    \x20 help [<command>]                        : list matching or all commands\n\
    \x20 prompt                                  : toggle interactive mode with prompt\n\
    \x20 quit                                    : disconnect\n\n";

fn lower(level: &mut Level, to: Level) -> String {
    if *level < to {
        return DENIED.to_owned();
    }
    *level = to;
    DONE.to_owned()
}

/// The commands of a line, each as its words: parted at `;`, a backslash takes the next byte as it is, `#`
/// begins a comment.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word = String::new();
    let mut letters = line.chars();
    let end_word = |commands: &mut Vec<Vec<String>>, word: &mut String| {
        if !word.is_empty()
            && let Some(last) = commands.last_mut()
        {
            last.push(std::mem::take(word));
        }
    };
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => word.extend(letters.next()),
            '#' if word.is_empty() => break,
            ';' => {
                end_word(&mut commands, &mut word);
                commands.push(Vec::new());
            }
            blank if blank.is_ascii_whitespace() => end_word(&mut commands, &mut word),
            other => word.push(other),
        }
    }
    end_word(&mut commands, &mut word);
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::{answer, stat};

    const T0: Duration = Duration::from_secs(100);

    fn haproxy() -> Haproxy {
        let addresses = (1..=ORIGINS.len() as u8)
            .map(|n| SocketAddr::from(([127, 0, 1, 100 + n], 3223)))
            .collect();
        let setup = Setup {
            node: "lb1".to_owned(),
            description: "hash lab".to_owned(),
            pid: 4242,
            addresses,
            started: 1_700_000_000,
        };
        Haproxy::new(setup, T0)
    }

    fn ask(haproxy: &mut Haproxy, command: &str, after: Duration) -> Vec<u8> {
        haproxy.answer(command.as_bytes(), Level::Admin, T0 + after)
    }

    fn words(haproxy: &mut Haproxy, name: &str, after: Duration) -> (String, String) {
        let servers = answer::servers(&ask(haproxy, "show servers state", after)).unwrap();
        let rows = stat::rows(&ask(haproxy, "show stat -1 6 -1", after)).unwrap();
        let at = servers
            .iter()
            .position(|s| s.name.as_str() == name)
            .unwrap();
        assert_eq!(rows[at].name, servers[at].name);
        (servers[at].words(), rows[at].status.clone())
    }

    fn both(words: &str, status: &str) -> (String, String) {
        (words.to_owned(), status.to_owned())
    }

    #[test]
    fn a_fresh_one_is_all_well() {
        let mut haproxy = haproxy();
        let servers =
            answer::servers(&ask(&mut haproxy, "show servers state", Duration::ZERO)).unwrap();
        assert_eq!(servers.len(), 20);
        assert!(servers.iter().all(|server| server.fault().is_none()));
        let rows = stat::rows(&ask(&mut haproxy, "show stat", Duration::from_secs(3600))).unwrap();
        assert!(rows.iter().all(stat::Counters::is_healthy));
    }

    /// The trap of `enable`: supposed up at once, down when the checks have run.
    #[test]
    fn a_dead_server_looks_alive_right_after_ready() {
        let mut haproxy = haproxy();
        let name = "http/http-svc1";
        haproxy.set_condition("http-svc1", Condition::Refused, T0);
        let second = Duration::from_secs(1);
        assert_eq!(
            words(&mut haproxy, name, second),
            both("STOPPED/READY", "DOWN")
        );
        assert_eq!(
            ask(
                &mut haproxy,
                "set server http/http-svc1 state maint",
                second
            ),
            b"\n"
        );
        assert_eq!(
            words(&mut haproxy, name, second),
            both("STOPPED/MAINT", "MAINT")
        );
        assert_eq!(
            ask(
                &mut haproxy,
                "set server http/http-svc1 state ready",
                second
            ),
            b"\n"
        );
        assert_eq!(
            words(&mut haproxy, name, second),
            both("RUNNING/READY", "UP 1/2")
        );
        assert_eq!(
            words(&mut haproxy, name, 2 * second),
            both("STOPPED/READY", "DOWN")
        );
        haproxy.set_condition("http-svc1", Condition::Well, T0 + 2 * second);
        assert_eq!(
            words(&mut haproxy, name, 3 * second),
            both("RUNNING/READY", "UP")
        );
    }

    #[test]
    fn a_reload_forgets() {
        let mut haproxy = haproxy();
        ask(
            &mut haproxy,
            "set server ldap/ldap-svc1 state maint; set server ldap/ldap-svc2 weight 0",
            T0,
        );
        haproxy.reload(4243, T0 + T0);
        assert_eq!(
            words(&mut haproxy, "ldap/ldap-svc1", T0),
            both("RUNNING/READY", "UP 1/2")
        );
        assert_eq!(
            answer::info(&ask(&mut haproxy, "show info", T0))
                .unwrap()
                .pid,
            4243
        );
        assert_eq!(
            ask(&mut haproxy, "get weight ldap/ldap-svc2", T0),
            b"1 (initial 1)\n\n"
        );
    }

    #[test]
    fn sessions_are_counted_and_cut() {
        let mut haproxy = haproxy();
        let name = ServerName::parse("ldap/ldap-svc1").unwrap();
        haproxy.set_sessions(&name, 7);
        let sessions = |haproxy: &mut Haproxy| {
            let rows = stat::rows(&ask(haproxy, "show stat -1 6 -1", T0)).unwrap();
            rows.iter().find(|row| row.name == name).unwrap().sessions
        };
        assert_eq!(sessions(&mut haproxy), 7);
        assert_eq!(
            ask(&mut haproxy, "shutdown sessions server ldap/ldap-svc1", T0),
            b"\n"
        );
        assert_eq!(sessions(&mut haproxy), 0);
    }

    #[test]
    fn levels_hold() {
        let mut haproxy = haproxy();
        for line in [
            "set server no/where state maint",
            "shutdown sessions server ldap/ldap-svc1",
            "set server",
        ] {
            assert_eq!(
                haproxy.answer(line.as_bytes(), Level::Operator, T0),
                b"Permission denied\n\n"
            );
        }
        assert_eq!(
            haproxy.answer(b"user; show cli level", Level::Admin, T0),
            b"\nuser\n\n"
        );
        assert_eq!(
            haproxy.answer(b"operator", Level::User, T0),
            b"Permission denied\n\n"
        );
    }

    #[test]
    fn lines_are_parted_as_haproxy_does() {
        assert_eq!(
            commands(" show\tinfo ;get a\\;b # x;y"),
            [vec!["show", "info"], vec!["get", "a;b"]]
        );
    }
}
