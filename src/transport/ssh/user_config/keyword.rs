//! The keywords of `ssh_config`: which we obey, which we know and pass over, and which would change something with `ssh`.

use super::settings::Missing;
use super::value::{Key, Value};
use super::{argument, words};

/// What a line's keyword means.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    Host,
    Match,
    Include,
    /// Known to `ssh`, and nothing that anybody would miss here.
    Ignored,
    /// Something that only `ssh` does.
    Unused(&'static Unused),
    Set(Key, fn(&str) -> Result<Value, String>),
}

/// Looks a keyword (in lower case) up; `None` when `ssh` does not know it either.
pub(super) fn meaning(keyword: &str) -> Option<Meaning> {
    use Meaning::{Host, Ignored, Include, Match, Set};
    Some(match keyword {
        "host" => Host,
        "match" => Match,
        "include" => Include,
        "ignoreunknown" => Set(Key::IgnoreUnknown, argument::word),
        "addkeystoagent" => Set(Key::AddKeysToAgent, argument::first),
        "addressfamily" => Set(Key::AddressFamily, argument::family),
        "batchmode" => Set(Key::BatchMode, argument::flag),
        "bindaddress" => Set(Key::BindAddress, argument::word),
        "bindinterface" => Set(Key::BindInterface, argument::word),
        "casignaturealgorithms" => Set(Key::CaSignatureAlgorithms, argument::algorithms),
        "canonicaldomains" => Set(Key::CanonicalDomains, argument::list),
        "canonicalizefallbacklocal" => Set(Key::CanonicalizeFallbackLocal, argument::flag),
        "canonicalizehostname" => Set(Key::CanonicalizeHostname, argument::canonicalize),
        "canonicalizemaxdots" => Set(Key::CanonicalizeMaxDots, argument::number),
        "certificatefile" => Set(Key::CertificateFile, argument::word),
        "challengeresponseauthentication"
        | "kbdinteractiveauthentication"
        | "skeyauthentication"
        | "tisauthentication" => Set(Key::KbdInteractiveAuthentication, argument::flag),
        "clearallforwardings" => Set(Key::ClearAllForwardings, argument::flag),
        "ciphers" => Set(Key::Ciphers, argument::algorithms),
        "compression" => Set(Key::Compression, argument::flag),
        "connectionattempts" => Set(Key::ConnectionAttempts, argument::attempts),
        "connecttimeout" => Set(Key::ConnectTimeout, argument::time),
        "controlpath" => Set(Key::ControlPath, argument::word),
        "globalknownhostsfile" => Set(Key::GlobalKnownHostsFile, argument::list),
        "hashknownhosts" => Set(Key::HashKnownHosts, argument::flag),
        "hostkeyalgorithms" => Set(Key::HostKeyAlgorithms, argument::algorithms),
        "hostkeyalias" => Set(Key::HostKeyAlias, argument::word),
        "hostname" => Set(Key::HostName, argument::word),
        "identitiesonly" => Set(Key::IdentitiesOnly, argument::flag),
        "identityagent" => Set(Key::IdentityAgent, argument::word),
        "identityfile" | "identityfile2" => Set(Key::IdentityFile, argument::word),
        "keepalive" | "tcpkeepalive" => Set(Key::TcpKeepAlive, argument::flag),
        "kexalgorithms" => Set(Key::KexAlgorithms, argument::algorithms),
        "loglevel" => Set(Key::LogLevel, argument::log_level),
        "macs" => Set(Key::Macs, argument::algorithms),
        "nohostauthenticationforlocalhost" => {
            Set(Key::NoHostAuthenticationForLocalhost, argument::flag)
        }
        "numberofpasswordprompts" => Set(Key::NumberOfPasswordPrompts, argument::number),
        "passwordauthentication" => Set(Key::PasswordAuthentication, argument::flag),
        "permitlocalcommand" => Set(Key::PermitLocalCommand, argument::flag),
        "port" => Set(Key::Port, argument::port),
        "preferredauthentications" => Set(Key::PreferredAuthentications, argument::word),
        "proxycommand" => Set(Key::ProxyCommand, argument::command),
        "proxyjump" => Set(Key::ProxyJump, argument::jump),
        "pubkeyacceptedalgorithms" | "pubkeyacceptedkeytypes" => {
            Set(Key::PubkeyAcceptedAlgorithms, argument::algorithms)
        }
        "dsaauthentication" | "pubkeyauthentication" => {
            Set(Key::PubkeyAuthentication, argument::pubkey)
        }
        "refuseconnection" => Set(Key::RefuseConnection, argument::text),
        "requiredrsasize" => Set(Key::RequiredRsaSize, argument::number),
        "revokedhostkeys" => Set(Key::RevokedHostKeys, argument::word),
        "sendenv" => Set(Key::SendEnv, argument::send_env),
        "serveralivecountmax" => Set(Key::ServerAliveCountMax, argument::number),
        "serveraliveinterval" => Set(Key::ServerAliveInterval, argument::time),
        "setenv" => Set(Key::SetEnv, argument::set_env),
        "stricthostkeychecking" => Set(Key::StrictHostKeyChecking, argument::policy),
        "tag" => Set(Key::Tag, argument::word),
        "user" => Set(Key::User, argument::word),
        "userknownhostsfile" => Set(Key::UserKnownHostsFile, argument::list),
        _ if IGNORED.contains(&keyword) => Ignored,
        _ => return Unused::find(keyword).map(Meaning::Unused),
    })
}

