//! Copies local files to each node: one command with one stream as its input, so that whoever can run a command can copy.
//!
//! What arrives is checked on the node and then renamed into place; a copy that fails leaves no part of a file behind.

mod files;
mod pack;
mod script;
mod sftp;
mod tar;
mod window;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::Work;
use crate::event::{ErrorCode, Event, Meter, NodeId, Outcome, Stop, Stream, size};
use crate::transport::{BoxFuture, Command, Duplex, Input, NodeIo, Session};

use files::{Files, Problem};
pub use pack::{Keep, Pack, PackError};
use script::NOTE;
pub(in crate::work) use script::{HOME, quote};
use window::Window;

/// What a node says in the way of a proof when nothing else is to be said.
const PROOF: &str = "hapsh: copied";

/// How long taking away what is temporary over SFTP may take.
const CLEAN: Duration = Duration::from_secs(1);

/// So much of what a node says is kept until it is known what it means.
const SAID: usize = 64 * 1024;

/// A copy of local files to a place on the nodes.
///
/// Exit status 0 means that all is there; any other comes with one line on standard error that says why.
#[derive(Debug)]
pub struct Upload {
    pack: Arc<Pack>,
    command: Command,
    dest: String,
    tag: String,
    /// What is said on success, by the node itself.
    said: Option<String>,
    sent: Meter,
}

impl Upload {
    /// Copies to `dest`: into it if it is a folder on the node, else to that name, which only a single source can have.
    /// At most `wave` nodes are at work at one time. On success each node says `said`.
    #[must_use]
    pub fn new(pack: Pack, dest: &str, wave: usize, said: Option<String>) -> Self {
        let pack = Arc::new(pack);
        let sent = Meter::default();
        let source = Window::new(Arc::clone(&pack), wave);
        let tag = format!("{:016x}", fastrand::u64(..));
        let line = script::line(&pack, dest, &tag, said.as_deref().unwrap_or(PROOF));
        Self {
            pack,
            dest: dest.to_owned(),
            tag,
            command: Command {
                line,
                stdin: Some(Input::new(Arc::new(source), sent.clone())),
                pty: false,
            },
            said,
            sent,
        }
    }

    /// What is copied.
    #[must_use]
    pub fn pack(&self) -> &Pack {
        &self.pack
    }

    /// The bytes sent so far, over all nodes. One node takes [`Pack::length`] of them.
    #[must_use]
    pub fn sent(&self) -> Meter {
        self.sent.clone()
    }

    async fn run(&self, session: &mut dyn Session, io: &mut NodeIo) -> Outcome {
        let (outcome, heard) = hear(session, &self.command, io, SAID).await;
        let is_proved = heard.out.ends_with(b"\n") && {
            let lines = heard.out.trim_ascii_end();
            lines.ends_with(self.said.as_deref().unwrap_or(PROOF).as_bytes())
        };
        if !(outcome == Outcome::OK && is_proved) {
            // The script complains when it fails; what serves files only does not, or on standard output.
            if heard.err.is_empty()
                && runs_no_commands(&outcome)
                && let Ok(stream) = session.subsystem("sftp").await
                && let Some(outcome) = self.serve_files(stream, io).await
            {
                return outcome;
            }
            heard.tell(io).await;
            if outcome != Outcome::OK {
                return outcome;
            }
            return Outcome::failed(
                ErrorCode::ExecRefused,
                "the node runs something else than what it is asked to, so nothing was copied",
            );
        }
        for note in notes(&heard.err) {
            io.output(Stream::Err, note).await;
        }
        if let Some(said) = &self.said {
            io.output(Stream::Out, format!("{said}\n").into()).await;
        }
        outcome
    }
}

/// What the script has to say about a copy that was made, among what a login shell may have said.
fn notes(said: &[u8]) -> impl Iterator<Item = Bytes> {
    let lines = said.split_inclusive(|byte| *byte == b'\n');
    lines.filter_map(|line| {
        line.strip_prefix(NOTE.as_bytes())
            .map(Bytes::copy_from_slice)
    })
}

