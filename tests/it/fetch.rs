//! Fetches that are cut short: nothing of theirs is left here, however they end.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Lab, until};

/// A folder that takes a while to be fetched: many small files, and a large one.
fn source() -> tempfile::TempDir {
    let source = tempfile::tempdir().unwrap();
    for folder in 0..40 {
        let folder = source.path().join(format!("tree/{folder}"));
        fs::create_dir_all(&folder).unwrap();
        for file in 0..50 {
            fs::write(folder.join(file.to_string()), vec![b'x'; 3000]).unwrap();
        }
    }
    fs::write(source.path().join("tree/large"), vec![b'y'; 50_000_000]).unwrap();
    source
}

/// What is temporary in a folder.
fn temporary(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(".hapsh-")).collect()
}

#[test]
fn a_fetch_of_a_folder_that_is_stopped_leaves_nothing_here() {
    let Some(lab) = Lab::sshd_only(3) else { return };
    let source = source();
    let tree = source.path().join("tree").display().to_string();
    for (round, signals) in [
        &[Signal::INT][..],
        &[Signal::INT, Signal::INT],
        &[Signal::TERM],
        &[Signal::TERM, Signal::TERM],
    ]
    .into_iter()
    .cycle()
    .take(12)
    .enumerate()
    {
        let hash = lab.hash(["-w", "lb[1-3]", "fetch", &tree, "--dest", "."]);
        let (mut command, home) = hash.into_command();
        let mut child = command.stdin(Stdio::null()).spawn().unwrap();
        let there = |folder: &String| home.path().join(folder).join("it").exists();
        until("the beginning of a fetch", None, || {
            temporary(home.path()).iter().any(there)
        });
        // Now a little later, now much.
        std::thread::sleep(std::time::Duration::from_millis(round as u64 * 7));
        let pid = Pid::from_child(&child);
        for signal in signals {
            // A fetch that was quicker has ended by itself.
            let _ = kill_process(pid, *signal);
        }
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(0 | 130 | 143)), "{code:?}");
        assert_eq!(temporary(home.path()), [""; 0], "{signals:?} {code:?}");
        if code != Some(0) {
            let whole = |node: &str| home.path().join(format!("tree.{node}/large"));
            for node in ["lb1", "lb2", "lb3"] {
                let length = fs::metadata(whole(node)).map(|data| data.len());
                assert!(length.is_err() || length.is_ok_and(|length| length == 50_000_000));
            }
        }
    }
}
