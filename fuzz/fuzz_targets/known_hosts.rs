//! Any bytes as a `known_hosts` file: read, looked up by a plain, a ported and an aliased name, never a panic.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::UNIX_EPOCH;

use hapsh::transport::ssh::host_keys::{KnownHosts, Verdict};
use hapsh::transport::ssh::user_config::{AlgorithmList, HostKeyPolicy, HostKeySettings};
use libfuzzer_sys::fuzz_target;
use russh::keys::{Algorithm, PublicKey, PublicKeyOrCertificate};

static KEY: LazyLock<PublicKeyOrCertificate> = LazyLock::new(|| {
    let text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    PublicKey::from_openssh(text).unwrap().into()
});

fuzz_target!(|data: &[u8]| {
    let path = Path::new("known_hosts");
    for alias in [None, Some("fleet".to_owned())] {
        let settings = HostKeySettings {
            alias,
            policy: HostKeyPolicy::Strict,
            user_files: vec![PathBuf::from(path)],
            global_files: Vec::new(),
            revoked_file: None,
            ca_algorithms: AlgorithmList::default(),
            hash_names: false,
            trust_loopback: false,
        };
        for port in [22, 2222] {
            let known_hosts = KnownHosts::new();
            known_hosts.insert(path, data);
            let host = known_hosts.host(&settings, "lb1", port);
            let verdict = host.judge(&KEY, UNIX_EPOCH);
            assert!(verdict != Verdict::Known || !data.is_empty());
            assert!(!host.explain(&verdict, &KEY).message.is_empty());
            let mut order = [Algorithm::Dsa, Algorithm::Ed25519];
            host.prefer(&mut order);
            let _ = host.certificates();
        }
    }
});
