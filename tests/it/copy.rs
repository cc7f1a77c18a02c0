//! Copies to and from real sshd: what arrives is what was sent, and nothing is left of what fails.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::lab::{Lab, Ran};

/// A folder of each node's own, as seen from here.
fn home(lab: &Lab, node: &str) -> PathBuf {
    lab.dir().join(node).join("home")
}

/// The same as seen on the node. In words and expectations here it is called `~`.
const HOME: &str = "/run/haproxy/home";

/// Runs `hash -w lb[1-2]` with these words in a folder.
fn run_in(lab: &Lab, folder: &Path, asked: &[&str]) -> Ran {
    let real = |word: &&str| word.replacen("~/", &format!("{HOME}/"), 1);
    let words = ["-w", "lb[1-2]"].map(str::to_owned).into_iter();
    let words: Vec<String> = words.chain(asked.iter().map(real)).collect();
    let (mut command, home) = lab.hash(words).into_command();
    let output = command
        .current_dir(folder)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(HOME, "~");
    Ran {
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
        bytes: output.stdout,
        code: output.status.code(),
        home,
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Bytes that no two places of a file have in common.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// All that is in a folder: names, and what files and links hold.
fn listing(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fn visit(root: &Path, folder: &Path, all: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let data = fs::symlink_metadata(&path).unwrap();
            let content = if data.is_dir() {
                visit(root, &path, all);
                b"a folder".to_vec()
            } else if data.is_symlink() {
                fs::read_link(&path)
                    .unwrap()
                    .as_os_str()
                    .as_bytes()
                    .to_vec()
            } else {
                fs::read(&path).unwrap()
            };
            all.push((path.strip_prefix(root).unwrap().to_owned(), content));
        }
    }
    let mut all = Vec::new();
    visit(folder, folder, &mut all);
    all.sort();
    all
}

/// A folder with all that may be in one.
fn tree(at: &Path) {
    fs::create_dir_all(at.join("sub/deeper")).unwrap();
    fs::create_dir(at.join("empty")).unwrap();
    fs::write(at.join("plain"), "plain\n").unwrap();
    fs::write(at.join("nothing"), "").unwrap();
    fs::write(at.join(".hidden"), "hidden").unwrap();
    fs::write(at.join("sub/it's a \"name\" $(id) `x` \\n %h"), "quoted").unwrap();
    fs::write(at.join("sub/line\nbreak"), "newline").unwrap();
    fs::write(at.join("sub/-rf"), "dash").unwrap();
    fs::write(at.join("sub/*"), "star").unwrap();
    fs::write(
        at.join(std::ffi::OsStr::from_bytes(b"sub/bad\xffutf")),
        "bytes",
    )
    .unwrap();
    let long = "l".repeat(200);
    fs::create_dir(at.join(&long)).unwrap();
    fs::write(at.join(&long).join(&long), noise(70_000)).unwrap();
    fs::write(at.join("sub/deeper/block"), noise(1024)).unwrap();
    symlink("plain", at.join("link")).unwrap();
    symlink("/nowhere/at/all", at.join("dangling")).unwrap();
    symlink(format!("/{}", "to/".repeat(60)), at.join("far")).unwrap();
    chmod(&at.join("plain"), 0o640);
    chmod(&at.join("sub/deeper/block"), 0o755);
    chmod(&at.join("sub/deeper"), 0o700);
    chmod(&at.join("empty"), 0o555);
}

#[test]
fn a_file_goes_where_scp_would_put_it() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let here = tempfile::tempdir().unwrap();
    let big = noise(3_000_001);
    fs::write(here.path().join("f 1'"), &big).unwrap();
    chmod(&here.path().join("f 1'"), 0o750);
    for node in ["lb1", "lb2"] {
        fs::create_dir(home(&lab, node).join("folder")).unwrap();
        fs::write(home(&lab, node).join("old"), "old").unwrap();
    }
    for (dest, lands) in [
        ("~/folder", "folder/f 1'"),
        ("~/folder/", "folder/f 1'"),
        ("~/old", "old"),
        ("~/new $x", "new $x"),
    ] {
        let ran = run_in(&lab, here.path(), &["copy", "f 1'", "--dest", dest]);
        assert_eq!(ran.code, Some(0), "{ran}");
        assert_eq!(
            ran.stdout,
            format!("lb[1-2]: 1 file, 2.9 MiB -> {}\n", dest),
            "{ran}"
        );
        assert_eq!(ran.stderr, "");
        for node in ["lb1", "lb2"] {
            let landed = home(&lab, node).join(lands);
            assert!(fs::read(&landed).unwrap() == big, "{dest}");
            assert_eq!(mode(&landed), 0o750);
        }
    }
    // Nothing temporary is left.
    let names: Vec<_> = listing(&home(&lab, "lb1"))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        ["folder", "folder/f 1'", "new $x", "old"].map(PathBuf::from)
    );
}