/// A row of [`UNUSED`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unused {
    pub(super) option: Missing,
    /// The arguments with which it does nothing with `ssh` either.
    off: &'static [&'static str],
}

impl Unused {
    /// The option of that keyword, in lower case.
    fn find(keyword: &str) -> Option<&'static Self> {
        let name = match keyword {
            "smartcarddevice" => "pkcs11provider",
            keyword => keyword,
        };
        let same = |unused: &&Self| unused.option.name.eq_ignore_ascii_case(name);
        UNUSED.iter().find(same)
    }

    /// Whether it would do something with this argument.
    pub(super) fn is_on(&self, argument: &str) -> bool {
        let mut off = self.off.iter();
        !off.any(|word| word.eq_ignore_ascii_case(argument))
    }
}

/// Whether an option as for `ssh -o` asks for something that only the system's `ssh` does.
#[must_use]
pub fn is_only_for_ssh(option: &str) -> bool {
    let Some((keyword, rest)) = words::keyword(option) else {
        return false;
    };
    let argument = words::split(rest).unwrap_or_default();
    let argument = argument.first().map_or("", String::as_str);
    match meaning(&keyword) {
        Some(Meaning::Unused(unused)) => unused.is_on(argument),
        // A connection that is shared with other runs of `ssh`.
        Some(Meaning::Set(Key::ControlPath, _)) => !argument.eq_ignore_ascii_case("none"),
        _ => false,
    }
}

