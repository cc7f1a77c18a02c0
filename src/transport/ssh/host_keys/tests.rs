//! Tests on files of our own and on files that the real `ssh-keygen` made.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{Certificate, PrivateKey};
use tempfile::TempDir;

use super::*;

/// The same key for the same number.
fn private(number: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[number; 32]).into()
}

fn key(number: u8) -> PublicKey {
    private(number).public_key().clone()
}

fn text(number: u8) -> String {
    key(number).to_openssh().unwrap().trim_end().to_owned()
}

fn shown(number: u8) -> PublicKeyOrCertificate {
    key(number).into()
}

struct Home {
    folder: TempDir,
    settings: HostKeySettings,
}

impl Home {
    fn new(known_hosts: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        fs::write(&file, known_hosts).unwrap();
        let settings = HostKeySettings {
            alias: None,
            policy: HostKeyPolicy::Strict,
            user_files: vec![file],
            global_files: vec![folder.path().join("missing")],
            revoked_file: None,
            ca_algorithms: AlgorithmList::default(),
            hash_names: false,
            trust_loopback: false,
        };
        Self { folder, settings }
    }

    fn file(&self) -> &Path {
        &self.settings.user_files[0]
    }

    fn host(&self, host: &str, port: u16) -> HostKeys {
        KnownHosts::new().host(&self.settings, host, port)
    }

    /// The verdict in short: `known`, `unknown`, `changed:LINE`, `revoked:LINE`, or the reason.
    fn judge(&self, host: &str, port: u16, shown: &PublicKeyOrCertificate) -> String {
        brief(&self.host(host, port).judge(shown, SystemTime::now()))
    }
}

fn brief(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Known => "known".to_owned(),
        Verdict::Unknown => "unknown".to_owned(),
        Verdict::Changed(line) => format!("changed:{}", line.number),
        Verdict::Revoked(line) => format!("revoked:{}", line.number),
        Verdict::BadCertificate(why) | Verdict::NoRevocations(why) => why.clone(),
    }
}

#[test]
fn names_ports_patterns_and_markers() {
    let home = Home::new(&format!(
        "# comment\n\nlb1,LB2 {one}\n[lb1]:2222 {two}\n*.site,!bad.site {one} comment here\n\
         @revoked * {three}\n@foo lb9 {one}\nlb9 ssh-rsa {one_base64}\nlb9 ssh-ed25519\n\
         lb3 {two}\nlb3 {one}\n@revoked lb3 {two}\n",
        one = text(1),
        two = text(2),
        three = text(3),
        one_base64 = text(1).split(' ').nth(1).unwrap(),
    ));
    for (host, port, number, expected) in [
        ("lb1", 22, 1, "known"),
        ("LB1", 22, 1, "known"),
        ("lb2", 22, 1, "known"),
        ("lb1", 22, 2, "changed:3"),
        ("lb1", 2222, 2, "known"),
        ("lb1", 2222, 1, "changed:4"),
        ("lb1", 2222, 4, "changed:4"),
        ("lb2", 2222, 1, "known"),
        ("lb2", 2222, 2, "unknown"),
        ("a.site", 22, 1, "known"),
        ("bad.site", 22, 1, "unknown"),
        ("new", 22, 1, "unknown"),
        ("new", 22, 3, "revoked:6"),
        ("lb1", 22, 3, "revoked:6"),
        ("lb9", 22, 1, "unknown"),
        ("lb3", 22, 1, "known"),
        ("lb3", 22, 2, "revoked:12"),
        ("lb3", 22, 4, "changed:10"),
    ] {
        let verdict = home.judge(host, port, &shown(number));
        assert_eq!(verdict, expected, "{host}:{port} with key {number}");
    }
}

#[test]
fn an_alias_stands_for_name_and_port() {
    let mut home = Home::new(&format!("fleet {}\n", text(1)));
    home.settings.alias = Some("Fleet".to_owned());
    assert_eq!(home.judge("lb1", 2222, &shown(1)), "known");
    assert_eq!(home.judge("lb1", 22, &shown(2)), "changed:1");
}

