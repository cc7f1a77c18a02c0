//! Our judgement of host keys beside that of the real `ssh`, on the same files and the same sshd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use hapsh::transport::ssh::host_keys::{KnownHosts, Verdict};
use hapsh::transport::ssh::user_config::{AlgorithmList, HostKeyPolicy, HostKeySettings};
use russh::keys::{Certificate, PublicKey, PublicKeyOrCertificate};

use crate::lab::{Lab, find_program, skip};

/// A lab with files of our own beside it.
struct Bench {
    lab: Lab,
    folder: tempfile::TempDir,
}

impl Bench {
    fn file(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).expect("known_hosts");
    }

    fn settings(&self, alias: Option<&str>) -> HostKeySettings {
        HostKeySettings {
            alias: alias.map(str::to_owned),
            policy: HostKeyPolicy::Strict,
            user_files: vec![self.file()],
            global_files: Vec::new(),
            revoked_file: None,
            ca_algorithms: AlgorithmList::default(),
            hash_names: false,
            trust_loopback: false,
        }
    }

    /// `known`, `unknown`, `changed:LINE` or `revoked`, as we see it.
    fn ours(&self, node: &str, alias: Option<&str>, shown: &PublicKeyOrCertificate) -> String {
        let (host, port) = self.lab.address(node);
        let keys = KnownHosts::new().host(&self.settings(alias), &host, port);
        match keys.judge(shown, SystemTime::now()) {
            Verdict::Known => "known".to_owned(),
            // `ssh` goes on with the plain key then; as that is unknown, so is the host.
            Verdict::Unknown | Verdict::BadCertificate(_) => "unknown".to_owned(),
            Verdict::Changed(line) => format!("changed:{}", line.number),
            Verdict::Revoked(_) => "revoked".to_owned(),
            Verdict::NoRevocations(why) => panic!("{why}"),
        }
    }

    /// The same as `ssh` sees it.
    fn theirs(&self, node: &str, alias: Option<&str>, options: &[&str]) -> String {
        let (host, port) = self.lab.address(node);
        let mut command = Command::new("ssh");
        command
            .args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "IdentityAgent=none",
            ])
            .args(["-o", "GlobalKnownHostsFile=none", "-o", "UpdateHostKeys=no"])
            .args([
                "-o",
                &format!("UserKnownHostsFile={}", self.file().display()),
            ])
            .args(["-i", &self.lab.key().display().to_string()])
            .args(["-p", &port.to_string()]);
        for option in options {
            command.args(["-o", option]);
        }
        command.args(["-o", "StrictHostKeyChecking=yes"]);
        if let Some(alias) = alias {
            command.args(["-o", &format!("HostKeyAlias={alias}")]);
        }
        let output = command
            .args([&host, "true"])
            .stdin(Stdio::null())
            .output()
            .expect("ssh");
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return "known".to_owned();
        }
        if said.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            let offending = said.lines().find(|line| line.starts_with("Offending"));
            let line = offending.and_then(|line| line.trim().rsplit(':').next());
            return format!("changed:{}", line.unwrap_or("?"));
        }
        if said.contains("is marked as revoked") {
            return "revoked".to_owned();
        }
        assert!(said.contains("host key is known for"), "{said}");
        "unknown".to_owned()
    }
}

fn keygen(words: &[&str]) {
    let output = try_keygen(words);
    assert!(output.status.success(), "{words:?}: {output:?}");
}

fn try_keygen(words: &[&str]) -> Output {
    Command::new("ssh-keygen")
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("ssh-keygen")
}

fn new_key(folder: &Path, name: &str, kind: &str) -> String {
    let file = folder.join(name).display().to_string();
    keygen(&["-q", "-t", kind, "-N", "", "-C", "", "-f", &file]);
    public(&folder.join(name).with_extension("pub"))
}

