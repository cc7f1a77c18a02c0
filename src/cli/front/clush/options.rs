//! The command line of `clush`.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::getopt::{Found, Opt, Parser, text};

/// The usage line of the original.
pub(super) const USAGE: &str = "Usage: clush [options] command";

/// The help.
pub(super) const HELP: &str = include_str!("help.txt");

/// What the command line asks for.
#[derive(Debug)]
pub(super) enum Parsed {
    Run(Box<Options>),
    Help,
    Version,
}

/// A part of the set of nodes to run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// A node set, with the name of the option.
    Nodes(String),
    /// Names of groups.
    Group(String),
}

/// Files that are copied, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copying {
    /// To the nodes.
    Push,
    /// From the nodes.
    Pull,
}

/// The options.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(super) struct Options {
    pub(super) source: Option<String>,
    pub(super) no_stdin: bool,
    pub(super) groupsconf: Option<PathBuf>,
    pub(super) conf: Option<PathBuf>,
    /// `-O`, as they stand.
    pub(super) settings: Vec<String>,
    pub(super) nodes: Vec<Part>,
    pub(super) exclude: Vec<Part>,
    pub(super) all: bool,
    pub(super) hostfiles: Vec<PathBuf>,
    pub(super) topology: Option<PathBuf>,
    pub(super) pick: Option<i64>,
    pub(super) quiet: bool,
    pub(super) verbose: bool,
    pub(super) debug: bool,
    pub(super) no_prefix: bool,
    pub(super) lines: bool,
    pub(super) no_labels: bool,
    pub(super) progress: bool,
    pub(super) gather: bool,
    pub(super) gather_all: bool,
    pub(super) regroup: bool,
    pub(super) axis: Option<String>,
    pub(super) maxrc: bool,
    pub(super) color: Option<&'static str>,
    pub(super) diff: bool,
    pub(super) outdir: Option<PathBuf>,
    pub(super) errdir: Option<PathBuf>,
    pub(super) copying: Option<Copying>,
    pub(super) dest: Option<String>,
    pub(super) preserve: bool,
    pub(super) fanout: Option<i64>,
    pub(super) user: Option<String>,
    pub(super) ssh_options: Option<String>,
    pub(super) connect_timeout: Option<f64>,
    pub(super) command_timeout: Option<f64>,
    pub(super) mode: Option<String>,
    pub(super) worker: Option<String>,
    pub(super) remote: Option<&'static str>,
    /// The words that are no options.
    pub(super) words: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Id {
    Version,
    Help,
    Source,
    NoStdin,
    GroupsConf,
    Conf,
    Setting,
    Nodes,
    Exclude,
    All,
    Group,
    ExcludeGroup,
    Hostfile,
    Topology,
    Pick,
    Quiet,
    Verbose,
    Debug,
    GroupBase,
    Lines,
    NoLabels,
    Progress,
    Gather,
    GatherAll,
    Regroup,
    Axis,
    Maxrc,
    Color,
    Diff,
    Outdir,
    Errdir,
    Copy,
    ReverseCopy,
    Dest,
    Preserve,
    Fanout,
    User,
    SshOptions,
    ConnectTimeout,
    CommandTimeout,
    Mode,
    Worker,
    Remote,
    Engine,
    Grooming,
}

