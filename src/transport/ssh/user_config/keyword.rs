//! The keywords of `ssh_config`: which we obey, how their arguments are read, which we know and pass over.

use std::time::Duration;

use super::algorithms::AlgorithmList;
use super::settings::{AddressFamily, Hop, HostKeyPolicy, Proxy};
use super::words;

/// A keyword we obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
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
    Compression,
    ConnectTimeout,
    ConnectionAttempts,
    GlobalKnownHostsFile,
    HashKnownHosts,
    HostKeyAlgorithms,
    HostKeyAlias,
    HostName,
    IdentitiesOnly,
    IdentityAgent,
    IdentityFile,
    KbdInteractiveAuthentication,
    KexAlgorithms,
    LogLevel,
    Macs,
    NoHostAuthenticationForLocalhost,
    NumberOfPasswordPrompts,
    PasswordAuthentication,
    Port,
    PreferredAuthentications,
    ProxyCommand,
    ProxyJump,
    PubkeyAcceptedAlgorithms,
    PubkeyAuthentication,
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

/// What a line's keyword means.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    Host,
    Match,
    Include,
    IgnoreUnknown,
    /// Known to `ssh`, of no use to us.
    Ignored,
    Set(Key, fn(&str) -> Result<Value, String>),
}

/// Looks a keyword (in lower case) up; `None` when `ssh` does not know it either.
pub(super) fn meaning(keyword: &str) -> Option<Meaning> {
    use Meaning::{Host, Ignored, Include, Match, Set};
    Some(match keyword {
        "host" => Host,
        "match" => Match,
        "include" => Include,
        "ignoreunknown" => Meaning::IgnoreUnknown,
        "addressfamily" => Set(Key::AddressFamily, family),
        "batchmode" => Set(Key::BatchMode, flag),
        "bindaddress" => Set(Key::BindAddress, word),
        "bindinterface" => Set(Key::BindInterface, word),
        "casignaturealgorithms" => Set(Key::CaSignatureAlgorithms, algorithms),
        "canonicaldomains" => Set(Key::CanonicalDomains, list),
        "canonicalizefallbacklocal" => Set(Key::CanonicalizeFallbackLocal, flag),
        "canonicalizehostname" => Set(Key::CanonicalizeHostname, canonicalize),
        "canonicalizemaxdots" => Set(Key::CanonicalizeMaxDots, number),
        "certificatefile" => Set(Key::CertificateFile, word),
        "challengeresponseauthentication"
        | "kbdinteractiveauthentication"
        | "skeyauthentication"
        | "tisauthentication" => Set(Key::KbdInteractiveAuthentication, flag),
        "ciphers" => Set(Key::Ciphers, algorithms),
        "compression" => Set(Key::Compression, flag),
        "connectionattempts" => Set(Key::ConnectionAttempts, number),
        "connecttimeout" => Set(Key::ConnectTimeout, time),
        "globalknownhostsfile" => Set(Key::GlobalKnownHostsFile, list),
        "hashknownhosts" => Set(Key::HashKnownHosts, flag),
        "hostkeyalgorithms" => Set(Key::HostKeyAlgorithms, algorithms),
        "hostkeyalias" => Set(Key::HostKeyAlias, word),
        "hostname" => Set(Key::HostName, word),
        "identitiesonly" => Set(Key::IdentitiesOnly, flag),
        "identityagent" => Set(Key::IdentityAgent, word),
        "identityfile" | "identityfile2" => Set(Key::IdentityFile, word),
        "keepalive" | "tcpkeepalive" => Set(Key::TcpKeepAlive, flag),
        "kexalgorithms" => Set(Key::KexAlgorithms, algorithms),
        "loglevel" => Set(Key::LogLevel, log_level),
        "macs" => Set(Key::Macs, algorithms),
        "nohostauthenticationforlocalhost" => Set(Key::NoHostAuthenticationForLocalhost, flag),
        "numberofpasswordprompts" => Set(Key::NumberOfPasswordPrompts, number),
        "passwordauthentication" => Set(Key::PasswordAuthentication, flag),
        "port" => Set(Key::Port, port),
        "preferredauthentications" => Set(Key::PreferredAuthentications, word),
        "proxycommand" => Set(Key::ProxyCommand, command),
        "proxyjump" => Set(Key::ProxyJump, jump),
        "pubkeyacceptedalgorithms" | "pubkeyacceptedkeytypes" => {
            Set(Key::PubkeyAcceptedAlgorithms, algorithms)
        }
        "dsaauthentication" | "pubkeyauthentication" => Set(Key::PubkeyAuthentication, pubkey),
        "requiredrsasize" => Set(Key::RequiredRsaSize, number),
        "revokedhostkeys" => Set(Key::RevokedHostKeys, word),
        "sendenv" => Set(Key::SendEnv, send_env),
        "serveralivecountmax" => Set(Key::ServerAliveCountMax, number),
        "serveraliveinterval" => Set(Key::ServerAliveInterval, time),
        "setenv" => Set(Key::SetEnv, set_env),
        "stricthostkeychecking" => Set(Key::StrictHostKeyChecking, policy),
        "tag" => Set(Key::Tag, word),
        "user" => Set(Key::User, word),
        "userknownhostsfile" => Set(Key::UserKnownHostsFile, list),
        _ if IGNORED.contains(&keyword) => Ignored,
        _ => return None,
    })
}

