//! The command line of `clubak`.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::getopt::{Opt, Parser};
use crate::config::Color;

/// The usage line of the original.
pub(super) const USAGE: &str = "Usage: clubak [options]";

/// The help.
pub(super) const HELP: &str = "\
Usage: clubak [options]

Reads \"node: text\" lines from standard input and shows equal outputs once.

Options:
  --version             print the version and exit
  -h, --help            print this help and exit
  -s SOURCE, --groupsource=SOURCE
                        group source for -r
  --groupsconf=FILE     read group sources from this file only

  Output:
    -q, --quiet         no number of nodes in headers
    -v, --verbose       echo each line that is read
    -d, --debug         echo lines, and say what is done on standard error
    -G, --groupbase     no source in front of group names
    -L                  a label in front of each line instead of header blocks
    -N                  neither header blocks nor labels
    -b, -c, --dshbak    one block for all nodes with the same output
    -B                  the same as -b
    -r, --regroup       show node sets by groups (implies -b)
    --axis=RANGESET     fold these axes only (1 is the first, -1 the last)
    -S SEPARATOR, --separator=SEPARATOR
                        what stands between node and text (default: ':')
    -F, --fast          accepted; it is always fast (not with -L or -T)
    -T, --tree          show where outputs part
    --interpret-keys=WHEN
                        whether keys are node sets: never, always or auto
    --color=WHEN        colour: never, always or auto
    --diff              show how outputs differ from the most frequent one
    --outdir=DIR        accepted and ignored
    --errdir=DIR        accepted and ignored

Examples:
  pdsh -w 'n[1-9]' uname -r 2>&1 | clubak -b
  clush -w 'n[1-9]' cat /etc/hosts | clubak --diff
  hash -w 'n[1-9]' --jsonl -- uptime | clubak -bL
";

/// Whether keys are node sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interpret {
    /// They are names as they stand.
    Never,
    /// A key that is no node set is an error.
    Always,
    /// As long as all of them can be read as such.
    Auto,
}

/// What the command line asks for.
#[derive(Debug)]
pub(super) enum Parsed {
    Run(Options),
    Help,
    Version,
}

/// The options.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(super) struct Options {
    pub(super) gather: bool,
    pub(super) lines: bool,
    pub(super) labels: bool,
    pub(super) regroup: bool,
    pub(super) source: Option<String>,
    pub(super) no_prefix: bool,
    pub(super) groupsconf: Option<PathBuf>,
    pub(super) axis: Option<String>,
    pub(super) separator: String,
    pub(super) fast: bool,
    pub(super) trace: bool,
    pub(super) interpret: Interpret,
    pub(super) color: Color,
    pub(super) diff: bool,
    pub(super) quiet: bool,
    pub(super) echo: bool,
    pub(super) debug: bool,
}