const OPTIONS: &[Opt<Id>] = &[
    Opt::flag(Id::Version, &["--version"]),
    Opt::flag(Id::Help, &["-h", "--help"]),
    Opt::value(Id::Source, &["-s", "--groupsource"]),
    Opt::flag(Id::NoStdin, &["-n", "--nostdin"]),
    Opt::value(Id::GroupsConf, &["--groupsconf"]),
    Opt::value(Id::Conf, &["--conf"]),
    Opt::value(Id::Setting, &["-O", "--option"]),
    Opt::value(Id::Nodes, &["-w"]),
    Opt::value(Id::Exclude, &["-x"]),
    Opt::flag(Id::All, &["-a", "--all"]),
    Opt::value(Id::Group, &["-g", "--group"]),
    Opt::value(Id::ExcludeGroup, &["-X"]),
    Opt::value(Id::Hostfile, &["--hostfile", "--machinefile"]),
    Opt::value(Id::Topology, &["--topology"]),
    Opt::value(Id::Pick, &["--pick"]),
    Opt::flag(Id::Quiet, &["-q", "--quiet"]),
    Opt::flag(Id::Verbose, &["-v", "--verbose"]),
    Opt::flag(Id::Debug, &["-d", "--debug"]),
    Opt::flag(Id::GroupBase, &["-G", "--groupbase"]),
    Opt::flag(Id::Lines, &["-L"]),
    Opt::flag(Id::NoLabels, &["-N"]),
    Opt::flag(Id::Progress, &["-P", "--progress"]),
    Opt::flag(Id::Gather, &["-b", "--dshbak"]),
    Opt::flag(Id::GatherAll, &["-B"]),
    Opt::flag(Id::Regroup, &["-r", "--regroup"]),
    Opt::value(Id::Axis, &["--axis"]),
    Opt::flag(Id::Maxrc, &["-S", "--maxrc"]),
    Opt::value(Id::Color, &["--color"]),
    Opt::flag(Id::Diff, &["--diff"]),
    Opt::value(Id::Outdir, &["--outdir"]),
    Opt::value(Id::Errdir, &["--errdir"]),
    Opt::flag(Id::Copy, &["-c", "--copy"]),
    Opt::flag(Id::ReverseCopy, &["--rcopy"]),
    Opt::value(Id::Dest, &["--dest"]),
    Opt::flag(Id::Preserve, &["-p"]),
    Opt::value(Id::Fanout, &["-f", "--fanout"]),
    Opt::value(Id::User, &["-l", "--user"]),
    Opt::value(Id::SshOptions, &["-o", "--options"]),
    Opt::value(Id::ConnectTimeout, &["-t", "--connect_timeout"]),
    Opt::value(Id::CommandTimeout, &["-u", "--command_timeout"]),
    Opt::value(Id::Mode, &["-m", "--mode"]),
    Opt::value(Id::Worker, &["-R", "--worker"]),
    Opt::value(Id::Remote, &["--remote"]),
    Opt::value(Id::Engine, &["-E", "--engine"]),
    Opt::value(Id::Grooming, &["--grooming"]),
];

/// Reads the command line.
///
/// # Errors
/// The text of the usage error.
pub(super) fn parse(words: &[OsString]) -> Result<Parsed, String> {
    let mut options = Options::default();
    let mut parser = Parser::new(OPTIONS, words);
    while let Some(found) = parser.next_option()? {
        if matches!(found.id, Id::Version) {
            return Ok(Parsed::Version);
        }
        if matches!(found.id, Id::Help) {
            return Ok(Parsed::Help);
        }
        options.take(&found)?;
        // Files may stand among the options.
        parser.intersperse(options.copying.is_some());
    }
    options.words = parser.rest().iter().map(|word| text(word)).collect();
    options.gather |= options.diff;
    Ok(Parsed::Run(Box::new(options)))
}

