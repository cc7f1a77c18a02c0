//! The system's `ssh`, one process for each command (`-R ssh`): for Kerberos, hardware tokens, whatever we lack.
//!
//! It reads its own configuration and keeps its own `known_hosts`; we hand over user, options and the connect limit. It
//! is in a process group of its own and cannot ask anything: `BatchMode=yes`, unless the options say otherwise.
//! Why it failed is told from its words; with `LogLevel ERROR` it keeps some to itself, and 255 is then all there is.

use std::borrow::Cow;
use std::time::Duration;

use super::child;
use super::input;
use super::pipe::Pipe;
use super::relay::{self, Via, Wanted};
use super::ssh::errors::{lower, printable};
use super::{BoxFuture, Command, Duplex, Endpoint, LoginUser, NodeIo, Session, Transport};
use crate::destination::Destination;
use crate::event::{ErrorCode, Failure, Outcome};
use crate::plan::{Limits, NodeName};
use crate::trace::Trace;

/// What `ssh` returns when it failed itself, and also when the command returned just that.
const SSH_FAILED: u8 = 255;

/// The transport over the system's `ssh`.
#[derive(Debug, Clone)]
pub struct OpenSsh {
    /// The program and words that always come first, such as `ssh` or `sshpass -e ssh`.
    pub program: Vec<String>,
    /// Words for it, such as `-oPort=2222`, `-F`, `FILE`. They come before our own, and `ssh` keeps the first value.
    pub options: Vec<String>,
    /// Whom to log in as.
    pub user: LoginUser,
    /// How sockets on the nodes are reached; `ssh` cannot forward to them by itself.
    pub via: Via,
    /// What wants to know of the way to the nodes.
    pub trace: Trace,
}

impl Default for OpenSsh {
    fn default() -> Self {
        Self {
            program: vec!["ssh".to_owned()],
            options: Vec::new(),
            user: LoginUser::default(),
            via: Via::Auto,
            trace: Trace::default(),
        }
    }
}

impl OpenSsh {
    /// The words of the process that runs `line` on a node, as `clush` has them.
    #[must_use]
    pub fn argv(&self, node: &str, limits: &Limits, pty: bool, line: &str) -> Vec<String> {
        let mut words = self.program.clone();
        words.extend(self.options.iter().cloned());
        words.extend(["-oForwardAgent=no", "-oForwardX11=no"].map(str::to_owned));
        let destination = Destination::parse(node).ok();
        let has_user = destination.as_ref().is_some_and(|node| node.user.is_some());
        if let Some(user) = self.user.beside(has_user) {
            words.extend(["-l".to_owned(), user.to_owned()]);
        }
        if let Some(limit) = limits.connect.filter(|limit| !limit.is_zero()) {
            let seconds = limit.max(Duration::from_secs(1)).as_secs();
            words.push(format!("-oConnectTimeout={seconds}"));
        }
        words.push("-oBatchMode=yes".to_owned());
        if pty {
            words.push("-tt".to_owned());
        } else if line.is_empty() {
            // A login shell, without the complaint that there is no terminal.
            words.push("-T".to_owned());
        }
        let mut name = node.to_owned();
        // `ssh` takes no address in brackets, some versions not even behind `ssh://`.
        if let Some(destination) = destination.filter(|_| node.contains('[')) {
            name = destination.host.to_owned();
            if let Some(user) = destination.user {
                name = format!("{user}@{name}");
            }
            words.extend(destination.port.map(|port| format!("-oPort={port}")));
        }
        if name.starts_with('-') {
            words.push("--".to_owned());
        }
        words.extend([name, line.to_owned()]);
        words
    }
}

impl Transport for OpenSsh {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        let session = SshSession {
            ssh: self.clone(),
            node: node.clone(),
            limits: *limits,
        };
        Box::pin(async { Ok(Box::new(session) as Box<dyn Session>) })
    }
}

#[derive(Debug, Clone)]
struct SshSession {
    ssh: OpenSsh,
    node: NodeName,
    limits: Limits,
}

