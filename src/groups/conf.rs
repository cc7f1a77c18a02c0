//! `groups.conf` and the folders it names: which group sources there are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hashbrown::HashMap;

use super::kinds::SOURCES;
use super::source::Source;
use super::text::merge;
use super::{Error, command};
use crate::ini::{self, Ini};

/// The folders in which ClusterShell's configuration is searched, the later ones winning.
///
/// `variable` gives the environment (`HOME`, `XDG_CONFIG_HOME`, `CLUSTERSHELL_CFGDIR`), `prefix` is where the
/// program is installed (`/usr/local` for `/usr/local/bin/nodeset`).
pub fn search_path(
    variable: impl Fn(&str) -> Option<OsString>,
    prefix: Option<&Path>,
) -> Vec<PathBuf> {
    let set = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = set("HOME");
    let in_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
    [
        Some(PathBuf::from("/etc/clustershell")),
        in_home(".local/etc/clustershell"),
        prefix.map(|prefix| prefix.join("etc/clustershell")),
        set("XDG_CONFIG_HOME")
            .map(|config| config.join("clustershell"))
            .or_else(|| in_home(".config/clustershell")),
        set("CLUSTERSHELL_CFGDIR"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// All group sources.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) sources: Vec<Source>,
    places: HashMap<String, usize>,
    default: Option<usize>,
}

impl Table {
    /// Reads the files, the later ones winning key by key, and what they name.
    pub(super) fn load(files: &[PathBuf]) -> Result<Self, Error> {
        let mut table = Self::default();
        let mut main = Ini::default();
        let mut cfgdir = PathBuf::new();
        for path in files {
            if merge(&mut main, path)? {
                cfgdir = folder_of(path);
            }
        }
        for kind in SOURCES {
            let value = kind.keys.iter().find_map(|key| main.get("Main", key));
            let name = kind.keys.last().copied().unwrap_or_default();
            for dir in folders(name, value, &cfgdir)? {
                for path in listed(&dir, kind.extension) {
                    table.add_all((kind.read)(&path, &dir)?)?;
                }
            }
        }
        table.add_all(command::sections(&main, &cfgdir)?)?;
        table.default = match main.get("Main", "default").filter(|name| !name.is_empty()) {
            Some(name) => Some(table.find(name).map(|(index, _)| index).ok_or_else(|| {
                Error::Config(format!("Default group source not found: \"{name}\""))
            })?),
            None if table.sources.is_empty() => None,
            None => Some(0),
        };
        Ok(table)
    }

    pub(super) fn find(&self, name: &str) -> Option<(usize, &Source)> {
        let place = *self.places.get(name)?;
        Some((place, &self.sources[place]))
    }

    pub(super) fn default_source(&self) -> Option<(usize, &Source)> {
        self.default.map(|index| (index, &self.sources[index]))
    }

    fn add(&mut self, source: Source) -> Result<(), Error> {
        if self.find(&source.name).is_some() {
            return Err(Error::Config(format!(
                "GroupSource '{}': name collision",
                source.name
            )));
        }
        self.places.insert(source.name.clone(), self.sources.len());
        self.sources.push(source);
        Ok(())
    }

    fn add_all(&mut self, sources: Vec<Source>) -> Result<(), Error> {
        sources.into_iter().try_for_each(|source| self.add(source))
    }
}

/// The folder of a file; the current one if the path has none.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// The folders of a `confdir` or `autodir` that are there, each once.
fn folders(key: &str, value: Option<&str>, cfgdir: &Path) -> Result<Vec<PathBuf>, Error> {
    let cfgdir = cfgdir.to_string_lossy();
    let mut folders: Vec<PathBuf> = Vec::new();
    for word in ini::words(value.unwrap_or_default())? {
        let dir = PathBuf::from(
            word.replace("${CFGDIR}", &cfgdir)
                .replace("$CFGDIR", &cfgdir),
        );
        let same = |known: &PathBuf| match (known.canonicalize(), dir.canonicalize()) {
            (Ok(known), Ok(dir)) => known == dir,
            _ => *known == dir,
        };
        if !dir.exists() || folders.iter().any(same) {
            continue;
        }
        if !dir.is_dir() {
            return Err(Error::Config(format!(
                "Defined {key} {} is not a directory",
                dir.display()
            )));
        }
        folders.push(dir);
    }
    Ok(folders)
}

/// The files of a folder with this extension, sorted; hidden ones are left out.
fn listed(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| dir.join(entry.file_name()))
        .filter(|path| {
            path.extension().is_some_and(|found| found == extension)
                && !path
                    .file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with('.'))
        })
        .collect();
    files.sort();
    files
}
