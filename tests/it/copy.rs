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
        chmod(&home(&lab, node).join("old"), 0o640);
    }
    // What is replaced keeps its permissions.
    for (dest, lands, expected) in [
        ("~/folder", "folder/f 1'", 0o750),
        ("~/folder/", "folder/f 1'", 0o750),
        ("~/old", "old", 0o640),
        ("~/new $x", "new $x", 0o750),
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
            assert_eq!(mode(&landed), expected, "{dest}");
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
    let ran = run_in(&lab, here.path(), &["-x", "lb2", "copy", "file", "-p"]);
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

/// A copy of a large file to `lb1` that has begun to arrive.
struct Begun<'a> {
    lab: &'a Lab,
    child: std::process::Child,
    source: PathBuf,
    _here: tempfile::TempDir,
    _home: tempfile::TempDir,
}

impl<'a> Begun<'a> {
    fn new(lab: &'a Lab) -> Self {
        let here = tempfile::tempdir().unwrap();
        let source = here.path().join("large");
        fs::File::create(&source).unwrap().set_len(4 << 30).unwrap();
        let dest = format!("{HOME}/large");
        let words = [
            "-w",
            "lb1",
            "copy",
            source.to_str().unwrap(),
            "--dest",
            &dest,
        ];
        let (mut command, home) = lab.hash(words).into_command();
        let child = command.stdin(std::process::Stdio::null()).spawn().unwrap();
        let begun = Self {
            lab,
            child,
            source,
            _here: here,
            _home: home,
        };
        wait("something to arrive", || begun.temporary().is_some());
        begun
    }

    /// What has arrived so far.
    fn temporary(&self) -> Option<PathBuf> {
        let mut entries = fs::read_dir(home(self.lab, "lb1")).unwrap().flatten();
        let entry =
            entries.find(|entry| entry.file_name().to_string_lossy().starts_with(".hapsh-"))?;
        (fs::metadata(entry.path()).ok()?.len() > 0).then(|| entry.path())
    }

    /// The exit code and standard error, when nothing is left on the node.
    fn end(self) -> (Option<i32>, String) {
        let output = self.child.wait_with_output().unwrap();
        let there = home(self.lab, "lb1");
        wait("the node to take away what it had", || {
            fs::read_dir(&there).unwrap().next().is_none()
        });
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }
}

/// Looks again and again; panics after half a minute.
fn wait(what: &str, done: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !done() {
        assert!(begun.elapsed().as_secs() < 30, "waited in vain for {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_connection_that_is_cut_leaves_nothing() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    let run = Begun::new(&lab);
    let temporary = run.temporary().unwrap();
    let shell = temporary
        .to_string_lossy()
        .rsplit('-')
        .next()
        .unwrap()
        .to_owned();
    let status = fs::read_to_string(format!("/proc/{shell}/status")).unwrap();
    let parent = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:\t"))
        .unwrap();
    let parent = rustix::process::Pid::from_raw(parent.parse().unwrap()).unwrap();
    rustix::process::kill_process(parent, rustix::process::Signal::KILL).unwrap();
    let (code, err) = run.end();
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("lb1: connection lost"), "{err}");
}

#[test]
fn an_interrupt_leaves_nothing() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    let run = Begun::new(&lab);
    let hash = rustix::process::Pid::from_child(&run.child);
    rustix::process::kill_process(hash, rustix::process::Signal::INT).unwrap();
    let (code, err) = run.end();
    assert_eq!(code, Some(130), "{err}");
    assert!(err.contains("still running: lb1"), "{err}");
}

#[test]
fn a_file_that_changes_meanwhile_is_not_copied() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    let run = Begun::new(&lab);
    let source = fs::File::options().write(true).open(&run.source).unwrap();
    source.set_len(1000).unwrap();
    let (code, err) = run.end();
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("large changed while it was copied"), "{err}");
}

