//! Services on real load balancers, and what Ctrl-C leaves behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Hash, Lab, find_program, skip};

const NAMES: [&str; 3] = ["http", "ldap", "puppet"];
const SERVER: &str = "puppet-i0-svc1";

/// Three services, one after the other, with what `action` gives for a service and an action.
fn yaml(action: impl Fn(&str, &str) -> String) -> String {
    let mut text =
        "variables:\n  server: \"\"\nservices:\n  haproxy:\n    target: lb[1-2]\n    services:\n"
            .to_owned();
    let mut before = None;
    for name in NAMES {
        text += &format!("      {name}:\n");
        if let Some(before) = before {
            text += &format!("        after: {before}\n");
        }
        text += "        actions:\n";
        for verb in ["status", "enable", "disable"] {
            text += &format!("          {verb}: {}\n", action(name, verb));
        }
        before = Some(name);
    }
    text
}

/// What the procedure of the seed does with socat and awk.
const SCRIPT: &str = r##"
socket=/run/haproxy/$1.sock verb=$2 server=$3
ask() { echo "$1" | socat - "UNIX-CONNECT:$socket"; }
case $verb in
status)
    ask "show servers state" | awk -v want="$server" '
        /^#/ || NF < 7 { next }
        want != "" && $4 != want { next }
        {
            op = $6 == 0 ? "STOPPED" : $6 == 1 ? "STARTING" : $6 == 2 ? "RUNNING" : "STOPPING"
            admin = $7 % 8 || int($7 / 32) % 2 ? "MAINT" : $7 >= 8 ? "DRAIN" : "READY"
            well = op == "RUNNING" && admin == "READY"
            if (!well) bad = 1
            if (well && want == "") next
            if (!shown++) print "# Format\n# backend_name/frontend_name: operational_state/administrative_state\n"
            print $2 "/" $4 ": " op "/" admin
        }
        END { exit bad ? 2 : 0 }'
    exit ;;
enable) state=ready ;;
disable) state=maint ;;
esac
ask "show servers state" | awk -v want="$server" '/^#/ || NF < 7 { next } $4 == want { print $2 "/" $4 }' |
    while read -r place; do ask "set server $place state $state"; done
"##;

/// The five commands of the main job, and what each said.
fn transcript(lab: &Lab, services: &Path, instances: Option<&str>) -> Vec<(i32, String)> {
    let directory = services.display().to_string();
    let define = format!("server={SERVER}");
    [
        vec!["status"],
        vec!["-D", &define, "disable"],
        vec!["status"],
        vec!["-D", &define, "status"],
        vec!["-D", &define, "enable"],
    ]
    .into_iter()
    .map(|words| {
        let front = ["milkcheck", "-c", &directory, "-r", "full", "haproxy"];
        let hash = lab.hash(front.iter().chain(&words));
        let hash = match instances {
            Some(toml) => hash.config(toml),
            None => hash,
        };
        let ran = hash.run();
        let shown: Vec<String> = ran.stdout.lines().map(timeless).collect();
        (ran.code.unwrap_or(-1), shown.join("\n"))
    })
    .collect()
}

/// A line without its duration and without what a command looks like.
fn timeless(line: &str) -> String {
    match (line.find(" ran in "), line.strip_prefix("    Command: ")) {
        (Some(at), _) => format!("{} ran", &line[..at]),
        (None, Some(_)) => "    Command: [...]".to_owned(),
        (None, None) => line.to_owned(),
    }
}

/// What DESIGN shows for the main job.
fn expected() -> Vec<(i32, String)> {
    let line = |name: &str, status: &str| format!("{name:67}{status:>13}");
    let fine = |name: &str| line(name, "[    OK   ]");
    let well = [
        fine("haproxy.http"),
        fine("haproxy.ldap"),
        fine("haproxy.puppet"),
        fine("haproxy"),
        String::new(),
        " SUMMARY - 3 actions (0 failed)".to_owned(),
        " + Success on all services".to_owned(),
        "    lb[1-2]".to_owned(),
    ];
    let rows = ["all", "i0", "i10", "i20", "i24", "i28"]
        .map(|farm| format!(" > lb[1-2]: {farm}_puppet_masters/{SERVER}: STOPPED/MAINT"));
    let bad = [
        vec![
            fine("haproxy.http"),
            fine("haproxy.ldap"),
            "status haproxy.puppet ran".to_owned(),
            " > lb[1-2]: # Format".to_owned(),
            " > lb[1-2]: # backend_name/frontend_name: operational_state/administrative_state"
                .to_owned(),
            " > lb[1-2]: ".to_owned(),
        ],
        rows.to_vec(),
        vec![
            " > lb[1-2] exited with 2".to_owned(),
            line("haproxy.puppet", "[  ERROR  ]"),
            line("haproxy", "[DEP_ERROR]"),
            String::new(),
            " SUMMARY - 3 actions (1 failed)".to_owned(),
            " + haproxy.puppet.status".to_owned(),
            "    Target: lb[1-2]".to_owned(),
            "    Command: [...]".to_owned(),
        ],
    ]
    .concat();
    let (well, bad) = ((0, well.join("\n")), (6, bad.join("\n")));
    vec![well.clone(), well.clone(), bad.clone(), bad, well]
}

