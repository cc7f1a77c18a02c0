//! Permissions, owners and other names of files that are copied and fetched: what is there keeps its own, what is new obeys
//! the umask of where it lands.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::lab::{Hash, Lab, Ran};

const HOME: &str = "/run/haproxy/home";

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Files and folders here, open to everybody.
fn sources() -> tempfile::TempDir {
    let here = tempfile::tempdir().unwrap();
    fs::create_dir_all(here.path().join("tree/sub")).unwrap();
    for name in ["file", "tree/old", "tree/new", "tree/sub/x"] {
        fs::write(here.path().join(name), "new\n").unwrap();
        chmod(&here.path().join(name), 0o777);
    }
    chmod(&here.path().join("tree"), 0o777);
    chmod(&here.path().join("tree/sub"), 0o777);
    here
}

fn copy(lab: &Lab, here: &Path, words: &[&str]) -> Ran {
    let words = [&["-w", "lb1", "copy"], words].concat();
    let (mut command, home) = lab.hash(words).into_command();
    let output = command
        .current_dir(here)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran {
        stdout: String::from_utf8(output.stdout.clone()).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        bytes: output.stdout,
        code: output.status.code(),
        home,
    }
}

/// A node on which the login has this umask, by a command of its own or by SFTP alone.
fn node(umask: &str, sftp: bool) -> Option<(Lab, PathBuf)> {
    let command = match sftp {
        true => format!("ForceCommand internal-sftp -u {umask}"),
        false => format!("ForceCommand umask {umask}; exec sh -c \"$SSH_ORIGINAL_COMMAND\""),
    };
    let builder = Lab::builder(1).without_haproxy();
    let lab = builder.sshd("lb1", &command).start()?;
    let home = lab.dir().join("lb1/home");
    Some((lab, home))
}

#[test]
fn what_is_new_on_a_node_obeys_its_umask() {
    for (umask, file, folder) in [
        ("022", 0o755, 0o755),
        ("0027", 0o750, 0o750),
        ("077", 0o700, 0o700),
    ] {
        for sftp in [false, true] {
            let Some((lab, home)) = node(umask, sftp) else {
                return;
            };
            let here = sources();
            let ran = copy(&lab, here.path(), &["file", "tree", "--dest", HOME]);
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
            let ran = copy(
                &lab,
                here.path(),
                &["file", "--dest", &format!("{HOME}/alone")],
            );
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
            for (name, expected) in [
                ("alone", file),
                ("file", file),
                ("tree", folder),
                ("tree/sub", folder),
                ("tree/sub/x", file),
            ] {
                assert_eq!(mode(&home.join(name)), expected, "{umask} {sftp} {name}");
            }
            // Unless all is to be as here.
            let ran = copy(&lab, here.path(), &["-p", "file", "tree", "--dest", HOME]);
            assert_eq!(ran.code, Some(0), "{ran}");
            for name in ["file", "tree/new", "tree/sub/x"] {
                assert_eq!(mode(&home.join(name)), 0o777, "{umask} {sftp} {name}");
            }
        }
    }
}

