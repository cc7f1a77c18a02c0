use super::history::{History, Verdict};
use super::*;
use crate::exec::change::EntryKind;

fn log(folder: &Path, audit: Audit, file: Option<&str>) -> Log {
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
    let about = About {
        verb: "disable",
        reason: Some("a reason".to_owned()),
        ..About::default()
    };
    Log::new(&values, &environment, about)
}

fn entry(node: &str) -> Entry {
    Entry {
        kind: EntryKind::Intent,
        node: node.to_owned(),
        verdict: None,
        message: None,
        rows: vec![LedgerRow {
            socket: "/run/haproxy/admin.sock".to_owned(),
            server: "b/s".to_owned(),
            wanted: vec!["maint".to_owned()],
            before: "RUNNING/READY".to_owned(),
            set_before: "ready".to_owned(),
            weight_before: 1,
            ..LedgerRow::default()
        }],
        contents: Vec::new(),
    }
}

fn lines(file: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_line_of_json_for_each_node() {
    let home = tempfile::tempdir().unwrap();
    let mut log = log(home.path(), Audit::On, None);
    log.write(&[entry("lb1"), entry("lb2")]).unwrap();
    let lines = lines(&home.path().join("hash/audit.jsonl"));
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1].entry, entry("lb2"));
    assert_eq!(Some(lines[0].id.as_str()), log.id());
    assert_eq!(
        (lines[0].verb.as_str(), lines[0].reason.as_deref()),
        ("disable", Some("a reason"))
    );
    let user = &lines[0].user;
    assert!(
        !user.is_empty() && user != "x",
        "the system's name, not $USER: {user}"
    );
}

#[test]
fn what_cannot_be_written_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = Some("/dev/null/audit.jsonl");
    let mut required = log(home.path(), Audit::Required, file);
    assert!(required.is_required());
    let error = required.write(&[entry("lb1")]).unwrap_err();
    assert!(
        error.starts_with("cannot write the audit log /dev/null/audit.jsonl: "),
        "{error}"
    );
    assert!(!log(home.path(), Audit::On, file).is_required());
    let mut off = log(home.path(), Audit::Off, file);
    assert_eq!((off.write(&[entry("lb1")]), off.id()), (Ok(()), None));
}

#[test]
fn a_full_disk_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let mut full = log(home.path(), Audit::On, Some("/dev/full"));
    let error = full.write(&[entry("lb1")]).unwrap_err();
    assert!(error.contains("No space left"), "{error}");
}

/// What a full disk cut off in the middle of a line is not glued to the next one.
#[test]
fn half_a_line_of_another_stays_alone() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("audit.jsonl");
    std::fs::write(&file, "{\"time\":\"2026").unwrap();
    append::append(&file, b"one\n").unwrap();
    append::append(&file, b"two\n").unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, "{\"time\":\"2026\none\ntwo\n");
}

#[test]
fn eight_writers_and_a_rotation_lose_no_line() {
    const LINES: usize = 50;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("audit.jsonl");
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let file = &file;
            scope.spawn(move || {
                for line in 0..LINES {
                    let text = format!("{writer} {line} {}\n", "x".repeat(5000));
                    append::append(file, text.as_bytes()).unwrap();
                }
            });
        }
        for number in 0..5 {
            std::thread::yield_now();
            let away = home.path().join(format!("audit.jsonl.{number}"));
            // There may be none yet.
            let _ = std::fs::rename(&file, away);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    let mut seen = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(home.path()).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!((words.len(), words[2].len()), (3, 5000));
            assert!(seen.insert(format!("{} {}", words[0], words[1])));
        }
    }
    assert_eq!(seen.len(), 8 * LINES);
}

/// A change's two lines, in the files where they are said to be, and a third of a killed one.
#[test]
fn changes_are_put_together_across_rotated_files() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("audit.jsonl");
    let at = file.display().to_string();
    let mut first = log(home.path(), Audit::On, Some(&at));
    first.write(&[entry("lb1"), entry("lb2")]).unwrap();
    let packed = home.path().join("audit.jsonl-20260102");
    std::fs::rename(&file, &packed).unwrap();
    let gzip = std::process::Command::new("gzip").arg(&packed).status();
    assert!(gzip.unwrap().success());
    let result = |node: &str, verdict: &str| {
        let mut entry = entry(node);
        entry.kind = EntryKind::Result;
        entry.verdict = Some(verdict.to_owned());
        entry.rows[0].verdict = Some(verdict.to_owned());
        entry.rows[0].commands = vec!["set server b/s state maint".to_owned()];
        entry
    };
    first
        .write(&[result("lb1", "done"), result("lb2", "failed")])
        .unwrap();
    std::fs::rename(&file, home.path().join("audit.1.jsonl")).unwrap();
    let mut killed = log(home.path(), Audit::On, Some(&at));
    killed.write(&[entry("lb1")]).unwrap();
    // Of others and of no use.
    std::fs::write(home.path().join("audit.jsonl.2"), "{\"time\":\"2026\n").unwrap();
    std::fs::write(home.path().join("audit-notes.jsonl"), "x\n").unwrap();
    std::fs::create_dir(home.path().join("audit.jsonl.d")).unwrap();

    let history = History::read(&file, |_| true).unwrap();
    let [one, other] = history.changes.as_slice() else {
        panic!("{history:?}");
    };
    assert_eq!(Some(one.id.as_str()), first.id());
    assert_eq!((one.nodes.len(), one.verdict()), (2, Verdict::Failed));
    assert_eq!(one.nodes["lb1"].verdict(), Verdict::Done);
    assert_eq!(Some(other.id.as_str()), killed.id());
    assert_eq!(other.verdict(), Verdict::Unfinished);
    assert_eq!(other.nodes["lb1"].touched().count(), 1, "it may have been");
    let [missing] = history.missing.as_slice() else {
        panic!("{history:?}");
    };
    assert!(
        missing.starts_with("1 line of ") && missing.contains("audit.jsonl.2 "),
        "{missing}"
    );

    let id = killed.id().unwrap();
    let only = History::read(&file, |line| line.id == id).unwrap();
    assert_eq!(only.changes.len(), 1);
    let nowhere = History::read(&home.path().join("x/audit.jsonl"), |_| true).unwrap();
    assert_eq!((nowhere.changes.len(), nowhere.missing.len()), (0, 0));
    let odd = History::read(Path::new("/dev/null"), |_| true).unwrap_err();
    assert!(odd.to_string().contains("no file"), "{odd}");
}
