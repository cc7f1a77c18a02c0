//! Paths on nodes as `scp` takes them: `~` and `~user`, and patterns, on sshd and on dropbear; whatever names hold.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::lab::{self, Hash, Lab, Ran, find_program, skip};

/// The home of who logs in on a node.
fn home(lab: &Lab, node: &str) -> PathBuf {
    lab.dir().join(node).join("home")
}

/// Names that a shell would make something of.
const ODD: &[&str] = &[
    "f$(touch PWNED)",
    "f`touch PWNED`",
    "f;touch PWNED;",
    "f'touch' \"PWNED\"",
    "f\\*",
    "f\nPWNED",
    "f&PWNED|x",
];

#[track_caller]
fn is_ok(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{ran}");
}

/// What is in a folder, in order.
fn list(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Copies and fetches with a front-end: what it is called, its words for a copy and a fetch.
fn check(front: &dyn Fn(&[&str]) -> Hash, homes: &[(&str, PathBuf)], is_clush: bool) {
    let copy = |source: &str, dest: &str| match is_clush {
        true => front(&["--copy", source, "--dest", dest]).run(),
        false => front(&["copy", source, "--dest", dest]).run(),
    };
    let fetch = |source: &str| match is_clush {
        true => front(&["--rcopy", source, "--dest", "."]).run(),
        false => front(&["fetch", source, "--dest", "."]).run(),
    };
    let here = tempfile::tempdir().unwrap();
    let source = here.path().join("source");
    fs::write(&source, "text").unwrap();
    let source = source.display().to_string();
    for (dest, at) in [
        ("~/put", "put"),
        ("~", "source"),
        ("~/d", "d/source"),
        ("~/$(touch PWNED)", "$(touch PWNED)"),
    ] {
        for (_, home) in homes {
            fs::create_dir_all(home.join("d")).unwrap();
        }
        is_ok(&copy(&source, dest));
        for (node, home) in homes {
            assert_eq!(fs::read(home.join(at)).unwrap(), b"text", "{node} {dest}");
        }
    }
    for (node, home) in homes {
        fs::write(home.join("d/f1"), format!("f1 of {node}")).unwrap();
        fs::write(home.join("d/f2"), "f2").unwrap();
        fs::create_dir_all(home.join("d/fold")).unwrap();
        fs::write(home.join("d/fold/in"), "in").unwrap();
        fs::write(home.join("d/.f"), "hidden").unwrap();
    }
    let ran = fetch("~/d/f*");
    is_ok(&ran);
    for (node, _) in homes {
        let at = |name: &str| ran.home.path().join(format!("{name}.{node}"));
        let text = format!("f1 of {node}");
        assert_eq!(fs::read_to_string(at("f1")).unwrap(), text);
        assert_eq!(fs::read_to_string(at("f2")).unwrap(), "f2");
        assert_eq!(fs::read_to_string(at("fold").join("in")).unwrap(), "in");
        assert!(!at(".f").exists() && !at("source").exists());
    }
    let ran = fetch("~/d/f[1]");
    is_ok(&ran);
    for (node, _) in homes {
        assert!(ran.home.path().join(format!("f1.{node}")).exists());
        assert!(!ran.home.path().join(format!("f2.{node}")).exists());
    }
    // Names that a shell would run are names.
    for (_, home) in homes {
        for name in ODD {
            fs::write(home.join(name), name).unwrap();
        }
    }
    let ran = fetch("~/f*");
    is_ok(&ran);
    for (node, _) in homes {
        for name in ODD {
            let fetched = ran.home.path().join(format!("{name}.{node}"));
            assert_eq!(fs::read_to_string(fetched).unwrap(), *name);
        }
    }
    for wrong in [
        "~/$(touch PWNED-2)*",
        "~$(touch PWNED)/x",
        "~root;touch PWNED/x",
        "~no-such-user/x",
        "~/none*",
    ] {
        let ran = fetch(wrong);
        assert!(ran.code == Some(1) || is_clush, "{ran}");
        let why = ["no such user", "No such file or directory"];
        assert!(
            why.iter().any(|why| ran.stderr.contains(why)),
            "{wrong}: {ran}"
        );
    }
    let ran = copy(&source, "~no-such-user/x");
    assert!(
        ran.stderr.contains("~no-such-user/x: no such user"),
        "{ran}"
    );
    for (node, home) in homes {
        let is_left = |name: &String| name.starts_with("PWNED") || name.contains(".hapsh-");
        assert!(!list(home).iter().any(is_left), "{node}: {:?}", list(home));
    }
}

#[test]
fn homes_and_patterns_are_the_nodes() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let homes = ["lb1", "lb2"].map(|node| (node, home(&lab, node)));
    let native = |words: &[&str]| {
        let words = ["-w", "lb[1-2]"].iter().chain(words);
        lab.hash(words.copied().collect::<Vec<_>>())
    };
    check(&native, &homes, false);
    let ran = native(&["fetch", "~root/.no-such-file-there", "--dest", "."]).run();
    assert!(
        ran.stderr
            .contains("/root/.no-such-file-there: No such file"),
        "{ran}"
    );
    // Two files that would be one here.
    for (_, home) in &homes {
        for folder in ["a", "b"] {
            fs::create_dir_all(home.join(folder)).unwrap();
            fs::write(home.join(folder).join("same"), "").unwrap();
        }
    }
    let ran = native(&["fetch", "~/[ab]/same", "--dest", "."]).run();
    assert!(
        ran.code == Some(1) && ran.stderr.contains("another file has the same name"),
        "{ran}"
    );
    assert!(
        !list(ran.home.path())
            .iter()
            .any(|name| name.starts_with("same")),
        "{ran}"
    );
}

