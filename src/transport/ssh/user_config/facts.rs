//! What the machine tells about the user: names, home, environment and where the files are.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::place::ConfigError;

/// The facts a configuration is read and resolved with. Tests make their own; [`Facts::read`] asks the system.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The local user's name.
    pub user: String,
    /// The local user's number.
    pub uid: u32,
    /// The home directory.
    pub home: PathBuf,
    /// Home directories of other users, for `~name`.
    pub homes: HashMap<String, PathBuf>,
    /// This machine's name, with its domain if it has one.
    pub host_name: String,
    /// The environment; variables that are not UTF-8 are left out.
    pub env: HashMap<String, String>,
    /// The user's file, and relative to its folder what it includes.
    pub user_file: PathBuf,
    /// The system's file, and relative to its folder what it includes.
    pub system_file: PathBuf,
    /// Whether a name has an address; asked only under `CanonicalizeHostname`.
    pub resolves: fn(&str) -> bool,
}

impl Facts {
    /// Reads the facts from the system. The environment is handed in by whoever owns it (`std::env::vars_os`).
    ///
    /// Home is `$HOME`, else that of the passwd entry.
    ///
    /// # Errors
    /// When the user has no passwd entry and no `$HOME` or `$USER` instead.
    pub fn read(env: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, ConfigError> {
        let env: HashMap<String, String> = env
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let uid = rustix::process::getuid().as_raw();
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let own = passwd_entries(&users)
            .find(|entry| entry.uid == uid)
            .map(|entry| (entry.name.to_owned(), PathBuf::from(entry.home)))
            .or_else(|| ask_name_service(uid));
        let variable = |name: &str| env.get(name).filter(|value| !value.is_empty());
        let missing = |what: &str| ConfigError {
            place: "passwd".to_owned(),
            message: format!("user {uid} has no entry; set {what}"),
        };
        let home = variable("HOME")
            .map(PathBuf::from)
            .or_else(|| own.as_ref().map(|(_, home)| home.clone()))
            .ok_or_else(|| missing("HOME"))?;
        let user = own
            .map(|(name, _)| name)
            .or_else(|| variable("USER").cloned())
            .ok_or_else(|| missing("USER"))?;
        Ok(Self {
            user,
            uid,
            homes: passwd_entries(&users)
                .map(|entry| (entry.name.to_owned(), entry.home.into()))
                .collect(),
            host_name: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            user_file: home.join(".ssh/config"),
            system_file: PathBuf::from("/etc/ssh/ssh_config"),
            resolves: |name| std::net::ToSocketAddrs::to_socket_addrs(&(name, 0)).is_ok(),
            home,
            env,
        })
    }

    /// The folder of the user's SSH files.
    #[must_use]
    pub fn ssh_folder(&self) -> &Path {
        self.user_file.parent().unwrap_or(&self.home)
    }

    /// Replaces a leading `~` or `~name` by the home directory it stands for.
    pub(super) fn expand_home(&self, path: &str) -> Result<String, String> {
        let Some(rest) = path.strip_prefix('~') else {
            return Ok(path.to_owned());
        };
        let (user, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let home = if user.is_empty() {
            &self.home
        } else {
            self.homes
                .get(user)
                .ok_or_else(|| format!("`{path}`: there is no user `{user}`"))?
        };
        let home = home.to_string_lossy();
        let home = home.trim_end_matches('/');
        Ok(format!("{home}/{rest}"))
    }
}

/// A port: its number, or the name of its service.
pub(super) fn parse_port(text: &str) -> Option<u16> {
    let number = text.parse().ok().or_else(|| service_port(text));
    number.filter(|&port| port != 0)
}

/// The TCP port of a service (services(5)).
fn service_port(name: &str) -> Option<u16> {
    let text = std::fs::read_to_string("/etc/services").ok()?;
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (first, port) = (words.next()?, words.next()?.strip_suffix("/tcp")?);
        let is_it = first == name || words.any(|alias| alias == name);
        is_it.then(|| port.parse().ok()).flatten()
    })
}

struct PasswdEntry<'a> {
    name: &'a str,
    uid: u32,
    home: &'a str,
}

/// The entries of a passwd file (passwd(5)); lines that are none are passed over.
fn passwd_entries(text: &str) -> impl Iterator<Item = PasswdEntry<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let home = fields.nth(2)?;
        Some(PasswdEntry { name, uid, home })
    })
}

/// Users of a directory service are not in the file; `getent` asks what the system's own programs would.
fn ask_name_service(uid: u32) -> Option<(String, PathBuf)> {
    let answer = Command::new("getent")
        .args(["passwd", &uid.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let entry = passwd_entries(&text).find(|entry| entry.uid == uid)?;
    Some((entry.name.to_owned(), entry.home.into()))
}
