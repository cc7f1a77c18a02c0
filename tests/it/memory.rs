//! What a node says costs its own outcome at most: no memory that grows with it, and no waiting for who reads us.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::lab::Hash;

/// The most memory that is resident at any time, in KiB.
const MOST: u64 = 64 * 1024;

/// How long a run may take before the test fails.
const LIMIT: Duration = Duration::from_secs(120);

/// A run whose memory is watched.
struct Watched {
    child: Child,
    peak: u64,
    _home: TempDir,
}

impl Watched {
    /// Starts it. Nobody reads its output until somebody takes it.
    fn start(hash: Hash) -> Self {
        let (mut command, home) = hash.into_command();
        let child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            child,
            peak: 0,
            _home: home,
        }
    }

    /// Reads the output as `reader` does, in another thread.
    fn read<T: Send + 'static>(
        &mut self,
        reader: impl FnOnce(&mut dyn BufRead) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let stdout = self.child.stdout.take().unwrap();
        std::thread::spawn(move || reader(&mut BufReader::new(stdout)))
    }

    /// Waits for the end: the exit code and what was said on standard error.
    fn end(mut self) -> (Option<i32>, String) {
        let mut stderr = self.child.stderr.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut all = String::new();
            stderr.read_to_string(&mut all).map(|_| all)
        });
        let begun = Instant::now();
        let status = format!("/proc/{}/status", self.child.id());
        let end = loop {
            if let Some(end) = self.child.try_wait().unwrap() {
                break end;
            }
            let text = fs::read_to_string(&status).unwrap_or_default();
            let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let peak = peak.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok());
            self.peak = self.peak.max(peak.unwrap_or(0));
            assert!(self.peak < MOST, "{} KiB", self.peak);
            assert!(begun.elapsed() < LIMIT, "still running");
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(self.peak > 0, "its memory was seen");
        (end.code(), said.join().unwrap().unwrap())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Two nodes, of which `n1` runs the command and the other says that it is fine.
fn pair(form: &str, endless: &str) -> Hash {
    let command = format!("test %h = n2 && {{ echo fine; exit; }}; {endless}");
    let words = ["-R", "exec", "-w", "n[1-2]", form, "--", &command];
    Hash::new(words).env("HASH_SPOOL_MAX", "100M")
}

const FULL: &str = "it said more than there is room for (spool_max: 100.0 MiB for all nodes)";

