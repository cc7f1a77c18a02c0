//! What a lab writes before it starts: addresses, configurations, keys; and the command line of each process.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Builder, Programs};

/// How many ports in a row a lab takes, on its own addresses only.
pub(super) const PORTS: u16 = 9;

/// The map of the lab with contents.
const HOSTS: &str = "# hosts\na.lab one\nb.lab two words\n";

const INSTANCES: [(&str, &str); 3] = [
    ("http", include_str!("http.cfg.in")),
    ("ldap", include_str!("ldap.cfg.in")),
    ("puppet", include_str!("puppet.cfg.in")),
];

/// The file name of a HAProxy's socket: `admin.sock` and so on, or with several instances `puppet.sock`, `puppet-oper.sock`.
pub(super) fn socket_name(instance: &str, level: &str) -> String {
    match (instance, level) {
        ("haproxy", level) => format!("{level}.sock"),
        (instance, "admin") => format!("{instance}.sock"),
        (instance, level) => format!("{instance}-{level}.sock"),
    }
}

/// Who listens where.
#[derive(Debug)]
pub(super) struct Plan {
    dir: PathBuf,
    network: String,
    /// The first port, sshd's; the HAProxy have those after it.
    pub(super) ports: u16,
    pub(super) nodes: Vec<String>,
}

impl Plan {
    pub(super) fn new(dir: &Path, network: String, ports: u16, builder: &Builder) -> Self {
        Self {
            dir: dir.to_owned(),
            network,
            ports,
            nodes: (1..=builder.count).map(|n| format!("lb{n}")).collect(),
        }
    }

    pub(super) fn ip(&self, node: &str) -> String {
        let position = self.nodes.iter().position(|name| name == node);
        let position = position.unwrap_or_else(|| panic!("no node {node} in this lab"));
        format!("{}.{}", self.network, position + 1)
    }

    pub(super) fn cli_port(&self, instance: &str) -> u16 {
        let among = INSTANCES.iter().position(|(name, _)| *name == instance);
        self.ports + 5 + among.map_or(0, |position| 1 + position as u16)
    }

    /// Writes everything, and returns the command line of each process.
    pub(super) fn write(
        &self,
        builder: &Builder,
        programs: &Programs,
    ) -> BTreeMap<String, Vec<String>> {
        // Others may look in: a login as another user has to find its key.
        fs::set_permissions(&self.dir, PermissionsExt::from_mode(0o755)).expect("chmod");
        make_key(&self.dir.join("id_ed25519"));
        let mut starts = BTreeMap::new();
        let mut origins = Vec::new();
        let mut known_hosts = String::new();
        let mut hosts = String::new();
        for node in &self.nodes {
            let dir = self.dir.join(node);
            fs::create_dir_all(dir.join("home")).expect("node folder");
            let user = login(builder, node);
            hosts += &format!(
                "Host {node}\n    HostName {}\n    User {user}\n",
                self.ip(node)
            );
            make_key(&dir.join("host_key"));
            let public = fs::read_to_string(dir.join("host_key.pub")).expect("host key");
            known_hosts += &format!("[{}]:{} {public}", self.ip(node), self.ports);
            // Without either, the account of the login has no shell.
            let has_shell = builder.haproxy || builder.sudo.contains_key(node);
            if has_shell && builder.unprivileged.contains(node) {
                fs::write(dir.join("passwd"), passwd_with_shell()).expect("passwd");
            }
            if let Some(sudoers) = builder.sudo.get(node) {
                write_sudo(&dir, sudoers);
            }
            let start = if builder.dropbear.contains(node) {
                let (public, start) = self.dropbear(programs, node);
                known_hosts += &format!("[{}]:{} {public}", self.ip(node), self.ports);
                start
            } else {
                self.write_sshd(builder, programs, node);
                self.sshd(programs, node)
            };
            starts.insert(format!("{node}/sshd"), start);
            for (instance, template) in haproxies(builder) {
                let closed = builder.unprivileged.contains(node);
                let template = template.replace("{{MODE}}", if closed { "600" } else { "660" });
                let text = self.haproxy(node, instance, &template, &mut origins);
                let file = dir.join(format!("{instance}.cfg"));
                fs::write(&file, text).expect("haproxy.cfg");
                let master = dir.join(socket_name(instance, "master"));
                let master = format!("{},mode,600", master.display());
                let argv = [path(&programs.haproxy), "-W".into(), "-S".into(), master];
                let argv = argv.into_iter().chain(["-f".into(), path(&file)]);
                let mut argv: Vec<String> = argv.collect();
                if builder.contents {
                    // The names of files are the same on all nodes.
                    argv = self.on_node(programs, node, &argv);
                    fs::write(dir.join("hosts.map"), HOSTS).expect("hosts.map");
                    for list in ["block.acl", "nets.acl"] {
                        fs::write(dir.join(list), "").expect("list");
                    }
                }
                starts.insert(format!("{node}/{instance}"), argv);
            }
        }
        if builder.haproxy {
            let file = self.write_origins(&origins);
            let argv = vec![path(&programs.haproxy), "-W".into(), "-f".into(), file];
            starts.insert("origin".into(), argv);
        }
        fs::write(self.dir.join("known_hosts"), known_hosts).expect("known_hosts");
        let common = include_str!("ssh_config.in");
        let config = self.fill(common, &[("LAB", &path(&self.dir))], &mut origins);
        fs::write(self.dir.join("ssh_config"), hosts + &config).expect("ssh_config");
        starts
    }

