//! Commands and sockets on a node.

use std::path::{Path, PathBuf};

use hapsh::event::{ErrorCode, Failure, Outcome};
use hapsh::transport::Via;
use hapsh::transport::{Command, Endpoint, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Client, connect, exec, on_loop, sh};
use crate::lab::Lab;

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
            stdin: Some(input.clone().into()),
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
            stdin: Some(input.into()),
            ..sh("exit 3")
        };
        let ran = exec(session.as_mut(), &command).await;
        assert_eq!(ran.outcome, Outcome::Exited { status: 3 });

        let command = Command {
            pty: true,
            ..sh("test -t 1 && echo terminal")
        };
        let ran = exec(session.as_mut(), &command).await;
        assert_eq!(ran.out, "terminal\n");
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
