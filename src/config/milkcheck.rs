//! MilkCheck's main configuration file, `milkcheck.conf` (MilkCheck 1.2.4, milkcheck.conf(5)).

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::{fs, io};

use crate::service::variables::Value;
use crate::yaml::{Node, Scalar, Yaml, documents};

/// Where it is, unless `MILKCHECK_CONF` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/milkcheck/milkcheck.conf";

/// How much is told at the end of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Report {
    /// Nothing.
    #[default]
    No,
    /// How many actions failed, and which.
    Default,
    /// Also where, with which command, and where all went well.
    Full,
}

impl Report {
    /// The report of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "no" => Some(Self::No),
            "default" => Some(Self::Default),
            "full" => Some(Self::Full),
            _ => None,
        }
    }
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MilkcheckConf {
    /// Where the service files are.
    pub config_dir: PathBuf,
    /// The fanout of actions that set none.
    pub fanout: usize,
    /// Actions that walk the graph backwards.
    pub reverse_actions: Vec<String>,
    /// The report, unless an option asks for another.
    pub report: Report,
    /// Actions that ask before they run.
    pub confirm_actions: Vec<String>,
}

impl Default for MilkcheckConf {
    fn default() -> Self {
        Self {
            config_dir: "/etc/milkcheck/conf".into(),
            fanout: 64,
            reverse_actions: vec!["stop".into()],
            report: Report::No,
            confirm_actions: Vec::new(),
        }
    }
}

/// Reads the file; `None` if there is none.
///
/// # Errors
/// MilkCheck's words for a bad entry, or why the file cannot be read.
pub fn load(path: &Path) -> Result<Option<MilkcheckConf>, String> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&path.display().to_string(), &text).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("Cannot read '{}': {error}", path.display())),
    }
}

fn parse(file: &str, text: &str) -> Result<MilkcheckConf, String> {
    let documents = documents(text).map_err(|error| {
        format!(
            "{}\n  in \"{file}\", line {}, column {}",
            error.message, error.at.line, error.at.column
        )
    })?;
    let mut conf = MilkcheckConf::default();
    let Some(document) = documents.into_iter().flatten().next() else {
        return Ok(conf);
    };
    let Node::Map(pairs) = &document.node else {
        return Err(format!(
            "{file}: expected a mapping, found {}",
            document.kind()
        ));
    };
    let mut report = None;
    let mut summary = false;
    for (key, value) in pairs {
        let key = key.text().unwrap_or_default();
        let wrong = || format!("Wrong value '{}' for '{key}'", shown(value));
        match key {
            "config_dir" => conf.config_dir = text_of(value).ok_or_else(wrong)?.into(),
            "fanout" => {
                conf.fanout = match value.scalar() {
                    Some(Scalar::Int(number)) if number > 0 => {
                        usize::try_from(number).map_err(|_| wrong())?
                    }
                    _ => return Err(wrong()),
                };
            }
            "reverse_actions" => conf.reverse_actions = list_of(value).ok_or_else(wrong)?,
            "confirm_actions" => conf.confirm_actions = list_of(value).ok_or_else(wrong)?,
            "summary" => {
                summary = match value.scalar() {
                    Some(Scalar::Bool(value)) => value,
                    _ => return Err(wrong()),
                };
            }
            "report" => {
                // `no` without quotes is a boolean to YAML and a word to everybody else.
                let named = value.text().and_then(Report::from_name);
                report = Some(named.ok_or_else(|| {
                    format!(
                        "Value for 'report' should be one of ('no', 'default', 'full') (found '{}')",
                        shown(value)
                    )
                })?);
            }
            _ => return Err(format!("Bad entry '{key}'")),
        }
    }
    conf.report = match report {
        Some(report) => report,
        None if summary => Report::Default,
        None => Report::No,
    };
    Ok(conf)
}

fn text_of(yaml: &Yaml) -> Option<String> {
    match yaml.scalar() {
        Some(Scalar::Text(text)) => Some(text.to_owned()),
        _ => None,
    }
}

fn list_of(yaml: &Yaml) -> Option<Vec<String>> {
    match &yaml.node {
        Node::List(items) => items
            .iter()
            .map(|item| item.text().map(str::to_owned))
            .collect(),
        Node::Map(_) | Node::Scalar { .. } => None,
    }
}

fn shown(yaml: &Rc<Yaml>) -> String {
    yaml.scalar().map_or_else(
        || yaml.kind().to_owned(),
        |value| Value::from(value).to_string(),
    )
}
/// Reads any text as a `milkcheck.conf`.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(text: &str) {
    let _ = parse("fuzz", text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &str) -> Result<MilkcheckConf, String> {
        parse("milkcheck.conf", text)
    }

    #[test]
    fn says_what_is_in_it_and_keeps_the_rest() {
        assert_eq!(conf("").unwrap(), MilkcheckConf::default());
        let text = "config_dir: conf\nfanout: 3\nreverse_actions: [halt, off]\n\
                    report: full\nconfirm_actions: [halt]\nsummary: true\n";
        let expected = MilkcheckConf {
            config_dir: "conf".into(),
            fanout: 3,
            reverse_actions: vec!["halt".into(), "off".into()],
            report: Report::Full,
            confirm_actions: vec!["halt".into()],
        };
        assert_eq!(conf(text).unwrap(), expected);
    }

    #[test]
    fn report_may_be_no_without_quotes_and_summary_asks_for_the_default() {
        assert_eq!(conf("report: no").unwrap().report, Report::No);
        assert_eq!(conf("summary: true").unwrap().report, Report::Default);
        assert_eq!(
            conf("summary: true\nreport: no").unwrap().report,
            Report::No
        );
        assert_eq!(conf("summary: false").unwrap().report, Report::No);
    }

    #[test]
    fn mistakes_have_milkchecks_words() {
        for (text, message) in [
            ("bogus: 1", "Bad entry 'bogus'"),
            ("fanout: many", "Wrong value 'many' for 'fanout'"),
            ("fanout: \"3\"", "Wrong value '3' for 'fanout'"),
            ("fanout: 0", "Wrong value '0' for 'fanout'"),
            ("config_dir: 3", "Wrong value '3' for 'config_dir'"),
            ("summary: maybe", "Wrong value 'maybe' for 'summary'"),
            (
                "reverse_actions: stop",
                "Wrong value 'stop' for 'reverse_actions'",
            ),
            (
                "report: long",
                "Value for 'report' should be one of ('no', 'default', 'full') (found 'long')",
            ),
            ("fanout: x\nbogus: 1", "Wrong value 'x' for 'fanout'"),
        ] {
            assert_eq!(conf(text).unwrap_err(), message, "{text}");
        }
    }
}
