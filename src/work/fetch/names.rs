//! What the paths to fetch mean on a node: `~` and patterns, which only the node can look up.
//!
//! The node is not trusted: what it says must be called as the pattern asks, so that it cannot choose names here.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::event::{ErrorCode, Outcome, Stream};
use crate::transport::{Command, NodeIo, Session};
use crate::work::copy::{HOME, hear, quote};

/// Lists what the paths behind `sh` mean: each followed by NUL, and one more NUL behind those of one argument. A pattern
/// is expanded as a value, so nothing in it is run. Any login shell reads it (see the copies to nodes).
const SCRIPT: &str = r#"printf "hapsh: paths\n"; IFS=; for q in "$@"; do home "$q"; case $q in (*[*?[]*) case $q in ("~"*) b=$hh; r=.${q#"~$hn"}; cd "$b" || exit 1;; (*) b=; r=$q;; esac; set -- $r; if [ -e "$1" ] || [ -L "$1" ]; then for i in "$@"; do case $b in ("") printf "%s\0" "$i";; (*) printf "%s\0" "$b${i#.}";; esac; done; else f "$q: No such file or directory"; fi;; (*) printf "%s\0" "$hs";; esac; printf "\0"; done; printf "hapsh: end""#;

/// What comes before the list; shells may have said something before.
const MARK: &[u8] = b"hapsh: paths\n";

/// What comes behind it.
const END: &[u8] = b"hapsh: end";

/// So many bytes of names are taken.
const MOST: usize = 1 << 20;

/// A file or folder of a node, and what it is called here, before the node's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) name: String,
}

/// What is asked for.
#[derive(Debug)]
pub(super) enum Wanted {
    Plain(Source),
    /// Only the node knows which files these are.
    Open(String),
}

/// The last part of a path; `None` if it has no name of its own.
fn name(path: &str) -> Option<&str> {
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    (!matches!(name, "" | "." | "..")).then_some(name)
}

impl Wanted {
    /// What a path asks for; `None` if it can have no name here.
    pub(super) fn new(path: &str) -> Option<Self> {
        if path.starts_with('~') || path.contains(['*', '?', '[']) {
            return Some(Self::Open(path.to_owned()));
        }
        Some(Self::Plain(Source {
            path: path.to_owned(),
            name: name(path)?.to_owned(),
        }))
    }
}

/// The files that are asked for, as the node has them.
pub(super) async fn on_node(
    wanted: &[Wanted],
    session: &mut dyn Session,
    io: &mut NodeIo,
) -> Result<Vec<Source>, Outcome> {
    let open = wanted.iter().filter_map(|wanted| match wanted {
        Wanted::Open(path) => Some(path.as_str()),
        Wanted::Plain(_) => None,
    });
    let open: Vec<&str> = open.collect();
    let mut found = if open.is_empty() {
        Vec::new()
    } else {
        list(&open, session, io).await?
    }
    .into_iter();
    let mut sources = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        match wanted {
            Wanted::Plain(source) => sources.push(source.clone()),
            Wanted::Open(_) => sources.extend(found.next().unwrap_or_default()),
        }
    }
    let mut names = HashSet::new();
    match sources.iter().find(|source| !names.insert(&source.name)) {
        Some(twice) => Err(Outcome::failed(
            ErrorCode::Output,
            format!(
                "{}: another file has the same name",
                twice.path.escape_debug()
            ),
        )),
        None => Ok(sources),
    }
}

/// Asks the node what some paths mean.
async fn list(
    open: &[&str],
    session: &mut dyn Session,
    io: &mut NodeIo,
) -> Result<Vec<Vec<Source>>, Outcome> {
    let script = [HOME, SCRIPT].concat();
    let words: Vec<String> = open.iter().map(|path| quote(path)).collect();
    let command = Command {
        line: format!("exec /bin/sh -c {} sh {}", quote(&script), words.join(" ")),
        ..Command::default()
    };
    let (outcome, heard) = hear(session, &command, io, MOST).await;
    if !heard.err.is_empty() {
        io.output(Stream::Err, heard.err.freeze()).await;
    }
    if outcome != Outcome::OK {
        return Err(outcome);
    }
    if heard.out.len() >= MOST {
        let text = format!("{}: too many files", open.join(" "));
        return Err(Outcome::failed(ErrorCode::Output, text));
    }
    read(open, &heard.out).map_err(|why| Outcome::failed(ErrorCode::ExecRefused, why))
}

