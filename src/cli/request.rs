//! What was typed in front of a verb: options as they stand, before any file is read.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, ValueEnum, ValueHint};

use super::forms::Chosen;
use super::order::Order;
use super::resolve::lab::FaultOn;
use super::rollout::Rollout;
use crate::config::{Color, parse_limit};
use crate::transport::ways::WAYS;

/// A number of nodes, of which there is at least one.
fn above_zero(text: &str) -> Result<NonZeroUsize, String> {
    let wrong = "expected a number above 0".to_owned();
    text.parse().map_err(|_| wrong)
}

/// A number of nodes.
fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "expected a number".to_owned())
}

/// The values of `-R`.
fn known_ways() -> impl Iterator<Item = PossibleValue> {
    WAYS.iter()
        .map(|way| PossibleValue::new(way.name).help(way.about))
}

/// Every option that is no verb's own.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Which nodes.
    #[command(flatten)]
    pub targets: Targets,
    /// How they are reached.
    #[command(flatten)]
    pub reach: Reach,
    /// How answers are shown.
    #[command(flatten)]
    pub show: Show,
    /// How careful to be.
    #[command(flatten)]
    pub care: Care,
    /// What a command is.
    #[command(flatten)]
    pub(super) order: Order,
    /// How it is rolled out.
    #[command(flatten)]
    pub(super) rollout: Rollout,
}

/// A run of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PastRun {
    /// The last one that was written down.
    Last,
}

/// Which nodes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Targets")]
pub struct Targets {
    /// The nodes, such as 'lb[1-2]', lb1..2, '@web' or 'n[1-9]!n3'; - reads them from standard input
    #[arg(short = 'w', long = "nodes", value_name = "NODES", global = true)]
    pub nodes: Vec<String>,
    /// Nodes to leave out
    #[arg(short = 'x', long = "exclude", value_name = "NODES", global = true)]
    pub exclude: Vec<String>,
    /// Groups of nodes
    #[arg(short = 'g', long = "group", value_name = "GROUP", global = true)]
    pub group: Vec<String>,
    /// Groups of nodes to leave out
    #[arg(
        short = 'X',
        long = "exclude-group",
        value_name = "GROUP",
        global = true
    )]
    pub exclude_group: Vec<String>,
    /// All nodes of the default group source
    #[arg(short = 'a', long = "all", global = true)]
    pub all: bool,
    /// A file with nodes, several to a line, # for comments; - reads standard input
    #[arg(long, visible_alias = "machinefile", value_name = "FILE", value_hint = ValueHint::FilePath, global = true)]
    pub hostfile: Vec<PathBuf>,
    /// Those on which the last `run` was not done, whatever the reason; of the nodes named besides, if there are any
    #[arg(long, value_name = "RUN", global = true)]
    pub failed_of: Option<PastRun>,
    /// Only so many of the nodes, chosen by chance
    #[arg(long, value_name = "N", value_parser = above_zero, global = true)]
    pub pick: Option<NonZeroUsize>,
    /// Refuse (exit code 4) unless these are exactly N nodes
    #[arg(long, value_name = "N", value_parser = number, global = true)]
    pub expect: Option<usize>,
    /// The embedded lab instead of real nodes: lb1, lb2, … on this machine
    #[arg(long, global = true)]
    pub lab: bool,
    /// What is wrong with some nodes of the lab, such as hang=lb3; may be given several times
    #[arg(long = "fault", value_name = "FAULT=NODES", global = true)]
    pub faults: Vec<FaultOn>,
}

impl Targets {
    /// Whether anything says which nodes are meant.
    #[must_use]
    pub fn names_nodes(&self) -> bool {
        self.all
            || self.failed_of.is_some()
            || !self.nodes.is_empty()
            || !self.group.is_empty()
            || !self.hostfile.is_empty()
    }

    /// Whether nodes are read from standard input.
    #[must_use]
    pub fn reads_stdin(&self) -> bool {
        self.nodes.iter().any(|text| text == "-")
            || self.hostfile.iter().any(|file| file.as_os_str() == "-")
    }

    /// Whether anything says which of them are not.
    #[must_use]
    pub fn leaves_out(&self) -> bool {
        !self.exclude.is_empty() || !self.exclude_group.is_empty() || self.pick.is_some()
    }
}

