//! `shell-init` in each real shell: what goes to the program, what to the builtin, and nothing else breaks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::lab::{Hash, find_program, skip};

/// A program that shows its arguments, or its input when asked, and ends with 7.
const STUB: &str = r#"#!/bin/sh
if [ "${1-}" = --stdin ]; then exec cat; fi
printf 'HAPSH'
for word; do printf ' <%s>' "$word"; done
echo
exit 7
"#;

/// How `shell-init` calls a shell, and how it is started.
const SHELLS: &[(&str, &[&str])] = &[
    ("bash", &["bash", "--norc", "--noprofile"]),
    ("zsh", &["zsh", "-f"]),
    ("ksh", &["ksh93"]),
    ("mksh", &["mksh"]),
    ("sh", &["dash"]),
    ("sh", &["busybox", "sh"]),
    ("sh", &["bash", "--posix"]),
];

/// A folder with the program as a stub, the function, and a file called `lb1`.
struct Place {
    dir: tempfile::TempDir,
    shell: &'static [&'static str],
}

impl Place {
    fn new(name: &str, shell: &'static [&'static str]) -> Option<Self> {
        if find_program(shell[0], "").is_none() {
            skip(&format!("{} is not installed", shell[0]));
            return None;
        }
        let dir = tempfile::tempdir().expect("folder");
        let stub = dir.path().join("hapsh");
        fs::write(&stub, STUB).expect("stub");
        fs::set_permissions(&stub, PermissionsExt::from_mode(0o755)).expect("chmod");
        let made = Hash::called("hapsh", ["shell-init", name]).run();
        assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""), "{made}");
        fs::write(dir.path().join("init"), made.stdout).expect("init");
        fs::write(dir.path().join("lb1"), "").expect("lb1");
        Some(Self { dir, shell })
    }

    /// Runs a script behind the function: its output, what it complained of, and its exit code.
    fn run(&self, script: &str) -> (String, String, Option<i32>) {
        let file = self.dir.path().join("script");
        fs::write(&file, format!("eval \"$(cat init)\"\n{script}\n")).expect("script");
        let path = std::env::var("PATH").expect("PATH");
        let output = Command::new(self.shell[0])
            .args(&self.shell[1..])
            .arg("./script")
            .env_clear()
            .env("PATH", format!("{}:{path}", self.dir.path().display()))
            .env("HOME", self.dir.path())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .expect("shell");
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
            output.status.code(),
        )
    }

    #[track_caller]
    fn prints(&self, script: &str, expected: &str) {
        let (out, err, _) = self.run(script);
        let shell = self.shell;
        assert_eq!(
            (out.as_str(), err.as_str()),
            (expected, ""),
            "{shell:?}: {script}"
        );
    }
}

fn in_each_shell(test: impl Fn(&Place)) {
    for (name, shell) in SHELLS {
        if let Some(place) = Place::new(name, shell) {
            test(&place);
        }
    }
}

#[test]
fn targets_options_and_verbs_go_to_the_program_word_by_word() {
    in_each_shell(|place| {
        for (call, seen) in [
            ("hash -w 'lb[1-2]' status", " <-w> <lb[1-2]> <status>"),
            ("hash -wlb1 status", " <-wlb1> <status>"),
            ("hash ping -g web", " <ping> <-g> <web>"),
            ("hash run -- ls", " <run> <--> <ls>"),
            ("hash -l root -a ping", " <-l> <root> <-a> <ping>"),
            ("hash -b run ls", " <-b> <run> <ls>"),
            ("hash --version", " <--version>"),
            ("hash config --origin", " <config> <--origin>"),
            ("hash no-such-command", " <no-such-command>"),
            (
                r#"hash -w 'a b' -- 'x  y' '*' '"' "it's" '' '$HOME' '\'"#,
                r#" <-w> <a b> <--> <x  y> <*> <"> <it's> <> <$HOME> <\>"#,
            ),
        ] {
            place.prints(call, &format!("HAPSH{seen}\n"));
        }
    });
}

#[test]
fn everything_else_goes_to_the_builtin() {
    in_each_shell(|place| {
        for call in [
            "hash",
            "hash -r",
            r"\hash -r",
            "hash ls",
            "hash ls cat",
            "hash -- ls",
            "hash ping-or-not=1",
            "hash ''",
            "hash status-or-not ls",
        ] {
            let (out, _, _) = place.run(call);
            assert!(!out.contains("HAPSH"), "{:?}: {call}: {out}", place.shell);
        }
        place.prints("hash ls >/dev/null && hash -r && echo fine", "fine\n");
        // a name that is both a verb and a command here is a probe
        fs::copy(
            place.dir.path().join("hapsh"),
            place.dir.path().join("ping"),
        )
        .expect("ping");
        place.prints("hash ping && echo known", "known\n");
        place.prints(
            "if hash ls 2>/dev/null; then echo here; else echo none; fi",
            "here\n",
        );
        let absent = "hash no-such-command >/dev/null 2>&1 || echo none";
        place.prints(absent, "none\n");
    });
}

