//! Programs that end with the lab: whatever happens to the tests, nothing of it stays behind.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The full path of a program, also where only root looks; a variable of the environment may name another one.
pub(crate) fn find_program(name: &str, variable: &str) -> Option<PathBuf> {
    let wanted = std::env::var_os(variable).unwrap_or_else(|| name.into());
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(&wanted))
        .find(|file| {
            fs::metadata(file)
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })
}

/// Asks again and again until the answer is yes. Panics with `what` and the log when that takes too long.
pub(crate) fn until(what: &str, log: Option<&Path>, mut test: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !test() {
        let said = || log.map(|log| fs::read_to_string(log).unwrap_or_default());
        assert!(
            Instant::now() < limit,
            "{what}: not ready after 30 s\n{}",
            said().unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A running program. Dropping it kills it and all its descendants.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts a program; what it prints goes to the end of the file `log`.
    pub(crate) fn start(argv: &[String], log: &Path) -> Self {
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("log file");
        // With `setpriv` the kernel kills it when the test process dies without dropping anything.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .args(argv)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("log file"))
            .stderr(out);
        let child = spawn_from_lasting_thread(command)
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", argv[0]));
        Self { child }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("signal a child that was not waited for");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.is_alive() {
            let mut family = Vec::new();
            freeze(self.pid(), &mut family);
            for pid in family {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = self.child.wait();
    }
}

/// Stops a process, then its children, and so on: who is stopped forks no more, so the list is complete.
fn freeze(pid: Pid, family: &mut Vec<Pid>) {
    if kill_process(pid, Signal::STOP).is_err() {
        return;
    }
    family.push(pid);
    for child in children(pid) {
        freeze(child, family);
    }
}

/// The children of all threads of a process.
pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    let tasks = format!("/proc/{pid}/task", pid = pid.as_raw_nonzero());
    let mut found = Vec::new();
    for task in fs::read_dir(tasks).into_iter().flatten().flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(
            text.split_whitespace()
                .filter_map(|word| Pid::from_raw(word.parse().ok()?)),
        );
    }
    found
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// The kernel means the thread that made the child, not the process, when it watches for the parent's death.
/// Threads of tests come and go; this one lasts.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in inbox {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (reply, answer) = mpsc::channel();
    SPAWNER
        .lock()
        .expect("spawner")
        .send((command, reply))
        .expect("spawner");
    answer.recv().expect("spawner")
}
