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