/// Keywords of OpenSSH (9.2 to 10.x, and Debian's GSSAPI ones) that say nothing to us: forwarding, terminals,
/// multiplexing, what is deprecated. `UpdateHostKeys` is here because we never learn keys a user did
/// not ask about, `CheckHostIP` because addresses say nothing in a fleet (and are not checked by `ssh` since 8.5).
const IGNORED: &[&str] = &[
    "addkeystoagent",
    "afstokenpassing",
    "canonicalizepermittedcnames",
    "channeltimeout",
    "checkhostip",
    "cipher",
    "clearallforwardings",
    "compressionlevel",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "enableescapecommandline",
    "enablesshkeysign",
    "escapechar",
    "exitonforwardfailure",
    "fallbacktorsh",
    "fingerprinthash",
    "forkafterauthentication",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "globalknownhostsfile2",
    "gssapiauthentication",
    "gssapiclientidentity",
    "gssapidelegatecredentials",
    "gssapikexalgorithms",
    "gssapikeyexchange",
    "gssapirenewalforcesrekey",
    "gssapiserveridentity",
    "gssapitrustdns",
    "hostbasedacceptedalgorithms",
    "hostbasedauthentication",
    "hostbasedkeytypes",
    "ipqos",
    "kbdinteractivedevices",
    "kerberosauthentication",
    "kerberostgtpassing",
    "knownhostscommand",
    "localcommand",
    "localforward",
    "logverbose",
    "noneenabled",
    "noneswitch",
    "obscurekeystroketiming",
    "permitlocalcommand",
    "permitremoteopen",
    "pkcs11provider",
    "protocol",
    "protocolkeepalives",
    "proxyusefdpass",
    "refuseconnection",
    "rekeylimit",
    "remotecommand",
    "remoteforward",
    "requesttty",
    "rhostsauthentication",
    "rhostsrsaauthentication",
    "rsaauthentication",
    "securitykeyprovider",
    "sessiontype",
    "setuptimeout",
    "smartcarddevice",
    "stdinnull",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "syslogfacility",
    "tunnel",
    "tunneldevice",
    "updatehostkeys",
    "useblacklistedkeys",
    "useprivilegedport",
    "userknownhostsfile2",
    "useroaming",
    "usersh",
    "verifyhostkeydns",
    "versionaddendum",
    "visualhostkey",
    "warnweakcrypto",
    "xauthlocation",
];

fn words(text: &str) -> Result<Vec<String>, String> {
    let words = words::split(text).ok_or("a quote is not closed")?;
    if words.iter().any(String::is_empty) {
        return Err("an argument is empty".to_owned());
    }
    Ok(words)
}

/// The one argument most keywords take.
pub(super) fn one(text: &str) -> Result<String, String> {
    let mut words = words(text)?.into_iter();
    match (words.next(), words.next()) {
        (Some(word), None) => Ok(word),
        (None, _) => Err("the argument is missing".to_owned()),
        (_, Some(extra)) => Err(format!("expected one argument, found also `{extra}`")),
    }
}