    fn haproxy(
        &self,
        node: &str,
        instance: &str,
        template: &str,
        origins: &mut Vec<String>,
    ) -> String {
        let dir = self.dir.join(node);
        let socket = |level| path(&dir.join(socket_name(instance, level)));
        let values: [(&str, &str); 8] = [
            ("NODE", node),
            ("DIR", &path(&dir)),
            ("INSTANCE", instance),
            ("IP", &self.ip(node)),
            ("ADMIN", &socket("admin")),
            ("OPER", &socket("oper")),
            ("USER", &socket("user")),
            ("CLI_PORT", &self.cli_port(instance).to_string()),
        ];
        self.fill(template, &values, origins)
    }

    /// Replaces `{{NAME}}` by its value and `{{origin:NAME}}` by the address of that origin, which is remembered.
    fn fill(&self, template: &str, values: &[(&str, &str)], origins: &mut Vec<String>) -> String {
        let port = |offset: u16| (self.ports + offset).to_string();
        let mut text = template.to_owned();
        for (name, value) in values.iter().copied().chain([
            ("SSH_PORT", port(0).as_str()),
            ("PUPPET_PORT", port(1).as_str()),
            ("LDAP_PORT", port(2).as_str()),
            ("HTTP_PORT", port(3).as_str()),
            ("LISTEN_PORT", port(4).as_str()),
        ]) {
            text = text.replace(&format!("{{{{{name}}}}}"), value);
        }
        while let Some((before, rest)) = text.split_once("{{origin:") {
            let (name, after) = rest.split_once("}}").expect("{{origin:NAME}}");
            if !origins.iter().any(|known| known == name) {
                origins.push(name.to_owned());
            }
            text = format!("{before}{}{after}", self.origin(name, origins));
        }
        assert!(!text.contains("{{"), "a value is missing:\n{text}");
        text
    }

    fn origin(&self, name: &str, origins: &[String]) -> String {
        let position = origins.iter().position(|known| known == name);
        let host = 101 + position.expect("known origin");
        format!("{}.{host}:{}", self.network, self.ports + 1)
    }

    fn write_origins(&self, origins: &[String]) -> String {
        let dir = self.dir.join("origin");
        fs::create_dir(&dir).expect("origin folder");
        for list in ["404.list", "sick.list"] {
            fs::write(dir.join(list), "").expect("list");
        }
        let mut text = include_str!("origin.cfg.in").replace("{{DIR}}", &path(&dir));
        for name in origins {
            text += &include_str!("origin-server.cfg.in")
                .replace("{{DIR}}", &path(&dir))
                .replace("{{NAME}}", name)
                .replace("{{ADDRESS}}", &self.origin(name, origins));
        }
        let file = dir.join("haproxy.cfg");
        fs::write(&file, text).expect("haproxy.cfg");
        path(&file)
    }

