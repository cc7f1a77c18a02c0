//! Programs on the node that relay to a socket there, and the diagnosis when there is something wrong with it.
//!
//! One command line for any login shell: it looks at the socket and becomes the first helper that the node has.

use std::str::FromStr;
use std::time::Duration;

use tokio::time::sleep;

use super::pipe::{Ended, Pipe};
use super::{Duplex, Endpoint, Session};
use crate::event::{ErrorCode, Failure, Outcome};

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

/// What a helper says in front of its name once it is connected; what a login script printed before is passed over.
const READY: &[u8] = b"hash-socket-ready ";

/// So much may come before that line.
const CHATTER: usize = 16 * 1024;

/// How often a helper is begun that ends without a word and without a status: some servers (dropbear) lose a command that
/// comes at the heels of another one. Nothing was asked of HAProxy by then.
const TRIES: u32 = 4;

/// How long the server has for itself before the second try.
const PAUSE: Duration = Duration::from_millis(50);

/// What comes before the line of `ls` about a socket that may not be used.
const MODE: &str = "hash-socket-mode ";

/// A socket that is to be reached by a command on the node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) via: &'a Via,
    /// The user of the command.
    pub(super) user: &'a str,
    /// Whether that is another one than the one who logs in.
    pub(super) is_become: bool,
    /// Why the server does not forward, if it was asked to.
    pub(super) refused: Option<&'a str>,
}

/// A stream to a socket.
pub(super) struct Opened {
    pub(super) stream: Box<dyn Duplex>,
    /// The program on the node that relays.
    pub(super) by: String,
}

/// Opens a stream to a socket by a command of the session. A helper is connected when it is handed out; a command of the
/// user's own is taken at its word.
pub(super) async fn open(session: &mut dyn Session, wanted: Wanted<'_>) -> Result<Opened, Failure> {
    let (endpoint, via) = (wanted.endpoint, wanted.via);
    let only = match via {
        Via::Command(template) => {
            let name = format!("the command that reaches {endpoint} (--via)");
            let pipe = Pipe::start(session, &name, fill_in(template, endpoint));
            return Ok(Opened {
                stream: Box::new(pipe),
                by: "the command of --via".to_owned(),
            });
        }
        Via::Auto | Via::Streamlocal => None,
        Via::Socat | Via::Nc => Some(via),
    };
    let line = script(endpoint, only);
    let mut tries = 0;
    loop {
        let mut pipe = Pipe::start(session, "the helper", line.clone());
        let by = match pipe.skip_past(READY, CHATTER).await {
            Ok(()) => pipe.line(CHATTER).await,
            Err(ended) => Err(ended),
        };
        tries += 1;
        match by {
            Ok(by) => {
                return Ok(Opened {
                    stream: Box::new(pipe),
                    by,
                });
            }
            Err(ended) if ended.is_nothing() && tries < TRIES => sleep(PAUSE * tries).await,
            Err(ended) => return Err(wanted.failure(ended)),
        }
    }
}

impl Wanted<'_> {
    /// Why there is no stream.
    fn failure(&self, ended: Ended) -> Failure {
        let Self {
            endpoint, refused, ..
        } = self;
        let finding = match &ended.outcome {
            Outcome::Exited { status } => Finding::from_status(*status),
            Outcome::Killed { .. } => None,
            Outcome::Failed(failure)
                if failure.code == ErrorCode::ExecRefused && refused.is_some() =>
            {
                let text = format!("server neither forwards to {endpoint} nor runs commands");
                return Failure::new(ErrorCode::ExecRefused, text);
            }
            Outcome::Failed(failure) => return failure.clone(),
        };
        match finding {
            Some(finding) => self.found(finding, &ended.said),
            // No shell, or one that runs nothing, such as nologin.
            None => {
                let why = refused.unwrap_or("not asked to forward");
                let text = format!(
                    "cannot reach {endpoint} ({why}), nor look why: {}",
                    ended.said
                );
                Failure::new(ErrorCode::Socket, text)
            }
        }
    }

    /// The finding for the user.
    fn found(&self, finding: Finding, said: &str) -> Failure {
        let endpoint = self.endpoint;
        let helper = match self.via {
            Via::Socat => "socat",
            Via::Nc => "nc that knows unix sockets",
            Via::Auto | Via::Streamlocal | Via::Command(_) => "socat, nc, python3 or perl",
        };
        let text = match finding {
            Finding::Missing => format!("no socket {endpoint}: missing"),
            Finding::NoSocket => format!("{endpoint} is not a socket"),
            Finding::Denied => {
                return Failure::new(ErrorCode::Permission, self.denied(said));
            }
            Finding::Nobody => format!("nobody listens on {endpoint}"),
            Finding::NoHelper if self.refused.is_some() => format!(
                "cannot reach {endpoint}: the server does not forward to it and has no {helper}"
            ),
            Finding::NoHelper => format!("cannot reach {endpoint}: no {helper} there"),
        };
        Failure::new(ErrorCode::Socket, text)
    }

    /// Who may use a socket that this user may not, and the ways on.
    fn denied(&self, said: &str) -> String {
        let (user, endpoint) = (self.user, self.endpoint);
        let mut words = said
            .split_once(MODE)
            .map_or("", |(_, line)| line)
            .split_whitespace();
        let (mode, owner, group) = (words.next(), words.nth(1), words.next());
        let mut text = format!("permission denied: {user} may not use {endpoint}");
        let mut ways = Vec::new();
        if let (Some(mode), Some(owner), Some(group)) = (mode, owner, group) {
            text.push_str(&format!(" ({mode} {owner} {group})"));
            if mode.get(5..6) == Some("w") {
                ways.push(format!("a login in the group {group}"));
            }
            if self.is_become {
                ways.push(format!("--become={owner}"));
            }
        }
        if !self.is_become {
            ways.push("--become (sudo on the node)".to_owned());
        }
        ways.push("--via command:TEXT".to_owned());
        format!("{text}; what may: {}", ways.join(", "))
    }
}

