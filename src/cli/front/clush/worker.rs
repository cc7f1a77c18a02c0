//! The workers of `-R` by the names that `clush` has for them, each one of our ways to reach nodes.

use std::path::Path;
use std::sync::Arc;

use super::failure::Failure;
use super::ssh::{Native as NativeOptions, native_options};
use crate::cli::console::Console;
use crate::cli::resolve::reach;
use crate::cli::site::Site;
use crate::config::clush::ClushConf;
use crate::ini;
use crate::plan::NodeName;
use crate::report::clush::Reasons;
use crate::terminal::ask::TerminalPrompter;
use crate::transport::ways::{self, Can, NO_FORWARDING, Reached as Ready, Way};
use crate::transport::{LoginUser, Via};

/// A worker of `clush`.
#[derive(Debug)]
pub(super) struct ClushWorker {
    /// Its name.
    pub(super) name: &'static str,
    /// How it reaches nodes.
    way: &'static str,
    /// The key of the program it runs, and that of the program's options.
    keys: (&'static str, &'static str),
}

/// What workers are made of.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) called: &'a str,
    pub(super) conf: &'a ClushConf,
    pub(super) site: &'a Site,
    pub(super) console: &'a Console,
    /// The nodes, in the order of their set.
    pub(super) nodes: &'a [NodeName],
    /// Their set, folded.
    pub(super) folded: &'a str,
}

/// A worker, ready for a run.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) ready: Ready,
    pub(super) reasons: Reasons,
}

/// All workers.
static WORKERS: &[ClushWorker] = &[
    row("ssh", "native", ("ssh_path", "ssh_options")),
    row("openssh", "ssh", ("ssh_path", "ssh_options")),
    row("exec", "exec", ("", "")),
    row("rsh", "rsh", ("rsh_path", "rsh_options")),
    row("pdsh", "pdsh", ("", "")),
    // What `ssh_options` are for ssh they are for `srun` here.
    row("slurm", "slurm", ("", "ssh_options")),
];

const fn row(
    name: &'static str,
    way: &'static str,
    keys: (&'static str, &'static str),
) -> ClushWorker {
    ClushWorker { name, way, keys }
}

impl ClushWorker {
    /// The worker of that name.
    pub(super) fn by_name(name: &str) -> Result<&'static Self, Failure> {
        let found = WORKERS.iter().find(|worker| worker.name == name);
        found.ok_or_else(|| Failure::Plain(format!("Could not load worker '{name}'")))
    }

    fn way(&self) -> Result<&'static Way, Failure> {
        let unknown = || Failure::Plain(format!("Could not load worker '{}'", self.name));
        ways::by_name(self.way).ok_or_else(unknown)
    }

    /// What it can do on nodes.
    pub(super) fn can(&self) -> Result<Can, Failure> {
        Ok(self.way()?.can)
    }

    /// How many open files a node at work costs.
    pub(super) fn files(&self) -> Result<usize, Failure> {
        Ok(self.way()?.files)
    }

    /// The worker, made for a run.
    pub(super) fn make(&self, given: &Given<'_>) -> Result<Reached, Failure> {
        let (path, options) = self.keys;
        let program = given.words(path)?;
        let words = given.words(options)?;
        let mut way = self.way()?;
        let mut native = NativeOptions::default();
        if self.name == "ssh" {
            // SSH in this process, if all that is asked for can be had there, else the system's `ssh`.
            match native_options(words.clone()) {
                Some(options) if is_plain(&program) => native = options,
                _ => way = Self::by_name("openssh")?.way()?,
            }
        }
        let is_native = way.name == "native";
        if is_native {
            // Behind the user's own, which win.
            let own = ["BatchMode=yes"].into_iter().chain(NO_FORWARDING);
            native.options.extend(own.map(str::to_owned));
        }
        let made = (way.make)(ways::Given {
            nodes: given.nodes,
            folded: given.folded,
            user: LoginUser {
                asked: native.user.or_else(|| given.user()),
                usual: None,
            },
            program,
            words: if is_native { Vec::new() } else { words },
            options: native.options,
            file: native.file,
            ssh_way: "-R openssh",
            via: Via::Auto,
            facts: &|| given.site.facts(),
            prompter: Arc::new(given.person()?),
            trace: Default::default(),
        });
        let ready = made.map_err(|error| Failure::Named(error.to_string()))?;
        Ok(Reached {
            reasons: match is_native || ready.launcher.is_some() {
                true => Reasons::Ours,
                false => Reasons::Theirs,
            },
            ready,
        })
    }
}

/// Whether it is the usual `ssh`, which our own may stand for.
fn is_plain(program: &[String]) -> bool {
    match program {
        [] => true,
        [only] => Path::new(only)
            .file_name()
            .is_some_and(|name| name == "ssh"),
        _ => false,
    }
}

impl Given<'_> {
    /// The words of a key, `~` at their start expanded.
    pub(super) fn words(&self, key: &str) -> Result<Vec<String>, Failure> {
        let text = self.conf.text(key).unwrap_or_default();
        let words = ini::words(text).map_err(|error| Failure::Named(error.to_string()))?;
        let home = self.site.environment.text("HOME");
        let expand = |word: String| match (word.strip_prefix('~'), home) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                format!("{home}{rest}")
            }
            _ => word,
        };
        Ok(words.into_iter().map(expand).collect())
    }

    pub(super) fn user(&self) -> Option<String> {
        self.conf.text("ssh_user").map(str::to_owned)
    }

    /// The person at the terminal.
    fn person(&self) -> Result<TerminalPrompter, Failure> {
        reach::person(self.called, self.console).map_err(|error| Failure::Named(error.to_string()))
    }
}
