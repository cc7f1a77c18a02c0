//! Logging in with every kind of key, with the agent, and with passwords.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command as Program, Stdio};

use hapsh::event::ErrorCode;

use super::{Client, PASSWORD, Person, Sshd, keygen, on_loop, run};

async fn gets_in(client: &Client) {
    let ran = run(&client.build(), "n", "echo in").await;
    assert_eq!(ran.as_ref().map(|ran| ran.out.as_str()), Ok("in\n"));
}

/// The message of a login that is refused.
async fn is_refused(client: &Client) -> String {
    let failure = run(&client.build(), "n", "true").await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::Auth, "{failure}");
    failure.message
}

#[test]
fn key_files_of_all_types() {
    let Some(sshd) = Sshd::start("") else { return };
    on_loop(async {
        for (name, kind) in [
            ("ed25519", &["-t", "ed25519"][..]),
            ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
            ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
            ("rsa", &["-t", "rsa", "-b", "2048"]),
            ("rsa_pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
            ("ecdsa_pkcs8", &["-t", "ecdsa", "-m", "PKCS8"]),
        ] {
            keygen(sshd.dir.path(), name, kind);
            sshd.authorize(&[name]);
            gets_in(&sshd.client_with(&[name])).await;
        }
    });
}

#[test]
fn an_encrypted_key_is_asked_for_once() {
    let Some(sshd) = Sshd::start("") else { return };
    on_loop(async {
        keygen(sshd.dir.path(), "key", &["-t", "ed25519", "-N", "secret"]);
        sshd.authorize(&["key"]);

        let person = Person::with(&["secret"]);
        let client = sshd.client_with(&["key"]).asking(&person);
        let native = client.build();
        let nodes = ["n1", "n2", "n3", "n4"].map(|node| run(&native, node, "echo in"));
        for ran in futures_util::future::join_all(nodes).await {
            assert_eq!(ran.map(|ran| ran.out), Ok("in\n".to_owned()));
        }
        let asked = person.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert!(asked[0].starts_with("Passphrase for /tmp/"), "{asked:?}");

        // A wrong one may be corrected, but not for ever.
        let person = Person::with(&["wrong", "secret"]);
        gets_in(&sshd.client_with(&["key"]).asking(&person)).await;
        let person = Person::with(&["1", "2", "3", "secret"]);
        let message = is_refused(&sshd.client_with(&["key"]).asking(&person)).await;
        assert!(message.contains("wrong passphrase for /tmp/"), "{message}");
        assert_eq!(person.asked().len(), 3);

        // A key the server does not want is not asked for at all.
        sshd.authorize(&["host_key"]);
        let person = Person::with(&["secret"]);
        is_refused(&sshd.client_with(&["key"]).asking(&person)).await;
        assert_eq!(person.asked(), [""; 0]);

        sshd.authorize(&["key"]);
        let batch = sshd.client_with(&["key"]).option("BatchMode=yes");
        let message = is_refused(&batch).await;
        assert!(message.contains("BatchMode"), "{message}");
    });
}

#[test]
fn a_key_that_is_of_no_use_is_named() {
    let Some(sshd) = Sshd::start("") else { return };
    on_loop(async {
        let message = is_refused(&sshd.client_with(&["missing"])).await;
        assert!(message.contains("no key file /tmp/"), "{message}");
        std::fs::write(sshd.at("junk"), "junk").unwrap();
        let mode = |name, mode| {
            std::fs::set_permissions(sshd.at(name), PermissionsExt::from_mode(mode)).unwrap();
        };
        mode("junk", 0o600);
        let message = is_refused(&sshd.client_with(&["junk"])).await;
        assert!(message.contains("not a private key"), "{message}");
        keygen(sshd.dir.path(), "key", &["-t", "ed25519"]);
        sshd.authorize(&["key"]);
        mode("key", 0o644);
        let person = Person::with(&[]);
        let message = is_refused(&sshd.client_with(&["key"]).asking(&person)).await;
        assert!(message.contains("others may read it"), "{message}");
        assert_eq!(person.told().len(), 1);
        keygen(sshd.dir.path(), "other", &["-t", "ed25519"]);
        let message = is_refused(&sshd.client_with(&["other"])).await;
        assert!(
            message.starts_with("permission denied for root (publickey); tried: /tmp/"),
            "{message}"
        );
    });
}

pub(super) fn certify(folder: &Path, authority: &str, key: &str, args: &[&str]) {
    let status = Program::new("ssh-keygen")
        .args(["-q", "-s"])
        .arg(folder.join(authority))
        .args(["-I", key])
        .args(args)
        .arg(folder.join(format!("{key}.pub")))
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn user_certificates_of_all_types() {
    let lines = "TrustedUserCAKeys {DIR}/ca.pub\nAuthorizedKeysFile none";
    let Some(sshd) = Sshd::start(lines) else {
        return;
    };
    on_loop(async {
        let dir = sshd.dir.path();
        keygen(dir, "ca", &["-t", "ed25519"]);
        for (name, kind) in [("ed25519", "ed25519"), ("ecdsa", "ecdsa"), ("rsa", "rsa")] {
            keygen(dir, name, &["-t", kind]);
            is_refused(&sshd.client_with(&[name])).await;
            certify(dir, "ca", name, &["-n", "root"]);
            gets_in(&sshd.client_with(&[name])).await;
        }
        // Named, and for somebody else.
        certify(dir, "ca", "rsa", &["-n", "somebody"]);
        is_refused(&sshd.client_with(&["rsa"])).await;
        std::fs::rename(sshd.at("ecdsa-cert.pub"), sshd.at("elsewhere")).unwrap();
        is_refused(&sshd.client_with(&["ecdsa"])).await;
        let named = format!("CertificateFile={}", sshd.at("elsewhere").display());
        gets_in(&sshd.client_with(&["ecdsa"]).option(named)).await;
    });
}

/// A real agent.
pub(super) struct SshAgent {
    child: Child,
    socket: String,
}

impl SshAgent {
    pub(super) fn start(folder: &Path) -> Self {
        let socket = folder.join("agent").display().to_string();
        let child = Program::new("ssh-agent")
            .args(["-D", "-a", &socket])
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent");
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Self { child, socket }
    }

    pub(super) fn add(&self, args: &[&str], key: &Path) {
        let status = Program::new("ssh-add")
            .arg("-q")
            .args(args)
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "ssh-add");
    }

    pub(super) fn option(&self) -> String {
        format!("IdentityAgent={}", self.socket)
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_agent_signs_with_every_type() {
    let Some(sshd) = Sshd::start("TrustedUserCAKeys {DIR}/ca.pub") else {
        return;
    };
    let agent = SshAgent::start(sshd.dir.path());
    on_loop(async {
        let dir = sshd.dir.path();
        keygen(dir, "ca", &["-t", "ed25519"]);
        for kind in ["ed25519", "ecdsa", "rsa"] {
            keygen(dir, kind, &["-t", kind]);
            agent.add(&["-D"], Path::new(""));
            agent.add(&[], &sshd.at(kind));
            sshd.authorize(&[kind]);
            let client = sshd.client().option(agent.option());
            gets_in(&client).await;
            // Many nodes, one agent.
            let native = client.build();
            let nodes = ["n1", "n2", "n3", "n4", "n5", "n6"].map(|n| run(&native, n, "echo in"));
            for ran in futures_util::future::join_all(nodes).await {
                assert_eq!(ran.map(|ran| ran.out), Ok("in\n".to_owned()));
            }

            // The same with a certificate, which ssh-add takes along.
            sshd.authorize(&["host_key"]);
            is_refused(&sshd.client().option(agent.option())).await;
            certify(dir, "ca", kind, &["-n", "root"]);
            agent.add(&[], &sshd.at(kind));
            gets_in(&sshd.client().option(agent.option())).await;
        }
    });
}

#[test]
fn the_agent_obeys_identities_only_and_max_auth_tries() {
    let Some(sshd) = Sshd::start("MaxAuthTries 3") else {
        return;
    };
    let agent = SshAgent::start(sshd.dir.path());
    on_loop(async {
        let names = ["k1", "k2", "k3", "k4", "k5"];
        for name in names {
            keygen(sshd.dir.path(), name, &["-t", "ed25519"]);
            agent.add(&[], &sshd.at(name));
        }
        sshd.authorize(&["k5"]);
        let client = sshd.client().option(agent.option());
        let message = is_refused(&client).await;
        assert!(
            message
                .to_lowercase()
                .contains("too many authentication failures"),
            "{message}"
        );
        assert!(message.contains("IdentitiesOnly"), "{message}");

        // The public half names the agent's key, which then comes first.
        let public = format!("IdentityFile={}", sshd.at("k5.pub").display());
        gets_in(&sshd.client().option(agent.option()).option(&public)).await;
        std::fs::remove_file(sshd.at("k4")).unwrap();
        let only = sshd.client_with(&["k4"]).option(agent.option());
        let message = is_refused(&only.option("IdentitiesOnly=yes")).await;
        assert!(
            message.contains("agent (k4)") && !message.contains("k3"),
            "{message}"
        );

        // What worked on one node comes first on the next: three tries are enough then.
        sshd.authorize(&["k3"]);
        let native = sshd.client().option(agent.option()).build();
        for node in ["n1", "n2"] {
            assert_eq!(run(&native, node, "echo in").await.unwrap().out, "in\n");
        }
        let tries = sshd.log().matches("Failed publickey").count();
        sshd.authorize(&["k3"]);
        run(&native, "n3", "true").await.unwrap();
        assert_eq!(sshd.log().matches("Failed publickey").count(), tries);
    });
}

#[test]
fn an_agent_that_is_gone_is_told_once() {
    let Some(sshd) = Sshd::start("") else { return };
    on_loop(async {
        keygen(sshd.dir.path(), "key", &["-t", "ed25519"]);
        sshd.authorize(&["key"]);
        let person = Person::with(&[]);
        let client = sshd
            .client_with(&["key"])
            .option("IdentityAgent=/nowhere")
            .asking(&person);
        let native = client.build();
        for node in ["n1", "n2"] {
            assert_eq!(run(&native, node, "echo in").await.unwrap().out, "in\n");
        }
        let told = person.told();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("agent at /nowhere"), "{told:?}");
    });
}

#[test]
fn a_password_is_asked_once_for_all_nodes() {
    let Some(sshd) = Sshd::start("PasswordAuthentication yes") else {
        return;
    };
    on_loop(async {
        let person = Person::with(&[PASSWORD]);
        let native = sshd.client_with(&["none"]).asking(&person).build();
        let nodes = ["n1", "n2", "n3"].map(|node| run(&native, node, "echo in"));
        for ran in futures_util::future::join_all(nodes).await {
            assert_eq!(ran.map(|ran| ran.out), Ok("in\n".to_owned()));
        }
        let asked = person.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        let (node, question) = asked[0].split_once(": ").unwrap();
        assert!(["n1", "n2", "n3"].contains(&node), "{asked:?}");
        assert_eq!(question, "Password for root on all nodes: ");

        let person = Person::with(&["wrong", PASSWORD]);
        gets_in(&sshd.client().asking(&person)).await;
        let person = Person::with(&["a", "b", "c", "d"]);
        let message = is_refused(&sshd.client().asking(&person)).await;
        assert!(message.contains("tried: password"), "{message}");
        assert_eq!(person.asked().len(), 3);
        let message = is_refused(&sshd.client()).await;
        assert!(message.contains("nothing to try"), "{message}");
        let person = Person::with(&[PASSWORD]);
        is_refused(
            &sshd
                .client()
                .asking(&person)
                .option("PasswordAuthentication=no"),
        )
        .await;
        assert_eq!(person.asked(), [""; 0]);
    });
}

#[test]
fn keyboard_interactive_goes_through_pam() {
    let lines = "UsePAM yes\nKbdInteractiveAuthentication yes";
    let Some(sshd) = Sshd::start(lines) else {
        return;
    };
    on_loop(async {
        let person = Person::with(&[PASSWORD]);
        let native = sshd.client().asking(&person).build();
        for node in ["n1", "n2"] {
            let ran = run(&native, node, "echo in").await;
            assert_eq!(
                ran.map(|ran| ran.out),
                Ok("in\n".to_owned()),
                "{}",
                sshd.log()
            );
        }
        assert_eq!(person.asked().len(), 1, "{:?}", person.asked());
        let message = is_refused(&sshd.client()).await;
        assert!(message.contains("keyboard-interactive"), "{message}");
    });
}

#[test]
fn several_methods_one_after_another() {
    let lines = "PasswordAuthentication yes\nAuthenticationMethods publickey,publickey,password";
    let Some(sshd) = Sshd::start(lines) else {
        return;
    };
    on_loop(async {
        for key in ["k1", "k2"] {
            keygen(sshd.dir.path(), key, &["-t", "ed25519"]);
        }
        sshd.authorize(&["k1", "k2"]);
        let person = Person::with(&[PASSWORD]);
        gets_in(&sshd.client_with(&["k1", "k2"]).asking(&person)).await;
        let person = Person::with(&[PASSWORD]);
        is_refused(&sshd.client_with(&["k1"]).asking(&person)).await;
        assert_eq!(person.asked(), [""; 0]);
    });
}
