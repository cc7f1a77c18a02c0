//! The real `ssh -G` beside our reading of the same files.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use hapsh::destination::Destination;
use hapsh::transport::ssh::user_config::{
    AddressFamily, AlgorithmList, ConfigError, ConfigFile, Facts, Given, HostKeyPolicy,
    HostSettings, Options, Proxy, UserConfig,
};
use tempfile::TempDir;

use crate::lab::{find_program, skip};

/// Field by name, values in the order that `ssh -G` has them.
type Fields = BTreeMap<String, Vec<String>>;

/// The real thing: what `ssh -G` says, or its complaint.
pub(super) struct Oracle {
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
    "controlpath",
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
    pub(super) fn find() -> Option<&'static Self> {
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
    pub(super) fn ask(
        &self,
        config: &Path,
        options: &[String],
        host: &str,
    ) -> Option<(Fields, String)> {
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
        for name in [
            "identityfile",
            "certificatefile",
            "controlpath",
            "revokedhostkeys",
        ] {
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
            "controlpath",
            settings
                .control_path
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
        );
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
                        let host = match hop.host.contains(':') {
                            true => format!("[{}]", hop.host),
                            false => hop.host.clone(),
                        };
                        format!("{user}{host}{port}")
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

    /// What we make of a configuration for a destination.
    pub(super) fn settings(
        &self,
        config: &Config,
        host: &str,
    ) -> Result<HostSettings, ConfigError> {
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
        UserConfig::load(self.facts.clone(), &options)?.resolve(destination.host, given)
    }

    /// The words of the `ssh` that the real one would run for the first jump, as a shell would cut them.
    pub(super) fn jump(&self, config: &Config, host: &str) -> Option<Vec<String>> {
        use std::os::unix::process::CommandExt as _;
        let mut command = self.command();
        // Its own name is what it runs again; this one fails at once.
        command.arg0("/bin/false").arg("-vF").arg(&config.file);
        let output = command.arg("--").arg(host).output().expect("ssh runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let (_, line) = said.split_once("Executing proxy command: exec ")?;
        let line = line.lines().next()?.trim_end_matches('\r');
        let script = format!("printf '%s\\n' {}", line.trim_end());
        let words = Command::new("sh").args(["-c", &script]).output().ok()?;
        let words = String::from_utf8(words.stdout).ok()?;
        Some(words.lines().map(str::to_owned).collect())
    }

    /// Compares the two for one configuration and destination; says which fields differ, or that one of them refuses.
    pub(super) fn compare(&self, config: &Config, host: &str) -> Result<(), String> {
        let ours = self.settings(config, host);
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
pub(super) struct Config {
    folder: TempDir,
    pub(super) file: PathBuf,
    pub(super) options: Vec<String>,
}

impl Config {
    pub(super) fn new(text: &str, options: &[&str]) -> Self {
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

    pub(super) fn write(&self, name: &str, text: &str) {
        let file = self.folder.path().join(name);
        fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("permissions");
    }
}
