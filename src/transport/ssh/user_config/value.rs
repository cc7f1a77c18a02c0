//! The keywords we obey, and their arguments once they are understood.

use std::time::Duration;

use super::algorithms::AlgorithmList;
use super::settings::{AddressFamily, HostKeyPolicy, Proxy};

/// A keyword we obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    AddKeysToAgent,
    AddressFamily,
    BatchMode,
    BindAddress,
    BindInterface,
    CaSignatureAlgorithms,
    CanonicalDomains,
    CanonicalizeFallbackLocal,
    CanonicalizeHostname,
    CanonicalizeMaxDots,
    CertificateFile,
    Ciphers,
    ClearAllForwardings,
    Compression,
    ConnectTimeout,
    ConnectionAttempts,
    ControlPath,
    GlobalKnownHostsFile,
    HashKnownHosts,
    HostKeyAlgorithms,
    HostKeyAlias,
    HostName,
    IdentitiesOnly,
    IdentityAgent,
    IdentityFile,
    IgnoreUnknown,
    KbdInteractiveAuthentication,
    KexAlgorithms,
    LogLevel,
    Macs,
    NoHostAuthenticationForLocalhost,
    NumberOfPasswordPrompts,
    PasswordAuthentication,
    PermitLocalCommand,
    Port,
    PreferredAuthentications,
    ProxyCommand,
    ProxyJump,
    PubkeyAcceptedAlgorithms,
    PubkeyAuthentication,
    RefuseConnection,
    RequiredRsaSize,
    RevokedHostKeys,
    SendEnv,
    ServerAliveCountMax,
    ServerAliveInterval,
    SetEnv,
    StrictHostKeyChecking,
    Tag,
    TcpKeepAlive,
    User,
    UserKnownHostsFile,
}

impl Key {
    /// How many there are.
    pub(super) const COUNT: usize = Self::UserKnownHostsFile as usize + 1;
}

/// The arguments of a keyword, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Flag(bool),
    Number(u32),
    Port(u16),
    /// `none` is `None`.
    Time(Option<Duration>),
    Word(String),
    Words(Vec<String>),
    Algorithms(AlgorithmList),
    Family(AddressFamily),
    Policy(HostKeyPolicy),
    Canonicalize(Canonicalize),
    /// The proxy, not yet expanded, and the text of `ProxyJump`.
    Proxy(Proxy, String),
}

/// When a host name is looked up in the configured domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Canonicalize {
    No,
    /// Not behind a proxy.
    Direct,
    Always,
}
