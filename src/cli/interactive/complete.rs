//! How words at the prompt go on: groups, nodes, commands of this machine, our own words.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::known;
use crate::config::Environment;
use crate::nodeset::{Groups, NodeSet};
use crate::terminal::editor::Complete;

/// The most candidates that are offered.
const MOST: usize = 2000;

/// The nodes that commands are run on now, as the prompt and its completion both see them.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Current(Arc<Mutex<NodeSet>>);

impl Current {
    /// Other nodes from now on.
    pub(in crate::cli) fn set(&self, nodes: NodeSet) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
    }

    fn get(&self) -> NodeSet {
        let nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.clone()
    }
}

/// What is known at the prompt.
pub(in crate::cli) struct Words {
    groups: Box<dyn Groups + Send>,
    current: Current,
    /// Words of our own that may begin a line.
    own: &'static [&'static str],
    /// Words that stand for nodes.
    sets: &'static [&'static str],
    path: OsString,
    known: OnceCell<NodeSet>,
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words").finish_non_exhaustive()
    }
}

impl Words {
    /// What is known: groups, the nodes of the moment, and words of the prompt itself. No group is asked for before it is
    /// needed.
    pub(in crate::cli) fn new(
        groups: Box<dyn Groups + Send>,
        current: Current,
        environment: &Environment,
        (own, sets): (&'static [&'static str], &'static [&'static str]),
    ) -> Self {
        Self {
            groups,
            current,
            own,
            sets,
            path: environment.get("PATH").unwrap_or_default().to_owned(),
            known: OnceCell::new(),
        }
    }

    /// The operand of a node set that ends here.
    fn operand(&self, text: &str) -> Vec<String> {
        match text.strip_prefix('@') {
            Some(group) => self.group(group),
            None => {
                let sets = self.sets.iter().map(|set| (*set).to_owned());
                let mut words: Vec<String> = sets.filter(|set| set.starts_with(text)).collect();
                let current = self.current.get();
                let known = self.known.get_or_init(|| known(&*self.groups));
                let nodes = current
                    .iter()
                    .chain(known.iter().filter(|node| !current.contains(node)));
                words.extend(nodes.filter(|node| node.starts_with(text)).take(MOST));
                words
            }
        }
    }

    /// A group whose name begins so, of the default source or of one that is named.
    fn group(&self, text: &str) -> Vec<String> {
        let (source, prefix) = match text.split_once(':') {
            Some((source, _)) => (Some(source), format!("@{source}:")),
            None => (None, "@".to_owned()),
        };
        let groups = self.groups.list(source).unwrap_or_default();
        let mut words: Vec<String> = groups
            .iter()
            .map(|name| format!("{prefix}{name}"))
            .collect();
        if source.is_none() {
            let sources = self.groups.sources().unwrap_or_default();
            words.extend(sources.iter().map(|source| format!("@{source}:")));
        }
        let whole = format!("@{text}");
        words.retain(|word| word.starts_with(&whole));
        words.sort();
        words.dedup();
        words
    }

    /// A program on the path.
    fn program(&self, text: &str) -> Vec<String> {
        let mut names: Vec<String> = std::env::split_paths(&self.path)
            .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten())
            .filter(|entry| {
                fs::metadata(entry.path())
                    .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
            })
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with(text))
            .collect();
        names.sort();
        names.dedup();
        names.truncate(MOST);
        names
    }
}

/// A file whose path begins so.
fn file(text: &str) -> Vec<String> {
    let (folder, name) = match text.rfind('/') {
        Some(slash) => text.split_at(slash + 1),
        None => ("", text),
    };
    let place = if folder.is_empty() { "." } else { folder };
    let mut files: Vec<String> = fs::read_dir(Path::new(place))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let found = entry.file_name().into_string().ok()?;
            let is_folder = entry.path().is_dir();
            let fits =
                found.starts_with(name) && (!found.starts_with('.') || name.starts_with('.'));
            fits.then(|| format!("{folder}{found}{}", if is_folder { "/" } else { "" }))
        })
        .collect();
    files.sort();
    files.truncate(MOST);
    files
}

