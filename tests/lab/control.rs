//! A HAProxy of the lab in the hands of somebody else: another operator, or what happens to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::process::{children, until};
use super::{ask, is_settled, server_rows};

/// One HAProxy; it may be handed to another thread.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    pub(super) admin: PathBuf,
    pub(super) master: Pid,
    pub(super) sshd: Pid,
    pub(super) log: PathBuf,
    pub(super) thaws: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Control {
    /// Asks, if it answers.
    pub(crate) fn try_cli(&self, command: &str) -> Option<String> {
        ask(&self.admin, command)
            .ok()
            .filter(|answer| !answer.is_empty())
    }

    /// Asks; it must answer.
    pub(crate) fn cli(&self, command: &str) -> String {
        let answer = self.try_cli(command);
        answer.unwrap_or_else(|| panic!("{} does not answer", self.admin.display()))
    }

    /// The worker that answers.
    pub(crate) fn worker(&self) -> Option<Pid> {
        let info = self.try_cli("show info")?;
        let pid = info.lines().find_map(|line| line.strip_prefix("Pid: "))?;
        Pid::from_raw(pid.parse().ok()?)
    }

    /// Begins a reload, as `systemctl reload` does.
    pub(crate) fn begin_reload(&self) {
        let _ = kill_process(self.master, Signal::USR2);
    }

    /// Reloads, and waits until the new worker answers.
    pub(crate) fn reload(&self) {
        let old = self.worker();
        self.begin_reload();
        until("a reload", Some(&self.log), || {
            self.worker().is_some_and(|new| Some(new) != old)
        });
    }

    /// Freezes the worker for so long.
    pub(crate) fn freeze(&self, time: Duration) {
        let Some(worker) = self.worker() else { return };
        let _ = kill_process(worker, Signal::STOP);
        let thaw = std::thread::spawn(move || {
            std::thread::sleep(time);
            let _ = kill_process(worker, Signal::CONT);
        });
        self.thaws.lock().expect("thaws").push(thaw);
    }

    /// Waits until nothing is frozen any more.
    pub(crate) fn thaw(&self) {
        let thaws: Vec<_> = self.thaws.lock().expect("thaws").drain(..).collect();
        for thaw in thaws {
            thaw.join().expect("a thaw");
        }
    }

    /// Kills the worker, with which its master ends, too.
    pub(crate) fn kill(&self) {
        if let Some(worker) = self.worker() {
            let _ = kill_process(worker, Signal::KILL);
        }
    }

    /// Cuts the SSH connections to the node; new ones are taken.
    pub(crate) fn sever(&self) {
        for session in children(self.sshd) {
            let _ = kill_process(session, Signal::KILL);
        }
    }

    /// Whether a worker that goes on answers, and each server has had its first check.
    pub(crate) fn is_settled(&self) -> bool {
        let goes_on = |info: String| info.contains("\nStopping: 0\n");
        self.try_cli("show info").is_some_and(goes_on)
            && self
                .try_cli("show servers state")
                .is_some_and(|answer| server_rows(&answer).all(|row| is_settled(&row)))
    }
}
