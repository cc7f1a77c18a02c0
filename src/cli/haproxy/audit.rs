//! The audit log: one line of JSON for each server of each node that a change was about.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::state;
use crate::config::{Audit, Environment};
use crate::transport::ssh::user_config::Facts;

/// Facility `authpriv`, severity `notice` (RFC 5424, section 6.2.1).
const PRIORITY: u8 = 10 * 8 + 5;

/// What one line says.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The node.
    pub node: String,
    /// The stats socket.
    pub socket: String,
    /// Backend and server.
    pub server: String,
    /// What was sent.
    pub commands: Vec<String>,
    /// The state before, such as `RUNNING/READY`.
    pub before: String,
    /// The state that was read back; `null` when it was not.
    pub after: Option<String>,
    /// The weight before.
    pub weight_before: u32,
    /// The weight that was read back.
    pub weight_after: Option<u32>,
    /// `done`, `unchanged`, `failed`, `unverified` or `restored`.
    pub verdict: &'static str,
}

/// A line as it is written.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    user: &'a str,
    verb: &'a str,
    #[serde(flatten)]
    entry: &'a Entry,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// Where changes are written down.
#[derive(Debug)]
pub struct Log {
    wish: Audit,
    path: Option<PathBuf>,
    syslog: bool,
    user: String,
    verb: &'static str,
    reason: Option<String>,
    file: Option<File>,
    socket: Option<UnixDatagram>,
}

impl Log {
    /// The log that the configuration asks for. Nothing is opened yet.
    ///
    /// # Errors
    /// A configuration that cannot be used.
    pub fn new(
        context: &mut Context<'_>,
        verb: &'static str,
        reason: Option<String>,
    ) -> Result<Self, CliError> {
        let values = context.config()?.values.clone();
        let environment = &context.environment;
        let path = match values.audit_file {
            Some(path) => Some(PathBuf::from(path)),
            None => state::folder(environment).map(|state| state.join("audit.jsonl")),
        };
        Ok(Self {
            wish: values.audit.unwrap_or(Audit::On),
            path,
            syslog: values.audit_syslog.unwrap_or(false),
            user: user(environment),
            verb,
            reason,
            file: None,
            socket: None,
        })
    }

    /// Whether no change may be made without it.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.wish == Audit::Required
    }

    /// Opens it, before the first write. The file is nobody else's business.
    ///
    /// # Errors
    /// What the system says, with the file's name.
    pub fn open(&mut self) -> Result<(), String> {
        if self.wish == Audit::Off {
            return Ok(());
        }
        let path = self
            .path
            .as_ref()
            .ok_or("neither XDG_STATE_HOME nor HOME says where the audit log is")?;
        let opened = || -> io::Result<File> {
            if let Some(folder) = path.parent() {
                state::make_folder(folder)?;
            }
            OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)
        };
        self.file =
            Some(opened().map_err(|error| {
                format!("cannot open the audit log {}: {error}", path.display())
            })?);
        if self.syslog {
            let connected = || -> io::Result<UnixDatagram> {
                let socket = UnixDatagram::unbound()?;
                socket.connect("/dev/log")?;
                Ok(socket)
            };
            self.socket = Some(
                connected().map_err(|error| format!("cannot reach syslog at /dev/log: {error}"))?,
            );
        }
        Ok(())
    }

    /// Writes the entries down.
    ///
    /// # Errors
    /// What the system says. The change is made by then.
    pub fn write(&mut self, entries: &[Entry]) -> Result<(), String> {
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let mut text = String::new();
        for entry in entries {
            let line = Line {
                time: time.clone(),
                user: &self.user,
                verb: self.verb,
                entry,
                reason: self.reason.as_deref(),
            };
            let json = serde_json::to_string(&line)
                .map_err(|error| format!("cannot write the audit log: {error}"))?;
            if let Some(socket) = &self.socket {
                let message = format!("<{PRIORITY}>hapsh[{}]: {json}", std::process::id());
                socket
                    .send(message.as_bytes())
                    .map_err(|error| format!("cannot write to syslog: {error}"))?;
            }
            text.push_str(&json);
            text.push('\n');
        }
        if let Some(file) = &mut self.file {
            // One write, so that two runs do not mix their lines.
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_data())
                .map_err(|error| format!("cannot write the audit log: {error}"))?;
        }
        Ok(())
    }
}

/// Who acts: the system's name of this user, not what `$USER` claims; behind `sudo`, who called it.
fn user(environment: &Environment) -> String {
    let uid = rustix::process::getuid();
    match environment.text("SUDO_USER") {
        Some(caller) if uid.is_root() => caller.to_owned(),
        _ => Facts::read(environment.iter())
            .map_or_else(|_| format!("uid {}", uid.as_raw()), |facts| facts.user),
    }
}
