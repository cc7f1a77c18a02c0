//! Streams to sockets on the node: forwarded by the SSH server, or by a helper program there.
//!
//! When the server refuses to forward it does not say why, so one command on the same connection looks at the
//! socket and becomes the helper if there is nothing wrong with it.

use std::collections::HashSet;
use std::io::Cursor;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;
use russh::{ChannelMsg, ChannelOpenFailure};
use tokio::io::AsyncReadExt;

use super::Shared;
use super::connect::Connection;
use super::errors::{self, printable};
use crate::event::{ErrorCode, Failure};
use crate::plan::NodeName;
use crate::transport::{Command, Duplex, Endpoint};

/// How a socket on the node is reached (`--via`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Via {
    /// Forwarded by the SSH server; else by what the node has.
    #[default]
    Auto,
    /// Forwarded by the SSH server, or not at all.
    Streamlocal,
    /// By socat on the node.
    Socat,
    /// By a netcat that knows unix sockets.
    Nc,
    /// By this command on the node, `%s` standing for the socket.
    Command(String),
}

impl FromStr for Via {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "auto" => Self::Auto,
            "streamlocal" => Self::Streamlocal,
            "socat" => Self::Socat,
            "nc" => Self::Nc,
            _ => match text.strip_prefix("command:") {
                Some(command) if !command.trim().is_empty() => Self::Command(command.to_owned()),
                _ => {
                    return Err(format!(
                        "bad way to reach a socket `{text}`: expected auto, streamlocal, socat, nc or command:TEXT"
                    ));
                }
            },
        })
    }
}

/// The hosts whose SSH server does not forward to sockets, so that they are asked once.
#[derive(Debug, Default)]
pub(super) struct Unforwarded(Mutex<HashSet<NodeName>>);

impl Unforwarded {
    fn has(&self, node: &NodeName) -> bool {
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.contains(node)
    }

    fn add(&self, node: &NodeName) {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.insert(node.clone());
    }
}

/// What the helper says once it is connected; what a login script printed before is passed over.
const READY: &[u8] = b"hash-socket-ready\n";

/// So much may come before that line.
const CHATTER: usize = 16 * 1024;

/// Exit statuses of the diagnosis.
mod found {
    pub(super) const MISSING: u32 = 91;
    pub(super) const NO_SOCKET: u32 = 92;
    pub(super) const DENIED: u32 = 93;
    pub(super) const NOBODY: u32 = 94;
    pub(super) const NO_HELPER: u32 = 95;
}

// One line each and without single quotes, so that every login shell passes them on to sh as they are.

const LOOK: &str = r#"[ -e "$1" ] || { d=${1%/*}; [ -d "$d" ] && [ ! -x "$d" ] && exit 93; exit 91; }; [ -S "$1" ] || exit 92; [ -w "$1" ] || exit 93; "#;

const SOCAT: &str = r#"if command -v socat >/dev/null 2>&1; then socat -u OPEN:/dev/null "$3" 2>/dev/null || exit 94; echo hash-socket-ready; exec socat -t 0.1 STDIN,ignoreeof!!STDOUT "$3"; fi; "#;

const NC_UNIX: &str = r#"if nc -h 2>&1 | grep -q -e -U; then nc -z -U "$1" </dev/null >/dev/null 2>&1 || exit 94; echo hash-socket-ready; exec nc -U "$1"; fi; "#;

const NC_TCP: &str = r#"if command -v nc >/dev/null 2>&1; then nc -z "$1" "$2" </dev/null >/dev/null 2>&1 || exit 94; echo hash-socket-ready; exec nc "$1" "$2"; fi; "#;

const PYTHON_UNIX: &str = r#"if command -v python3 >/dev/null 2>&1; then exec python3 -c "import os,socket,sys,threading as t;s=socket.socket(socket.AF_UNIX);r=s.connect_ex(sys.argv[1]);r and sys.exit(93 if r==13 else 94);"#;

const PYTHON_TCP: &str = r#"if command -v python3 >/dev/null 2>&1; then python3 -c "import socket,sys;socket.create_connection(sys.argv[1:3])" "$1" "$2" 2>/dev/null || exit 94; exec python3 -c "import os,socket,sys,threading as t;s=socket.create_connection(sys.argv[1:3]);"#;

const PYTHON_PUMP: &str = r#"print(\"hash-socket-ready\",flush=True);t.Thread(target=lambda:([s.sendall(b) for b in iter(lambda:os.read(0,65536),b\"\")],s.shutdown(1)),daemon=True).start();[os.write(1,b) for b in iter(lambda:s.recv(65536),b\"\")]" "$1" "$2"; fi; "#;

const NONE_LEFT: &str = "exit 95";

