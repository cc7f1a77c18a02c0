//! Which nodes are meant: the same words in every front-end.

use std::fs;
use std::process::Command;

use crate::lab::{Hash, Lab, Ran, find_program};

#[track_caller]
fn assert_ran(ran: &Ran, stdout: &str, stderr: &str, code: i32) {
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str(), ran.code),
        (stdout, stderr, Some(code)),
        "{ran}"
    );
}

/// A run with the groups `a` (`a-n1`, `a-n2`), `b` and `none`.
fn with_groups(hash: Hash) -> Hash {
    let folder = hash.home().join("clustershell");
    fs::create_dir(&folder).expect("a folder");
    let groups = folder.join("groups");
    fs::write(&groups, "a: a-n[1-2]\nb: b-n[1-2]\nnone:\n").expect("groups");
    let conf = format!(
        "[Main]\ndefault: flat\n[flat]\nmap: sed -n 's/^$GROUP: *//p' {0}\nall: sed -n 's/^.*: *//p' {0}\n\
         list: sed -n 's/^\\([a-z]*\\):.*/\\1/p' {0}\n",
        groups.display()
    );
    fs::write(folder.join("groups.conf"), conf).expect("groups.conf");
    hash.env("CLUSTERSHELL_CFGDIR", &folder)
}

fn here(words: &[&str]) -> Ran {
    let words = ["-R", "exec"].iter().chain(words).chain(&["--", "echo"]);
    with_groups(Hash::new(words)).run()
}

#[test]
fn the_lab_is_never_left_for_real_nodes_of_the_same_names() {
    for worker in ["exec", "rsh", "pdsh", "slurm"] {
        let ran = Hash::new(["--lab", "-w", "lb1", "-R", worker, "--", "true"]).run();
        assert_eq!((ran.code, &*ran.stdout), (Some(64), ""), "{ran}");
        let said = format!("--lab and -R {worker} do not go together");
        assert!(ran.stderr.contains(&said), "{ran}");
        let configured = Hash::new(["--lab", "-w", "lb1", "--", "true"]).env("HASH_WORKER", worker);
        let ran = configured.run();
        assert!(ran.code == Some(64) && ran.stderr.contains(&said), "{ran}");
    }
}

#[test]
fn services_on_more_nodes_than_there_may_be_are_refused_before_they_are_listed() {
    let many = "a[1-1000]b[1-1000]c[1-1000]";
    for (target, words) in [
        (many, &[][..]),
        ("lb1", &["-n", many]),
        ("lb1", &["-x", many]),
    ] {
        let words = [&["-c", ".", "web", "start"], words].concat();
        let hash = Hash::called("milkcheck", words);
        let file = format!(
            "services:\n  web:\n    target: \"{target}\"\n    actions:\n      start:\n        cmd: 'true'\n"
        );
        fs::write(hash.home().join("web.yaml"), file).expect("a service file");
        let ran = hash.run();
        let said = "1000000000 nodes are more than the 1000000 that a run may have";
        assert!(ran.stderr.contains(said), "{ran}");
        assert_eq!((ran.code, &*ran.stdout), (Some(9), ""), "{ran}");
    }
}

#[test]
fn standard_input_is_not_read_for_two_things() {
    for words in [
        &["-w", "-", "--stdin", "--", "cat"][..],
        &["--hostfile", "-", "--stdin", "--", "cat"],
        &["-w", "-", "--script", "-", "--", "x"],
    ] {
        let ran = Hash::new([&["-R", "exec"], words].concat())
            .stdin("lb1\n")
            .run();
        assert_eq!((ran.code, &*ran.stdout), (Some(64), ""), "{ran}");
    }
    let ran = Hash::new(["-R", "exec", "-w", "lb[1-2]", "-x", "-", "--", "true"]).stdin("lb1\n");
    let ran = ran.run();
    assert_eq!(ran.code, Some(64), "{ran}");
    assert!(ran.stderr.contains("only -w and --hostfile read"), "{ran}");
}

