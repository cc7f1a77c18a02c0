//! Progress on a terminal leaves nothing behind: neither keys, nor a window that shrinks, nor the end of the run.

use std::fs;

use rustix::process::Signal;
use rustix::termios::LocalModes;

use crate::lab::{Hash, Screen, Terminal};

/// A run on three nodes with a long name, of which two take their time.
fn slow(columns: u16) -> Terminal {
    let command = "test %h = averylongnodename1 || sleep 3; echo hi";
    let words = ["-R", "exec", "-w", "averylongnodename[1-3]", "--", command];
    let hash = Hash::new(words);
    Terminal::sized(hash, "xterm", columns)
}

/// What is to be seen of all that was written: so many bytes before the window got its new width, and the rest.
fn seen(terminal: &Terminal, widths: (usize, Option<(usize, usize)>), breaks: bool) -> Screen {
    let bytes = terminal.bytes();
    let end = bytes
        .iter()
        .position(|byte| *byte == 1)
        .unwrap_or(bytes.len());
    let (first, then) = widths;
    let mut screen = Screen::new(first);
    let before = then.map_or(end, |(at, _)| at);
    screen.write(&bytes[..before]);
    if let Some((at, width)) = then {
        screen.resize(width, breaks);
        screen.write(&bytes[at..end]);
    }
    screen
}

#[test]
fn keys_and_a_smaller_window_leave_no_mark() {
    let mut terminal = slow(60);
    terminal.until("1/3 done  waiting for averylongnodename[2-3]");
    assert!(!terminal.modes().local_modes.contains(LocalModes::ECHO));
    // What is going on?
    terminal.keys("\r");
    terminal.until("at work (2): averylongnodename[2-3]");
    terminal.until("1/3 done");
    terminal.until("[2-3]");
    // These are for whoever reads next.
    terminal.keys("abc\rde");
    let at = terminal.bytes().len();
    terminal.resize(30);
    terminal.until("1/3 done  waiting for");
    assert_eq!(terminal.end().0, Some(0));
    assert!(terminal.is_as_before());
    for breaks in [true, false] {
        let screen = seen(&terminal, (60, Some((at, 30))), breaks);
        let text = screen.text().join("\n");
        let text = text
            .replace("averylongnodename", "n")
            .replace("averylongno", "n");
        // The window was wide when the first line was written.
        assert!(text.starts_with("hash: at work (2): "), "{text}");
        assert!(text.ends_with("\nn[1-3]: hi"), "{text}");
        assert!(!text.contains("done") && !text.contains("abc"), "{text}");
        assert!(text.lines().count() <= 3, "{text}");
    }
}

#[test]
fn a_line_without_room_is_cut_short_of_the_last_column() {
    let mut terminal = slow(32);
    terminal.until("1/3 done  waiting for averyl...");
    assert_eq!(terminal.end().0, Some(0));
    let screen = seen(&terminal, (32, None), true);
    assert_eq!(screen.text(), ["averylongnodename[1-3]: hi"]);
    assert!(!screen.reached_last_column);
}

#[test]
fn an_interrupt_takes_progress_off() {
    for (key, signal) in [(true, Signal::INT), (false, Signal::TERM)] {
        let mut terminal = slow(80);
        terminal.until("1/3 done");
        if key {
            terminal.keys("\x03");
        } else {
            terminal.signal(signal);
        }
        let code = terminal.end().0;
        assert!(terminal.is_as_before());
        assert_eq!(code, Some(if key { 130 } else { 143 }));
        let text = seen(&terminal, (80, None), true).text().join("\n");
        assert!(
            text.starts_with("hash: stopping; still running: averylongnodename[2-3]"),
            "{text}"
        );
        assert!(!text.contains("1/3 done") && !text.contains("^C"), "{text}");
    }
}

#[test]
fn services_at_work_leave_only_their_text() {
    let words = ["service", "-v", "-c", "services", "slow", "start"];
    let hash = Hash::new(words);
    fs::create_dir(hash.home().join("services")).unwrap();
    let yaml = "services:\n  slow:\n    actions:\n      start:\n        cmd: sleep 2\n";
    fs::write(hash.home().join("services/all.yaml"), yaml).unwrap();
    let mut terminal = Terminal::sized(hash, "xterm", 80);
    terminal.until("1 running, 0 settled");
    terminal.keys("x\ry");
    assert_eq!(terminal.end().0, Some(0));
    assert!(terminal.is_as_before());
    let text = seen(&terminal, (80, None), true).text().join("\n");
    assert!(text.contains("slow") && !text.contains("settled"), "{text}");
    assert!(
        !text.contains('x') && !text.lines().any(|line| line == "y"),
        "{text}"
    );
}

#[test]
fn the_drop_in_leaves_nothing_either() {
    let command = "test %h = n1 || sleep 3; echo hi";
    let hash = Hash::new(["clush", "-R", "exec", "-b", "-w", "n[1-3]", command]);
    let mut terminal = Terminal::sized(hash, "xterm", 40);
    terminal.until("clush: 1/3");
    terminal.keys("x\ry");
    assert_eq!(terminal.end().0, Some(0));
    assert!(terminal.is_as_before());
    let text = seen(&terminal, (40, None), true).text();
    assert_eq!(
        text,
        ["---------------", "n[1-3] (3)", "---------------", "hi"]
    );
}
