//! What else the configuration says, against a real sshd: options that only `ssh` obeys, a master of `ssh` that is open,
//! odd spellings of addresses, names that are hashed when they are recorded.

use std::fs;
use std::process::{Command as Program, Stdio};
use std::time::Duration;

use hapsh::event::ErrorCode;

use super::{Client, Person, Sshd, keygen, on_loop, run};

async fn gets_in(client: &Client, node: &str) {
    let ran = run(&client.build(), node, "echo in").await;
    assert_eq!(ran.as_ref().map(|ran| ran.out.as_str()), Ok("in\n"));
}

fn sshd() -> Option<Sshd> {
    let sshd = Sshd::start("")?;
    keygen(sshd.dir.path(), "key", &["-t", "ed25519"]);
    sshd.authorize(&["key"]);
    Some(sshd)
}

#[test]
fn what_only_ssh_does_is_named_once_with_the_way_to_it() {
    let Some(sshd) = sshd() else { return };
    on_loop(async {
        let person = Person::with(&[]);
        let client = sshd
            .client_with(&["key"])
            .option("ForwardAgent=yes")
            .option("RequestTTY=force")
            .option("LocalForward=1 a:2")
            .option("ClearAllForwardings=yes")
            .option("GSSAPIAuthentication=yes")
            .asking(&person);
        let native = client.build();
        for node in ["n1", "n2"] {
            run(&native, node, "true").await.unwrap();
        }
        assert_eq!(
            person.told(),
            [
                "ForwardAgent, RequestTTY and GSSAPIAuthentication of the SSH configuration have no effect here, \
                 only with -R ssh -o ForwardAgent=yes"
            ]
        );
        let person = Person::with(&[]);
        let quiet = client.option("LogLevel=ERROR").asking(&person);
        gets_in(&quiet, "n").await;
        assert_eq!(person.told(), [""; 0]);
    });
}

/// A connection of `ssh` that others may use.
struct Master(std::process::Child);

impl Drop for Master {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_open_master_is_named_when_a_login_fails() {
    let Some(sshd) = sshd() else { return };
    let client = sshd.client();
    let path = sshd.at("master-%r@%n:%p").display().to_string();
    let socket = sshd.at(&format!("master-root@n:{}", sshd.port));
    let master = Program::new("ssh")
        .args(["-MNF"])
        .arg(sshd.at("ssh_config"))
        .arg("-S")
        .arg(&path)
        .arg("-i")
        .arg(sshd.at("key"))
        .arg("n")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("ssh");
    let master = Master(master);
    let limit = std::time::Instant::now() + Duration::from_secs(20);
    while !socket.exists() {
        assert!(
            std::time::Instant::now() < limit,
            "no master: {}",
            sshd.log()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    on_loop(async {
        let client = client.option(format!("ControlPath={path}"));
        let failure = run(&client.build(), "n", "true").await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::Auth, "{failure}");
        let told = format!(
            "; a master of ssh is open at {}, and -R ssh uses it",
            socket.display()
        );
        assert!(failure.message.ends_with(&told), "{failure}");
        // One that is not open is not spoken of, nor one that is not needed.
        drop(master);
        let failure = run(&client.build(), "n", "true").await.unwrap_err();
        assert!(!failure.message.contains("master"), "{failure}");
    });
}

#[test]
fn addresses_are_known_by_their_normal_form() {
    let Some(sshd) = sshd() else { return };
    on_loop(async {
        let file = sshd.at("known_hosts");
        let known = fs::read_to_string(&file).unwrap();
        for spelling in ["127.1", "0x7f.0.0.1", "2130706433", "0177.1"] {
            let client = |policy: &str| {
                sshd.client_with(&["key"])
                    .option(format!("HostName={spelling}"))
                    .option(format!("StrictHostKeyChecking={policy}"))
            };
            gets_in(&client("yes"), "n").await;
            fs::write(&file, "").unwrap();
            gets_in(&client("accept-new"), "n").await;
            let recorded = fs::read_to_string(&file).unwrap();
            let place = format!("[127.0.0.1]:{} ssh-", sshd.port);
            assert!(recorded.starts_with(&place), "{spelling}: {recorded}");
            fs::write(&file, &known).unwrap();
        }
        // A certificate is for the normal form, too.
        let hashed = sshd
            .client_with(&["key"])
            .option("HostName=127.1")
            .option("StrictHostKeyChecking=accept-new")
            .option("HashKnownHosts=yes")
            .option("UpdateHostKeys=no");
        fs::write(&file, "").unwrap();
        gets_in(&hashed, "n").await;
        let recorded = fs::read_to_string(&file).unwrap();
        assert!(
            recorded.starts_with("|1|") && recorded.lines().count() == 1,
            "{recorded}"
        );
        let found = Program::new("ssh-keygen")
            .args(["-F", &format!("[127.0.0.1]:{}", sshd.port), "-f"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(found.status.success(), "{recorded}");
        gets_in(&sshd.client_with(&["key"]).option("HostName=127.1"), "n").await;
    });
}

#[test]
fn jumps_take_the_user_of_the_target() {
    let Some(sshd) = sshd() else { return };
    on_loop(async {
        let client = sshd.client_with(&["key"]);
        let port = sshd.port;
        // Both hops are the same server under its two names.
        let config = fs::read_to_string(sshd.at("ssh_config")).unwrap();
        let key = sshd.at("key");
        let hop = format!(
            "{config} IdentityFile {}\nHost hop-*\n HostName 127.0.0.1\n Port {port}\n",
            key.display()
        );
        let hop = hop.replace("Host n*", "Host n* hop-*");
        fs::write(sshd.at("ssh_config"), hop).unwrap();
        for jump in [
            "%r@hop-%p".to_owned(),
            format!("\"hop-%n:{port}\""),
            "hop-1:,%r@\"hop-2\"".to_owned(),
        ] {
            let client = sshd_client(&client, &jump);
            gets_in(&client, "n").await;
        }
    });
}

fn sshd_client(client: &Client, jump: &str) -> Client {
    let mut with = Client::new(client.file.clone());
    with.options = client.options.clone();
    with.option(format!("ProxyJump={jump}"))
}
