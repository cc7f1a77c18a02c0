//! Runs the program under test, with nothing of this user's in its environment.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a run may take before the test fails.
const LIMIT: Duration = Duration::from_secs(60);

/// A run of `hash` to be described: no user configuration, an empty home, an empty standard input.
#[derive(Debug)]
pub(crate) struct Hash {
    command: Command,
    stdin: Vec<u8>,
    home: tempfile::TempDir,
}

impl Hash {
    /// `hash` with these words.
    pub(crate) fn new<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Self {
        Self::called("hash", args)
    }

    /// The program under another of its names, such as `clush`.
    pub(crate) fn called<I: AsRef<OsStr>>(name: &str, args: impl IntoIterator<Item = I>) -> Self {
        let home = tempfile::Builder::new().prefix("hh.").tempdir_in("/tmp");
        let home = home.expect("a home under /tmp");
        let mut command = Command::new(env!("CARGO_BIN_EXE_hash"));
        command
            .arg0(name)
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .env("LANG", "C.UTF-8")
            .env("USER", "operator")
            .current_dir(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (variable, folder) in [
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "run"),
        ] {
            let folder = home.path().join(folder);
            fs::create_dir(&folder).expect("folder of the home");
            command.env(variable, folder);
        }
        Self {
            command,
            stdin: Vec::new(),
            home,
        }
    }

    /// The home of this run, which is also where it starts; `config/hash/config.toml` in it is the user's configuration.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes the user's configuration.
    pub(crate) fn config(self, toml: &str) -> Self {
        let folder = self.home().join("config/hash");
        fs::create_dir_all(&folder).expect("configuration folder");
        fs::write(folder.join("config.toml"), toml).expect("config.toml");
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What it reads.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// The command itself, for a test that needs other pipes, signals or a terminal; the home goes with the second value.
    pub(crate) fn into_command(self) -> (Command, tempfile::TempDir) {
        (self.command, self.home)
    }

    /// Runs it to its end, without any input; also the most memory that it had, in KiB. Of its output only the lines that
    /// `keep` wants are kept.
    pub(crate) fn watched(self, keep: fn(&str) -> bool) -> (Ran, u64) {
        let mut command = self.command;
        let mut child = command.stdin(Stdio::null()).spawn().expect("start hash");
        let pid = Pid::from_child(&child);
        let status = format!("/proc/{}/status", child.id());
        let out = child.stdout.take().expect("stdout is a pipe");
        let err = child.stderr.take().expect("stderr is a pipe");
        let readers = [read(out, keep), read(err, |_| true)];
        let begun = Instant::now();
        let mut most = 0;
        let code = loop {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let number = |name: &str| {
                let value = text.lines().find_map(|line| line.strip_prefix(name))?;
                value.trim().trim_end_matches(" kB").parse::<u64>().ok()
            };
            // The program's own text is no memory that a node costs, and an unoptimised one has much of it.
            let text = number("RssFile:").unwrap_or(0);
            most = most.max(number("VmHWM:").unwrap_or(0).saturating_sub(text));
            if let Some(status) = child.try_wait().expect("wait for hash") {
                break status.code();
            }
            if begun.elapsed() > LIMIT {
                let _ = kill_process(pid, Signal::KILL);
                panic!("still running after {LIMIT:?}: {command:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let [out, err] = readers.map(|reader| reader.join().expect("reader of the output"));
        let ran = Ran {
            stdout: String::from_utf8_lossy(&out).into_owned(),
            stderr: String::from_utf8_lossy(&err).into_owned(),
            bytes: out,
            code,
            home: self.home,
        };
        (ran, most)
    }

    /// Runs it to its end. Panics when that does not come.
    pub(crate) fn run(mut self) -> Ran {
        let mut child = self.command.spawn().expect("start hash");
        let pid = Pid::from_child(&child);
        let mut input = child.stdin.take().expect("stdin is a pipe");
        let bytes = std::mem::take(&mut self.stdin);
        // It may end without reading all: a broken pipe is no matter of ours.
        let writer = std::thread::spawn(move || drop(input.write_all(&bytes)));
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || send.send(child.wait_with_output()));
        let output = match receive.recv_timeout(LIMIT) {
            Ok(output) => output.expect("wait for hash"),
            Err(_) => {
                let _ = kill_process(pid, Signal::KILL);
                panic!("still running after {LIMIT:?}: {:?}", self.command);
            }
        };
        writer.join().expect("writer of the input");
        Ran {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            bytes: output.stdout,
            code: output.status.code(),
            home: self.home,
        }
    }
}

/// Reads something to its end in a thread of its own, and keeps some of its lines.
fn read(from: impl Read + Send + 'static, keep: fn(&str) -> bool) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut all = Vec::new();
        loop {
            let begin = all.len();
            if from.read_until(b'\n', &mut all).expect("read") == 0 {
                return all;
            }
            if !keep(&String::from_utf8_lossy(&all[begin..])) {
                all.truncate(begin);
            }
        }
    })
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Standard output as text.
    pub(crate) stdout: String,
    /// Standard error as text.
    pub(crate) stderr: String,
    /// Standard output as it came.
    pub(crate) bytes: Vec<u8>,
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// The home, with what was written there.
    pub(crate) home: tempfile::TempDir,
}

impl fmt::Display for Ran {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stdout,
            stderr,
            code,
            ..
        } = self;
        write!(
            out,
            "exit code {code:?}\n--- stdout\n{stdout}--- stderr\n{stderr}---"
        )
    }
}
