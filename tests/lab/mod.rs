//! The lab: real sshd and real HAProxy on loopback, for one test.
//!
//! ```ignore
//! let Some(lab) = Lab::up(2) else { return };          // skipped, and said why
//! let ran = lab.hash(["-w", "lb[1-2]", "status"]).run();
//! assert_eq!(ran.code, 0, "{ran}");
//! ```
//!
//! Nodes are `lb1` to `lbN`, each with its own address, sshd, host key, host name and HAProxy. Every login to a node finds
//! that node's HAProxy under `/run/haproxy`, because sshd runs in a mount namespace of its own. The servers behind the load
//! balancers are addresses of one more HAProxy process, the origins; see [`Lab::origin`].
//!
//! The processes of a lab are called `lb1/sshd`, `lb1/haproxy` and `origin`; with [`Builder::instances`] a node has three
//! HAProxy, `lb1/http`, `lb1/ldap` and `lb1/puppet`. Where a HAProxy is asked for, `lb1` is short for `lb1/haproxy`.

mod control;
mod files;
mod hash;
pub(crate) mod process;
mod proxy;
mod screen;
pub(crate) mod slurm;
mod terminal;
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rustix::process::Signal;

pub(crate) use control::Control;
pub(crate) use hash::{Hash, Ran};
use process::Daemon;
pub(crate) use process::{find_program, until};
pub(crate) use proxy::{Act, Moment, Proxy};
pub(crate) use screen::Screen;
pub(crate) use terminal::Terminal;

/// How a server behind the load balancers answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Checks and requests get 200.
    Ok,
    /// Connections are refused.
    Down,
    /// Checks get 503.
    Sick,
    /// Checks get 404, which `http-check disable-on-404` takes for a soft stop.
    Gone,
}

/// What a lab is made of; [`Builder::start`] makes it.
#[derive(Clone, Debug)]
pub(crate) struct Builder {
    count: u8,
    haproxy: bool,
    extras: bool,
    contents: bool,
    instances: bool,
    wide: Option<(usize, usize)>,
    sshd_lines: BTreeMap<String, Vec<String>>,
    unprivileged: Vec<String>,
    sudo: BTreeMap<String, String>,
    dropbear: Vec<String>,
}

impl Builder {
    /// Adds the backends of `extras.cfg.in`: tracking, disabled in the file, soft stop, no check, no address and so on.
    pub(crate) fn extras(mut self) -> Self {
        self.extras = true;
        self
    }

    /// Adds what `contents.cfg.in` has: the map `/run/haproxy/hosts.map` and the ACLs `block.acl` and `nets.acl` beside it,
    /// and a frontend at `contents.sock` of [`Lab::run_dir`] that shows what they hold.
    pub(crate) fn contents(mut self) -> Self {
        self.contents = true;
        self
    }

    /// Three HAProxy on each node, with the sockets `/run/haproxy/{http,ldap,puppet}.sock`, in place of one.
    pub(crate) fn instances(mut self) -> Self {
        self.instances = true;
        self
    }

    /// So many backends more, `wide0` and so on, with so many servers without a check, `s0` and so on.
    pub(crate) fn wide(mut self, backends: usize, servers: usize) -> Self {
        self.wide = Some((backends, servers));
        self
    }

    /// A line of a node's `sshd_config`; it beats the lab's own.
    pub(crate) fn sshd(mut self, node: &str, line: &str) -> Self {
        let lines = self.sshd_lines.entry(node.to_owned()).or_default();
        lines.push(line.to_owned());
        self
    }

    /// The node's sshd forwards no unix sockets.
    pub(crate) fn no_streamlocal(self, node: &str) -> Self {
        self.sshd(node, "AllowStreamLocalForwarding no")
    }

    /// The login on that node may not open the admin socket; the operator's and the user's it may. Only root has this.
    pub(crate) fn unprivileged(mut self, node: &str) -> Self {
        self.unprivileged.push(node.to_owned());
        self
    }

    /// The node's SSH server is dropbear, which forwards to no sockets here. Only root has this.
    pub(crate) fn dropbear(mut self, node: &str) -> Self {
        self.dropbear.push(node.to_owned());
        self
    }

