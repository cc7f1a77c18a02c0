//! Answers of the Runtime API, told apart by their shape: there is no exit status, and even a success may be
//! a sentence (HAProxy management guide, section 9.3; checked with 2.6 and 3.5).
//!
//! An acceptance proves nothing; what a change did is only known by reading the state back.

use std::borrow::Cow;
use std::fmt;

use super::name::ServerName;
use super::state::{AdminState, CheckState, Server};
use crate::event::harmless;

/// Why an answer is not the one hoped for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not even a line end came.
    #[error("HAProxy closed the connection without an answer; it may be overloaded or restarting")]
    Empty,
    /// The end is missing.
    #[error("the answer of HAProxy ended too early")]
    Cut,
    /// The level of the socket is too low.
    #[error("permission denied by HAProxy: the level of this socket is too low for the command")]
    Permission,
    /// HAProxy does not know the command.
    #[error("this HAProxy has no such command: {0}")]
    Unknown(String),
    /// HAProxy said no, in its own words.
    #[error("HAProxy refused: {0}")]
    Refused(String),
    /// The answer looks like none we know.
    #[error("unexpected answer of HAProxy: {0}")]
    Shape(String),
}

/// The most of an answer that is quoted in a message.
const QUOTED: usize = 200;

/// The first line of an answer, for a message.
pub(super) fn quote(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default().trim();
    harmless(&line.chars().take(QUOTED).collect::<String>())
}

/// Sorts out what is no answer to the question at all, whatever the question was.
///
/// # Errors
/// When HAProxy did not run the command.
pub fn check(answer: &[u8]) -> Result<Cow<'_, str>, AnswerError> {
    let text = String::from_utf8_lossy(answer);
    if answer.is_empty() {
        return Err(AnswerError::Empty);
    }
    let start = text.trim_start();
    if start.starts_with("Permission denied") {
        return Err(AnswerError::Permission);
    }
    if start.starts_with("Unknown command") {
        return Err(AnswerError::Unknown(quote(start)));
    }
    Ok(text)
}

/// Judges the answer to a `set server ... state|weight` or `shutdown sessions`: silence is consent.
///
/// # Errors
/// Anything but one empty line.
pub fn accepted(answer: &[u8]) -> Result<(), AnswerError> {
    let text = check(answer)?;
    if text == "\n" {
        Ok(())
    } else if text.trim().is_empty() {
        Err(AnswerError::Shape("nothing but blank lines".to_owned()))
    } else {
        Err(AnswerError::Refused(quote(&text)))
    }
}

/// Whether a worker's question was answered by the master: it knows commands that no worker has, and lists them.
#[must_use]
pub fn is_from_master(answer: &[u8]) -> bool {
    /// So much of an answer holds the list.
    const LIST: usize = 8 << 10;
    let start = &answer[..answer.len().min(LIST)];
    let has = |text: &[u8]| start.windows(text.len()).any(|window| window == text);
    has(b"Unknown command") && has(b"\n  show proc ") && has(b"\n  quit ")
}

/// The answers to the commands of one line, each with the empty line that ends it. The last part is the
/// rest, whole or not.
///
/// # Errors
/// When nothing came at all.
pub fn parts<const N: usize>(answer: &[u8]) -> Result<[&[u8]; N], AnswerError> {
    if answer.is_empty() {
        return Err(AnswerError::Empty);
    }
    let mut parts: [&[u8]; N] = [&[]; N];
    let mut rest = answer;
    for (number, part) in parts.iter_mut().enumerate() {
        let end = if number + 1 == N {
            rest.len()
        } else {
            match rest.windows(2).position(|two| two == b"\n\n") {
                Some(at) => at + 2,
                // An answer of another kind, such as a refusal: its own parser says what is wrong.
                None => rest.len(),
            }
        };
        (*part, rest) = rest.split_at(end);
    }
    Ok(parts)
}

/// The lines of a table: everything before the empty line that ends the answer.
fn table(text: &str, looks_right: impl Fn(&str) -> bool) -> Result<&str, AnswerError> {
    if !looks_right(text) {
        return Err(AnswerError::Shape(quote(text)));
    }
    text.strip_suffix("\n\n").ok_or(AnswerError::Cut)
}