const fn missed(name: &'static str, off: &'static [&'static str]) -> Unused {
    let is_missed = true;
    Unused {
        option: Missing { name, is_missed },
        off,
    }
}

const fn unmissed(name: &'static str, off: &'static [&'static str]) -> Unused {
    let is_missed = false;
    Unused {
        option: Missing { name, is_missed },
        off,
    }
}

/// Options that do something with `ssh` and nothing here.
static UNUSED: &[Unused] = &[
    missed("CanonicalizePermittedCNAMEs", &["none"]),
    missed("ChannelTimeout", &["none"]),
    missed("CheckHostIP", NO),
    unmissed("ControlMaster", NO),
    unmissed("ControlPersist", NO),
    missed("DynamicForward", &[]),
    missed("ForkAfterAuthentication", NO),
    missed("ForwardAgent", NO),
    missed("ForwardX11", NO),
    unmissed("ForwardX11Trusted", NO),
    unmissed("GSSAPIAuthentication", NO),
    unmissed("GSSAPIKeyExchange", NO),
    unmissed("HostbasedAuthentication", NO),
    missed("KnownHostsCommand", &["none"]),
    missed("LocalCommand", &[]),
    missed("LocalForward", &[]),
    missed("PKCS11Provider", &["none"]),
    missed("ProxyUseFdpass", NO),
    missed("RemoteCommand", &["none"]),
    missed("RemoteForward", &[]),
    missed("RequestTTY", &["no", "false", "auto"]),
    // Keys on a device are the agent's business here, and named when the agent has them not.
    unmissed("SecurityKeyProvider", &["internal"]),
    missed("SessionType", &["default"]),
    missed("StdinNull", NO),
    missed("Tunnel", NO),
    missed("VerifyHostKeyDNS", NO),
];

const NO: &[&str] = &["no", "false"];

/// Keywords of OpenSSH (9.2 to 10.x, and Debian's GSSAPI ones) that say nothing to us: details of forwarding, terminals
/// and display, what is deprecated. `UpdateHostKeys` is here because we never learn keys that nobody asked about.
const IGNORED: &[&str] = &[
    "afstokenpassing",
    "cipher",
    "compressionlevel",
    "enableescapecommandline",
    "enablesshkeysign",
    "escapechar",
    "exitonforwardfailure",
    "fallbacktorsh",
    "fingerprinthash",
    "forwardx11timeout",
    "gatewayports",
    "globalknownhostsfile2",
    "gssapiclientidentity",
    "gssapidelegatecredentials",
    "gssapikexalgorithms",
    "gssapirenewalforcesrekey",
    "gssapiserveridentity",
    "gssapitrustdns",
    "hostbasedacceptedalgorithms",
    "hostbasedkeytypes",
    "ipqos",
    "kbdinteractivedevices",
    "kerberosauthentication",
    "kerberostgtpassing",
    "logverbose",
    "noneenabled",
    "noneswitch",
    "obscurekeystroketiming",
    "permitremoteopen",
    "protocol",
    "protocolkeepalives",
    "rekeylimit",
    "rhostsauthentication",
    "rhostsrsaauthentication",
    "rsaauthentication",
    "setuptimeout",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "syslogfacility",
    "tunneldevice",
    "updatehostkeys",
    "useblacklistedkeys",
    "useprivilegedport",
    "userknownhostsfile2",
    "useroaming",
    "usersh",
    "versionaddendum",
    "visualhostkey",
    "warnweakcrypto",
    "xauthlocation",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_fit_their_tables() {
        assert!(IGNORED.is_sorted());
        assert!(
            IGNORED
                .iter()
                .all(|word| word.chars().all(|c| !c.is_ascii_uppercase()))
        );
        for unused in UNUSED {
            let keyword = unused.option.name.to_ascii_lowercase();
            assert!(
                matches!(meaning(&keyword), Some(Meaning::Unused(found)) if found == unused),
                "{keyword}"
            );
        }
    }

    #[test]
    fn what_only_ssh_does_is_known_unless_it_is_switched_off() {
        for option in [
            "ControlMaster=auto",
            "controlpath ~/.ssh/%C",
            "ForwardAgent=yes",
            "RequestTTY force",
            "LocalForward 1 a:2",
            "SmartcardDevice=/lib/p11.so",
            "GSSAPIAuthentication=yes",
        ] {
            assert!(is_only_for_ssh(option), "{option}");
        }
        for option in [
            "ControlMaster=no",
            "ControlPath=none",
            "ForwardAgent=no",
            "RequestTTY=auto",
            "Port=22",
            "Nonsense=1",
            "",
        ] {
            assert!(!is_only_for_ssh(option), "{option}");
        }
    }
}
