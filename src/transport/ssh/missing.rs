//! What the configuration asks for and only the system's `ssh` does: named, with the way to it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::questions::Questions;
use super::user_config::HostSettings;
use crate::event::{ErrorCode, Failure};

/// How long a master of `ssh` may take to be reached; it is a program of this machine.
const NEAR: Duration = Duration::from_secs(1);

/// The options that were named in this run.
#[derive(Debug, Default)]
pub(super) struct Missing(Mutex<HashSet<&'static str>>);

impl Missing {
    /// Names what a host's settings ask for in vain, unless it was named before. `way` chooses the system's `ssh`.
    pub(super) fn name(&self, settings: &HostSettings, way: &str, questions: &Questions) {
        if settings.unused.is_empty() || !settings.warnings {
            return;
        }
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missed = settings.unused.iter().filter(|option| option.is_missed);
        let new: Vec<&str> = missed
            .map(|option| option.name)
            .filter(|name| named.insert(name))
            .collect();
        if let Some(text) = words(&new, way) {
            questions.warn_once(&text);
        }
    }
}

/// What is said of options that have no effect.
fn words(names: &[&str], way: &str) -> Option<String> {
    let (last, before) = names.split_last()?;
    let (list, have) = match before {
        [] => ((*last).to_owned(), "has"),
        _ => (format!("{} and {last}", before.join(", ")), "have"),
    };
    // These are switched off for commands on many nodes, unless they are asked for by name.
    let by_name = names
        .iter()
        .filter(|name| matches!(**name, "ForwardAgent" | "ForwardX11"));
    let way = by_name.fold(way.to_owned(), |way, name| format!("{way} -o {name}=yes"));
    Some(format!(
        "{list} of the SSH configuration {have} no effect here, only with {way}"
    ))
}

/// Adds to a failed login that a connection of `ssh` is open, which needs none.
pub(super) async fn name_master(failure: &mut Failure, settings: &HostSettings, way: &str) {
    if let Some(path) = &settings.control_path
        && failure.code == ErrorCode::Auth
        && is_open(path).await
    {
        let path = path.display();
        failure.message.push_str(&format!(
            "; a master of ssh is open at {path}, and {way} uses it"
        ));
    }
}

async fn is_open(path: &Path) -> bool {
    matches!(timeout(NEAR, UnixStream::connect(path)).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_named_with_the_way_to_them() {
        assert_eq!(words(&[], "-R ssh"), None);
        assert_eq!(
            words(&["RequestTTY"], "-R ssh").unwrap(),
            "RequestTTY of the SSH configuration has no effect here, only with -R ssh"
        );
        assert_eq!(
            words(&["ForwardAgent", "Tunnel", "LocalForward"], "-R openssh").unwrap(),
            "ForwardAgent, Tunnel and LocalForward of the SSH configuration have no effect here, \
             only with -R openssh -o ForwardAgent=yes"
        );
    }
}