/// How the nodes are reached.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct Reach {
    /// At most N nodes at work at one time [64]
    #[arg(short = 'f', long, value_name = "N", value_parser = above_zero, global = true)]
    pub fanout: Option<NonZeroUsize>,
    /// Limit of connecting, handshake included [10s]
    #[arg(short = 't', long, value_name = "TIME", value_parser = parse_limit, global = true)]
    pub connect_timeout: Option<Duration>,
    /// Limit of one command on one node; 0 is none [0]
    #[arg(short = 'u', long, value_name = "TIME", value_parser = parse_limit, global = true)]
    pub command_timeout: Option<Duration>,
    /// Longest silence of a command; 0 is none [0]
    #[arg(long, value_name = "TIME", value_parser = parse_limit, global = true)]
    pub idle: Option<Duration>,
    /// Limit of the whole run; 0 is none [0]
    #[arg(long, value_name = "TIME", value_parser = parse_limit, global = true)]
    pub deadline: Option<Duration>,
    /// Log in as this user
    #[arg(short = 'l', long, value_name = "USER", global = true)]
    pub user: Option<String>,
    /// An option as in ssh_config, such as -o Port=2222; with -R slurm one of srun, such as -o partition=long
    #[arg(
        short = 'o',
        long = "ssh-option",
        value_name = "KEY=VALUE",
        global = true
    )]
    pub ssh_option: Vec<String>,
    /// Another ssh_config
    #[arg(short = 'F', long, value_name = "FILE", value_hint = ValueHint::FilePath, global = true)]
    pub ssh_config: Option<String>,
    /// How nodes are reached [native]
    #[arg(short = 'R', long, value_name = "WORKER", global = true,
          value_parser = PossibleValuesParser::new(known_ways()))]
    pub worker: Option<String>,
    /// Reach nodes through the gateways of this file, in the format of ClusterShell's topology.conf
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, global = true)]
    pub topology: Option<PathBuf>,
    /// Put this program on gateways that lack it, into ~/.cache/hash
    #[arg(long, global = true)]
    pub install_gateway: bool,
    /// A stats socket of HAProxy: a path or tcp:HOST:PORT; may be given several times
    #[arg(long, value_name = "SOCKET", global = true)]
    pub socket: Vec<String>,
    /// The socket of HAProxy's master, which knows of workers from before a reload; may be given several times
    #[arg(long, value_name = "SOCKET", global = true)]
    pub master: Vec<String>,
    /// How the socket is reached: auto, streamlocal, socat, nc or command:TEXT [auto]
    #[arg(long, value_name = "WAY", long_help = VIA, global = true)]
    pub via: Option<String>,
    /// Be another user on the nodes, by sudo [root]: for commands, files and HAProxy's sockets. If sudo wants a password,
    /// it is asked for once, on the terminal
    #[arg(
        long = "become",
        value_name = "USER",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "root",
        global = true
    )]
    pub as_user: Option<String>,
}

/// What `--via` takes, and what is expected of a command of the user's own.
const VIA: &str = "\
How HAProxy's socket is reached on a node [auto]
  streamlocal   forwarded by the SSH server (AllowStreamLocalForwarding)
  socat, nc     by that program on the node
  auto          forwarded; if the server does not, by socat, nc, python3 or perl, whichever is there
  command:TEXT  by this command for the shell of the login, %s standing for the quoted socket. It connects its standard
                input and output with the socket, writes nothing else there, passes on the end of either, and ends when
                HAProxy closes. It runs once for each question. What it says on standard error is shown if it fails.
                Example: --via 'command:sudo -n socat - UNIX-CONNECT:%s'";

/// How the answers are shown.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct Show {
    /// The form of the output.
    #[command(flatten)]
    pub form: Chosen,
    /// Like -b, with standard error among the rest
    #[arg(short = 'B', long, global = true)]
    pub blocks_all: bool,
    /// Show in full what most nodes say, and of the others how they differ from that
    #[arg(long, global = true)]
    pub diff: bool,
    /// Replace each node's own name, addresses and times before answers are compared, and show <host>, <addr>, <time>
    #[arg(long, global = true)]
    pub normalize: bool,
    /// Write each node's standard output to a file of its name in this folder, too
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, global = true)]
    pub outdir: Option<PathBuf>,
    /// The same for standard error
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, global = true)]
    pub errdir: Option<PathBuf>,
    /// No labels
    #[arg(short = 'N', long, global = true)]
    pub no_label: bool,
    /// No notes about exit statuses, no progress
    #[arg(short = 'q', long, global = true)]
    pub quiet: bool,
    /// Say more: -v what is asked, -vv how it is reached
    #[arg(short = 'v', long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Exit with the largest exit status of the nodes
    #[arg(short = 'S', long, global = true)]
    pub max_status: bool,
    /// When to colour [auto]
    #[arg(long, value_name = "WHEN", global = true)]
    pub color: Option<Color>,
}

/// What a dry run may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Look at the nodes where that makes it tell more
    Read,
    /// Contact nothing
    Offline,
}

/// How careful to be, and what the nodes are given to read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Safety and input")]
pub struct Care {
    /// Say what would be done and do nothing. A change of HAProxy's servers reads the nodes for that, shows its rows and
    /// asks the guard; everything else, and all with --dry-run=offline, contacts nothing
    #[arg(
        long,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "read",
        global = true
    )]
    pub dry_run: Option<DryRun>,
    /// Answer questions with yes
    #[arg(long, global = true)]
    pub yes: bool,
    /// Read standard input once and give it to the command on every node
    #[arg(long, global = true)]
    pub stdin: bool,
}