impl SshSession {
    /// Who logs in, if we know.
    fn user(&self) -> Option<String> {
        let login = &self.ssh.user;
        let named = Destination::parse(&self.node).ok()?.user;
        let named = named.map(Cow::into_owned);
        login
            .asked
            .clone()
            .or(named)
            .or_else(|| login.usual.clone())
    }

    fn process(&self, pty: bool, line: &str) -> tokio::process::Command {
        let words = self.ssh.argv(&self.node, &self.limits, pty, line);
        // What is run there is no part of the way.
        let before = words.len().saturating_sub(1);
        self.ssh
            .trace
            .full(&self.node, || format!("by {}", words[..before].join(" ")));
        let mut words = words.into_iter();
        let mut process = tokio::process::Command::new(words.next().unwrap_or_default());
        process.args(words);
        process
    }

    fn cannot_start(&self, error: &std::io::Error) -> Failure {
        let program = self.ssh.program.first().map_or("", String::as_str);
        Failure::new(
            ErrorCode::ExecRefused,
            format!("cannot start `{program}`: {error}; install it or use the native worker"),
        )
    }

    /// What the end of a process means.
    fn outcome(&self, ended: &child::Ended, pty: bool) -> Outcome {
        if let Some(error) = &ended.unfed {
            return input::unreadable(error);
        }
        let outcome = ended.status.map(child::outcome);
        match outcome {
            Some(Outcome::Exited { status: SSH_FAILED }) if !ended.stopped => {
                match explain(&ended.said) {
                    Some(failure) => Outcome::Failed(failure),
                    // Nothing that `ssh` would say, so it was the command's own status.
                    None => Outcome::Exited { status: SSH_FAILED },
                }
            }
            Some(Outcome::Exited { status }) if status != SSH_FAILED => Outcome::Exited { status },
            Some(killed @ Outcome::Killed { .. }) if !ended.stopped => killed,
            _ => Outcome::failed(
                ErrorCode::Stopped,
                if pty {
                    "stopped"
                } else {
                    "stopped; the command may still be running"
                },
            ),
        }
    }
}

impl Session for SshSession {
    fn exec<'a>(&'a mut self, command: &'a Command, io: &'a mut NodeIo) -> BoxFuture<'a, Outcome> {
        self.begin(command.clone(), io.clone())
    }

    fn begin(&mut self, command: Command, mut io: NodeIo) -> BoxFuture<'static, Outcome> {
        let session = self.clone();
        Box::pin(async move {
            let process = session.process(command.pty, &command.line);
            match child::run(process, command.stdin, &mut io).await {
                Ok(ended) => session.outcome(&ended, command.pty),
                Err(error) => Outcome::Failed(session.cannot_start(&error)),
            }
        })
    }

    fn is_logged_in(&self) -> bool {
        false
    }

    fn open<'a>(
        &'a mut self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        Box::pin(async move {
            let (via, user) = (self.ssh.via.clone(), self.user());
            let wanted = Wanted {
                endpoint,
                via: &via,
                user: user.as_deref().unwrap_or("the user"),
                is_become: false,
                refused: None,
            };
            let opened = relay::open(self, wanted).await?;
            let by = opened.by;
            self.ssh
                .trace
                .brief(&self.node, || format!("{endpoint} by {by}"));
            Ok(opened.stream)
        })
    }

    fn subsystem<'a>(
        &'a mut self,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        Box::pin(async move {
            let mut ssh = self.ssh.clone();
            ssh.program.push("-s".to_owned());
            let mut session = Self {
                ssh,
                node: self.node.clone(),
                limits: self.limits,
            };
            let about = format!("the subsystem {name}");
            let pipe = Pipe::start(&mut session, &about, name.to_owned());
            Ok(Box::new(pipe) as Box<dyn Duplex>)
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

