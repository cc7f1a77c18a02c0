//! `--become`: a `sudo` of ours that does what it is told, and the real one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{at_terminal, ended, exec, line, quoted, without_terminal};
use crate::lab::{Hash, Lab, Ran, find_program, skip};

/// Asks as `sudo -S -p PROMPT -u USER -- …` does and writes down what it was given. What it does with a password is in
/// the file `mode` beside it: `open` asks for none.
const FAKE: &str = r#"#!/bin/sh
here=$(dirname "$0")
[ "$1 $2 $4 $6" = "-S -p -u --" ] || exit 99
prompt=$3 user=$5
shift 6
echo "Respect the privacy of others." >&2
if ! grep -q open "$here/mode"; then
    tries=0
    while :; do
        printf %s "$prompt" >&2
        password=
        while :; do
            c=$(dd bs=1 count=1 2>/dev/null; echo .)
            case $c in
                .) echo "sudo: no password was provided" >&2; exit 1 ;;
                '
.') break ;;
                *) password=$password${c%.} ;;
            esac
        done
        echo "$password" >>"$here/passwords"
        [ "$password" = sesame ] && break
        tries=$((tries + 1))
        grep -q once "$here/mode" && { echo "sudo: 1 incorrect password attempt" >&2; exit 1; }
        [ $tries = 3 ] && exit 1
        echo "Sorry, try again." >&2
    done
fi
echo "$user" >>"$here/users"
exec "$@"
"#;

/// A folder in which the fake is `sudo`.
fn fake(mode: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sudo = folder.path().join("sudo");
    fs::write(&sudo, FAKE).unwrap();
    fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("mode"), mode).unwrap();
    folder
}

fn path(folder: &Path) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}", folder.display())
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_default()
}

const LECTURE: &str = "Respect the privacy of others.\n";

#[test]
fn without_a_password_nobody_is_asked() {
    let fake = fake("open");
    let hash = exec(
        "n[1-2]",
        &["--become=app", "--stdin", "--", "cat; echo err >&2; exit 5"],
    );
    let ran: Ran = hash.env("PATH", path(fake.path())).stdin("data\n").run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(1), "n[1-2]: data\n"),
        "{ran}"
    );
    assert_eq!(
        ran.stderr,
        format!("n[1-2]: {LECTURE}n[1-2]: err\nhash: n[1-2]: exited with 5\n"),
        "{ran}"
    );
    assert_eq!(read(fake.path(), "users"), "app\napp\n");
}

#[test]
fn without_a_terminal_a_wish_for_a_password_is_a_failure() {
    let fake = fake("");
    let hash = exec("n[1-3]", &["--become", "--", "echo done"]);
    let (mut command, _home) = without_terminal(hash.env("PATH", path(fake.path())));
    let (code, out, err) = ended(&mut command);
    assert_eq!((code, out.as_str()), (Some(3), ""), "{err}");
    assert_eq!(
        err,
        "hash: n[1-3]: sudo wants a password, and nobody gave one at a terminal\n"
    );
}

/// A run at a terminal, with what is typed at the question for the password.
fn typed(fake: &Path, words: &[&str], password: &str) -> Option<(Option<i32>, String)> {
    let home = Hash::new(["x"]);
    let words = [&["-R", "exec", "-w", "n[1-3]", "--become"], words].concat();
    let line = format!("PATH={} exec {}", quoted(&path(fake)), line(&words));
    let question = "password for sudo to root on all nodes: ";
    let (code, shown) = at_terminal(&line, home.home(), &[(question, &format!("{password}\n"))])?;
    // Once, not shown while typed, and nothing of ours on the way to it.
    assert_eq!(shown.matches(question).count(), 1, "{shown}");
    assert!(!shown.contains(password), "{shown}");
    assert!(!shown.contains("hash-begun"), "{shown}");
    assert!(!shown.contains("hash-password"), "{shown}");
    Some((code, shown))
}

#[test]
fn a_password_is_asked_for_once_and_goes_to_all() {
    let fake = fake("");
    let Some((code, shown)) = typed(fake.path(), &["--", "echo done; cat"], "sesame") else {
        return;
    };
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("n[1-3]: done\r\n"), "{shown}");
    assert_eq!(read(fake.path(), "passwords"), "sesame\n".repeat(3));
    // The command's input begins behind the password, a script before it.
    let script = fake.path().join("script");
    fs::write(&script, "#!/bin/sh\necho \"$1\"; cat\n").unwrap();
    let script = script.to_str().unwrap();
    let (code, shown) = typed(
        fake.path(),
        &["--script", script, "--", "an argument"],
        "sesame",
    )
    .unwrap();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("n[1-3]: an argument\r\n"), "{shown}");
}