#[test]
fn what_is_on_a_node_keeps_its_permissions_and_its_owner() {
    if !rustix::process::geteuid().is_root() {
        return crate::lab::skip("only root can give files away");
    }
    for sftp in [false, true] {
        let Some((lab, home)) = node("022", sftp) else {
            return;
        };
        let here = sources();
        fs::create_dir(home.join("tree")).unwrap();
        chmod(&home.join("tree"), 0o750);
        for (name, mode) in [("file", 0o600), ("tree/old", 0o4711)] {
            fs::write(home.join(name), "old\n").unwrap();
            chown(home.join(name), Some(1234), Some(2345)).unwrap();
            chmod(&home.join(name), mode);
        }
        symlink("nowhere", here.path().join("tree/link")).unwrap();
        fs::write(home.join("tree/link"), "a file\n").unwrap();
        let ran = copy(
            &lab,
            here.path(),
            &["file", "--dest", &format!("{HOME}/file")],
        );
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
        let ran = copy(&lab, here.path(), &["tree", "--dest", HOME]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
        for (name, expected) in [("file", 0o600), ("tree/old", 0o4711)] {
            let path = home.join(name);
            let data = fs::metadata(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new\n");
            assert_eq!(
                (mode(&path), data.uid(), data.gid()),
                (expected, 1234, 2345),
                "{sftp} {name}"
            );
        }
        assert_eq!(
            (mode(&home.join("tree")), mode(&home.join("tree/new"))),
            (0o750, 0o755)
        );
        assert!(
            fs::symlink_metadata(home.join("tree/link"))
                .unwrap()
                .is_symlink()
        );
        // What is no file is not replaced by one.
        let made = Command::new("mkfifo").arg(home.join("pipe")).status();
        assert!(made.unwrap().success());
        let ran = copy(
            &lab,
            here.path(),
            &["file", "--dest", &format!("{HOME}/pipe")],
        );
        assert_eq!(ran.code, Some(1), "{ran}");
        assert!(ran.stderr.contains("pipe: not a regular file"), "{ran}");
    }
}

#[test]
fn other_names_and_an_owner_that_cannot_be_kept_are_told() {
    let builder = Lab::builder(1).without_haproxy();
    let builder = builder.sudo("lb1", "").unprivileged("lb1");
    let Some(lab) = builder.start() else { return };
    let here = sources();
    let folder = lab.dir().join("lb1/shared");
    fs::create_dir_all(folder.join("tree")).unwrap();
    for path in [&folder, &folder.join("tree")] {
        chmod(path, 0o777);
    }
    for name in ["file", "tree/old"] {
        fs::write(folder.join(name), "old\n").unwrap();
        chmod(&folder.join(name), 0o640);
        fs::hard_link(folder.join(name), folder.join(format!("{name}2"))).unwrap();
    }
    for (source, dest, told) in [
        (
            "file",
            "/run/haproxy/shared/file",
            "/run/haproxy/shared/file",
        ),
        (
            "tree",
            "/run/haproxy/shared",
            "/run/haproxy/shared/tree/old",
        ),
    ] {
        let ran = copy(&lab, here.path(), &[source, "--dest", dest]);
        assert_eq!(ran.code, Some(0), "{ran}");
        let expected = format!(
            "lb1: {told}: was one of 2 hard links; the others keep the old content\n\
             lb1: {told}: belonged to 0:0 and belongs to 65534:65534 now\n"
        );
        assert_eq!(ran.stderr, expected, "{ran}");
    }
    for (name, content) in [
        ("file", "new\n"),
        ("file2", "old\n"),
        ("tree/old", "new\n"),
        ("tree/old2", "old\n"),
    ] {
        assert_eq!(
            fs::read_to_string(folder.join(name)).unwrap(),
            content,
            "{name}"
        );
        assert_eq!(mode(&folder.join(name)), 0o640, "{name}");
    }
}

/// Fetches with a umask of ours into a folder.
fn fetch(lab: &Lab, umask: &str, words: &[&str]) -> Ran {
    let words = [&["-w", "lb1", "fetch"], words].concat();
    let (client, home) = lab.hash(words).into_command();
    let client: &Command = &client;
    let output = Command::new("sh")
        .args(["-c", "umask $0; exec \"$@\"", umask])
        .arg(client.get_program())
        .args(client.get_args())
        .env("HOME", home.path())
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran {
        stdout: String::from_utf8(output.stdout.clone()).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        bytes: output.stdout,
        code: output.status.code(),
        home,
    }
}

#[test]
fn what_is_fetched_obeys_our_umask() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    let there = sources();
    let at = |name: &str| there.path().join(name).display().to_string();
    for (umask, expected) in [("022", 0o755), ("027", 0o750), ("000", 0o777)] {
        let ran = fetch(&lab, umask, &[&at("file"), &at("tree"), "--dest", "."]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
        let here = ran.home.path();
        for name in ["file.lb1", "tree.lb1", "tree.lb1/sub", "tree.lb1/sub/x"] {
            assert_eq!(mode(&here.join(name)), expected, "{umask} {name}");
        }
        let ran = fetch(
            &lab,
            umask,
            &["-p", &at("file"), &at("tree"), "--dest", "."],
        );
        let here = ran.home.path();
        for name in ["file.lb1", "tree.lb1", "tree.lb1/sub", "tree.lb1/sub/x"] {
            assert_eq!(mode(&here.join(name)), 0o777, "{umask} {name}");
        }
    }
    // A folder that is here already keeps its own.
    let hash: Hash = lab.hash(["-w", "lb1", "fetch", &at("tree"), "--dest", "."]);
    fs::create_dir_all(hash.home().join("tree.lb1/sub")).unwrap();
    chmod(&hash.home().join("tree.lb1/sub"), 0o700);
    let ran = hash.run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(mode(&ran.home.path().join("tree.lb1/sub")), 0o700);
}