/// What `ssh` says when it fails, in part, and what that means. The first row that is found in a line wins.
const COMPLAINTS: &[(&str, ErrorCode)] = &[
    ("Could not resolve hostname", ErrorCode::Resolve),
    ("Exceeded MaxStartups", ErrorCode::MaxStartups),
    ("Not allowed at this time", ErrorCode::MaxStartups),
    (
        "timed out during banner exchange",
        ErrorCode::HandshakeTimeout,
    ),
    ("banner exchange: Connection to", ErrorCode::Closed),
    ("banner line contains invalid characters", ErrorCode::NotSsh),
    (
        "Bad remote protocol version identification",
        ErrorCode::NotSsh,
    ),
    ("kex_exchange_identification: ", ErrorCode::Closed),
    ("ssh_exchange_identification: ", ErrorCode::Closed),
    ("ssh: connect to host", ErrorCode::Connect),
    ("Host key verification failed", ErrorCode::HostKey),
    ("no matching", ErrorCode::Algorithm),
    ("Too many authentication failures", ErrorCode::Auth),
    ("Permission denied (", ErrorCode::Auth),
    ("No supported authentication methods", ErrorCode::Auth),
    ("Session open refused by peer", ErrorCode::SessionRefused),
    ("channel 0: open failed", ErrorCode::SessionRefused),
    ("exec request failed", ErrorCode::ExecRefused),
    ("Bad packet length", ErrorCode::Protocol),
    ("Corrupted MAC", ErrorCode::Protocol),
    ("ssh_dispatch_run_fatal", ErrorCode::Protocol),
    ("Timeout, server", ErrorCode::Lost),
    ("client_loop: ", ErrorCode::Lost),
    ("packet_write_wait", ErrorCode::Lost),
    ("closed by remote host", ErrorCode::Lost),
    ("closed by UNKNOWN", ErrorCode::Closed),
    ("Connection closed by", ErrorCode::Closed),
    ("Connection reset by", ErrorCode::Closed),
    ("Bad configuration option", ErrorCode::ExecRefused),
    ("Bad owner or permissions", ErrorCode::ExecRefused),
    ("command-line", ErrorCode::ExecRefused),
    ("terminating, ", ErrorCode::ExecRefused),
];

/// What `ssh` said about its failure, in its own words; `None` when none of them are there.
fn explain(said: &[u8]) -> Option<Failure> {
    let text = String::from_utf8_lossy(said);
    let lines = text.lines().rev().map(str::trim);
    let (line, code) = lines
        .flat_map(|line| COMPLAINTS.iter().map(move |row| (line, row)))
        .find_map(|(line, (part, code))| line.contains(part).then_some((line, *code)))?;
    let is_connect = code == ErrorCode::Connect;
    let code = if is_connect && line.ends_with("Connection refused") {
        ErrorCode::Refused
    } else if is_connect && line.ends_with("timed out") {
        ErrorCode::TimeoutConnect
    } else {
        code
    };
    let text = printable(line.as_bytes(), 200);
    let text = text.strip_prefix("ssh: ").unwrap_or(&text);
    Some(if code == ErrorCode::Lost {
        Failure::new(code, "connection lost; the command may still be running").detail(text)
    } else {
        let (message, place) = without_place(text);
        let failure = Failure::new(code, message);
        match place {
            Some(place) => failure.detail(place),
            None => failure,
        }
    })
}

/// Parts what `ssh` says into what is the same for all nodes and the host that it names.
fn without_place(text: &str) -> (String, Option<&str>) {
    let named = |start: &str| text.strip_prefix(start)?.split_once(": ");
    if let Some((host, why)) = named("Could not resolve hostname ") {
        (format!("cannot resolve: {}", lower(why)), Some(host))
    } else if let Some((place, why)) =
        named("connect to host ").or_else(|| named("Unable to negotiate with "))
    {
        (lower(why), Some(place))
    } else if let Some((start, place)) = ["Connection closed by ", "Connection reset by "]
        .into_iter()
        .find_map(|start| Some((start, text.strip_prefix(start)?)))
    {
        (lower(start.trim_end_matches(" by ")), Some(place))
    } else if let Some((place, why)) = text
        .split_once(": ")
        .filter(|(place, _)| place.contains('@'))
    {
        (lower(why), Some(place))
    } else {
        (text.to_owned(), None)
    }
}

#[cfg(test)]
mod tests;
