//! The lab itself: does it hold what its description promises?

use std::process::{Command, Stdio};

use super::process::{children, until};
use super::{Hash, Lab, Origin, Ran};

/// Runs a command on a node with the system's `ssh`: exit code and output.
fn ssh(lab: &Lab, node: &str, command: &str) -> (Option<i32>, String) {
    let output = Command::new("ssh")
        .arg("-F")
        .arg(lab.ssh_config())
        .args([node, command])
        .stdin(Stdio::null())
        .output()
        .expect("ssh");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text)
}

fn states(lab: &Lab, haproxy: &str) -> Vec<String> {
    let answer = lab.cli(haproxy, "show servers state");
    super::server_rows(&answer)
        .map(|row| format!("{}/{} {} {}", row[1], row[3], row[5], row[6]))
        .collect()
}

#[test]
fn each_node_is_itself_and_finds_its_own_haproxy_in_the_usual_place() {
    let Some(lab) = Lab::up(2) else { return };
    for node in lab.nodes() {
        let (code, said) = ssh(
            &lab,
            node,
            "hostname; ls /run/haproxy/admin.sock; echo $HOME",
        );
        let home = lab.run_dir(node).join("home");
        let expected = format!("{node}\n/run/haproxy/admin.sock\n{}\n", home.display());
        assert_eq!((code, said), (Some(0), expected));
        assert!(
            lab.cli(node, "show info")
                .contains(&format!("\nnode: {node}\n"))
        );
        let servers = states(&lab, node);
        assert_eq!(servers.len(), 20, "{servers:?}");
        assert!(
            servers.iter().all(|row| row.ends_with(" 2 0")),
            "{servers:?}"
        );
        let operator = std::net::TcpStream::connect(lab.tcp_socket(node));
        assert!(operator.is_ok(), "{operator:?}");
    }
    let (ip, port) = lab.address("lb2");
    let known = std::fs::read_to_string(lab.known_hosts()).expect("known_hosts");
    assert!(
        known.contains(&format!("[{ip}]:{port} ssh-ed25519 ")),
        "{known}"
    );
    assert!(lab.key().exists());
}

#[test]
fn a_server_behind_falls_ill_and_recovers_for_all_nodes() {
    let Some(lab) = Lab::builder(2).extras().start() else {
        return;
    };
    for how in [Origin::Down, Origin::Sick] {
        lab.origin("puppet-i0-svc1", how);
        for node in lab.nodes() {
            lab.wait_for_state(node, "i10_puppet_masters/puppet-i0-svc1", 0);
        }
        lab.origin("puppet-i0-svc1", Origin::Ok);
        for node in lab.nodes() {
            lab.wait_for_state(node, "i10_puppet_masters/puppet-i0-svc1", 2);
        }
    }
    lab.origin("soft-svc1", Origin::Gone);
    lab.wait_for_state("lb1", "x_soft/soft-svc1", 3);
}

#[test]
fn a_reload_forgets_what_was_changed() {
    let Some(lab) = Lab::up(1) else { return };
    assert_eq!(
        lab.cli("lb1", "set server http/http-svc1 state maint"),
        "\n"
    );
    assert!(states(&lab, "lb1").contains(&"http/http-svc1 0 1".to_owned()));
    lab.reload("lb1");
    lab.wait_for_state("lb1", "http/http-svc1", 2);
}

#[test]
fn halves_of_a_node_stop_and_start() {
    let Some(lab) = Lab::up(1) else { return };
    lab.stop("lb1/haproxy");
    let question = "echo show version | socat -t5 - /run/haproxy/admin.sock 2>&1";
    let (_, said) = ssh(&lab, "lb1", question);
    assert!(said.contains("Connection refused"), "{said}");
    lab.start_process("lb1/haproxy");
    lab.stop("lb1/sshd");
    assert_eq!(ssh(&lab, "lb1", "true").0, Some(255));
    lab.start_process("lb1/sshd");
    assert_eq!(ssh(&lab, "lb1", "true").0, Some(0));
}