#[test]
fn the_main_job_with_native_actions_with_socat_and_from_the_configuration_alone() {
    let Some(lab) = Lab::builder(2).instances().start() else {
        return;
    };
    let native = lab.dir().join("native");
    fs::create_dir(&native).unwrap();
    let text = yaml(|name, verb| {
        format!("{{haproxy: {verb}, server: \"%server\", socket: /run/haproxy/{name}.sock}}")
    });
    fs::write(native.join("haproxy.yaml"), text).unwrap();
    assert_eq!(transcript(&lab, &native, None), expected(), "native");

    let empty = lab.dir().join("empty");
    fs::create_dir(&empty).unwrap();
    let toml: String = NAMES
        .iter()
        .map(|name| {
            format!("[haproxy.instances.{name}]\nnodes = \"lb[1-2]\"\nsocket = \"/run/haproxy/{name}.sock\"\n")
        })
        .collect();
    let embedded = transcript(&lab, &empty, Some(&toml));
    assert_eq!(embedded, expected(), "embedded");

    if find_program("socat", "SOCAT").is_none() {
        return skip("there is no socat");
    }
    let script = lab.dir().join("servers.sh");
    fs::write(&script, SCRIPT).unwrap();
    let plain = lab.dir().join("plain");
    fs::create_dir(&plain).unwrap();
    let text = yaml(|_, _| {
        format!(
            "{{cmd: \"sh {} %SERVICE %ACTION '%server'\"}}",
            script.display()
        )
    });
    fs::write(plain.join("haproxy.yaml"), text).unwrap();
    assert_eq!(transcript(&lab, &plain, None), expected(), "socat");
}

#[test]
fn a_server_that_no_instance_has_fails_the_run_and_the_guard_refuses() {
    let Some(lab) = Lab::builder(2).instances().start() else {
        return;
    };
    let conf = lab.dir().join("conf");
    fs::create_dir(&conf).unwrap();
    let text = yaml(|name, verb| {
        format!("{{haproxy: {verb}, server: \"%server\", socket: /run/haproxy/{name}.sock}}")
    });
    fs::write(conf.join("haproxy.yaml"), text).unwrap();
    let directory = conf.display().to_string();
    let run = |words: &[&str]| {
        let front = ["milkcheck", "-c", &directory, "haproxy"];
        lab.hash(front.iter().chain(words)).run()
    };
    for verb in ["status", "disable"] {
        let ran = run(&["-D", "server=nosuch", verb]);
        assert_eq!(ran.code, Some(6), "{ran}");
        assert!(
            ran.stderr
                .contains("No instance of the run has the server 'nosuch'"),
            "{ran}"
        );
    }
    let ran = run(&["disable"]);
    assert_eq!(ran.code, Some(9), "{ran}");
    let ran = run(&["-D", "server=puppet-*", "disable"]);
    assert_eq!(ran.code, Some(6), "the guard refuses: {ran}");
    assert!(run(&["status"]).code == Some(0), "nothing was written");
}

#[test]
fn the_examples_run_on_the_embedded_lab() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/services");
    let ran = Hash::new(["--lab", "service", "-c", examples, "haproxy", "status"]).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(
        ran.stdout.contains("haproxy.puppet - load balancing"),
        "{ran}"
    );
    let ran = Hash::new(["--lab", "service", "haproxy", "status"]).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    let order: Vec<_> = ran
        .stdout
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        order,
        ["haproxy.http", "haproxy.ldap", "haproxy.puppet", "haproxy"]
    );
    let ran = Hash::new(["service", "-c", examples, "web", "start"]).run();
    assert_eq!(ran.code, Some(3), "one of four fails: {ran}");
}

#[test]
fn ctrl_c_says_what_ran_and_what_never_started_and_leaves_no_child() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let text = format!(
        "services:\n  a:\n    target: n[1-3]\n    mode: exec\n    actions:\n      \
         go: {{cmd: \"test %%h = n2 && exit; echo $$ >> {pids}; sleep 300 & echo $! >> {pids}; wait\"}}\n  \
         b: {{require: a, actions: {{go: {{cmd: \"true\"}}}}}}\n  c: {{after: b, actions: {{go: {{cmd: \"true\"}}}}}}\n",
        pids = pids.display()
    );
    fs::write(folder.path().join("svc.yaml"), text).unwrap();
    let directory = folder.path().display().to_string();
    let (mut command, _home) =
        Hash::called("milkcheck", ["-c", &directory, "-v", "-s", "go"]).into_command();
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "go a on n[1-3]\n");
    let children = loop {
        let text = fs::read_to_string(&pids).unwrap_or_default();
        let found: Vec<i32> = text.lines().filter_map(|pid| pid.parse().ok()).collect();
        if found.len() == 4 && text.ends_with('\n') {
            break found;
        }
        std::thread::yield_now();
    };
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(
        errors.contains("] ERROR    - Keyboard Interrupt\n"),
        "{errors}"
    );
    assert!(
        errors.contains("  was running: go a on n[1,3]\n"),
        "{errors}"
    );
    assert!(errors.contains("  never started: b, c\n"), "{errors}");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut out, &mut rest).unwrap();
    assert!(!rest.contains("SUMMARY"), "{rest}");
    for pid in children {
        while is_alive(pid) {
            std::thread::yield_now();
        }
    }
}

/// Whether a process runs; one that waits to be reaped does not.
fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"))
    })
}