/// An argument out of a table, whatever its case.
fn choice<T: Copy>(text: &str, table: &[(&str, T)]) -> Result<T, String> {
    let word = one(text)?;
    let found = table
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(&word));
    found.map(|&(_, value)| value).ok_or_else(|| {
        let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
        format!("`{word}` is not one of {}", names.join(", "))
    })
}

fn word(text: &str) -> Result<Value, String> {
    one(text).map(Value::Word)
}

fn flag(text: &str) -> Result<Value, String> {
    let table = [
        ("yes", true),
        ("no", false),
        ("true", true),
        ("false", false),
    ];
    choice(text, &table).map(Value::Flag)
}

/// A flag with two more ways to say yes, which differ only in a restriction of agent forwarding.
fn pubkey(text: &str) -> Result<Value, String> {
    let table = [
        ("yes", true),
        ("no", false),
        ("true", true),
        ("false", false),
        ("unbound", true),
        ("host-bound", true),
    ];
    choice(text, &table).map(Value::Flag)
}

fn family(text: &str) -> Result<Value, String> {
    let table = [
        ("any", AddressFamily::Any),
        ("inet", AddressFamily::Inet),
        ("inet6", AddressFamily::Inet6),
    ];
    choice(text, &table).map(Value::Family)
}

fn policy(text: &str) -> Result<Value, String> {
    let table = [
        ("yes", HostKeyPolicy::Strict),
        ("true", HostKeyPolicy::Strict),
        ("ask", HostKeyPolicy::Ask),
        ("accept-new", HostKeyPolicy::AcceptNew),
        ("no", HostKeyPolicy::Off),
        ("false", HostKeyPolicy::Off),
        ("off", HostKeyPolicy::Off),
    ];
    choice(text, &table).map(Value::Policy)
}

fn canonicalize(text: &str) -> Result<Value, String> {
    let table = [
        ("yes", Canonicalize::Direct),
        ("true", Canonicalize::Direct),
        ("no", Canonicalize::No),
        ("false", Canonicalize::No),
        ("always", Canonicalize::Always),
    ];
    choice(text, &table).map(Value::Canonicalize)
}

/// `QUIET` and above say less than a normal run does; the value is whether warnings are wanted.
fn log_level(text: &str) -> Result<Value, String> {
    let table = [
        ("quiet", false),
        ("fatal", false),
        ("error", false),
        ("silent", false),
        ("info", true),
        ("verbose", true),
        ("debug", true),
        ("debug1", true),
        ("debug2", true),
        ("debug3", true),
    ];
    choice(text, &table).map(Value::Flag)
}

fn number(text: &str) -> Result<Value, String> {
    let word = one(text)?;
    let number = word
        .parse()
        .ok()
        .filter(|&number| number <= i32::MAX as u32);
    number
        .map(Value::Number)
        .ok_or_else(|| format!("`{word}` is not a number"))
}

fn port(text: &str) -> Result<Value, String> {
    let word = one(text)?;
    parse_port(&word)
        .map(Value::Port)
        .ok_or_else(|| format!("`{word}` is not a port; expected 1 to 65535"))
}

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|&port| port != 0)
}

fn time(text: &str) -> Result<Value, String> {
    let word = one(text)?;
    if word == "none" {
        return Ok(Value::Time(None));
    }
    seconds(&word)
        .map(|seconds| Value::Time(Some(Duration::from_secs(seconds))))
        .ok_or_else(|| format!("`{word}` is not a time; expected seconds, or such as 1m30s"))
}

/// A time as in sshd_config(5), TIME FORMATS: `90`, `1m30s`, `2h`, `1w`.
fn seconds(text: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().ok()?;
        let mut letters = rest[digits..].chars();
        let unit = match letters.next() {
            None | Some('s' | 'S') => 1,
            Some('m' | 'M') => 60,
            Some('h' | 'H') => 3600,
            Some('d' | 'D') => 86_400,
            Some('w' | 'W') => 604_800,
            Some(_) => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = letters.as_str();
    }
    (!text.is_empty() && total <= i32::MAX as u64).then_some(total)
}

fn algorithms(text: &str) -> Result<Value, String> {
    one(text).map(|word| Value::Algorithms(AlgorithmList::parse(&word)))
}