#[test]
fn policies_never_accept_a_changed_or_revoked_key() {
    use HostKeyPolicy::{AcceptNew, Ask, Off, Strict};
    let line = Line {
        file: Path::new("f").into(),
        number: 1,
    };
    for policy in [AcceptNew, Ask, Off, Strict] {
        assert_eq!(Verdict::Known.decide(policy), Decision::Accept);
        for verdict in [
            Verdict::Changed(line.clone()),
            Verdict::Revoked(line.clone()),
            Verdict::BadCertificate(String::new()),
            Verdict::NoRevocations(String::new()),
        ] {
            assert_eq!(
                verdict.decide(policy),
                Decision::Refuse,
                "{verdict:?} {policy:?}"
            );
        }
    }
    assert_eq!(Verdict::Unknown.decide(Strict), Decision::Refuse);
    assert_eq!(Verdict::Unknown.decide(Ask), Decision::Ask);
    assert_eq!(Verdict::Unknown.decide(AcceptNew), Decision::Record);
    assert_eq!(Verdict::Unknown.decide(Off), Decision::RecordAndWarn);
}

#[test]
fn recorded_keys_are_known_at_once_and_to_the_next_run() {
    let home = Home::new("other ssh-ed25519 AAAA without a newline");
    let known_hosts = KnownHosts::new();
    let host = known_hosts.host(&home.settings, "lb1", 2222);
    let now = SystemTime::now();
    assert_eq!(host.judge(&shown(1), now), Verdict::Unknown);
    host.record(&key(1)).unwrap();
    host.record(&key(1)).unwrap();
    assert_eq!(host.judge(&shown(1), now), Verdict::Known);
    let error = host.record(&key(2)).unwrap_err().to_string();
    assert_eq!(
        error,
        "host key CHANGED during this run: [lb1]:2222 has shown two keys"
    );
    let written = fs::read_to_string(home.file()).unwrap();
    let expected = format!(
        "other ssh-ed25519 AAAA without a newline\n[lb1]:2222 {}\n",
        text(1)
    );
    assert_eq!(written, expected);
    assert_eq!(home.judge("lb1", 2222, &shown(1)), "known");
    assert_eq!(home.judge("lb1", 2222, &shown(2)), "changed:2");
}

#[test]
fn the_folder_and_the_file_are_made_for_the_user_alone() {
    let mut home = Home::new("");
    let folder = home.folder.path().join("home/.ssh");
    home.settings.user_files = vec![folder.join("known_hosts")];
    home.host("lb1", 22).record(&key(1)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(home.file())), (0o700, 0o600));
    assert_eq!(home.judge("lb1", 22, &shown(1)), "known");
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_and_none_is_not() {
    let mut home = Home::new("");
    let folder = home.folder.path().to_owned();
    home.settings.user_files = vec![folder.join("known_hosts/below-a-file")];
    let host = home.host("lb1", 22);
    let error = host.record(&key(1)).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot record the host key in "),
        "{error}"
    );
    assert_eq!(host.judge(&shown(1), SystemTime::now()), Verdict::Unknown);
    home.settings.user_files.clear();
    let host = home.host("lb1", 22);
    host.record(&key(1)).unwrap();
    assert_eq!(host.judge(&shown(1), SystemTime::now()), Verdict::Known);
}

#[test]
fn writers_do_not_tear_lines() {
    let home = Home::new("");
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let home = &home;
            // Each with its own store, as if they were processes.
            scope.spawn(move || {
                let known_hosts = KnownHosts::new();
                for node in 0..25 {
                    let host = known_hosts.host(&home.settings, &format!("n{thread}-{node}"), 22);
                    host.record(&key(thread)).unwrap();
                }
            });
        }
    });
    for thread in 0..4u8 {
        for node in 0..25 {
            assert_eq!(
                home.judge(&format!("n{thread}-{node}"), 22, &shown(thread)),
                "known"
            );
        }
    }
}

#[test]
fn odd_names_are_hashed_rather_than_written() {
    let mut home = Home::new("");
    home.settings.alias = Some("a *,b".to_owned());
    home.host("lb1", 22).record(&key(1)).unwrap();
    assert!(fs::read_to_string(home.file()).unwrap().starts_with("|1|"));
    assert_eq!(home.judge("lb1", 22, &shown(1)), "known");
    home.settings.alias = None;
    assert_eq!(home.judge("a", 22, &shown(1)), "unknown");
}

