//! Fetches a file or folder of each node into a folder here, where its name ends in the node's.
//!
//! Everything streams into a temporary folder beside its place and is renamed when it is whole.

mod names;
mod place;
mod unpack;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Work;
use super::copy::{Keep, quote};
use crate::destination::file_name;
use crate::event::{ErrorCode, Event, Meter, NodeId, Outcome, Stop, Stream};
use crate::plan::NodeName;
use crate::transport::{BoxFuture, Command, NodeIo, Session, until};

use names::{Source, Wanted};
use place::Landing;

/// What a node runs; behind `sh` comes the path. Any login shell reads it (see the copies to nodes).
const SCRIPT: &str = r#"unset CDPATH; f() { printf "%s\n" "$1" >&2; exit 1; }; g() { m=$1; z=$5; }; s=$1; case $s in (-*) s=./$s;; esac; if [ -d "$s" ]; then command -v tar >/dev/null 2>&1 || f "tar: not found on the node; folders cannot be fetched from it"; cd "$s" 2>/dev/null || f "$1: Permission denied"; printf "hapsh: folder\n"; exec tar -cf - .; elif [ -f "$s" ]; then [ -r "$s" ] || f "$1: Permission denied"; set -f; g $(ls -ldnL "$s"); printf "hapsh: file %s %s %s\n" "$m" "$z" "$(stat -L -c %Y "$s" 2>/dev/null || stat -L -f %m "$s" 2>/dev/null)"; exec cat "$s"; elif [ -e "$s" ]; then f "$1: not a regular file or folder"; else f "$1: No such file or directory"; fi"#;

/// How long what sends may take to end when all of it has come.
const END: Duration = Duration::from_secs(30);

/// So much of what a node complains of is kept.
const SAID: usize = 64 * 1024;

/// A fetch from the nodes.
#[derive(Debug)]
pub struct Download {
    names: Arc<[NodeName]>,
    sources: Vec<Wanted>,
    dest: PathBuf,
    keep: Keep,
    says: bool,
    received: Meter,
}

/// Why nothing can be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A path such as `/`.
    #[error("{0}: has no name of its own")]
    Nameless(String),
    /// Two sources would become one.
    #[error("{0}: another source has the same name")]
    Twice(String),
    /// A name that would lead out of the folder.
    #[error("node `{0}` cannot be part of a file's name")]
    Node(NodeName),
}

impl Download {
    /// Fetches to `dest`, a folder: what is called `NAME` there becomes `NAME.NODE`. `~` and patterns in paths are what they
    /// are on the node. On success a node says what came,
    /// if `says`.
    ///
    /// # Errors
    /// Names that cannot be those of files here.
    pub fn new(
        names: Arc<[NodeName]>,
        sources: &[String],
        dest: PathBuf,
        keep: Keep,
        says: bool,
    ) -> Result<Self, FetchError> {
        if let Some(name) = names
            .iter()
            .find(|name| file_name(name).contains(['/', '\0']))
        {
            return Err(FetchError::Node(name.clone()));
        }
        let mut wanted: Vec<Wanted> = Vec::new();
        for path in sources {
            let next = Wanted::new(path).ok_or_else(|| FetchError::Nameless(path.clone()))?;
            let is_twice = wanted.iter().any(|other| match (other, &next) {
                (Wanted::Plain(other), Wanted::Plain(next)) => other.name == next.name,
                _ => false,
            });
            if is_twice {
                return Err(FetchError::Twice(path.clone()));
            }
            wanted.push(next);
        }
        Ok(Self {
            names,
            sources: wanted,
            dest,
            keep,
            says,
            received: Meter::default(),
        })
    }

    /// The bytes received so far, over all nodes.
    #[must_use]
    pub fn received(&self) -> Meter {
        self.received.clone()
    }

