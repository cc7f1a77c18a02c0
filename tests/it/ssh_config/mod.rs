//! Our reading of `ssh_config` beside that of the real `ssh -G`, field by field.

mod oracle;

use std::sync::Mutex;

use hapsh::transport::ssh::user_config::{Hop, Proxy};
use proptest::prelude::*;

use oracle::{Config, Oracle};

/// Configurations that have led others astray, each with hosts to ask about.
const NASTY: &[(&str, &[&str])] = &[
    ("", &["lb1", "LB1", "10.0.0.1", "::1"]),
    (
        "Host lb*\n Port 1\nHost *\n Port 2\n User x\nHost lb1\n Port 3\n",
        &["lb1", "web"],
    ),
    (
        "Host !lb1 lb*\n Port 1\nHost * !web\n User x\n",
        &["lb1", "lb2", "web"],
    ),
    (
        "Host=lb1\nPort=1\nUser = x\n  BatchMode\tyes  \n\tCompression yes # comment\n",
        &["lb1"],
    ),
    (
        "Host \"lb1\" web\n User \"a b\"\n IdentityFile \"~/a b\"\n",
        &["lb1"],
    ),
    (
        "Host lb1 # lb2\n User a#b\nHost lb2\n User b # c\n",
        &["lb1", "lb2"],
    ),
    (
        "Host lb? 10.*\n Port 1\nHost *.com\n Port 2\n",
        &["lb1", "lb12", "10.0.0.1", "x.com"],
    ),
    (
        "HostName %h.site\nMatch host lb1\n User plain\nMatch host lb1.site\n User real\n",
        &["lb1", "LB1"],
    ),
    (
        "Match originalhost lb1\n HostName other\nMatch host other\n User a\nMatch host lb1\n User b\n",
        &["lb1"],
    ),
    (
        "Match originalhost lb1 user alice\n Port 1\nMatch originalhost lb1\n User alice\nMatch user alice\n Port 2\n",
        &["lb1"],
    ),
    (
        "Match user \"*,!root\"\n Port 1\nMatch localuser *\n Port 2\n",
        &["lb1"],
    ),
    (
        "Match !host lb1\n Port 1\nMatch all\n Port 2\nMatch !all\n User x\n",
        &["lb1", "web"],
    ),
    (
        "Match host lb1,lb2 !user x\n Port 1\nMatch host \"lb*,!lb1\"\n User y\n",
        &["lb1", "lb2"],
    ),
    (
        "Match exec \"test %h = lb1\"\n Port 1\nMatch exec \"test %n = LB1 -a %p = 22\"\n User x\n",
        &["lb1", "LB1"],
    ),
    (
        "Match host web exec \"exit 0\"\n Port 1\nMatch exec \"exit 3\"\n Port 2\nMatch !exec false\n User x\n",
        &["lb1", "web"],
    ),
    (
        "Host lb1\n HostName lb1.site\nMatch final host *.site\n Port 1\nHost lb1.site\n User x\n",
        &["lb1", "web"],
    ),
    (
        "Match canonical\n Port 1\nMatch !final\n User first\nMatch final all\n User second\n BatchMode yes\n",
        &["lb1"],
    ),
    (
        "CanonicalizeHostname yes\nMatch canonical\n Port 1\n",
        &["lb1", "a.b.c"],
    ),
    (
        "IdentityFile ~/a\nIdentityFile /b\nIdentityFile ~/a\nHost lb1\n IdentityFile none\n CertificateFile ~/c\nHost *\n CertificateFile /d\n",
        &["lb1", "web"],
    ),
    ("IdentityFile none\n", &["lb1"]),
    ("IdentityFile ~/k_%r_%h\nIdentityFile /k%%x\n", &[]),
    (
        "UserKnownHostsFile ~/k1 /k2_%h_%n_%p_%r_%u_%i_%L_%l_%d_%% ~/${SITE}_%k\nHostKeyAlias al\nHostName Real.%h\nUser bob\n",
        &["LB1"],
    ),
    ("UserKnownHostsFile /c_%C_%k\nPort 33\n", &["LB1"]),
    (
        "UserKnownHostsFile none\nGlobalKnownHostsFile /a /b\n",
        &["lb1"],
    ),
    (
        "GlobalKnownHostsFile none\nUserKnownHostsFile a#b #c\n",
        &["lb1"],
    ),
    (
        "Host lb1\n ProxyJump u@j1:3,j2\nHost *\n ProxyCommand nc x 1\nHost web\n ProxyJump j3\n",
        &["lb1", "web"],
    ),
    (
        "Host lb1\n ProxyJump none\nHost lb*\n ProxyJump j1\nHost web\n ProxyCommand none\nHost *\n ProxyJump j2 # x\n",
        &["lb1", "lb2", "web"],
    ),
    ("ProxyCommand=exec nc \"a b\" # kept\n", &["lb1"]),
    ("ProxyJump ssh://u@j1:33\n", &["lb1"]),
    (
        "SendEnv A B*\nSendEnv C\nSendEnv -B* D\nSetEnv X=1 Y=\"a b\" X=2\nSetEnv Z=3\n",
        &["lb1"],
    ),
    (
        "ConnectTimeout 1m30\nServerAliveInterval 1H\nServerAliveCountMax 7\nConnectionAttempts 2\nTCPKeepAlive no\n",
        &["lb1"],
    ),
    ("ConnectTimeout none\nServerAliveInterval 0\n", &["lb1"]),
    (
        "StrictHostKeyChecking off\nHashKnownHosts TRUE\nCheckHostIP no\nUpdateHostKeys no\n",
        &["lb1"],
    ),
    (
        "StrictHostKeyChecking accept-new\nNoHostAuthenticationForLocalhost yes\n",
        &["lb1"],
    ),
    (
        "AddressFamily INET6\nBindAddress ::1\nBindInterface lo\nRequiredRSASize 3072\nRevokedHostKeys /dev/null\n",
        &["lb1"],
    ),
    (
        "PubkeyAuthentication unbound\nPasswordAuthentication no\nChallengeResponseAuthentication no\nPreferredAuthentications publickey,password\n",
        &["lb1"],
    ),
    (
        "Ciphers ^aes128-ctr\nKexAlgorithms +diffie-hellman-group14-sha1\nMACs -umac-*\nHostKeyAlgorithms ssh-ed25519,rsa-*\nPubkeyAcceptedKeyTypes -ecdsa*,*cert*\n",
        &["lb1"],
    ),
    (
        "Ciphers aes256-ctr,aes128-ctr\nMACs ^hmac-sha2-512,hmac-sha1\nKexAlgorithms curve25519-sha256\n",
        &["lb1"],
    ),
    ("Include {DIR}/none*\nHost lb1\n Port 1\n", &["lb1"]),
    (
        "IgnoreUnknown foo*,Bar\nFooBar 1\nBAR 2\nPort 7\n",
        &["lb1"],
    ),
    (
        "LocalForward 1 a:2\nForwardAgent yes\nControlMaster auto\nControlPath ~/x%C\nRekeyLimit 1G 1h\nUser x\n",
        &["lb1"],
    ),
    ("User x\\ y\nHost lb1\n HostKeyAlias a\\\"b\n", &["lb1"]),
    ("User\u{c}\n", &["lb1"]),
    ("User x \u{c}\r\nPort 7\r\n", &["lb1"]),
    ("hOST lb1\n pORT 7\nmATCH HOST lb1\n uSER x\n", &["lb1"]),
    (
        "Match host=lb1\n Port 1\nMatch host = lb1 user=x\n User y\n",
        &["lb1"],
    ),
    // numeric addresses
    ("UserKnownHostsFile /k_%h_%n_%k_%C\n", ADDRESSES),
    (
        "Host 127.1\n Port 1\nHost 127.0.0.1\n Port 2\nMatch host 127.1\n User x\nMatch final host 127.0.0.1\n BatchMode yes\n",
        &["127.1", "127.0.0.1", "0x7f000001"],
    ),
    ("HostName 127.1\nUserKnownHostsFile /k_%h_%n_%k\n", &["lb1"]),
    (
        "HostName FE80:0::A%%lo\nUserKnownHostsFile /k_%h\n",
        &["lb1"],
    ),
    ("AddressFamily inet6\n", &["127.1", "0:0::1"]),
    ("AddressFamily inet\n", &["127.1", "0:0::1"]),
    (
        "CanonicalizeHostname yes\nCanonicalDomains site\nMatch canonical host 127.0.0.1\n Port 1\n",
        &["127.1", "fe80::1%lo"],
    ),
    // services and users
    ("Port ssh\n", &["lb1"]),
    ("Port smtp\nHost lb1\n Port 022\n", &["lb1"]),
    ("Include ~no-such-user/x\nUser bob\n", &["lb1"]),
    ("Include [x\nUser bob\n", &["lb1"]),
    // unknown keywords
    (
        "Host lb1\n IgnoreUnknown foo\nHost *\n Foo bar\n",
        &["lb1", "web"],
    ),
    ("IgnoreUnknown foo\nIgnoreUnknown bar\nBar 1\n", &["lb1"]),
    ("IgnoreUnknown f*,!foo\nFob 1\nFoo 1\n", &["lb1"]),
    (
        "Match final\n IgnoreUnknown foo\nHost *\n Foo 1\n",
        &["lb1"],
    ),
    // hops
    ("ProxyJump j1 j2\n", &["lb1"]),
    ("ProxyJump hop:\n", &["lb1"]),
    ("ProxyJump hop:ssh\n", &["lb1"]),
    ("ProxyJump u@[::1]:\n", &["lb1"]),
    ("ProxyJump x,v@[::1]:3\n", &["lb1"]),
    ("ProxyJump none,a\n", &["lb1"]),
    ("ProxyJump ssh://u%40d;x=y@j1/\n", &["lb1"]),
    ("ControlPath ~/.ssh/%C-%r@%h:%p\nPort 7\n", &["lb1"]),
    ("ControlPath none\n", &["lb1"]),
    ("UserKnownHostsFile # x\nUserKnownHostsFile /y\n", &["lb1"]),
    ("GlobalKnownHostsFile ~/x %h ${SITE}\n", &["lb1"]),
    ("HostKeyAlias AL\nUserKnownHostsFile /%k\n", &["lb1"]),
    ("Include ~\n", &["lb1"]),
    (
        "RemoteCommand \"\"\nKnownHostsCommand /x \"\" %h\n",
        &["lb1"],
    ),
    // refused by both
    ("ConnectionAttempts 0\n", &["lb1"]),
    ("ProxyJump ::1\n", &["lb1"]),
    ("ProxyJump a:%p\n", &["lb1"]),
    ("ProxyJump a, b\n", &["lb1"]),
    ("ProxyJump a,\n", &["lb1"]),
    ("ProxyJump SSH://a\n", &["lb1"]),
    ("ProxyJump a/b\n", &["lb1"]),
    ("Port ssh/tcp\n", &["lb1"]),
    ("Foo 1\nIgnoreUnknown foo\n", &["lb1"]),
    ("Foo bar\n", &["lb1"]),
    ("Host web\n Foo bar\n", &["web"]),
    ("Port 70000\n", &["lb1"]),
    ("Port\n", &["lb1"]),
    ("User \"a\n", &["lb1"]),
    ("User a b\n", &["lb1"]),
    ("BatchMode maybe\n", &["lb1"]),
    ("Match foo bar\n", &["lb1"]),
    ("Match host\n", &["lb1"]),
    ("Match all host lb1\n", &["lb1"]),
    ("ConnectTimeout 1x\n", &["lb1"]),
    ("UserKnownHostsFile none x\n", &["lb1"]),
    ("SetEnv A\n", &["lb1"]),
    ("SendEnv A=b\n", &["lb1"]),
    ("ProxyJump a:0\n", &["lb1"]),
    ("HostName %n\n", &["lb1"]),
    ("AddressFamily 6\n", &["lb1"]),
    ("IdentityFile \"\"\n", &["lb1"]),
    ("Include {DIR}/config\n", &["lb1"]),
];

