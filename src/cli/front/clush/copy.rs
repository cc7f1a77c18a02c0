//! `--copy` and `--rcopy`: what is checked before anything is contacted, and one run for each source.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::Failure;
use super::options::Copying;
use super::session::{End, Ended, Session};
use crate::config::clush::Verbosity;
use crate::exec::pool::SessionPool;
use crate::placeholder::LOCAL;
use crate::transport::Command;
use crate::work::copy::{self, Keep, Pack, Upload};
use crate::work::fetch::{self, Download};
use crate::work::run::Run;

/// Copies files to or from all nodes.
pub(super) fn run(session: &mut Session<'_>, copying: Copying) -> Result<End, Failure> {
    let sources = session.options.words.clone();
    if sources.is_empty() {
        return Err(Failure::Usage(
            "--[r]copy option requires at least one argument".to_owned(),
        ));
    }
    let dests: Vec<String> = sources
        .iter()
        .map(|source| {
            session
                .options
                .dest
                .clone()
                .unwrap_or_else(|| folder_of(source))
        })
        .collect();
    for (source, dest) in sources.iter().zip(&dests) {
        check(copying, Path::new(source), Path::new(dest))?;
    }
    let pool = SessionPool::default();
    let mut largest = 0;
    for (source, dest) in sources.iter().zip(&dests) {
        let Ended { end, done } = copy(session, copying, source, dest, &pool)?;
        match end {
            End::Done(code) => largest = largest.max(code),
            End::Signal(_) => return Ok(end),
        }
        if session.verbosity >= Verbosity::Verbose && !done.is_empty() {
            match copying {
                Copying::Push => writeln!(session.console.out, "`{source}' -> {done}:`{dest}'")?,
                Copying::Pull => writeln!(session.console.out, "{done}:`{source}' -> `{dest}'")?,
            }
        }
    }
    session.close(&pool)?;
    Ok(End::Done(largest))
}

/// Copies one source.
fn copy(
    session: &mut Session<'_>,
    copying: Copying,
    source: &str,
    dest: &str,
    pool: &SessionPool,
) -> Result<Ended, Failure> {
    let keep = Keep {
        times: session.options.preserve,
        // As `scp` does.
        follow: true,
    };
    let plan = session.plan();
    if session.worker.can()?.here {
        let line = match copying {
            Copying::Push => copy::here(&[source.into()], dest, keep),
            Copying::Pull => fetch::here(&[source.to_owned()], Path::new(dest), keep),
        };
        LOCAL
            .parse(&line)
            .map_err(|error| Failure::Named(error.to_string()))?;
        let command = Command {
            line,
            ..Command::default()
        };
        return session.perform(&plan, &Run { command }, Some(pool), None);
    }
    match copying {
        Copying::Push => {
            let pack = Pack::new(&[source.into()], keep)
                .map_err(|error| Failure::Plain(error.to_string()))?;
            let wave = plan.fanout.get().min(plan.nodes.len());
            let work = Upload::new(pack, dest, wave, None);
            session.perform(&plan, &work, Some(pool), Some(work.sent()))
        }
        Copying::Pull => {
            let names = Arc::clone(&plan.nodes);
            let work = Download::new(names, &[source.to_owned()], dest.into(), keep, false)
                .map_err(|error| Failure::Plain(error.to_string()))?;
            session.perform(&plan, &work, Some(pool), Some(work.received()))
        }
    }
}

/// Looks at the files here.
fn check(copying: Copying, source: &Path, dest: &Path) -> Result<(), Failure> {
    let wrong = match copying {
        Copying::Push if !source.exists() => format!("file \"{}\" not found", source.display()),
        Copying::Pull if !dest.exists() => format!("directory \"{}\" not found", dest.display()),
        Copying::Pull if !dest.is_dir() => {
            format!("destination \"{}\" is not a directory", dest.display())
        }
        Copying::Push | Copying::Pull => return Ok(()),
    };
    Err(Failure::Plain(wrong))
}

/// The absolute folder of a file.
fn folder_of(file: &str) -> String {
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.into());
    let folder = whole.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    folder.to_string_lossy().into_owned()
}