/// Several words, or `none` alone.
fn list(text: &str) -> Result<Value, String> {
    let words = words(text)?;
    if words.is_empty() {
        return Err("the argument is missing".to_owned());
    }
    if words.len() > 1 && words.iter().any(|word| word.eq_ignore_ascii_case("none")) {
        return Err("`none` must stand alone".to_owned());
    }
    Ok(Value::Words(words))
}

fn send_env(text: &str) -> Result<Value, String> {
    let words = words(text)?;
    match words.iter().find(|word| word.contains('=')) {
        Some(word) => Err(format!("`{word}` is not a name of an environment variable")),
        None => Ok(Value::Words(words)),
    }
}

fn set_env(text: &str) -> Result<Value, String> {
    let words = words(text)?;
    match words.iter().find(|word| !word.contains('=')) {
        Some(word) => Err(format!("`{word}` is not of the form NAME=VALUE")),
        None => Ok(Value::Words(words)),
    }
}

/// The rest of the line as it stands, for the user's shell.
fn command(text: &str) -> Result<Value, String> {
    let command = text.trim_start_matches([' ', '\t', '=']);
    if command.is_empty() {
        return Err("the command is missing".to_owned());
    }
    let proxy = if command.eq_ignore_ascii_case("none") {
        Proxy::Direct
    } else {
        Proxy::Command(command.to_owned())
    };
    Ok(Value::Proxy(proxy, String::new()))
}

fn jump(text: &str) -> Result<Value, String> {
    let text = text.trim_start_matches([' ', '\t', '=']);
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    let text = text.trim_end();
    if text.eq_ignore_ascii_case("none") {
        return Ok(Value::Proxy(Proxy::Direct, String::new()));
    }
    let hops = text
        .split(',')
        .map(|hop| {
            parse_hop(hop)
                .ok_or_else(|| format!("`{hop}` is not a jump host; expected [USER@]HOST[:PORT]"))
        })
        .collect::<Result<_, _>>()?;
    Ok(Value::Proxy(Proxy::Jump(hops), text.to_owned()))
}

/// `[user@]host[:port]`, an IPv6 address in brackets, or the same behind `ssh://`.
fn parse_hop(text: &str) -> Option<Hop> {
    let text = match text.split_at_checked("ssh://".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ssh://") => {
            rest.strip_suffix('/').unwrap_or(rest)
        }
        _ => text,
    };
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (
            Some(user.to_owned())
                .filter(|user| !user.is_empty())?
                .into(),
            rest,
        ),
        None => (None, text),
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(inside) => {
            let (host, behind) = inside.split_once(']')?;
            let port = match behind.strip_prefix(':') {
                Some(port) => Some(parse_port(port)?),
                None if behind.is_empty() => None,
                None => return None,
            };
            (host, port)
        }
        None => match rest.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(parse_port(port)?)),
            // More than one colon: an address without a port.
            _ => (rest, None),
        },
    };
    if host.is_empty() || host.starts_with('-') || host.contains(char::is_whitespace) {
        return None;
    }
    Some(Hop {
        user,
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, expected) in [
            ("90", Some(90)),
            ("1m30", Some(90)),
            ("1h", Some(3600)),
            ("2w1D", Some(1_296_000)),
            ("", None),
            ("m", None),
            ("1x", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("3551w", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn hops_have_users_ports_and_addresses() {
        let hop =
            |text| parse_hop(text).map(|hop| format!("{:?} {} {:?}", hop.user, hop.host, hop.port));
        for (text, expected) in [
            ("b", "None b None"),
            ("u@b:3", "Some(\"u\") b Some(3)"),
            ("u@d@b", "Some(\"u@d\") b None"),
            ("[::1]:22", "None ::1 Some(22)"),
            ("fe80::1", "None fe80::1 None"),
            ("ssh://u@b:3/", "Some(\"u\") b Some(3)"),
        ] {
            assert_eq!(hop(text).as_deref(), Some(expected), "{text}");
        }
        for wrong in ["", "@b", "b:0", "b:x", "[::1", "[::1]x", "-oX"] {
            assert_eq!(hop(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn keys_fit_their_table() {
        assert!(IGNORED.is_sorted());
        assert!(
            IGNORED
                .iter()
                .all(|word| word.chars().all(|c| !c.is_ascii_uppercase()))
        );
    }
}
