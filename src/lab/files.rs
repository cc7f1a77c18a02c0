//! The files that lead to a lab: ssh_config, known_hosts and the user's key.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::LineEnding;
use russh::keys::{PrivateKey, PublicKey, ssh_key};

use super::{LabError, USER};

/// The texts, growing node by node until they are written.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    port: u16,
    config: String,
    known_hosts: String,
}

impl Files {
    pub(super) fn new(folder: &Path, port: u16) -> Self {
        Self {
            folder: folder.to_owned(),
            port,
            config: String::new(),
            known_hosts: String::new(),
        }
    }

    /// The name leads to the address.
    pub(super) fn node(&mut self, name: &str, address: Ipv4Addr) {
        self.config += &format!("Host {name}\n    HostName {address}\n");
    }

    /// The node at the address should have this key.
    pub(super) fn host_key(
        &mut self,
        address: Ipv4Addr,
        key: &PublicKey,
    ) -> Result<(), ssh_key::Error> {
        self.known_host(&address.to_string(), key)
    }

    /// Every node should have this key.
    pub(super) fn every_host_key(&mut self, key: &PublicKey) -> Result<(), ssh_key::Error> {
        self.known_host("127.77.*", key)
    }

    fn known_host(&mut self, pattern: &str, key: &PublicKey) -> Result<(), ssh_key::Error> {
        let key = key.to_openssh()?;
        self.known_hosts += &format!("[{pattern}]:{} {key}\n", self.port);
        Ok(())
    }

    /// Writes them, and the key that lets in.
    pub(super) fn write(&mut self, user_key: &PrivateKey) -> Result<(), LabError> {
        // The first value of ssh_config wins, so what is common comes last. The agent and the user's own
        // keys stay out: sshd counts every key it refuses, and none is needed here.
        self.config += &format!(
            "Host *\n    \
             Port {port}\n    \
             User {USER}\n    \
             IdentityFile \"{identity}\"\n    \
             IdentitiesOnly yes\n    \
             IdentityAgent none\n    \
             PreferredAuthentications publickey\n    \
             UserKnownHostsFile \"{known_hosts}\"\n    \
             GlobalKnownHostsFile /dev/null\n    \
             StrictHostKeyChecking yes\n    \
             ControlPath none\n",
            port = self.port,
            identity = self.identity().display(),
            known_hosts = self.known_hosts().display(),
        );
        create(&self.identity(), &user_key.to_openssh(LineEnding::LF)?)?;
        create(&self.known_hosts(), &self.known_hosts)?;
        create(&self.ssh_config(), &self.config)?;
        Ok(())
    }

    pub(super) fn ssh_config(&self) -> PathBuf {
        self.folder.join("ssh_config")
    }

    pub(super) fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    pub(super) fn identity(&self) -> PathBuf {
        self.folder.join("id_ed25519")
    }
}

/// A new file that nobody else may read.
fn create(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}
