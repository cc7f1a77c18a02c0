//! `clush.conf`: the configuration of ClusterShell's `clush` (clush.conf(5)), merged key by key from several
//! files, with run modes and with what the command line overrides.

use std::fs;
use std::path::{Path, PathBuf};

use super::Color;
use crate::ini::{self, Ini, IniError};

/// The section of all keys that belong to no mode.
const MAIN: &str = "Main";

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// What is essential.
    Quiet,
    /// Warnings too.
    Standard,
    /// What is done.
    Verbose,
    /// Everything.
    Debug,
}

/// What is wrong with the configuration, in the original's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClushConfError {
    /// A file is not in the ini dialect.
    #[error(transparent)]
    Ini(#[from] IniError),
    /// A value is not of its kind.
    #[error("(Config {section}.{key}): {message}")]
    Value {
        /// Where it stands.
        section: String,
        /// The key.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// A list of words cannot be split, or a mode's number is none.
    #[error("{0}")]
    Plain(String),
    /// There is no such mode.
    #[error("invalid mode \"{name}\" (available: {known})")]
    Mode {
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
}

/// The configuration.
#[derive(Debug, Clone, Default)]
pub struct ClushConf {
    ini: Ini,
    /// The files that were read, in order.
    files: Vec<String>,
    /// What the command line says, the later ones winning.
    overrides: Vec<(String, String)>,
    /// The section of the active mode.
    mode: Option<String>,
}

impl ClushConf {
    /// Reads `clush.conf` in each of these folders, the later ones winning key by key, and what they name.
    ///
    /// # Errors
    /// What is wrong with the first bad file.
    pub fn load(folders: &[PathBuf]) -> Result<Self, ClushConfError> {
        let files: Vec<PathBuf> = folders.iter().map(|dir| dir.join("clush.conf")).collect();
        Self::read(&files)
    }

    /// Reads this file, if it is there, and what it names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn file(path: PathBuf) -> Result<Self, ClushConfError> {
        Self::read(&[path])
    }

    fn read(files: &[PathBuf]) -> Result<Self, ClushConfError> {
        let mut conf = Self::default();
        let mut last = None;
        for path in files {
            if conf.merge(path)? {
                last = path.parent();
            }
        }
        let Some(cfgdir) = last else { return Ok(conf) };
        let confdir = conf.ini.get(MAIN, "confdir").unwrap_or_default().to_owned();
        let words =
            ini::words(&confdir).map_err(|error| ClushConfError::Plain(error.to_string()))?;
        for word in words {
            let folder = word.replace("$CFGDIR", &cfgdir.to_string_lossy());
            for path in listed(Path::new(&folder)) {
                conf.merge(&path)?;
            }
        }
        Ok(conf)
    }

    /// Reads one file; whether it was there. One that is not for this user says nothing.
    fn merge(&mut self, path: &Path) -> Result<bool, ClushConfError> {
        let Ok(text) = fs::read(path) else {
            return Ok(false);
        };
        let name = path.to_string_lossy().into_owned();
        self.ini.merge(&name, &String::from_utf8_lossy(&text))?;
        self.files.push(name);
        Ok(true)
    }

    /// The files that were read, in order.
    #[must_use]
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Overrides a key of `[Main]`.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.overrides.push((key.to_lowercase(), value.into()));
    }

    /// Overrides a key of `[Main]`, given as `KEY=VALUE`.
    ///
    /// # Errors
    /// When there is no equals sign.
    pub fn option(&mut self, text: &str) -> Result<(), ClushConfError> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| wrong(MAIN, text, "invalid -O/--option value"))?;
        // The original strips neither, so `fanout = 3` is the key `fanout `, which is unknown.
        self.set(key, value);
        Ok(())
    }

    /// The names of all run modes.
    pub fn modes(&self) -> impl Iterator<Item = &str> {
        self.ini
            .sections()
            .filter_map(|section| section.strip_prefix("mode:"))
    }

    /// Switches a run mode on: its keys now beat all others, those of the command line too.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn activate(&mut self, name: &str) -> Result<(), ClushConfError> {
        if !self.modes().any(|mode| mode == name) {
            return Err(ClushConfError::Mode {
                name: name.to_owned(),
                known: self.modes().collect::<Vec<_>>().join(" "),
            });
        }
        self.mode = Some(format!("mode:{name}"));
        Ok(())
    }

    /// The name of the active mode.
    #[must_use]
    pub fn mode(&self) -> Option<&str> {
        self.mode.as_deref()?.strip_prefix("mode:")
    }

    /// The value of a key and whether the active mode gave it.
    fn get(&self, key: &str) -> Option<(&str, bool)> {
        let of_mode = self
            .mode
            .as_deref()
            .and_then(|mode| self.ini.get(mode, key));
        of_mode
            .map(|value| (value, true))
            .or_else(|| Some((self.main(key)?, false)))
    }

    /// The value of a key that modes have no say in.
    fn main(&self, key: &str) -> Option<&str> {
        let overridden = self.overrides.iter().rev().find(|(known, _)| known == key);
        match overridden {
            Some((_, value)) => Some(value),
            None => self.ini.get(MAIN, key),
        }
    }

    /// A value of `[Main]` or the active mode, of its kind.
    fn value<T>(
        &self,
        key: &str,
        default: T,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ClushConfError> {
        match self.get(key) {
            None => Ok(default),
            Some((text, true)) => read(text).map_err(ClushConfError::Plain),
            Some((text, false)) => read(text).map_err(|message| wrong(MAIN, key, message)),
        }
    }

    /// A value of `[Main]`, of its kind.
    fn main_value<T>(
        &self,
        key: &str,
        default: T,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ClushConfError> {
        self.main(key).map_or(Ok(default), |text| {
            read(text).map_err(|message| wrong(MAIN, key, message))
        })
    }

    /// The most nodes at work at one time; `default` where no file sets it.
    ///
    /// # Errors
    /// A value that is no whole number.
    pub fn fanout(&self, default: i64) -> Result<i64, ClushConfError> {
        self.value("fanout", default, integer)
    }

    /// Seconds until a node counts as not there; 0 is no limit.
    ///
    /// # Errors
    /// A value that is no number.
    pub fn connect_timeout(&self, default: f64) -> Result<f64, ClushConfError> {
        self.value("connect_timeout", default, float)
    }

    /// Seconds that a command may take; 0 is no limit.
    ///
    /// # Errors
    /// A value that is no number.
    pub fn command_timeout(&self, default: f64) -> Result<f64, ClushConfError> {
        self.value("command_timeout", default, float)
    }

    /// Whether the largest status of a node is the exit code.
    ///
    /// # Errors
    /// A value that is neither yes nor no.
    pub fn maxrc(&self) -> Result<bool, ClushConfError> {
        self.value("maxrc", false, truth)
    }

    /// Whether a password is asked for and sent to each node.
    ///
    /// # Errors
    /// A value that is neither yes nor no.
    pub fn password_prompt(&self) -> Result<bool, ClushConfError> {
        self.value("password_prompt", false, truth)
    }

    /// Words in front of each command.
    ///
    /// # Errors
    /// A quote that is not closed.
    pub fn command_prefix(&self) -> Result<Vec<String>, ClushConfError> {
        self.words("command_prefix")
    }

    /// Whether headers have the number of nodes.
    ///
    /// # Errors
    /// A value that is neither yes nor no.
    pub fn node_count(&self) -> Result<bool, ClushConfError> {
        self.main_value("node_count", true, truth)
    }

    /// The soft limit of open files.
    ///
    /// # Errors
    /// A value that is no whole number.
    pub fn fd_max(&self) -> Result<i64, ClushConfError> {
        self.main_value("fd_max", 8192, integer)
    }

    /// When there is colour; `None` where it is not set, which means never.
    ///
    /// # Errors
    /// A word that is none of those it may be.
    pub fn color(&self) -> Result<Option<Color>, ClushConfError> {
        self.main_value("color", None, |text| match text {
            "" => Ok(None),
            "never" => Ok(Some(Color::Never)),
            "always" => Ok(Some(Color::Always)),
            "auto" => Ok(Some(Color::Auto)),
            _ => Err("choose from ['', 'never', 'always', 'auto']".to_owned()),
        })
    }

    /// How much is told. What is no number is 0, as in the original.
    #[must_use]
    pub fn verbosity(&self) -> Verbosity {
        let number = self
            .main("verbosity")
            .map_or(1, |text| integer(text).unwrap_or(0));
        match number {
            ..=0 => Verbosity::Quiet,
            1 => Verbosity::Standard,
            2 => Verbosity::Verbose,
            3.. => Verbosity::Debug,
        }
    }

    /// A text, such as `ssh_user`; `None` when it is not set or empty.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        let (text, _) = self.get(key)?;
        Some(text).filter(|text| !text.is_empty())
    }

    /// The words of a text, split as a shell does.
    ///
    /// # Errors
    /// A quote that is not closed.
    pub fn words(&self, key: &str) -> Result<Vec<String>, ClushConfError> {
        ini::words(self.text(key).unwrap_or_default())
            .map_err(|error| ClushConfError::Plain(error.to_string()))
    }
}

