//! A program on a terminal of its own, and the one who sits there.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use tempfile::TempDir;

use super::Hash;

/// How long something may take to appear before the test fails.
const LIMIT: Duration = Duration::from_secs(20);

/// What the terminal has shown so far, and whether there will be more.
type Shown = Arc<(Mutex<(Vec<u8>, bool)>, Condvar)>;

/// A program that runs on a terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    slave: OwnedFd,
    shown: Shown,
    seen: usize,
    before: Termios,
    home: Option<TempDir>,
}

impl Terminal {
    /// Starts `hash` there, with this kind of terminal.
    pub(crate) fn hash(hash: Hash, kind: &str) -> Self {
        let (mut command, home) = hash.env("TERM", kind).into_command();
        let mut terminal = Self::start(&mut command);
        terminal.home = Some(home);
        terminal
    }

    /// The same in a window that is so many columns wide.
    pub(crate) fn sized(hash: Hash, kind: &str, columns: u16) -> Self {
        let (mut command, home) = hash.env("TERM", kind).into_command();
        let mut terminal = Self::start_sized(&mut command, Some(columns));
        terminal.home = Some(home);
        terminal
    }

    /// Gives the window another width.
    pub(crate) fn resize(&mut self, columns: u16) {
        set_columns(&self.slave, columns);
    }

    /// Starts a program there. The terminal is its controlling one, and it runs in its foreground.
    pub(crate) fn start(program: &mut Command) -> Self {
        Self::start_sized(program, None)
    }

    fn start_sized(program: &mut Command, columns: Option<u16>) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = rustix::fs::open(
            &name,
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        let before = tcgetattr(&slave).unwrap();
        if let Some(columns) = columns {
            set_columns(&slave, columns);
        }
        let mut command = Command::new("setsid");
        command
            .arg("--ctty")
            .arg(program.get_program())
            .args(program.get_args())
            .env_clear()
            .envs(
                program
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::from(slave.try_clone().unwrap()))
            .stdout(Stdio::from(slave.try_clone().unwrap()))
            .stderr(Stdio::from(slave.try_clone().unwrap()));
        if let Some(folder) = program.get_current_dir() {
            command.current_dir(folder);
        }
        let child = command.spawn().unwrap();
        let keyboard = File::from(master);
        let shown = Shown::default();
        let (mut screen, writer) = (keyboard.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut room = [0; 4096];
            loop {
                // A terminal that nobody has open any more gives an error.
                let read = screen.read(&mut room).unwrap_or(0);
                let (all, more) = &*writer;
                let mut all = all.lock().unwrap();
                all.0.extend_from_slice(&room[..read]);
                all.1 = read == 0;
                more.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Self {
            child,
            keyboard,
            slave,
            shown,
            seen: 0,
            before,
            home: None,
        }
    }

    /// The home of what was started; it goes with the terminal.
    pub(crate) fn lives_at(&mut self, home: TempDir) {
        self.home = Some(home);
    }

    /// The home of the run.
    pub(crate) fn home(&self) -> &Path {
        self.home.as_ref().unwrap().path()
    }

    /// Types.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Types a line, waits for its echo and then for `text`, and gives what was shown between.
    pub(crate) fn enter(&mut self, line: &str, text: &str) -> String {
        self.keys(&format!("{line}\r"));
        self.until(line);
        self.until("\n");
        self.until(text)
    }

    /// Waits until the text is shown behind what was waited for last, and gives what stands before it. Codes that move
    /// the cursor or colour do not count.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let begun = Instant::now();
        let (all, more) = &*self.shown;
        let mut all = all.lock().unwrap();
        loop {
            let shown = without_codes(&all.0);
            let new = &shown[self.seen..];
            if let Some(at) = new.find(text) {
                self.seen += at + text.len();
                return visible(&new[..at]);
            }
            let left = LIMIT.checked_sub(begun.elapsed()).unwrap_or_default();
            if left.is_zero() || all.1 {
                let shown = visible(new);
                drop(all);
                panic!("waited for {text:?}, but was shown {shown:?}");
            }
            (all, _) = more.wait_timeout(all, left).unwrap();
        }
    }

    /// All bytes that were written to the terminal so far, codes included.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.shown.0.lock().unwrap().0.clone()
    }

    /// The modes of the terminal are what they were in the beginning.
    pub(crate) fn is_as_before(&self) -> bool {
        format!("{:?}", self.modes()) == format!("{:?}", self.before)
    }

    /// The modes of the terminal.
    pub(crate) fn modes(&self) -> Termios {
        tcgetattr(&self.slave).unwrap()
    }

    /// Sends a signal to the program alone.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end: the exit code, and what was still shown.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < LIMIT, "still running");
            std::thread::sleep(Duration::from_millis(5));
        };
        // All that was written is in the terminal's buffer; a mark behind it shows when it has been read.
        let mark = "\u{1}end\u{1}";
        let mut slave = File::from(self.slave.try_clone().unwrap());
        slave.write_all(mark.as_bytes()).unwrap();
        let rest = self.until(mark);
        (status.code(), rest)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn set_columns(terminal: &OwnedFd, columns: u16) {
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

/// What was written to the terminal, without the codes that move its cursor or colour.
fn without_codes(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            if rest.next() == Some('[') {
                rest.by_ref().find(|c| ('@'..='~').contains(c));
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// What is to be seen of that: a line that was written again is there once.
fn visible(text: &str) -> String {
    text.replace("\r\n", "\n")
        .split('\n')
        .map(|line| line.rsplit('\r').next().unwrap_or_default().trim_end())
        .collect::<Vec<_>>()
        .join("\n")
}
