//! The command line of MilkCheck 1.2.4, and what we add to it.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::getopt::{Found, Opt, Parser};
use crate::config::milkcheck::Report;
use crate::nodeset::NodeSet;
use crate::service::variables::Template;

/// The help text. Its first line is MilkCheck's.
pub(super) const HELP: &str = "\
Usage: milkcheck [options] [SERVICE...] ACTION

Runs an action of services in the order of their dependencies. Without an action the configuration is checked.

Options:
  --version             show program's version number and exit
  -h, --help            show this help message and exit
  -v, --verbose         increase or decrease verbosity
  -d, --debug           enable debug mode
  -q, --quiet           no output but status lines
  -g, --graph           print the dependency graph and run nothing; --graph=dot, svg or text
  -s, --summary         display a summary of the run
  -r TYPE, --report=TYPE
                        display a report of the run: no, default or full
  -c DIR, --config-dir=DIR
                        directory of the service files
  -y, --assumeyes       answer yes to confirmation questions
  --json                tell the run as JSON events, one a line
  --print=haproxy       print the embedded procedure as YAML to start from
  --lab                 reach the nodes of the embedded lab

  Engine:
    -n NODES, --only-nodes=NODES
                        use only these nodes
    -x NODES, --exclude-nodes=NODES
                        use none of these nodes
    -X NAME, --exclude-service=NAME
                        leave this service out; may be repeated
    -t TAGS, --tags=TAGS
                        only services with one of these tags
    -D VAR=VALUE, --define=VAR=VALUE, --var=VAR=VALUE
                        set a variable
    --nodeps            do not run dependencies
    --dry-run           run nothing, go through all the same
    --failed-of=last    only the top-level services that failed in the last run of this action
";

/// The form of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GraphForm {
    Dot,
    Svg,
    Text,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    pub(super) verbosity: u8,
    pub(super) graph: Option<GraphForm>,
    pub(super) report: Option<Report>,
    pub(super) config_dir: Option<PathBuf>,
    pub(super) assume_yes: bool,
    pub(super) only: Option<NodeSet>,
    pub(super) without: Option<NodeSet>,
    pub(super) locked: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) defines: Vec<(String, Template)>,
    pub(super) no_dependencies: bool,
    pub(super) dry_run: bool,
    pub(super) json: bool,
    pub(super) lab: bool,
    pub(super) failed_of_last: bool,
    pub(super) words: Vec<String>,
}

/// What a command line comes to.
#[derive(Debug)]
pub(super) enum Parsed {
    Run(Box<Options>),
    Version,
    Help,
    /// The embedded procedure's YAML.
    Print,
}

/// What is wrong with a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OptionError {
    /// The words behind `Invalid options: `.
    Invalid(String),
    /// An error of a variable, as the files have it.
    Variable(String),
}

#[derive(Debug, Clone, Copy)]
enum Id {
    Verbose,
    Debug,
    Quiet,
    Graph,
    Summary,
    Report,
    ConfigDir,
    AssumeYes,
    OnlyNodes,
    ExcludeNodes,
    ExcludeService,
    Tags,
    Define,
    NoDeps,
    DryRun,
    Version,
    Help,
    Json,
    Print,
    FailedOf,
    Lab,
}

const OPTIONS: &[Opt<Id>] = &[
    Opt::flag(Id::Verbose, &["-v", "--verbose"]),
    Opt::flag(Id::Debug, &["-d", "--debug"]),
    Opt::flag(Id::Quiet, &["-q", "--quiet"]),
    Opt::flag(Id::Graph, &["-g", "--graph"]),
    Opt::flag(Id::Summary, &["-s", "--summary"]),
    Opt::value(Id::Report, &["-r", "--report"]),
    Opt::value(Id::ConfigDir, &["-c", "--config-dir"]),
    Opt::flag(Id::AssumeYes, &["-y", "--assumeyes"]),
    Opt::value(Id::OnlyNodes, &["-n", "--only-nodes"]),
    Opt::value(Id::ExcludeNodes, &["-x", "--exclude-nodes"]),
    Opt::value(Id::ExcludeService, &["-X", "--exclude-service"]),
    Opt::value(Id::Tags, &["-t", "--tags"]),
    Opt::value(Id::Define, &["-D", "--define", "--var"]),
    Opt::flag(Id::NoDeps, &["--nodeps"]),
    Opt::flag(Id::DryRun, &["--dry-run"]),
    Opt::flag(Id::Version, &["--version"]),
    Opt::flag(Id::Help, &["-h", "--help"]),
    Opt::flag(Id::Json, &["--json"]),
    Opt::value(Id::Print, &["--print"]),
    Opt::value(Id::FailedOf, &["--failed-of"]),
    Opt::flag(Id::Lab, &["--lab"]),
];