    /// What sudo on that node lets a login do, in lines of sudoers; the password of the unprivileged login is `sesame`.
    pub(crate) fn sudo(mut self, node: &str, sudoers: &str) -> Self {
        self.sudo.insert(node.to_owned(), sudoers.to_owned());
        self
    }

    /// Starts the lab and waits until all of it answers and each server had its first check.
    /// `None`, with a word on stderr, when something is missing here; a panic instead with `HASH_LAB=require`.
    pub(crate) fn start(self) -> Option<Lab> {
        if !self.unprivileged.is_empty() && !rustix::process::geteuid().is_root() {
            skip("only root can let another user log in");
            return None;
        }
        if !self.sudo.is_empty() {
            for program in ["sudo", "perl"] {
                if find_program(program, "").is_none() {
                    skip(&format!("{program} is not installed"));
                    return None;
                }
            }
        }
        if !self.dropbear.is_empty() {
            if !rustix::process::geteuid().is_root() {
                skip("only root can let dropbear have a home of its own");
                return None;
            }
            if find_program("dropbear", "").is_none() {
                skip("dropbear is not installed");
                return None;
            }
        }
        match programs(self.haproxy) {
            Ok(programs) => Some(Lab::start(self, programs)),
            Err(missing) => {
                skip(&missing);
                None
            }
        }
    }
}

/// Says on stderr that the running test is left out, and why. Panics with `HASH_LAB=require`.
#[expect(
    clippy::disallowed_methods,
    reason = "the test harness would swallow what the print macros print"
)]
pub(crate) fn skip(why: &str) {
    assert!(
        std::env::var_os("HASH_LAB").is_none_or(|value| value != "require"),
        "HASH_LAB=require, but {why}"
    );
    let test = std::thread::current();
    let line = format!("SKIPPED {}: {why}\n", test.name().unwrap_or("?"));
    let _ = std::io::stderr().write_all(line.as_bytes());
    // tests/run lists them at its end
    if let Some(list) = std::env::var_os("HASH_NOT_RUN") {
        let list = fs::File::options().append(true).open(list);
        let written = list.and_then(|mut list| list.write_all(line.as_bytes()));
        written.expect("HASH_NOT_RUN names a file that can be written");
    }
}

/// The programs a lab runs.
#[derive(Clone, Debug)]
struct Programs {
    sshd: PathBuf,
    haproxy: PathBuf,
    unshare: Vec<String>,
}

fn programs(with_haproxy: bool) -> Result<Programs, String> {
    let find = |name: &str, variable: &str| {
        find_program(name, variable).ok_or_else(|| format!("{name} is not installed"))
    };
    find("ssh-keygen", "")?;
    find("setpriv", "")?;
    Ok(Programs {
        sshd: find("sshd", "SSHD")?,
        haproxy: if with_haproxy {
            find("haproxy", "HAPROXY")?
        } else {
            PathBuf::new()
        },
        unshare: unshare()?,
    })
}

/// How to start a program with its own mounts and host name: as root at once, else in a user namespace.
fn unshare() -> Result<Vec<String>, String> {
    static PREFIX: OnceLock<Option<Vec<String>>> = OnceLock::new();
    let tried = PREFIX.get_or_init(|| {
        let mut prefix = vec!["unshare"];
        if !rustix::process::geteuid().is_root() {
            prefix.extend(["--user", "--map-current-user", "--keep-caps"]);
        }
        prefix.extend([
            "--mount",
            "--uts",
            "--propagation",
            "private",
            "/bin/sh",
            "-c",
        ]);
        let works = Command::new(prefix[0])
            .args(&prefix[1..])
            .arg("hostname lab && mount -t tmpfs none /run")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        works.then(|| prefix.into_iter().map(str::to_owned).collect())
    });
    tried.clone().ok_or_else(|| {
        "this system lets `unshare` make no private /run/haproxy (be root, or allow user namespaces)".to_owned()
    })
}