    async fn run(&self, node: NodeId, session: &mut dyn Session, io: &mut NodeIo) -> Outcome {
        let (mut files, mut bytes) = (0, 0);
        let sources = match names::on_node(&self.sources, session, io).await {
            Ok(sources) => sources,
            Err(outcome) => return outcome,
        };
        for source in &sources {
            match self.fetch(node, source, session, io).await {
                Ok((more, size)) => {
                    files += more;
                    bytes += size;
                }
                Err(outcome) => return outcome,
            }
        }
        if self.says {
            let said = format!(
                "{} -> {}\n",
                super::copy::amount(files, bytes),
                self.dest.display()
            );
            io.output(Stream::Out, said.into()).await;
        }
        Outcome::OK
    }

    /// Fetches one source; files and bytes of it.
    async fn fetch(
        &self,
        node: NodeId,
        source: &Source,
        session: &mut dyn Session,
        io: &mut NodeIo,
    ) -> Result<(usize, u64), Outcome> {
        let here = |error: io::Error| {
            let text = format!("{}: {}", self.dest.display(), plain(&error));
            Outcome::failed(ErrorCode::Output, text)
        };
        let name = format!("{}.{}", source.name, file_name(&self.names[node.index()]));
        let landing = Landing::new(&self.dest, name, self.keep.times).map_err(here)?;
        let landing = Shared::new(landing);
        let command = Command {
            line: format!(
                "exec /bin/sh -c {} sh {}",
                quote(SCRIPT),
                quote(&source.path)
            ),
            ..Command::default()
        };
        let (mut own, inbox) = io.part();
        let running = async {
            let outcome = session.exec(&command, &mut own).await;
            drop(own);
            outcome
        };
        let mut stop = io.clone();
        let ended = tokio::select! {
            biased;
            // Closing the channel ends what reads there: nobody wants more of it.
            () = stop.stopped(Stop::Terminate) => None,
            ended = together(running, self.hear(inbox, &landing)) => Some(ended),
        };
        let Some((outcome, heard)) = ended else {
            landing.discard().await;
            let text = "stopped; nothing was kept";
            return Err(Outcome::failed(ErrorCode::Stopped, text));
        };
        let outcome = match (heard.trouble, outcome) {
            (Some(error), _) => {
                landing.discard().await;
                let is_late = error.kind() == io::ErrorKind::TimedOut;
                return Err(if is_late { late(source) } else { here(error) });
            }
            (None, outcome) => outcome
                .unwrap_or_else(|| Outcome::failed(ErrorCode::Lost, "lost while it was fetched")),
        };
        if !heard.said.is_empty() {
            io.output(Stream::Err, heard.said.freeze()).await;
        }
        if outcome != Outcome::OK {
            landing.discard().await;
            return Err(outcome);
        }
        landing.place().await.map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                let text = format!("{}: only a part of it came; nothing was kept", source.path);
                return Outcome::failed(ErrorCode::Lost, text);
            }
            here(error)
        })
    }

    /// Takes in what a node sends. Ends before it does when nothing more is wanted of it.
    async fn hear(&self, mut inbox: mpsc::Receiver<Event>, landing: &Shared) -> Heard {
        let mut heard = Heard::default();
        let mut late = None;
        loop {
            let event = tokio::select! {
                biased;
                event = inbox.recv() => event,
                () = until(late) => {
                    heard.trouble = Some(io::ErrorKind::TimedOut.into());
                    return heard;
                }
            };
            match event {
                Some(Event::Output {
                    stream: Stream::Out,
                    data,
                    ..
                }) => {
                    self.received.add(data.len());
                    match landing.push(data).await {
                        Ok(is_whole) if is_whole => {
                            late.get_or_insert_with(|| Instant::now() + END);
                        }
                        Ok(_) => {}
                        Err(error) => {
                            heard.trouble = Some(error);
                            return heard;
                        }
                    }
                }
                Some(Event::Output { data, .. }) => {
                    let room = SAID.saturating_sub(heard.said.len()).min(data.len());
                    heard.said.extend_from_slice(&data[..room]);
                }
                Some(Event::Answer { .. } | Event::Started { .. } | Event::Finished { .. }) => {}
                None => return heard,
            }
        }
    }
}