#[test]
fn an_empty_variable_is_an_empty_set_of_nodes() {
    let ran = Hash::new(["--lab", "status"]).env("HASH_NODES", "").run();
    assert_eq!((ran.code, &*ran.stdout), (Some(64), ""), "{ran}");
    assert!(ran.stderr.contains("HASH_NODES"), "{ran}");
}

#[test]
fn a_dry_run_refuses_what_a_run_would() {
    for (words, said) in [
        (&["--fault", "hang=lb1"][..], "--fault goes with --lab only"),
        (
            &["--install-gateway"],
            "--install-gateway without a topology",
        ),
        (&["--topology", "/nowhere"], "/nowhere"),
        (&["-R", "exec", "-l", "me"], "-l means nothing to -R exec"),
        (&["--become="], "--become= names no user"),
        (&["--lab", "-R", "pdsh"], "do not go together"),
    ] {
        for dry in [&["--dry-run"][..], &[]] {
            let words = [&["-w", "lb1"], words, dry, &["--", "true"]].concat();
            let ran = Hash::new(words).run();
            assert!(matches!(ran.code, Some(64 | 78)), "{ran}");
            assert!(ran.stderr.contains(said), "{said}: {ran}");
        }
    }
}

#[test]
fn a_list_of_groups_is_so_many_groups() {
    let ran = here(&["-w", "a-n[1-2],b-n[1-2],z", "-X", "a,b"]);
    assert_ran(&ran, "z:\n", "", 0);
    let ran = here(&["-g", "a,b", "-x", "*1"]);
    assert_ran(&ran, "a-n2,b-n2:\n", "", 0);
    let clush = [
        "-R",
        "exec",
        "-w",
        "a-n[1-2],b-n[1-2],z",
        "-X",
        "a,b",
        "-b",
        "echo",
    ];
    let ran = with_groups(Hash::called("clush", clush)).run();
    assert!(
        ran.stdout.contains("\nz\n") && !ran.stdout.contains("-n"),
        "{ran}"
    );
    let ran = here(&["-g", "a,zzz"]);
    let said = "hash: bad node set `@a,zzz`: unknown group `@zzz`\n";
    assert_ran(&ran, "", said, 64);
}

#[test]
fn what_leaves_nobody_out_is_told() {
    let ran = here(&["-g", "a", "-w", "new7", "-x", "new*", "-X", "b,none"]);
    let said = "hash: -X b leaves nobody out\nhash: -X none leaves nobody out\n";
    assert_ran(&ran, "a-n[1-2]:\n", said, 0);
    let ran = here(&["-w", "@a,new7!new*!b-n1"]);
    assert_ran(&ran, "a-n[1-2]:\n", "hash: '!b-n1' leaves nobody out\n", 0);
    // The original compares with the nodes of groups, and says nothing.
    let clush = [
        "-R",
        "exec",
        "-w",
        "a-n1,new7",
        "-x",
        "new*,zzz",
        "-L",
        "echo %h",
    ];
    let ran = with_groups(Hash::called("clush", clush)).run();
    assert_ran(&ran, "a-n1: a-n1\nnew7: new7\n", "", 0);
    let ran = with_groups(Hash::called("nodeset", ["-f", "a-n1,new7!new*"])).run();
    assert_ran(&ran, "a-n1,new7\n", "", 0);
}

/// This user's name.
fn user() -> String {
    let said = Command::new("id").arg("-un").output().expect("id").stdout;
    String::from_utf8(said).expect("a name").trim().to_owned()
}