/// Reads a command line. `nodes` evaluates a node set; an unknown group is empty.
pub(super) fn parse(
    words: &[OsString],
    mut nodes: impl FnMut(&str) -> Option<NodeSet>,
) -> Result<Parsed, OptionError> {
    let invalid = |message: String| OptionError::Invalid(format!(" {message}"));
    let mut options = Options {
        verbosity: 1,
        ..Options::default()
    };
    let words = split_graph_forms(words, &mut options)?;
    let mut parser = Parser::new(OPTIONS, &words);
    parser.intersperse(true);
    while let Some(found) = parser.next_option().map_err(invalid)? {
        match found.id {
            Id::Version => return Ok(Parsed::Version),
            Id::Help => return Ok(Parsed::Help),
            Id::Print if found.text() == "haproxy" => return Ok(Parsed::Print),
            Id::OnlyNodes | Id::ExcludeNodes => {
                let text = found.text();
                let set = nodes(&text).ok_or_else(|| {
                    OptionError::Invalid(format!("{text} is not a valid nodeset"))
                })?;
                options.filter(found.id, set);
            }
            Id::Verbose
            | Id::Debug
            | Id::Quiet
            | Id::Graph
            | Id::Summary
            | Id::Report
            | Id::ConfigDir
            | Id::AssumeYes
            | Id::ExcludeService
            | Id::Tags
            | Id::Define
            | Id::NoDeps
            | Id::DryRun
            | Id::Json
            | Id::Print
            | Id::FailedOf
            | Id::Lab => options.take(&found)?,
        }
    }
    options.words = parser
        .rest()
        .into_iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    Ok(Parsed::Run(Box::new(options)))
}

/// Takes out `--graph=FORM`: the original's option has no value.
fn split_graph_forms(
    words: &[OsString],
    options: &mut Options,
) -> Result<Vec<OsString>, OptionError> {
    let mut rest = Vec::with_capacity(words.len());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.to_str().and_then(|word| word.strip_prefix("--graph=")) {
            Some(form) => {
                options.graph = Some(match form {
                    "dot" => GraphForm::Dot,
                    "svg" => GraphForm::Svg,
                    "text" => GraphForm::Text,
                    _ => {
                        let message = " --graph should be \"dot\", \"svg\" or \"text\"".to_owned();
                        return Err(OptionError::Invalid(message));
                    }
                });
            }
            None => {
                rest.push(word.clone());
                if word == "--" {
                    rest.extend(words.by_ref().cloned());
                }
            }
        }
    }
    Ok(rest)
}

impl Options {
    fn take(&mut self, found: &Found<Id>) -> Result<(), OptionError> {
        let invalid = |message: &str| Err(OptionError::Invalid(format!(" {message}")));
        match found.id {
            Id::Verbose => self.verbosity = self.verbosity.saturating_add(1),
            Id::Debug => self.verbosity = 5,
            Id::Quiet => self.verbosity = 0,
            Id::Graph => self.graph = self.graph.or(Some(GraphForm::Dot)),
            Id::Summary => self.report = Some(Report::Default),
            Id::Report => match Report::from_name(&found.text()) {
                Some(report) => self.report = Some(report),
                None => return invalid("-r/--report should be \"no\", \"default\" or \"full\""),
            },
            Id::ConfigDir => {
                let directory = PathBuf::from(&found.value);
                if !directory.is_dir() {
                    return invalid("-c/--config-dir should be a valid directory");
                }
                self.config_dir = Some(directory);
            }
            Id::AssumeYes => self.assume_yes = true,
            Id::ExcludeService => self.locked.push(found.text()),
            Id::Tags => {
                let tags = found.text();
                let tags = tags.split(',').filter(|tag| !tag.is_empty());
                self.tags.extend(tags.map(str::to_owned));
            }
            Id::Define => self.define(&found.text())?,
            Id::NoDeps => self.no_dependencies = true,
            Id::DryRun => self.dry_run = true,
            Id::Json => self.json = true,
            Id::Lab => self.lab = true,
            Id::FailedOf if found.text() == "last" => self.failed_of_last = true,
            Id::FailedOf => return invalid("--failed-of should be \"last\""),
            Id::Print => return invalid("--print should be \"haproxy\""),
            Id::OnlyNodes | Id::ExcludeNodes | Id::Version | Id::Help => {}
        }
        Ok(())
    }

    /// `-n A -x B` and `-x B -n A` both mean A without B; of several `-x` alone the last counts.
    fn filter(&mut self, id: Id, set: NodeSet) {
        if matches!(id, Id::OnlyNodes) {
            let mut only = set;
            if let Some(without) = &self.without {
                only.difference(without);
            }
            self.only = Some(only);
        } else {
            if let Some(only) = &mut self.only {
                only.difference(&set);
            }
            self.without = Some(set);
        }
    }