/// A running lab. Dropping it ends all its processes and removes its files.
#[derive(Debug)]
pub(crate) struct Lab {
    daemons: Mutex<BTreeMap<String, Daemon>>,
    thaws: std::sync::Arc<Mutex<Vec<std::thread::JoinHandle<()>>>>,
    starts: BTreeMap<String, Vec<String>>,
    plan: files::Plan,
    dir: tempfile::TempDir,
    _network: UnixListener,
}

impl Lab {
    /// `lb1` to `lbN`, as the default has them; `None` means skip the test.
    pub(crate) fn up(count: u8) -> Option<Self> {
        Self::builder(count).start()
    }

    /// `lb1` to `lbN` without any HAProxy, for tests about SSH.
    pub(crate) fn sshd_only(count: u8) -> Option<Self> {
        Self::builder(count).without_haproxy().start()
    }

    /// A lab to be described further.
    pub(crate) fn builder(count: u8) -> Builder {
        assert!((1..=100).contains(&count), "a lab has 1 to 100 nodes");
        Builder {
            count,
            haproxy: true,
            extras: false,
            contents: false,
            instances: false,
            wide: None,
            sshd_lines: BTreeMap::new(),
            unprivileged: Vec::new(),
            sudo: BTreeMap::new(),
            dropbear: Vec::new(),
        }
    }

    fn start(builder: Builder, programs: Programs) -> Self {
        // Short, because a socket's path ends at 107 bytes and HAProxy adds to it while it binds.
        let dir = tempfile::Builder::new()
            .prefix("hl.")
            .tempdir_in("/tmp")
            .expect("a folder under /tmp");
        let (network, lock) = own_network();
        let plan = files::Plan::new(dir.path(), network, free_ports(), &builder);
        let starts = plan.write(&builder, &programs);
        let lab = Self {
            daemons: Mutex::default(),
            thaws: std::sync::Arc::default(),
            starts,
            plan,
            dir,
            _network: lock,
        };
        // The origins first, so that the first check of each server finds them.
        if builder.haproxy {
            lab.start_process("origin");
        }
        for name in lab.starts.keys().filter(|name| *name != "origin") {
            lab.spawn(name);
        }
        for name in lab.starts.keys() {
            lab.wait_ready(name);
        }
        lab
    }

