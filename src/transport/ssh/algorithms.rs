//! Which algorithms we offer: our preference, what the configuration makes of it, and russh's values for both.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use russh::client::Config;
use russh::keys::Algorithm;
use russh::{Preferred, kex};

use super::host_keys::HostKeys;
use super::user_config::{AlgorithmList, HostSettings};
use crate::event::{ErrorCode, Failure};

/// Key exchange decides what a connection costs: the post-quantum hybrid 1.5 times curve25519, the groups 18 to 140
/// times. The NIST curves stand ahead of the groups for servers without curve25519.
const KEX: [&str; 10] = [
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
];

/// Offered only when asked for.
const MORE_KEX: [&str; 5] = [
    "diffie-hellman-group15-sha512",
    "diffie-hellman-group17-sha512",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group1-sha1",
];

/// Not algorithms but announcements in the same list; strict key exchange (against CVE-2023-48795) is one.
const KEX_EXTENSIONS: [kex::Name; 4] = [
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

const CIPHERS: [&str; 6] = [
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
];

const MORE_CIPHERS: [&str; 3] = ["aes256-cbc", "aes192-cbc", "aes128-cbc"];

const MACS: [&str; 4] = [
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512",
    "hmac-sha2-256",
];

const MORE_MACS: [&str; 2] = ["hmac-sha1-etm@openssh.com", "hmac-sha1"];

/// Host keys, and what our own keys may sign with.
const KEYS: [&str; 6] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

const MORE_KEYS: [&str; 3] = [
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// How silence is met when the configuration does not say.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Which host keys a server is asked for, most wanted first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostKeyPreference {
    keys: Vec<Algorithm>,
    /// Certificates of these, which then come before plain keys.
    certificates: Vec<Algorithm>,
}

impl HostKeyPreference {
    /// What the configuration allows, ordered by what is known of the host.
    pub(super) fn new(wanted: &AlgorithmList, known: &HostKeys) -> Result<Self, Failure> {
        static DEFAULT: LazyLock<Vec<Algorithm>> = LazyLock::new(|| {
            KEYS.iter()
                .filter_map(|name| Algorithm::from_str(name).ok())
                .collect()
        });
        let certified = known.certificates();
        let (mut keys, certificates) = if wanted.is_default() {
            (DEFAULT.clone(), certified.to_vec())
        } else {
            let names: Vec<String> = certified
                .iter()
                .map(Algorithm::to_certificate_type)
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let allowed = wanted.apply(&names, &names);
            let certified = certified.iter();
            let certified = certified.filter(|one| allowed.contains(&one.to_certificate_type()));
            (
                algorithms("HostKeyAlgorithms", wanted)?,
                certified.cloned().collect(),
            )
        };
        if !wanted.is_ordered() {
            known.prefer(&mut keys);
        }
        Ok(Self { keys, certificates })
    }
}

/// russh's configurations, shared by the nodes that need the same.
#[derive(Debug, Default)]
pub(super) struct Configs(Mutex<Vec<(ConfigKey, Arc<Config>)>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct ConfigKey {
    kex: AlgorithmList,
    ciphers: AlgorithmList,
    macs: AlgorithmList,
    host_key: HostKeyPreference,
    alive: (Option<Duration>, u32),
}

impl Configs {
    /// The configuration for a host.
    pub(super) fn get(
        &self,
        settings: &HostSettings,
        host_key: HostKeyPreference,
    ) -> Result<Arc<Config>, Failure> {
        let wanted = ConfigKey {
            kex: settings.kex_algorithms.clone(),
            ciphers: settings.ciphers.clone(),
            macs: settings.macs.clone(),
            host_key,
            alive: (
                settings.server_alive_interval,
                settings.server_alive_count_max,
            ),
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = known.iter().find(|(known, _)| *known == wanted) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(config(&wanted)?);
        // A fleet needs a handful; a configuration that differs for each node is not worth keeping.
        if known.len() < 64 {
            known.push((wanted, Arc::clone(&config)));
        }
        Ok(config)
    }
}

fn config(wanted: &ConfigKey) -> Result<Config, Failure> {
    let mut kex: Vec<kex::Name> = list("KexAlgorithms", &wanted.kex, &KEX, &MORE_KEX)?;
    kex.extend(KEX_EXTENSIONS);
    let (interval, count) = wanted.alive;
    Ok(Config {
        // Small, so that a node that prints without end costs little; see `channel_buffer_size`.
        window_size: 256 * 1024,
        maximum_packet_size: 32 * 1024,
        channel_buffer_size: 8,
        keepalive_interval: Some(interval.unwrap_or(KEEPALIVE)).filter(|time| !time.is_zero()),
        keepalive_max: count as usize,
        // A quiet long command is no reason to hang up.
        inactivity_timeout: None,
        preferred: Preferred {
            kex: Cow::Owned(kex),
            key: Cow::Owned(wanted.host_key.keys.clone()),
            host_key_certificates: Cow::Owned(wanted.host_key.certificates.clone()),
            cipher: Cow::Owned(list("Ciphers", &wanted.ciphers, &CIPHERS, &MORE_CIPHERS)?),
            mac: Cow::Owned(list("MACs", &wanted.macs, &MACS, &MORE_MACS)?),
            compression: Preferred::DEFAULT.compression,
        },
        ..Config::default()
    })
}

fn list<T: for<'a> TryFrom<&'a str>>(
    keyword: &str,
    wanted: &AlgorithmList,
    defaults: &[&str],
    more: &[&str],
) -> Result<Vec<T>, Failure> {
    let all: Vec<&str> = defaults.iter().chain(more).copied().collect();
    let names: Vec<T> = wanted
        .apply(defaults, &all)
        .iter()
        .filter_map(|name| T::try_from(name).ok())
        .collect();
    if names.is_empty() {
        return Err(Failure::new(
            ErrorCode::Algorithm,
            format!(
                "{keyword} of the SSH configuration leaves nothing we have (we have: {})",
                all.join(",")
            ),
        ));
    }
    Ok(names)
}

fn algorithms(keyword: &str, wanted: &AlgorithmList) -> Result<Vec<Algorithm>, Failure> {
    /// [`Algorithm`] parses with `FromStr`, the other names with `TryFrom`.
    struct Parsed(Algorithm);
    impl TryFrom<&str> for Parsed {
        type Error = ();
        fn try_from(name: &str) -> Result<Self, ()> {
            Algorithm::from_str(name).map(Self).map_err(|_| ())
        }
    }
    let parsed: Vec<Parsed> = list(keyword, wanted, &KEYS, &MORE_KEYS)?;
    Ok(parsed.into_iter().map(|parsed| parsed.0).collect())
}

/// The signature algorithms our own keys may use (`PubkeyAcceptedAlgorithms`).
pub(super) fn accepted(wanted: &AlgorithmList) -> Vec<String> {
    let plain = KEYS.iter().chain(&MORE_KEYS[1..]);
    let certificate = |name: &&str| match name.split_once('@') {
        Some((name, domain)) => format!("{name}-cert-v01@{domain}"),
        None => format!("{name}-cert-v01@openssh.com"),
    };
    let defaults: Vec<String> = plain
        .clone()
        .map(|name| (*name).to_owned())
        .chain(plain.map(certificate))
        .collect();
    let defaults: Vec<&str> = defaults.iter().map(String::as_str).collect();
    wanted.apply(&defaults, &defaults)
}

#[cfg(test)]
mod tests {
    use super::super::host_keys::KnownHosts;
    use super::super::user_config::{HostKeyPolicy, HostKeySettings};
    use super::*;

    fn host_key(wanted: &str, known_hosts: &str) -> HostKeyPreference {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, known_hosts).unwrap();
        let settings = HostKeySettings {
            alias: None,
            policy: HostKeyPolicy::Strict,
            user_files: vec![file.path().to_owned()],
            global_files: Vec::new(),
            revoked_file: None,
            ca_algorithms: AlgorithmList::default(),
            hash_names: false,
            trust_loopback: false,
        };
        let wanted = match wanted {
            "" => AlgorithmList::default(),
            text => AlgorithmList::parse(text),
        };
        HostKeyPreference::new(&wanted, &KnownHosts::new().host(&settings, "h", 22)).unwrap()
    }

    fn wanted() -> ConfigKey {
        ConfigKey {
            kex: AlgorithmList::default(),
            ciphers: AlgorithmList::default(),
            macs: AlgorithmList::default(),
            host_key: host_key("", ""),
            alive: (None, 3),
        }
    }

    #[test]
    fn russh_knows_every_name() {
        let everything = || AlgorithmList::parse("+*");
        let config = config(&ConfigKey {
            kex: everything(),
            ciphers: everything(),
            macs: everything(),
            host_key: host_key("+*", ""),
            ..wanted()
        })
        .unwrap();
        let offered = config.preferred;
        assert_eq!(
            offered.kex.len(),
            KEX.len() + MORE_KEX.len() + KEX_EXTENSIONS.len()
        );
        assert_eq!(offered.cipher.len(), CIPHERS.len() + MORE_CIPHERS.len());
        assert_eq!(offered.mac.len(), MACS.len() + MORE_MACS.len());
        assert_eq!(offered.key.len(), KEYS.len() + MORE_KEYS.len());
    }

    #[test]
    fn strict_key_exchange_stays_whatever_is_configured() {
        let config = config(&ConfigKey {
            kex: AlgorithmList::parse("curve25519-sha256"),
            ..wanted()
        })
        .unwrap();
        let kex: Vec<&str> = config.preferred.kex.iter().map(AsRef::as_ref).collect();
        assert_eq!(kex[0], "curve25519-sha256");
        assert!(kex.contains(&"kex-strict-c-v00@openssh.com"));
        assert_eq!(kex.len(), 5);
    }

    #[test]
    fn the_known_host_key_comes_first_unless_the_user_ordered_them() {
        const KEY: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJFuhsBqzI8zGJs0BGpvWZnVTc5ZF6sVjmQ9g+ZCLS5gV1KJzVwFRdpfTLJSlxdOB3ES5JSKJFGDiTRUoRXcAZY=";
        let known = format!("h {KEY}\n");
        let first = |wanted: HostKeyPreference| wanted.keys[0].to_string();
        assert_eq!(first(host_key("", "")), "ssh-ed25519");
        assert_eq!(first(host_key("", &known)), "ecdsa-sha2-nistp256");
        let ordered = host_key("ssh-ed25519,ecdsa-sha2-nistp256", &known);
        assert_eq!(first(ordered), "ssh-ed25519");
    }

    #[test]
    fn certificates_are_asked_for_where_an_authority_is_known() {
        const KEY: &str =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYK1b7cyBHU7wLNvr1V6FqHHpmUAnHF9ddtCSjmVUh0";
        let known = format!("@cert-authority h {KEY}\n");
        assert!(host_key("", "").certificates.is_empty());
        assert!(!host_key("", &known).certificates.is_empty());
        assert!(host_key("ssh-ed25519", &known).certificates.is_empty());
    }

    #[test]
    fn nothing_left_is_an_error_that_says_what_there_is() {
        let error = config(&ConfigKey {
            ciphers: AlgorithmList::parse("3des-cbc"),
            ..wanted()
        })
        .unwrap_err();
        assert_eq!(error.code, ErrorCode::Algorithm);
        assert!(error.message.contains("aes256-ctr"), "{error}");
    }

    #[test]
    fn accepted_signatures_have_certificate_names() {
        let names = accepted(&AlgorithmList::default());
        assert!(
            names
                .iter()
                .any(|n| n == "rsa-sha2-512-cert-v01@openssh.com")
        );
        assert!(
            names
                .iter()
                .any(|n| n == "sk-ssh-ed25519-cert-v01@openssh.com")
        );
        assert!(!names.iter().any(|n| n == "ssh-rsa"));
        assert_eq!(
            accepted(&AlgorithmList::parse("ssh-ed25519")),
            ["ssh-ed25519"]
        );
    }
}