#[test]
fn clush_takes_them_as_well() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let homes = ["lb1", "lb2"].map(|node| (node, home(&lab, node)));
    let clush = |words: &[&str]| {
        let words = ["-w", "lb[1-2]"].iter().chain(words);
        let hash = Hash::called("clush", words);
        fs::create_dir(hash.home().join(".ssh")).unwrap();
        fs::copy(lab.ssh_config(), hash.home().join(".ssh/config")).unwrap();
        hash
    };
    check(&clush, &homes, true);
}

#[test]
fn where_only_files_are_served_home_is_where_it_begins() {
    let builder = Lab::builder(1).without_haproxy();
    let Some(lab) = builder.sshd("lb1", "ForceCommand internal-sftp").start() else {
        return;
    };
    let here = tempfile::tempdir().unwrap();
    let source = here.path().join("source");
    fs::write(&source, "text").unwrap();
    let copy = |dest: &str| {
        let source = source.display().to_string();
        lab.hash(["-w", "lb1", "copy", &source, "--dest", dest])
            .run()
    };
    let ran = copy("~/put");
    is_ok(&ran);
    let ran = copy("~root/put");
    assert!(
        ran.code == Some(1)
            && ran
                .stderr
                .contains("serves files only and does not say where homes are"),
        "{ran}"
    );
}

/// A real dropbear, whose root has a home of its own.
struct Dropbear {
    dir: tempfile::TempDir,
    child: Child,
}

impl Dropbear {
    fn start() -> Option<Self> {
        let Some(program) = find_program("dropbear", "DROPBEAR") else {
            skip("dropbear is not installed");
            return None;
        };
        if !rustix::process::geteuid().is_root() {
            skip("a dropbear with a passwd file of its own needs root");
            return None;
        }
        let dir = tempfile::Builder::new()
            .prefix("hd.")
            .tempdir_in("/tmp")
            .unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let keygen = |name: &str, kind: &[&str]| {
            let mut keygen = Command::new("ssh-keygen");
            keygen
                .args(["-q", "-N", "", "-t", "ed25519", "-f"])
                .arg(at(name))
                .args(kind);
            assert!(keygen.status().unwrap().success());
        };
        keygen("key", &[]);
        let made = Command::new("dropbearkey")
            .args(["-t", "ed25519", "-f", &at("host_key")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stdout).into_owned();
        let public = said
            .lines()
            .find(|line| line.starts_with("ssh-"))
            .expect("a key");
        fs::create_dir_all(dir.path().join("home/.ssh")).unwrap();
        fs::copy(
            dir.path().join("key.pub"),
            dir.path().join("home/.ssh/authorized_keys"),
        )
        .unwrap();
        let passwd = format!("root:x:0:0:root:{}:/bin/sh\n", at("home"));
        fs::write(dir.path().join("passwd"), passwd).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        fs::write(at("known_hosts"), format!("[127.0.0.1]:{port} {public}\n")).unwrap();
        let config = format!(
            "Host d1\n HostName 127.0.0.1\n Port {port}\n User root\n IdentityFile {}\n UserKnownHostsFile {}\n IdentityAgent none\n",
            at("key"),
            at("known_hosts")
        );
        fs::write(at("ssh_config"), config).unwrap();
        let script = "mount --bind \"$1\" /etc/passwd && shift && exec \"$@\"";
        let child = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh", &at("passwd")])
            .arg(program)
            .args([
                "-F",
                "-E",
                "-s",
                "-r",
                &at("host_key"),
                "-p",
                &format!("127.0.0.1:{port}"),
                "-P",
                &at("pid"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(at("log")).unwrap())
            .spawn()
            .unwrap();
        let log = dir.path().join("log");
        lab::until("dropbear listens", Some(&log), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(Self { dir, child })
    }
}

impl Drop for Dropbear {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn dropbear_is_no_different() {
    let Some(dropbear) = Dropbear::start() else {
        return;
    };
    let config = dropbear.dir.path().join("ssh_config").display().to_string();
    let homes = [("d1", dropbear.dir.path().join("home"))];
    let native = |words: &[&str]| {
        let before = ["-F", &config, "-w", "d1"];
        Hash::new(before.iter().chain(words))
    };
    check(&native, &homes, false);
}