#[test]
fn a_full_disk_and_one_that_cannot_be_written_are_named() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    if !rustix::process::geteuid().is_root() {
        crate::lab::skip("only root can mount a small file system");
        return;
    }
    let here = tempfile::tempdir().unwrap();
    fs::create_dir_all(here.path().join("tree")).unwrap();
    fs::write(here.path().join("tree/big"), noise(3_000_000)).unwrap();
    fs::write(here.path().join("tree/small"), "small").unwrap();
    fs::write(here.path().join("big"), noise(3_000_000)).unwrap();
    let mount = format!(
        "mkdir {HOME}/small {HOME}/fixed; mount -t tmpfs -o size=1m none {HOME}/small; mount -t tmpfs -o ro none {HOME}/fixed"
    );
    let ran = run_in(&lab, here.path(), &["--", &mount]);
    assert_eq!(ran.code, Some(0), "{ran}");
    for (words, said) in [
        (
            ["copy", "big", "--dest", "~/small"],
            "lb[1-2]: ~/small/big: No space left on device\n",
        ),
        (
            ["copy", "tree", "--dest", "~/small"],
            "lb[1-2]: ~/small: No space left on device\n",
        ),
        (
            ["copy", "tree", "--dest", "~/small/new"],
            "lb[1-2]: ~/small/new: No space left on device\n",
        ),
        (
            ["copy", "big", "--dest", "~/fixed"],
            "lb[1-2]: ~/fixed/big: Read-only file system\n",
        ),
        (
            ["copy", "tree", "--dest", "~/fixed"],
            "lb[1-2]: ~/fixed: Read-only file system\n",
        ),
    ] {
        let ran = run_in(&lab, here.path(), &words);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(1), ""),
            "{words:?} {ran}"
        );
        assert!(ran.stderr.starts_with(said), "{words:?} {ran}");
    }
    let ran = run_in(&lab, here.path(), &["--", &format!("ls -A {HOME}/small")]);
    assert_eq!(ran.stdout, "", "{ran}");
}

#[test]
fn without_tar_files_are_copied_and_folders_are_refused() {
    let tools = tempfile::tempdir().unwrap();
    for tool in [
        "sh", "cat", "ls", "rm", "mv", "chmod", "chown", "uname", "touch", "readlink",
    ] {
        let found = crate::lab::find_program(tool, "").unwrap();
        symlink(found, tools.path().join(tool)).unwrap();
    }
    let path = format!("SetEnv PATH={}", tools.path().display());
    let Some(lab) = Lab::builder(1).without_haproxy().sshd("lb1", &path).start() else {
        return;
    };
    let here = tempfile::tempdir().unwrap();
    fs::create_dir(here.path().join("tree")).unwrap();
    fs::write(here.path().join("tree/file"), "file").unwrap();
    let copy = |source: &str| {
        let source = here.path().join(source);
        lab.hash([
            "-w",
            "lb1",
            "copy",
            source.to_str().unwrap(),
            "--dest",
            HOME,
        ])
        .run()
    };
    let ran = copy("tree/file");
    assert_eq!(ran.code, Some(0), "{ran}");
    let ran = copy("tree");
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stderr.contains("lb1: tar: not found on the node; "),
        "{ran}"
    );
    assert_eq!(
        listing(&home(&lab, "lb1")),
        [("file".into(), b"file".to_vec())]
    );
}

