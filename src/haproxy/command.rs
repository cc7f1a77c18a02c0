//! Typed commands to the text that goes to the socket.
//!
//! Every part of the text is a keyword, a number or a checked name, so a line is always one command.

use std::fmt;

use super::change::Wanted;
use super::name::ServerName;
use super::patterns::PatternCommand;
use super::payload::Payload;
use super::raw::RawCommand;
use super::state::AdminWord;
use zeroize::Zeroizing;

/// A command that hash sends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The process, the states of all servers and the backends, in one line; see [`super::answer::parts`].
    Overview,
    /// All that a change must know, in one line: level, process, states, counters of backends and servers.
    Reading,
    /// The process: its id, age and version.
    ShowInfo,
    /// Counters of everything.
    ShowStat,
    /// The open sessions.
    ShowSessions,
    /// The workers, asked of the master.
    ShowProcesses,
    /// The counters of old workers, by process id, asked through the master.
    ShowOldStat(Vec<u32>),
    /// The sessions of an old worker, asked through the master.
    ShowOldSessions(u32),
    /// Cuts one session of an old worker, through the master.
    ShutdownOldSession(u32, SessionPointer),
    /// Puts a server in or out of service.
    SetState(ServerName, AdminWord),
    /// Gives a server another weight.
    SetWeight(ServerName, Weight),
    /// Turns a server's health check on.
    EnableHealth(ServerName),
    /// Cuts the sessions of a server.
    ShutdownSessions(ServerName),
    /// About maps and ACLs.
    Patterns(PatternCommand),
    /// What the operator typed.
    Raw(RawCommand),
    /// What the operator typed, with a payload behind it.
    RawPayload(RawCommand, Payload),
}

impl Command {
    /// Whether the other side must be told that nothing follows: the master waits for more until then, while
    /// a worker closes by itself.
    #[must_use]
    pub fn is_for_master(&self) -> bool {
        match self {
            Self::ShowProcesses
            | Self::ShowOldStat(_)
            | Self::ShowOldSessions(_)
            | Self::ShutdownOldSession(..) => true,
            Self::Raw(raw) => raw.is_for_master(),
            Self::Overview
            | Self::Reading
            | Self::ShowInfo
            | Self::ShowStat
            | Self::ShowSessions
            | Self::SetState(..)
            | Self::SetWeight(..)
            | Self::EnableHealth(_)
            | Self::ShutdownSessions(_)
            | Self::Patterns(_)
            | Self::RawPayload(..) => false,
        }
    }

    /// The bytes that go over the socket. They may hold a secret, and are wiped when dropped.
    #[must_use]
    pub fn wire(&self) -> Zeroizing<Vec<u8>> {
        if let Self::RawPayload(raw, payload) = self {
            return payload.behind(raw.as_str());
        }
        if let Self::Patterns(command) = self
            && let Some((payload, line)) = command.payload()
        {
            return payload.behind(&line);
        }
        Zeroizing::new(format!("{self}\n").into_bytes())
    }

    /// What of it HAProxy refused, in its own words. Those that hash sends by itself are judged by what is read back.
    #[must_use]
    pub fn refusal(&self, answer: &str) -> Option<String> {
        if let Self::Raw(raw) | Self::RawPayload(raw, _) = self {
            return raw.refusal(answer);
        }
        None
    }

    /// What it makes of a server.
    #[must_use]
    pub fn sets(&self) -> Option<Wanted> {
        if let Self::SetState(_, word) = self {
            return Some(Wanted::State(*word));
        }
        if let Self::SetWeight(_, weight) = self {
            return Some(Wanted::Weight(*weight));
        }
        None
    }

    /// Whether it may change something, so that it must not be sent a second time by itself.
    #[must_use]
    pub fn changes(&self) -> bool {
        match self {
            Self::SetState(..)
            | Self::SetWeight(..)
            | Self::EnableHealth(_)
            | Self::ShutdownSessions(_)
            | Self::ShutdownOldSession(..)
            | Self::RawPayload(..) => true,
            Self::Patterns(command) => command.changes(),
            Self::Raw(raw) => raw.changes(),
            Self::Overview
            | Self::Reading
            | Self::ShowInfo
            | Self::ShowStat
            | Self::ShowSessions
            | Self::ShowProcesses
            | Self::ShowOldStat(_)
            | Self::ShowOldSessions(_) => false,
        }
    }
}

/// What HAProxy calls a session: a number in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionPointer(pub u64);