impl Upload {
    /// Copies over SFTP; `None` if that is not spoken.
    async fn serve_files(&self, stream: Box<dyn Duplex>, io: &mut NodeIo) -> Option<Outcome> {
        let reader = self.command.stdin.as_ref()?.reader();
        let mut files = Files::new(stream, &self.pack, reader).await.ok()?;
        let copied = tokio::select! {
            biased;
            () = io.stopped(Stop::Terminate) => None,
            copied = files.copy(&self.dest, &self.tag) => Some(copied),
        };
        if !matches!(copied, Some(Ok(()))) {
            // In the middle of an answer nothing can be asked any more, and a connection that is lost cleans nothing.
            let _ = tokio::time::timeout(CLEAN, files.clean()).await;
        }
        Some(match copied {
            None => Outcome::failed(ErrorCode::Stopped, "stopped; nothing was put in place"),
            Some(Err(Problem::Here(error))) => Outcome::failed(ErrorCode::Input, error.to_string()),
            Some(Err(Problem::There(text))) => {
                io.output(Stream::Err, format!("{text}\n").into()).await;
                Outcome::Exited { status: 1 }
            }
            Some(Ok(())) => {
                for note in files.notes() {
                    io.output(Stream::Err, format!("{note}\n").into()).await;
                }
                if let Some(said) = &self.said {
                    io.output(Stream::Out, format!("{said}\n").into()).await;
                }
                Outcome::OK
            }
        })
    }
}

/// Whether that may be the end of a command which the node does not run.
fn runs_no_commands(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Exited { .. } | Outcome::Killed { .. } => true,
        Outcome::Failed(failure) => {
            matches!(failure.code, ErrorCode::ExecRefused | ErrorCode::NoStatus)
        }
    }
}

/// What a node said.
#[derive(Debug, Default)]
pub(in crate::work) struct Heard {
    pub(in crate::work) out: BytesMut,
    pub(in crate::work) err: BytesMut,
}

impl Heard {
    async fn tell(self, io: &NodeIo) {
        for (stream, data) in [(Stream::Out, self.out), (Stream::Err, self.err)] {
            if !data.is_empty() {
                io.output(stream, data.freeze()).await;
            }
        }
    }
}

/// Runs a command and keeps what it says, as only its end tells what that is worth.
///
/// No more than `most` bytes of each stream are kept.
pub(in crate::work) async fn hear(
    session: &mut dyn Session,
    command: &Command,
    io: &mut NodeIo,
    most: usize,
) -> (Outcome, Heard) {
    let (mut own, mut inbox) = io.part();
    let running = async {
        let outcome = session.exec(command, &mut own).await;
        drop(own);
        outcome
    };
    let hearing = async {
        let mut heard = Heard::default();
        while let Some(event) = inbox.recv().await {
            if let Event::Output { stream, data, .. } = event {
                let kept = match stream {
                    Stream::Out => &mut heard.out,
                    Stream::Err => &mut heard.err,
                };
                let room = most.saturating_sub(kept.len()).min(data.len());
                kept.extend_from_slice(&data[..room]);
            }
        }
        heard
    };
    tokio::join!(running, hearing)
}

impl Work for Upload {
    fn serve<'a>(
        &'a self,
        _node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(self.run(session, io))
    }

    fn command(&self, _node: NodeId) -> Option<Cow<'_, Command>> {
        let mut command = self.command.clone();
        if self.said.is_none() {
            // Nobody stands between the node and the output, who would take the proof away.
            command.line = command.line.replacen(&quote(PROOF), "''", 1);
        }
        Some(Cow::Owned(command))
    }
}

/// How much was copied, for people: `3 files, 1.2 MiB`.
#[must_use]
pub fn amount(files: usize, bytes: u64) -> String {
    let plural = if files == 1 { "" } else { "s" };
    format!("{files} file{plural}, {}", size(bytes))
}

/// The line that copies on this machine (`-R exec`): `cp`, with the placeholders of the node in the paths.
#[must_use]
pub fn here(sources: &[PathBuf], dest: &str, keep: Keep) -> String {
    let copy = |source: &PathBuf| {
        let recursive = if source.is_dir() { " -r" } else { "" };
        let times = if keep.times { " -p" } else { "" };
        let source = quote(&source.to_string_lossy());
        format!("cp{recursive}{times} -- {source} {}", quote(dest))
    };
    let lines: Vec<String> = sources.iter().map(copy).collect();
    lines.join(" && ")
}

/// Reads any bytes as the answers of an SFTP server.
#[cfg(any(test, fuzzing))]
pub(crate) async fn fuzz_sftp(data: &[u8]) {
    // Whether the copy was made or refused makes no difference here.
    let _ = sftp::fuzz(data).await;
}