/// Where the columns are that we need.
pub(super) fn columns<const N: usize>(
    header: &[&str],
    names: [&str; N],
) -> Result<[usize; N], AnswerError> {
    let mut found = [0; N];
    for (place, name) in found.iter_mut().zip(names) {
        *place = header
            .iter()
            .position(|column| *column == name)
            .ok_or_else(|| AnswerError::Shape(format!("no column `{name}`")))?;
    }
    Ok(found)
}

/// The name in a row.
pub(super) fn row_name(backend: &str, server: &str) -> Result<ServerName, AnswerError> {
    ServerName::new(backend, server)
        .map_err(|error| AnswerError::Shape(format!("{}: {error}", quote(backend))))
}

/// The rows of `show servers state`, in the order of the configuration.
///
/// # Errors
/// When the answer is anything else, of another version, or not whole.
pub fn servers(answer: &[u8]) -> Result<Vec<Server>, AnswerError> {
    let text = check(answer)?;
    let table = table(&text, |text| text.starts_with("1\n# be_id "))?;
    let mut lines = table.lines().skip(1);
    let header: Vec<&str> = lines
        .next()
        .unwrap_or_default()
        .trim_start_matches("# ")
        .split(' ')
        .collect();
    let wanted = columns(
        &header,
        [
            "be_name",
            "srv_name",
            "srv_op_state",
            "srv_admin_state",
            "srv_uweight",
            "srv_iweight",
        ],
    )?;
    let column = |name: &str| header.iter().position(|column| *column == name);
    let [backend_id, id, host, port, check, agent, result] = [
        "be_id",
        "srv_id",
        "srv_addr",
        "srv_port",
        "srv_check_state",
        "srv_agent_state",
        "srv_check_result",
    ]
    .map(column);
    lines
        .filter(|line| !is_internal(line, wanted[0], wanted[1]))
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            // The last row of a cut answer may be short; a row never is.
            if fields.len() < header.len() {
                return Err(AnswerError::Shape(quote(line)));
            }
            let [backend, server, operational, admin, weight, initial] =
                wanted.map(|column| fields[column]);
            let number = |text: &str| {
                text.parse::<u32>()
                    .map_err(|_| AnswerError::Shape(quote(line)))
            };
            Ok(Server {
                name: row_name(backend, server)?,
                operational: number(operational)?.into(),
                admin: AdminState(number(admin)?),
                weight: number(weight)?,
                initial_weight: number(initial)?,
                backend_id: backend_id.and_then(|column| fields[column].parse().ok()),
                id: id.and_then(|column| fields[column].parse().ok()),
                check: mask(check.map(|column| fields[column])),
                agent: mask(agent.map(|column| fields[column])),
                check_passed: result.and_then(|column| passed(fields[column])),
                is_published: true,
                address: host.and_then(|column| address(fields[column], port.map(|at| fields[at]))),
            })
        })
        .collect()
}

/// The mask of a check; a version that has none of it has no check there.
fn mask(text: Option<&str>) -> CheckState {
    CheckState(text.and_then(|text| text.parse().ok()).unwrap_or_default())
}

/// Whether a check passed, by the number of its result.
fn passed(result: &str) -> Option<bool> {
    match result {
        "2" => Some(false),
        // The second is passed with conditions.
        "3" | "4" => Some(true),
        _ => None,
    }
}

/// Whether a line is about a server of HAProxy's own, which no operator means.
fn is_internal(line: &str, backend: usize, server: usize) -> bool {
    let field = |column: usize| line.split(' ').nth(column).unwrap_or_default();
    is_internal_proxy(field(backend), field(server))
}