impl fmt::Display for SessionPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The backends tell whether they are published.
            Self::Overview => f.write_str("show info;show servers state;show stat -1 2 -1"),
            // All three arguments of `show stat`: HAProxy ignores a lone one and prints everything.
            Self::Reading => {
                f.write_str("show cli level;show info;show servers state;show stat -1 6 -1")
            }
            Self::ShowInfo => f.write_str("show info"),
            Self::ShowStat => f.write_str("show stat"),
            Self::ShowSessions => f.write_str("show sess"),
            // The master waits for more after its answer: `quit` ends that where the end of our side does not get through.
            Self::ShowProcesses => f.write_str("show proc;quit"),
            Self::ShowOldStat(workers) => {
                for pid in workers {
                    write!(f, "@!{pid} show stat -1 4 -1;")?;
                }
                f.write_str("quit")
            }
            Self::ShowOldSessions(pid) => write!(f, "@!{pid} show sess;quit"),
            Self::ShutdownOldSession(pid, session) => {
                write!(f, "@!{pid} shutdown session {session};quit")
            }
            Self::SetState(server, word) => {
                write!(f, "set server {server} state {}", word.keyword())
            }
            Self::SetWeight(server, weight) => write!(f, "set server {server} weight {weight}"),
            Self::EnableHealth(server) => write!(f, "enable health {server}"),
            Self::ShutdownSessions(server) => write!(f, "shutdown sessions server {server}"),
            Self::Patterns(command) => command.fmt(f),
            Self::Raw(raw) => f.write_str(raw.as_str()),
            Self::RawPayload(raw, payload) => {
                let lines = payload.lines();
                let plural = if lines == 1 { "" } else { "s" };
                write!(f, "{} << ({lines} line{plural})", raw.as_str())
            }
        }
    }
}

/// A server's weight, absolute or as part of the weight in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// 0 to 256.
    Absolute(u16),
    /// Of the weight in the file; HAProxy cuts the outcome at 256.
    Percent(u16),
}

/// Why a text is no weight.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no weight: expected 0 to 256, or a percentage such as `50%`")]
pub struct WeightError(String);

impl Weight {
    /// The weight this comes to for a server with the given weight in the file.
    #[must_use]
    pub fn of(self, initial: u32) -> u32 {
        match self {
            Self::Absolute(weight) => weight.into(),
            Self::Percent(percent) => (initial.saturating_mul(percent.into()) / 100).min(256),
        }
    }
}

impl std::str::FromStr for Weight {
    type Err = WeightError;

    fn from_str(text: &str) -> Result<Self, WeightError> {
        let number = |digits: &str, most: u16| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain
                .then(|| digits.parse().ok())
                .flatten()
                .filter(|n| *n <= most)
        };
        match text.strip_suffix('%') {
            Some(digits) => number(digits, 25_600).map(Self::Percent),
            None => number(text, 256).map(Self::Absolute),
        }
        .ok_or_else(|| WeightError(text.to_owned()))
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(weight) => write!(f, "{weight}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_are_spelled_as_haproxy_wants_them() {
        let server = ServerName::parse("http/http-svc1").unwrap();
        for (command, text) in [
            (
                Command::SetState(server.clone(), AdminWord::Maint),
                "set server http/http-svc1 state maint",
            ),
            (
                Command::SetWeight(server.clone(), Weight::Percent(50)),
                "set server http/http-svc1 weight 50%",
            ),
            (
                Command::ShutdownSessions(server),
                "shutdown sessions server http/http-svc1",
            ),
            (
                Command::Overview,
                "show info;show servers state;show stat -1 2 -1",
            ),
            (
                Command::ShowOldStat(vec![7, 8]),
                "@!7 show stat -1 4 -1;@!8 show stat -1 4 -1;quit",
            ),
            (
                Command::ShutdownOldSession(7, SessionPointer(0x5581_309a_3260)),
                "@!7 shutdown session 0x5581309a3260;quit",
            ),
        ] {
            assert_eq!(command.to_string(), text);
        }
    }

    #[test]
    fn weights() {
        assert_eq!("0".parse(), Ok(Weight::Absolute(0)));
        assert_eq!("256".parse(), Ok(Weight::Absolute(256)));
        assert_eq!("150%".parse(), Ok(Weight::Percent(150)));
        for text in ["", "257", "-1", "+1", "1.5", "%", "5 %", "٣"] {
            assert!(text.parse::<Weight>().is_err(), "{text:?}");
        }
        // As HAProxy 2.6 rounds: half of 1 is 0, and 256 is the most.
        assert_eq!(Weight::Percent(50).of(1), 0);
        assert_eq!(Weight::Percent(150).of(5), 7);
        assert_eq!(Weight::Percent(25_600).of(100), 256);
    }

    proptest! {
        /// Whatever names and weights are taken, a command stays one line and one command.
        #[test]
        fn nothing_can_be_injected(backend in ".{1,12}", server in ".{1,12}", weight in ".{0,6}") {
            let Ok(name) = ServerName::new(&backend, &server) else { return Ok(()) };
            let mut commands = vec![
                Command::SetState(name.clone(), AdminWord::Drain),
                Command::ShutdownSessions(name.clone()),
                Command::EnableHealth(name.clone()),
            ];
            if let Ok(weight) = weight.parse() {
                commands.push(Command::SetWeight(name, weight));
            }
            for command in commands {
                let text = command.to_string();
                prop_assert!(!text.contains([';', '\n', '\r', '\\', '<', '#']), "{}", text);
            }
        }
    }
}