#[test]
fn a_wrong_password_is_tried_once_on_one_node() {
    for mode in ["", "once"] {
        let fake = fake(mode);
        let Some((code, shown)) = typed(fake.path(), &["--", "echo done"], "open-up") else {
            return;
        };
        assert_eq!(code, Some(3), "{shown}");
        assert_eq!(read(fake.path(), "passwords"), "open-up\n", "{shown}");
        assert_eq!(read(fake.path(), "users"), "");
        assert!(!shown.contains("done"), "{shown}");
        let refused = match mode {
            "once" => "sudo did not run the command: sudo: 1 incorrect password attempt",
            _ => "sudo to root does not take the password",
        };
        assert!(shown.contains(refused), "{shown}");
        assert!(
            shown.contains("was not sent here: another node refused it"),
            "{shown}"
        );
    }
}

#[test]
fn giving_up_at_the_question_ends_the_run() {
    let fake = fake("");
    let home = Hash::new(["x"]);
    let words = ["-R", "exec", "-w", "n[1-3]", "--become", "--", "echo done"];
    let line = format!("PATH={} exec {}", quoted(&path(fake.path())), line(&words));
    let question = "password for sudo to root on all nodes: ";
    let Some((code, shown)) = at_terminal(&line, home.home(), &[(question, "\x03")]) else {
        return;
    };
    assert_eq!(code, Some(130), "{shown}");
    assert!(!shown.contains("done"), "{shown}");
    assert_eq!(read(fake.path(), "users"), "");
}

#[test]
fn without_sudo_the_command_was_not_run() {
    let hash = exec("n1", &["--become", "--", "true"]);
    let ran = hash.env("PATH", "/nonexistent").run();
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(
        ran.stderr.contains("sudo did not run the command: "),
        "{ran}"
    );
    assert!(ran.stderr.contains("sudo: not found"), "{ran}");
}

#[test]
fn the_real_sudo_over_real_ssh() {
    if find_program("sudo", "").is_none() {
        return skip("sudo is not installed");
    }
    if !rustix::process::geteuid().is_root() {
        return skip("only root logs in where sudo asks for no password");
    }
    let Some(lab) = Lab::sshd_only(2) else { return };
    let ran = lab
        .hash([
            "-w",
            "lb[1-2]",
            "--become=nobody",
            "--stdin",
            "--",
            "id -un; cat",
        ])
        .stdin("data\n")
        .run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "lb[1-2]: nobody\nlb[1-2]: data\n"),
        "{ran}"
    );
    assert!(!ran.stderr.contains("hash-"), "{ran}");
}

/// The system's files about users, with one more user in them, in a mount namespace of their own: the system stays as it is.
const WITH_USER: &str = r#"
set -e
cd "$1"
cat /etc/passwd >passwd; echo "hashtest:x:54321:65534::$PWD:/bin/sh" >>passwd
cat /etc/shadow >shadow; perl -e 'print "hashtest:", crypt("sesame", q($6$salt$)), ":20000:0:99999:7:::\n"' >>shadow
printf 'Defaults lecture=never\nDefaults !syslog\nroot ALL=(ALL) ALL\nhashtest ALL=(ALL) ALL\n' >sudoers
chmod 440 sudoers; chmod 755 .
mkdir home; chown 54321 home
for file in passwd shadow sudoers; do mount --bind $file /etc/$file; done
mount -t tmpfs none /run
exec setpriv --reuid 54321 --regid 65534 --clear-groups env HOME="$PWD/home" /bin/sh -c "$2"
"#;

#[test]
fn the_real_sudo_takes_the_password_and_refuses_a_wrong_one() {
    for program in ["sudo", "perl", "unshare", "setpriv", "script"] {
        if find_program(program, "").is_none() {
            return skip(&format!("{program} is not installed"));
        }
    }
    let namespace = ["-m", "--propagation", "private"];
    let can = Command::new("unshare").args(namespace).arg("true").output();
    if !rustix::process::geteuid().is_root() || !can.is_ok_and(|ran| ran.status.success()) {
        return skip("only root, where namespaces are allowed, can make a user for sudo to ask");
    }
    let words = [
        "-R",
        "exec",
        "-w",
        "n[1-3]",
        "--become",
        "--",
        "id -un; cat",
    ];
    let inner = line(&words);
    for (password, code, expected) in [
        ("sesame", 0, "n[1-3]: root\r\n"),
        ("open-up", 3, "sudo to root does not take the password"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let words = [
            "unshare",
            "-m",
            "--propagation",
            "private",
            "/bin/sh",
            "-c",
            WITH_USER,
            "sh",
        ];
        let words = words
            .into_iter()
            .chain([home.to_str().unwrap(), inner.as_str()]);
        let outer: Vec<String> = words.map(quoted).collect();
        let question = "password for sudo to root on all nodes: ";
        let talk = [(question, &*format!("{password}\n"))];
        let Some((exit, shown)) = at_terminal(&outer.join(" "), home, &talk) else {
            return;
        };
        assert_eq!(exit, Some(code), "{shown}");
        assert!(shown.contains(expected), "{shown}");
        assert!(!shown.contains(password), "{shown}");
        assert!(!shown.contains("hash-"), "{shown}");
    }
}