/// HAProxy 2.4 with a master shows its workers as servers of a backend `MASTER`; others have names in angle brackets.
pub(super) fn is_internal_proxy(backend: &str, server: &str) -> bool {
    let worker = server
        .strip_prefix("cur-")
        .or_else(|| server.strip_prefix("old-"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    backend.starts_with('<') || (backend == "MASTER" && worker.is_some_and(is_number))
}

/// An address with its port, in brackets where it needs them; HAProxy writes `-` for none and 0 for no port.
fn address(host: &str, port: Option<&str>) -> Option<String> {
    if host.is_empty() || host == "-" {
        return None;
    }
    Some(match port.filter(|port| !matches!(*port, "" | "-" | "0")) {
        Some(port) if host.contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// What a connection may do: `show cli level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Looks at most things.
    User,
    /// Looks at everything.
    Operator,
    /// Changes.
    Admin,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Operator => "operator",
            Self::Admin => "admin",
        })
    }
}

/// Reads the answer to `show cli level`.
///
/// # Errors
/// When the answer is anything else.
pub fn level(answer: &[u8]) -> Result<Level, AnswerError> {
    let text = check(answer)?;
    match text.trim() {
        "user" => Ok(Level::User),
        "operator" => Ok(Level::Operator),
        "admin" => Ok(Level::Admin),
        other => Err(AnswerError::Shape(quote(other))),
    }
}

/// What of `show info` matters for a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    /// The version, such as `2.6.12-1+deb12u4`.
    pub version: String,
    /// The worker's process id; another one after a reload.
    pub pid: u32,
    /// How many processes share the configuration (always 1 since 2.5).
    pub processes: u32,
    /// Seconds since the worker's start.
    pub uptime: u64,
    /// When the worker was started, in seconds since 1970: its process id alone is not enough where there are few
    /// processes, as in a container.
    pub started: Option<u64>,
    /// Whether it is an old worker on its way out.
    pub stopping: bool,
}

impl Info {
    /// Whether this is another process than the one that said that: what was set there is forgotten.
    #[must_use]
    pub fn is_other_than(&self, before: &Self) -> bool {
        let started = |one: &Self, other: &Self| one.started.zip(other.started);
        self.pid != before.pid || started(self, before).is_some_and(|(now, then)| now != then)
    }
}

/// Reads the answer to `show info`.
///
/// # Errors
/// When the answer is anything else, or names no process.
pub fn info(answer: &[u8]) -> Result<Info, AnswerError> {
    let text = check(answer)?;
    let table = table(&text, |text| text.starts_with("Name: "))?;
    let mut info = Info {
        processes: 1,
        ..Info::default()
    };
    for (key, value) in table.lines().filter_map(|line| line.split_once(": ")) {
        let shape = || AnswerError::Shape(format!("{key}: {}", quote(value)));
        match key {
            "Version" => info.version = value.to_owned(),
            "Pid" => info.pid = value.parse().map_err(|_| shape())?,
            "Nbproc" => info.processes = value.parse().map_err(|_| shape())?,
            "Uptime_sec" => info.uptime = value.parse().map_err(|_| shape())?,
            "Start_time_sec" => info.started = Some(value.parse().map_err(|_| shape())?),
            "Stopping" => info.stopping = value != "0",
            _ => {}
        }
    }
    if info.pid == 0 {
        return Err(AnswerError::Shape("no `Pid` in `show info`".to_owned()));
    }
    Ok(info)
}

/// The backends of `show backend`, those without a server too.
///
/// # Errors
/// When the answer is anything else or not whole.
pub fn backends(answer: &[u8]) -> Result<Vec<String>, AnswerError> {
    let text = check(answer)?;
    let table = table(&text, |text| text.starts_with("# name\n"))?;
    Ok(table.lines().skip(1).map(str::to_owned).collect())
}

/// The weight now and in the file: `get weight`.
///
/// # Errors
/// When the answer is anything else.
pub fn weight(answer: &[u8]) -> Result<(u32, u32), AnswerError> {
    let text = check(answer)?;
    let numbers = text
        .trim()
        .split_once(" (initial ")
        .and_then(|(now, initial)| {
            let initial = initial.strip_suffix(')')?;
            Some((now.parse().ok()?, initial.parse().ok()?))
        });
    numbers.ok_or_else(|| AnswerError::Refused(quote(&text)))
}

/// The workers of a master, by process id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workers {
    /// Those that the master counts as current. After a reload that failed it may be none.
    pub current: Vec<u32>,
    /// Those from before a reload, which still serve connections.
    pub old: Vec<u32>,
}

/// Reads the master's `show proc`.
///
/// # Errors
/// When the answer is anything else.
pub fn workers(answer: &[u8]) -> Result<Workers, AnswerError> {
    let text = check(answer)?;
    if !text.starts_with("#<PID>") {
        return Err(AnswerError::Shape(quote(&text)));
    }
    let listed = |heading: &str| {
        text.lines()
            .skip_while(move |line| !line.starts_with(heading))
            .skip(1)
            .take_while(|line| !line.starts_with('#') && !line.is_empty())
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .collect()
    };
    Ok(Workers {
        current: listed("# workers"),
        old: listed("# old workers"),
    })
}

#[cfg(test)]
mod tests;
