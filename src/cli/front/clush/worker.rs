//! The workers of `-R`: how nodes are reached. One row of [`WORKERS`] each.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::failure::Failure;
use super::ssh::{Native as NativeOptions, native_options};
use crate::cli::console::Console;
use crate::config::Environment;
use crate::config::clush::ClushConf;
use crate::ini;
use crate::plan::NodeName;
use crate::report::clush::Reasons;
use crate::terminal::ask::Person;
use crate::transport::Transport;
use crate::transport::launch::{LaunchedOnly, Launcher};
use crate::transport::local::Local;
use crate::transport::openssh::OpenSsh;
use crate::transport::pdsh::Pdsh;
use crate::transport::rsh::Rsh;
use crate::transport::slurm::Slurm;
use crate::transport::ssh::user_config::{Facts, Options};
use crate::transport::ssh::{Native, Settings, Via};

/// A way to reach nodes.
#[derive(Debug)]
pub(super) struct Worker {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether commands have placeholders.
    pub(super) has_placeholders: bool,
    /// Whether commands can be given standard input.
    pub(super) takes_input: bool,
    /// Whether it is SSH, by which gateways are reached too.
    pub(super) is_ssh: bool,
    /// How many open files a node at work costs.
    pub(super) files: usize,
    make: fn(&Given<'_>) -> Result<Reached, Failure>,
}

/// What workers are made of.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) called: &'a str,
    pub(super) conf: &'a ClushConf,
    pub(super) environment: &'a Environment,
    pub(super) console: &'a Console,
    /// The nodes, in the order of their set.
    pub(super) nodes: &'a [NodeName],
    /// Their set, folded.
    pub(super) folded: &'a str,
}

/// A worker, ready for a run.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) transport: Box<dyn Transport>,
    pub(super) launcher: Option<Box<dyn Launcher>>,
    pub(super) reasons: Reasons,
}

/// All workers.
static WORKERS: &[Worker] = &[
    Worker {
        is_ssh: true,
        ..row("ssh", 1, ssh)
    },
    Worker {
        is_ssh: true,
        ..row("openssh", 4, openssh)
    },
    Worker {
        has_placeholders: true,
        ..row("exec", 4, exec)
    },
    row("rsh", 4, rsh),
    Worker {
        takes_input: false,
        ..row("pdsh", 0, pdsh)
    },
    row("slurm", 0, slurm),
];

const fn row(
    name: &'static str,
    files: usize,
    make: fn(&Given<'_>) -> Result<Reached, Failure>,
) -> Worker {
    Worker {
        name,
        has_placeholders: false,
        takes_input: true,
        is_ssh: false,
        files,
        make,
    }
}

impl Worker {
    /// The worker of that name.
    pub(super) fn by_name(name: &str) -> Result<&'static Self, Failure> {
        let found = WORKERS.iter().find(|worker| worker.name == name);
        found.ok_or_else(|| Failure::Plain(format!("Could not load worker '{name}'")))
    }

    /// The worker, made for a run.
    pub(super) fn make(&self, given: &Given<'_>) -> Result<Reached, Failure> {
        (self.make)(given)
    }
}

impl Given<'_> {
    /// The words of a key, `~` at their start expanded.
    pub(super) fn words(&self, key: &str) -> Result<Vec<String>, Failure> {
        let text = self.conf.text(key).unwrap_or_default();
        let words = ini::words(text).map_err(|error| Failure::Named(error.to_string()))?;
        let home = self.environment.text("HOME");
        let expand = |word: String| match (word.strip_prefix('~'), home) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                format!("{home}{rest}")
            }
            _ => word,
        };
        Ok(words.into_iter().map(expand).collect())
    }

    /// The words of the program at a key, else its usual name.
    fn program(&self, key: &str, usual: &str) -> Result<Vec<String>, Failure> {
        let words = self.words(key)?;
        Ok(if words.is_empty() {
            vec![usual.to_owned()]
        } else {
            words
        })
    }

    pub(super) fn user(&self) -> Option<String> {
        self.conf.text("ssh_user").map(str::to_owned)
    }
}

fn by_itself(transport: impl Transport + 'static) -> Reached {
    Reached {
        transport: Box::new(transport),
        launcher: None,
        reasons: Reasons::Theirs,
    }
}

/// SSH in this process, if all that is asked for can be had there, else the system's `ssh`.
fn ssh(given: &Given<'_>) -> Result<Reached, Failure> {
    let program = given.program("ssh_path", "ssh")?;
    let is_plain = match program.as_slice() {
        [only] => Path::new(only)
            .file_name()
            .is_some_and(|name| name == "ssh"),
        _ => false,
    };
    match native_options(given.words("ssh_options")?) {
        Some(options) if is_plain => native(given, options),
        _ => openssh(given),
    }
}

fn native(given: &Given<'_>, found: NativeOptions) -> Result<Reached, Failure> {
    let facts =
        Facts::read(given.environment.iter()).map_err(|error| Failure::Named(error.to_string()))?;
    let mut options = found.options;
    // Behind the user's own, which win.
    options.push("BatchMode=yes".to_owned());
    let settings = Settings {
        facts,
        options: Options {
            file: found.file,
            options,
        },
        user: found.user.or_else(|| given.user()),
        via: Via::Auto,
    };
    let err = given.console.err.try_clone()?;
    let called = given.called.to_owned();
    let person = Person::new(given.console.floor.clone(), move |message| {
        // Nothing can be done if that fails.
        let _ = writeln!(&err, "{called}: warning: {message}");
    });
    let native = Native::new(settings, Arc::new(person));
    native
        .check()
        .map_err(|error| Failure::Named(error.to_string()))?;
    Ok(Reached {
        reasons: Reasons::Ours,
        ..by_itself(native)
    })
}

fn openssh(given: &Given<'_>) -> Result<Reached, Failure> {
    Ok(by_itself(OpenSsh {
        program: given.program("ssh_path", "ssh")?,
        options: given.words("ssh_options")?,
        user: given.user(),
        ..OpenSsh::default()
    }))
}

fn exec(given: &Given<'_>) -> Result<Reached, Failure> {
    Ok(by_itself(Local::new(given.nodes, given.folded.to_owned())))
}

fn rsh(given: &Given<'_>) -> Result<Reached, Failure> {
    Ok(by_itself(Rsh {
        program: given.program("rsh_path", "rsh")?,
        options: given.words("rsh_options")?,
        user: given.user(),
    }))
}

fn launched(name: &'static str, launcher: impl Launcher + 'static) -> Reached {
    Reached {
        launcher: Some(Box::new(launcher)),
        reasons: Reasons::Ours,
        ..by_itself(LaunchedOnly(name))
    }
}

fn pdsh(given: &Given<'_>) -> Result<Reached, Failure> {
    let pdsh = Pdsh {
        user: given.user(),
        ..Pdsh::default()
    };
    Ok(launched("pdsh", pdsh))
}

/// `ssh_options` are those of `srun` here.
fn slurm(given: &Given<'_>) -> Result<Reached, Failure> {
    let slurm = Slurm {
        options: given.words("ssh_options")?,
        ..Slurm::default()
    };
    Ok(launched("slurm", slurm))
}