#[test]
fn users_and_ports_in_names_lead_to_the_host() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    let (me, port) = (user(), lab.address("lb1").1);
    let config = lab.ssh_config().display().to_string();
    // The names come from the files of the host, whatever stands around it.
    let nodes = format!("{me}@lb[1-2],ssh://{me}@lb1:{port},ssh://lb2");
    let each = [
        format!("{me}@lb1: lb1"),
        format!("{me}@lb2: lb2"),
        "ssh://lb2: lb2".to_owned(),
        format!("ssh://{me}@lb1:{port}: lb1"),
    ];
    let mut expected: Vec<&str> = each.iter().map(String::as_str).collect();
    expected.sort_unstable();
    let sorted = |ran: &Ran| {
        let mut lines: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    for way in ["native", "ssh"] {
        if way == "ssh" && find_program("ssh", "").is_none() {
            continue;
        }
        let run = |words: &[&str], config: &str| {
            let front =
                ["-F", &*lab.ssh_config().display().to_string(), "-R", way].map(str::to_owned);
            let words = words.iter().map(|word| (*word).to_owned());
            Hash::new(front.into_iter().chain(words))
                .config(config)
                .run()
        };
        let ran = run(&["-L", "-w", &nodes, "--", "hostname"], "");
        assert_eq!(sorted(&ran), expected, "{way}: {ran}");
        assert_eq!(ran.code, Some(0), "{way}: {ran}");
        // `-l` beats the name, and the name beats the configuration.
        let ran = run(&["-w", "nosuch@lb1", "-l", &me, "--", "id -un"], "");
        assert_ran(&ran, &format!("nosuch@lb1: {me}\n"), "", 0);
        let ran = run(
            &["-w", &format!("{me}@lb1"), "--", "id -un"],
            "user = 'nosuch'\n",
        );
        assert_ran(&ran, &format!("{me}@lb1: {me}\n"), "", 0);
        let ran = run(&["-w", "nosuch@lb1", "--", "true"], "");
        assert_eq!(ran.code, Some(3), "{way}: {ran}");
        let ran = run(&["-w", "ssh://lb1:1", "--", "true"], "");
        assert!(ran.stderr.contains("ssh://lb1:1: "), "{way}: {ran}");
        assert_eq!(ran.code, Some(3), "{way}: {ran}");
    }
    for worker in ["ssh", "openssh"] {
        let options = format!("-F {config}");
        let words = ["-o", &options, "-R", worker, "-L", "-w", &nodes, "hostname"];
        let ran = Hash::called("clush", words).run();
        assert_eq!(sorted(&ran), expected, "{worker}: {ran}");
    }
    let node = format!("ssh://{me}@lb1:{port}");
    let ran = Hash::new([
        "-F", &*config, "-w", &*node, "--outdir", "out", "--", "hostname",
    ])
    .run();
    let file = ran.home.path().join(format!("out/{me}@lb1:{port}"));
    assert_eq!(
        fs::read_to_string(file).expect("the file"),
        "lb1\n",
        "{ran}"
    );
    let ran = Hash::new([
        "-F",
        &*config,
        "-w",
        &*node,
        "fetch",
        "/etc/hostname",
        "--dest",
        ".",
    ])
    .run();
    assert!(
        ran.home
            .path()
            .join(format!("hostname.{me}@lb1:{port}"))
            .exists(),
        "{ran}"
    );
}

#[test]
fn names_with_users_are_nodes_for_haproxy_and_the_lab_too() {
    let toml = "[haproxy.instances.one]\nnodes = 'lb[1-2]'\nsocket = '/run/haproxy/admin.sock'\n";
    let words = ["--lab", "-w", "root@lb1,lb2", "status", "http-svc1"];
    let ran = Hash::new(words).config(toml).run();
    assert!(
        ran.stdout
            .contains("lb2,root@lb1: http/http-svc1: RUNNING/READY\n"),
        "{ran}"
    );
    assert_eq!(ran.code, Some(0), "{ran}");
    let ran = Hash::new(["--lab", "-w", "ssh://lb1:x,@x@lb1", "ping"]).run();
    assert_eq!(ran.code, Some(64), "{ran}");
    let ran = Hash::new(["--lab", "-w", "ssh://lb1:x", "ping"]).run();
    assert!(ran.stderr.contains("names no host"), "{ran}");
    assert_eq!(ran.code, Some(3), "{ran}");
}