#[test]
fn exit_codes_pipes_and_substitutions_are_those_of_a_program() {
    in_each_shell(|place| {
        place.prints("hash -w a b >/dev/null; echo $?", "7\n");
        place.prints("hash -w a b | tr A-Z a-z", "hapsh <-w> <a> <b>\n");
        place.prints(
            "text=$(hash -w a b) || echo \"$? $text\"",
            "7 HAPSH <-w> <a> <b>\n",
        );
        place.prints("printf 'one\\ntwo\\n' | hash --stdin", "one\ntwo\n");
        place.prints("hash -w a b >/dev/null && echo wrong; echo end", "end\n");
    });
}

#[test]
fn strict_scripts_go_on_and_end_as_before() {
    in_each_shell(|place| {
        let (out, err, code) = place.run(
            "set -eu\neval \"$(cat init)\"\nhash >/dev/null\nhash -r\nhash ls\nhash -w a b || echo \"or $?\"\n\
             hash -w c d\necho unreachable",
        );
        let expected = "HAPSH <-w> <a> <b>\nor 7\nHAPSH <-w> <c> <d>\n";
        assert_eq!(
            (out.as_str(), err.as_str(), code),
            (expected, "", Some(7)),
            "{:?}",
            place.shell
        );
    });
}

#[test]
fn an_unquoted_pattern_survives_where_the_shell_lets_it() {
    in_each_shell(|place| {
        // in the others the file lb1 is all that is left of it, which the program notices
        let left = if place.shell[0] == "zsh" {
            "lb[1-2]"
        } else {
            "lb1"
        };
        place.prints(
            "hash -w lb[1-2] status",
            &format!("HAPSH <-w> <{left}> <status>\n"),
        );
    });
    if let Some(place) = Place::new("zsh", &["zsh", "-f"]) {
        let (out, _, _) = place.run("alias -g x=y\nunalias hash\nalias sudo='sudo '\neval \"$(cat init)\"\nalias hash || echo plain");
        assert_eq!(out, "plain\n");
    }
}

#[test]
fn a_virtual_environment_comes_and_goes() {
    let dir = tempfile::tempdir().expect("folder");
    let made = Command::new("python3")
        .args(["-m", "venv", "--without-pip"])
        .arg(dir.path().join("venv"))
        .status();
    if !made.is_ok_and(|status| status.success()) {
        skip("python3 with venv is not installed");
        return;
    }
    let activate: PathBuf = dir.path().join("venv/bin/activate");
    in_each_shell(|place| {
        let script = format!(
            "set -e\n. {}\ntest -n \"$VIRTUAL_ENV\"\ndeactivate\ntest -z \"${{VIRTUAL_ENV-}}\"\n\\hash -r\necho fine",
            activate.display()
        );
        place.prints(&script, "fine\n");
    });
}

#[test]
fn zsh_names_folders_as_ever() {
    let Some(place) = Place::new("zsh", &["zsh", "-f"]) else {
        return;
    };
    fs::create_dir(place.dir.path().join("src")).expect("folder");
    place.prints(
        "hash -d proj=~/src\ncd ~proj && [[ $PWD -ef ~/src ]] && echo there",
        "there\n",
    );
    place.prints("hash mine=/bin/echo\nmine works", "works\n");
    place.prints(
        "setopt no_unset ksh_arrays sh_word_split\nhash -d a=/tmp\nprint ~a\nhash -w 'a b' c",
        "/tmp\nHAPSH <-w> <a b> <c>\n",
    );
}

#[test]
fn fish_has_no_builtin_in_the_way() {
    let Some(place) = Place::new("fish", &["fish", "--no-config"]) else {
        return;
    };
    let script = "source init\nhash -w lb[1-2] 'a b' status\necho $status\necho in | hash --stdin";
    fs::write(place.dir.path().join("script.fish"), script).expect("script");
    let path = std::env::var("PATH").expect("PATH");
    let output = Command::new("fish")
        .args(["--no-config", "script.fish"])
        .env("PATH", format!("{}:{path}", place.dir.path().display()))
        .env("HOME", place.dir.path())
        .current_dir(place.dir.path())
        .output()
        .expect("fish");
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        out, "HAPSH <-w> <lb[1-2]> <a b> <status>\n7\nin\n",
        "{output:?}"
    );
}

#[test]
fn the_program_itself_answers() {
    let Some(place) = Place::new("bash", &["bash", "--norc", "--noprofile"]) else {
        return;
    };
    let program = env!("CARGO_BIN_EXE_hapsh");
    let script = format!("eval \"$({program} shell-init bash)\"\nhash --version");
    let version = concat!("hash ", env!("CARGO_PKG_VERSION"), "\n");
    place.prints(&script, version);
}
