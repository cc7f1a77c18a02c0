//! Programs on the node that relay to a socket there, and the diagnosis when there is something wrong with it.
//!
//! One command line for any login shell: it looks at the socket and becomes the first helper that the node has.

use std::str::FromStr;

use super::Endpoint;
use crate::event::{ErrorCode, Failure};

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

/// What the helper says once it is connected; what a login script printed before is passed over.
pub(super) const READY: &[u8] = b"hash-socket-ready\n";

/// So much may come before that line.
pub(super) const CHATTER: usize = 16 * 1024;

/// What the diagnosis finds wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    Missing = 91,
    NoSocket = 92,
    Denied = 93,
    Nobody = 94,
    NoHelper = 95,
}

impl Finding {
    /// The meaning of the script's exit status, if it is one of its own.
    pub(super) fn from_status(status: u32) -> Option<Self> {
        let all = [
            Self::Missing,
            Self::NoSocket,
            Self::Denied,
            Self::Nobody,
            Self::NoHelper,
        ];
        all.into_iter().find(|finding| *finding as u32 == status)
    }

    /// The finding for the user. `refused` says that the server was asked to forward first.
    pub(super) fn failure(
        self,
        endpoint: &Endpoint,
        user: &str,
        only: Option<&Via>,
        refused: bool,
    ) -> Failure {
        let helper = match only {
            Some(Via::Socat) => "socat",
            Some(Via::Nc) => "nc that knows unix sockets",
            Some(Via::Auto | Via::Streamlocal | Via::Command(_)) | None => "socat, nc or python3",
        };
        let text = match self {
            Self::Missing => format!("no socket {endpoint}: missing"),
            Self::NoSocket => format!("{endpoint} is not a socket"),
            Self::Denied => {
                let text = format!("permission denied: {user} may not use {endpoint}");
                return Failure::new(ErrorCode::Permission, text);
            }
            Self::Nobody => format!("nobody listens on {endpoint}"),
            Self::NoHelper if refused => format!(
                "cannot reach {endpoint}: the server does not forward to it and has no {helper}"
            ),
            Self::NoHelper => format!("cannot reach {endpoint}: no {helper} there"),
        };
        Failure::new(ErrorCode::Socket, text)
    }
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

/// The diagnosis and the helpers, as a command for any login shell.
pub(super) fn script(endpoint: &Endpoint, only: Option<&Via>) -> String {
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
            format!("TCP:{}", text(endpoint)),
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

/// The endpoint for a program: a path, or host and port.
fn text(endpoint: &Endpoint) -> String {
    let text = endpoint.to_string();
    text.strip_prefix("tcp:").unwrap_or(&text).to_owned()
}

/// A command of the user's with the socket in it.
pub(super) fn fill_in(template: &str, endpoint: &Endpoint) -> String {
    template.replace("%s", &quote(&text(endpoint)))
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
        let found =
            |name: &str| look(&at(name)).and_then(|status| Finding::from_status(status as u32));
        assert_eq!(found("none"), Some(Finding::Missing));
        assert_eq!(found("file"), Some(Finding::NoSocket));
        assert_eq!(found("closed"), Some(Finding::Denied));
        assert_eq!(found("private/x"), Some(Finding::Denied));
        assert_eq!(found("dead"), Some(Finding::Nobody));
        mode("private", 0o700).unwrap();
    }

    #[test]
    fn paths_cannot_leave_their_quotes() {
        assert_eq!(quote("a'b"), r"'a'\''b'");
        assert_eq!(escape_socat("/run/a,b:c"), r"/run/a\,b\:c");
    }
}
