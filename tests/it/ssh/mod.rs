//! The native SSH transport against real sshd, a real agent, and peers that misbehave.

mod auth;
mod commands;
mod configured;
mod peers;
mod tokens;
mod trust;
mod ways;

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hapsh::event::{Event, Failure, NodeId, Outcome, Stop, Stream};
use hapsh::plan::{Limits, NodeName};
use hapsh::prompt::{Answer, Echo, Nobody, Prompter};
use hapsh::transport::Via;
use hapsh::transport::ssh::user_config::{ConfigFile, Facts, Options};
use hapsh::transport::ssh::{Native, Settings};
use hapsh::transport::{Command, LoginUser, NodeIo, Session, Transport};
use tokio::sync::{mpsc, watch};

use crate::lab::{self, Lab};

/// Long enough for a loaded machine; what should time out says so itself.
const LIMITS: Limits = Limits {
    connect: Some(Duration::from_secs(20)),
    authenticate: Some(Duration::from_secs(20)),
    idle: None,
    command: None,
    deadline: None,
};

/// A transport under test, to be described.
struct Client {
    home: tempfile::TempDir,
    options: Vec<String>,
    env: HashMap<String, String>,
    file: PathBuf,
    via: Via,
    user: LoginUser,
    prompter: Arc<dyn Prompter>,
}

impl Client {
    /// With the lab's configuration, an empty home and nobody to ask.
    fn of(lab: &Lab) -> Self {
        Self::new(lab.ssh_config())
    }

    fn new(file: PathBuf) -> Self {
        let home = tempfile::Builder::new().prefix("hc.").tempdir_in("/tmp");
        Self {
            home: home.expect("a home"),
            options: Vec::new(),
            env: HashMap::new(),
            file,
            via: Via::Auto,
            user: LoginUser::default(),
            prompter: Arc::new(Nobody),
        }
    }

    fn option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    fn asking(mut self, person: &Arc<Person>) -> Self {
        self.prompter = Arc::clone(person) as Arc<dyn Prompter>;
        self
    }

    fn build(&self) -> Native {
        let home = self.home.path();
        let facts = Facts {
            user: "operator".into(),
            uid: rustix::process::getuid().as_raw(),
            home: home.to_owned(),
            homes: HashMap::new(),
            host_name: "control".into(),
            env: self.env.clone(),
            user_file: home.join(".ssh/config"),
            system_file: home.join("etc/ssh_config"),
            resolves: |_| true,
        };
        let settings = Settings {
            facts,
            options: Options {
                file: ConfigFile::Path(self.file.clone()),
                options: self.options.clone(),
            },
            user: self.user.clone(),
            via: self.via.clone(),
            ssh_way: "-R ssh",
            trace: Default::default(),
        };
        Native::new(settings, Arc::clone(&self.prompter))
    }
}

/// What a command gave.
#[derive(Debug)]
struct Ran {
    outcome: Outcome,
    out: String,
    err: String,
}

async fn connect(native: &Native, node: &str) -> Result<Box<dyn Session>, Failure> {
    native.connect(&NodeName::from(node), &LIMITS).await
}

async fn exec(session: &mut dyn Session, command: &Command) -> Ran {
    let (events, mut output) = mpsc::channel(8);
    let (_stop, stop) = watch::channel(Stop::No);
    let mut io = NodeIo::new(NodeId(0), events, stop);
    let running = async {
        let outcome = session.exec(command, &mut io).await;
        drop(io);
        outcome
    };
    let gathering = async {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        while let Some(event) = output.recv().await {
            if let Event::Output { stream, data, .. } = event {
                match stream {
                    Stream::Out => out.extend_from_slice(&data),
                    Stream::Err => err.extend_from_slice(&data),
                }
            }
        }
        (out, err)
    };
    let (outcome, (out, err)) = tokio::join!(running, gathering);
    Ran {
        outcome,
        out: String::from_utf8(out).expect("text"),
        err: String::from_utf8(err).expect("text"),
    }
}

fn sh(line: &str) -> Command {
    Command {
        line: line.into(),
        ..Command::default()
    }
}

async fn run(native: &Native, node: &str, line: &str) -> Result<Ran, Failure> {
    let mut session = connect(native, node).await?;
    let ran = exec(session.as_mut(), &sh(line)).await;
    session.close().await;
    Ok(ran)
}

/// Runs a test on a loop of its own.
fn on_loop<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime")
        .block_on(test)
}

/// Somebody at the terminal who answers from a list, and remembers what was asked and said.
#[derive(Debug, Default)]
struct Person {
    answers: Mutex<VecDeque<&'static str>>,
    asked: Mutex<Vec<String>>,
    told: Mutex<Vec<String>>,
}

impl Person {
    fn with(answers: &[&'static str]) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.iter().copied().collect()),
            ..Self::default()
        })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("asked").clone()
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().expect("told").clone()
    }
}

impl Prompter for Person {
    fn ask<'a>(&'a self, prompt: &'a str, _echo: Echo) -> Answer<'a> {
        self.asked.lock().expect("asked").push(prompt.to_owned());
        let answer = self.answers.lock().expect("answers").pop_front();
        Box::pin(async move {
            tokio::task::yield_now().await;
            answer.map(str::to_owned)
        })
    }