    /// Writes the node's `sshd_config`. Newer servers ban an address that fails often; that is switched off where it exists.
    fn write_sshd(&self, builder: &Builder, programs: &Programs, node: &str) {
        let dir = self.dir.join(node);
        let me = user_name();
        let user = login(builder, node);
        let values: [(&str, &str); 6] = [
            ("NODE", node),
            ("IP", &self.ip(node)),
            ("LAB", &path(&self.dir)),
            ("DIR", &path(&dir)),
            ("USERS", &format!("{me} {user}")),
            ("PAM", if is_locked(&me) { "yes" } else { "no" }),
        ];
        let own = builder.sshd_lines.get(node).map_or(String::new(), |lines| {
            lines.iter().map(|line| format!("{line}\n")).collect()
        });
        let common = self.fill(include_str!("sshd_config.in"), &values, &mut Vec::new());
        let file = dir.join("sshd_config");
        let mut said = String::new();
        for newest in ["PerSourcePenalties no\n", ""] {
            fs::write(&file, format!("{own}{common}{newest}")).expect("sshd_config");
            let test = [path(&programs.sshd), "-t".into(), "-f".into(), path(&file)];
            let output = self.on_node(programs, node, &test);
            let output = Command::new(&output[0]).args(&output[1..]).output();
            let output = output.expect("sshd -t");
            if output.status.success() {
                return;
            }
            said = String::from_utf8_lossy(&output.stderr).into_owned();
        }
        panic!("sshd refuses its configuration: {said}");
    }

    fn sshd(&self, programs: &Programs, node: &str) -> Vec<String> {
        let config = path(&self.dir.join(node).join("sshd_config"));
        let argv = [
            path(&programs.sshd),
            "-D".into(),
            "-e".into(),
            "-f".into(),
            config,
        ];
        self.on_node(programs, node, &argv)
    }

    /// Writes what dropbear wants; its public key, and the command line. It finds the keys that it lets in at home only.
    fn dropbear(&self, programs: &Programs, node: &str) -> (String, Vec<String>) {
        let dir = self.dir.join(node);
        let key = dir.join("dropbear_key");
        let made = Command::new("dropbearkey")
            .args(["-t", "ed25519", "-f"])
            .arg(&key)
            .output()
            .expect("dropbearkey");
        let text = String::from_utf8(made.stdout).expect("text");
        let public = text.lines().find(|line| line.starts_with("ssh-ed25519 "));
        let public = format!("{}\n", public.expect("a public key"));
        let ssh = dir.join("home/.ssh");
        fs::create_dir_all(&ssh).expect("~/.ssh");
        fs::copy(self.dir.join("id_ed25519.pub"), ssh.join("authorized_keys")).expect("key");
        let me = user_name();
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
        let at_home = |line: &str| {
            let mut fields: Vec<&str> = line.split(':').collect();
            if fields[0] == me {
                fields[5] = "/run/haproxy/home";
            }
            fields.join(":") + "\n"
        };
        let passwd: String = passwd.lines().map(at_home).collect();
        fs::write(dir.join("passwd"), passwd).expect("passwd");
        let place = format!("{}:{}", self.ip(node), self.ports);
        let dropbear = super::find_program("dropbear", "").expect("dropbear");
        // No message of the day, and no forwarding: sockets are reached by helpers.
        let argv = [
            &*path(&dropbear),
            "-F",
            "-E",
            "-m",
            "-j",
            "-p",
            &place,
            "-r",
            &path(&key),
            "-P",
            "/run/dropbear.pid",
        ];
        (
            public,
            self.on_node(programs, node, &argv.map(str::to_owned)),
        )
    }