impl Options {
    /// Whether the options go together; checked after `--axis`, as the original does.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.fast && (self.lines || self.trace) {
            return Err("incompatible tree options".to_owned());
        }
        if self.diff && self.lines {
            return Err("option mismatch (diff not supported in line_mode)".to_owned());
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Id {
    Version,
    Help,
    Source,
    GroupsConf,
    Quiet,
    Verbose,
    Debug,
    GroupBase,
    Lines,
    NoLabels,
    Gather,
    Regroup,
    Axis,
    Separator,
    Fast,
    Tree,
    Interpret,
    Color,
    Diff,
    Ignored,
}

const OPTIONS: &[Opt<Id>] = &[
    Opt::flag(Id::Version, &["--version"]),
    Opt::flag(Id::Help, &["-h", "--help"]),
    Opt::value(Id::Source, &["-s", "--groupsource"]),
    Opt::value(Id::GroupsConf, &["--groupsconf"]),
    Opt::flag(Id::Quiet, &["-q", "--quiet"]),
    Opt::flag(Id::Verbose, &["-v", "--verbose"]),
    Opt::flag(Id::Debug, &["-d", "--debug"]),
    Opt::flag(Id::GroupBase, &["-G", "--groupbase"]),
    Opt::flag(Id::Lines, &["-L"]),
    Opt::flag(Id::NoLabels, &["-N"]),
    Opt::flag(Id::Gather, &["-b", "-c", "--dshbak"]),
    Opt::flag(Id::Gather, &["-B"]),
    Opt::flag(Id::Regroup, &["-r", "--regroup"]),
    Opt::value(Id::Axis, &["--axis"]),
    Opt::value(Id::Separator, &["-S", "--separator"]),
    Opt::flag(Id::Fast, &["-F", "--fast"]),
    Opt::flag(Id::Tree, &["-T", "--tree"]),
    Opt::value(Id::Interpret, &["--interpret-keys"]),
    Opt::value(Id::Color, &["--color"]),
    Opt::flag(Id::Diff, &["--diff"]),
    Opt::value(Id::Ignored, &["--outdir"]),
    Opt::value(Id::Ignored, &["--errdir"]),
];

/// The words that `--color` and `--interpret-keys` take.
const WHEN: &[&str] = &["", "never", "always", "auto"];

/// Reads the command line.
///
/// # Errors
/// The text of the usage error.
pub(super) fn parse(words: &[OsString]) -> Result<Parsed, String> {
    let mut options = Options {
        gather: false,
        lines: false,
        labels: true,
        regroup: false,
        source: None,
        no_prefix: false,
        groupsconf: None,
        axis: None,
        separator: ":".to_owned(),
        fast: false,
        trace: false,
        interpret: Interpret::Auto,
        color: Color::Auto,
        diff: false,
        quiet: false,
        echo: false,
        debug: false,
    };
    let mut parser = Parser::new(OPTIONS, words);
    while let Some(found) = parser.next_option()? {
        match found.id {
            Id::Version => return Ok(Parsed::Version),
            Id::Help => return Ok(Parsed::Help),
            Id::Source => options.source = Some(found.text()),
            Id::GroupsConf => options.groupsconf = Some(PathBuf::from(found.value)),
            Id::Quiet => options.quiet = true,
            Id::Verbose => options.echo = true,
            Id::Debug => (options.echo, options.debug) = (true, true),
            Id::GroupBase => options.no_prefix = true,
            Id::Lines => options.lines = true,
            Id::NoLabels => options.labels = false,
            Id::Gather => options.gather = true,
            Id::Regroup => options.regroup = true,
            Id::Axis => options.axis = Some(found.text()).filter(|text| !text.is_empty()),
            Id::Separator => options.separator = found.text(),
            Id::Fast => options.fast = true,
            Id::Tree => options.trace = true,
            Id::Interpret => {
                options.interpret = match found.choice(WHEN)? {
                    "always" => Interpret::Always,
                    "auto" => Interpret::Auto,
                    _ => Interpret::Never,
                }
            }
            Id::Color => {
                options.color = match found.choice(WHEN)? {
                    "always" => Color::Always,
                    "never" => Color::Never,
                    _ => Color::Auto,
                }
            }
            Id::Diff => options.diff = true,
            Id::Ignored => {}
        }
    }
    // Of -q, -v and -d the most talkative one counts.
    options.quiet &= !options.echo;
    options.gather |= options.regroup || options.diff;
    Ok(Parsed::Run(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        match parse(&words)? {
            Parsed::Run(options) => Ok(options),
            parsed @ (Parsed::Help | Parsed::Version) => Err(format!("{parsed:?}")),
        }
    }

    #[test]
    fn some_options_bring_others() {
        assert!(options("-r").unwrap().gather);
        assert!(options("--diff").unwrap().gather);
        let talkative = options("-dq").unwrap();
        assert!(talkative.debug && talkative.echo && !talkative.quiet);
        assert!(options("-q").unwrap().quiet);
        assert_eq!(options("--axis=").unwrap().axis, None);
        assert_eq!(
            options("--interpret-keys=").unwrap().interpret,
            Interpret::Never
        );
    }

    #[test]
    fn some_options_exclude_each_other() {
        for line in ["-F -L", "-FT", "--diff -FL"] {
            assert_eq!(
                options(line).unwrap().check().unwrap_err(),
                "incompatible tree options"
            );
        }
        assert_eq!(
            options("--diff -L").unwrap().check().unwrap_err(),
            "option mismatch (diff not supported in line_mode)"
        );
        assert_eq!(
            options("--color=red").unwrap_err(),
            "option --color: invalid choice: 'red' (choose from '', 'never', 'always', 'auto')"
        );
    }
}
