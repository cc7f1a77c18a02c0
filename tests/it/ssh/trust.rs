//! Host keys: known, unknown, changed, revoked, recorded, certified; under every policy.

use std::fs;
use std::process::Command as Program;

use hapsh::event::ErrorCode;

use super::{Client, Person, Sshd, keygen, on_loop, place, run};

fn sshd() -> Option<Sshd> {
    let sshd = Sshd::start("")?;
    keygen(sshd.dir.path(), "key", &["-t", "ed25519"]);
    sshd.authorize(&["key"]);
    Some(sshd)
}

fn policy(sshd: &Sshd, policy: &str) -> Client {
    sshd.client_with(&["key"])
        .option(format!("StrictHostKeyChecking={policy}"))
}

async fn is_refused(client: &Client, text: &str) {
    let failure = run(&client.build(), "n", "true").await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::HostKey, "{failure}");
    assert!(failure.message.contains(text), "{failure}");
}

async fn gets_in(client: &Client) {
    let ran = run(&client.build(), "n", "echo in").await;
    assert_eq!(ran.as_ref().map(|ran| ran.out.as_str()), Ok("in\n"));
}

#[test]
fn unknown_keys_follow_the_policy() {
    let Some(sshd) = sshd() else { return };
    on_loop(async {
        let file = sshd.at("known_hosts");
        let known = fs::read_to_string(&file).unwrap();
        let forget = || fs::write(&file, "").unwrap();
        forget();
        is_refused(&policy(&sshd, "yes"), "host key unknown").await;
        is_refused(&policy(&sshd, "ask"), "host key unknown").await;
        for answers in [&["no"][..], &["maybe", ""]] {
            let person = Person::with(answers);
            is_refused(&policy(&sshd, "ask").asking(&person), "host key unknown").await;
            assert_eq!(person.asked().len(), answers.len());
        }
        let batch = policy(&sshd, "ask").asking(&Person::with(&["yes"]));
        is_refused(&batch.option("BatchMode=yes"), "host key unknown").await;
        assert_eq!(fs::read_to_string(&file).unwrap(), "");

        let person = Person::with(&["yes"]);
        gets_in(&policy(&sshd, "ask").asking(&person)).await;
        assert!(
            person.asked()[0].contains("SHA256:"),
            "{:?}",
            person.asked()
        );
        // What was recorded is what ssh itself would know: host and key, without the comment.
        let recorded = fs::read_to_string(&file).unwrap();
        let words = |text: &str| {
            text.split(' ')
                .take(3)
                .map(|w| w.trim().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&recorded), words(&known));
        gets_in(&policy(&sshd, "yes")).await;

        forget();
        gets_in(&policy(&sshd, "accept-new")).await;
        gets_in(&policy(&sshd, "yes")).await;

        forget();
        let person = Person::with(&[]);
        let native = policy(&sshd, "no").asking(&person).build();
        for node in ["n1", "n2"] {
            run(&native, node, "true").await.unwrap();
        }
        assert_eq!(person.told().len(), 1, "{:?}", person.told());
        gets_in(&policy(&sshd, "yes")).await;
    });
}

#[test]
fn a_changed_or_revoked_key_is_refused_under_every_policy() {
    let Some(sshd) = sshd() else { return };
    on_loop(async {
        let file = sshd.at("known_hosts");
        let known = fs::read_to_string(&file).unwrap();
        keygen(sshd.dir.path(), "other", &["-t", "ed25519"]);
        let other = fs::read_to_string(sshd.at("other.pub")).unwrap();
        let changed = format!(
            "# one\n{} {other}",
            place(sshd.address, sshd.port).replace("127.0.0.1", "[127.0.0.1]")
        );
        for how in ["yes", "ask", "accept-new", "no"] {
            fs::write(&file, &changed).unwrap();
            let person = Person::with(&["yes"]);
            let client = policy(&sshd, how).asking(&person);
            is_refused(&client, "host key CHANGED (").await;
            is_refused(&client, "known_hosts:2").await;
            fs::write(
                &file,
                format!(
                    "{known}@revoked * {}",
                    &known[known.find("ssh-").unwrap()..]
                ),
            )
            .unwrap();
            is_refused(&policy(&sshd, how).asking(&person), "host key revoked").await;
            assert_eq!(person.asked(), [""; 0]);
        }
    });
}

#[test]
fn a_key_that_cannot_be_recorded_is_refused() {
    let Some(sshd) = sshd() else { return };
    on_loop(async {
        let nowhere = "UserKnownHostsFile=/proc/nowhere/known_hosts";
        let client = sshd.client_with(&["key"]).option(nowhere);
        is_refused(
            &client.option("StrictHostKeyChecking=accept-new"),
            "cannot record",
        )
        .await;
    });
}

#[test]
fn a_host_certificate_of_a_known_authority_will_do() {
    let dir = tempfile::Builder::new()
        .prefix("hs.")
        .tempdir_in("/tmp")
        .unwrap();
    keygen(dir.path(), "ca", &["-t", "ed25519"]);
    keygen(dir.path(), "host_key", &["-t", "ed25519"]);
    let certify = |principal: &str| {
        let status = Program::new("ssh-keygen")
            .args(["-q", "-h", "-I", "host", "-n", principal, "-s"])
            .arg(dir.path().join("ca"))
            .arg(dir.path().join("host_key.pub"))
            .status();
        assert!(status.unwrap().success());
    };
    certify("127.0.0.1");
    let public = fs::read_to_string(dir.path().join("ca.pub")).unwrap();
    let lines = "HostCertificate {DIR}/host_key-cert.pub";
    let Some(sshd) = Sshd::start_in(dir, "127.0.0.1", lines) else {
        return;
    };
    keygen(sshd.dir.path(), "key", &["-t", "ed25519"]);
    sshd.authorize(&["key"]);
    on_loop(async {
        let file = sshd.at("known_hosts");
        fs::write(&file, format!("@cert-authority [127.0.0.1]:* {public}")).unwrap();
        gets_in(&policy(&sshd, "yes")).await;
        // Another spelling is the same principal.
        gets_in(&policy(&sshd, "yes").option("HostName=127.1")).await;
        let alias = policy(&sshd, "yes").option("HostKeyAlias=elsewhere");
        is_refused(&alias, "host key unknown").await;
        fs::write(&file, format!("@cert-authority elsewhere {public}")).unwrap();
        let alias = policy(&sshd, "yes").option("HostKeyAlias=elsewhere");
        is_refused(&alias, "certificate").await;
    });
}

#[test]
fn the_known_type_of_key_is_asked_for() {
    let lines = "HostKey {DIR}/rsa_key";
    let dir = tempfile::Builder::new()
        .prefix("hs.")
        .tempdir_in("/tmp")
        .unwrap();
    keygen(dir.path(), "rsa_key", &["-t", "rsa", "-b", "2048"]);
    let rsa = fs::read_to_string(dir.path().join("rsa_key.pub")).unwrap();
    let Some(sshd) = Sshd::start_in(dir, "127.0.0.1", lines) else {
        return;
    };
    keygen(sshd.dir.path(), "key", &["-t", "ed25519"]);
    sshd.authorize(&["key"]);
    on_loop(async {
        // The server has an Ed25519 key too, which we would prefer and do not know.
        let known = format!("[127.0.0.1]:{} {rsa}", sshd.port);
        fs::write(sshd.at("known_hosts"), known).unwrap();
        gets_in(&policy(&sshd, "yes")).await;
    });
}
