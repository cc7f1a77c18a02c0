//! Ways to a node: hops, commands, address families, algorithms.

use std::fs;

use hapsh::event::ErrorCode;
use hapsh::plan::NodeName;
use hapsh::transport::Transport;

use super::{Client, LIMITS, Sshd, connect, keygen, on_loop, run};
use crate::lab::Lab;

/// A client with the lab's configuration and blocks of our own in front.
fn with_config(lab: &Lab, blocks: &str) -> Client {
    let file = lab.dir().join("own_config");
    let lab_config = fs::read_to_string(lab.ssh_config()).unwrap();
    fs::write(&file, format!("{blocks}\n{lab_config}")).unwrap();
    Client::new(file)
}

#[test]
fn two_hops_are_shared_by_the_nodes_behind_them() {
    let Some(lab) = Lab::sshd_only(4) else { return };
    on_loop(async {
        // The first hop's own configuration names the hop before it.
        let blocks = "Host lb3 lb4\n ProxyJump lb2\nHost lb2\n ProxyJump lb1\n";
        let native = with_config(&lab, blocks).build();
        let runs = ["lb3", "lb4", "lb3"].map(|node| run(&native, node, "hostname"));
        let out: Vec<_> = futures_util::future::join_all(runs)
            .await
            .into_iter()
            .map(|ran| ran.unwrap().out)
            .collect();
        assert_eq!(out, ["lb3\n", "lb4\n", "lb3\n"]);
        let logins = |node: &str| {
            let log = lab.log(&format!("{node}/sshd"));
            let log = fs::read_to_string(log).unwrap();
            log.matches("Accepted publickey").count()
        };
        assert_eq!([logins("lb1"), logins("lb2")], [1, 1]);
        assert_eq!([logins("lb3"), logins("lb4")], [2, 1]);
    });
}

#[test]
fn hops_on_the_command_line_are_for_the_nodes_only() {
    let Some(lab) = Lab::sshd_only(3) else { return };
    on_loop(async {
        let native = Client::of(&lab).option("ProxyJump=lb1,lb2").build();
        let ran = run(&native, "lb3", "hostname; echo $SSH_CONNECTION").await;
        let out = ran.unwrap().out;
        assert!(out.starts_with("lb3\n"), "{out}");
    });
}

#[test]
fn a_hop_that_fails_says_so_for_every_node() {
    let Some(lab) = Lab::builder(3)
        .without_haproxy()
        .sshd("lb2", "AllowTcpForwarding no")
        .start()
    else {
        return;
    };
    on_loop(async {
        lab.stop("lb1/sshd");
        for (jump, code, text) in [
            (
                "lb1",
                ErrorCode::Refused,
                "jump host lb1: connection refused",
            ),
            ("lb2", ErrorCode::Connect, "does not forward"),
            (
                "lb3,lb1",
                ErrorCode::Connect,
                "jump host lb3 cannot connect",
            ),
        ] {
            let native = Client::of(&lab).option(format!("ProxyJump={jump}")).build();
            let runs = ["lb2", "lb3"].map(|node| run(&native, node, "true"));
            for ran in futures_util::future::join_all(runs).await {
                let failure = ran.unwrap_err();
                assert_eq!(failure.code, code, "{failure}");
                assert!(failure.message.contains(text), "{failure}");
            }
        }
    });
}

#[test]
fn hops_in_a_circle_are_an_error() {
    let Some(lab) = Lab::sshd_only(2) else { return };
    on_loop(async {
        for blocks in [
            "Host *\n ProxyJump lb1\n",
            "Host lb1\n ProxyJump lb2\nHost lb2\n ProxyJump lb1\n",
        ] {
            let native = with_config(&lab, blocks).build();
            let failure = run(&native, "lb2", "true").await.unwrap_err();
            assert_eq!(failure.code, ErrorCode::Connect);
            assert!(failure.message.contains("circles"), "{failure}");
        }
    });
}

#[test]
fn a_command_can_be_the_way() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    on_loop(async {
        let client = Client::of(&lab).option("ProxyCommand=socat - TCP:%h:%p");
        let ran = run(&client.build(), "lb1", "hostname").await;
        assert_eq!(ran.unwrap().out, "lb1\n");
        let client = Client::of(&lab).option("ProxyCommand=sh -c 'echo no way >&2; exit 1'");
        let failure = run(&client.build(), "lb1", "true").await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::Connect, "{failure}");
        assert_eq!(failure.message, "ProxyCommand ended: no way");
    });
}