#[test]
fn a_document_is_written_piece_by_piece() {
    let mut run = Watched::start(pair("--json", "exec yes"));
    let read = run.read(|out| {
        let mut start = vec![0; 4096];
        out.read_exact(&mut start).unwrap();
        let (mut end, mut room, mut count) = (Vec::new(), vec![0; 65536], start.len());
        loop {
            let read = out.read(&mut room).unwrap();
            if read == 0 {
                return (String::from_utf8(start).unwrap(), end, count);
            }
            count += read;
            end.extend_from_slice(&room[..read]);
            end.drain(..end.len().saturating_sub(4096));
        }
    });
    let (code, stderr) = run.end();
    let (start, end, count) = read.join().unwrap();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        start.contains(r#""code":"E_OUTPUT""#) && start.contains(FULL),
        "{start}"
    );
    assert!(start.contains(r#"{"node":"n2","status":0,"#), "{start}");
    assert!(
        start.contains(r#"{"nodes":"n2","count":1,"status":0,"stdout":"fine\n"}"#),
        "{start}"
    );
    assert!(start.contains(r#""stdout":"y\ny\ny"#), "{start}");
    assert!(end.ends_with(b"\"ended\":\"complete\"}}\n"));
    // A line of `yes` is two bytes, and three in JSON.
    assert!(count > 150 << 20, "{count}");
}

#[test]
fn text_is_gathered_within_the_same_bounds() {
    let mut run = Watched::start(pair("--blocks", "exec yes"));
    let read = run.read(|out| {
        let mut lines = out.lines().map(|line| line.unwrap());
        let start: Vec<String> = lines.by_ref().take(5).collect();
        (start, lines.count())
    });
    let (code, stderr) = run.end();
    let (start, count) = read.join().unwrap();
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(
        start[..4],
        ["---------------", "n2", "---------------", "fine"]
    );
    assert!(count > 40 << 20, "{count}");
    assert!(stderr.contains(&format!("hash: n1: {FULL}")), "{stderr}");
}

#[test]
fn events_cut_an_endless_line_and_say_so() {
    let mut run = Watched::start(pair("--jsonl", "exec tr '\\0' x < /dev/zero"));
    let read = run.read(|out| {
        let (mut pieces, mut line, mut last) = (0, Vec::new(), String::new());
        loop {
            line.clear();
            // The group at the end is one long line: it is not kept here.
            if out.take(4 << 20).read_until(b'\n', &mut line).unwrap() == 0 {
                return (pieces, last);
            }
            if line.starts_with(b"{\"v\":1,\"time\"") {
                let is_line = line
                    .windows(14)
                    .take(80)
                    .any(|part| part == b"\"event\":\"line\"");
                if is_line && line.ends_with(b"\"more\":true}\n") {
                    assert!(line.len() < (1 << 20) + (1 << 18), "{}", line.len());
                    pieces += 1;
                }
                last =
                    String::from_utf8_lossy(&line[line.len().saturating_sub(300)..]).into_owned();
            }
        }
    });
    let (code, stderr) = run.end();
    let (pieces, last) = read.join().unwrap();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(pieces > 80, "{pieces}");
    assert!(
        last.contains(r#""event":"summary""#) && last.contains(r#""E_OUTPUT":1"#),
        "{last}"
    );
}

/// Waits until the run has written all that goes into a pipe that nobody reads.
fn until_stuck(run: &Watched) {
    let begun = Instant::now();
    while ioctl_fionread(run.child.stdout.as_ref().unwrap()).unwrap() < 60_000 {
        assert!(begun.elapsed() < LIMIT, "nothing is written");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_was_gathered_is_printed_until_the_deadline_and_no_longer() {
    let hash = Hash::new(["-R", "exec", "-w", "n1", "--deadline", "1s", "--", "yes"]);
    let begun = Instant::now();
    let (code, stderr) = Watched::start(hash.env("HASH_SPOOL_MAX", "20M")).end();
    assert_eq!(code, Some(124), "{stderr}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(
        stderr.contains("the deadline passed before all of it was written"),
        "{stderr}"
    );
}

#[test]
fn a_signal_ends_the_printing_for_a_reader_that_does_not_read() {
    for (form, number, code) in [("-b", Signal::INT, 130), ("-L", Signal::TERM, 143)] {
        let words = ["-R", "exec", "-w", "n1", form, "--", "seq 300000"];
        let run = Watched::start(Hash::new(words));
        until_stuck(&run);
        kill_process(Pid::from_child(&run.child), number).unwrap();
        let (ended, stderr) = run.end();
        assert_eq!(ended, Some(code), "{form}: {stderr}");
    }
}

#[test]
fn a_word_in_the_configuration_that_is_no_size_is_named() {
    let ran = Hash::new(["-R", "exec", "-w", "n1", "--", "true"])
        .config("spool_max = 'much'")
        .run();
    assert_eq!(ran.code, Some(78), "{ran}");
    assert!(ran.stderr.contains("`much` is not a size"), "{ran}");
    let ran = Command::new(env!("CARGO_BIN_EXE_hash"))
        .args(["config", "--origin"])
        .env_clear()
        .env("HASH_SPOOL_MAX", "2048K")
        .output()
        .unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(
        text.contains("spool_max = \"2M\"") && text.contains("$HASH_SPOOL_MAX"),
        "{text}"
    );
}