/// What the diagnosis finds wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Missing = 91,
    NoSocket = 92,
    Denied = 93,
    Nobody = 94,
    NoHelper = 95,
}

impl Finding {
    /// The meaning of the script's exit status, if it is one of its own.
    fn from_status(status: u8) -> Option<Self> {
        let all = [
            Self::Missing,
            Self::NoSocket,
            Self::Denied,
            Self::Nobody,
            Self::NoHelper,
        ];
        all.into_iter().find(|finding| *finding as u8 == status)
    }
}

// One line each and without single quotes, so that every login shell passes them on to sh as they are. Each helper passes
// on the end of what it reads, in both directions, and ends when the socket is closed.

const LOOK: &str = r#"[ -e "$1" ] || { d=${1%/*}; [ -d "$d" ] && [ ! -x "$d" ] && exit 93; exit 91; }; [ -S "$1" ] || exit 92; [ -w "$1" ] || { printf "hash-socket-mode "; ls -ld "$1"; exit 93; }; "#;

/// socat waits for the end of both directions, at most for its `-t`; here the end of what comes from the socket is the end.
/// What is left of it then ends with its standard input.
const SOCAT: &str = r#"if command -v socat >/dev/null 2>&1; then socat -u OPEN:/dev/null "$3" 2>/dev/null || exit 94; echo hash-socket-ready socat; { exec socat -t 60 STDIN!!STDOUT,shut-close "$3" <&3 3<&- 2>/dev/null & } 3<&0 | cat; exit 0; fi; "#;

const NC_UNIX: &str = r#"if nc -h 2>&1 | grep -q -e -U; then nc -z -U "$1" </dev/null >/dev/null 2>&1 || exit 94; n=; nc -h 2>&1 | grep -q -e -N && n=-N; echo hash-socket-ready nc; exec nc $n -U "$1"; fi; "#;

const NC_TCP: &str = r#"if command -v nc >/dev/null 2>&1; then nc -z "$1" "$2" </dev/null >/dev/null 2>&1 || exit 94; n=; nc -h 2>&1 | grep -q -e -N && n=-N; echo hash-socket-ready nc; exec nc $n "$1" "$2"; fi; "#;

const PYTHON_UNIX: &str = r#"if command -v python3 >/dev/null 2>&1; then exec python3 -c "import os,socket,sys,threading as t;s=socket.socket(socket.AF_UNIX);r=s.connect_ex(sys.argv[1]);r and sys.exit(93 if r==13 else 94);"#;

const PYTHON_TCP: &str = r#"if command -v python3 >/dev/null 2>&1; then python3 -c "import socket,sys;socket.create_connection(sys.argv[1:3])" "$1" "$2" 2>/dev/null || exit 94; exec python3 -c "import os,socket,sys,threading as t;s=socket.create_connection(sys.argv[1:3]);"#;

