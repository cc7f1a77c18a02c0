//! `groups.conf` and the folders it names: which group sources there are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;

use super::{Error, Pairs, Upcall, file};
use crate::ini::{self, Ini};

/// How long answers are kept, unless the source says otherwise, in seconds.
const CACHE_TIME: f64 = 3600.0;

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

/// One group source.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    kind: Kind,
    /// Where its upcalls run.
    pub(super) folder: PathBuf,
    /// What `$CFGDIR` is in them.
    pub(super) cfgdir: String,
    /// How long its answers are kept, in seconds.
    pub(super) cache_time: f64,
}

#[derive(Debug)]
enum Kind {
    Commands(Vec<(Upcall, String)>),
    /// Each group with its nodes.
    File(Arc<Pairs>),
}

impl Source {
    pub(super) fn command(&self, upcall: Upcall) -> Option<&str> {
        match &self.kind {
            Kind::Commands(commands) => commands
                .iter()
                .find(|(known, _)| *known == upcall)
                .map(|(_, command)| command.as_str()),
            Kind::File(_) => None,
        }
    }

    pub(super) fn can(&self, upcall: Upcall) -> bool {
        let all_groups = self.is_file() || self.command(Upcall::MapAll).is_some();
        self.command(upcall).is_some()
            || (all_groups && matches!(upcall, Upcall::Map | Upcall::List))
    }

    /// Whether one answer has all groups with their nodes.
    pub(super) fn has_all_groups(&self) -> bool {
        self.is_file() || self.command(Upcall::MapAll).is_some()
    }

    pub(super) fn is_file(&self) -> bool {
        self.groups().is_some()
    }

    pub(super) fn groups(&self) -> Option<&Arc<Pairs>> {
        match &self.kind {
            Kind::Commands(_) => None,
            Kind::File(groups) => Some(groups),
        }
    }
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
        let conf = main
            .get("Main", "groupsdir")
            .or_else(|| main.get("Main", "confdir"));
        for dir in folders("confdir", conf, &cfgdir)? {
            for path in listed(&dir, "conf") {
                let mut extra = Ini::default();
                merge(&mut extra, &path)?;
                table.add_sections(&extra, &dir)?;
            }
        }
        for dir in folders("autodir", main.get("Main", "autodir"), &cfgdir)? {
            for path in listed(&dir, "yaml") {
                // A file that cannot be read is not there for this user.
                let Ok(text) = std::fs::read(&path) else {
                    continue;
                };
                let text = utf8(&path, text)?;
                for (name, groups) in
                    file::parse(&path.to_string_lossy(), &text).map_err(Error::Config)?
                {
                    let groups = groups.into_iter();
                    let groups = groups.map(|(name, nodes)| (name, nodes.into())).collect();
                    table.add(Source {
                        name,
                        kind: Kind::File(Arc::new(groups)),
                        folder: dir.clone(),
                        cfgdir: String::new(),
                        cache_time: CACHE_TIME,
                    })?;
                }
            }
        }
        table.add_sections(&main, &cfgdir)?;
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

    /// Adds the sources of a file's sections; one section may have several names.
    fn add_sections(&mut self, ini: &Ini, folder: &Path) -> Result<(), Error> {
        for section in ini.sections().filter(|section| *section != "Main") {
            let get = |option| ini.get(section, option);
            if get("map").is_none() && get("mapall").is_none() {
                return Err(Error::Config(format!(
                    "No option 'map' or 'mapall' in section: '{section}'"
                )));
            }
            let cache_time = match get("cache_time") {
                Some(text) => text.parse().map_err(|_| {
                    Error::Config(format!("could not convert string to float: '{text}'"))
                })?,
                None => CACHE_TIME,
            };
            let commands: Vec<_> = [
                Upcall::Map,
                Upcall::All,
                Upcall::List,
                Upcall::Reverse,
                Upcall::MapAll,
            ]
            .into_iter()
            .filter_map(|upcall| Some((upcall, get(upcall.name())?.to_owned())))
            .filter(|(_, command)| !command.is_empty())
            .collect();
            for name in section.split(',') {
                self.add(Source {
                    name: name.to_owned(),
                    kind: Kind::Commands(commands.clone()),
                    folder: folder.to_path_buf(),
                    cfgdir: folder.to_string_lossy().into_owned(),
                    cache_time,
                })?;
            }
        }
        Ok(())
    }
}

/// The folder of a file; the current one if the path has none.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Reads a file into `ini`; says whether it was there.
fn merge(ini: &mut Ini, path: &Path) -> Result<bool, Error> {
    let Ok(text) = std::fs::read(path) else {
        return Ok(false);
    };
    ini.merge(&path.to_string_lossy(), &utf8(path, text)?)?;
    Ok(true)
}

fn utf8(path: &Path, text: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(text).map_err(|error| {
        Error::Config(format!(
            "{}: not UTF-8 at byte {}",
            path.display(),
            error.utf8_error().valid_up_to()
        ))
    })
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