#[test]
fn keys_that_are_known_come_first() {
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQc=";
    let home = Home::new(&format!("lb1 {rsa}\n@cert-authority *.ca {}\n", text(1)));
    let rsa512 = Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    };
    let mut order = vec![Algorithm::Ed25519, rsa512.clone()];
    home.host("lb1", 22).prefer(&mut order);
    assert_eq!(order, [rsa512.clone(), Algorithm::Ed25519]);
    let mut order = vec![Algorithm::Ed25519, rsa512.clone()];
    home.host("lb2", 22).prefer(&mut order);
    assert_eq!(order, [Algorithm::Ed25519, rsa512]);
    assert!(home.host("lb1", 22).certificates().is_empty());
    assert!(!home.host("x.ca", 22).certificates().is_empty());
    assert!(!home.host("x.ca", 2222).certificates().is_empty());
}

#[test]
fn revoked_host_keys_of_a_list() {
    let mut home = Home::new(&format!("lb1 {}\nlb1 {}\n", text(1), text(2)));
    let list = home.folder.path().join("revoked");
    fs::write(&list, format!("# gone\n{}\n", text(2))).unwrap();
    home.settings.revoked_file = Some(list.clone());
    assert_eq!(home.judge("lb1", 22, &shown(1)), "known");
    assert_eq!(home.judge("lb1", 22, &shown(2)), "revoked:2");
    fs::remove_file(&list).unwrap();
    assert!(
        home.judge("lb1", 22, &shown(1))
            .starts_with("cannot use RevokedHostKeys")
    );
    fs::write(&list, "SSHKRL\n\0").unwrap();
    assert!(home.judge("lb1", 22, &shown(1)).contains("binary list"));
}

#[test]
fn messages_say_what_to_do() {
    let home = Home::new(&format!("lb1 {}\n", text(1)));
    let host = home.host("lb1", 22);
    let verdict = host.judge(&shown(2), SystemTime::now());
    let words = host.explain(&verdict, &shown(2)).message;
    assert!(words.starts_with("host key CHANGED ("), "{words}");
    assert!(
        words.contains("known_hosts:1): it is ssh-ed25519 SHA256:"),
        "{words}"
    );
    assert!(words.contains("ssh-keygen -R 'lb1'"), "{words}");
    // What is the same for all nodes is one message, so that it is told once.
    let [one, other] = ["lb1", "lb2"].map(|name| {
        let host = Home::new("").host(name, 22);
        host.explain(&host.judge(&shown(2), SystemTime::now()), &shown(2))
    });
    assert_eq!(one.message, other.message);
    assert!(
        one.detail
            .unwrap()
            .starts_with("lb1 shows ssh-ed25519 SHA256:")
    );
}

/// A certificate for host key 1, signed by key 9.
fn certificate(kind: CertType, change: impl FnOnce(&mut Builder)) -> PublicKeyOrCertificate {
    let mut builder = Builder::new([7; 16], key(1).key_data().clone(), 100, 200).unwrap();
    builder.cert_type(kind).unwrap();
    builder.key_id("test").unwrap();
    change(&mut builder);
    let certificate: Certificate = builder.sign(&private(9)).unwrap();
    certificate.into()
}

#[test]
fn certificates_are_checked_in_full() {
    let home = Home::new(&format!("@cert-authority *.site {}\n", text(9)));
    let at = |seconds, host: &str, shown: &PublicKeyOrCertificate| {
        let now = UNIX_EPOCH + Duration::from_secs(seconds);
        brief(&home.host(host, 22).judge(shown, now))
    };
    let good = certificate(CertType::Host, |builder| {
        builder.valid_principal("lb1.site").unwrap();
        builder.valid_principal("*.site").unwrap();
    });
    assert_eq!(at(150, "lb1.site", &good), "known");
    assert_eq!(
        at(150, "lb2.site", &good),
        "it is for lb1.site, *.site, not for lb2.site"
    );
    assert_eq!(
        at(99, "lb1.site", &good),
        "it is not valid yet; check the clocks"
    );
    assert_eq!(at(200, "lb1.site", &good), "it has expired");
    assert_eq!(at(150, "lb1.elsewhere", &good), "unknown");
    let users = certificate(CertType::User, |builder| {
        builder.valid_principal("lb1.site").unwrap();
    });
    assert_eq!(at(150, "lb1.site", &users), "it is a user's certificate");
    let optioned = certificate(CertType::Host, |builder| {
        builder.critical_option("x", "y").unwrap();
        builder.valid_principal("lb1.site").unwrap();
    });
    assert!(at(150, "lb1.site", &optioned).contains("critical option `x`"));
    let known = Home::new(&format!("@cert-authority * {}\nlb1 {}\n", text(9), text(1)));
    assert_eq!(
        known.judge("lb1", 22, &good),
        "known",
        "by its key, as the certificate has expired"
    );
    let revoked = Home::new(&format!("@cert-authority * {0}\n@revoked * {0}\n", text(9)));
    assert_eq!(revoked.judge("lb1.site", 22, &good), "revoked:2");
    let plain_authority = Home::new(&format!("lb1.site {}\n", text(9)));
    assert_eq!(plain_authority.judge("lb1.site", 22, &good), "changed:1");
}

