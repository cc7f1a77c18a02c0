//! Upcalls: the shell commands that a group source is asked with.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use indexmap::IndexMap;

use super::source::{Answers, CACHE_TIME, Source};
use super::text::merge;
use super::{Error, Pairs, Upcall};
use crate::ini::Ini;

/// The longest answer that is read.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Every kind of question.
const UPCALLS: [Upcall; 5] = [
    Upcall::Map,
    Upcall::All,
    Upcall::List,
    Upcall::Reverse,
    Upcall::MapAll,
];

/// The commands of a source.
#[derive(Debug)]
struct Commands(Vec<(Upcall, String)>);

impl Answers for Commands {
    fn takes(&self, upcall: Upcall) -> bool {
        self.0.iter().any(|(known, _)| *known == upcall)
    }

    fn ask(
        &self,
        source: &Source,
        (upcall, subject): (Upcall, &str),
        limit: Duration,
    ) -> Result<String, Error> {
        let command = self.0.iter().find(|(known, _)| *known == upcall);
        let (_, command) = command.ok_or_else(|| Error::NoUpcall {
            upcall,
            source_name: source.name.clone(),
        })?;
        let text = fill_in(command, source, upcall, subject)?;
        run(&text, &source.folder, limit).map_err(|detail| Error::failed(upcall, detail))
    }
}

/// The sources of a file in the dialect of `groups.conf`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(path: &Path, folder: &Path) -> Result<Vec<Source>, Error> {
    let mut ini = Ini::default();
    merge(&mut ini, path)?;
    sections(&ini, folder)
}

/// The sources of the sections of such a file; one section may have several names.
///
/// # Errors
/// A section that is none of a source.
pub(super) fn sections(ini: &Ini, folder: &Path) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for section in ini.sections().filter(|section| *section != "Main") {
        let get = |option| ini.get(section, option);
        if get("map").is_none() && get("mapall").is_none() {
            return Err(Error::Config(format!(
                "No option 'map' or 'mapall' in section: '{section}'"
            )));
        }
        let cache_time = match get("cache_time") {
            Some(text) => text.parse().map_err(|_| {
                Error::Config(format!("could not convert string to float: '{text}'"))
            })?,
            None => CACHE_TIME,
        };
        let commands = UPCALLS
            .into_iter()
            .filter_map(|upcall| Some((upcall, get(upcall.name())?.to_owned())))
            .filter(|(_, command)| !command.is_empty());
        let answers = Arc::new(Commands(commands.collect()));
        sources.extend(section.split(',').map(|name| Source {
            name: name.to_owned(),
            answers: Arc::clone(&answers) as _,
            folder: folder.to_path_buf(),
            cfgdir: folder.to_string_lossy().into_owned(),
            cache_time,
        }));
    }
    Ok(sources)
}

/// The command with `$GROUP`, `$NODE`, `$SOURCE` and `$CFGDIR` filled in, as Python's `string.Template` does:
/// `$$` is one dollar, other names are left to the shell.
///
/// # Errors
/// When the group or the node has characters by which the shell would run something else: names may come
/// from the output of nodes, and they are put into the command's text as they are.
fn fill_in(command: &str, source: &Source, upcall: Upcall, subject: &str) -> Result<String, Error> {
    if let Some(c) = subject
        .chars()
        .find(|c| c.is_control() || "`$;|&<>()'\"\\".contains(*c))
    {
        return Err(Error::IllegalCharacter(c));
    }
    let value = |name: &str| match (name, upcall) {
        ("SOURCE", _) => Some(source.name.as_str()),
        ("CFGDIR", _) => Some(source.cfgdir.as_str()),
        ("GROUP", Upcall::Map) | ("NODE", Upcall::Reverse) => Some(subject),
        _ => None,
    };
    let mut text = String::with_capacity(command.len());
    let mut rest = command;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            text.push('$');
            rest = after;
            continue;
        }
        let (braced, inner) = match rest.strip_prefix('{') {
            Some(inner) => (true, inner),
            None => (false, rest),
        };
        let (name, after) = inner.split_at(
            inner
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(inner.len()),
        );
        let end = if braced {
            after.strip_prefix('}')
        } else {
            Some(after)
        };
        match (value(name), end) {
            (Some(value), Some(end)) => {
                text.push_str(value);
                rest = end;
            }
            _ => text.push('$'),
        }
    }
    text.push_str(rest);
    Ok(text)
}

/// Runs the command and gives what it prints. A failure is told as the original does, by the command itself.
fn run(command: &str, folder: &Path, limit: Duration) -> Result<String, String> {
    let failed = |_| command.to_owned();
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("{command}: {error}"))?;
    let process = rustix::process::Pid::from_child(&child);
    let Some(stdout) = child.stdout.take() else {
        return Err(command.to_owned());
    };
    let (sender, answer) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .spawn(move || {
            let _ = sender.send(collect(child, stdout));
        })
        .map_err(failed)?;
    let kill = || {
        // Nobody else reaps it, so the number still means this process and what it started.
        let _ = rustix::process::kill_process_group(process, rustix::process::Signal::KILL);
    };
    match answer.recv_timeout(limit) {
        Ok(Ok(Some(output))) => Ok(output),
        Ok(Ok(None)) => Err(command.to_owned()),
        Ok(Err(ReadError::TooLong)) => {
            kill();
            Err(format!("{command}: answers with more than 64 MiB"))
        }
        Ok(Err(ReadError::Io(error))) => Err(format!("{command}: {error}")),
        Err(_) => {
            kill();
            Err(format!(
                "{command}: no answer within {} s",
                limit.as_secs_f64()
            ))
        }
    }
}

enum ReadError {
    TooLong,
    Io(std::io::Error),
}

/// All that the child prints, once it is gone; nothing if it failed.
fn collect(mut child: Child, stdout: ChildStdout) -> Result<Option<String>, ReadError> {
    let mut output = Vec::new();
    stdout
        .take(LONGEST + 1)
        .read_to_end(&mut output)
        .map_err(ReadError::Io)?;
    if output.len() as u64 > LONGEST {
        return Err(ReadError::TooLong);
    }
    let status = child.wait().map_err(ReadError::Io)?;
    Ok(status
        .success()
        .then(|| String::from_utf8_lossy(&output).into_owned()))
}

/// The groups that a `mapall` upcall printed, `group: nodes` in each line.
pub(super) fn parse_mapall(text: &str) -> Result<Pairs, String> {
    let mut groups: IndexMap<String, String> = IndexMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, nodes) = line
            .split_once(':')
            .ok_or_else(|| format!("mapall: invalid line '{line}' (expected 'group: nodes')"))?;
        let known = groups.entry(name.trim().to_owned()).or_default();
        for word in nodes.split_whitespace() {
            if !known.is_empty() {
                known.push(',');
            }
            known.push_str(word);
        }
    }
    let groups = groups.into_iter();
    Ok(groups.map(|(name, nodes)| (name, nodes.into())).collect())
}