#[test]
fn a_command_that_hangs_is_killed_with_the_connection() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    on_loop(async {
        let pid = lab.dir().join("pid");
        let command = format!(
            "ProxyCommand=sh -c 'echo $$ >{}; exec sleep 600'",
            pid.display()
        );
        let native = Client::of(&lab).option(command).build();
        let node = NodeName::from("lb1");
        let mut connecting = Box::pin(native.connect(&node, &LIMITS));
        let written = async {
            loop {
                if let Some(pid) = fs::read_to_string(&pid)
                    .ok()
                    .filter(|pid| pid.ends_with('\n'))
                {
                    break pid;
                }
                tokio::task::yield_now().await;
            }
        };
        let pid = tokio::select! {
            _ = &mut connecting => panic!("connected to a sleeper"),
            pid = written => pid,
        };
        drop(connecting);
        let process = std::path::Path::new("/proc").join(pid.trim());
        let is_gone = || match fs::read_to_string(process.join("stat")) {
            Err(_) => true,
            // Dead, and waiting for us to say that we know.
            Ok(stat) => stat.contains(") Z "),
        };
        while !is_gone() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn ipv6_is_an_address_like_another() {
    let Some(sshd) = Sshd::start_on("::1", "") else {
        return;
    };
    keygen(sshd.dir.path(), "key", &["-t", "ed25519"]);
    sshd.authorize(&["key"]);
    on_loop(async {
        let ran = run(&sshd.client_with(&["key"]).build(), "n", "echo in").await;
        assert_eq!(ran.unwrap().out, "in\n");
        let client = sshd.client_with(&["key"]).option("AddressFamily=inet");
        let failure = run(&client.build(), "n", "true").await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::Resolve, "{failure}");
    });
}

#[test]
fn addresses_are_tried_in_turn() {
    // `localhost` has both families here, and the server listens on one of them.
    let Some(sshd) = Sshd::start("") else { return };
    keygen(sshd.dir.path(), "key", &["-t", "ed25519"]);
    sshd.authorize(&["key"]);
    on_loop(async {
        let alias = format!("HostKeyAlias=[127.0.0.1]:{}", sshd.port);
        let client = sshd
            .client_with(&["key"])
            .option("HostName=localhost")
            .option(alias);
        assert_eq!(
            run(&client.build(), "n", "echo in").await.unwrap().out,
            "in\n"
        );
    });
}

#[test]
fn algorithms_are_those_of_the_configuration() {
    let lines = "KexAlgorithms ecdh-sha2-nistp256\nCiphers aes128-ctr\nMACs hmac-sha2-256";
    let Some(sshd) = Sshd::start(lines) else {
        return;
    };
    keygen(sshd.dir.path(), "key", &["-t", "ed25519"]);
    sshd.authorize(&["key"]);
    on_loop(async {
        let client = sshd.client_with(&["key"]);
        assert_eq!(
            run(&client.build(), "n", "echo in").await.unwrap().out,
            "in\n"
        );
        for (option, text) in [
            ("KexAlgorithms=curve25519-sha256", "key exchange algorithm"),
            ("Ciphers=aes256-gcm@openssh.com", "cipher"),
            ("MACs=hmac-sha2-512", "MAC"),
            ("HostKeyAlgorithms=rsa-sha2-512", "host key algorithm"),
        ] {
            let client = sshd.client_with(&["key"]).option(option);
            let failure = run(&client.build(), "n", "true").await.unwrap_err();
            assert_eq!(failure.code, ErrorCode::Algorithm, "{failure}");
            assert!(failure.message.contains(text), "{failure}");
        }
        let client = sshd
            .client_with(&["key"])
            .option("KexAlgorithms=curve25519-sha256");
        let failure = run(&client.build(), "n", "true").await.unwrap_err();
        assert!(failure.message.contains("ecdh-sha2-nistp256"), "{failure}");
    });
}

#[test]
fn a_name_without_an_address_and_a_port_without_a_server() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    on_loop(async {
        let native = Client::of(&lab)
            .option("HostName=does-not-exist.invalid")
            .build();
        let failure = connect(&native, "lb1").await.err().unwrap();
        assert_eq!(failure.code, ErrorCode::Resolve, "{failure}");
        assert!(failure.message.starts_with("cannot resolve: "), "{failure}");
        lab.stop("lb1/sshd");
        let native = Client::of(&lab).build();
        let failure = connect(&native, "lb1").await.err().unwrap();
        assert_eq!(failure.code, ErrorCode::Refused, "{failure}");
    });
}

#[test]
fn a_mistake_in_the_configuration_is_found_before_anything_is_contacted() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    let good = Client::of(&lab).build();
    assert_eq!(good.check(), Ok(()));
    on_loop(async {
        assert_eq!(run(&good, "lb1", "hostname").await.unwrap().out, "lb1\n");
    });
    let bad = Client::of(&lab).option("Port=many").build();
    let error = bad.check().unwrap_err();
    assert!(error.to_string().contains("many"), "{error}");
}