#[test]
fn what_ssh_keygen_hashes_we_find_and_the_other_way_round() {
    let home = Home::new(&format!(
        "lb1 {}\n[lb1]:2222 {}\n10.0.0.1 {}\n",
        text(1),
        text(2),
        text(3)
    ));
    let keygen = |words: &[&str]| {
        Command::new("ssh-keygen")
            .args(words)
            .arg("-f")
            .arg(home.file())
            .output()
    };
    // The integration tests say so and fail where it must be there.
    let Ok(hashed) = keygen(&["-q", "-H"]) else {
        return;
    };
    assert!(hashed.status.success(), "{hashed:?}");
    let revoked = fs::read_to_string(home.file())
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    assert!(revoked.starts_with("|1|"), "{revoked}");
    assert_eq!(home.judge("lb1", 22, &shown(1)), "known");
    assert_eq!(home.judge("lb1", 22, &shown(4)), "changed:1");
    assert_eq!(home.judge("lb1", 2222, &shown(2)), "known");
    assert_eq!(home.judge("10.0.0.1", 22, &shown(3)), "known");
    assert_eq!(home.judge("lb2", 22, &shown(1)), "unknown");
    let mut order = vec![Algorithm::Dsa, Algorithm::Ed25519];
    home.host("lb1", 22).prefer(&mut order);
    assert_eq!(order[0], Algorithm::Ed25519);

    let settings = HostKeySettings {
        hash_names: true,
        ..home.settings.clone()
    };
    KnownHosts::new()
        .host(&settings, "new", 77)
        .record(&key(5))
        .unwrap();
    let found = keygen(&["-F", "[new]:77"]).unwrap();
    assert!(found.status.success(), "ssh-keygen finds what we hashed");

    let text = fs::read_to_string(home.file()).unwrap();
    fs::write(
        home.file(),
        format!("lb1 {}\n@revoked {revoked}\n{text}", self::text(1)),
    )
    .unwrap();
    assert_eq!(
        home.judge("lb1", 22, &shown(1)),
        "revoked:2",
        "even behind a plain name that matches"
    );
}

proptest! {
    /// A key is known exactly if some line of the host's has it, however the lines are ordered.
    #[test]
    fn agrees_with_a_model(lines in proptest::collection::vec((0..3u8, 0..4u8, 0..3u8), 0..8), host in 0..4u8, shows in 0..3u8) {
        let mut file = String::new();
        for (marker, host, number) in &lines {
            let marker = ["", "", "@revoked "][usize::from(*marker)];
            file.push_str(&format!("{marker}h{host} {}\n", text(*number)));
        }
        let mine = || lines.iter().filter(|line| line.1 == host);
        let expected = if mine().any(|line| line.0 == 2 && line.2 == shows) {
            "revoked"
        } else if mine().any(|line| line.0 != 2 && line.2 == shows) {
            "known"
        } else if mine().any(|line| line.0 != 2) {
            "changed"
        } else {
            "unknown"
        };
        let verdict = Home::new(&file).judge(&format!("h{host}"), 22, &shown(shows));
        prop_assert_eq!(verdict.split(':').next().unwrap(), expected);
    }

    #[test]
    fn random_bytes_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
        line in r"(@revoked |@cert-authority |)(\|1\|[A-Za-z0-9+/=|]{0,60}|[a-z*?!,]{0,9}) (ssh-ed25519|ssh-rsa|) [A-Za-z0-9+/=]{0,90}",
    ) {
        for text in [bytes.as_slice(), line.as_bytes()] {
            let file = File::parse(Path::new("f"), text);
            let _ = file.plain("lb1").count();
            let _ = file.hashed("lb1").count();
        }
    }
}