#[test]
fn without_dest_it_goes_to_its_own_folder() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("file");
    fs::write(&file, "").unwrap();
    chmod(&file, 0o4711);
    let old = filetime(&file, 951_827_696);
    let ran = run_in(&lab, here.path(), &["copy", "file", "-p"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let data = fs::metadata(&file).unwrap();
    assert_ne!(data.ino(), old, "it is the copy");
    assert_eq!(
        (data.len(), mode(&file), data.mtime()),
        (0, 0o4711, 951_827_696)
    );
}

/// Sets a file's time of change; its inode.
fn filetime(path: &Path, seconds: u64) -> u64 {
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let file = fs::File::open(path).unwrap();
    file.set_modified(time).unwrap();
    file.metadata().unwrap().ino()
}

#[test]
fn trees_arrive_whole_and_are_merged() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let here = tempfile::tempdir().unwrap();
    let source = here.path().join("tree");
    tree(&source);
    filetime(&source.join("plain"), 1_000_000_000);
    for node in ["lb1", "lb2"] {
        let there = home(&lab, node).join("folder/tree");
        fs::create_dir_all(there.join("sub")).unwrap();
        fs::write(there.join("plain"), "older").unwrap();
        fs::write(there.join("sub/kept"), "kept").unwrap();
    }
    // To a new name.
    let ran = run_in(
        &lab,
        here.path(),
        &["copy", "-p", "tree", "--dest", "~/new name"],
    );
    assert_eq!(ran.code, Some(0), "{ran}");
    for node in ["lb1", "lb2"] {
        let there = home(&lab, node).join("new name");
        assert!(listing(&there) == listing(&source), "{:?}", listing(&there));
        for name in ["plain", "sub/deeper/block", "sub/deeper", "empty"] {
            assert_eq!(mode(&there.join(name)), mode(&source.join(name)), "{name}");
        }
        assert_eq!(
            fs::metadata(there.join("plain")).unwrap().mtime(),
            1_000_000_000
        );
    }
    // Into a folder that has some of it.
    let ran = run_in(&lab, here.path(), &["copy", "tree", "--dest", "~/folder"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let mut expected = listing(&source);
    expected.push(("sub/kept".into(), b"kept".to_vec()));
    expected.sort();
    assert!(listing(&home(&lab, "lb1").join("folder/tree")) == expected);
    assert_eq!(
        listing(&home(&lab, "lb2").join("folder")).len(),
        expected.len() + 1
    );
    // Several sources need a folder.
    let ran = run_in(
        &lab,
        here.path(),
        &["copy", "tree", "tree/plain", "--dest", "~/folder"],
    );
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(
        fs::read(home(&lab, "lb1").join("folder/plain")).unwrap(),
        b"plain\n"
    );
    let ran = run_in(
        &lab,
        here.path(),
        &["copy", "tree", "tree/plain", "--dest", "~/nowhere"],
    );
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stderr
            .starts_with("lb[1-2]: ~/nowhere: No such file or directory\n"),
        "{ran}"
    );
    // A folder does not take the place of a file, and then nothing is touched.
    fs::write(home(&lab, "lb1").join("folder/plain"), "mine").unwrap();
    fs::remove_dir(home(&lab, "lb1").join("folder/tree/empty")).unwrap();
    fs::write(home(&lab, "lb1").join("folder/tree/empty"), "a file").unwrap();
    let ran = run_in(
        &lab,
        here.path(),
        &["copy", "tree", "tree/plain", "--dest", "~/folder"],
    );
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stderr
            .starts_with("lb1: ~/folder/tree/empty: Not a directory\n"),
        "{ran}"
    );
    assert_eq!(
        fs::read(home(&lab, "lb1").join("folder/plain")).unwrap(),
        b"mine"
    );
    assert!(!temporary_left(&lab));
}