/// Opens a stream to a socket as the node sees it.
pub(super) async fn open(
    shared: &Shared,
    connection: &Connection,
    endpoint: &Endpoint,
) -> Result<Box<dyn Duplex>, Failure> {
    let node = &connection.target.node;
    match &shared.settings.via {
        Via::Auto if !shared.unforwarded.has(node) => {
            match forwarded(connection, endpoint).await? {
                Ok(stream) => Ok(stream),
                Err(why) => {
                    let stream = helped(connection, endpoint, None, Some(&why)).await?;
                    // It was not the socket's fault then.
                    shared.unforwarded.add(node);
                    Ok(stream)
                }
            }
        }
        Via::Auto => helped(connection, endpoint, None, None).await,
        Via::Streamlocal => match forwarded(connection, endpoint).await? {
            Ok(stream) => Ok(stream),
            Err(why) => Err(Failure::new(
                ErrorCode::Socket,
                format!(
                    "server does not forward to {endpoint} ({})",
                    errors::refusal(&why)
                ),
            )),
        },
        via @ (Via::Socat | Via::Nc) => helped(connection, endpoint, Some(via), None).await,
        Via::Command(template) => {
            let line = template.replace("%s", &quote(&endpoint_text(endpoint)));
            let command = Command {
                line,
                ..Command::default()
            };
            let channel = connection.start(&command).await?;
            Ok(Box::new(channel.into_stream()))
        }
    }
}

/// The server forwards, or says that it does not.
async fn forwarded(
    connection: &Connection,
    endpoint: &Endpoint,
) -> Result<Result<Box<dyn Duplex>, ChannelOpenFailure>, Failure> {
    let handle = &connection.handle;
    let opened = match endpoint {
        Endpoint::Unix(path) => handle.channel_open_direct_streamlocal(path).await,
        Endpoint::Tcp { host, port } => {
            handle
                .channel_open_direct_tcpip(host, u32::from(*port), "127.0.0.1", 0)
                .await
        }
    };
    match opened {
        Ok(channel) => Ok(Ok(Box::new(channel.into_stream()))),
        Err(russh::Error::ChannelOpenFailure(why)) => Ok(Err(why)),
        Err(_) => Err(errors::lost(&connection.link)),
    }
}

/// A helper forwards, or its diagnosis says what is wrong with the socket.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most messages mean nothing here"
)]
async fn helped(
    connection: &Connection,
    endpoint: &Endpoint,
    only: Option<&Via>,
    refused: Option<&ChannelOpenFailure>,
) -> Result<Box<dyn Duplex>, Failure> {
    let command = Command {
        line: script(endpoint, only),
        ..Command::default()
    };
    let mut channel = connection.start(&command).await?;
    let mut said = BytesMut::new();
    let mut complaint = Vec::new();
    let mut status = None;
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                said.extend_from_slice(&data);
                if let Some(at) = said.windows(READY.len()).position(|part| part == READY) {
                    let rest = said.split_off(at + READY.len());
                    let (read, write) = tokio::io::split(channel.into_stream());
                    let read = Cursor::new(rest).chain(read);
                    return Ok(Box::new(tokio::io::join(read, write)));
                }
                if said.len() > CHATTER {
                    break;
                }
            }
            ChannelMsg::ExtendedData { data, .. } if complaint.len() < CHATTER => {
                complaint.extend_from_slice(&data);
            }
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            ChannelMsg::Failure => {
                return Err(Failure::new(
                    ErrorCode::ExecRefused,
                    format!("server neither forwards to {endpoint} nor runs commands"),
                ));
            }
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    let _ = channel.close().await;
    if connection.handle.is_closed() {
        return Err(errors::lost(&connection.link));
    }
    let user = &connection.target.settings.user;
    let helper = match only {
        Some(Via::Socat) => "socat",
        Some(Via::Nc) => "nc that knows unix sockets",
        _ => "socat, nc or python3",
    };
    Err(match status {
        Some(found::MISSING) => {
            Failure::new(ErrorCode::Socket, format!("no socket {endpoint}: missing"))
        }
        Some(found::NO_SOCKET) => {
            Failure::new(ErrorCode::Socket, format!("{endpoint} is not a socket"))
        }
        Some(found::DENIED) => Failure::new(
            ErrorCode::Permission,
            format!("permission denied: {user} may not use {endpoint}"),
        ),
        Some(found::NOBODY) => {
            Failure::new(ErrorCode::Socket, format!("nobody listens on {endpoint}"))
        }
        Some(found::NO_HELPER) => Failure::new(
            ErrorCode::Socket,
            match refused {
                Some(_) => format!(
                    "cannot reach {endpoint}: the server does not forward to it and has no {helper}"
                ),
                None => format!("cannot reach {endpoint}: no {helper} there"),
            },
        ),
        // No shell, or one that runs nothing, such as nologin.
        _ => {
            said.extend_from_slice(b" ");
            said.extend_from_slice(&complaint);
            let said = printable(&said, 160);
            let refused = refused.map(errors::refusal);
            let refused = refused.unwrap_or_else(|| "not asked to forward".into());
            Failure::new(
                ErrorCode::Socket,
                format!("cannot reach {endpoint} ({refused}), nor look why: {said}"),
            )
        }
    })
}