/// What was heard of a node besides what it sent.
#[derive(Debug, Default)]
struct Heard {
    /// Its standard error.
    said: BytesMut,
    /// Why nothing more is wanted of it.
    trouble: Option<io::Error>,
}

/// All came, and the command goes on.
fn late(source: &Source) -> Outcome {
    let text = format!(
        "{}: all of it came, but what sends it did not end within {}s; nothing was kept",
        source.path,
        END.as_secs()
    );
    Outcome::failed(ErrorCode::Lost, text)
}

/// What lands, between the loop and the threads that write. When this goes it waits until nothing is being written, and
/// what is not in its place by then is taken away.
struct Shared(Arc<Mutex<Option<Landing>>>);

impl Shared {
    fn new(landing: Landing) -> Self {
        Self(Arc::new(Mutex::new(Some(landing))))
    }

    /// Works on it off the loop.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Option<Landing>) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let landing = Arc::clone(&self.0);
        let working = tokio::task::spawn_blocking(move || work(&mut lock(&landing)));
        working.await.map_err(io::Error::other).flatten()
    }

    /// Takes what comes next; whether that is all of it.
    async fn push(&self, data: Bytes) -> io::Result<bool> {
        self.with(move |landing| {
            let landing = landing.as_mut().ok_or(io::ErrorKind::NotFound)?;
            landing.push(&data)?;
            Ok(landing.is_whole())
        })
        .await
    }

    /// Puts it in its place; files and bytes of it.
    async fn place(&self) -> io::Result<(usize, u64)> {
        self.with(|landing| landing.take().ok_or(io::ErrorKind::NotFound)?.place())
            .await
    }

    /// Takes away what is there.
    async fn discard(&self) {
        let taken = self.with(|landing| {
            *landing = None;
            Ok(())
        });
        // Where it could not be done so, the end of this does it.
        let _ = taken.await;
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(lock(&self.0).take());
    }
}

fn lock(landing: &Mutex<Option<Landing>>) -> MutexGuard<'_, Option<Landing>> {
    landing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both, unless the second gives up: then the first is dropped.
async fn together(
    running: impl Future<Output = Outcome>,
    hearing: impl Future<Output = Heard>,
) -> (Option<Outcome>, Heard) {
    let (mut running, mut hearing) = (std::pin::pin!(running), std::pin::pin!(hearing));
    tokio::select! {
        outcome = &mut running => (Some(outcome), hearing.await),
        heard = &mut hearing => {
            let outcome = if heard.trouble.is_none() { Some(running.await) } else { None };
            (outcome, heard)
        }
    }
}

/// The system's words without the number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

impl Work for Download {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(self.run(node, session, io))
    }
}

/// The line that fetches on this machine (`-R exec`): `cp`, with the placeholders of the node in the paths.
#[must_use]
pub fn here(sources: &[String], dest: &Path, keep: Keep) -> String {
    let copy = |source: &String| {
        let times = if keep.times { " -p" } else { "" };
        let name = source.trim_end_matches('/').rsplit('/').next();
        let to = dest.join(format!("{}.%h", name.unwrap_or_default()));
        format!(
            "cp -r{times} -- {} {}",
            quote(source),
            quote(&to.to_string_lossy())
        )
    };
    let lines: Vec<String> = sources.iter().map(copy).collect();
    lines.join(" && ")
}

/// Reads any bytes as what a node sends for a file or a folder. Nothing may be written beside the place.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let Ok(around) = tempfile::tempdir() else {
        return;
    };
    let dest = around.path().join("dest");
    if std::fs::create_dir(&dest).is_err() {
        return;
    }
    let Ok(mut landing) = Landing::new(&dest, "got".to_owned(), true) else {
        return;
    };
    let (first, rest) = data.split_at(data.len() / 3);
    if landing.push(first).is_ok() && landing.push(rest).is_ok() {
        let _ = landing.place();
    } else {
        drop(landing);
    }
    let names = |folder: &Path| -> Vec<_> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).collect()
    };
    assert_eq!(names(around.path()), ["dest"]);
    assert!(names(&dest).iter().all(|name| name == "got"), "{dest:?}");
}