const PYTHON_PUMP: &str = r#"print(\"hash-socket-ready python3\",flush=True);t.Thread(target=lambda:([s.sendall(b) for b in iter(lambda:os.read(0,65536),b\"\")],s.shutdown(1)),daemon=True).start();[os.write(1,b) for b in iter(lambda:s.recv(65536),b\"\")]" "$1" "$2"; fi; "#;

const PERL_UNIX: &str = r#"if command -v perl >/dev/null 2>&1; then exec perl -MIO::Socket::UNIX -e "\$s=IO::Socket::UNIX->new(Peer=>\$ARGV[0]) or exit 94;"#;

const PERL_TCP: &str = r#"if command -v perl >/dev/null 2>&1; then exec perl -MIO::Socket::INET -e "\$s=IO::Socket::INET->new(PeerAddr=>\$ARGV[0],PeerPort=>\$ARGV[1]) or exit 94;"#;

const PERL_PUMP: &str = r#"sub w{my(\$h,\$b)=@_;while(length \$b){my \$n=syswrite(\$h,\$b) or exit 0;substr(\$b,0,\$n)=q()}}w(\*STDOUT,qq(hash-socket-ready perl\012));\$p=fork;exit 95 unless defined \$p;unless(\$p){w(\$s,\$b) while sysread(STDIN,\$b,65536);shutdown(\$s,1);exit 0}w(\*STDOUT,\$b) while sysread(\$s,\$b,65536);kill 9,\$p" "$1" "$2"; fi; "#;

const NONE_LEFT: &str = "exit 95";

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
        script.push_str(if unix { PERL_UNIX } else { PERL_TCP });
        script.push_str(PERL_PUMP);
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
pub(super) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The endpoint for a program: a path, or host and port.
fn text(endpoint: &Endpoint) -> String {
    let text = endpoint.to_string();
    text.strip_prefix("tcp:").unwrap_or(&text).to_owned()
}

