//! Where gathered output goes that does not fit in memory, and how much of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::gather::{Gather, PAGE, Quota, Store};

/// Where the output of a run goes that does not fit in memory, and how much of it there may be. Clones share the limit.
#[derive(Debug, Clone)]
pub struct Scratch {
    folder: PathBuf,
    quota: Quota,
}

impl Scratch {
    /// Files in this folder, of so many bytes in all.
    #[must_use]
    pub fn new(folder: PathBuf, max: u64) -> Self {
        let quota = Quota::new(max);
        Self { folder, quota }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// An empty gathering that keeps so much in memory.
    #[must_use]
    pub fn gather(&self, budget: usize) -> Gather {
        let store = TempFile::new(self.folder.clone());
        Gather::new(budget, Box::new(store)).within(self.quota.clone())
    }
}

/// Keeps pages in an unnamed temporary file, made when the first page comes and gone with the process.
#[derive(Debug)]
pub struct TempFile {
    dir: PathBuf,
    file: Option<File>,
}

impl TempFile {
    /// A file in `dir`, which is the system's folder for temporary files or one of its user's choice.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, file: None }
    }
}

fn offset(slot: u32) -> u64 {
    u64::from(slot) * PAGE as u64
}

impl Store for TempFile {
    fn write(&mut self, slot: u32, page: &[u8]) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(&self.dir)?),
        };
        file.write_all_at(page, offset(slot))
    }

    fn read(&self, slot: u32, page: &mut [u8]) -> io::Result<()> {
        match &self.file {
            Some(file) => file.read_exact_at(page, offset(slot)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spilled_output_comes_back() {
        let mut gather = Gather::new(PAGE, Box::new(TempFile::new(std::env::temp_dir())));
        let output = |key: u32| -> Vec<u8> {
            (0..5000u32)
                .flat_map(|n| format!("{n} {}\n", key % 2).into_bytes())
                .collect()
        };
        for key in 0..6 {
            gather.push(key, &output(key)).unwrap();
            gather.finish(key, 0);
        }
        let groups = gather.groups();
        assert_eq!(groups[0].keys, [0, 2, 4]);
        assert_eq!(groups[0].output.to_vec().unwrap(), output(0));
        assert_eq!(groups[1].keys, [1, 3, 5]);
        assert_eq!(groups[1].output.to_vec().unwrap(), output(1));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_of_the_first_spill() {
        let dir = tempfile::tempdir().unwrap().path().join("gone");
        let mut gather = Gather::new(PAGE, Box::new(TempFile::new(dir)));
        gather.push(0, b"small").unwrap();
        let err = gather.push(0, &[b'x'; 3 * PAGE]).unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::NotFound);
    }
}