impl Complete for Words {
    fn complete(&self, line: &str, at: usize) -> (usize, Vec<String>) {
        let typed = &line[..at];
        let start = typed.len() - typed.trim_start().len();
        let text = &typed[start..];
        let blank = |text: &str| text.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
        if let Some(command) = text.strip_prefix('!') {
            let word = at - command.len() + blank(command);
            let is_first = command[..word + command.len() - at].trim().is_empty();
            let word_text = &typed[word..];
            let words = if is_first && !word_text.contains('/') {
                self.program(word_text)
            } else {
                file(word_text)
            };
            return (word, words);
        }
        // `@` in front of the line takes a node set: a group has another one.
        if text.starts_with(['+', '-', '@']) {
            let set = &text[1..];
            let last = set
                .rfind([',', '!', '&', '^', ' ', '\t'])
                .map_or(0, |end| end + 1);
            let word = start + 1 + last;
            return (word, self.operand(&typed[word..]));
        }
        let word = start + blank(text);
        let word_text = &typed[word..];
        if word == start {
            let own = self.own.iter().filter(|own| own.starts_with(word_text));
            let mut words: Vec<String> = own.map(|own| (*own).to_owned()).collect();
            if word_text.is_empty() {
                return (word, words);
            }
            words.extend(self.operand(word_text));
            return (word, words);
        }
        if word_text.is_empty() {
            return (word, Vec::new());
        }
        (word, self.operand(word_text))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;
    use crate::nodeset::GroupError;

    struct Fixed;

    impl Groups for Fixed {
        fn map(&self, _: Option<&str>, group: &str) -> Result<String, GroupError> {
            Ok(match group {
                "web" => "web[1-2]",
                "db" => "db1",
                _ => "",
            }
            .to_owned())
        }

        fn all(&self, _: Option<&str>) -> Result<Option<String>, GroupError> {
            Ok(None)
        }

        fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError> {
            Ok(match source {
                None | Some("roles") => vec!["web".to_owned(), "db".to_owned()],
                Some(_) => vec!["r1".to_owned(), "r2".to_owned()],
            })
        }

        fn reverse(&self, _: Option<&str>, _: &str) -> Result<Option<Vec<String>>, GroupError> {
            Ok(None)
        }

        fn sources(&self) -> Result<Vec<String>, GroupError> {
            Ok(vec!["roles".to_owned(), "racks".to_owned()])
        }
    }

    fn completed(line: &str) -> String {
        let current = Current::default();
        current.set(["n1", "n2"].into_iter().collect());
        let bin = tempfile::tempdir().unwrap();
        let mut program = fs::File::options();
        program.create_new(true).write(true).mode(0o755);
        program.open(bin.path().join("uptime")).unwrap();
        fs::write(bin.path().join("upset"), "no program").unwrap();
        let path = (OsString::from("PATH"), bin.path().as_os_str().to_owned());
        let environment = std::iter::once(path).collect();
        let words = Words::new(
            Box::new(Fixed),
            current,
            &environment,
            (&["quit", "help", ":diff"], &[".failed", ".ok"]),
        );
        let line = line.replace("BIN", &bin.path().display().to_string());
        let (start, words) = words.complete(&line, line.len());
        let shown = format!("{}|{}", &line[..start], words.join(" "));
        shown.replace(&bin.path().display().to_string(), "BIN")
    }

    #[test]
    fn each_place_has_its_words() {
        for (line, shown) in [
            ("", "|quit help :diff"),
            (":", "|:diff"),
            ("n", "|n1 n2"),
            ("echo n", "echo |n1 n2"),
            ("echo @w", "echo |@web"),
            ("echo ", "echo |"),
            ("@@w", "@|@web"),
            ("@@", "@|@db @racks: @roles: @web"),
            ("@@racks:r", "@|@racks:r1 @racks:r2"),
            ("@w", "@|web1 web2"),
            ("+n1,@d", "+n1,|@db"),
            ("-n1!w", "-n1!|web1 web2"),
            ("+.", "+|.failed .ok"),
            ("!up", "!|uptime"),
            ("!cat BIN/up", "!cat |BIN/upset BIN/uptime"),
        ] {
            assert_eq!(completed(line), shown, "{line}");
        }
    }
}