/// A public key's two fields.
fn public(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a public key");
    text.split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

fn has_ssh() -> bool {
    let found = find_program("ssh", "").is_some();
    if !found {
        skip("ssh is not installed");
    }
    found
}

#[test]
fn verdicts_are_those_of_ssh() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    if !has_ssh() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let own = public(&lab.run_dir("lb1").join("host_key.pub"));
    let other = new_key(folder.path(), "other", "ed25519");
    let ecdsa = new_key(folder.path(), "ecdsa", "ecdsa");
    let shown: PublicKeyOrCertificate = PublicKey::from_openssh(&own).expect("a key").into();
    let bench = Bench { lab, folder };
    let (ip, port) = bench.lab.address("lb1");
    let name = format!("[{ip}]:{port}");
    let prefix = ip.rsplit_once('.').expect("an address").0;
    let mut wrong = String::new();
    for (text, alias) in [
        ("", None),
        ("{NAME} {OWN}\n", None),
        ("{NAME} {OWN}", None),
        ("# {NAME} {OWN}\n\n  \n", None),
        ("   {NAME}\t {OWN}  a comment\n", None),
        ("{NAME} {OTHER}\n", None),
        ("\n\n{NAME} {OTHER}\n", None),
        ("{NAME} {ECDSA}\n", None),
        ("{NAME} {OTHER}\n{NAME} {OWN}\n", None),
        ("{IP} {OWN}\n", None),
        ("{IP} {OTHER}\n", None),
        ("{IP} {OWN}\n{NAME} {OTHER}\n", None),
        ("lb1,{NAME},x {OWN}\n", None),
        ("[{NET}.*]:{PORT} {OWN}\n", None),
        ("[{NET}.?]:* {OWN}\n", None),
        ("*,!{NAME},!{IP} {OWN}\n", None),
        ("!other* {OWN}\n", None),
        ("* {OWN}\n", None),
        ("@revoked {NAME} {OWN}\n{NAME} {OWN}\n", None),
        ("@revoked * {OWN}\n", None),
        ("@revoked {NAME} {OTHER}\n{NAME} {OWN}\n", None),
        ("@cert-authority * {OWN}\n", None),
        ("@cert-authority * {OTHER}\n{NAME} {OWN}\n", None),
        ("@unknown {NAME} {OWN}\n", None),
        (
            "@revoked\n{NAME}\n{NAME} ssh-ed25519\n{NAME} ssh-ed25519 AAAA\n",
            None,
        ),
        ("{NAME} ssh-rsa {BASE64}\n", None),
        ("{NAME} ssh-ed25519 {BASE64}junk!\n", None),
        ("{NAME}\r\n{NAME} {OWN}\r\n", None),
        ("fleet {OWN}\n", Some("fleet")),
        ("FLEET {OWN}\n", Some("Fleet")),
        ("[fleet]:{PORT} {OWN}\n", Some("fleet")),
        ("{NAME} {OWN}\n", Some("fleet")),
        ("fl*t {OTHER}\n", Some("fleet")),
    ] {
        let text = text
            .replace("{NAME}", &name)
            .replace("{OWN}", &own)
            .replace("{OTHER}", &other)
            .replace("{ECDSA}", &ecdsa)
            .replace("{BASE64}", own.split(' ').nth(1).expect("two fields"))
            .replace("{IP}", &ip)
            .replace("{NET}", prefix)
            .replace("{PORT}", &port.to_string());
        bench.write(&text);
        let mut check = |how: &str| {
            let ours = bench.ours("lb1", alias, &shown);
            let theirs = bench.theirs("lb1", alias, &[]);
            if ours != theirs {
                wrong.push_str(&format!(
                    "{how} ours {ours}, ssh {theirs}: {alias:?} {text:?}\n"
                ));
            }
        };
        check("plain:");
        // It refuses files with lines that make no sense, and leaves patterns and markers as they are.
        let file = bench.file().display().to_string();
        if try_keygen(&["-q", "-H", "-f", &file]).status.success() {
            check("hashed:");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_one_records_the_other_knows() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    if !has_ssh() {
        return;
    }
    let own = public(&lab.run_dir("lb1").join("host_key.pub"));
    let key = PublicKey::from_openssh(&own).expect("a key");
    let shown: PublicKeyOrCertificate = key.clone().into();
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench { lab, folder };
    let (host, port) = bench.lab.address("lb1");
    for hash_names in [false, true] {
        bench.write("");
        let settings = HostKeySettings {
            hash_names,
            ..bench.settings(None)
        };
        let keys = KnownHosts::new().host(&settings, &host, port);
        keys.record(&key).expect("a writable file");
        assert_eq!(bench.theirs("lb1", None, &[]), "known");

        bench.write("");
        let hashed = format!("HashKnownHosts={}", if hash_names { "yes" } else { "no" });
        let first = bench.theirs("lb1", None, &["StrictHostKeyChecking=accept-new", &hashed]);
        assert_eq!(first, "known");
        let written = fs::read_to_string(bench.file()).expect("known_hosts");
        assert_eq!(written.starts_with("|1|"), hash_names, "{written}");
        assert_eq!(bench.ours("lb1", None, &shown), "known");
    }
}

#[test]
fn host_certificates_are_judged_as_ssh_does() {
    if !has_ssh() || find_program("ssh-keygen", "").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let authority = new_key(folder.path(), "ca", "ed25519");
    let other = new_key(folder.path(), "other", "ecdsa");
    // Certificates are for the name lb1.site, under which we ask for all of them.
    let kinds: &[(&str, &[&str])] = &[
        ("lb1", &["-h", "-n", "lb1.site,x"]),
        ("lb2", &["-h", "-n", "lb2.site"]),
        ("lb3", &["-h", "-n", "lb1.site", "-V", "20200101:20200201"]),
        ("lb4", &["-h", "-n", "*.site"]),
        ("lb5", &["-h", "-n", "lb1.site", "-V", "20800101:20900101"]),
    ];
    let mut builder = Lab::builder(5).without_haproxy();
    let mut certificates = Vec::new();
    for (node, words) in kinds {
        new_key(folder.path(), node, "ed25519");
        let path = |name: String| folder.path().join(name).display().to_string();
        let mut all = vec!["-q".to_owned(), "-s".to_owned(), path("ca".to_owned())];
        all.extend(["-I".to_owned(), "test".to_owned()]);
        all.extend(words.iter().map(|&word| word.to_owned()));
        all.push(path(format!("{node}.pub")));
        keygen(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let file = path(format!("{node}-cert.pub"));
        let certificate = Certificate::from_openssh(&fs::read_to_string(&file).expect("a file"));
        certificates.push(certificate.expect("a certificate"));
        builder = builder
            .sshd(node, &format!("HostKey {}", path((*node).to_owned())))
            .sshd(node, &format!("HostCertificate {file}"));
    }
    let Some(lab) = builder.start() else { return };
    let bench = Bench { lab, folder };
    let mut wrong = String::new();
    for ((node, _), certificate) in kinds.iter().zip(certificates) {
        let key = public(&bench.folder.path().join(node).with_extension("pub"));
        for text in [
            "@cert-authority *.site {CA}\n",
            "@cert-authority *.site {OTHER}\n",
            "@cert-authority *.elsewhere {CA}\n",
            "@cert-authority * {CA}\nlb1.site {OWN}\n",
            "@cert-authority * {CA}\n@revoked * {CA}\n",
            "@cert-authority * {CA}\n@revoked lb1.site {OWN}\n",
            "@cert-authority * {CA}\nlb1.site {OTHER}\n",
        ] {
            bench.write(
                &text
                    .replace("{CA}", &authority)
                    .replace("{OTHER}", &other)
                    .replace("{OWN}", &key),
            );
            // The server shows the certificate only to those who ask for it, which we do with an authority for the host.
            let (host, port) = bench.lab.address(node);
            let keys = KnownHosts::new().host(&bench.settings(Some("lb1.site")), &host, port);
            let shown: PublicKeyOrCertificate = if keys.certificates().is_empty() {
                PublicKey::from_openssh(&key).expect("a key").into()
            } else {
                certificate.clone().into()
            };
            let ours = bench.ours(node, Some("lb1.site"), &shown);
            let theirs = bench.theirs(node, Some("lb1.site"), &[]);
            if ours != theirs {
                wrong.push_str(&format!("{node}: ours {ours}, ssh {theirs}: {text:?}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