/// A command of the user's with the socket in it.
fn fill_in(template: &str, endpoint: &Endpoint) -> String {
    template.replace("%s", &quote(&text(endpoint)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::Stream;
    use crate::transport::{BoxFuture, Command, NodeIo};

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
                assert!(!line.contains(r"\\"));
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
            |name: &str| look(&at(name)).and_then(|status| Finding::from_status(status as u8));
        assert_eq!(found("none"), Some(Finding::Missing));
        assert_eq!(found("file"), Some(Finding::NoSocket));
        assert_eq!(found("closed"), Some(Finding::Denied));
        assert_eq!(found("private/x"), Some(Finding::Denied));
        assert_eq!(found("dead"), Some(Finding::Nobody));
        mode("private", 0o700).unwrap();
    }

    /// Each helper alone, as if the machine had no other.
    fn each_helper(endpoint: &Endpoint) -> Vec<(&'static str, String)> {
        let whole = script(endpoint, None);
        let (_, words) = whole.rsplit_once(NONE_LEFT).unwrap();
        let unix = matches!(endpoint, Endpoint::Unix(_));
        let python = if unix { PYTHON_UNIX } else { PYTHON_TCP };
        let perl = if unix { PERL_UNIX } else { PERL_TCP };
        let helpers = [
            ("socat", SOCAT.to_owned()),
            ("nc", if unix { NC_UNIX } else { NC_TCP }.to_owned()),
            ("python3", [python, PYTHON_PUMP].concat()),
            ("perl", [perl, PERL_PUMP].concat()),
        ];
        let line = |(name, body)| (name, format!("exec sh -c '{body}{NONE_LEFT}{words}"));
        helpers.into_iter().map(line).collect()
    }

    #[tokio::test]
    async fn every_helper_passes_all_bytes_and_the_end_of_both_directions() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        use tokio::net::{TcpListener, UnixListener};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s,o:ck").display().to_string();
        let unix = UnixListener::bind(&path).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        let bytes: Vec<u8> = (0..300_007u32).map(|n| (n % 251) as u8).collect();
        // Gives back what it gets, a last word once that has ended, and closes.
        let serve = async |mut stream: Box<dyn Duplex>| {
            let mut got = Vec::new();
            stream.read_to_end(&mut got).await.unwrap();
            // Some helpers look whether anybody is there first.
            if !got.is_empty() {
                stream.write_all(&got).await.unwrap();
                stream.write_all(b"over").await.unwrap();
            }
        };
        let serving = async {
            loop {
                let stream: Box<dyn Duplex> = tokio::select! {
                    accepted = unix.accept() => Box::new(accepted.unwrap().0),
                    accepted = tcp.accept() => Box::new(accepted.unwrap().0),
                };
                serve(stream).await;
            }
        };
        let host = "127.0.0.1".to_owned();
        let asking = async {
            for endpoint in [Endpoint::Unix(path.clone()), Endpoint::Tcp { host, port }] {
                for (name, line) in each_helper(&endpoint) {
                    let has = std::process::Command::new("sh")
                        .args(["-c", &format!("command -v {name}")])
                        .output();
                    if !has.unwrap().status.success() {
                        continue;
                    }
                    let local = crate::transport::local::Local::new(&["n".into()], "n".into());
                    use crate::transport::Transport as _;
                    let session = local.connect(&"n".into(), &Default::default()).await;
                    // A placeholder of commands here is none.
                    let line = line.replace('%', "%%");
                    let mut pipe = Pipe::start(&mut *session.unwrap(), name, line);
                    let ready = pipe.skip_past(READY, CHATTER).await;
                    ready.unwrap_or_else(|ended| panic!("{name} {endpoint}: {ended:?}"));
                    assert_eq!(pipe.line(CHATTER).await.unwrap(), name);
                    pipe.write_all(&bytes).await.unwrap();
                    pipe.shutdown().await.unwrap();
                    let mut got = Vec::new();
                    pipe.read_to_end(&mut got).await.unwrap();
                    assert!(got == [&bytes, &b"over"[..]].concat(), "{name} {endpoint}");
                }
            }
        };
        tokio::select! {
            () = asking => {}
            () = serving => {}
        }
    }

    /// A server that loses so many commands, and whose helper then is connected.
    struct Loses(u32);

    impl Session for Loses {
        fn exec<'a>(
            &'a mut self,
            command: &'a Command,
            io: &'a mut NodeIo,
        ) -> BoxFuture<'a, Outcome> {
            self.begin(command.clone(), io.clone())
        }

        fn begin(&mut self, _: Command, io: NodeIo) -> BoxFuture<'static, Outcome> {
            let is_lost = self.0 > 0;
            self.0 = self.0.saturating_sub(1);
            Box::pin(async move {
                if !is_lost {
                    let ready = Bytes::from_static(b"hash-socket-ready nc\n");
                    io.output(Stream::Out, ready).await;
                }
                Outcome::failed(ErrorCode::NoStatus, "ended without an exit status")
            })
        }

        fn open<'a>(
            &'a mut self,
            _: &'a Endpoint,
        ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
            unreachable!("a helper is a command")
        }

        fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
            Box::pin(async {})
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_helper_that_was_lost_is_begun_again_and_not_for_ever() {
        let endpoint = Endpoint::Unix("/run/x.sock".into());
        let wanted = Wanted {
            endpoint: &endpoint,
            via: &Via::Auto,
            user: "joe",
            is_become: false,
            refused: None,
        };
        for lost in 0..TRIES {
            let opened = open(&mut Loses(lost), wanted).await;
            assert_eq!(
                opened.map(|opened| opened.by),
                Ok("nc".to_owned()),
                "{lost}"
            );
        }
        let failure = open(&mut Loses(TRIES), wanted)
            .await
            .map(|_| ())
            .unwrap_err();
        assert_eq!(failure.code, ErrorCode::NoStatus);
    }

    #[test]
    fn a_refusal_names_who_may_and_the_ways_on() {
        let endpoint = Endpoint::Unix("/run/x.sock".into());
        let wanted = Wanted {
            endpoint: &endpoint,
            via: &Via::Auto,
            user: "joe",
            is_become: false,
            refused: None,
        };
        let said = "motd hash-socket-mode srw-rw---- 1 root haproxy 0 Jan  1 00:00 /run/x.sock";
        assert_eq!(
            wanted.denied(said),
            "permission denied: joe may not use /run/x.sock (srw-rw---- root haproxy); what may: a login in the group \
             haproxy, --become (sudo on the node), --via command:TEXT"
        );
        let wanted = Wanted {
            is_become: true,
            ..wanted
        };
        assert_eq!(
            wanted.denied("hash-socket-mode srw------- 1 haproxy root 0 x"),
            "permission denied: joe may not use /run/x.sock (srw------- haproxy root); what may: --become=haproxy, --via \
             command:TEXT"
        );
        assert!(
            wanted
                .denied("")
                .starts_with("permission denied: joe may not use /run/x.sock; what may")
        );
    }

    #[test]
    fn paths_cannot_leave_their_quotes() {
        assert_eq!(quote("a'b"), r"'a'\''b'");
        assert_eq!(escape_socat("/run/a,b:c"), r"/run/a\,b\:c");
    }
}
