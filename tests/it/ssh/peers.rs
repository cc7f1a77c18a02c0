//! Peers that misbehave, on loopback: each ends in its own failure, in time, and leaves nothing behind.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hapsh::event::{ErrorCode, Event, Failure, NodeId, Outcome, Stop};
use hapsh::plan::{Limits, NodeName};
use hapsh::transport::ssh::Native;
use hapsh::transport::{NodeIo, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{Client, Sshd, connect, exec, keygen, on_loop, run, sh};
use crate::lab::Lab;

/// What a peer does with a connection.
#[derive(Debug, Clone, Copy)]
enum Does {
    /// Says this, then waits until we hang up.
    Says(&'static [u8]),
    /// Says this and hangs up.
    Ends(&'static [u8]),
    /// Says lines for ever.
    Babbles,
    /// Hangs up with a reset.
    Resets,
    /// Hangs up so many times with this text, then is a wire to the address.
    Sheds(usize, &'static [u8], SocketAddr),
}

/// A peer, and how many connections to it are open.
struct Peer {
    address: SocketAddr,
    came: Arc<AtomicUsize>,
    open: watch::Receiver<usize>,
    most: Arc<Mutex<usize>>,
    _tasks: JoinSet<()>,
}

impl Peer {
    async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let came = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(Mutex::new(0));
        let (count, open) = watch::channel(0);
        let mut tasks = JoinSet::new();
        let (seen, top) = (Arc::clone(&came), Arc::clone(&most));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            let count = Arc::new(count);
            while let Ok((stream, _)) = listener.accept().await {
                let before = seen.fetch_add(1, Ordering::Relaxed);
                let count = Arc::clone(&count);
                count.send_modify(|open| *open += 1);
                let mut top = top.lock().expect("most");
                *top = (*top).max(*count.borrow());
                connections.spawn(async move {
                    serve(stream, does, before).await;
                    count.send_modify(|open| *open -= 1);
                });
            }
        });
        Self {
            address,
            came,
            open,
            most,
            _tasks: tasks,
        }
    }

    fn client(&self, folder: &std::path::Path) -> Client {
        let config = folder.join("peer_config");
        let (ip, port) = (self.address.ip(), self.address.port());
        let text = format!(
            "Host *\n HostName {ip}\n Port {port}\n IdentityAgent none\n StrictHostKeyChecking yes\n"
        );
        fs::write(&config, text).expect("config");
        Client::new(config)
    }

    /// Waits until we have hung up on it everywhere.
    async fn is_left(&mut self) {
        let _ = self.open.wait_for(|open| *open == 0).await.expect("peer");
    }
}

async fn serve(mut stream: TcpStream, does: Does, before: usize) {
    match does {
        Does::Says(text) => {
            let _ = stream.write_all(text).await;
            let mut room = [0; 4096];
            while stream.read(&mut room).await.is_ok_and(|got| got > 0) {}
        }
        Does::Ends(text) => {
            let _ = stream.write_all(text).await;
        }
        Does::Babbles => while stream.write_all(b"there is more\r\n").await.is_ok() {},
        Does::Resets => {
            // Closing with something unread sends a reset.
            let _ = stream.readable().await;
        }
        Does::Sheds(times, text, _) if before < times => {
            let _ = stream.write_all(text).await;
        }
        Does::Sheds(_, _, to) => {
            if let Ok(mut other) = TcpStream::connect(to).await {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut other).await;
            }
        }
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("hp.")
        .tempdir_in("/tmp")
        .expect("folder")
}

const SHORT: Limits = Limits {
    connect: Some(Duration::from_millis(300)),
    authenticate: Some(Duration::from_millis(300)),
    idle: None,
    command: None,
    deadline: None,
};

async fn fails(native: &Native, limits: &Limits) -> Failure {
    let node = NodeName::from("n");
    let failure = native.connect(&node, limits).await.err();
    failure.expect("a failure")
}

/// A version line, and a key exchange that says it will be longer.
const STALLED: &[u8] = b"SSH-2.0-OpenSSH_9.2\r\n\x00\x00\x05\xdc\x06\x14";

#[test]
fn every_misbehaviour_has_its_own_failure() {
    on_loop(async {
        let folder = folder();
        let idle = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        for (does, code, text) in [
            (Does::Says(b""), ErrorCode::HandshakeTimeout, "no banner"),
            (
                Does::Says(b"SSH-2.0-Op"),
                ErrorCode::HandshakeTimeout,
                "got: SSH-2.0-Op",
            ),
            (
                Does::Says(b"SSH-2.0-OpenSSH_9.2\r\n"),
                ErrorCode::HandshakeTimeout,
                "no answer during SSH handshake after 0.3s",
            ),
            (
                Does::Says(STALLED),
                ErrorCode::HandshakeTimeout,
                "no answer during SSH handshake",
            ),
            (
                Does::Says(b"220 mail ESMTP\r\n"),
                ErrorCode::HandshakeTimeout,
                "got: 220 mail ESMTP",
            ),
            (
                Does::Ends(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
                ErrorCode::NotSsh,
                "got: HTTP/1.1 400 Bad Request",
            ),
            (Does::Babbles, ErrorCode::NotSsh, "got: there is more"),
            (
                Does::Ends(b"SSH-1.5-old\r\n"),
                ErrorCode::NotSsh,
                "got: SSH-1.5-old",
            ),
            (
                Does::Says(b"SSH-2.0-x\r\n\xff\xff\xff\xff\xff"),
                ErrorCode::Protocol,
                "protocol error: bad packet size",
            ),
            (
                Does::Ends(b"SSH-2.0-x\r\n"),
                ErrorCode::Protocol,
                "connection closed during SSH handshake",
            ),
        ] {
            let mut peer = Peer::start(does).await;
            let native = peer.client(folder.path()).build();
            let failure = fails(&native, &SHORT).await;
            assert_eq!(failure.code, code, "{does:?}: {failure}");
            assert!(failure.message.contains(text), "{does:?}: {failure}");
            peer.is_left().await;
            assert_eq!(
                peer.came.load(Ordering::Relaxed),
                1,
                "{does:?} is not tried again"
            );
            drop(peer);
            // No task of a connection lives on: only those of this runtime's own making may.
            while tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
                > idle
            {
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn what_is_closed_before_the_banner_is_tried_again() {
    let Some(sshd) = Sshd::start("") else { return };
    keygen(sshd.dir.path(), "key", &["-t", "ed25519"]);
    sshd.authorize(&["key"]);
    let to = SocketAddr::from(([127, 0, 0, 1], sshd.port));
    on_loop(async {
        let folder = folder();
        let long = super::LIMITS;
        let key = format!("IdentityFile={}", sshd.at("key").display());
        let hosts = format!("UserKnownHostsFile={}", sshd.at("known_hosts").display());
        let alias = format!("HostKeyAlias=[127.0.0.1]:{}", sshd.port);
        for text in [&b"Exceeded MaxStartups\r\n"[..], b""] {
            let peer = Peer::start(Does::Sheds(3, text, to)).await;
            let client = peer.client(folder.path());
            let client = [&key, &hosts, &alias, &"User=root".to_owned()]
                .into_iter()
                .fold(client, |client, option| client.option(option));
            assert_eq!(
                run(&client.build(), "n", "echo in").await.unwrap().out,
                "in\n"
            );
            assert_eq!(peer.came.load(Ordering::Relaxed), 4);
        }
        for (does, code, text) in [
            (
                Does::Ends(b"Exceeded MaxStartups\r\n"),
                ErrorCode::MaxStartups,
                "sshd refuses more connections (MaxStartups); tried 4 times",
            ),
            (
                Does::Ends(b"Not allowed at this time\r\n"),
                ErrorCode::MaxStartups,
                "(MaxStartups)",
            ),
            (
                Does::Ends(b""),
                ErrorCode::Closed,
                "connection closed before the SSH banner",
            ),
            (
                Does::Resets,
                ErrorCode::Closed,
                "connection closed before the SSH banner",
            ),
        ] {
            let mut peer = Peer::start(does).await;
            let failure = fails(&peer.client(folder.path()).build(), &long).await;
            assert_eq!(failure.code, code, "{does:?}: {failure}");
            assert!(failure.message.contains(text), "{does:?}: {failure}");
            assert_eq!(peer.came.load(Ordering::Relaxed), 4, "{does:?}");
            peer.is_left().await;
        }
    });
}

#[test]
fn dropping_a_connect_leaves_no_socket_and_no_task() {
    on_loop(async {
        let folder = folder();
        let tasks = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        for text in [&b""[..], b"SSH-2.0-OpenSSH_9.2\r\n", STALLED] {
            let mut peer = Peer::start(Does::Says(text)).await;
            let native = peer.client(folder.path()).build();
            let node = NodeName::from("n");
            for _ in 0..5 {
                let mut connecting = Box::pin(native.connect(&node, &super::LIMITS));
                let mut open = peer.open.clone();
                tokio::select! {
                    _ = &mut connecting => panic!("connected"),
                    there = open.wait_for(|open| *open == 1) => drop(there.expect("peer")),
                }
                // Let it come to where it hangs.
                for _ in 0..100 {
                    tokio::select! {
                        biased;
                        _ = &mut connecting => panic!("connected"),
                        () = tokio::task::yield_now() => {}
                    }
                }
                drop(connecting);
                peer.is_left().await;
            }
            drop(peer);
            while tasks() > 0 {
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn a_silent_login_has_a_limit_too() {
    let Some(sshd) = Sshd::start("") else { return };
    keygen(sshd.dir.path(), "key", &["-t", "ed25519"]);
    sshd.authorize(&["key"]);
    on_loop(async {
        // An agent that takes the question and says nothing stands for all that may hang here.
        let path = sshd.at("mute");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let mut tasks = JoinSet::new();
        let key = fs::read_to_string(sshd.at("key.pub")).unwrap();
        let blob = russh::keys::PublicKey::from_openssh(&key)
            .unwrap()
            .to_bytes()
            .unwrap();
        tasks.spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 5];
                stream.read_exact(&mut request).await.unwrap();
                let mut answer = vec![12];
                answer.extend(1u32.to_be_bytes());
                answer.extend(u32::try_from(blob.len()).unwrap().to_be_bytes());
                answer.extend(&blob);
                answer.extend(0u32.to_be_bytes());
                let length = u32::try_from(answer.len()).unwrap().to_be_bytes();
                stream
                    .write_all(&[&length[..], &answer].concat())
                    .await
                    .unwrap();
                held.push(stream);
            }
        });
        let client = sshd
            .client()
            .option(format!("IdentityAgent={}", path.display()));
        let limits = Limits {
            authenticate: SHORT.authenticate,
            ..super::LIMITS
        };
        let failure = fails(&client.build(), &limits).await;
        assert_eq!(failure.code, ErrorCode::HandshakeTimeout, "{failure}");
        assert_eq!(
            failure.message,
            "no answer during authentication after 0.3s"
        );
    });
}

#[test]
fn at_most_eight_handshakes_stand_at_one_peer() {
    on_loop(async {
        let folder = folder();
        let peer = Peer::start(Does::Says(b"")).await;
        let native = Arc::new(peer.client(folder.path()).build());
        let mut nodes = JoinSet::new();
        for n in 0..20 {
            let native = Arc::clone(&native);
            nodes.spawn(async move {
                let node = NodeName::from(format!("n{n}"));
                native
                    .connect(&node, &SHORT)
                    .await
                    .err()
                    .expect("a failure")
                    .code
            });
        }
        while let Some(code) = nodes.join_next().await {
            assert_eq!(code.unwrap(), ErrorCode::HandshakeTimeout);
        }
        assert_eq!(peer.came.load(Ordering::Relaxed), 20);
        assert_eq!(*peer.most.lock().unwrap(), 8);
    });
}

#[test]
fn sessions_and_commands_may_be_refused() {
    let Some(lab) = Lab::builder(1)
        .without_haproxy()
        .sshd("lb1", "MaxSessions 0")
        .start()
    else {
        return;
    };
    on_loop(async {
        let native = Client::of(&lab).build();
        let mut session = connect(&native, "lb1").await.expect("connected");
        let ran = exec(session.as_mut(), &sh("true")).await;
        let Outcome::Failed(failure) = ran.outcome else {
            panic!("{ran:?}")
        };
        assert_eq!(failure.code, ErrorCode::SessionRefused, "{failure}");
    });
}

#[test]
fn a_connection_lost_while_a_command_runs_is_no_success() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    on_loop(async {
        let native = Client::of(&lab).build();
        let mut session = connect(&native, "lb1").await.expect("connected");
        // The command kills the process that serves our connection.
        let ran = exec(session.as_mut(), &sh("kill -9 $PPID; sleep 60")).await;
        let Outcome::Failed(failure) = ran.outcome else {
            panic!("{ran:?}")
        };
        assert_eq!(failure.code, ErrorCode::Lost, "{failure}");
        assert!(
            failure
                .message
                .ends_with("; the command may still be running"),
            "{failure}"
        );
        let ran = exec(session.as_mut(), &sh("true")).await;
        let Outcome::Failed(failure) = ran.outcome else {
            panic!("{ran:?}")
        };
        assert_eq!(failure.code, ErrorCode::Lost, "{failure}");
    });
}

/// Runs a command that is stopped once it has said something.
async fn stopped(native: &Native, line: &str, levels: &[Stop]) -> Outcome {
    let mut session = connect(native, "lb1").await.expect("connected");
    let (events, mut output) = mpsc::channel(8);
    let (stop, stops) = watch::channel(Stop::No);
    let mut io = NodeIo::new(NodeId(0), events, stops);
    let command = sh(line);
    let running = async {
        let outcome = session.exec(&command, &mut io).await;
        drop(io);
        outcome
    };
    let stopping = async {
        let first = output.recv().await;
        assert!(matches!(first, Some(Event::Output { .. })), "{first:?}");
        for level in levels {
            stop.send_replace(*level);
        }
        while output.recv().await.is_some() {}
    };
    tokio::join!(running, stopping).0
}

#[test]
fn stopping_interrupts_and_then_lets_go() {
    let Some(lab) = Lab::sshd_only(1) else { return };
    on_loop(async {
        let native = Client::of(&lab).build();
        // sshd signals nothing that belongs to root, so the command outlives its graces.
        for line in ["echo started; sleep 60", "yes"] {
            let Outcome::Failed(failure) = stopped(&native, line, &[Stop::Terminate]).await else {
                panic!("{line} ended");
            };
            assert_eq!(failure.code, ErrorCode::Stopped, "{failure}");
            assert!(
                failure.message.contains("may still be running"),
                "{failure}"
            );
        }
        let killed = stopped(
            &native,
            "echo started; sleep 60",
            &[Stop::Terminate, Stop::Kill],
        )
        .await;
        assert!(matches!(killed, Outcome::Failed(failure) if failure.code == ErrorCode::Stopped));
        // One that ends by itself within its grace keeps its own status.
        let ended = stopped(
            &native,
            "echo started; sleep 0.2; exit 4",
            &[Stop::Terminate],
        )
        .await;
        assert_eq!(ended, Outcome::Exited { status: 4 });
    });
}
