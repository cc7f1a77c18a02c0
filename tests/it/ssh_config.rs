//! Our reading of `ssh_config` beside that of the real `ssh -G`, field by field.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use hapsh::destination::Destination;
use hapsh::transport::ssh::user_config::{
    AddressFamily, AlgorithmList, ConfigFile, Facts, Given, HostKeyPolicy, HostSettings, Options,
    Proxy, UserConfig,
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::lab::{find_program, skip};

/// Field by name, values in the order that `ssh -G` has them.
type Fields = BTreeMap<String, Vec<String>>;

/// The real thing: what `ssh -G` says, or its complaint.
struct Oracle {
    ssh: PathBuf,
    facts: Facts,
    /// By field: the default names and all names, as this `ssh` has them.
    algorithms: HashMap<&'static str, (Vec<String>, Vec<String>)>,
}

/// Fields with algorithms, and what `ssh -Q` calls all of them.
const ALGORITHMS: [(&str, &str); 5] = [
    ("kexalgorithms", "kex"),
    ("ciphers", "cipher"),
    ("macs", "mac"),
    ("hostkeyalgorithms", "HostKeyAlgorithms"),
    ("pubkeyacceptedalgorithms", "PubkeyAcceptedAlgorithms"),
];

/// Every field that we compare.
const FIELDS: &[&str] = &[
    "addressfamily",
    "batchmode",
    "bindaddress",
    "bindinterface",
    "certificatefile",
    "ciphers",
    "compression",
    "connectionattempts",
    "connecttimeout",
    "globalknownhostsfile",
    "hashknownhosts",
    "hostkeyalgorithms",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityfile",
    "kbdinteractiveauthentication",
    "kexalgorithms",
    "macs",
    "nohostauthenticationforlocalhost",
    "numberofpasswordprompts",
    "passwordauthentication",
    "port",
    "preferredauthentications",
    "proxycommand",
    "proxyjump",
    "pubkeyacceptedalgorithms",
    "pubkeyauthentication",
    "requiredrsasize",
    "revokedhostkeys",
    "sendenv",
    "serveralivecountmax",
    "serveraliveinterval",
    "setenv",
    "stricthostkeychecking",
    "tcpkeepalive",
    "user",
    "userknownhostsfile",
];

/// Environment of the tests, so that `${NAME}` means the same to both.
const ENVIRONMENT: [(&str, &str); 2] = [("SITE", "north"), ("EMPTY", "")];

impl Oracle {
    /// `None` when there is no `ssh` and the test is to be left out.
    fn find() -> Option<&'static Self> {
        static ORACLE: OnceLock<Option<Oracle>> = OnceLock::new();
        let oracle = ORACLE.get_or_init(|| {
            let ssh = find_program("ssh", "SSH")?;
            let environment = ENVIRONMENT.map(|(name, value)| (name.into(), value.into()));
            let mut facts = Facts::read(environment.clone()).ok().or_else(|| {
                let home = ("HOME".into(), std::env::var_os("HOME")?);
                let user = ("USER".into(), std::env::var_os("USER")?);
                Facts::read(environment.into_iter().chain([home, user])).ok()
            })?;
            facts.resolves = |_| false;
            let mut oracle = Self {
                ssh,
                facts,
                algorithms: HashMap::new(),
            };
            let (defaults, _) = oracle.ask(Path::new("none"), &[], "x")?;
            for (field, query) in ALGORITHMS {
                let all = oracle.run(&["-Q", query])?;
                let all = all.split_whitespace().map(str::to_owned).collect();
                let default = defaults[field][0].split(',').map(str::to_owned).collect();
                oracle.algorithms.insert(field, (default, all));
            }
            Some(oracle)
        });
        if oracle.is_none() {
            skip("there is no ssh to compare with");
        }
        oracle.as_ref()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.ssh);
        command
            .env_clear()
            .envs(ENVIRONMENT)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Option<String> {
        let output = self.command().args(words).output().ok()?;
        String::from_utf8(output.stdout).ok()
    }

    /// What `ssh -G` prints, or `None` when it refuses; and its words on stderr.
    fn ask(&self, config: &Path, options: &[String], host: &str) -> Option<(Fields, String)> {
        let mut command = self.command();
        command.arg("-G").arg("-F").arg(config);
        for option in options {
            command.arg("-o").arg(option);
        }
        let output = command.arg("--").arg(host).output().expect("ssh runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return None;
        }
        let mut fields = Fields::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            let values = fields.entry(name.to_owned()).or_default();
            values.push(value.to_owned());
        }
        Some((fields, said))
    }

    /// The fields we compare, in one spelling.
    fn normal(&self, mut fields: Fields, ours: &HostSettings) -> Fields {
        fields.retain(|name, _| FIELDS.contains(&name.as_str()));
        let home = self.facts.home.to_string_lossy();
        for name in ["identityfile", "certificatefile", "revokedhostkeys"] {
            if let Some(values) = fields.get_mut(name) {
                values.retain(|value| !value.eq_ignore_ascii_case("none"));
                for value in values.iter_mut() {
                    if let Some(rest) = value.strip_prefix("~/") {
                        *value = format!("{home}/{rest}");
                    }
                }
                values.dedup();
            }
        }
        if !ours.auth.identity_files_named {
            fields.remove("identityfile");
        }
        let replace = |fields: &mut Fields, name: &str, from: &str, to: &str| {
            for value in fields.get_mut(name).into_iter().flatten() {
                if value == from {
                    to.clone_into(value);
                }
            }
        };
        replace(&mut fields, "connecttimeout", "none", "0");
        for name in ["userknownhostsfile", "globalknownhostsfile"] {
            replace(&mut fields, name, "none", "");
        }
        for (from, to) in [
            ("true", "yes"),
            ("false", "no"),
            ("unbound", "yes"),
            ("host-bound", "yes"),
        ] {
            for name in ["pubkeyauthentication", "stricthostkeychecking"] {
                replace(&mut fields, name, from, to);
            }
        }
        if let Some(names) = fields.get_mut("sendenv") {
            let mut unique = Vec::new();
            for name in names.drain(..) {
                if !unique.contains(&name) {
                    unique.push(name);
                }
            }
            *names = unique;
        }
        // Debian's `ssh` asks every five minutes under BatchMode; we have a default of our own for everybody.
        if ours.auth.batch && ours.server_alive_interval.is_none() {
            replace(&mut fields, "serveraliveinterval", "300", "0");
        }
        fields.retain(|_, values| !values.is_empty());
        fields
    }

    /// Our settings in the words of `ssh -G`.
    fn ours(&self, settings: &HostSettings) -> Fields {
        let mut fields = Fields::new();
        let mut set = |name: &str, values: Vec<String>| {
            assert!(FIELDS.contains(&name), "{name}");
            if !values.is_empty() {
                fields.insert(name.to_owned(), values);
            }
        };
        let yes = |flag: bool| vec![if flag { "yes" } else { "no" }.to_owned()];
        let option = |value: &Option<String>| value.iter().cloned().collect::<Vec<_>>();
        let paths = |paths: &[PathBuf]| -> Vec<String> {
            paths
                .iter()
                .map(|path| path.display().to_string())
                .collect()
        };
        let seconds = |time: Option<std::time::Duration>| {
            vec![time.unwrap_or_default().as_secs().to_string()]
        };
        let HostSettings {
            host_keys, auth, ..
        } = settings;
        set(
            "addressfamily",
            vec![
                match settings.address_family {
                    AddressFamily::Any => "any",
                    AddressFamily::Inet => "inet",
                    AddressFamily::Inet6 => "inet6",
                }
                .to_owned(),
            ],
        );
        set("batchmode", yes(auth.batch));
        set("bindaddress", option(&settings.bind_address));
        set("bindinterface", option(&settings.bind_interface));
        set("certificatefile", paths(&auth.certificate_files));
        set("compression", yes(settings.compression));
        set(
            "connectionattempts",
            vec![settings.connection_attempts.to_string()],
        );
        set("connecttimeout", seconds(settings.connect_timeout));
        set(
            "globalknownhostsfile",
            vec![paths(&host_keys.global_files).join(" ")],
        );
        set("hashknownhosts", yes(host_keys.hash_names));
        set("hostkeyalias", option(&host_keys.alias));
        set("hostname", vec![settings.host.clone()]);
        set("identitiesonly", yes(auth.identities_only));
        if auth.identity_files_named {
            set("identityfile", paths(&auth.identity_files));
        }
        set(
            "kbdinteractiveauthentication",
            yes(auth.keyboard_interactive),
        );
        set(
            "nohostauthenticationforlocalhost",
            yes(host_keys.trust_loopback),
        );
        set(
            "numberofpasswordprompts",
            vec![auth.password_prompts.to_string()],
        );
        set("passwordauthentication", yes(auth.password));
        set("port", vec![settings.port.to_string()]);
        set(
            "preferredauthentications",
            auth.preferred
                .iter()
                .map(|methods| methods.join(","))
                .collect(),
        );
        match &settings.proxy {
            Proxy::Direct => {}
            Proxy::Command(command) => set("proxycommand", vec![command.clone()]),
            Proxy::Jump(hops) => {
                let hops: Vec<String> = hops
                    .iter()
                    .map(|hop| {
                        let user = hop.user.as_ref().map(|user| format!("{user}@"));
                        let port = hop.port.map(|port| format!(":{port}"));
                        let (user, port) = (user.unwrap_or_default(), port.unwrap_or_default());
                        format!("{user}{}{port}", hop.host)
                    })
                    .collect();
                set("proxyjump", vec![hops.join(",")]);
            }
        }
        set("pubkeyauthentication", yes(auth.public_key));
        set(
            "requiredrsasize",
            vec![settings.required_rsa_size.to_string()],
        );
        set(
            "revokedhostkeys",
            host_keys
                .revoked_file
                .iter()
                .map(|file| file.display().to_string())
                .collect(),
        );
        set("sendenv", settings.send_env.clone());
        set(
            "serveralivecountmax",
            vec![settings.server_alive_count_max.to_string()],
        );
        set(
            "serveraliveinterval",
            seconds(settings.server_alive_interval),
        );
        set(
            "setenv",
            settings
                .set_env
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        );
        set(
            "stricthostkeychecking",
            vec![
                match host_keys.policy {
                    HostKeyPolicy::Strict => "yes",
                    HostKeyPolicy::Ask => "ask",
                    HostKeyPolicy::AcceptNew => "accept-new",
                    HostKeyPolicy::Off => "no",
                }
                .to_owned(),
            ],
        );
        set("tcpkeepalive", yes(settings.tcp_keep_alive));
        set("user", vec![settings.user.clone()]);
        set(
            "userknownhostsfile",
            vec![paths(&host_keys.user_files).join(" ")],
        );
        let mut list = |name: &'static str, list: &AlgorithmList| {
            let (default, all) = &self.algorithms[name];
            let default: Vec<&str> = default.iter().map(String::as_str).collect();
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            set(name, vec![list.apply(&default, &all).join(",")]);
        };
        list("kexalgorithms", &settings.kex_algorithms);
        list("ciphers", &settings.ciphers);
        list("macs", &settings.macs);
        list("hostkeyalgorithms", &settings.host_key_algorithms);
        list("pubkeyacceptedalgorithms", &auth.accepted_algorithms);
        fields
    }

    /// Compares the two for one configuration and destination; says which fields differ, or that one of them refuses.
    fn compare(&self, config: &Config, host: &str) -> Result<(), String> {
        let options = Options {
            file: ConfigFile::Path(config.file.clone()),
            options: config.options.clone(),
        };
        let destination = Destination::parse(host).expect(host);
        let given = Given {
            usual_user: destination.user.as_deref(),
            port: destination.port,
            ..Given::default()
        };
        let ours = UserConfig::load(self.facts.clone(), &options)
            .and_then(|config| config.resolve(destination.host, given));
        let theirs = self.ask(&config.file, &config.options, host);
        let text = fs::read_to_string(&config.file).expect("the configuration");
        let about = format!(
            "host {host}, options {:?}, configuration:\n{text}",
            config.options
        );
        match (ours, theirs) {
            (Err(_), None) => Ok(()),
            (Err(error), Some(_)) => Err(format!("only we refuse ({error}): {about}")),
            (Ok(_), None) => Err(format!("only ssh refuses: {about}")),
            (Ok(settings), Some((fields, said))) => {
                let theirs = self.normal(fields, &settings);
                let ours = self.ours(&settings);
                let mut differences = String::new();
                for field in FIELDS {
                    let (our, their) = (ours.get(*field), theirs.get(*field));
                    if our != their {
                        differences.push_str(&format!("{field}: ours {our:?}, ssh {their:?}\n"));
                    }
                }
                if differences.is_empty() {
                    Ok(())
                } else {
                    Err(format!("{differences}{about}\nssh said: {said}"))
                }
            }
        }
    }
}

/// A configuration on disk.
struct Config {
    folder: TempDir,
    file: PathBuf,
    options: Vec<String>,
}

impl Config {
    fn new(text: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config");
        let text = text.replace("{DIR}", &folder.path().display().to_string());
        let config = Self {
            folder,
            file,
            options: options.iter().map(|&option| option.to_owned()).collect(),
        };
        config.write("config", &text);
        config
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.folder.path().join(name);
        fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("permissions");
    }
}

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
    // refused by both
    ("Foo bar\n", &["lb1"]),
    ("Host web\n Foo bar\n", &["lb1"]),
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
        // `IgnoreUnknown` counts from any block with us, and only from blocks that apply with `ssh`.
        prop_assume!(!(lines.iter().any(|line| line.contains("Foo")) && lines.iter().any(|line| line.contains("Ignore"))));
        let config = Config::new(&lines.join("\n"), &[]);
        if let Err(difference) = oracle.compare(&config, host) {
            prop_assert!(false, "{}", difference);
        }
    }
}