    /// The lab's folder.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The names of all nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &str> {
        self.plan.nodes.iter().map(String::as_str)
    }

    /// An `ssh_config` that leads to all nodes, with key and host keys: `ssh -F`.
    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.dir().join("ssh_config")
    }

    /// The private key that all nodes let in.
    pub(crate) fn key(&self) -> PathBuf {
        self.dir().join("id_ed25519")
    }

    /// The host keys of all nodes.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.dir().join("known_hosts")
    }

    /// Address and port of a node's sshd.
    pub(crate) fn address(&self, node: &str) -> (String, u16) {
        (self.plan.ip(node), self.plan.ports)
    }

    /// Address of a HAProxy's TCP socket at operator level, as `--socket tcp:` takes it.
    pub(crate) fn tcp_socket(&self, haproxy: &str) -> String {
        let (node, instance) = node_and_instance(haproxy);
        format!("{}:{}", self.plan.ip(node), self.plan.cli_port(instance))
    }

    /// What is seen here of a node's `/run/haproxy`: the folder with its sockets.
    pub(crate) fn run_dir(&self, node: &str) -> PathBuf {
        self.dir().join(node)
    }

    /// `hash` with a home in which `~/.ssh/config` leads to the nodes.
    pub(crate) fn hash<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Hash {
        let hash = Hash::new(args);
        let ssh = hash.home().join(".ssh");
        fs::create_dir(&ssh).expect("~/.ssh");
        fs::copy(self.ssh_config(), ssh.join("config")).expect("~/.ssh/config");
        hash
    }

    /// Where a frontend of the node listens.
    pub(crate) fn frontend(&self, node: &str, name: &str) -> String {
        let all = ["fe_puppet", "fe_ldap", "fe_http"];
        let place = all
            .iter()
            .position(|known| *known == name)
            .expect("a frontend");
        format!(
            "{}:{}",
            self.plan.ip(node),
            self.plan.ports + 1 + place as u16
        )
    }

    /// A HAProxy in the hands of somebody else.
    pub(crate) fn control(&self, haproxy: &str) -> Control {
        let name = full_name(haproxy);
        let daemons = self.daemons.lock().expect("daemons");
        Control {
            admin: self.admin_socket(haproxy),
            master: daemons[&name].pid(),
            sshd: daemons[&format!("{}/sshd", node_and_instance(haproxy).0)].pid(),
            log: self.log(&name),
            thaws: std::sync::Arc::clone(&self.thaws),
        }
    }

    /// Something between `hash` and the node's HAProxy: `--socket /run/haproxy/proxy.sock`.
    pub(crate) fn proxy(
        &self,
        node: &str,
        hook: impl Fn(Moment, usize, &str) -> Act + Send + Sync + 'static,
    ) -> Proxy {
        Proxy::start(
            (&self.run_dir(node), "proxy.sock"),
            self.admin_socket(node),
            hook,
        )
    }

    /// Sends a command to a HAProxy's admin socket and gives back the whole answer.
    pub(crate) fn cli(&self, haproxy: &str, command: &str) -> String {
        let socket = self.admin_socket(haproxy);
        ask(&socket, command).unwrap_or_else(|error| panic!("{}: {error}", socket.display()))
    }

    /// Lets a server behind the load balancers answer differently. It takes the checks a moment to notice:
    /// [`Lab::wait_for_state`] waits for that.
    pub(crate) fn origin(&self, name: &str, how: Origin) {
        let tell = |command: &str| {
            let answer = self.cli("origin", command);
            assert!(
                ["", "Key not found.", "All sockets are already enabled."].contains(&answer.trim()),
                "{command}: {answer}"
            );
        };
        let list = |file: &str| self.dir().join("origin").join(file).display().to_string();
        for file in ["404.list", "sick.list"] {
            tell(&format!("del acl {} {name}", list(file)));
        }
        let verb = if how == Origin::Down {
            "disable"
        } else {
            "enable"
        };
        tell(&format!("{verb} frontend {name}"));
        match how {
            Origin::Ok | Origin::Down => {}
            Origin::Sick => tell(&format!("add acl {} {name}", list("sick.list"))),
            Origin::Gone => tell(&format!("add acl {} {name}", list("404.list"))),
        }
    }

    /// Waits until `show servers state` has the operational state (0 stopped, 1 starting, 2 running, 3 stopping)
    /// for a `backend/server`.
    pub(crate) fn wait_for_state(&self, haproxy: &str, server: &str, state: u8) {
        let (backend, server) = server.split_once('/').expect("BACKEND/SERVER");
        until(
            &format!("{haproxy}: {server} in state {state}"),
            None,
            || {
                server_rows(&self.cli(haproxy, "show servers state"))
                    .any(|row| row[1] == backend && row[3] == server && row[5] == state.to_string())
            },
        );
    }

    /// Reloads a HAProxy as `systemctl reload` does, and waits until the new worker answers.
    pub(crate) fn reload(&self, haproxy: &str) {
        let worker = || {
            let info = ask(&self.admin_socket(haproxy), "show info").ok()?;
            let pid = info.lines().find_map(|line| line.strip_prefix("Pid: "))?;
            Some(pid.to_owned())
        };
        let old = worker();
        assert!(old.is_some(), "{haproxy} does not run");
        {
            let daemons = self.daemons.lock().expect("daemons");
            daemons[&full_name(haproxy)].signal(Signal::USR2);
        }
        let log = self.log(&full_name(haproxy));
        until(&format!("reload of {haproxy}"), Some(&log), || {
            worker().is_some_and(|new| Some(new) != old)
        });
    }

    /// Kills a process of the lab with all its descendants: `lb1/haproxy`, `lb1/sshd`.
    pub(crate) fn stop(&self, process: &str) {
        let daemon = self.daemons.lock().expect("daemons").remove(process);
        assert!(daemon.is_some(), "{process} does not run");
    }

    /// Starts a process that was stopped, and waits until it answers.
    pub(crate) fn start_process(&self, process: &str) {
        self.spawn(process);
        self.wait_ready(process);
    }

    fn spawn(&self, process: &str) {
        let argv = &self.starts[process];
        let log = self.log(process);
        let daemon = Daemon::start(argv, &log);
        let before = self
            .daemons
            .lock()
            .expect("daemons")
            .insert(process.to_owned(), daemon);
        assert!(before.is_none(), "{process} ran already");
    }

    fn wait_ready(&self, process: &str) {
        let log = self.log(process);
        until(process, Some(&log), || {
            let mut daemons = self.daemons.lock().expect("daemons");
            let alive = daemons.get_mut(process).is_some_and(Daemon::is_alive);
            drop(daemons);
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(alive, "{process} ended at once:\n{}", said());
            match process.split_once('/') {
                Some((node, "sshd")) => greets(&self.plan.ip(node), self.plan.ports),
                Some((node, instance)) => {
                    // A master that does not answer yet would lose the signal to reload.
                    let master = self
                        .run_dir(node)
                        .join(files::socket_name(instance, "master"));
                    self.is_settled(process)
                        && ask(&master, "show proc;quit").is_ok_and(|answer| !answer.is_empty())
                }
                None => self.is_settled(process),
            }
        });
    }

    fn is_settled(&self, haproxy: &str) -> bool {
        ask(&self.admin_socket(haproxy), "show servers state")
            .is_ok_and(|answer| server_rows(&answer).all(|row| is_settled(&row)))
    }

    /// Where a process of the lab says what it has to say.
    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.dir().join(process).with_extension("log")
    }

    fn admin_socket(&self, haproxy: &str) -> PathBuf {
        if haproxy == "origin" {
            return self.dir().join("origin/admin.sock");
        }
        let (node, instance) = node_and_instance(haproxy);
        self.run_dir(node)
            .join(files::socket_name(instance, "admin"))
    }
}

