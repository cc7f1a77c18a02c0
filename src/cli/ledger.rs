//! The audit log as the ledger of changes: one line of JSON for each server of each node that a change was about.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::Serialize;

use super::state;
use crate::config::{Audit, Environment, Values};
use crate::exec::change::{Entry, Ledger};
use crate::transport::ssh::user_config::Facts;

/// Facility `authpriv`, severity `notice` (RFC 5424, section 6.2.1).
const PRIORITY: u8 = 10 * 8 + 5;

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
pub(super) struct Log {
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
    #[must_use]
    pub(super) fn new(
        values: &Values,
        environment: &Environment,
        verb: &'static str,
        reason: Option<String>,
    ) -> Self {
        let path = match &values.audit_file {
            Some(path) => Some(PathBuf::from(path)),
            None => state::folder(environment).map(|state| state.join("audit.jsonl")),
        };
        Self {
            wish: values.audit.unwrap_or(Audit::On),
            path,
            syslog: values.audit_syslog.unwrap_or(false),
            user: user(environment),
            verb,
            reason,
            file: None,
            socket: None,
        }
    }
}

impl Ledger for Log {
    fn is_required(&self) -> bool {
        self.wish == Audit::Required
    }

    fn open(&mut self) -> Result<(), String> {
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

    fn write(&mut self, entries: &[Entry]) -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn log(folder: &std::path::Path, audit: Audit, file: Option<&str>) -> Log {
        let environment: Environment = [
            ("XDG_STATE_HOME", folder.as_os_str()),
            ("USER", "x".as_ref()),
        ]
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
        let values = Values {
            audit: Some(audit),
            audit_file: file.map(str::to_owned),
            ..Values::built_in()
        };
        Log::new(&values, &environment, "test", Some("a reason".to_owned()))
    }

    fn entry() -> Entry {
        Entry {
            node: "lb1".to_owned(),
            socket: "/run/haproxy/admin.sock".to_owned(),
            server: "b/s".to_owned(),
            commands: vec!["set server b/s state maint".to_owned()],
            before: "RUNNING/READY".to_owned(),
            after: None,
            weight_before: 1,
            weight_after: None,
            verdict: "unverified",
        }
    }

    #[test]
    fn a_line_of_json_for_each_entry() {
        let home = tempfile::tempdir().unwrap();
        let mut log = log(home.path(), Audit::On, None);
        log.open().unwrap();
        log.write(&[entry(), entry()]).unwrap();
        let text = std::fs::read_to_string(home.path().join("hash/audit.jsonl")).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        for (key, value) in [
            ("verb", "test"),
            ("node", "lb1"),
            ("server", "b/s"),
            ("verdict", "unverified"),
            ("reason", "a reason"),
        ] {
            assert_eq!(lines[0][key], value, "{key}");
        }
        assert!(lines[0]["after"].is_null());
        let user = lines[0]["user"].as_str().unwrap();
        assert!(
            !user.is_empty() && user != "x",
            "the system's name, not $USER: {user}"
        );
    }

    #[test]
    fn what_cannot_be_opened_is_named() {
        let home = tempfile::tempdir().unwrap();
        let file = Some("/dev/null/audit.jsonl");
        let mut required = log(home.path(), Audit::Required, file);
        assert!(required.is_required());
        let error = required.open().unwrap_err();
        assert!(
            error.starts_with("cannot open the audit log /dev/null/audit.jsonl: "),
            "{error}"
        );
        assert!(!log(home.path(), Audit::On, file).is_required());
        assert_eq!(log(home.path(), Audit::Off, file).open(), Ok(()));
    }
}