    /// Only these nodes, whatever else is said of nodes.
    pub(super) fn restrict(&mut self, nodes: NodeSet) {
        match &mut self.only {
            Some(only) => only.intersection(&nodes),
            None => self.filter(Id::OnlyNodes, nodes),
        }
    }

    /// One `-D`: pairs with blanks between them.
    fn define(&mut self, text: &str) -> Result<(), OptionError> {
        for pair in text.split_whitespace() {
            let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty())
            else {
                return Err(OptionError::Variable(format!(
                    "Bad variable definition '{pair}', expected NAME=VALUE (a value cannot have blanks)"
                )));
            };
            let template = Template::parse(value).map_err(|error| {
                OptionError::Variable(format!(
                    "Variable '{name}' has {error}; write %% for a plain %"
                ))
            })?;
            self.defines.retain(|(known, _)| known != name);
            self.defines.push((name.to_owned(), template));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodeset::{self, NoGroups};

    fn asked(line: &str) -> Result<Parsed, OptionError> {
        let words: Vec<OsString> = line
            .split(' ')
            .filter(|w| !w.is_empty())
            .map(OsString::from)
            .collect();
        parse(&words, |text| {
            let expression = nodeset::parse(text).ok()?;
            nodeset::eval(&expression, &NoGroups).ok()
        })
    }

    fn options(line: &str) -> Options {
        match asked(line).unwrap() {
            Parsed::Run(options) => *options,
            other @ (Parsed::Version | Parsed::Help | Parsed::Print) => panic!("{other:?}"),
        }
    }

    #[test]
    fn verbosity_is_applied_from_left_to_right() {
        for (line, verbosity) in [
            ("", 1),
            ("-v", 2),
            ("-v -q", 0),
            ("-q -v", 1),
            ("-d -v", 6),
            ("-vvv", 4),
        ] {
            assert_eq!(options(line).verbosity, verbosity, "{line}");
        }
    }

    #[test]
    fn options_stand_anywhere_and_two_dashes_end_them() {
        let all = options("haproxy -D a=b --verb disable --define c=1 --var a=2 -- -v");
        assert_eq!(all.words, ["haproxy", "disable", "-v"]);
        assert_eq!(all.verbosity, 2);
        let names: Vec<_> = all.defines.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["c", "a"], "the last definition counts");
        assert_eq!(
            options("-nn1 --report=full -s").report,
            Some(Report::Default)
        );
        assert_eq!(options("-t a,b -t c").tags, ["a", "b", "c"]);
        assert_eq!(options("-X a,b -X c").locked, ["a,b", "c"]);
    }

    #[test]
    fn node_filters_combine_as_the_original_has_it() {
        let folded = |line: &str| {
            let all = options(line);
            let text =
                |set: &Option<NodeSet>| set.as_ref().map_or("-".to_owned(), ToString::to_string);
            (text(&all.only), text(&all.without))
        };
        for (line, only, without) in [
            ("-n n[1-5] -x n3", "n[1-2,4-5]", "n3"),
            ("-x n3 -n n[1-5]", "n[1-2,4-5]", "n3"),
            ("-n n[1-5] -x n3 -x n4", "n[1-2,5]", "n4"),
            ("-x n1 -x n2", "-", "n2"),
            ("-n n1 -n n2", "n2", "-"),
        ] {
            assert_eq!(
                folded(line),
                (only.to_owned(), without.to_owned()),
                "{line}"
            );
        }
    }

    #[test]
    fn mistakes_have_the_originals_words() {
        for (line, message) in [
            ("--bogus", " no such option: --bogus"),
            ("-n", " -n option requires 1 argument"),
            (
                "-c /no/such/dir",
                " -c/--config-dir should be a valid directory",
            ),
            (
                "-r wide",
                " -r/--report should be \"no\", \"default\" or \"full\"",
            ),
            ("-n node[1-", "node[1- is not a valid nodeset"),
        ] {
            assert_eq!(
                asked(line).unwrap_err(),
                OptionError::Invalid(message.into()),
                "{line}"
            );
        }
        assert!(matches!(asked("-D foo"), Err(OptionError::Variable(_))));
        assert!(matches!(
            asked("-D m=% start"),
            Err(OptionError::Variable(_))
        ));
    }

    #[test]
    fn the_graph_has_forms() {
        assert_eq!(options("-g").graph, Some(GraphForm::Dot));
        assert_eq!(options("--graph=svg a").graph, Some(GraphForm::Svg));
        assert_eq!(options("--graph a").words, ["a"]);
        assert!(asked("--graph=png").is_err());
    }
}
