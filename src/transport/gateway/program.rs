//! This program on a gateway: how it is found there, and how it is put there.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, watch};

use crate::event::{Event, Meter, NodeId, Outcome, Stop, Stream};
use crate::transport::child::keep_tail;
use crate::transport::input::{CHUNK, Input, Source};
use crate::transport::ssh::errors::printable;
use crate::transport::{BoxFuture, Command, NodeIo, Session};

/// Our version, which names the folder.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a gateway without the program says, in front of its system and machine.
pub(super) const MISSING: &str = "hash-gateway-missing";

/// A command for any login shell that becomes the program, or says that it is not there. What was put there for this
/// version comes before an installed one, which may be of another.
pub(super) fn command_line() -> String {
    format!(
        "exec sh -c 'h=${{HASH_GATEWAY:-$HOME/.cache/hash/{VERSION}/hapsh}}; \
         [ -x \"$h\" ] || h=$(command -v hapsh) || {{ echo {MISSING} $(uname -s) $(uname -m); exit 127; }}; \
         exec \"$h\" gateway'"
    )
}

/// A command for any login shell that says what system it runs on, in the words of a gateway without the program.
pub(super) fn question() -> String {
    format!("exec sh -c 'echo {MISSING} $(uname -s) $(uname -m)'")
}

/// How the user can put it there.
pub(super) fn advice(gateway: &str) -> String {
    format!(
        "no hapsh there; install it, or put this program at ~/.cache/hash/{VERSION}/hapsh of {gateway}: \
         ssh {gateway} mkdir -p .cache/hash/{VERSION} && scp -p PROGRAM {gateway}:.cache/hash/{VERSION}/hapsh, \
         or let --install-gateway do it"
    )
}

/// The program of this process, for gateways that lack it.
#[derive(Debug, Clone)]
pub struct Program {
    file: Arc<File>,
    digest: String,
    path: PathBuf,
}

impl Program {
    /// Opens a program and takes its digest.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut hash = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        let mut reader = &file;
        loop {
            match reader.read(&mut chunk)? {
                0 => break,
                count => hash.update(&chunk[..count]),
            }
        }
        Ok(Self {
            file: Arc::new(file),
            digest: data_encoding::HEXLOWER.encode(&hash.finalize()),
            path: path.into(),
        })
    }

    /// Puts it on a gateway whose system and machine are these.
    ///
    /// # Errors
    /// Why it was not put there, in words.
    pub(super) async fn install(
        &self,
        session: &mut dyn Session,
        system: &str,
    ) -> Result<(), String> {
        let here = rustix::system::uname();
        let here = format!(
            "{} {}",
            here.sysname().to_string_lossy(),
            here.machine().to_string_lossy()
        );
        if system != here {
            return Err(format!(
                "no hapsh there, and this one is for {here}, not for {system}; install one that fits"
            ));
        }
        let source = Image {
            file: Arc::clone(&self.file),
        };
        let command = Command {
            line: self.script(),
            stdin: Some(Input::new(Arc::new(source), Meter::default())),
            pty: false,
        };
        let (outcome, said) = run(session, &command).await;
        let said = printable(&said, 160);
        match outcome {
            Outcome::Exited { status: 0 } => Ok(()),
            Outcome::Exited { status: 3 } => Err(format!(
                "{} arrived there with another digest; the disk may be full ({said})",
                self.path.display()
            )),
            Outcome::Exited { status: 4 } => Err(format!(
                "{} does not run there ({said}); install one that fits",
                self.path.display()
            )),
            Outcome::Exited { .. } | Outcome::Killed { .. } => Err(format!(
                "cannot write ~/.cache/hash/{VERSION} there: {said}"
            )),
            Outcome::Failed(failure) => Err(failure.message),
        }
    }

    /// Takes the program from standard input; it has its name only when it is whole and runs.
    fn script(&self) -> String {
        let digest = &self.digest;
        format!(
            "exec sh -c 'umask 077; d=$HOME/.cache/hash/{VERSION}; mkdir -p \"$d\" || exit 1; t=$d/.hapsh.$$; \
             give_up() {{ rm -f \"$t\"; exit $1; }}; \
             cat >\"$t\" || give_up 1; \
             s=$( (sha256sum || shasum -a 256 || openssl dgst -sha256 -r) <\"$t\"); \
             case $s in {digest}*) ;; *) give_up 3;; esac; \
             chmod 755 \"$t\" || give_up 1; \"$t\" --version >/dev/null || give_up 4; \
             mv -f \"$t\" \"$d/hapsh\" || give_up 1'"
        )
    }
}

#[derive(Debug)]
struct Image {
    file: Arc<File>,
}

impl Source for Image {
    fn read(&self, at: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        let mut chunk = vec![0; CHUNK];
        let read = self.file.read_at(&mut chunk, at).map(|count| {
            chunk.truncate(count);
            chunk.into()
        });
        Box::pin(async { read })
    }
}

/// Runs a command and gives back how it ended, with the end of its standard error.
async fn run(session: &mut dyn Session, command: &Command) -> (Outcome, Vec<u8>) {
    let (events, mut inbox) = mpsc::channel(8);
    let (_stop, stop) = watch::channel(Stop::No);
    let mut io = NodeIo::new(NodeId(0), events, stop);
    let mut said = Vec::new();
    let running = async {
        let outcome = session.exec(command, &mut io).await;
        drop(io);
        outcome
    };
    let hearing = async {
        while let Some(event) = inbox.recv().await {
            if let Event::Output {
                stream: Stream::Err,
                data,
                ..
            } = event
            {
                keep_tail(&mut said, &data);
            }
        }
    };
    let (outcome, ()) = tokio::join!(running, hearing);
    (outcome, said)
}