fn wrong(section: &str, key: &str, message: impl Into<String>) -> ClushConfError {
    ClushConfError::Value {
        section: section.to_owned(),
        key: key.to_owned(),
        message: message.into(),
    }
}

/// The files `*.conf` of a folder, by name. A folder that is not there has none.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".conf") && !name.starts_with('.')
        })
        .collect();
    files.sort();
    files
}

/// Digits with single underscores between them, as Python writes numbers.
fn without_underscores(text: &str) -> Option<String> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let fits = |at: usize| at > 0 && digit(at - 1) && digit(at + 1);
    let mut marks = text.match_indices('_').map(|(at, _)| at);
    marks.all(fits).then(|| text.replace('_', ""))
}

fn integer(text: &str) -> Result<i64, String> {
    without_underscores(text)
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| format!("invalid literal for int() with base 10: '{text}'"))
}

fn float(text: &str) -> Result<f64, String> {
    without_underscores(text)
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| format!("could not convert string to float: '{text}'"))
}

fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        _ => Err(format!("Not a boolean: {text}")),
    }
}
/// Reads any bytes as a `clush.conf`, and each of its values in every mode it has.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let mut conf = ClushConf::default();
    let text = String::from_utf8_lossy(data);
    if conf.ini.merge("fuzz", &text).is_err() {
        return;
    }
    let modes: Vec<String> = conf.modes().take(3).map(str::to_owned).collect();
    for mode in modes.iter().map(Some).chain([None]) {
        if mode.is_some_and(|mode| conf.activate(mode).is_err()) {
            continue;
        }
        let _ = (conf.fanout(64), conf.connect_timeout(10.0));
        let _ = (conf.command_timeout(0.0), conf.maxrc(), conf.fd_max());
        let _ = (conf.password_prompt(), conf.command_prefix());
        let _ = (conf.node_count(), conf.color(), conf.verbosity());
        let _ = (conf.words("ssh_options"), conf.text("ssh_user"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration of these files in one folder, `clush.conf` being the one that is named.
    fn conf(files: &[(&str, &str)]) -> Result<ClushConf, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let loaded = ClushConf::load(&[dir.path().join("none"), dir.path().to_owned()]);
        loaded.map_err(|error| error.to_string())
    }

    #[test]
    fn modes_beat_the_command_line_which_beats_the_files() {
        let mut conf = conf(&[
            (
                "clush.conf",
                "[Main]\nfanout: 7\nssh_user: a\nconfdir: \"$CFGDIR/b c\" /none\n[mode:in]\n",
            ),
            ("b c/2.conf", "[mode:pre]\nfanout: 3\nfd_max: 1\n"),
            (
                "b c/1.conf",
                "[mode:pre]\nfanout: 2\ncommand_timeout: 1_0.5\n",
            ),
            ("b c/3.txt", "junk"),
        ])
        .unwrap();
        assert_eq!(conf.fanout(64), Ok(7));
        conf.set("fanout", "9");
        conf.option("SSH_USER=b").unwrap();
        assert_eq!((conf.fanout(64), conf.text("ssh_user")), (Ok(9), Some("b")));
        assert_eq!(conf.modes().collect::<Vec<_>>(), ["in", "pre"]);
        conf.activate("pre").unwrap();
        assert_eq!(
            (conf.fanout(64), conf.command_timeout(0.0)),
            (Ok(3), Ok(10.5))
        );
        assert_eq!(conf.fd_max(), Ok(8192));
    }

    #[test]
    fn mistakes_are_worded_as_in_the_original() {
        let mut conf = conf(&[("clush.conf", "[Main]\n[mode:a]\nfanout: x\n[mode:b]\n")]).unwrap();
        for (key, value, error) in [
            (
                "fanout",
                "1x",
                "(Config Main.fanout): invalid literal for int() with base 10: '1x'",
            ),
            (
                "connect_timeout",
                "",
                "(Config Main.connect_timeout): could not convert string to float: ''",
            ),
            (
                "maxrc",
                "maybe",
                "(Config Main.maxrc): Not a boolean: maybe",
            ),
            (
                "color",
                "red",
                "(Config Main.color): choose from ['', 'never', 'always', 'auto']",
            ),
        ] {
            let mut conf = conf.clone();
            conf.set(key, value);
            let found = match key {
                "fanout" => conf.fanout(1).map(drop),
                "connect_timeout" => conf.connect_timeout(1.0).map(drop),
                "maxrc" => conf.maxrc().map(drop),
                _ => conf.color().map(drop),
            };
            assert_eq!(found.unwrap_err().to_string(), error);
        }
        assert_eq!(
            conf.option("bogus").unwrap_err().to_string(),
            "(Config Main.bogus): invalid -O/--option value"
        );
        assert_eq!(
            conf.activate("c").unwrap_err().to_string(),
            "invalid mode \"c\" (available: a b)"
        );
        conf.activate("a").unwrap();
        assert_eq!(
            conf.fanout(1).unwrap_err().to_string(),
            "invalid literal for int() with base 10: 'x'"
        );
        assert_eq!(
            self::conf(&[("clush.conf", "[Main]\nconfdir: 'a\n")]).unwrap_err(),
            "No closing quotation"
        );
    }

    #[test]
    fn numbers_are_pythons() {
        for (text, number) in [
            (" 3 ", Some(3)),
            ("+1_000", Some(1000)),
            ("1__0", None),
            ("_1", None),
            ("1.0", None),
        ] {
            assert_eq!(integer(text).ok(), number, "{text}");
        }
        assert_eq!(float("1e1"), Ok(10.0));
    }
}
