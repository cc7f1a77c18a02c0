//! The audit log as the ledger of changes: per node one line of JSON before the first write, and one with what became
//! of it.

mod append;
pub(super) mod history;
#[cfg(test)]
mod tests;

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::state;
use crate::config::{Audit, Environment, Values};
use crate::exec::change::{Entry, Ledger, LedgerRow};
use crate::transport::ssh::user_config::Facts;

/// Facility `authpriv`, severity `notice` (RFC 5424, section 6.2.1).
const PRIORITY: u8 = 10 * 8 + 5;

/// How many letters name a change.
const ID: usize = 6;

/// A line as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// When it was written, UTC.
    pub(super) time: String,
    /// Which change it is about.
    pub(super) id: String,
    /// Who made it.
    pub(super) user: String,
    /// With which verb.
    pub(super) verb: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// The change that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) undoes: Option<String>,
    /// Whether the nodes were those of the embedded lab.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) lab: bool,
    /// What is to be done on a node, or what became of it.
    #[serde(flatten)]
    pub(super) entry: Entry,
}

/// A line for syslog, which takes no long ones: one server each.
#[derive(Serialize)]
struct Short<'a> {
    id: &'a str,
    user: &'a str,
    verb: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    kind: crate::exec::change::EntryKind,
    node: &'a str,
    #[serde(flatten)]
    row: &'a LedgerRow,
}

/// What a change is, as far as the engine does not know it.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    /// The verb.
    pub(super) verb: &'static str,
    /// Why it is made.
    pub(super) reason: Option<String>,
    /// The change that it takes back.
    pub(super) undoes: Option<String>,
    /// Whether the nodes are those of the embedded lab.
    pub(super) lab: bool,
}

/// Where changes are written down.
#[derive(Debug)]
pub(super) struct Log {
    wish: Audit,
    path: Option<PathBuf>,
    syslog: bool,
    id: String,
    user: String,
    about: About,
}

/// Where the log is, if anything says so.
pub(super) fn path(values: &Values, environment: &Environment) -> Option<PathBuf> {
    match &values.audit_file {
        Some(path) => Some(PathBuf::from(path)),
        None => state::folder(environment).map(|state| state.join("audit.jsonl")),
    }
}

impl Log {
    /// The log that the configuration asks for. Nothing is opened yet.
    #[must_use]
    pub(super) fn new(values: &Values, environment: &Environment, about: About) -> Self {
        Self {
            wish: values.audit.unwrap_or(Audit::On),
            path: path(values, environment),
            syslog: values.audit_syslog.unwrap_or(false),
            id: new_id(),
            user: user(environment),
            about,
        }
    }

    /// The same log for another change.
    #[must_use]
    pub(super) fn renewed(&self) -> Self {
        Self {
            wish: self.wish,
            path: self.path.clone(),
            syslog: self.syslog,
            id: new_id(),
            user: self.user.clone(),
            about: self.about.clone(),
        }
    }

    fn line(&self, time: &str, entry: &Entry) -> Line {
        Line {
            time: time.to_owned(),
            id: self.id.clone(),
            user: self.user.clone(),
            verb: self.about.verb.to_owned(),
            reason: self.about.reason.clone(),
            undoes: self.about.undoes.clone(),
            lab: self.about.lab,
            entry: entry.clone(),
        }
    }

    fn tell_syslog(&self, entries: &[Entry]) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.connect("/dev/log")?;
        for entry in entries {
            for row in &entry.rows {
                let short = Short {
                    id: &self.id,
                    user: &self.user,
                    verb: self.about.verb,
                    reason: self.about.reason.as_deref(),
                    kind: entry.kind,
                    node: &entry.node,
                    row,
                };
                let json = serde_json::to_string(&short)?;
                let message = format!("<{PRIORITY}>hapsh[{}]: {json}", std::process::id());
                socket.send(message.as_bytes())?;
            }
        }
        Ok(())
    }
}

impl Ledger for Log {
    fn is_required(&self) -> bool {
        self.wish == Audit::Required
    }

    fn id(&self) -> Option<&str> {
        (self.wish != Audit::Off).then_some(self.id.as_str())
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), String> {
        if self.wish == Audit::Off {
            return Ok(());
        }
        let path = self
            .path
            .as_ref()
            .ok_or("neither XDG_STATE_HOME nor HOME says where the audit log is")?;
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let mut text = String::new();
        for entry in entries {
            let json = serde_json::to_string(&self.line(&time, entry));
            text.push_str(&json.map_err(|error| format!("cannot write the audit log: {error}"))?);
            text.push('\n');
        }
        append(path, &text)?;
        if self.syslog {
            self.tell_syslog(entries)
                .map_err(|error| format!("cannot write to syslog at /dev/log: {error}"))?;
        }
        Ok(())
    }
}

fn append(path: &Path, text: &str) -> Result<(), String> {
    let written = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            state::make_folder(folder)?;
        }
        append::append(path, text.as_bytes())
    };
    written().map_err(|error| format!("cannot write the audit log {}: {error}", path.display()))
}

/// A name for a change, short enough to be typed.
fn new_id() -> String {
    /// No vowels, and nothing that looks like something else.
    const LETTERS: &[u8; 27] = b"23456789bcdfghjkmnpqrstvwxz";
    (0..ID)
        .map(|_| LETTERS[fastrand::usize(..LETTERS.len())] as char)
        .collect()
}

/// Who acts: the system's name of this user, not what `$USER` claims; behind `sudo`, who called it.
pub(super) fn user(environment: &Environment) -> String {
    let uid = rustix::process::getuid();
    match environment.text("SUDO_USER") {
        Some(caller) if uid.is_root() => caller.to_owned(),
        _ => Facts::read(environment.iter())
            .map_or_else(|_| format!("uid {}", uid.as_raw()), |facts| facts.user),
    }
}