#[test]
fn three_instances_have_three_sockets() {
    let Some(lab) = Lab::builder(1).instances().start() else {
        return;
    };
    let (_, said) = ssh(
        &lab,
        "lb1",
        "cd /run/haproxy; ls http.sock ldap.sock puppet.sock",
    );
    assert_eq!(said, "http.sock\nldap.sock\npuppet.sock\n");
    assert_eq!(
        states(&lab, "lb1/ldap"),
        ["ldap/ldap-svc1 2 0", "ldap/ldap-svc2 2 0"]
    );
    assert_eq!(states(&lab, "lb1/puppet").len(), 16);
    lab.reload("lb1/http");
    assert_eq!(states(&lab, "lb1/http").len(), 2);
}

/// Asks a node's HAProxy through a forwarded connection, as `ssh -L` makes it; the login need not have a shell.
fn ask_forwarded(lab: &Lab, node: &str, socket: &str) -> String {
    let here = lab.dir().join(format!("{node}-{socket}"));
    let mut tunnel = Command::new("ssh")
        .arg("-F")
        .arg(lab.ssh_config())
        .args(["-N", "-L"])
        .arg(format!("{}:/run/haproxy/{socket}", here.display()))
        .arg(node)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("ssh");
    until("forwarded socket", None, || here.exists());
    let answer = super::ask(&here, "show version").unwrap_or_default();
    tunnel.kill().expect("kill ssh");
    tunnel.wait().expect("ssh ends");
    answer
}

#[test]
fn an_unprivileged_login_may_not_open_the_admin_socket() {
    let Some(lab) = Lab::builder(2).unprivileged("lb2").start() else {
        return;
    };
    let version = lab.cli("lb1", "show version");
    assert_eq!(ask_forwarded(&lab, "lb1", "admin.sock"), version);
    assert_eq!(ask_forwarded(&lab, "lb2", "admin.sock"), "");
    assert_eq!(ask_forwarded(&lab, "lb2", "oper.sock"), version);
}

#[test]
fn forwarding_can_be_off() {
    let Some(lab) = Lab::builder(2).no_streamlocal("lb2").start() else {
        return;
    };
    let version = lab.cli("lb1", "show version");
    assert_eq!(ask_forwarded(&lab, "lb1", "user.sock"), version);
    assert_eq!(ask_forwarded(&lab, "lb2", "user.sock"), "");
}

#[test]
fn the_home_of_a_run_leads_to_the_nodes() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    let hash = lab.hash(["ping"]);
    let config = std::fs::read_to_string(hash.home().join(".ssh/config")).expect("config");
    assert!(config.starts_with("Host lb1\n"), "{config}");
}

#[test]
fn nothing_outlives_the_lab() {
    let Some(lab) = Lab::sshd_only(3) else { return };
    let dir = lab.dir().to_owned();
    let mut login = Command::new("ssh")
        .arg("-F")
        .arg(lab.ssh_config())
        .args(["lb3", "echo in; exec sleep 1000"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ssh");
    let mut first = [0; 3];
    let out = login.stdout.as_mut().expect("stdout is a pipe");
    std::io::Read::read_exact(out, &mut first).expect("the login answers");
    let mut family: Vec<_> = {
        let daemons = lab.daemons.lock().expect("daemons");
        daemons.values().map(|daemon| daemon.pid()).collect()
    };
    let mut position = 0;
    while let Some(pid) = family.get(position) {
        family.extend(children(*pid));
        position += 1;
    }
    assert!(
        family.len() >= 5,
        "three listeners, a session and its command"
    );
    drop(lab);
    login.wait().expect("ssh ends with the session");
    for pid in family {
        // A process that nobody waited for yet is dead all the same.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        assert!(
            stat.is_err() || stat.is_ok_and(|stat| stat.contains(") Z ")),
            "{pid:?} lives"
        );
    }
    assert!(!dir.exists());
}

#[test]
fn hash_runs_in_a_clean_environment() {
    let ran: Ran = Hash::new(["no-such-verb"])
        .env("HASH_NODES", "n1")
        .stdin("x")
        .run();
    assert_eq!(ran.code, Some(64), "{ran}");
    assert!(ran.home.path().join("config").is_dir());
    assert_eq!(ran.stdout.as_bytes(), ran.bytes);
    let (command, _home) = Hash::called("hapsh", ["a"])
        .config("nodes = \"n1\"\n")
        .into_command();
    assert!(
        command
            .get_envs()
            .any(|(name, _)| name == "XDG_CONFIG_HOME")
    );
}
