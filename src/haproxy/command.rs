//! Typed commands to the text that goes to the socket.
//!
//! Every part of the text is a keyword, a number or a checked name, so a line is always one command.

use std::fmt;

use super::name::ServerName;
use super::state::AdminWord;

/// A command that hash sends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The process and the states of all servers, in one line; see [`super::answer::parts`].
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
    /// Puts a server in or out of service.
    SetState(ServerName, AdminWord),
    /// Gives a server another weight.
    SetWeight(ServerName, Weight),
    /// Cuts the sessions of a server.
    ShutdownSessions(ServerName),
    /// What the operator typed.
    Raw(RawCommand),
}

impl Command {
    /// Whether the other side must be told that nothing follows: the master waits for more until then, while
    /// a worker closes by itself.
    #[must_use]
    pub fn is_for_master(&self) -> bool {
        match self {
            Self::ShowProcesses => true,
            Self::Raw(raw) => raw.is_for_master(),
            Self::Overview
            | Self::Reading
            | Self::ShowInfo
            | Self::ShowStat
            | Self::ShowSessions
            | Self::SetState(..)
            | Self::SetWeight(..)
            | Self::ShutdownSessions(_) => false,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overview => f.write_str("show info;show servers state"),
            // All three arguments of `show stat`: HAProxy ignores a lone one and prints everything.
            Self::Reading => {
                f.write_str("show cli level;show info;show servers state;show stat -1 6 -1")
            }
            Self::ShowInfo => f.write_str("show info"),
            Self::ShowStat => f.write_str("show stat"),
            Self::ShowSessions => f.write_str("show sess"),
            Self::ShowProcesses => f.write_str("show proc"),
            Self::SetState(server, word) => {
                write!(f, "set server {server} state {}", word.keyword())
            }
            Self::SetWeight(server, weight) => write!(f, "set server {server} weight {weight}"),
            Self::ShutdownSessions(server) => write!(f, "shutdown sessions server {server}"),
            Self::Raw(raw) => f.write_str(&raw.0),
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

/// A line for the socket as an operator typed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCommand(String);

/// Why a typed line is not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RawError {
    /// HAProxy would answer with its help.
    #[error("the command is empty")]
    Empty,
    /// A second line would be a second command.
    #[error("the command has a line break or another control character")]
    Control,
    /// HAProxy would take what follows for the rest of the command.
    #[error("the command ends in `<<`, which announces a payload, and there is none to send")]
    Payload,
    /// It would turn one answer into an endless conversation.
    #[error("`{0}` is for interactive use")]
    Interactive(String),
    /// HAProxy's own buffer has an end.
    #[error("the command is longer than {LONGEST_LINE} bytes")]
    TooLong,
}

/// Longest line we send, well under HAProxy's buffer (`tune.bufsize`, 16 kB).
const LONGEST_LINE: usize = 8_000;

/// Commands that only look. Everything else is taken for a change.
const LOOKING: &[&str] = &["show", "get", "help", "echo", "user", "operator", "quit"];

impl RawCommand {
    /// Checks a typed line.
    ///
    /// # Errors
    /// When sending it could do something else than it seems to say.
    pub fn parse(text: &str) -> Result<Self, RawError> {
        let text = text.trim_matches([' ', '\t']);
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(RawError::Control);
        }
        if text.len() > LONGEST_LINE {
            return Err(RawError::TooLong);
        }
        // Newer versions also take `<<END`, with a mark of their own for the end of the payload.
        let last = text.rsplit([' ', '\t']).next().unwrap_or_default();
        if last.starts_with("<<") || last.ends_with("<<") {
            return Err(RawError::Payload);
        }
        let raw = Self(text.to_owned());
        if raw.first_words().next().is_none() {
            return Err(RawError::Empty);
        }
        if let Some(word) = raw.first_words().find(|word| *word == "prompt") {
            return Err(RawError::Interactive(word.to_owned()));
        }
        Ok(raw)
    }

    /// Whether any of its commands may change something.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.first_words().any(|word| !LOOKING.contains(&word))
    }

    /// Whether it is for the master's socket, which does not close after its answer.
    #[must_use]
    pub fn is_for_master(&self) -> bool {
        let words: Vec<&str> = self.0.split_ascii_whitespace().take(2).collect();
        self.0.starts_with('@') || words == ["show", "proc"] || words == ["reload"]
    }

    /// The keyword of each command of the line. HAProxy parts commands at `;` unless a backslash stands
    /// before it; parting at those as well can only make us more careful. `@1` and the like choose a
    /// worker at the master's socket.
    fn first_words(&self) -> impl Iterator<Item = &str> {
        self.0.split(';').filter_map(|command| {
            command
                .split_ascii_whitespace()
                .find(|word| !word.starts_with('@'))
        })
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
            (Command::Overview, "show info;show servers state"),
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

    #[test]
    fn raw_knows_changes() {
        for (text, changes) in [
            ("show info", false),
            ("show info; show stat", false),
            ("  show\tinfo ;", false),
            ("@1 show info", false),
            ("get weight a/b", false),
            ("show info;set server a/b state maint", true),
            ("clear counters", true),
            ("@1 shutdown sessions server a/b", true),
            ("show env;# x", true),
            ("Show info", true),
        ] {
            assert_eq!(
                RawCommand::parse(text).unwrap().changes(),
                changes,
                "{text}"
            );
        }
    }

    #[test]
    fn raw_knows_the_master() {
        for (text, master) in [
            ("show proc", true),
            ("@1 show info", true),
            ("@!77 show sess", true),
            ("reload", true),
            ("show info", false),
            ("show processes", false),
        ] {
            assert_eq!(
                RawCommand::parse(text).unwrap().is_for_master(),
                master,
                "{text}"
            );
        }
    }

    #[test]
    fn raw_refuses_what_is_not_one_line() {
        assert_eq!(RawCommand::parse(" ;; "), Err(RawError::Empty));
        assert_eq!(RawCommand::parse("show info\nx"), Err(RawError::Control));
        assert_eq!(RawCommand::parse("show info\r"), Err(RawError::Control));
        for text in ["add map #1 <<", "add map #1 << ", "add map #1 <<END", "x<<"] {
            assert_eq!(RawCommand::parse(text), Err(RawError::Payload), "{text}");
        }
        assert_eq!(
            RawCommand::parse("show info; prompt"),
            Err(RawError::Interactive("prompt".to_owned()))
        );
        assert_eq!(
            RawCommand::parse(&"x".repeat(9_000)),
            Err(RawError::TooLong)
        );
    }

    proptest! {
        /// Whatever names and weights are taken, a command stays one line and one command.
        #[test]
        fn nothing_can_be_injected(backend in ".{1,12}", server in ".{1,12}", weight in ".{0,6}") {
            let Ok(name) = ServerName::new(&backend, &server) else { return Ok(()) };
            let mut commands = vec![
                Command::SetState(name.clone(), AdminWord::Drain),
                Command::ShutdownSessions(name.clone()),
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