impl Options {
    fn take(&mut self, found: &Found<Id>) -> Result<(), String> {
        match found.id {
            Id::Version | Id::Help => {}
            // With both the original copies to the nodes.
            Id::Copy => self.copying = Some(Copying::Push),
            Id::ReverseCopy => {
                self.copying.get_or_insert(Copying::Pull);
            }
            Id::Source => self.source = Some(found.text()),
            Id::NoStdin => self.no_stdin = true,
            Id::GroupsConf => self.groupsconf = file(found),
            Id::Conf => self.conf = file(found),
            Id::Setting => self.settings.push(found.text()),
            Id::Nodes => self.nodes.push(Part::Nodes(meant(found)?)),
            Id::Exclude => self.exclude.push(Part::Nodes(meant(found)?)),
            Id::All => self.all = true,
            Id::Group => self.nodes.push(Part::Group(meant(found)?)),
            Id::ExcludeGroup => self.exclude.push(Part::Group(meant(found)?)),
            Id::Hostfile => self.hostfiles.push(PathBuf::from(&found.value)),
            Id::Topology => self.topology = file(found),
            Id::Pick => self.pick = Some(found.integer()?),
            Id::Quiet => self.quiet = true,
            Id::Verbose => self.verbose = true,
            Id::Debug => self.debug = true,
            Id::GroupBase => self.no_prefix = true,
            Id::Lines => self.lines = true,
            Id::NoLabels => self.no_labels = true,
            Id::Progress => self.progress = true,
            Id::Gather => self.gather = true,
            Id::GatherAll => (self.gather, self.gather_all) = (true, true),
            Id::Regroup => self.regroup = true,
            Id::Axis => self.axis = Some(found.text()).filter(|text| !text.is_empty()),
            Id::Maxrc => self.maxrc = true,
            Id::Color => self.color = Some(found.choice(&["", "never", "always", "auto"])?),
            Id::Diff => self.diff = true,
            Id::Outdir => self.outdir = file(found),
            Id::Errdir => self.errdir = file(found),
            Id::Dest => self.dest = Some(found.text()).filter(|text| !text.is_empty()),
            Id::Preserve => self.preserve = true,
            Id::Fanout => self.fanout = Some(found.integer()?),
            Id::User => self.user = Some(meant(found)?),
            Id::SshOptions => self.ssh_options = Some(found.text()),
            Id::ConnectTimeout => self.connect_timeout = Some(found.number()?),
            Id::CommandTimeout => self.command_timeout = Some(found.number()?),
            Id::Mode => self.mode = Some(found.text()).filter(|text| !text.is_empty()),
            Id::Worker => self.worker = Some(found.text()).filter(|text| !text.is_empty()),
            Id::Remote => self.remote = Some(found.choice(&["yes", "no"])?),
            // There is one engine here, and gateways send what they have at once.
            Id::Engine => drop(found.choice(&["auto", "epoll", "poll", "select"])?),
            Id::Grooming => drop(found.number()?),
        }
        Ok(())
    }
}

/// A file's name; none if it is empty, as in the original.
fn file(found: &Found<Id>) -> Option<PathBuf> {
    (!found.value.is_empty()).then(|| PathBuf::from(&found.value))
}

/// A value that must not be empty or look like an option.
fn meant(found: &Found<Id>) -> Result<String, String> {
    let text = found.text();
    if text.is_empty() || text.starts_with('-') {
        return Err(format!("option {}: invalid value: '{text}'", found.name));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Box<Options>, String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        match parse(&words)? {
            Parsed::Run(options) => Ok(options),
            parsed @ (Parsed::Help | Parsed::Version) => Err(format!("{parsed:?}")),
        }
    }

    #[test]
    fn options_end_at_the_command_unless_files_are_copied() {
        let run = options("-bw n1 echo -b hi").unwrap();
        assert!(run.gather && !run.gather_all);
        assert_eq!(run.words, ["echo", "-b", "hi"]);
        let copy = options("-w n1 -c a --dest x b -p").unwrap();
        assert_eq!(
            (copy.words.join(" "), copy.copying),
            ("a b".into(), Some(Copying::Push))
        );
        assert!(copy.preserve && copy.dest.as_deref() == Some("x"));
    }

    #[test]
    fn mistakes_are_worded_as_in_the_original() {
        for (line, error) in [
            ("-w - true", "option -w: invalid value: '-'"),
            ("-l  true", "option -l: invalid value: ''"),
            ("-t x", "option -t: invalid floating-point value: 'x'"),
            ("-f x", "option -f: invalid integer value: 'x'"),
            (
                "--remote=maybe",
                "option --remote: invalid choice: 'maybe' (choose from 'yes', 'no')",
            ),
            (
                "--co",
                "ambiguous option: --co (--color, --command_timeout, --conf, --connect_timeout, --copy?)",
            ),
        ] {
            assert_eq!(options(line).unwrap_err(), error, "{line}");
        }
    }
}
