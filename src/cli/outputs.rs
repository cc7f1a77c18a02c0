//! Folders with a file for each node: made, and with names that stay inside.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::destination::file_name;
use crate::plan::NodeName;
use crate::report::files::Open;

/// What could not be made or written, and why.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) path: PathBuf,
    pub(super) error: io::Error,
}

/// Makes the folder, and gives what opens the files of the nodes in it, emptied first.
///
/// # Errors
/// When it cannot be made, or a node's name would lead out of it.
pub(super) fn folder(folder: &Path, nodes: &[NodeName]) -> Result<Open<'static>, Failed> {
    let failed = |path: &Path, error| Failed {
        path: path.to_owned(),
        error,
    };
    if !folder.exists() {
        fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    }
    if let (false, Some(first)) = (folder.is_dir(), nodes.first()) {
        let error = rustix::io::Errno::NOTDIR.into();
        return Err(failed(&folder.join(file_name(first)), error));
    }
    for node in nodes {
        if !is_file_name(file_name(node)) {
            let error = io::Error::other(format!("node `{node}` is no file name"));
            return Err(failed(folder, error));
        }
    }
    let folder = folder.to_owned();
    Ok(Box::new(move |node| {
        let path = folder.join(file_name(node));
        // Emptied, then appended to: one folder may serve both streams.
        let open = || {
            File::create(&path)?;
            OpenOptions::new().append(true).open(&path)
        };
        let file = open().map_err(|error| named(&path, &error))?;
        Ok(Box::new(Named { file, path }) as Box<dyn Write>)
    }))
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    // Not of the same kind: a file that breaks is not our reader going away.
    io::Error::other(format!("{}: {error}", path.display()))
}

/// A file whose errors name it.
#[derive(Debug)]
struct Named {
    file: File,
    path: PathBuf,
}

impl Write for Named {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write(data).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                error
            } else {
                named(&self.path, &error)
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_emptied_and_shared() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made/deep");
        let nodes: Vec<NodeName> = vec!["n1".into()];
        for _ in 0..2 {
            let (out, err) = (
                folder(&path, &nodes).ok().unwrap(),
                folder(&path, &nodes).ok().unwrap(),
            );
            let (mut out, mut err) = (out("n1").unwrap(), err("n1").unwrap());
            out.write_all(b"a").unwrap();
            err.write_all(b"b").unwrap();
            out.write_all(b"c").unwrap();
        }
        assert_eq!(fs::read(path.join("n1")).unwrap(), b"abc");
    }

    #[test]
    fn no_name_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["../x", "/etc/x", ".", "..", "a/b"] {
            let nodes: Vec<NodeName> = vec![name.into()];
            let failed = folder(dir.path(), &nodes).err().unwrap();
            assert!(failed.error.to_string().contains("no file name"), "{name}");
        }
    }
}
