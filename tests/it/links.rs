//! `links`: the drop-in names appear and go, and nobody's file is touched.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::lab::{Hash, Ran};

fn links(action: &str, dir: &Path) -> Ran {
    Hash::called("hapsh", ["links".as_ref(), action.as_ref(), dir]).run()
}

#[test]
fn links_come_work_and_go() {
    let dir = tempfile::tempdir().expect("folder");
    let program = fs::canonicalize(env!("CARGO_BIN_EXE_hash")).expect("program");
    for round in 0..2 {
        let made = links("install", dir.path());
        assert_eq!(made.code, Some(0), "round {round}: {made}");
        assert!(!made.stdout.contains("service"), "{made}");
    }
    for link in fs::read_dir(dir.path()).expect("folder").flatten() {
        assert_eq!(fs::read_link(link.path()).expect("link"), program);
    }
    let milkcheck = Command::new(dir.path().join("milkcheck"))
        .arg("--version")
        .output();
    let said = milkcheck.expect("milkcheck").stdout;
    assert!(
        String::from_utf8_lossy(&said).contains("milkcheck"),
        "{said:?}"
    );
    assert!(!links("list", dir.path()).stdout.contains("no link"));
    assert_eq!(links("remove", dir.path()).code, Some(0));
    assert_eq!(fs::read_dir(dir.path()).expect("folder").count(), 0);
    let listed = links("list", dir.path()).stdout;
    assert!(listed.contains("/milkcheck: no link\n"), "{listed}");
    assert!(
        listed.lines().all(|line| line.ends_with(": no link")),
        "{listed}"
    );
}

#[test]
fn a_file_of_somebody_else_stays() {
    let dir = tempfile::tempdir().expect("folder");
    let file = dir.path().join("milkcheck");
    fs::write(&file, "theirs").expect("file");
    let made = links("install", dir.path());
    assert_eq!(made.code, Some(4), "{made}");
    assert!(made.stderr.contains("not ours, so left alone"), "{made}");
    assert!(
        links("list", dir.path())
            .stdout
            .contains("/milkcheck: not ours\n")
    );
    assert_eq!(links("remove", dir.path()).code, Some(0));
    assert_eq!(fs::read(&file).expect("file"), b"theirs");
    assert_eq!(fs::read_dir(dir.path()).expect("folder").count(), 1);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let failed = links("install", Path::new("/no/such/folder"));
    assert_eq!(failed.code, Some(1), "{failed}");
    assert!(failed.stderr.contains("/no/such/folder"), "{failed}");
}
