//! Keys on devices (`sk-…`) through an agent that has them, and RSA where only one hash is accepted.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

use hapsh::event::ErrorCode;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

use super::auth::{SshAgent, certify};
use super::{Client, Sshd, keygen, on_loop, run};

async fn gets_in(client: &Client) {
    let ran = run(&client.build(), "n", "echo in").await;
    assert_eq!(ran.as_ref().map(|ran| ran.out.as_str()), Ok("in\n"));
}

/// What devices of that kind sign for.
const APPLICATION: &str = "ssh:";

/// A key as a device would hold it.
enum Token {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
}

/// A string as in RFC 4251.
fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// A positive number as in RFC 4251.
fn number(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(0);
    let bytes = &bytes[first..];
    match bytes[0] & 0x80 {
        0 => string(bytes),
        _ => string([&[0], bytes].concat()),
    }
}

impl Token {
    fn kind(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "sk-ssh-ed25519@openssh.com",
            Self::Ecdsa(_) => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    fn public(&self) -> Vec<u8> {
        let key = match self {
            Self::Ed25519(pair) => string(pair.public_key()),
            Self::Ecdsa(pair) => [string("nistp256"), string(pair.public_key())].concat(),
        };
        [string(self.kind()), key, string(APPLICATION)].concat()
    }

    /// As in OpenSSH's PROTOCOL.u2f: over the application, that it was touched, how often it signed, and the data.
    fn sign(&self, data: &[u8]) -> Vec<u8> {
        let hash = |data: &[u8]| ring::digest::digest(&ring::digest::SHA256, data);
        let touched = [1];
        let count = 7_u32.to_be_bytes();
        let application = hash(APPLICATION.as_bytes());
        let signed = [application.as_ref(), &touched, &count, hash(data).as_ref()].concat();
        let signature = match self {
            Self::Ed25519(pair) => string(pair.sign(&signed)),
            Self::Ecdsa(pair) => {
                let signature = pair.sign(&SystemRandom::new(), &signed).unwrap();
                let (r, s) = signature.as_ref().split_at(32);
                string([number(r), number(s)].concat())
            }
        };
        [
            string(self.kind()),
            signature,
            touched.to_vec(),
            count.to_vec(),
        ]
        .concat()
    }

    /// Answers an agent's clients (draft-miller-ssh-agent) until they hang up.
    fn serve(&self, mut client: UnixStream) -> std::io::Result<()> {
        loop {
            let mut length = [0; 4];
            client.read_exact(&mut length)?;
            let mut message = vec![0; u32::from_be_bytes(length) as usize];
            client.read_exact(&mut message)?;
            let answer = match message[0] {
                11 => [
                    &[12, 0, 0, 0, 1],
                    &string(self.public())[..],
                    &string("token"),
                ]
                .concat(),
                13 => {
                    let field = |at: usize| {
                        let end = at + 4;
                        let length = u32::from_be_bytes(message[at..end].try_into().unwrap());
                        &message[end..end + length as usize]
                    };
                    let key = field(1);
                    assert_eq!(key, self.public());
                    [&[14], &string(self.sign(field(5 + key.len())))[..]].concat()
                }
                _ => vec![5],
            };
            client.write_all(&string(answer))?;
        }
    }
}

#[test]
fn keys_on_devices_work_through_the_agent() {
    let Some(sshd) = Sshd::start("") else { return };
    let random = SystemRandom::new();
    let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let ecdsa = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let ecdsa = EcdsaKeyPair::from_pkcs8(algorithm, ecdsa.as_ref(), &random).unwrap();
    for (name, token) in [
        (
            "ed25519",
            Token::Ed25519(Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap()),
        ),
        ("ecdsa", Token::Ecdsa(ecdsa)),
    ] {
        let public = data_encoding::BASE64.encode(&token.public());
        let line = format!("{} {public} token\n", token.kind());
        std::fs::write(sshd.at("authorized_keys"), &line).unwrap();
        std::fs::write(sshd.at(&format!("{name}_sk.pub")), &line).unwrap();
        let socket = sshd.at(&format!("{name}.agent"));
        let listener = UnixListener::bind(&socket).unwrap();
        let token = Arc::new(token);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let token = Arc::clone(&token);
                std::thread::spawn(move || token.serve(client));
            }
        });
        on_loop(async {
            let agent = format!("IdentityAgent={}", socket.display());
            gets_in(&sshd.client().option(&agent)).await;
            // Named by its file, of which only the public half is here.
            let file = format!("{name}_sk");
            let named = sshd.client_with(&[&file]).option("IdentitiesOnly=yes");
            gets_in(&named.option(&agent)).await;
            let failure = run(&sshd.client_with(&[&file]).build(), "n", "true").await;
            let failure = failure.unwrap_err();
            assert_eq!(failure.code, ErrorCode::Auth, "{failure}");
            assert!(
                failure
                    .message
                    .contains("a key on a device, and no agent holds it"),
                "{failure}"
            );
        });
    }
}

#[test]
fn an_rsa_key_signs_with_the_one_hash_that_is_accepted() {
    let lines = "TrustedUserCAKeys {DIR}/ca.pub";
    let Some(sshd) = Sshd::start(lines) else {
        return;
    };
    let agent = SshAgent::start(sshd.dir.path());
    on_loop(async {
        let dir = sshd.dir.path();
        keygen(dir, "ca", &["-t", "ed25519"]);
        for name in ["file", "held", "certified"] {
            keygen(dir, name, &["-t", "rsa", "-b", "2048"]);
        }
        agent.add(&[], &sshd.at("held"));
        for hash in ["256", "512"] {
            let plain = format!("PubkeyAcceptedAlgorithms=rsa-sha2-{hash}");
            let certificates = format!("{plain}-cert-v01@openssh.com");
            sshd.authorize(&["file", "held"]);
            gets_in(&sshd.client_with(&["file"]).option(&plain)).await;
            gets_in(&sshd.client().option(agent.option()).option(&plain)).await;
            sshd.authorize(&["ca"]);
            certify(dir, "ca", "certified", &["-n", "root"]);
            gets_in(&sshd.client_with(&["certified"]).option(&certificates)).await;
            std::fs::remove_file(sshd.at("certified-cert.pub")).unwrap();
            let log = sshd.log();
            assert!(log.contains("Accepted publickey"), "{log}");
        }
        // Where neither is accepted nothing is tried.
        let none = sshd
            .client_with(&["file"])
            .option("PubkeyAcceptedAlgorithms=ssh-ed25519");
        let failure = run(&none.build(), "n", "true").await.unwrap_err();
        assert!(
            failure.message.contains("not in PubkeyAcceptedAlgorithms"),
            "{failure}"
        );
    });
}