#[test]
fn the_systems_ssh_and_this_machine_copy_too() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let here = tempfile::tempdir().unwrap();
    tree(&here.path().join("tree"));
    fs::write(here.path().join("file"), "file").unwrap();
    let config = lab.ssh_config().display().to_string();
    let ssh = ["-R", "ssh", "-F", &config];
    for words in [
        &["copy", "tree", "--dest", "~/tree"][..],
        &["copy", "file", "--dest", "~/"],
        &["fetch", "~/tree", "~/file", "--dest", "."],
    ] {
        let ran = run_in(&lab, here.path(), &[&ssh, words].concat());
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    let sent = listing(&here.path().join("tree"));
    assert!(listing(&home(&lab, "lb2").join("tree")) == sent);
    assert!(listing(&here.path().join("tree.lb1")) == sent);
    assert_eq!(fs::read(here.path().join("file.lb2")).unwrap(), b"file");

    for words in [
        &["copy", "file", "--dest", "got-%h"][..],
        &["fetch", "got-%h", "--dest", "."],
    ] {
        let ran = run_in(&lab, here.path(), &[&["-R", "exec"], words].concat());
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    assert_eq!(fs::read(here.path().join("got-lb2")).unwrap(), b"file");
    let ran = run_in(
        &lab,
        here.path(),
        &["-R", "exec", "copy", "gone", "--dest", "x"],
    );
    assert_eq!(ran.code, Some(1), "{ran}");
}

#[test]
fn a_large_file_is_read_once_for_all_nodes_and_not_kept() {
    const NODES: u8 = 8;
    const SIZE: usize = 64 << 20;
    let Some(lab) = Lab::sshd_only(NODES) else {
        return;
    };
    let here = tempfile::tempdir().unwrap();
    let source = here.path().join("large");
    fs::write(&source, noise(SIZE)).unwrap();
    let words = [
        "-w",
        "lb[1-8]",
        "copy",
        source.to_str().unwrap(),
        "--dest",
        HOME,
    ];
    let (mut command, _home) = lab.hash(words).into_command();
    let mut child = command.stdin(std::process::Stdio::null()).spawn().unwrap();
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(format!("/proc/{}/{file}", child.id())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<usize>().ok()
    };
    let (mut read, mut resident) = (0, 0);
    // A process that has ended has no memory to show, but is still there.
    while let Some(now) = field("status", "VmHWM:") {
        resident = now;
        read = field("io", "rchar:").unwrap_or(read);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    let sent = fs::read(&source).unwrap();
    for node in lab.nodes() {
        assert!(
            fs::read(home(&lab, node).join("large")).unwrap() == sent,
            "{node}"
        );
    }
    assert!(read > SIZE / 2, "{read} bytes");
    assert!(read < SIZE + SIZE / 2, "{read} bytes were read");
    assert!(resident < 100 << 10, "{resident} KiB");
}

#[test]
fn nodes_that_give_sftp_only_are_served_by_that() {
    let builder = Lab::builder(2).without_haproxy();
    let builder = builder.sshd("lb1", "ForceCommand internal-sftp");
    let builder = builder.sshd("lb2", "ForceCommand /bin/true");
    let Some(lab) = builder.start() else { return };
    let here = tempfile::tempdir().unwrap();
    let source = here.path().join("tree");
    tree(&source);
    fs::write(here.path().join("file"), noise(3_000_000)).unwrap();
    fs::write(here.path().join("nothing"), "").unwrap();
    chmod(&here.path().join("file"), 0o640);
    filetime(&here.path().join("file"), 1_000_000_000);
    let there = home(&lab, "lb1");
    fs::create_dir_all(there.join("folder/tree/sub")).unwrap();
    fs::write(there.join("folder/tree/plain"), "older").unwrap();
    fs::write(there.join("folder/tree/sub/kept"), "kept").unwrap();
    for words in [
        &["copy", "-p", "file", "--dest", "~/"][..],
        &["copy", "nothing", "--dest", "~/file2"],
        &["copy", "-p", "tree", "--dest", "~/new"],
        &["copy", "tree", "file", "--dest", "~/folder"],
        &[
            "-R",
            "ssh",
            "-F",
            lab.ssh_config().to_str().unwrap(),
            "copy",
            "file",
            "--dest",
            "~/by-ssh",
        ],
    ] {
        let ran = run_in(&lab, here.path(), &[words, &["-w", "lb1"]].concat());
        assert_eq!(
            (ran.code, ran.stderr.as_str()),
            (Some(0), ""),
            "{words:?} {ran}"
        );
        assert!(ran.stdout.starts_with("lb1: "), "{ran}");
    }
    let file = there.join("file");
    assert!(fs::read(&file).unwrap() == noise(3_000_000));
    assert!(fs::read(there.join("by-ssh")).unwrap() == noise(3_000_000));
    assert_eq!(
        (mode(&file), fs::metadata(&file).unwrap().mtime()),
        (0o640, 1_000_000_000)
    );
    assert_eq!(fs::read(there.join("file2")).unwrap(), b"");
    assert!(
        listing(&there.join("new")) == listing(&source),
        "{:?}",
        listing(&there.join("new"))
    );
    for name in ["plain", "sub/deeper", "empty"] {
        assert_eq!(
            mode(&there.join("new").join(name)),
            mode(&source.join(name)),
            "{name}"
        );
    }
    let mut expected = listing(&source);
    expected.push(("sub/kept".into(), b"kept".to_vec()));
    expected.sort();
    assert!(listing(&there.join("folder/tree")) == expected);
    for (dest, said) in [
        ("~/no/where", "lb1: ~/no/where: No such file or directory\n"),
        ("~/file/", "lb1: ~/file/: No such file or directory\n"),
    ] {
        let ran = run_in(
            &lab,
            here.path(),
            &["-x", "lb2", "copy", "file", "--dest", dest],
        );
        assert_eq!(ran.code, Some(1), "{ran}");
        assert!(ran.stderr.starts_with(said), "{ran}");
    }
    assert!(!temporary_left(&lab));
    // Success is believed of nobody who does not prove it.
    let ran = run_in(
        &lab,
        here.path(),
        &["-x", "lb1", "copy", "nothing", "--dest", "~/x"],
    );
    assert_eq!(ran.code, Some(3), "{ran}");
    let said =
        "hash: lb2: the node runs something else than what it is asked to, so nothing was copied";
    assert!(ran.stderr.starts_with(said), "{ran}");
}