/// Numeric addresses in many spellings, and what only looks like one.
const ADDRESSES: &[&str] = &[
    "0:0:0:0:0:0:0:1",
    "127.5416",
    "127.1",
    "0x7f.1",
    "0177.1",
    "2130706433",
    "1.2.3",
    "1.2.3.4.5",
    "256.1",
    "1.2.3.256",
    "1.2.65536",
    "08.1",
    "0127.0.0.1",
    "127.0.0.1.",
    "1.2.3.4",
    "1",
    "0",
    "4294967296",
    "1e1",
    "0x",
    "1.",
    ".1",
    "LO.1",
    "::FFFF:1.2.3.4",
    "::ffff:102:304",
    "2001:DB8::0:1",
    "2001:db8::1%1",
    "2001:db8::1%lo",
    "fe80::1%lo",
    "FE80:0::1%lo",
    "fe80::1%1",
    "fe80::1%01",
    "fe80::1%nope",
    "fe80::1%",
    "fe80::1%99",
    "ff02::1%1",
    "::1%1",
    "::1%lo",
    "::",
    "::1.2.3.4",
    "::127.1",
    "1:2:3:4:5:6:1.2.3.4",
    "64:ff9b::1.2.3.4",
    "1:0:0:2:0:0:0:3",
    "0:0:0:0:0:1:0:0",
    "1:0:2:3:4:5:6:7",
];