    /// The command line that runs a program with the node's host name and its folder as `/run/haproxy`.
    fn on_node(&self, programs: &Programs, node: &str, argv: &[String]) -> Vec<String> {
        const SCRIPT: &str = "hostname \"$1\" && for f in passwd shadow sudoers; do ! test -e \"$2/$f\" || mount --bind \"$2/$f\" /etc/$f; done && mount -t tmpfs -o mode=755 none /run && \
            mkdir /run/haproxy /run/sshd && mount --bind \"$2\" /run/haproxy && shift 2 && exec \"$@\"";
        let mut all = programs.unshare.clone();
        all.extend([SCRIPT, "sh", node].map(str::to_owned));
        all.push(path(&self.dir.join(node)));
        all.extend_from_slice(argv);
        all
    }
}

/// The HAProxy of each node: name and template.
fn haproxies(builder: &Builder) -> Vec<(&'static str, String)> {
    let global = include_str!("global.cfg.in");
    let [http, ldap, puppet] = INSTANCES;
    if !builder.haproxy {
        Vec::new()
    } else if builder.instances {
        let one = |(name, own)| (name, format!("{global}{own}"));
        INSTANCES.map(one).to_vec()
    } else {
        let extras = if builder.extras {
            include_str!("extras.cfg.in")
        } else {
            ""
        };
        let contents = if builder.contents {
            include_str!("contents.cfg.in")
        } else {
            ""
        };
        let wide = builder.wide.map(wide).unwrap_or_default();
        let all = [global, puppet.1, ldap.1, http.1, extras, contents, &wide].concat();
        vec![("haproxy", all)]
    }
}

/// Backends without end.
fn wide((backends, servers): (usize, usize)) -> String {
    let mut text = String::new();
    for backend in 0..backends {
        text += &format!("\nbackend wide{backend}\n    balance roundrobin\n");
        for server in 0..servers {
            text += &format!("    server s{server} {{{{origin:http-svc1}}}}\n");
        }
    }
    text
}

/// Who logs in. Root opens any socket, so a login with fewer rights is somebody else.
fn login(builder: &Builder, node: &str) -> String {
    if builder.unprivileged.iter().any(|name| name == node) {
        "nobody".into()
    } else {
        user_name()
    }
}

/// The users of this machine, where nobody has a shell, as a login to a load balancer has.
fn passwd_with_shell() -> String {
    let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    passwd
        .lines()
        .map(|line| match line.strip_prefix("nobody:") {
            Some(rest) => {
                let fields: Vec<&str> = rest.split(':').collect();
                format!("nobody:{}:/:/bin/sh\n", fields[..4].join(":"))
            }
            None => format!("{line}\n"),
        })
        .collect()
}

/// What sudo reads, with a password for the unprivileged login.
fn write_sudo(dir: &Path, sudoers: &str) {
    let hash = Command::new("perl")
        .args(["-e", "print crypt('sesame', '$6$salt$')"])
        .output()
        .expect("perl");
    let hash = String::from_utf8(hash.stdout).expect("a hash");
    let shadow = fs::read_to_string("/etc/shadow").expect("/etc/shadow");
    let others = shadow.lines().filter(|line| !line.starts_with("nobody:"));
    let others: String = others.map(|line| format!("{line}\n")).collect();
    let shadow = format!("{others}nobody:{hash}:20000:0:99999:7:::\n");
    fs::write(dir.join("shadow"), shadow).expect("shadow");
    fs::set_permissions(dir.join("shadow"), PermissionsExt::from_mode(0o600)).expect("chmod");
    // The lab's host names resolve nowhere, and nothing of it belongs into this machine's log.
    let text = format!("Defaults !syslog, !fqdn\nroot ALL=(ALL) ALL\n{sudoers}\n");
    fs::write(dir.join("sudoers"), text).expect("sudoers");
    fs::set_permissions(dir.join("sudoers"), PermissionsExt::from_mode(0o440)).expect("chmod");
}

fn user_name() -> String {
    let output = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Without PAM sshd refuses an account whose password field starts with `!`.
fn is_locked(user: &str) -> bool {
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    shadow
        .lines()
        .any(|line| line.starts_with(&format!("{user}:!")))
}

fn make_key(file: &Path) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f"])
        .arg(file)
        .stdin(Stdio::null())
        .status();
    assert!(status.expect("ssh-keygen").success(), "ssh-keygen failed");
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
