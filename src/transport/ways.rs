//! The ways to reach nodes: one row of [`WAYS`] each. Which one is taken, and with which settings, is `cli`'s to resolve.

use std::sync::Arc;

use super::launch::{LaunchedOnly, Launcher};
use super::local::Local;
use super::openssh::OpenSsh;
use super::pdsh::Pdsh;
use super::rsh::Rsh;
use super::slurm::Slurm;
use super::ssh::user_config::{ConfigError, Facts, Options};
pub use super::ssh::user_config::{ConfigFile, is_only_for_ssh};
use super::ssh::{Native, Settings};
use super::{LoginUser, Transport, Via};
use crate::plan::NodeName;
use crate::prompt::Prompter;
use crate::trace::Trace;

/// A way to reach nodes.
#[derive(Debug)]
pub struct Way {
    /// Its name, for `-R`.
    pub name: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// How many open files a node at work costs here.
    pub files: usize,
    /// What it can do on a node.
    pub can: Can,
    /// How it is made.
    pub make: fn(Given<'_>) -> Result<Reached, ConfigError>,
}

/// What can be done on a node that is reached in some way. Every way runs commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each answers a question of its own about the way"
)]
pub struct Can {
    /// Commands are given standard input.
    pub stdin: bool,
    /// Each node is reached by itself, so that more can be made of what a command says than lines.
    pub apart: bool,
    /// More than one command on a node: several, sockets as seen from the node, files.
    pub sessions: bool,
    /// It is SSH, by which gateways are reached too.
    pub ssh: bool,
    /// Commands run here, with the node as a placeholder.
    pub here: bool,
}

/// What a way is made of. Each takes what it can use.
pub struct Given<'a> {
    /// The nodes, in the order of their set.
    pub nodes: &'a [NodeName],
    /// Their set, folded.
    pub folded: &'a str,
    /// Whom to log in as.
    pub user: LoginUser,
    /// The program and the words that always come first; empty for the usual program.
    pub program: Vec<String>,
    /// More words for the program, as they stand.
    pub words: Vec<String>,
    /// Options as for `ssh -o`; for Slurm those of `srun` without their dashes.
    pub options: Vec<String>,
    /// Another ssh_config, as for `ssh -F`.
    pub file: ConfigFile,
    /// What chooses the system's `ssh` on this command line, for hints.
    pub ssh_way: &'static str,
    /// How sockets on the nodes are reached.
    pub via: Via,
    /// Reads what is true of this machine and user, which only the native way must know.
    pub facts: &'a dyn Fn() -> Result<Facts, ConfigError>,
    /// What asks for secrets.
    pub prompter: Arc<dyn Prompter>,
    /// What wants to know of the way to the nodes.
    pub trace: Trace,
}

impl std::fmt::Debug for Given<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given")
            .field("folded", &self.folded)
            .field("user", &self.user)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A way, ready for a run.
#[derive(Debug)]
pub struct Reached {
    /// How nodes are reached one by one.
    pub transport: Box<dyn Transport>,
    /// What reaches many nodes by itself instead.
    pub launcher: Option<Box<dyn Launcher>>,
}

impl Reached {
    /// Nodes reached one by one.
    #[must_use]
    pub fn each(transport: impl Transport + 'static) -> Self {
        Self {
            transport: Box::new(transport),
            launcher: None,
        }
    }

    fn launched(name: &'static str, launcher: impl Launcher + 'static) -> Self {
        Self {
            launcher: Some(Box::new(launcher)),
            ..Self::each(LaunchedOnly(name))
        }
    }
}

/// What ClusterShell switches off for its `ssh`, as options: whoever stands for it misses neither.
pub const NO_FORWARDING: [&str; 2] = ["ForwardAgent=no", "ForwardX11=no"];

/// Commands only, each a process of its own here.
const PROCESS: Can = Can {
    stdin: true,
    apart: true,
    sessions: true,
    ssh: false,
    here: false,
};

/// All ways.
pub static WAYS: &[Way] = &[
    Way {
        name: "native",
        about: "SSH in this process",
        files: 1,
        can: Can {
            ssh: true,
            ..PROCESS
        },
        make: native,
    },
    Way {
        name: "ssh",
        about: "the system's ssh",
        files: 4,
        can: Can {
            ssh: true,
            ..PROCESS
        },
        make: |given| {
            let usual = OpenSsh::default();
            Ok(Reached::each(OpenSsh {
                options: ssh_words(&given),
                program: or_usual(given.program, usual.program),
                user: given.user,
                via: given.via,
                trace: given.trace,
            }))
        },
    },
    Way {
        name: "exec",
        about: "a command here for each node",
        files: 4,
        can: Can {
            here: true,
            ..PROCESS
        },
        make: |given| {
            let local = Local::new(given.nodes, given.folded.to_owned());
            Ok(Reached::each(local))
        },
    },
    Way {
        name: "rsh",
        about: "rsh",
        files: 4,
        can: Can {
            sessions: false,
            ..PROCESS
        },
        make: |given| {
            Ok(Reached::each(Rsh {
                program: or_usual(given.program, Rsh::default().program),
                options: given.words,
                user: given.user.any(),
            }))
        },
    },
    Way {
        name: "pdsh",
        about: "one pdsh for all nodes",
        files: 0,
        can: Can {
            stdin: false,
            apart: false,
            sessions: false,
            ..PROCESS
        },
        make: |given| {
            let pdsh = Pdsh {
                user: given.user.any(),
                ..Pdsh::default()
            };
            Ok(Reached::launched("pdsh", pdsh))
        },
    },
    Way {
        name: "slurm",
        about: "one srun of Slurm's for all nodes",
        files: 0,
        can: Can {
            apart: false,
            sessions: false,
            ..PROCESS
        },
        make: |given| {
            let options = given.options.iter().map(|option| format!("--{option}"));
            let slurm = Slurm {
                options: options.chain(given.words).collect(),
                ..Slurm::default()
            };
            Ok(Reached::launched("slurm", slurm))
        },
    },
];

/// The way of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Way> {
    WAYS.iter().find(|way| way.name == name)
}

/// The names of all ways.
#[must_use]
pub fn names() -> Vec<&'static str> {
    WAYS.iter().map(|way| way.name).collect()
}

fn or_usual(words: Vec<String>, usual: Vec<String>) -> Vec<String> {
    if words.is_empty() { usual } else { words }
}

/// The words of `ssh` for what was given.
fn ssh_words(given: &Given<'_>) -> Vec<String> {
    let mut words: Vec<String> = given
        .options
        .iter()
        .flat_map(|option| ["-o".to_owned(), option.clone()])
        .collect();
    match &given.file {
        ConfigFile::Default => {}
        ConfigFile::None => words.extend(["-F".to_owned(), "none".to_owned()]),
        ConfigFile::Path(path) => words.extend(["-F".to_owned(), path.display().to_string()]),
    }
    words.extend(given.words.iter().cloned());
    words
}

/// SSH in this process. Its configuration is read now, so that a mistake in it is told once.
fn native(given: Given<'_>) -> Result<Reached, ConfigError> {
    let settings = Settings {
        facts: (given.facts)()?,
        options: Options {
            file: given.file,
            options: given.options,
        },
        user: given.user,
        via: given.via,
        ssh_way: given.ssh_way,
        trace: given.trace,
    };
    let native = Native::new(settings, given.prompter);
    native.check()?;
    Ok(Reached::each(native))
}