/// What one hop of a list says, in the order user, host, port.
type Named<'a> = (Option<&'a str>, &'a str, Option<u16>);

#[test]
fn jumps_have_the_tokens_and_quotes_that_ssh_takes() {
    let Some(oracle) = Oracle::find() else { return };
    let mut wrong = String::new();
    for (text, host) in [
        ("ProxyJump %r@jump\nUser bob\n", "lb1"),
        ("ProxyJump %r@%h-gw:3\nHostName Real\nUser bob\n", "lb1"),
        ("ProxyJump %n@gw-%p-%%\nPort 7\n", "LB1"),
        ("ProxyJump \"hop\"\n", "lb1"),
        ("ProxyJump \"u\"@\"hop\":3\n", "lb1"),
        ("ProxyJump 'hop'\n", "lb1"),
        ("ProxyJump hop:\n", "lb1"),
        ("ProxyJump %h@gw\n", "127.1"),
        ("ProxyJump %h@gw\n", "FE80:0::1%lo"),
        ("ProxyJump [fe80::1%%lo]:3\n", "lb1"),
        (
            "ProxyJump x@%h-1:1,%r@j-%n:2\nUser bob\nHostName real\n",
            "lb1",
        ),
        ("ProxyJump a-%h,%r@b-%p,c\nUser bob\n", "lb1"),
    ] {
        let config = Config::new(text, &[]);
        let words = oracle.jump(&config, host).expect("ssh runs the jump");
        let after = |option: &str| {
            let at = words.iter().position(|word| word == option)?;
            words.get(at + 1).cloned()
        };
        let port = after("-p").map(|port| port.parse().expect("a port"));
        let last = words.last().expect("a host");
        let user = after("-l");
        let theirs: Named<'_> = (user.as_deref(), last, port);
        let settings = oracle.settings(&config, host).expect("settings");
        let Proxy::Jump(hops) = &settings.proxy else {
            panic!("{text}: {:?}", settings.proxy)
        };
        let (hop, before) = hops.split_last().expect("a hop");
        let ours: Named<'_> = (hop.user.as_deref(), &hop.host, hop.port);
        // The hops before are for the one at the end to read, tokens replaced.
        let shown = |hop: &Hop| {
            let user = hop.user.as_ref().map(|user| format!("{user}@"));
            let port = hop.port.map(|port| format!(":{port}"));
            let (user, port) = (user.unwrap_or_default(), port.unwrap_or_default());
            format!("{user}{}{port}", hop.host)
        };
        let before: Vec<String> = before.iter().map(shown).collect();
        if ours != theirs || before.join(",") != after("-J").unwrap_or_default() {
            wrong.push_str(&format!("{text}: ours {hops:?}, ssh {words:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    // A token that is not known is found when the hop is needed.
    for text in ["ProxyJump %x@a\n", "ProxyJump a%l,b\n"] {
        let config = Config::new(text, &[]);
        assert_eq!(oracle.jump(&config, "lb1"), None, "{text}");
        assert!(oracle.settings(&config, "lb1").is_err(), "{text}");
    }
}

/// Here we differ: `ssh` refuses all hosts for a line that is for one.
#[test]
fn a_bad_line_in_a_block_for_another_host_stops_nobody() {
    let Some(oracle) = Oracle::find() else { return };
    for line in [
        "Foo bar",
        "Port x",
        "ProxyJump a:0",
        "BatchMode maybe",
        "User",
        "User \"a",
        "ConnectTimeout 1x",
        "Include {DIR}/config",
    ] {
        let text = format!("Host web\n {line}\nHost *\n Port 7\n");
        let config = Config::new(&text, &[]);
        assert!(oracle.settings(&config, "web").is_err(), "{line}");
        assert_eq!(oracle.settings(&config, "lb1").unwrap().port, 7, "{line}");
        assert!(oracle.ask(&config.file, &[], "lb1").is_none(), "{line}");
    }
}

#[test]
fn nasty_configurations_mean_what_ssh_takes_them_for() {
    let Some(oracle) = Oracle::find() else { return };
    let mut wrong = String::new();
    for (text, hosts) in NASTY {
        let config = Config::new(text, &[]);
        for host in *hosts {
            if let Err(difference) = oracle.compare(&config, host) {
                wrong.push_str(&format!("{difference}\n---\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn users_and_ports_of_destinations_come_behind_options_and_before_files() {
    let Some(oracle) = Oracle::find() else { return };
    let text =
        "Host web1\n User file\n Port 5\nMatch user root\n UserKnownHostsFile /root_%r_%h_%n_%p\n";
    let mut wrong = String::new();
    for options in [&[][..], &["User=option"], &["Port=7"]] {
        let config = Config::new(text, options);
        for host in [
            "web1",
            "root@web1",
            "a@b@web1",
            "root@WEB1",
            "ssh://web1",
            "ssh://root@web1:22/",
            "ssh://r%40d@other:2222",
            "ssh://r;x=y@web1",
            "root@fe80::1%lo",
            "web1:22",
        ] {
            if let Err(difference) = oracle.compare(&config, host) {
                wrong.push_str(&format!("{difference}\n---\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn options_of_the_command_line_come_first() {
    let Some(oracle) = Oracle::find() else { return };
    for options in [
        &["Port=7", "User = x", "port 9"][..],
        &["ProxyJump=j1"],
        &["IdentityFile=/o", "SendEnv=Z", "SetEnv=A=1"],
        &["Port"],
        &["Host=x"],
        &["Foo=1"],
        &["IgnoreUnknown=foo", "Foo=1"],
        &["Ciphers=+aes128-cbc", "StrictHostKeyChecking=no"],
    ] {
        let text = "User y\nPort 1\nProxyCommand nc %h\nIdentityFile /f\nSendEnv A\nSetEnv B=2\n";
        let text = text.replace(" %h", "");
        let config = Config::new(&text, options);
        oracle
            .compare(&config, "lb1")
            .unwrap_or_else(|difference| panic!("{difference}"));
    }
}

#[test]
fn included_files_are_part_of_the_block_they_stand_in() {
    let Some(oracle) = Oracle::find() else { return };
    let config = Config::new(
        "Host lb1\n Include {DIR}/a/*.conf {DIR}/b\n User late\nHost *\n Include \"{DIR}/with space/[c]*\"\n Port 9\n",
        &[],
    );
    config.write(
        "a/1.conf",
        "Port 1\nHost lb2\n User two\nHost *\n BatchMode yes\nMatch final\n Compression yes\n",
    );
    config.write("a/2.conf", "User one\nHost web\n Port 5\n");
    config.write("a/.3.conf", "Nonsense\n");
    config.write("b", "HostName lb1.site\nHost lb*\n IdentityFile /b\n");
    config.write("with space/c", "ServerAliveInterval 3\n");
    for host in ["lb1", "lb2", "web"] {
        oracle
            .compare(&config, host)
            .unwrap_or_else(|difference| panic!("{difference}"));
    }
}

/// Lines of the vocabulary that make no sense.
const BAD: &[&str] = &["Foo bar", "UserKnownHostsFile ~/k none"];

/// Lines out of a small vocabulary, so that blocks meet hosts and keywords meet each other.
fn line() -> impl Strategy<Value = String> {
    let pattern = prop::sample::select(vec![
        "lb1", "lb2", "lb*", "*", "!lb2", "web.site", "*.site", "?b1", "LB1", "10.0.0.1",
    ]);
    let list = prop::collection::vec(pattern.clone(), 1..3).prop_map(|list| list.join(","));
    let host =
        prop::collection::vec(pattern, 1..4).prop_map(|list| format!("Host {}", list.join(" ")));
    let criterion = (
        prop::sample::select(vec![
            "host",
            "originalhost",
            "user",
            "!host",
            "!user",
            "localuser",
        ]),
        list,
    )
        .prop_map(|(name, list)| format!("{name} {list}"));
    let alone = prop::sample::select(vec![
        "all".to_owned(),
        "final".to_owned(),
        "canonical".to_owned(),
        "final all".to_owned(),
        "!canonical".to_owned(),
        "exec \"test %h = lb1\"".to_owned(),
        "!exec \"test %r = lb1\"".to_owned(),
    ]);
    let criteria = prop_oneof![
        3 => prop::collection::vec(criterion.clone(), 1..3).prop_map(|all| all.join(" ")),
        1 => alone,
        1 => criterion.prop_map(|one| format!("final {one}")),
    ];
    let setting = prop::sample::select(vec![
        "User lb1",
        "User web.site",
        "User=x",
        "Port 7",
        "Port 8",
        "HostName %h.site",
        "HostName 10.0.0.1",
        "HostName LB2",
        "IdentityFile ~/a",
        "IdentityFile /b",
        "IdentityFile none",
        "CertificateFile /c",
        "ProxyJump j1,u@j2:3",
        "ProxyJump none",
        "ProxyCommand nc a 1",
        "ProxyCommand none",
        "SendEnv A B",
        "SendEnv -A",
        "SetEnv A=1",
        "SetEnv B=2 C=3",
        "UserKnownHostsFile /k_%h_%r_%p_%n_%k",
        "HostKeyAlias al",
        "UserKnownHostsFile ~/k none",
        "GlobalKnownHostsFile none",
        "Ciphers +aes128-cbc",
        "Ciphers ^aes128-ctr",
        "MACs -hmac*",
        "BatchMode yes",
        "BatchMode no",
        "Compression yes",
        "ConnectTimeout 2m",
        "StrictHostKeyChecking accept-new",
        "StrictHostKeyChecking no",
        "CanonicalizeHostname yes",
        "IdentitiesOnly yes",
        "ServerAliveInterval 5",
        "AddressFamily inet",
        "Foo bar",
        "IgnoreUnknown foo",
        "ForwardAgent yes",
        "# comment",
        "",
    ])
    .prop_map(|text| format!(" {text}"));
    prop_oneof![
        2 => host,
        2 => criteria.prop_map(|criteria| format!("Match {criteria}")),
        7 => setting,
    ]
}

/// Compared in parallel with other properties of this file, but one `ssh` at a time is enough.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_configurations_mean_what_ssh_takes_them_for(
        lines in prop::collection::vec(line(), 0..14),
        host in prop::sample::select(vec!["lb1", "lb2", "LB1", "web.site", "10.0.0.1"]),
    ) {
        let Some(oracle) = Oracle::find() else { return Ok(()) };
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let config = Config::new(&lines.join("\n"), &[]);
        let Err(difference) = oracle.compare(&config, host) else { return Ok(()) };
        // `ssh` refuses all hosts for a bad line, we those of its block. With something harmless in place of the bad
        // lines, which shows whom they were for, it must think as we do.
        prop_assume!(!lines.iter().any(|line| line.contains("Ignore")));
        let is_bad = |line: &&String| BAD.contains(&line.trim());
        prop_assert!(lines.iter().any(|line| is_bad(&line)), "{}", difference);
        let harmless = |line: &String| match is_bad(&line) {
            true => " SendEnv HARMLESS".to_owned(),
            false => line.clone(),
        };
        let harmless = Config::new(&lines.iter().map(harmless).collect::<Vec<_>>().join("\n"), &[]);
        let (fields, _) = oracle.ask(&harmless.file, &[], host).expect("nothing is bad any more");
        let is_for_host = fields.get("sendenv").is_some_and(|names| names.iter().any(|name| name == "HARMLESS"));
        prop_assert_eq!(oracle.settings(&config, host).is_err(), is_for_host, "{}", difference);
    }
}