/// Whether a home still has something temporary.
fn temporary_left(lab: &Lab) -> bool {
    let is_ours = |name: &Path| name.to_string_lossy().contains(".hapsh-");
    lab.nodes().any(|node| {
        listing(&home(lab, node))
            .iter()
            .any(|(name, _)| is_ours(name))
    })
}

#[test]
fn what_cannot_be_copied_says_why_and_leaves_nothing() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("file"), "x").unwrap();
    for node in ["lb1", "lb2"] {
        fs::create_dir_all(home(&lab, node).join("folder/file")).unwrap();
    }
    for (words, code, said) in [
        (
            &["copy", "file", "--dest", "~/folder"][..],
            1,
            "lb[1-2]: ~/folder/file: Is a directory\n",
        ),
        (
            &["copy", "file", "--dest", "~/no/where"],
            1,
            "lb[1-2]: ~/no: No such file or directory\n",
        ),
        (
            &["copy", "file", "--dest", "~/nowhere/"],
            1,
            "lb[1-2]: ~/nowhere/: No such file or directory\n",
        ),
        (
            &["copy", "gone", "--dest", "x"],
            64,
            "hash: gone: No such file or directory",
        ),
        (
            &["copy", "file", "./file", "--dest", "x"],
            64,
            "hash: ./file: another source has the same name",
        ),
        (
            &["copy", "/dev/null", "--dest", "x"],
            64,
            "hash: /dev/null: not a regular file",
        ),
        (
            &["copy", "file", "/etc/hostname"],
            64,
            "hash: the sources are in several folders; say where they go: --dest PATH",
        ),
        (
            &["fetch", "~/nothing", "--dest", "."],
            1,
            "lb[1-2]: ~/nothing: No such file or directory\n",
        ),
        (
            &["fetch", "~/folder", "--dest", "nowhere"],
            64,
            "hash: nowhere: there is no such folder here",
        ),
        (
            &["fetch", "/", "--dest", "."],
            64,
            "hash: /: has no name of its own",
        ),
    ] {
        let ran = run_in(&lab, here.path(), words);
        assert_eq!(ran.code, Some(code), "{words:?} {ran}");
        assert!(ran.stderr.starts_with(said), "{words:?} {ran}");
        assert_eq!(ran.stdout, "", "{words:?}");
    }
    assert!(!temporary_left(&lab));
    assert_eq!(listing(here.path()).len(), 1, "{:?}", listing(here.path()));
}

#[test]
fn files_and_folders_are_fetched() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let here = tempfile::tempdir().unwrap();
    let big = noise(2_000_003);
    for node in ["lb1", "lb2"] {
        tree(&home(&lab, node).join("tree"));
        let file = home(&lab, node).join("-a file");
        fs::write(&file, &big).unwrap();
        chmod(&file, 0o640);
        filetime(&file, 1_000_000_000);
    }
    let ran = run_in(
        &lab,
        here.path(),
        &["fetch", "-p", "--dest", ".", "~/tree/", "~/-a file"],
    );
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(ran.stderr, "");
    for node in ["lb1", "lb2"] {
        let file = here.path().join(format!("-a file.{node}"));
        assert!(fs::read(&file).unwrap() == big);
        assert_eq!(
            (mode(&file), fs::metadata(&file).unwrap().mtime()),
            (0o640, 1_000_000_000)
        );
        let there = home(&lab, node).join("tree");
        let came = here.path().join(format!("tree.{node}"));
        assert!(listing(&came) == listing(&there), "{:?}", listing(&came));
        for name in ["plain", "sub/deeper/block", "sub/deeper", "empty"] {
            assert_eq!(mode(&came.join(name)), mode(&there.join(name)), "{name}");
        }
    }
    // Again, into what is there.
    let ran = run_in(&lab, here.path(), &["fetch", "--dest", ".", "~/tree"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 4);
}