    fn warn(&self, message: &str) {
        self.told.lock().expect("told").push(message.to_owned());
    }
}

/// One real sshd for tests of logging in: its own keys and, for passwords, its own `/etc/shadow`.
struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    address: &'static str,
    child: Child,
}

/// Root's password there.
const PASSWORD: &str = "open sesame";

impl Sshd {
    /// With these lines in front of its configuration, `{DIR}` standing for its folder. `None`: skip the test.
    fn start(lines: &str) -> Option<Self> {
        Self::start_on("127.0.0.1", lines)
    }

    fn start_on(address: &'static str, lines: &str) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("hs.").tempdir_in("/tmp");
        let dir = dir.expect("folder");
        Self::start_in(dir, address, lines)
    }

    fn start_in(dir: tempfile::TempDir, address: &'static str, lines: &str) -> Option<Self> {
        let Some(sshd) = lab::find_program("sshd", "SSHD") else {
            lab::skip("sshd is not installed");
            return None;
        };
        if !rustix::process::geteuid().is_root() {
            lab::skip("an sshd with passwords of its own needs root");
            return None;
        }
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        let at = |name: &str| dir.path().join(name).display().to_string();
        let listener = TcpListener::bind((address, 0)).expect("a free port");
        let port = listener.local_addr().expect("address").port();
        drop(listener);
        if !dir.path().join("host_key").exists() {
            keygen(dir.path(), "host_key", &["-t", "ed25519"]);
        }
        let public = fs::read_to_string(at("host_key.pub")).expect("host key");
        let known = format!("[{address}]:{port} {public}");
        fs::write(at("known_hosts"), known).expect("known_hosts");
        let lines = lines.replace("{DIR}", &dir.path().display().to_string());
        let config = format!(
            "{lines}\nListenAddress {}\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nStrictModes no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n\
             UseDNS no\nMaxStartups 500\nLogLevel VERBOSE\n",
            place(address, port),
            at("host_key"),
            at("authorized_keys"),
        );
        fs::write(at("sshd_config"), config).expect("sshd_config");
        let hash = Program::new("openssl")
            .args(["passwd", "-6", PASSWORD])
            .output()
            .expect("openssl passwd")
            .stdout;
        let hash = String::from_utf8(hash).expect("text");
        let shadow = fs::read_to_string("/etc/shadow").expect("shadow");
        let others = shadow.lines().filter(|line| !line.starts_with("root:"));
        let shadow: Vec<&str> = others.collect();
        let shadow = format!(
            "root:{}:19000:0:99999:7:::\n{}\n",
            hash.trim(),
            shadow.join("\n")
        );
        fs::write(at("shadow"), shadow).expect("shadow");
        let script = "mount --bind \"$1\" /etc/shadow && mount -t tmpfs -o mode=755 none /run && mkdir /run/sshd \
             && exec \"$2\" -D -e -f \"$3\"";
        let log = fs::File::create(at("log")).expect("log");
        let child = Program::new("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "/bin/sh",
                "-c",
                script,
                "sh",
            ])
            .args([at("shadow"), sshd.display().to_string(), at("sshd_config")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("unshare");
        let mut started = Self {
            dir,
            port,
            address,
            child,
        };
        while TcpStream::connect((address, port)).is_err() {
            let ended = started.child.try_wait().expect("wait");
            assert!(ended.is_none(), "sshd ended: {}", started.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(started)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// Lets these public keys in.
    fn authorize(&self, names: &[&str]) {
        let keys = names
            .iter()
            .map(|name| fs::read_to_string(self.at(&format!("{name}.pub"))).expect("public key"));
        fs::write(self.at("authorized_keys"), keys.collect::<String>()).expect("authorized_keys");
    }

    /// A client of it, which calls it `n` (and `n1`, `n2` and so on) and has no key yet.
    fn client(&self) -> Client {
        let config = format!(
            "Host n*\n HostName {}\n Port {}\n User root\n UserKnownHostsFile {}\n \
             GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking yes\n IdentityAgent none\n",
            self.address,
            self.port,
            self.at("known_hosts").display()
        );
        let file = self.at("ssh_config");
        fs::write(&file, config).expect("ssh_config");
        Client::new(file)
    }

    /// A client with key files.
    fn client_with(&self, keys: &[&str]) -> Client {
        keys.iter().fold(self.client(), |client, key| {
            client.option(format!("IdentityFile={}", self.at(key).display()))
        })
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keygen(folder: &Path, name: &str, args: &[&str]) {
    let status = Program::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", name])
        .args(args)
        .arg("-f")
        .arg(folder.join(name))
        .stdin(Stdio::null())
        .status();
    assert!(status.expect("ssh-keygen").success(), "ssh-keygen failed");
}

fn place(address: &str, port: u16) -> String {
    match address.contains(':') {
        true => format!("[{address}]:{port}"),
        false => format!("{address}:{port}"),
    }
}