/// The files of each path, as a node lists them.
fn read(open: &[&str], said: &[u8]) -> Result<Vec<Vec<Source>>, String> {
    let odd = || "the node runs something else than what it is asked to".to_owned();
    let mark = said.windows(MARK.len()).position(|part| part == MARK);
    let list = mark
        .and_then(|at| said[at + MARK.len()..].strip_suffix(END))
        .ok_or_else(odd)?;
    let mut paths = list.split(|byte| *byte == 0);
    let mut found = Vec::new();
    for asked in open {
        let mut sources = Vec::new();
        for path in paths.by_ref().take_while(|path| !path.is_empty()) {
            let path = std::str::from_utf8(path).map_err(|_| {
                let path = String::from_utf8_lossy(path);
                format!("{}: a name that is not UTF-8", path.escape_debug())
            })?;
            let name = name(path).filter(|name| is_called(name, asked));
            let name = name.ok_or_else(|| {
                format!(
                    "the node says `{}`, which is not {asked}",
                    path.escape_debug()
                )
            })?;
            sources.push(Source {
                path: path.to_owned(),
                name: name.to_owned(),
            });
        }
        if sources.is_empty() {
            return Err(odd());
        }
        found.push(sources);
    }
    // What the last NUL is followed by.
    match (paths.next(), paths.next()) {
        (Some(b""), None) => Ok(found),
        _ => Err(odd()),
    }
}

/// Whether a name is what the path asks for; a home may be called anything.
fn is_called(called: &str, asked: &str) -> bool {
    let Some(pattern) = name(asked) else {
        return false;
    };
    if asked.trim_end_matches('/') == pattern && pattern.starts_with('~') {
        return true;
    }
    let options = glob::MatchOptions {
        require_literal_leading_dot: true,
        ..glob::MatchOptions::default()
    };
    let negated: Cow<'_, str> = pattern.replace("[^", "[!").into();
    called == pattern
        || glob::Pattern::new(&negated).is_ok_and(|pattern| pattern.matches_with(called, options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(open: &[&str], said: &str) -> Result<String, String> {
        let found = read(open, said.as_bytes())?;
        let each = found.iter().map(|sources| {
            let each = sources
                .iter()
                .map(|one| format!("{}={}", one.path, one.name));
            each.collect::<Vec<_>>().join(",")
        });
        Ok(each.collect::<Vec<_>>().join(";"))
    }

    #[test]
    fn lists_are_read_and_what_was_not_asked_for_is_refused() {
        let said = "Welcome\nhapsh: paths\na/f1\0a/f2\0\0/home/me/x\0\0hapsh: end";
        assert_eq!(
            paths(&["a/f*", "~/x"], said).unwrap(),
            "a/f1=f1,a/f2=f2;/home/me/x=x"
        );
        let home = "hapsh: paths\n/home/me\0\0hapsh: end";
        assert_eq!(paths(&["~"], home).unwrap(), "/home/me=me");
        for (open, said) in [
            ("f*", "hapsh: paths\nf1\0/etc/passwd\0\0hapsh: end"),
            ("f*", "hapsh: paths\n.f\0\0hapsh: end"),
            ("f*", "hapsh: paths\nf/..\0\0hapsh: end"),
            ("~/x", "hapsh: paths\n/home/me/y\0\0hapsh: end"),
            ("f*", "hapsh: paths\n\0hapsh: end"),
            ("f*", "hapsh: paths\nf1\0\0f2\0\0hapsh: end"),
            ("f*", "hapsh: paths\nf1\0\0"),
            ("f*", "hapsh: paths\nf1"),
            ("f*", ""),
        ] {
            assert!(paths(&[open], said).is_err(), "{open} {said:?}");
        }
    }

    #[test]
    fn names_fit_patterns() {
        for (name, asked, fits) in [
            ("f1", "f*", true),
            ("f1", "d/f[0-9]", true),
            ("fx", "d/f[^0-9]", true),
            ("f1", "d/f[^0-9]", false),
            ("f[1]", "f[1]", true),
            (".f", "*", false),
            ("x", "~/x", true),
            ("anything", "~user", true),
            ("anything", "~user/", true),
            ("anything", "~/x", false),
        ] {
            assert_eq!(is_called(name, asked), fits, "{name} {asked}");
        }
    }

    #[test]
    fn any_login_shell_reads_the_script() {
        let script = [HOME, SCRIPT].concat();
        for bad in ["'", "\n", "!", r"\\"] {
            assert!(!script.contains(bad), "{bad:?}");
        }
    }
}
