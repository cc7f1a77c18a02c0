//! Fetches a file or folder of each node into a folder here, where its name ends in the node's.
//!
//! Everything streams into a temporary folder beside its place and is renamed when it is whole.

mod place;
mod unpack;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;

use super::Work;
use super::copy::{Keep, quote};
use crate::destination::file_name;
use crate::event::{ErrorCode, Event, Meter, NodeId, Outcome, Stream};
use crate::plan::NodeName;
use crate::transport::{BoxFuture, Command, NodeIo, Session};

use place::Landing;

/// What a node runs; behind `sh` comes the path. Any login shell reads it (see the copies to nodes).
const SCRIPT: &str = r#"unset CDPATH; f() { printf "%s\n" "$1" >&2; exit 1; }; g() { m=$1; z=$5; }; s=$1; case $s in (-*) s=./$s;; esac; if [ -d "$s" ]; then command -v tar >/dev/null 2>&1 || f "tar: not found on the node; folders cannot be fetched from it"; cd "$s" 2>/dev/null || f "$1: Permission denied"; printf "hapsh: folder\n"; exec tar -cf - .; elif [ -f "$s" ]; then [ -r "$s" ] || f "$1: Permission denied"; set -f; g $(ls -ldnL "$s"); printf "hapsh: file %s %s %s\n" "$m" "$z" "$(stat -L -c %Y "$s" 2>/dev/null || stat -L -f %m "$s" 2>/dev/null)"; exec cat "$s"; elif [ -e "$s" ]; then f "$1: not a regular file or folder"; else f "$1: No such file or directory"; fi"#;

/// A fetch from the nodes.
#[derive(Debug)]
pub struct Download {
    names: Arc<[NodeName]>,
    sources: Vec<Source>,
    dest: PathBuf,
    keep: Keep,
    says: bool,
    received: Meter,
}

#[derive(Debug)]
struct Source {
    path: String,
    name: String,
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
    /// Fetches to `dest`, a folder: what is called `NAME` there becomes `NAME.NODE`. On success a node says what came,
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
        let mut known: Vec<Source> = Vec::new();
        for path in sources {
            let name = path
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or_default();
            if matches!(name, "" | "." | "..") {
                return Err(FetchError::Nameless(path.clone()));
            }
            if known.iter().any(|other| other.name == name) {
                return Err(FetchError::Twice(path.clone()));
            }
            known.push(Source {
                path: path.clone(),
                name: name.to_owned(),
            });
        }
        Ok(Self {
            names,
            sources: known,
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
        for source in &self.sources {
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
        let command = Command {
            line: format!(
                "exec /bin/sh -c {} sh {}",
                quote(SCRIPT),
                quote(&source.path)
            ),
            ..Command::default()
        };
        let (mut own, mut inbox) = io.part();
        let running = async {
            let outcome = session.exec(&command, &mut own).await;
            drop(own);
            outcome
        };
        let landing = async {
            let mut landing = Some(landing);
            let mut said = BytesMut::new();
            let mut failed = None;
            while let Some(event) = inbox.recv().await {
                match event {
                    Event::Output {
                        stream: Stream::Out,
                        data,
                        ..
                    } => {
                        self.received.add(data.len());
                        // Once it cannot be written the rest has nowhere to go.
                        let Some(mut taking) = landing.take() else {
                            continue;
                        };
                        let pushed = tokio::task::spawn_blocking(move || {
                            taking.push(&data).map(|()| taking)
                        });
                        match pushed.await.map_err(io::Error::other).flatten() {
                            Ok(taking) => landing = Some(taking),
                            Err(error) => {
                                failed = Some(error);
                                // Ends the command at once: nobody wants more of it.
                                inbox.close();
                                break;
                            }
                        }
                    }
                    Event::Output { data, .. } if said.len() < 64 * 1024 => {
                        said.extend_from_slice(&data)
                    }
                    Event::Output { .. }
                    | Event::Answer { .. }
                    | Event::Started { .. }
                    | Event::Finished { .. } => {}
                }
            }
            (landing, said, failed)
        };
        let (outcome, (landing, said, failed)) = together(running, landing).await;
        if let Some(error) = failed {
            return Err(here(error));
        }
        let (outcome, landing) = match (outcome, landing) {
            (Some(outcome), Some(landing)) => (outcome, landing),
            _ => {
                return Err(Outcome::failed(
                    ErrorCode::Lost,
                    "lost while it was fetched",
                ));
            }
        };
        if !said.is_empty() {
            io.output(Stream::Err, said.freeze()).await;
        }
        if outcome != Outcome::OK {
            return Err(outcome);
        }
        let placed = tokio::task::spawn_blocking(move || landing.place());
        placed
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| {
                if error.kind() == io::ErrorKind::UnexpectedEof {
                    let text = format!("{}: only a part of it came; nothing was kept", source.path);
                    return Outcome::failed(ErrorCode::Lost, text);
                }
                here(error)
            })
    }
}

/// Both, unless the second gives up: then the first is dropped.
async fn together<T>(
    running: impl Future<Output = Outcome>,
    landing: impl Future<Output = (T, BytesMut, Option<io::Error>)>,
) -> (Option<Outcome>, (T, BytesMut, Option<io::Error>)) {
    let (mut running, mut landing) = (std::pin::pin!(running), std::pin::pin!(landing));
    tokio::select! {
        outcome = &mut running => (Some(outcome), landing.await),
        landed = &mut landing => {
            let outcome = if landed.2.is_none() { Some(running.await) } else { None };
            (outcome, landed)
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