/// The diagnosis and the helpers, as a command for any login shell.
fn script(endpoint: &Endpoint, only: Option<&Via>) -> String {
    let unix = matches!(endpoint, Endpoint::Unix(_));
    let mut script = String::from(if unix { LOOK } else { "" });
    if !matches!(only, Some(Via::Nc)) {
        script.push_str(SOCAT);
    }
    if !matches!(only, Some(Via::Socat)) {
        script.push_str(if unix { NC_UNIX } else { NC_TCP });
    }
    if only.is_none() {
        script.push_str(if unix { PYTHON_UNIX } else { PYTHON_TCP });
        script.push_str(PYTHON_PUMP);
    }
    script.push_str(NONE_LEFT);
    let (first, second, socat) = match endpoint {
        Endpoint::Unix(path) => (
            path.clone(),
            String::new(),
            format!("UNIX-CONNECT:{}", escape_socat(path)),
        ),
        Endpoint::Tcp { host, port } => (
            host.clone(),
            port.to_string(),
            format!("TCP:{}", errors::place(host, *port)),
        ),
    };
    format!(
        "exec sh -c '{script}' sh {} {} {}",
        quote(&first),
        quote(&second),
        quote(&socat)
    )
}

/// What means something to socat's own address parser (socat(1), ADDRESS SPECIFICATIONS).
fn escape_socat(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if ",:!\"'\\()[]{}".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// One word for a shell, whatever shell it is.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn endpoint_text(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Unix(path) => path.clone(),
        Endpoint::Tcp { host, port } => errors::place(host, *port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_words() {
        assert_eq!("auto".parse(), Ok(Via::Auto));
        assert_eq!("nc".parse(), Ok(Via::Nc));
        let command = "command:sudo socat - UNIX:%s";
        assert_eq!(
            command.parse(),
            Ok(Via::Command("sudo socat - UNIX:%s".into()))
        );
        assert!("command: ".parse::<Via>().is_err());
        assert!("socket".parse::<Via>().is_err());
    }

    #[test]
    fn scripts_are_one_line_and_hold_no_quote_that_ends_them() {
        for endpoint in [
            Endpoint::Unix("/run/x.sock".into()),
            Endpoint::Tcp {
                host: "::1".into(),
                port: 9999,
            },
        ] {
            for only in [None, Some(&Via::Socat), Some(&Via::Nc)] {
                let line = script(&endpoint, only);
                let inner = line.strip_prefix("exec sh -c '").unwrap();
                let end = inner.find('\'').unwrap();
                assert!(inner[end..].starts_with("' sh '"), "{line}");
                assert!(!line.contains('\n'));
            }
        }
    }

    /// What the diagnosis finds, run by this machine's shell, as somebody who is not root.
    fn look(path: &std::path::Path) -> Option<i32> {
        let line = script(&Endpoint::Unix(path.display().to_string()), None);
        let shell = ["sh", "-c", &line];
        let argv = match rustix::process::geteuid().is_root() {
            true => [&["setpriv", "--reuid=65534", "--clear-groups"][..], &shell].concat(),
            false => shell.to_vec(),
        };
        let status = std::process::Command::new(argv[0])
            .args(&argv[1..])
            .stdin(std::process::Stdio::null())
            .status();
        status.unwrap().code()
    }

    #[test]
    fn the_diagnosis_tells_the_causes_apart() {
        use std::fs::{Permissions, create_dir, set_permissions, write};
        use std::os::unix::fs::PermissionsExt;
        use std::os::unix::net::UnixListener;

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mode = |name: &str, mode| set_permissions(at(name), Permissions::from_mode(mode));
        set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        write(at("file"), "").unwrap();
        drop(UnixListener::bind(at("dead")).unwrap());
        let _alive = UnixListener::bind(at("closed")).unwrap();
        create_dir(at("private")).unwrap();
        mode("dead", 0o777).unwrap();
        mode("closed", 0o000).unwrap();
        mode("private", 0o000).unwrap();
        let found = |name: &str| look(&at(name)).map(|status| status as u32);
        assert_eq!(found("none"), Some(found::MISSING));
        assert_eq!(found("file"), Some(found::NO_SOCKET));
        assert_eq!(found("closed"), Some(found::DENIED));
        assert_eq!(found("private/x"), Some(found::DENIED));
        assert_eq!(found("dead"), Some(found::NOBODY));
        mode("private", 0o700).unwrap();
    }

    #[test]
    fn paths_cannot_leave_their_quotes() {
        assert_eq!(quote("a'b"), r"'a'\''b'");
        assert_eq!(escape_socat("/run/a,b:c"), r"/run/a\,b\:c");
    }
}