impl Builder {
    /// No HAProxy at all, for tests about SSH.
    pub(crate) fn without_haproxy(mut self) -> Self {
        self.haproxy = false;
        self
    }
}

fn full_name(haproxy: &str) -> String {
    let (node, instance) = node_and_instance(haproxy);
    format!("{node}/{instance}")
}

fn node_and_instance(haproxy: &str) -> (&str, &str) {
    haproxy.split_once('/').unwrap_or((haproxy, "haproxy"))
}

/// One question to a Runtime API socket: the answer ends where HAProxy closes.
fn ask(socket: &Path, command: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(format!("{command}\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The rows of `show servers state`, in columns.
fn server_rows(answer: &str) -> impl Iterator<Item = Vec<&str>> {
    answer
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|row| row.len() > 16)
}

/// Whether a server's check, if it has one that runs, gave its first result: in HAProxy's `show servers state` column 7 is
/// the administrative state (1, 2 and 32 mean maintenance), 13 the result (0 none yet, 1 initialising), 16 flags (4 enabled).
fn is_settled(row: &[&str]) -> bool {
    let number = |column: usize| row[column - 1].parse::<u32>().unwrap_or(0);
    number(16) & 4 == 0 || number(13) > 1 || number(7) & 0x23 != 0
}

fn greets(ip: &str, port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((ip, port)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).is_ok() && &greeting == b"SSH-"
}

/// A loopback network `127.A.B` that no other lab of this machine has, held by the lock beside it. The lock is a socket
/// without a file, so the kernel lets go of it however we end.
fn own_network() -> (String, UnixListener) {
    loop {
        let random = RandomState::new().build_hasher().finish();
        let [a, b, ..] = random.to_le_bytes();
        let network = format!("127.{}.{b}", a.max(1));
        let name = SocketAddr::from_abstract_name(format!("hash-lab-{network}"));
        if let Ok(lock) = UnixListener::bind_addr(&name.expect("a short name")) {
            return (network, lock);
        }
    }
}

/// The first of a row of ports that nobody listens on, on whatever address, below those the kernel gives to clients.
fn free_ports() -> u16 {
    loop {
        let random = RandomState::new().build_hasher().finish();
        let first = 10_000 + u16::try_from(random % 20_000).expect("small");
        if (first..first + files::PORTS).all(|port| TcpListener::bind(("0.0.0.0", port)).is_ok()) {
            return first;
        }
    }
}
