//! `defaults.conf`: what ClusterShell's tools do when neither their options nor their own files say.

use std::path::PathBuf;

use crate::ini::{Ini, IniError};

/// The values of `defaults.conf` that mean something to us; `None` where no file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defaults {
    /// Dimensions that may fold, counted from 0; negative ones from the last.
    pub fold_axis: Option<Vec<i64>>,
    /// At most so many nodes at one time.
    pub fanout: Option<usize>,
    /// Seconds until a node counts as not there.
    pub connect_timeout: Option<f64>,
    /// Seconds until a command counts as hung; 0 is no limit.
    pub command_timeout: Option<f64>,
    /// How nodes are reached.
    pub distant_workername: Option<String>,
    /// Whether a `topology.conf` that is there is used.
    pub auto_tree: Option<bool>,
}

/// What is wrong with a `defaults.conf`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefaultsError {
    /// It is not in the ini dialect.
    #[error(transparent)]
    Ini(#[from] IniError),
    /// A value is not of its kind.
    #[error("defaults.conf: [{section}] {option}: expected {expected}, found '{found}'")]
    Value {
        /// The section.
        section: &'static str,
        /// The option.
        option: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

impl Defaults {
    /// Reads `defaults.conf` in each of these folders, the later ones winning key by key.
    ///
    /// # Errors
    /// What is wrong with the first bad file or value.
    pub fn load(folders: &[PathBuf]) -> Result<Self, DefaultsError> {
        let mut ini = Ini::default();
        for path in folders.iter().map(|dir| dir.join("defaults.conf")) {
            // One that is missing or not for this user says nothing.
            if let Ok(text) = std::fs::read(&path) {
                ini.merge(&path.to_string_lossy(), &String::from_utf8_lossy(&text))?;
            }
        }
        Self::read(&ini)
    }

    fn read(ini: &Ini) -> Result<Self, DefaultsError> {
        fn value<T>(
            ini: &Ini,
            (section, option): (&'static str, &'static str),
            expected: &'static str,
            parse: impl Fn(&str) -> Option<T>,
        ) -> Result<Option<T>, DefaultsError> {
            ini.get(section, option)
                .map(|text| {
                    parse(text).ok_or_else(|| DefaultsError::Value {
                        section,
                        option,
                        expected,
                        found: text.to_owned(),
                    })
                })
                .transpose()
        }
        let seconds = |text: &str| text.parse().ok().filter(|seconds: &f64| *seconds >= 0.0);
        let axes = |text: &str| {
            text.split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .map(|word| word.parse().ok())
                .collect()
        };
        let truth = |text: &str| match text.to_ascii_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Some(true),
            "0" | "no" | "false" | "off" => Some(false),
            _ => None,
        };
        let info = |option| ("task.info", option);
        let task = |option| ("task.default", option);
        Ok(Self {
            fold_axis: value(ini, ("nodeset", "fold_axis"), "numbers", axes)?,
            fanout: value(ini, info("fanout"), "a number", |text| text.parse().ok())?,
            connect_timeout: value(ini, info("connect_timeout"), "seconds", seconds)?,
            command_timeout: value(ini, info("command_timeout"), "seconds", seconds)?,
            distant_workername: ini
                .get("task.default", "distant_workername")
                .map(str::to_owned),
            auto_tree: value(ini, task("auto_tree"), "yes or no", truth)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Defaults, DefaultsError> {
        let mut ini = Ini::default();
        ini.merge("defaults.conf", text)?;
        Defaults::read(&ini)
    }

    #[test]
    fn later_folders_win_key_by_key() {
        let dir = tempfile::tempdir().unwrap();
        let folders: Vec<_> = ["a", "b", "none"].map(|name| dir.path().join(name)).into();
        for (folder, text) in folders.iter().zip([
            "[nodeset]\nfold_axis: -1\n[task.info]\nfanout: 12\n",
            "[task.info]\nfanout: 13\n[task.default]\nauto_tree: no\n",
        ]) {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("defaults.conf"), text).unwrap();
        }
        let expected = Defaults {
            fold_axis: Some(vec![-1]),
            fanout: Some(13),
            auto_tree: Some(false),
            ..Defaults::default()
        };
        assert_eq!(Defaults::load(&folders), Ok(expected));
    }

    #[test]
    fn a_wrong_value_is_named() {
        assert_eq!(
            read("[nodeset]\nfold_axis: x\n").unwrap_err().to_string(),
            "defaults.conf: [nodeset] fold_axis: expected numbers, found 'x'"
        );
        assert_eq!(
            read("[nodeset]\nfold_axis: 0, -1,\n").unwrap().fold_axis,
            Some(vec![0, -1])
        );
    }
}
