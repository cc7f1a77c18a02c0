//! `completions` in real shells: verbs, options and the groups that are asked for at the time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::lab::{Hash, find_program, skip};

/// Runs a script in a shell, in a folder with the completions as `completions` and a `hapsh` that knows two groups.
fn run(shell: &[&str], name: &str, script: &str) -> Option<String> {
    if find_program(shell[0], "").is_none() {
        skip(&format!("{} is not installed", shell[0]));
        return None;
    }
    let dir = tempfile::tempdir().expect("folder");
    let made = Hash::called("hapsh", ["completions", name]).run();
    assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""), "{made}");
    fs::write(dir.path().join("completions"), made.stdout).expect("completions");
    let stub = dir.path().join("hapsh");
    fs::write(
        &stub,
        "#!/bin/sh\n[ \"$*\" = 'nodeset -l' ] && printf '@db\\n@web\\n'\n",
    )
    .expect("stub");
    fs::set_permissions(&stub, PermissionsExt::from_mode(0o755)).expect("chmod");
    fs::write(dir.path().join("script"), script).expect("script");
    let path = std::env::var("PATH").expect("PATH");
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .arg("./script")
        .env("PATH", format!("{}:{path}", dir.path().display()))
        .env("HOME", dir.path())
        .current_dir(dir.path())
        .output()
        .expect("shell");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(err, "", "{name}: {script}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn bash_completes_verbs_options_and_groups() {
    let try_line = |line: &str, words: &str, current: &str| {
        let script = format!(
            "source completions\nCOMP_LINE={line:?} COMP_POINT=${{#COMP_LINE}} COMP_WORDS=({words})\n\
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n_hapsh_groups hapsh {current:?} x\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"\ncomplete -p hash hapsh"
        );
        let out = run(&["bash", "--norc"], "bash", &script)?;
        let (found, registered) = out.split_once("complete ").expect("registered");
        assert_eq!(
            registered.matches("_hapsh_groups").count(),
            2,
            "{registered}"
        );
        Some(found.trim().replace('\n', " "))
    };
    // bash breaks words at @
    for (line, words, current, expected) in [
        ("hapsh -w @", "hapsh -w @ ''", "", "db web"),
        ("hapsh -w lb1,@w", "hapsh -w lb1,@ w", "w", "web"),
        ("hapsh --nodes=@d", "hapsh --nodes = @ d", "d", "db"),
        ("hapsh -x@d", "hapsh -x @ d", "d", "db"),
        ("hapsh -g w", "hapsh -g w", "w", "web"),
        ("hapsh shell-in", "hapsh shell-in", "shell-in", "shell-init"),
        ("hapsh --hostf", "hapsh --hostf", "--hostf", "--hostfile"),
    ] {
        let Some(found) = try_line(line, words, current) else {
            return;
        };
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn zsh_takes_the_completions_for_both_names() {
    let script = "autoload -U compinit && compinit -D\nsource completions\n\
                  print $_comps[hash] $_comps[hapsh]\nwhence -w _hapsh_nodes _hapsh_groups\n\
                  compset() { shift; print -r compset $@ }\ncompadd() { print -r compadd ${(P)@[-1]} }\n\
                  _hapsh_nodes\n_hapsh_groups\ngrep -c ':NODES:_hapsh_nodes' completions >/dev/null && print hooked";
    let Some(out) = run(&["zsh", "-f"], "zsh", script) else {
        return;
    };
    let expected = "_hapsh _hapsh\n_hapsh_nodes: function\n_hapsh_groups: function\n\
                    compset *[,!&^]\ncompadd @db @web\ncompadd db web\nhooked\n";
    assert_eq!(out, expected);
}

#[test]
fn fish_completes_verbs_options_and_groups() {
    let script = "source completions\nfor line in 'hapsh -w lb1,@w' 'hapsh -g w' 'hapsh shell-in' 'hapsh --hostf'\n\
                  complete -C $line | string replace -r '\\t.*' ''\nend";
    let Some(out) = run(&["fish", "--no-config"], "fish", script) else {
        return;
    };
    assert_eq!(out, "lb1,@web\nweb\nshell-init\n--hostfile\n");
}
