//! The native SSH transport against real sshd, a real agent, and peers that misbehave.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hapsh::event::{ErrorCode, Event, Failure, NodeId, Outcome, Stop, Stream};
use hapsh::plan::{Limits, NodeName};
use hapsh::prompt::{Nobody, Prompter};
use hapsh::transport::ssh::user_config::{ConfigFile, Facts, Options};
use hapsh::transport::ssh::{Native, Settings, Via};
use hapsh::transport::{Command, Endpoint, NodeIo, Session, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};

use crate::lab::Lab;

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
    user: Option<String>,
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
            user: None,
            prompter: Arc::new(Nobody),
        }
    }

    fn option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
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

#[test]
fn commands_have_output_input_and_a_status() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    let client = Client::of(&lab);
    on_loop(async {
        let native = client.build();
        let mut session = connect(&native, "lb1").await.expect("connected");
        let ran = exec(session.as_mut(), &sh("echo out; echo err >&2; exit 7")).await;
        assert_eq!(ran.outcome, Outcome::Exited { status: 7 });
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("out\n", "err\n"));

        // More than a window in both directions, and the input is closed behind it.
        let input: Vec<u8> = (0..3_000_000u32).map(|n| b'a' + (n % 26) as u8).collect();
        let command = Command {
            stdin: Some(Bytes::from(input.clone())),
            ..sh("cat; echo done >&2")
        };
        let ran = exec(session.as_mut(), &command).await;
        assert_eq!(ran.outcome, Outcome::OK);
        assert!(ran.out.as_bytes() == input, "{} bytes", ran.out.len());
        assert_eq!(ran.err, "done\n");

        // Without input there is an end of file at once.
        let ran = exec(session.as_mut(), &sh("cat; echo $((1 + 1))")).await;
        assert_eq!(ran.out, "2\n");

        let ran = exec(session.as_mut(), &sh("kill -TERM $$")).await;
        assert_eq!(
            ran.outcome,
            Outcome::Killed {
                signal: "TERM".into()
            }
        );
        assert_eq!(ran.outcome.status(), 143);

        // A command that does not read its input.
        let command = Command {
            stdin: Some(Bytes::from(input)),
            ..sh("exit 3")
        };
        let ran = exec(session.as_mut(), &command).await;
        assert_eq!(ran.outcome, Outcome::Exited { status: 3 });

        let command = Command {
            pty: true,
            ..sh("test -t 1 && echo terminal")
        };
        let ran = exec(session.as_mut(), &command).await;
        assert_eq!(ran.out, "terminal\r\n");
        session.close().await;
    });
}

/// A unix socket on "the node" that answers each line with itself twice, and closes.
struct Echo {
    path: PathBuf,
    _task: tokio::task::JoinHandle<()>,
}

impl Echo {
    fn start(folder: &Path) -> Self {
        let path = folder.join("echo.sock");
        let listener = tokio::net::UnixListener::bind(&path).expect("bind");
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut line = vec![0; 1024];
                    let got = stream.read(&mut line).await.unwrap_or(0);
                    let _ = stream.write_all(&line[..got]).await;
                    let _ = stream.write_all(&line[..got]).await;
                });
            }
        });
        Self { path, _task: task }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.path.display().to_string())
    }
}

async fn ask(session: &mut dyn Session, endpoint: &Endpoint) -> Result<String, Failure> {
    let mut stream = session.open(endpoint).await?;
    stream.write_all(b"hello\n").await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    Ok(answer)
}

#[test]
fn a_socket_is_reached_by_every_way() {
    let Some(lab) = Lab::builder(2)
        .no_streamlocal("lb2")
        .without_haproxy()
        .start()
    else {
        return;
    };
    on_loop(async {
        let echo = Echo::start(lab.dir());
        for (node, via) in [
            ("lb1", Via::Auto),
            ("lb1", Via::Streamlocal),
            ("lb1", Via::Socat),
            ("lb1", Via::Nc),
            ("lb1", Via::Command("socat - UNIX-CONNECT:%s".into())),
            ("lb2", Via::Auto),
        ] {
            let mut client = Client::of(&lab);
            client.via = via.clone();
            let native = client.build();
            let mut session = connect(&native, node).await.expect("connected");
            for _ in 0..2 {
                let answer = ask(session.as_mut(), &echo.endpoint()).await;
                assert_eq!(answer.as_deref(), Ok("hello\nhello\n"), "{node} {via:?}");
            }
            session.close().await;
        }
    });
}

#[test]
fn a_socket_that_cannot_be_reached_says_why() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    on_loop(async {
        let dead = lab.dir().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).expect("bind"));
        let client = Client::of(&lab);
        let native = client.build();
        let mut session = connect(&native, "lb1").await.expect("connected");
        for (path, text) in [
            (lab.dir().join("none"), "missing"),
            (lab.known_hosts(), "is not a socket"),
            (dead, "nobody listens"),
        ] {
            let endpoint = Endpoint::Unix(path.display().to_string());
            let failure = ask(session.as_mut(), &endpoint).await.unwrap_err();
            assert_eq!(failure.code, ErrorCode::Socket, "{failure}");
            assert!(failure.message.contains(text), "{failure}");
        }
        // The connection is as good as before.
        let ran = exec(session.as_mut(), &sh("echo here")).await;
        assert_eq!(ran.out, "here\n");
        session.close().await;
    });
}

#[test]
fn a_user_without_a_shell_is_told_what_the_shell_said() {
    let Some(lab) = Lab::builder(1)
        .without_haproxy()
        .unprivileged("lb1")
        .start()
    else {
        return;
    };
    if !rustix::process::geteuid().is_root() {
        return;
    }
    on_loop(async {
        let client = Client::of(&lab);
        let native = client.build();
        let mut session = connect(&native, "lb1").await.expect("connected");
        let endpoint = Endpoint::Unix("/none".into());
        let failure = ask(session.as_mut(), &endpoint).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::Socket, "{failure}");
        assert!(
            failure
                .message
                .contains("account is currently not available"),
            "{failure}"
        );
    });
}

#[test]
fn a_host_key_that_is_not_known_is_refused() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    on_loop(async {
        let client = Client::of(&lab).option("UserKnownHostsFile=/dev/null");
        let failure = run(&client.build(), "lb1", "true").await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::HostKey, "{failure}");
    });
}
